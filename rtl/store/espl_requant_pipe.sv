// Pipelined requantizer lane: q = clamp(zo + ((v*m + ((d*mr) << l) + 2^(s-1)) >> s), lo, hi) with v = a + b at 32 bits.
// The half costs no adder: floor((x + 2^(s-1)) / 2^s) = floor((floor(x / 2^(s-1)) + 1) / 2).
// One operation a cycle; operands in cycle c give q_o in cycle c+6, with MulStages 2 in c+8: partial products and the clamp's operand have a register
// of their own. Bounds for legal parameters: |v*m| < 2^47 and
// |d*mr << l| < 2^46, so the sum fits 49 bits. zo, lo and hi are those of cycle c+5; with MulStages 2 zo of c+6, lo and hi of c+7.
module espl_requant_pipe #(
  parameter int Residual = 1, // 0: d, mr and l are not used
  parameter int MulStages = 1 // 1 or 2
) (
  input  logic        clk_i,
  input  logic [31:0] a_i,   // accumulator (or sum of a window), signed
  input  logic [31:0] b_i,   // bias
  input  logic [15:0] m_i,
  input  logic [8:0]  d_i,   // residual minus its zero point, signed
  input  logic [15:0] mr_i,
  input  logic [5:0]  s_i,
  input  logic [4:0]  l_i,
  input  logic [7:0]  zo_i,
  input  logic [7:0]  lo_i,
  input  logic [7:0]  hi_i,
  output logic [7:0]  q_o
);

  logic signed [31:0] v1_q;
  logic        [15:0] m1_q;
  logic signed [48:0] p2, p2_q, sum3_q;
  logic        [48:0] add3;
  logic        [5:0]  s1_q, s1, s2_q, s3_q;
  logic        [2:0]  s4_q;
  logic        [10:0] x5;     // twice the shifted sum, plus the half's bit, saturated
  logic signed [12:0] twice;
  logic signed [11:0] y_d, y;

  always_ff @(posedge clk_i) begin
    v1_q   <= a_i + b_i;
    m1_q   <= m_i;
    p2_q   <= p2;
    sum3_q <= p2_q + $signed(add3);
    s1_q   <= s_i - 6'd1;
    s2_q   <= s1;
    s3_q   <= s2_q;
    s4_q   <= s3_q[2:0];
  end

  if (MulStages == 2) begin : gen_parts
    logic        [31:0] low_q;
    logic signed [32:0] high_q;
    logic        [5:0]  s1b_q;
    always_ff @(posedge clk_i) begin
      low_q  <= v1_q[15:0] * m1_q;
      high_q <= 33'($signed(v1_q[31:16])) * $signed({17'd0, m1_q});
      s1b_q  <= s1_q;
    end
    assign p2 = {{high_q, 16'd0}} + {17'd0, low_q};
    assign s1 = s1b_q;
  end else begin : gen_product
    assign p2 = 49'(v1_q) * $signed({33'd0, m1_q});
    assign s1 = s1_q;
  end

  // The residual's shift in two: by eights behind the product, the rest in front of the sum.
  if (Residual != 0) begin : gen_res
    logic signed [8:0]  d1_q;
    logic        [15:0] mr1_q;
    logic signed [25:0] r1_d, r1;
    logic        [4:0]  l1;
    logic        [48:0] r2_q;
    logic        [4:0]  l1_q;
    logic        [2:0]  l2_q;
    assign r1_d = 26'(d1_q) * $signed({10'd0, mr1_q});
    espl_hold #(
      .Width  (31),
      .Through((MulStages == 2) ? 0 : 1)
    ) u_part (
      .clk_i (clk_i),
      .we_i  (1'b1),
      .data_i({l1_q, r1_d}),
      .data_o({l1, r1})
    );
    always_ff @(posedge clk_i) begin
      d1_q  <= d_i;
      mr1_q <= mr_i;
      l1_q  <= l_i;
      l2_q  <= l1[2:0];
      r2_q  <= {{23{r1[25]}}, r1} << {l1[4:3], 3'd0};
    end
    assign add3 = r2_q << l2_q;
  end else begin : gen_no_res
    logic unused;
    assign unused = &{1'b0, d_i, mr_i, l_i};
    assign add3 = 49'd0;
  end

  // |zo| <= 128: 10 bits after halving are enough for an exact clamp.
  espl_satshift #(
    .Split(1)
  ) u_shift (
    .clk_i(clk_i),
    .z_i(sum3_q),
    .s_i({s3_q[5:3], s4_q}),
    .x_o(x5)
  );

  // y = floor((x5 + 1) / 2) + zo = floor((x5 + 2 zo + 1) / 2): one addition.
  assign twice = 13'($signed(x5)) + 13'($signed({zo_i, 1'b1}));
  assign y_d   = twice[12:1];
  espl_hold #(
    .Width  (12),
    .Through((MulStages == 2) ? 0 : 1)
  ) u_y (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i(y_d),
    .data_o(y)
  );
  always_ff @(posedge clk_i) begin
    if (y < 12'($signed(lo_i)) && $signed(lo_i) <= $signed(hi_i)) q_o <= lo_i;
    else if (y > 12'($signed(hi_i)) || $signed(lo_i) > $signed(hi_i)) q_o <= hi_i;
    else q_o <= y[7:0];
  end
  logic unused_half;
  assign unused_half = twice[0];

endmodule
