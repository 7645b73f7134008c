// The row pair of espl_pe2 on two hard blocks of the ECP5: MULT18X18D with the registers behind (and with two stages in front of) its multiplier.
// Same ports, same timing, same bits. Activation and active weight are registers in logic, so that no block has an enable of its own: blocks share
// them four by four. The multiplier's registers are the block's: inference leaves them in logic, with a wire before and behind the multiplier.
module espl_pe2_ecp5 #(
  parameter int WBits = 8,
  parameter int MulStages = 1
) (
  input  logic        clk_i,
  input  logic [15:0] a_i,
  input  logic        swap_i,
  input  logic [1:0]  wsel_i,
  input  logic [WBits-1:0] w_i,
  input  logic [23:0] psum_i,
  output logic [15:0] a_o,
  output logic [23:0] psum_o
);

  logic [2*WBits-1:0]      shadow_q, weight_q;
  logic [2*(8+WBits)-1:0]  prod;
  logic signed [7+WBits:0] term0, term1;

  for (genvar r = 0; r < 2; r++) begin : gen_row
    logic [35:0] p;
    espl_mul_ecp5 #(
      .Stages(MulStages)
    ) u_mul (
      .clk_i(clk_i),
      .a_i  ({{10{a_o[8*r+7]}}, a_o[8*r+:8]}),
      .b_i  ({{(18 - WBits) {weight_q[WBits*r+WBits-1]}}, weight_q[WBits*r+:WBits]}),
      .p_o  (p)
    );
    assign prod[(8+WBits)*r+:8+WBits] = p[7+WBits:0];
    logic unused;
    assign unused = ^p;
  end

  assign term0 = prod[7+WBits:0];
  assign term1 = prod[2*(8+WBits)-1:8+WBits];
  always_ff @(posedge clk_i) begin
    a_o <= a_i;
    if (wsel_i[0]) shadow_q[WBits-1:0] <= w_i;
    if (wsel_i[1]) shadow_q[2*WBits-1:WBits] <= w_i;
    if (swap_i) weight_q <= shadow_q;
    psum_o <= psum_i + 24'(term0) + 24'(term1);
  end

endmodule
