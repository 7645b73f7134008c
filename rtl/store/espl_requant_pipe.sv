// Pipelined requantizer lane: q = clamp(zo + ((v*m + ((d*mr) << l) + 2^(s-1)) >> s), lo, hi) with v = a + b at 32 bits.
// The half costs no adder: floor((x + 2^(s-1)) / 2^s) = floor((floor(x / 2^(s-1)) + 1) / 2).
// One operation a cycle; operands in cycle c give q_o in cycle c+6. Bounds for legal parameters: |v*m| < 2^47 and
// |d*mr << l| < 2^46, so the sum fits 49 bits. zo, lo and hi are those of cycle c+5.
module espl_requant_pipe #(
  parameter int Residual = 1  // 0: d, mr and l are not used
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
  logic signed [48:0] p2_q, sum3_q;
  logic        [48:0] add3;
  logic        [5:0]  s1_q, s2_q, s3_q;
  logic        [2:0]  s4_q;
  logic        [10:0] x5;     // twice the shifted sum, plus the half's bit, saturated
  logic signed [12:0] twice;
  logic signed [11:0] y;

  always_ff @(posedge clk_i) begin
    v1_q   <= a_i + b_i;
    m1_q   <= m_i;
    p2_q   <= 49'(v1_q) * $signed({33'd0, m1_q});
    sum3_q <= p2_q + $signed(add3);
    s1_q   <= s_i - 6'd1;
    s2_q   <= s1_q;
    s3_q   <= s2_q;
    s4_q   <= s3_q[2:0];
  end

  // The residual's shift in two: by eights behind the product, the rest in front of the sum.
  if (Residual != 0) begin : gen_res
    logic signed [8:0]  d1_q;
    logic        [15:0] mr1_q;
    logic signed [25:0] r1;
    logic        [48:0] r2_q;
    logic        [4:0]  l1_q;
    logic        [2:0]  l2_q;
    assign r1 = 26'(d1_q) * $signed({10'd0, mr1_q});
    always_ff @(posedge clk_i) begin
      d1_q  <= d_i;
      mr1_q <= mr_i;
      l1_q  <= l_i;
      l2_q  <= l1_q[2:0];
      r2_q  <= {{23{r1[25]}}, r1} << {l1_q[4:3], 3'd0};
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
  assign y     = twice[12:1];
  always_ff @(posedge clk_i) begin
    if (y < 12'($signed(lo_i)) && $signed(lo_i) <= $signed(hi_i)) q_o <= lo_i;
    else if (y > 12'($signed(hi_i)) || $signed(lo_i) > $signed(hi_i)) q_o <= hi_i;
    else q_o <= y[7:0];
  end
  logic unused_half;
  assign unused_half = twice[0];

endmodule
