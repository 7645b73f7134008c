// Accumulators: one memory per column and bank, added to by the array and drained by the store unit.
// Timing, array side: step_* in cycle t names the accumulator whose column-c sum is on psum_i in cycle t + c + 1; column c
// reads its memory in t + c, adds in t + c + 1, writes in t + c + 2. With Late what was read has a register of its own: psum_i, sum and write
// are a cycle later, a pass may come back after 4 cycles, a store may read from t + Cols + 3 on. So a pass may come back to an accumulator after 3 cycles (A),
// and a store may read from t + Cols + 2 on. A first step reads nothing, so a store may follow a pass of first steps in the same bank. The step travels right with the column skew of the array.
// Timing, store side: re_i in cycle t gives on rdata_o in t+2 the Group columns of rgroup_i at raddr_i. Otherwise the two sides
// never use one bank in the same cycle: compute releases a bank before store reads it. Sums wrap at AccW bits.
module espl_acc #(
  parameter int Cols = 4,
  parameter int Group = 4,    // columns read at once
  parameter int AccAw = 8,    // log2 of the accumulators of a column in a bank
  parameter int AccW = 32,
  parameter int AccBanks = 2,
  parameter int Late = 0
) (
  input  logic                  clk_i,
  input  logic                  step_valid_i,
  input  logic                  step_first_i,  // overwrite instead of add
  input  logic                  step_bank_i,
  input  logic [AccAw-1:0]      step_addr_i,
  input  logic [24*Cols-1:0]    psum_i,
  input  logic                  re_i,
  input  logic                  rbank_i,
  input  logic [7:0]            rgroup_i,
  input  logic [AccAw-1:0]      raddr_i,
  output logic [Group*AccW-1:0] rdata_o
);

  // A step: {valid, first, bank, address}; stage k is the input delayed by k cycles.
  localparam int StepW = AccAw + 3;
  localparam int Groups = Cols / Group;
  logic [StepW*(Cols+Late+2)-1:0] step;
  logic [StepW*(Cols+Late+1)-1:0] step_q;
  always_ff @(posedge clk_i) step_q <= step[StepW*(Cols+Late+1)-1:0];
  assign step = {step_q, step_valid_i, step_first_i, step_bank_i, step_addr_i};

  logic [AccW*Cols-1:0] old;    // the bank the array adds to, the bank the store reads
  logic [AccW*Cols-1:0] drain;
  logic                 rbank_q;

  for (genvar c = 0; c < Cols; c++) begin : gen_col
    logic [StepW-1:0]         rd_step;
    logic [StepW-1:0]         add_step;
    logic [StepW-1:0]         wr_step;
    logic [AccW-1:0]          sum_q;
    logic [AccW*AccBanks-1:0] word;
    assign rd_step  = step[StepW*c+:StepW];
    assign add_step = step[StepW*(c+1)+:StepW];
    assign wr_step  = step[StepW*(c+2+Late)+:StepW];

    for (genvar b = 0; b < AccBanks; b++) begin : gen_bank
      logic rd_mine;
      logic wr_mine;
      assign rd_mine = rd_step[AccAw+2] && !rd_step[AccAw+1] && (AccBanks == 1 || rd_step[AccAw] == 1'(b));
      assign wr_mine = wr_step[AccAw+2] && (AccBanks == 1 || wr_step[AccAw] == 1'(b));
      espl_sdp_ram #(
        .Depth(1 << AccAw),
        .Width(AccW / 8)
      ) u_ram (
        .clk_i  (clk_i),
        .we_i   (wr_mine),
        .wstrb_i({(AccW / 8) {1'b1}}),
        .waddr_i(wr_step[AccAw-1:0]),
        .wdata_i(sum_q),
        .re_i   (rd_mine || (re_i && (AccBanks == 1 || rbank_i == 1'(b)))),
        .raddr_i(rd_mine ? rd_step[AccAw-1:0] : raddr_i),
        .rdata_o(word[AccW*b+:AccW])
      );
    end

    if (AccBanks == 2) begin : gen_two
      assign old[AccW*c+:AccW]   = add_step[AccAw] ? word[AccW+:AccW] : word[AccW-1:0];
      assign drain[AccW*c+:AccW] = rbank_q ? word[AccW+:AccW] : word[AccW-1:0];
    end else begin : gen_one
      assign old[AccW*c+:AccW]   = word;
      assign drain[AccW*c+:AccW] = word;
    end

    logic [AccW-1:0] base;
    espl_hold #(
      .Width  (AccW),
      .Through(1 - Late)
    ) u_base (
      .clk_i (clk_i),
      .we_i  (1'b1),
      .data_i(add_step[AccAw+1] ? '0 : old[AccW*c+:AccW]),
      .data_o(base)
    );
    always_ff @(posedge clk_i) sum_q <= base + AccW'($signed(psum_i[24*c+:24]));
    logic unused_step;
    assign unused_step = ^{rd_step, add_step, wr_step};
  end

  logic [7:0] rgroup_q;
  always_ff @(posedge clk_i) begin
    rbank_q  <= rbank_i;
    rgroup_q <= rgroup_i;
  end
  if (Groups > 1) begin : gen_groups
    always_ff @(posedge clk_i) rdata_o <= drain[rgroup_q[$clog2(Groups)-1:0]*(Group*AccW)+:Group*AccW];
  end else begin : gen_one_group
    always_ff @(posedge clk_i) rdata_o <= drain;
  end
  logic unused_select;
  assign unused_select = ^{rgroup_q, rbank_q};

endmodule
