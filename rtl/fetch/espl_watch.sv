// Collects errors, stops the core at the first one, detects deadlock, and ends a failed run.
// Timing: a report in cycle t sets stop_o from t+1 on; the lowest command index wins (in place: the first report, deadlock, fetch, load, store
// in one cycle). A cycle is dead when every unit is idle or blocked, no
// burst is open or requested, and some unit is not idle or some queue not empty; the 64th dead cycle in a row meets DEADLOCK (reported in
// the next cycle). The lowest waiting index is found one candidate a cycle in dead cycles 57 to 62: what waits stands still by then, because
// the prefetch holds at most 32 commands and hands out one a cycle. After `stop` fin_o is high in the first cycle in which all units are idle and no burst is open, or in the 64th dead one.
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
    logic [23:0] idx_q, idx_d, dead_idx_q, dead_idx;
    logic        dead_one;
    // One candidate that waits: units in progress (0 to 2), then queue heads (3 to 5).
    always_comb begin
      dead_one = 1'b0;
      dead_idx = 24'd0;
      for (int u = 0; u < 3; u++) begin
        if (dead_cnt_q == 6'(56 + u)) begin
          dead_one = wait_valid_i[u];
          dead_idx = wait_idx_i[24*u+:24];
        end
        if (dead_cnt_q == 6'(59 + u)) begin
          dead_one = head_valid_i[u];
          dead_idx = head_idx_i[24*u+:24];
        end
      end
    end

    always_comb begin
      have   = stop_q;
      code_d = code_q;
      idx_d  = idx_q;
      if (dead_err_q && (!have || (dead_idx_q < idx_d))) begin
        have   = 1'b1;
        code_d = espl_pkg::StDeadlock;
        idx_d  = dead_idx_q;
      end
      for (int u = 0; u < 3; u++) begin
        if (err_valid_i[u] && (!have || (err_idx_i[24*u+:24] < idx_d))) begin
          have   = 1'b1;
          code_d = err_code_i[8*u+:8];
          idx_d  = err_idx_i[24*u+:24];
        end
      end
    end
    always_ff @(posedge clk_i) begin
      if (dead_cnt_q == 6'd55) dead_idx_q <= 24'hffffff;
      else if (dead_one && (dead_idx < dead_idx_q)) dead_idx_q <= dead_idx;
      idx_q <= idx_d;
    end
    assign err_idx_o = idx_q;
    logic unused;
    assign unused = &{1'b0, now_idx_i};
  end

  assign stop_o     = stop_q;
  assign fin_o      = running_i && stop_q && (err_valid_i == 3'b000) && !dead_err_q && (((&idle_i) && !port_busy_i) || dead_now);
  assign err_code_o = code_q;

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
