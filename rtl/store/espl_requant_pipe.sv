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
  logic signed [48:0] p2_q, p3_q, sum4_q;
  logic        [48:0] add3_d, add3_q;
  logic        [5:0]  s1_q, s2_q, s3_q, s4_q;
  logic        [10:0] sh5;
  logic signed [10:0] x5_q;  // twice the shifted sum, plus the half's bit, saturated
  logic signed [11:0] x, y;

  always_ff @(posedge clk_i) begin
    v1_q   <= a_i + b_i;
    m1_q   <= m_i;
    p2_q   <= 49'(v1_q) * $signed({33'd0, m1_q});
    p3_q   <= p2_q;
    add3_q <= add3_d;
    sum4_q <= p3_q + $signed(add3_q);
    s1_q   <= s_i - 6'd1;
    s2_q   <= s1_q;
    s3_q   <= s2_q;
    s4_q   <= s3_q;
  end

  if (Residual != 0) begin : gen_res
    logic signed [8:0]  d1_q;
    logic        [15:0] mr1_q;
    logic signed [25:0] r2_q;
    logic        [4:0]  l1_q, l2_q;
    always_ff @(posedge clk_i) begin
      d1_q  <= d_i;
      mr1_q <= mr_i;
      l1_q  <= l_i;
      l2_q  <= l1_q;
      r2_q  <= 26'(d1_q) * $signed({10'd0, mr1_q});
    end
    assign add3_d = {{23{r2_q[25]}}, r2_q} << l2_q;
  end else begin : gen_no_res
    logic unused;
    assign unused = &{1'b0, d_i, mr_i, l_i};
    assign add3_d = 49'd0;
  end

  // |zo| <= 128: 10 bits after halving are enough for an exact clamp.
  espl_satshift u_shift (
    .clk_i(clk_i),
    .z_i(sum4_q),
    .s_i(s4_q),
    .x_o(sh5)
  );
  always_ff @(posedge clk_i) begin
    x5_q <= sh5;
  end

  assign x = (12'(x5_q) + 12'sd1) >>> 1;
  assign y = x + 12'($signed(zo_i));
  always_ff @(posedge clk_i) begin
    if (y < 12'($signed(lo_i)) && $signed(lo_i) <= $signed(hi_i)) q_o <= lo_i;
    else if (y > 12'($signed(hi_i)) || $signed(lo_i) > $signed(hi_i)) q_o <= hi_i;
    else q_o <= y[7:0];
  end

endmodule
