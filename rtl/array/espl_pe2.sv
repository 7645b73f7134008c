// Two processing elements of one column, rows 2i and 2i+1: the cell boundary at which dual multipliers of a device fit.
// Weights stay (a shadow register to load, an active register to multiply with), activations go right, the column sum down.
// Timing: an activation pair on a_i in cycle t is on a_o in t+1; its products are in registers in t+1+MulStages; psum_o
// holds psum_i + products one cycle later (t+2+MulStages), so psum_i must hold the sum of the rows above in t+1+MulStages.
// swap_i comes with the first pair of a pass: this pair and later ones meet the weights the shadow held in that cycle.
// The sum of 256 products of 8x8 bits lies in -2^23 < s < 2^23: 24 bits are exact.
// With ESPL_SOFT_MUL defined the products come from espl_mul8, for parts without multipliers.
// With ESPL_ICE40_DSP, ESPL_XC7_DSP or ESPL_ECP5_DSP defined the body is espl_pe2_ice40, _xc7 or _ecp5, equal in every bit and cycle, on the device's blocks.
module espl_pe2 #(
  parameter int WBits = 8,       // bits of a weight
  parameter int MulStages = 1
) (
  input  logic        clk_i,
  input  logic [15:0] a_i,       // row 2i in bits 7..0, row 2i+1 in bits 15..8
  input  logic        swap_i,
  input  logic [1:0]  wsel_i,    // shadow row to write, one bit a row
  input  logic [WBits-1:0] w_i,
  input  logic [23:0] psum_i,
  output logic [15:0] a_o,
  output logic [23:0] psum_o
);

`ifdef ESPL_ICE40_DSP
  `define ESPL_PE2_BODY espl_pe2_ice40
`endif
`ifdef ESPL_XC7_DSP
  `define ESPL_PE2_BODY espl_pe2_xc7
`endif
`ifdef ESPL_ECP5_DSP
  `define ESPL_PE2_BODY espl_pe2_ecp5
`endif
`ifdef ESPL_PE2_BODY
  `ESPL_PE2_BODY #(
    .WBits    (WBits),
    .MulStages(MulStages)
  ) u_body (
    .clk_i (clk_i),
    .a_i   (a_i),
    .swap_i(swap_i),
    .wsel_i(wsel_i),
    .w_i   (w_i),
    .psum_i(psum_i),
    .a_o   (a_o),
    .psum_o(psum_o)
  );
`else
  logic [15:0] a_q;
  logic [2*WBits-1:0] shadow_q;
  logic [2*WBits-1:0] weight_q;
  logic signed [7+WBits:0] prod0;
  logic signed [7+WBits:0] prod1;
  logic signed [7+WBits:0] prod0_q;
  logic signed [7+WBits:0] prod1_q;
  logic signed [7+WBits:0] term0;
  logic signed [7+WBits:0] term1;

  always_ff @(posedge clk_i) begin
    a_q <= a_i;
    if (wsel_i[0]) shadow_q[WBits-1:0] <= w_i;
    if (wsel_i[1]) shadow_q[2*WBits-1:WBits] <= w_i;
    if (swap_i) weight_q <= shadow_q;
    prod0_q <= prod0;
    prod1_q <= prod1;
    psum_o <= psum_i + 24'(term0) + 24'(term1);
  end

`ifdef ESPL_SOFT_MUL
  espl_mul8 #(.WBits(WBits)) u_mul0 (.a_i(a_q[7:0]), .w_i(weight_q[WBits-1:0]), .p_o(prod0));
  espl_mul8 #(.WBits(WBits)) u_mul1 (.a_i(a_q[15:8]), .w_i(weight_q[2*WBits-1:WBits]), .p_o(prod1));
`else
  assign prod0 = $signed(a_q[7:0]) * $signed(weight_q[WBits-1:0]);
  assign prod1 = $signed(a_q[15:8]) * $signed(weight_q[2*WBits-1:WBits]);
`endif

  if (MulStages == 2) begin : gen_two_stages
    logic signed [7+WBits:0] late0_q;
    logic signed [7+WBits:0] late1_q;
    always_ff @(posedge clk_i) begin
      late0_q <= prod0_q;
      late1_q <= prod1_q;
    end
    assign term0 = late0_q;
    assign term1 = late1_q;
  end else begin : gen_one_stage
    assign term0 = prod0_q;
    assign term1 = prod1_q;
  end

  assign a_o = a_q;
`endif

endmodule
