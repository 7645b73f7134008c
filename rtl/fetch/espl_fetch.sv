// Reads the program, checks each command, hands it to its unit's queue, and runs the barriers MARK and END.
// Timing: a command shown by the buffer in cycle t is dispatched (pushed and popped) in t when its queue has room in t; one a cycle.
//   In place the verdict on a command takes two cycles: one shown in t is dispatched or refused in t+2 at the earliest (offered to its unit from t+3 on);
//   the end of the program is met a cycle later too, and the next command is shown two cycles after q_pop_i.
//   (Parts of espl_fetch_buf: everything shown is shown three cycles later.)
//   Refused commands are met in t and reported (err_*) in t+1. A MARK or END shown in t: Turn (t+1 ...) until the prefetch has nothing open.
//   END then waits there for `quiet`; Fin: fin_o. MARK: the buffer starts again at the next 4 KiB line, Wait until both slots are full
//   and all is quiet (the last cycle counted), Mark: the record's request is visible in its first cycle, until the response arrives in cycle x,
//   Reset (x+1: mem_reset_o, counters cleared), Run again in x+2: the first cycle of the next layer.
//   rst_i until cycle 0: Prime (1 ...) until both slots are full, Reset, Run.
module espl_fetch #(
  parameter int Rows     = 16,
  parameter int Cols     = 16,
  parameter int BusBytes = 16,
  parameter int DwBanks  = 3,
  parameter int Fold     = 0,
  parameter int IdxAw    = 10,
  parameter int AccBanks = 2,
  parameter int Residual = 1,
  parameter int MaxPool  = 1,
  parameter int AvgPool  = 1,
  parameter int WBits    = 8,
  parameter int WInt4    = 0,
  parameter int WBook    = 0,
  parameter int DimBits  = 12,
  parameter int Kernel   = 16,
  parameter int InPlace  = 0,   // 1: a command stays the oldest one until its unit lets go of it (q_pop_i)
  parameter int CmdIdxW  = 24   // bits of a command's index that are kept: 24, or enough for every command that memory can hold
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  stop_i,
  input  logic [31:12]          prog_addr_i,
  input  logic [27:0]           prog_cmds_i,
  // queues of load, compute, store
  output logic [2:0]            q_push_o,
  output logic [127:0]          q_cmd_o,
  output logic [23:0]           q_idx_o,
  input  logic [2:0]            q_full_i,
  input  logic                  q_pop_i,     // InPlace: the unit that was given the command is done with it
  input  logic                  quiet_i,     // all queues empty and all units idle
  // memory
  output logic                  rq_valid_o,
  output logic [31:0]           rq_addr_o,
  output logic [6:0]            rq_beats_o,
  input  logic                  rq_gnt_i,
  input  logic                  rd_valid_i,
  input  logic [8*BusBytes-1:0] rd_data_i,
  input  logic                  rd_last_i,
  input  logic                  rd_err_i,
  output logic                  wq_valid_o,
  output logic [31:0]           wq_addr_o,
  output logic [6:0]            wq_beats_o,
  input  logic                  wq_gnt_i,
  input  logic                  wd_take_i,
  output logic [8*BusBytes-1:0] wd_data_o,
  output logic [BusBytes-1:0]   wd_strb_o,
  input  logic                  wr_rsp_i,
  input  logic                  wr_err_i,
  output logic                  mem_reset_o,
  // counters
  input  logic [511:0]          counters_i,
  output logic                  freeze_o,    // counters stand still for a record
  output logic                  clear_o,     // counters start again
  // end and errors
  output logic                  fin_o,
  output logic                  err_valid_o,
  output logic [7:0]            err_code_o,
  output logic [23:0]           err_idx_o
);

  typedef enum logic [2:0] {
    StIdle,
    StPrime,
    StRun,
    StTurn,
    StFin,
    StWait,
    StMark,
    StReset
  } state_e;

  state_e       state_q;
  localparam int PosW = (CmdIdxW < 24) ? CmdIdxW + 1 : 29;

  logic [PosW-1:0] pc_q, pc_next;  // position in the program, in commands
  logic [PosW-1:8] line_q;         // the next 4 KiB line, of the position while commands run
  logic [23:0]  idx;
  logic [CmdIdxW-1:0] idx_q;
  logic         freeze_q, err_valid_q;
  logic [7:0]   err_code_q;
  logic [23:0]  err_idx_q;
  logic         head_valid, head_err, pop, drained, full, prefetch, flush;
  logic [127:0] head, next;  // shown; what is shown in the next cycle if `load`
  logic [127:0] judged;      // the one that the decoder looks at
  logic         load;
  logic [7:0]   met;
  logic         active, past_end, is_bar, is_end, barrier;
  logic         ready, fine, refused;  // the command shown may be dispatched or refused in this cycle; the decoder accepts it; it is refused
  logic [2:0]   target;

  assign active   = (state_q == StRun) && !stop_i;
  assign pc_next  = pc_q + 1'b1;

  assign refused  = past_end || (ready && !fine);
  assign barrier  = active && ready && !refused && is_bar;
  assign q_push_o = (active && ready && !past_end && fine) ? target & ~q_full_i : 3'b000;
  assign q_cmd_o  = head;
  assign idx      = 24'(idx_q);
  assign q_idx_o  = idx;
  assign prefetch = active || (((state_q == StWait) || (state_q == StPrime)) && !stop_i);
  assign flush    = (state_q == StTurn) && drained && !is_end;
  assign fin_o    = state_q == StFin;

  assign mem_reset_o = state_q == StReset;
  assign freeze_o    = freeze_q;
  assign clear_o     = state_q == StReset;
  assign err_valid_o = err_valid_q;
  assign err_code_o  = err_code_q;
  assign err_idx_o   = err_idx_q;

  // The decoder's verdict: one for each kind of command, then the one of the command's. Kinds: CFG of units 0 and 1; of unit 2 (compute) index 0, 1 and
  // others; of unit 3 (store) index 1, 2 and others; opcodes 2..6.
  localparam int Kinds = 13;
  logic [Kinds-1:0] bad, mine;    // verdicts; the kind of the command that is judged
  logic [Kinds-1:0] field, unbuilt;  // verdicts in two parts: by the contract's field rules; by what this core is built with
  logic             end_here;
  logic [28:0]      limit;
  logic             big, big_q;   // the program has more commands than a position can count
  assign limit    = {1'b0, prog_cmds_i};
  assign big      = (limit >> PosW) != 29'd0;
  always_ff @(posedge clk_i) big_q <= big;
  assign end_here = pc_q >= limit[PosW-1:0] && !big_q;
  for (genvar k = 0; k < Kinds; k++) begin : gen_kind
    localparam logic [1:0] Unit = (k < 2) ? 2'(k) : (k < 5) ? 2'd2 : 2'd3;
    localparam logic [2:0] One  = (k == 2) ? 3'd0 : (k == 6) ? 3'd2 : 3'd1;          // the only index, of kinds that have one
    localparam bit         Any  = k < 2 || k == 4 || k == 7;
    logic [7:0] status;
    logic [2:0] index;
    logic       others;
    assign index  = judged[espl_pkg::CfgIndexLsb+:3];
    assign others = (k < 2) || (k == 4 && index > 3'd1) || (k == 7 && index != 3'd1 && index != 3'd2);
    espl_fetch_check #(
      .Rows    (Rows),
      .Cols    (Cols),
      .DwBanks (DwBanks),
      .Fold    (Fold),
      .IdxAw   (IdxAw),
      .AccBanks(AccBanks),
      .Residual(Residual),
      .MaxPool (MaxPool),
      .AvgPool (AvgPool),
      .WBits   (WBits),
      .WInt4   (WInt4),
      .WBook   (WBook),
      .DimBits (DimBits),
      .Kernel  (Kernel)
    ) u_check (
      .cmd_i   ((k >= 8) ? {judged[127:4], 4'(k - 6)} : {judged[127:11], Any ? index : One, judged[7:6], Unit, espl_pkg::OpCfg}),
      .status_o(status),
      .field_o (field[k]),
      .built_o (unbuilt[k])
    );
    assign bad[k]  = status != espl_pkg::StNone;
    assign mine[k] = (k >= 8) ? judged[3:0] == 4'(k - 6) : judged[3:0] == espl_pkg::OpCfg && judged[5:4] == Unit && (Any ? others : index == One);
  end
  if (InPlace != 0) begin : gen_checked
    // The verdicts in registers, then the command's: it stands still meanwhile.
    logic [Kinds-1:0] bad_q, unbuilt_q, mine_q;
    logic [7:0]       met_d, met_q;
    logic [2:0]       target_q;
    logic             seen_q, judged_q, end_q, pop_q, err_q, bar_q, fine_q, is_end_q;
    logic [2:0] unit;  // that the command goes to
    always_comb begin
      unit = 3'b000;
      case (judged[3:0])
        espl_pkg::OpLoad: unit = 3'b001;
        espl_pkg::OpCompute: unit = 3'b010;
        espl_pkg::OpStore: unit = 3'b100;
        espl_pkg::OpCfg: unit = {judged[5:4] == espl_pkg::UnitStore, judged[5:4] == espl_pkg::UnitCompute, judged[5:4] == espl_pkg::UnitLoad};
        default: unit = 3'b000;
      endcase
      met_d = (mine_q != '0) ? espl_pkg::StNone : espl_pkg::StBadOpcode;
      if ((mine_q & (bad_q | unbuilt_q)) != '0) met_d = espl_pkg::StBadField;
      if (err_q) met_d = espl_pkg::StBusRead;
    end
    always_ff @(posedge clk_i) begin
      bad_q  <= field;
      unbuilt_q <= unbuilt;
      mine_q <= mine;
      err_q  <= head_err;
      end_q  <= end_here && !rst_i;
      seen_q <= head_valid && !pop && !flush && !rst_i;
      pop_q  <= q_pop_i && !rst_i;
      judged_q <= seen_q && !pop && !flush && !rst_i;
      met_q    <= met_d;
      fine_q   <= met_d == espl_pkg::StNone;
      target_q <= unit;
      bar_q    <= head[3:0] == espl_pkg::OpEnd || head[3:0] == espl_pkg::OpMark;
      is_end_q <= head[3:0] == espl_pkg::OpEnd;
    end
    assign judged   = head;
    assign is_end   = is_end_q;
    assign ready    = judged_q && !pop_q;
    assign met      = met_q;
    assign fine     = fine_q;
    assign target   = target_q;
    assign is_bar   = bar_q;
    assign past_end = end_q;
    assign pop      = pop_q;
    logic unused_next;
    assign unused_next = &{1'b0, next, load, bad};
  end else begin : gen_ahead
    // The verdicts are there with the command: they are made while it comes out of memory.
    logic [Kinds-1:0] mine_q, good_q;
    logic             end_q;
    always_ff @(posedge clk_i) begin
      if (load) begin
        mine_q   <= mine;
        good_q   <= mine & ~bad;
      end
      end_q <= !rst_i && (pop ? pc_next >= limit[PosW-1:0] && !big_q : end_here);
    end
    assign judged   = next;
    assign is_end   = head[3:0] == espl_pkg::OpEnd;
    assign ready    = head_valid;
    assign fine     = !head_err && good_q != '0;
    assign target   = {(|good_q[7:5]) || good_q[10], (|good_q[4:2]) || good_q[9], good_q[1] || good_q[8]};
    assign is_bar   = good_q[11] || good_q[12];
    assign met      = head_err ? espl_pkg::StBusRead : (good_q != '0) ? espl_pkg::StNone : (mine_q != '0) ? espl_pkg::StBadField : espl_pkg::StBadOpcode;
    assign past_end = end_q;
    assign pop      = q_push_o != 3'b000;
    logic unused_parts;
    assign unused_parts = &{1'b0, field, unbuilt};
  end

  espl_fetch_buf #(
    .BusBytes(BusBytes),
    .Ahead   ((InPlace == 0) ? 1 : 0),
    .Parts   ((InPlace != 0 && Rows == 2) ? 1 : 0),
    .PosW    (PosW)
  ) u_buf (
    .clk_i      (clk_i),
    .rst_i      (rst_i),
    .run_i      (prefetch),
    .base_i     (prog_addr_i),
    .limit_i    (limit[PosW-1:0]),
    .big_i      (big),
    .flush_i    (flush),
    .seek_i     (state_q == StTurn),
    .seek_pos_i ({line_q, 4'd0}),
    .rq_valid_o (rq_valid_o),
    .rq_addr_o  (rq_addr_o),
    .rq_beats_o (rq_beats_o),
    .rq_gnt_i   (rq_gnt_i),
    .rd_valid_i (rd_valid_i),
    .rd_data_i  (rd_data_i),
    .rd_last_i  (rd_last_i),
    .rd_err_i   (rd_err_i),
    .valid_o    (head_valid),
    .cmd_o      (head),
    .next_o     (next),
    .load_o     (load),
    .err_o      (head_err),
    .pop_i      (pop),
    .drained_o  (drained),
    .full_o     (full)
  );

  espl_fetch_mark #(
    .BusBytes(BusBytes)
  ) u_mark (
    .clk_i     (clk_i),
    .rst_i     (rst_i),
    .take_i    (state_q == StTurn),
    .start_i   ((state_q == StWait) && full && quiet_i && !stop_i),
    .record_i  (head[espl_pkg::MarkRecordLsb+8+:24]),
    .counters_i(counters_i),
    .wq_valid_o(wq_valid_o),
    .wq_addr_o (wq_addr_o),
    .wq_beats_o(wq_beats_o),
    .wq_gnt_i  (wq_gnt_i),
    .wd_take_i (wd_take_i),
    .wd_data_o (wd_data_o),
    .wd_strb_o (wd_strb_o)
  );

  always_ff @(posedge clk_i) begin
    err_code_q <= (state_q == StMark) ? espl_pkg::StBusWrite : past_end ? espl_pkg::StTruncated : met;
    err_idx_q  <= idx;
    if (state_q == StRun) line_q <= pc_next[PosW-1:8] + (PosW - 8)'(pc_next[7:0] != 8'd0);
    if (rst_i) begin
      state_q     <= StPrime;
      pc_q        <= '0;
      idx_q       <= '0;
      freeze_q    <= 1'b0;
      err_valid_q <= 1'b0;
    end else begin
      err_valid_q <= (active && refused) || ((state_q == StMark) && wr_rsp_i && wr_err_i);
      if (pop && !(InPlace != 0 && stop_i)) begin  // in place the index of a failed run is that of the oldest command
        pc_q  <= pc_next;
        idx_q <= idx_q + 1'b1;
      end
      case (state_q)
        StPrime: if (full) state_q <= StReset;
        StRun: begin
          if (stop_i || refused) state_q <= StIdle;
          else if (barrier) state_q <= StTurn;
        end
        StTurn: begin
          if (stop_i) state_q <= StIdle;
          else if (drained && !is_end) state_q <= StWait;
          else if (drained && quiet_i) state_q <= StFin;
        end
        StWait: begin
          pc_q <= {line_q, 8'd0};
          if (stop_i) state_q <= StIdle;
          else if (full && quiet_i) begin
            state_q  <= StMark;
            freeze_q <= 1'b1;
          end
        end
        StMark: if (wr_rsp_i) begin
          state_q <= wr_err_i ? StIdle : StReset;
          if (!wr_err_i) idx_q <= idx_q + 1'b1;
        end
        StReset: begin
          state_q  <= StRun;
          freeze_q <= 1'b0;
        end
        default: state_q <= StIdle;
      endcase
    end
  end

  if (InPlace == 0) begin : gen_queued
    logic unused;
    assign unused = q_pop_i;
  end

endmodule
