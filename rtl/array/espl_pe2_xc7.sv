// The row pair of espl_pe2 in two hard blocks of 7-series: DSP48E1 slices whose sums are cascaded.
// Same ports, same timing, same bits. Upper slice: psum_i + row 2i, unregistered, over the cascade into the lower one: + row 2i+1, into its P register.
// The slices' input registers are the activation and the active weight (B held except on a swap), M is the first multiplier stage; with two stages
// both inputs have their second register. Shadow weights and the activation that goes right stay outside.
module espl_pe2_xc7 #(
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

  localparam int Regs = MulStages;  // registers of an input
  localparam logic [6:0] AddC = 7'b0110101, AddCascade = 7'b0010101;  // product + C, product + PCIN

  logic [2*WBits-1:0] shadow_q;
  logic [47:0]  cascade, sum;
  logic [1:0]   first, second;  // clock enables of B1 (not used with one register) and B2

  assign first  = {2{swap_i}};
  assign second = (MulStages == 2) ? 2'b11 : {2{swap_i}};

  for (genvar r = 0; r < 2; r++) begin : gen_row
    logic [47:0] p, pc;
    DSP48E1 #(
      .ACASCREG     (Regs),
      .ADREG        (1),  // without the pre-adder it means nothing; 0 makes Yosys draw a register into A that is full already
      .ALUMODEREG   (0),
      .AREG         (Regs),
      .BCASCREG     (Regs),
      .BREG         (Regs),
      .CARRYINREG   (0),
      .CARRYINSELREG(0),
      .CREG         (0),
      .DREG         (0),
      .INMODEREG    (0),
      .MREG         (1),
      .OPMODEREG    (0),
      .PREG         (r)
    ) u_dsp (
      .CLK          (clk_i),
      .A            ({{22{a_i[8*r+7]}}, a_i[8*r+:8]}),
      .B            ({{(18 - WBits) {shadow_q[WBits*r+WBits-1]}}, shadow_q[WBits*r+:WBits]}),
      .C            ({24'd0, psum_i}),
      .D            (25'd0),
      .PCIN         (r == 0 ? 48'd0 : cascade),
      .OPMODE       (r == 0 ? AddC : AddCascade),
      .ALUMODE      (4'd0),
      .INMODE       (5'd0),
      .CARRYIN      (1'b0),
      .CARRYINSEL   (3'd0),
      .CARRYCASCIN  (1'b0),
      .MULTSIGNIN   (1'b0),
      .ACIN         (30'd0),
      .BCIN         (18'd0),
      .CEA1         (1'b1),
      .CEA2         (1'b1),
      .CEB1         (first[r]),
      .CEB2         (second[r]),
      .CEM          (1'b1),
      .CEP          (1'b1),
      .CEC          (1'b0),
      .CED          (1'b0),
      .CEAD         (1'b0),
      .CEALUMODE    (1'b0),
      .CECARRYIN    (1'b0),
      .CECTRL       (1'b0),
      .CEINMODE     (1'b0),
      .RSTA         (1'b0),
      .RSTALLCARRYIN(1'b0),
      .RSTALUMODE   (1'b0),
      .RSTB         (1'b0),
      .RSTC         (1'b0),
      .RSTCTRL      (1'b0),
      .RSTD         (1'b0),
      .RSTINMODE    (1'b0),
      .RSTM         (1'b0),
      .RSTP         (1'b0),
      .P            (p),
      .PCOUT        (pc)
    );
    if (r == 0) begin : gen_upper
      assign cascade = pc;
    end else begin : gen_lower
      assign sum = p;
    end
  end

  always_ff @(posedge clk_i) begin
    a_o <= a_i;
    if (wsel_i[0]) shadow_q[WBits-1:0] <= w_i;
    if (wsel_i[1]) shadow_q[2*WBits-1:WBits] <= w_i;
  end
  assign psum_o = sum[23:0];

endmodule
