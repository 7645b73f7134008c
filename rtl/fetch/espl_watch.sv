// Collects errors, stops the core at the first one, detects deadlock, and ends a failed run.
// Timing: a report in cycle t sets stop_o from t+1 on; the lowest command index wins (in place: the first report, deadlock, fetch, load, store
// in one cycle). A cycle is dead when every unit is idle or blocked, no
// burst is open or requested, and some unit is not idle or some queue not empty; the 64th dead cycle in a row meets DEADLOCK (reported in
// the next cycle). The lowest waiting index is found one candidate a cycle in dead cycles 57 to 62: what waits stands still by then, because
// the prefetch holds at most 32 commands and hands out one a cycle. After `stop` fin_o is high in the first cycle in which all units are idle and no burst is open, or in the 64th dead one (in place a cycle later).
module espl_watch #(
  parameter int InPlace = 0  // 1: the index of a failed run is that of the oldest command, the first report is the one that counts
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        running_i,
  input  logic        port_busy_i,
  // load, compute, store
  input  logic [2:0]  idle_i,
  input  logic [2:0]  blocked_i,
  input  logic [2:0]  wait_valid_i,
  input  logic [71:0] wait_idx_i,
  input  logic [2:0]  head_valid_i,
  input  logic [71:0] head_idx_i,
  // reports: fetch, load, store
  input  logic [2:0]  err_valid_i,
  input  logic [23:0] err_code_i,
  input  logic [71:0] err_idx_i,
  input  logic [23:0] now_idx_i,  // of the oldest command; stands still after stop
  output logic        stop_o,
  output logic        go_o,       // its opposite, a register of its own with queues: stop_o has many readers
  output logic        fin_o,
  output logic [7:0]  err_code_o,
  output logic [23:0] err_idx_o
);

  logic        stop_q, dead_err_q, dead_q, dead_now;
  logic [2:0]  rest_q;  // the unit is idle or blocked
  logic        some_q;  // a unit is not idle or a queue not empty, and no burst is open
  logic [5:0]  dead_cnt_q;
  logic [7:0]  code_q, code_d;
  logic        have;

  // What is dead for 62 cycles stays so: the last two need no look, and the condition has two registers.
  assign dead_now = dead_q && (dead_cnt_q == 6'd61);

  if (InPlace != 0) begin : gen_place
    always_comb begin
      have   = stop_q;
      code_d = code_q;
      if (!have && dead_err_q) begin
        have   = 1'b1;
        code_d = espl_pkg::StDeadlock;
      end
      for (int u = 0; u < 3; u++) begin
        if (!have && err_valid_i[u]) begin
          have   = 1'b1;
          code_d = err_code_i[8*u+:8];
        end
      end
    end
    assign err_idx_o = now_idx_i;
    logic unused;
    assign unused = &{1'b0, wait_valid_i, wait_idx_i, head_idx_i, err_idx_i};
  end else begin : gen_lowest
    logic [23:0] idx_q, idx, dead_idx_q, dead_idx, one_idx_q;
    logic        dead_one, one_q, any_q;
    // One candidate that waits, units in progress (0 to 2), then queue heads (3 to 5); it is compared in the next cycle.
    always_comb begin
      dead_one = 1'b0;
      dead_idx = 24'd0;
      for (int u = 0; u < 3; u++) begin
        if (dead_cnt_q == 6'(55 + u)) begin
          dead_one = wait_valid_i[u];
          dead_idx = wait_idx_i[24*u+:24];
        end
        if (dead_cnt_q == 6'(58 + u)) begin
          dead_one = head_valid_i[u];
          dead_idx = head_idx_i[24*u+:24];
        end
      end
    end

    // The lowest report, deadlock before fetch, load, store at the same index: the two halves of what was reported in a cycle are compared in that cycle, their
    // winners with each other and with the lowest so far in the next, in which `stop` is seen.
    logic        a_valid_q, b_valid_q, a_first, b_first, a_low, b_low, pair_low;
    logic [7:0]  a_code_q, b_code_q;
    logic [23:0] a_idx_q, b_idx_q;
    assign have     = stop_q || dead_err_q || (err_valid_i != 3'b000);
    assign a_first  = dead_err_q && (!err_valid_i[0] || dead_idx_q <= err_idx_i[23:0]);
    assign b_first  = err_valid_i[1] && (!err_valid_i[2] || err_idx_i[47:24] <= err_idx_i[71:48]);
    assign a_low    = a_valid_q && (!any_q || a_idx_q < idx_q);
    assign b_low    = b_valid_q && (!any_q || b_idx_q < idx_q);
    assign pair_low = a_low && (!b_low || a_idx_q <= b_idx_q);
    assign idx      = pair_low ? a_idx_q : (b_low ? b_idx_q : idx_q);
    assign code_d   = pair_low ? a_code_q : (b_low ? b_code_q : code_q);
    always_ff @(posedge clk_i) begin
      if (dead_cnt_q == 6'd55) dead_idx_q <= 24'hffffff;
      else if (one_q && (one_idx_q < dead_idx_q)) dead_idx_q <= one_idx_q;
      one_q     <= dead_one;
      one_idx_q <= dead_idx;
      a_code_q  <= a_first ? espl_pkg::StDeadlock : err_code_i[7:0];
      a_idx_q   <= a_first ? dead_idx_q : err_idx_i[23:0];
      b_code_q  <= b_first ? err_code_i[15:8] : err_code_i[23:16];
      b_idx_q   <= b_first ? err_idx_i[47:24] : err_idx_i[71:48];
      idx_q     <= idx;
      if (rst_i) begin
        a_valid_q <= 1'b0;
        b_valid_q <= 1'b0;
        any_q     <= 1'b0;
      end else begin
        a_valid_q <= dead_err_q || err_valid_i[0];
        b_valid_q <= err_valid_i[1] || err_valid_i[2];
        any_q     <= any_q || a_valid_q || b_valid_q;
      end
    end
    assign err_idx_o = idx;
    logic unused;
    assign unused = &{1'b0, now_idx_i};
  end

  assign stop_o     = stop_q;
  if (InPlace != 0) begin : gen_go_same
    assign go_o = !stop_q;
  end else begin : gen_go
    logic go_q;
    always_ff @(posedge clk_i) go_q <= rst_i || !have;
    assign go_o = go_q;
  end
  logic fin_d;
  assign fin_d      = running_i && stop_q && (err_valid_i == 3'b000) && !dead_err_q && (((&idle_i) && !port_busy_i) || dead_now);
  if (InPlace != 0) begin : gen_fin_late
    logic fin_q;  // nothing moves any more
    always_ff @(posedge clk_i) fin_q <= fin_d && !rst_i;
    assign fin_o = fin_q;
  end else begin : gen_fin
    assign fin_o = fin_d;
  end
  assign err_code_o = (InPlace != 0) ? code_q : code_d;

  always_ff @(posedge clk_i) begin
    code_q <= code_d;
    if (rst_i) begin
      stop_q     <= 1'b0;
      dead_err_q <= 1'b0;
      dead_cnt_q <= 6'd0;
      dead_q     <= 1'b0;
      rest_q     <= 3'b000;
      some_q     <= 1'b0;
    end else begin
      stop_q     <= have;
      dead_err_q <= dead_now && !stop_q;
      rest_q     <= idle_i | blocked_i;
      some_q     <= running_i && !port_busy_i && (!(&idle_i) || (|head_valid_i));
      dead_q     <= (&rest_q) && some_q;
      dead_cnt_q <= dead_q ? dead_cnt_q + 6'd1 : 6'd0;  // wraps after a report: 64 more cycles end the run
    end
  end

endmodule
