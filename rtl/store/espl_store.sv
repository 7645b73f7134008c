// Store unit: drains accumulator banks, requantizes, adds the residual operand, pools and writes to memory. Wiring only.
// Timing of the whole: hw/spec/units.md, section Store. An operation issued in cycle i reads the accumulators with acc_re_o in i+1, meets its
// parameters and residual word at the lanes in i+3 and its word is written to the staging memory in i+Flush.
module espl_store #(
  parameter int Rows        = 16,
  parameter int Cols        = 16,
  parameter int BusBytes    = 16,
  parameter int ParAw       = 10,
  parameter int AccAw       = 10,
  parameter int AccW        = 32,
  parameter int RqLanes     = 16,
  parameter int RqCycles    = 1,
  parameter int MulStages   = 1,
  parameter int Residual    = 1,
  parameter int MaxPool     = 1,
  parameter int AvgPool     = 1,
  parameter int StageBursts = 4,
  parameter int ResBursts   = 4,
  parameter int Bursts      = 16,
  parameter int DimBits     = 12,
  parameter int InPlace     = 0,   // 1: one command at a time, at the head of the queue until it has retired
  // derived
  parameter int MinRc      = (Rows < Cols) ? Rows : Cols,
  parameter int GroupBytes = (MinRc < 16) ? MinRc : 16
) (
  input  logic                       clk_i,
  input  logic                       rst_i,
  input  logic                       q_valid_i,
  input  logic [127:0]               q_cmd_i,
  input  logic [23:0]                q_idx_i,
  output logic                       q_pop_o,
  input  logic                       stop_i,
  output logic                       idle_o,
  output logic                       blocked_o,
  output logic                       wait_valid_o,
  output logic [23:0]                wait_idx_o,
  output logic                       err_valid_o,
  output logic [7:0]                 err_code_o,
  output logic [23:0]                err_idx_o,
  input  logic                       tok_ls_avail_i,
  output logic                       tok_ls_pop_o,
  input  logic                       tok_cs_avail_i,
  output logic                       tok_cs_pop_o,
  input  logic                       tok_sl_room_i,
  output logic                       tok_sl_push_o,
  input  logic                       tok_sc_room_i,
  output logic                       tok_sc_push_o,
  input  logic [1:0]                 bank_full_i,
  input  logic [1:0]                 bank_done_i,
  output logic [1:0]                 bank_free_o,
  output logic                       acc_re_o,
  output logic                       acc_rbank_o,
  output logic [7:0]                 acc_rgroup_o,
  output logic [AccAw-1:0]           acc_raddr_o,
  input  logic [RqLanes*AccW-1:0]    acc_rdata_i,
  input  logic                       bw_we_i,
  input  logic [1:0]                 bw_sel_i,
  input  logic [7:0]                 bw_bank_i,
  input  logic [19:0]                bw_addr_i,
  input  logic [8*BusBytes-1:0]      bw_data_i,
  input  logic [BusBytes-1:0]        bw_strb_i,
  output logic                       rq_valid_o,
  output logic [31:0]                rq_addr_o,
  output logic [6:0]                 rq_beats_o,
  input  logic                       rq_gnt_i,
  input  logic                       rd_valid_i,
  input  logic [8*BusBytes-1:0]      rd_data_i,
  input  logic                       rd_last_i,
  input  logic                       rd_err_i,
  output logic                       wq_valid_o,
  output logic [31:0]                wq_addr_o,
  output logic [6:0]                 wq_beats_o,
  input  logic                       wq_gnt_i,
  input  logic                       wd_take_i,
  input  logic                       wd_last_i,     // the beat shown is the last of its burst (looked at with Bursts 1)
  output logic [8*BusBytes-1:0]      wd_data_o,
  output logic [BusBytes-1:0]        wd_strb_o,
  input  logic                       wr_rsp_i,
  input  logic                       wr_err_i
);
  localparam int RqLat = (RqCycles == 1) ? 4 + 2 * MulStages : 21;
  localparam int Flush = RqLat + 4;
  localparam int Ring  = (RqCycles == 1) ? 4 : 2;
  localparam int SubSh = $clog2(GroupBytes / RqLanes);
  localparam int SubW  = (SubSh > 0) ? SubSh : 1;
  localparam int RowAw = (ParAw > $clog2(RqLanes)) ? ParAw - $clog2(RqLanes) : 1;

  logic         cfg_we, take, follow, start, done, drained, flushed, quiet, rsp_last;
  logic         res_arm, res_drop, res_ok, res_busy, res_more, res_ready, res_free;
  logic [31:0]  out_group, res_group, burst_addr;
  logic [23:0]  out_row, res_row;
  logic [46:0]  quant;
  logic [71:0]  pool_cfg;
  logic [255:0] avg_table;
  logic         slot_free, burst_open, burst_close, burst_last;
  logic [7:0]   res_off;
  logic         op_valid, op_tapv, op_first, op_emit, op_res, op_last;
  logic [1:0]   op_kind;
  logic [SubW-1:0]  op_sub;
  logic [RowAw-1:0] op_prow, prow;
  logic [15:0]      op_mt;
  logic [80*RqLanes-1:0]   par;
  logic [8*GroupBytes-1:0] res_word, word;
  logic         word_we, word_last;

  if (InPlace != 0) begin : gen_one
    espl_store_one #(
      .Residual(Residual)
    ) u_ctrl (
      .clk_i(clk_i), .rst_i(rst_i),
      .q_valid_i(q_valid_i), .q_cmd_i(q_cmd_i), .q_idx_i(q_idx_i), .q_pop_o(q_pop_o),
      .stop_i(stop_i), .idle_o(idle_o), .blocked_o(blocked_o), .wait_valid_o(wait_valid_o), .wait_idx_o(wait_idx_o),
      .err_valid_o(err_valid_o), .err_code_o(err_code_o), .err_idx_o(err_idx_o),
      .tok_ls_avail_i(tok_ls_avail_i), .tok_ls_pop_o(tok_ls_pop_o), .tok_cs_avail_i(tok_cs_avail_i), .tok_cs_pop_o(tok_cs_pop_o),
      .tok_sl_room_i(tok_sl_room_i), .tok_sl_push_o(tok_sl_push_o), .tok_sc_room_i(tok_sc_room_i), .tok_sc_push_o(tok_sc_push_o),
      .bank_full_i(bank_full_i),
      .cfg_we_o(cfg_we), .take_o(take), .follow_o(follow), .start_o(start), .done_i(done), .drained_o(drained),
      .res_arm_o(res_arm), .res_drop_o(res_drop), .res_ok_o(res_ok), .res_busy_i(res_busy), .res_more_i(res_more),
      .res_err_i(Residual != 0 && rd_valid_i && rd_err_i),
      .wr_last_i(rsp_last), .wr_err_i(wr_rsp_i && wr_err_i), .quiet_i(quiet)
    );
    logic unused;
    assign unused = &{1'b0, flushed, bank_done_i};
  end else begin : gen_ring
    espl_store_ctrl #(
      .Residual(Residual),
      .Ring    (Ring)
    ) u_ctrl (
      .clk_i(clk_i), .rst_i(rst_i),
      .q_valid_i(q_valid_i), .q_cmd_i(q_cmd_i), .q_idx_i(q_idx_i), .q_pop_o(q_pop_o),
      .stop_i(stop_i), .idle_o(idle_o), .blocked_o(blocked_o), .wait_valid_o(wait_valid_o), .wait_idx_o(wait_idx_o),
      .err_valid_o(err_valid_o), .err_code_o(err_code_o), .err_idx_o(err_idx_o),
      .tok_ls_avail_i(tok_ls_avail_i), .tok_ls_pop_o(tok_ls_pop_o), .tok_cs_avail_i(tok_cs_avail_i), .tok_cs_pop_o(tok_cs_pop_o),
      .tok_sl_room_i(tok_sl_room_i), .tok_sl_push_o(tok_sl_push_o), .tok_sc_room_i(tok_sc_room_i), .tok_sc_push_o(tok_sc_push_o),
      .bank_full_i(bank_full_i), .bank_done_i(bank_done_i),
      .cfg_we_o(cfg_we), .take_o(take), .follow_o(follow), .start_o(start), .done_i(done), .flushed_i(flushed),
      .res_arm_o(res_arm), .res_drop_o(res_drop), .res_ok_o(res_ok), .res_busy_i(res_busy), .res_more_i(res_more),
      .res_err_i(Residual != 0 && rd_valid_i && rd_err_i),
      .wr_last_i(rsp_last), .wr_err_i(wr_rsp_i && wr_err_i), .quiet_i(quiet)
    );
    assign drained = 1'b0;
  end

  espl_store_cfg #(
    .Residual(Residual),
    .MaxPool (MaxPool),
    .AvgPool (AvgPool)
  ) u_cfg (
    .clk_i(clk_i), .rst_i(rst_i), .we_i(cfg_we), .word_i(q_cmd_i),
    .out_group_o(out_group), .out_row_o(out_row), .res_group_o(res_group), .res_row_o(res_row),
    .quant_o(quant), .pool_o(pool_cfg), .avg_o(avg_table)
  );

  espl_drain #(
    .GroupBytes(GroupBytes), .RqLanes(RqLanes), .RqCycles(RqCycles), .ParAw(ParAw), .AccAw(AccAw),
    .Residual(Residual), .MaxPool(MaxPool), .AvgPool(AvgPool), .DimBits(DimBits), .Groups(Cols / GroupBytes), .InPlace(InPlace), .AvgGap(RqLat + 1), .Flush(Flush)
  ) u_drain (
    .clk_i(clk_i), .rst_i(rst_i),
    .take_i(take), .follow_i(follow), .cmd_i(q_cmd_i), .start_i(start), .done_o(done), .flushed_o(flushed),
    .out_group_i(out_group), .out_row_i(out_row), .res_group_i(res_group[7:0]), .res_row_i(res_row[7:0]),
    .pool_cfg_i(pool_cfg), .pool_fixed_i(quant[espl_pkg::StoreQuantPoolFixedLsb-16]), .avg_table_i(avg_table),
    .slot_free_i(slot_free), .burst_open_o(burst_open), .burst_close_o(burst_close), .burst_last_o(burst_last),
    .burst_addr_o(burst_addr), .res_ready_i(res_ready), .res_free_o(res_free), .res_off_o(res_off),
    .acc_re_o(acc_re_o), .acc_rbank_o(acc_rbank_o), .acc_rgroup_o(acc_rgroup_o), .acc_raddr_o(acc_raddr_o),
    .bank_free_o(bank_free_o),
    .op_valid_o(op_valid), .op_tapv_o(op_tapv), .op_first_o(op_first), .op_emit_o(op_emit), .op_res_o(op_res),
    .op_kind_o(op_kind), .op_last_o(op_last), .op_sub_o(op_sub), .op_prow_o(op_prow), .op_mt_o(op_mt)
  );

  // A pipelined lane meets the parameters in a register behind their memory, a serial one at the memory.
  logic [80*RqLanes-1:0] par_d;
  espl_hold #(
    .Width  (RowAw),
    .Through((RqCycles == 1) ? 1 : 0)
  ) u_prow (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i(op_prow),
    .data_o(prow)
  );
  espl_hold #(
    .Width  (80 * RqLanes),
    .Through((RqCycles == 1) ? 0 : 1)
  ) u_par (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i(par_d),
    .data_o(par)
  );
  espl_parbuf #(
    .ParAw   (ParAw),
    .BusBytes(BusBytes),
    .RqLanes (RqLanes)
  ) u_parbuf (
    .clk_i(clk_i), .we_i(bw_we_i && bw_sel_i == 2'd3), .waddr_i(bw_addr_i[ParAw+3:0]), .wdata_i(bw_data_i), .wstrb_i(bw_strb_i),
    .raddr_i(prow), .rdata_o(par_d)
  );

  if (Residual != 0) begin : gen_res
    espl_residual #(
      .GroupBytes(GroupBytes),
      .BusBytes  (BusBytes),
      .ResBursts (ResBursts)
    ) u_residual (
      .clk_i(clk_i), .rst_i(rst_i),
      .take_i((InPlace != 0) ? take : follow), .arm_i(res_arm), .drop_i(res_drop), .ok_i(res_ok), .cmd_i(q_cmd_i),
      .res_group_i(res_group), .res_row_i(res_row), .busy_o(res_busy), .more_o(res_more),
      .rq_valid_o(rq_valid_o), .rq_addr_o(rq_addr_o), .rq_beats_o(rq_beats_o), .rq_gnt_i(rq_gnt_i),
      .rd_valid_i(rd_valid_i), .rd_data_i(rd_data_i), .rd_last_i(rd_last_i),
      .ready_o(res_ready), .off_i(res_off), .free_i(res_free), .word_o(res_word)
    );
  end else begin : gen_no_res
    assign res_busy   = 1'b0;
    assign res_more   = 1'b0;
    assign rq_valid_o = 1'b0;
    assign rq_addr_o  = 32'd0;
    assign rq_beats_o = 7'd0;
    assign res_ready  = 1'b1;
    assign res_word   = '0;
    logic unused;
    assign unused = &{1'b0, take, res_arm, res_drop, res_ok, res_off, res_free, rq_gnt_i, rd_valid_i, rd_data_i, rd_last_i, rd_err_i};
  end

  espl_lanes #(
    .GroupBytes(GroupBytes), .RqLanes(RqLanes), .RqCycles(RqCycles), .MulStages(MulStages), .RqLat(RqLat), .AccW(AccW),
    .Residual(Residual), .MaxPool(MaxPool), .AvgPool(AvgPool)
  ) u_lanes (
    .clk_i(clk_i), .rst_i(rst_i),
    .op_valid_i(op_valid), .op_tapv_i(op_tapv), .op_first_i(op_first), .op_emit_i(op_emit), .op_res_i(op_res),
    .op_kind_i(op_kind), .op_last_i(op_last), .op_sub_i(op_sub), .op_mt_i(op_mt), .quant_i(quant),
    .acc_i(acc_rdata_i), .par_i(par), .res_i(res_word),
    .word_we_o(word_we), .word_o(word), .word_last_o(word_last)
  );

  espl_stage #(
    .GroupBytes (GroupBytes),
    .BusBytes   (BusBytes),
    .StageBursts(StageBursts),
    .InPlace    (InPlace),
    .Bursts     (Bursts)
  ) u_stage (
    .clk_i(clk_i), .rst_i(rst_i),
    .slot_free_o(slot_free), .open_i(burst_open), .close_i(burst_close), .close_last_i(burst_last), .all_open_i(drained), .addr_i(burst_addr),
    .we_i(word_we), .word_i(word), .word_last_i(word_last),
    .wq_valid_o(wq_valid_o), .wq_addr_o(wq_addr_o), .wq_beats_o(wq_beats_o), .wq_gnt_i(wq_gnt_i),
    .wd_take_i(wd_take_i), .wd_last_i(wd_last_i), .wd_data_o(wd_data_o), .wd_strb_o(wd_strb_o),
    .wr_rsp_i(wr_rsp_i), .rsp_last_o(rsp_last), .quiet_o(quiet)
  );

  // The parameter buffer has one bank and at most 2^ParAw entries.
  logic unused_bw;
  assign unused_bw = &{1'b0, bw_bank_i, bw_addr_i, res_group, res_row};

endmodule
