// Arithmetic right shift of a 49-bit number by 0..63, saturated to 11 bits: the shift of a requantizer. Combinational.
// Each stage keeps only the bits that can still reach the result; what it drops without shifting must be copies of the sign, else the
// result saturates. About a third of a full-width shifter.
module espl_satshift (
  input  logic [48:0] z_i,
  input  logic [5:0]  s_i,
  output logic [10:0] x_o
);

  logic        sign, over;
  logic [41:0] w5;  // by 32; at most 31 places to come: 11 + 31 bits
  logic [25:0] w4;  // by 16
  logic [17:0] w3;
  logic [13:0] w2;
  logic [11:0] w1;
  logic [10:0] w0;

  assign sign = z_i[48];
  assign w5   = s_i[5] ? {{25{sign}}, z_i[48:32]} : z_i[41:0];
  assign w4   = s_i[4] ? w5[41:16] : w5[25:0];
  assign w3   = s_i[3] ? w4[25:8] : w4[17:0];
  assign w2   = s_i[2] ? w3[17:4] : w3[13:0];
  assign w1   = s_i[1] ? w2[13:2] : w2[11:0];
  assign w0   = s_i[0] ? w1[11:1] : w1[10:0];
  assign over = (!s_i[5] && z_i[47:41] != {7{sign}}) || (!s_i[4] && w5[41:25] != {17{sign}}) || (!s_i[3] && w4[25:17] != {9{sign}}) ||
                (!s_i[2] && w3[17:13] != {5{sign}}) || (!s_i[1] && w2[13:11] != {3{sign}}) || (!s_i[0] && w1[11:10] != {2{sign}});
  assign x_o  = over ? {sign, {10{!sign}}} : w0;

endmodule
