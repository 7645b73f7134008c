// The row pair of espl_pe2 in one hard block of the iCE40 UP5K: an SB_MAC16 as two signed 8x8 multipliers.
// Same ports, same timing, same bits. The block's input registers are the activation register and the active weights
// (B held except on a swap), its product registers are the first multiplier stage; shadow weights, the activation that goes right and the
// sum stay outside. It is instantiated because inference would merge the column's adder into the block and loses the sum.
module espl_pe2_ice40 #(
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

  logic [15:0] shadow_q;
  logic [31:0] prod_q, term;
  (* keep *) logic [16:0] pair;  // kept: two plain adders are smaller here than one of three operands

  SB_MAC16 #(
    .NEG_TRIGGER             (1'b0),
    .C_REG                   (1'b0),
    .A_REG                   (1'b1),
    .B_REG                   (1'b1),
    .D_REG                   (1'b0),
    .TOP_8x8_MULT_REG        (1'b1),
    .BOT_8x8_MULT_REG        (1'b1),
    .PIPELINE_16x16_MULT_REG1(1'b0),
    .PIPELINE_16x16_MULT_REG2(1'b0),
    .TOPOUTPUT_SELECT        (2'b10),
    .TOPADDSUB_LOWERINPUT    (2'b00),
    .TOPADDSUB_UPPERINPUT    (1'b0),
    .TOPADDSUB_CARRYSELECT   (2'b00),
    .BOTOUTPUT_SELECT        (2'b10),
    .BOTADDSUB_LOWERINPUT    (2'b00),
    .BOTADDSUB_UPPERINPUT    (1'b0),
    .BOTADDSUB_CARRYSELECT   (2'b00),
    .MODE_8x8                (1'b1),
    .A_SIGNED                (1'b1),
    .B_SIGNED                (1'b1)
  ) u_mac (
    .CLK       (clk_i),
    .CE        (1'b1),
    .A         (a_i),
    .B         (shadow_q),
    .C         (16'd0),
    .D         (16'd0),
    .AHOLD     (1'b0),
    .BHOLD     (!swap_i),
    .CHOLD     (1'b0),
    .DHOLD     (1'b0),
    .IRSTTOP   (1'b0),
    .IRSTBOT   (1'b0),
    .ORSTTOP   (1'b0),
    .ORSTBOT   (1'b0),
    .OLOADTOP  (1'b0),
    .OLOADBOT  (1'b0),
    .ADDSUBTOP (1'b0),
    .ADDSUBBOT (1'b0),
    .OHOLDTOP  (1'b0),
    .OHOLDBOT  (1'b0),
    .CI        (1'b0),
    .ACCUMCI   (1'b0),
    .SIGNEXTIN (1'b0),
    .O         (prod_q)
  );

  if (MulStages == 2) begin : gen_two_stages
    logic [31:0] late_q;
    always_ff @(posedge clk_i) late_q <= prod_q;
    assign term = late_q;
  end else begin : gen_one_stage
    assign term = prod_q;
  end

  assign pair = {term[15], term[15:0]} + {term[31], term[31:16]};
  always_ff @(posedge clk_i) begin
    a_o <= a_i;
    if (wsel_i[0]) shadow_q[7:0] <= 8'($signed(w_i));
    if (wsel_i[1]) shadow_q[15:8] <= 8'($signed(w_i));
    psum_o <= psum_i + {{7{pair[16]}}, pair};
  end

endmodule
