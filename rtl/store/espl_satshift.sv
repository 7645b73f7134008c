// Arithmetic right shift of a 49-bit number by 0..63, saturated to 11 bits: the shift of a requantizer.
// Timing: combinational; with Split two registers inside: z_i of cycle t, s_i of t (its upper half) and of t+1 (its lower half) give x_o in t+2.
// Each stage keeps only the bits that can still reach the result; what it drops without shifting must be copies of the sign, else the
// result saturates. About a third of a full-width shifter.
module espl_satshift #(
  parameter int Split = 0
) (
  input  logic        clk_i,
  input  logic [48:0] z_i,
  input  logic [5:0]  s_i,
  output logic [10:0] x_o
);

  logic        sign, sign1, sign2, over1, over2;
  logic [2:0]  over_d, over;
  logic [41:0] w5;  // by 32; at most 31 places to come: 11 + 31 bits
  logic [25:0] w4;  // by 16
  logic [17:0] w3_d, w3;
  logic [13:0] w2;
  logic [11:0] w1;
  logic [10:0] w0_d, w0;

  assign sign = z_i[48];
  assign w5   = s_i[5] ? {{25{sign}}, z_i[48:32]} : z_i[41:0];
  assign w4   = s_i[4] ? w5[41:16] : w5[25:0];
  assign w3_d = s_i[3] ? w4[25:8] : w4[17:0];
  assign over_d = {!s_i[5] && z_i[47:41] != {7{sign}}, !s_i[4] && w5[41:25] != {17{sign}}, !s_i[3] && w4[25:17] != {9{sign}}};

  assign w2   = s_i[2] ? w3[17:4] : w3[13:0];
  assign w1   = s_i[1] ? w2[13:2] : w2[11:0];
  assign w0_d = s_i[0] ? w1[11:1] : w1[10:0];
  assign over1 = (over != 3'b000) || (!s_i[2] && w3[17:13] != {5{sign1}}) || (!s_i[1] && w2[13:11] != {3{sign1}}) || (!s_i[0] && w1[11:10] != {2{sign1}});

  if (Split != 0) begin : gen_split
    always_ff @(posedge clk_i) begin
      sign1 <= sign;
      over  <= over_d;
      w3    <= w3_d;
      sign2 <= sign1;
      over2 <= over1;
      w0    <= w0_d;
    end
  end else begin : gen_plain
    assign sign1 = sign;
    assign over  = over_d;
    assign w3    = w3_d;
    assign sign2 = sign1;
    assign over2 = over1;
    assign w0    = w0_d;
    logic unused;
    assign unused = clk_i;
  end
  assign x_o = over2 ? {sign2, {10{!sign2}}} : w0;

endmodule
