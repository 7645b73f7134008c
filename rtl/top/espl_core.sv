// The accelerator core: wires between its units, nothing else.
// Timing: reg_* writes act at the end of their cycle, reads are combinational. Requests are shown combinationally from registered requests of
// the units; the memory answers by the rules of hw/spec/memory.md. The units' control state is held in reset while no program runs (a register:
// reset reaches the units one cycle after rst_i).
// CmdIdxW is no part of a machine point: a build for a small memory may keep fewer bits of the command index (never fewer than count the commands
// that fit in memory), and nothing that can be observed changes.
module espl_core #(
  parameter int          Rows        = 16,
  parameter int          Cols        = 16,
  parameter int          BusBytes    = 16,
  parameter int          ActAw       = 16,
  parameter int          DwBanks     = 3,
  parameter int          Fold        = 0,
  parameter int          WgtAw       = 16,
  parameter int          IdxAw       = 10,
  parameter int          ParAw       = 10,
  parameter int          AccAw       = 10,
  parameter int          AccBanks    = 2,
  parameter int          AccW        = 32,
  parameter int          WBits       = 8,
  parameter int          WInt4       = 0,
  parameter int          WBook       = 0,
  parameter int          MulStages   = 1,
  parameter int          RqLanes     = 16,
  parameter int          RqCycles    = 1,
  parameter int          Residual    = 1,
  parameter int          MaxPool     = 1,
  parameter int          AvgPool     = 1,
  parameter int          QueueDepth  = 4,
  parameter int          TokenMax    = 15,
  parameter int          StageBursts = 4,
  parameter int          ResBursts   = 4,
  parameter int          Bursts      = 16,
  parameter int          Counters    = 16,
  parameter int          DimBits     = 12,
  parameter int          Kernel      = 16,
  parameter logic [31:0] ConfigHash  = 32'd0,
  parameter int          CmdIdxW     = 24,
  parameter int          AddrEarly   = 0   // 1: the host shows the address of a register's write in the cycle before it too
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  reg_we_i,
  input  logic [7:0]            reg_addr_i,
  input  logic [31:0]           reg_wdata_i,
  output logic [31:0]           reg_rdata_o,
  output logic                  irq_o,
  output logic                  mem_rd_req_valid_o,
  input  logic                  mem_rd_req_ready_i,
  output logic [31:0]           mem_rd_req_addr_o,
  output logic [6:0]            mem_rd_req_beats_o,
  input  logic                  mem_rd_valid_i,
  input  logic [8*BusBytes-1:0] mem_rd_data_i,
  input  logic                  mem_rd_last_i,
  input  logic                  mem_rd_err_i,
  output logic                  mem_wr_req_valid_o,
  input  logic                  mem_wr_req_ready_i,
  output logic [31:0]           mem_wr_req_addr_o,
  output logic [6:0]            mem_wr_req_beats_o,
  input  logic                  mem_wr_take_i,
  output logic [8*BusBytes-1:0] mem_wr_data_o,
  output logic [BusBytes-1:0]   mem_wr_strb_o,
  output logic                  mem_wr_last_o,
  input  logic                  mem_wr_rsp_valid_i,
  input  logic                  mem_wr_rsp_err_i,
  output logic                  mem_reset_o
);

  localparam int InPlace = (QueueDepth == 0) ? 1 : 0;

  // Bytes of the largest buffer.
  localparam int IdxBytesAw = (IdxAw > 0) ? IdxAw + 2 : 0;
  localparam int ActWgtAw   = (ActAw > WgtAw) ? ActAw : WgtAw;
  localparam int IdxParAw   = (IdxBytesAw > ParAw + 4) ? IdxBytesAw : ParAw + 4;
  localparam int BufAw      = (ActWgtAw > IdxParAw) ? ActWgtAw : IdxParAw;

  // run control
  logic         running, unit_rst, stop, go, fin_ok, fin_err, freeze, clear, quiet, port_busy;
  logic [31:12] prog_addr;
  logic [27:0]  prog_cmds;
  logic [4:0]   outstanding;
  logic [511:0] counters;
  logic [2:0]   bus_wait;
  logic [7:0]   watch_code;
  logic [23:0]  watch_idx;

  // queues; bit 0 load, 1 compute, 2 store everywhere
  logic [2:0]   q_push, q_full, q_valid, q_pop, idle, blocked, wait_valid;
  logic [127:0] q_in_cmd;
  logic [23:0]  q_in_idx;
  logic [383:0] q_cmd;
  logic [71:0]  q_idx, wait_idx;

  // errors: fetch, load, store
  logic [2:0]   err_valid;
  logic [23:0]  err_code;
  logic [71:0]  err_idx;

  // tokens
  logic [5:0]   tok_push, tok_pop, tok_avail, tok_room;
  logic [4:0]   credit_push;
  logic         credit_pop, credit_avail;
  logic [1:0]   bank_full, bank_done, bank_free;

  // port: read requesters fetch, load, residual; write requesters store, mark
  logic [2:0]   rq_valid, rq_gnt, rd_valid;
  logic [95:0]  rq_addr;
  logic [20:0]  rq_beats;
  logic [1:0]   wq_valid, wq_gnt, wd_take, wr_rsp;
  logic [63:0]  wq_addr;
  logic [13:0]  wq_beats;
  logic [16*BusBytes-1:0] wd_data;
  logic [2*BusBytes-1:0]  wd_strb;

  // buffers and accumulators
  logic                  bw_we;
  logic [1:0]            bw_sel;
  logic [7:0]            bw_bank;
  logic [19:0]           bw_addr;
  logic [8*BusBytes-1:0] bw_data;
  logic [BusBytes-1:0]   bw_strb;
  logic                  acc_re, acc_rbank;
  logic [7:0]            acc_rgroup;
  logic [AccAw-1:0]      acc_raddr;
  logic [RqLanes*AccW-1:0] acc_rdata;

  // what compute counts
  logic [2:0]  cnt_cause;
  logic        cnt_cmd;
  logic [31:0] cnt_macs, cnt_macs_dense;
  logic [15:0] cnt_tiles, cnt_skipped;

  logic quiet_d;
  assign quiet_d = (&idle) && (q_valid == 3'b000) && (err_valid == 3'b000);
  if (QueueDepth == 0) begin : gen_quiet_late
    // Only a barrier asks, and nothing is handed out while it waits.
    always_ff @(posedge clk_i) quiet <= quiet_d && !unit_rst;
  end else begin : gen_quiet
    assign quiet = quiet_d;
  end

  espl_regs #(
    .Bursts    (Bursts),
    .AddrEarly (AddrEarly),
    .ConfigHash(ConfigHash)
  ) u_regs (
    .clk_i        (clk_i),
    .rst_i        (rst_i),
    .reg_we_i     (reg_we_i),
    .reg_addr_i   (reg_addr_i),
    .reg_wdata_i  (reg_wdata_i),
    .reg_rdata_o  (reg_rdata_o),
    .irq_o        (irq_o),
    .running_o    (running),
    .unit_rst_o   (unit_rst),
    .fin_ok_i     (fin_ok),
    .fin_err_i    (fin_err),
    .err_code_i   (watch_code),
    .err_idx_i    (watch_idx),
    .prog_addr_o  (prog_addr),
    .prog_cmds_o  (prog_cmds),
    .outstanding_o(outstanding),
    .counters_i   (counters)
  );

  espl_counters #(
    .BusBytes(BusBytes),
    .Counters(Counters)
  ) u_counters (
    .clk_i       (clk_i),
    .rst_i       (rst_i),
    .clear_i     (clear),
    .en_i        (running && !freeze),
    .cause_i     (cnt_cause),
    .cmd_i       (cnt_cmd),
    .macs_i      (cnt_macs),
    .macs_dense_i(cnt_macs_dense),
    .tiles_i     (cnt_tiles),
    .skipped_i   (cnt_skipped),
    .rd_beat_i   (mem_rd_valid_i),
    .wr_beat_i   (mem_wr_take_i),
    .bus_wait_i  (bus_wait),
    .counters_o  (counters)
  );

  espl_fetch #(
    .Rows    (Rows),
    .Cols    (Cols),
    .BusBytes(BusBytes),
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
    .Kernel  (Kernel),
    .InPlace (InPlace),
    .CmdIdxW (CmdIdxW)
  ) u_fetch (
    .clk_i      (clk_i),
    .rst_i      (unit_rst),
    .stop_i     (stop),
    .prog_addr_i(prog_addr),
    .prog_cmds_i(prog_cmds),
    .q_push_o   (q_push),
    .q_cmd_o    (q_in_cmd),
    .q_idx_o    (q_in_idx),
    .q_full_i   (q_full),
    .q_pop_i    (|q_pop),
    .quiet_i    (quiet),
    .rq_valid_o (rq_valid[0]),
    .rq_addr_o  (rq_addr[31:0]),
    .rq_beats_o (rq_beats[6:0]),
    .rq_gnt_i   (rq_gnt[0]),
    .rd_valid_i (rd_valid[0]),
    .rd_data_i  (mem_rd_data_i),
    .rd_last_i  (mem_rd_last_i),
    .rd_err_i   (mem_rd_err_i),
    .wq_valid_o (wq_valid[1]),
    .wq_addr_o  (wq_addr[63:32]),
    .wq_beats_o (wq_beats[13:7]),
    .wq_gnt_i   (wq_gnt[1]),
    .wd_take_i  (wd_take[1]),
    .wd_data_o  (wd_data[16*BusBytes-1:8*BusBytes]),
    .wd_strb_o  (wd_strb[2*BusBytes-1:BusBytes]),
    .wr_rsp_i   (wr_rsp[1]),
    .wr_err_i   (mem_wr_rsp_err_i),
    .mem_reset_o(mem_reset_o),
    .counters_i (counters),
    .freeze_o   (freeze),
    .clear_o    (clear),
    .fin_o      (fin_ok),
    .err_valid_o(err_valid[0]),
    .err_code_o (err_code[7:0]),
    .err_idx_o  (err_idx[23:0])
  );

  espl_watch #(
    .InPlace(InPlace)
  ) u_watch (
    .clk_i       (clk_i),
    .rst_i       (unit_rst),
    .running_i   (running),
    .port_busy_i (port_busy),
    .idle_i      (idle),
    .blocked_i   (blocked),
    .wait_valid_i(wait_valid),
    .wait_idx_i  (wait_idx),
    .head_valid_i(q_valid),
    .head_idx_i  (q_idx),
    .err_valid_i (err_valid),
    .err_code_i  (err_code),
    .err_idx_i   (err_idx),
    .now_idx_i   (q_in_idx),
    .stop_o      (stop),
    .go_o        (go),
    .fin_o       (fin_err),
    .err_code_o  (watch_code),
    .err_idx_o   (watch_idx)
  );

  if (QueueDepth == 0) begin : gen_place
    // The oldest prefetched command is the head of every unit; at most one unit is offered it. Its flags come from registers: it stands still for
    // more than a cycle before it is offered.
    logic [2:0]  offer_q;
    logic [15:0] flags_q;
    always_ff @(posedge clk_i) begin
      flags_q <= q_in_cmd[15:0];
      offer_q <= unit_rst ? 3'b000 : q_push | (offer_q & ~q_pop);  // (only the unit that has it lets go of it)
    end
    assign q_full  = {3{offer_q != 3'b000}};
    assign q_valid = offer_q;
    assign q_cmd   = {3{q_in_cmd[127:16], flags_q}};
    assign q_idx   = {3{q_in_idx}};
  end else begin : gen_queues
    for (genvar u = 0; u < 3; u++) begin : gen_queue
      espl_fifo #(
        .Width(152),
        .Depth(QueueDepth),
        .Front(1)
      ) u_queue (
        .clk_i  (clk_i),
        .rst_i  (unit_rst),
        .push_i (q_push[u]),
        .data_i ({q_in_idx, q_in_cmd}),
        .full_o (q_full[u]),
        .pop_i  (q_pop[u]),
        .valid_o(q_valid[u]),
        .data_o ({q_idx[24*u+:24], q_cmd[128*u+:128]})
      );
    end
  end

  espl_tokens #(
    .TokenMax(TokenMax)
  ) u_tokens (
    .clk_i         (clk_i),
    .rst_i         (unit_rst),
    .push_i        (tok_push),
    .pop_i         (tok_pop),
    .avail_o       (tok_avail),
    .room_o        (tok_room),
    .credit_push_i (credit_push),
    .credit_pop_i  (credit_pop),
    .credit_avail_o(credit_avail)
  );

  espl_port #(
    .BusBytes(BusBytes),
    .Bursts  (Bursts)
  ) u_port (
    .clk_i             (clk_i),
    .rst_i             (unit_rst),
    .outstanding_i     (outstanding),
    .rd_rq_valid_i     (rq_valid),
    .rd_rq_addr_i      (rq_addr),
    .rd_rq_beats_i     (rq_beats),
    .rd_rq_gnt_o       (rq_gnt),
    .rd_valid_o        (rd_valid),
    .wr_rq_valid_i     (wq_valid),
    .wr_rq_addr_i      (wq_addr),
    .wr_rq_beats_i     (wq_beats),
    .wr_rq_gnt_o       (wq_gnt),
    .wd_take_o         (wd_take),
    .wd_data_i         (wd_data),
    .wd_strb_i         (wd_strb),
    .wr_rsp_o          (wr_rsp),
    .mem_rd_req_valid_o(mem_rd_req_valid_o),
    .mem_rd_req_ready_i(mem_rd_req_ready_i),
    .mem_rd_req_addr_o (mem_rd_req_addr_o),
    .mem_rd_req_beats_o(mem_rd_req_beats_o),
    .mem_rd_valid_i    (mem_rd_valid_i),
    .mem_rd_last_i     (mem_rd_last_i),
    .mem_wr_req_valid_o(mem_wr_req_valid_o),
    .mem_wr_req_ready_i(mem_wr_req_ready_i),
    .mem_wr_req_addr_o (mem_wr_req_addr_o),
    .mem_wr_req_beats_o(mem_wr_req_beats_o),
    .mem_wr_take_i     (mem_wr_take_i),
    .mem_wr_data_o     (mem_wr_data_o),
    .mem_wr_strb_o     (mem_wr_strb_o),
    .mem_wr_last_o     (mem_wr_last_o),
    .mem_wr_rsp_valid_i(mem_wr_rsp_valid_i),
    .busy_o            (port_busy),
    .wait_o            (bus_wait)
  );

  espl_load #(
    .Rows    (Rows),
    .Cols    (Cols),
    .BusBytes(BusBytes),
    .WBits   (WBits),
    .WInt4   (WInt4),
    .WBook   (WBook),
    .Bursts  (Bursts),
    .DimBits (DimBits),
    .Flight  ((InPlace != 0) ? 1 : 4),
    .BufAw   (BufAw)
  ) u_load (
    .clk_i         (clk_i),
    .rst_i         (unit_rst),
    .q_valid_i     (q_valid[0]),
    .q_cmd_i       (q_cmd[127:0]),
    .q_idx_i       (q_idx[23:0]),
    .q_pop_o       (q_pop[0]),
    .stop_i        (stop),
    .idle_o        (idle[0]),
    .blocked_o     (blocked[0]),
    .wait_valid_o  (wait_valid[0]),
    .wait_idx_o    (wait_idx[23:0]),
    .err_valid_o   (err_valid[1]),
    .err_code_o    (err_code[15:8]),
    .err_idx_o     (err_idx[47:24]),
    .tok_cl_avail_i(tok_avail[1]),
    .tok_cl_pop_o  (tok_pop[1]),
    .tok_sl_avail_i(tok_avail[3]),
    .tok_sl_pop_o  (tok_pop[3]),
    .tok_lc_room_i (tok_room[0]),
    .tok_lc_push_o (tok_push[0]),
    .tok_ls_room_i (tok_room[2]),
    .tok_ls_push_o (tok_push[2]),
    .credit_push_o (credit_push),
    .rq_valid_o    (rq_valid[1]),
    .rq_addr_o     (rq_addr[63:32]),
    .rq_beats_o    (rq_beats[13:7]),
    .rq_gnt_i      (rq_gnt[1]),
    .rd_valid_i    (rd_valid[1]),
    .rd_data_i     (mem_rd_data_i),
    .rd_last_i     (mem_rd_last_i),
    .rd_err_i      (mem_rd_err_i),
    .bw_we_o       (bw_we),
    .bw_sel_o      (bw_sel),
    .bw_bank_o     (bw_bank),
    .bw_addr_o     (bw_addr),
    .bw_data_o     (bw_data),
    .bw_strb_o     (bw_strb)
  );

  espl_compute #(
    .Rows     (Rows),
    .Cols     (Cols),
    .BusBytes (BusBytes),
    .ActAw    (ActAw),
    .DwBanks  (DwBanks),
    .Fold     (Fold),
    .WgtAw    (WgtAw),
    .IdxAw    (IdxAw),
    .AccAw    (AccAw),
    .AccBanks (AccBanks),
    .AccW     (AccW),
    .WBits    (WBits),
    .WInt4    (WInt4),
    .WBook    (WBook),
    .MulStages(MulStages),
    .DimBits  (DimBits),
    .Kernel   (Kernel),
    .AccRead  (RqLanes),
    .InPlace  (InPlace)
  ) u_compute (
    .clk_i           (clk_i),
    .rst_i           (unit_rst),
    .q_valid_i       (q_valid[1]),
    .q_cmd_i         (q_cmd[255:128]),
    .q_idx_i         (q_idx[47:24]),
    .q_pop_o         (q_pop[1]),
    .stop_i          (!go),
    .idle_o          (idle[1]),
    .blocked_o       (blocked[1]),
    .wait_valid_o    (wait_valid[1]),
    .wait_idx_o      (wait_idx[47:24]),
    .tok_lc_avail_i  (tok_avail[0]),
    .tok_lc_pop_o    (tok_pop[0]),
    .tok_sc_avail_i  (tok_avail[5]),
    .tok_sc_pop_o    (tok_pop[5]),
    .tok_cl_room_i   (tok_room[1]),
    .tok_cl_push_o   (tok_push[1]),
    .tok_cs_room_i   (tok_room[4]),
    .tok_cs_push_o   (tok_push[4]),
    .credit_avail_i  (credit_avail),
    .credit_pop_o    (credit_pop),
    .bank_full_o     (bank_full),
    .bank_done_o     (bank_done),
    .bank_free_i     (bank_free),
    .bw_we_i         (bw_we),
    .bw_sel_i        (bw_sel),
    .bw_bank_i       (bw_bank),
    .bw_addr_i       (bw_addr),
    .bw_data_i       (bw_data),
    .bw_strb_i       (bw_strb),
    .acc_re_i        (acc_re),
    .acc_rbank_i     (acc_rbank),
    .acc_rgroup_i    (acc_rgroup),
    .acc_raddr_i     (acc_raddr),
    .acc_rdata_o     (acc_rdata),
    .cnt_cause_o     (cnt_cause),
    .cnt_cmd_o       (cnt_cmd),
    .cnt_macs_o      (cnt_macs),
    .cnt_macs_dense_o(cnt_macs_dense),
    .cnt_tiles_o     (cnt_tiles),
    .cnt_skipped_o   (cnt_skipped)
  );

  espl_store #(
    .Rows       (Rows),
    .Cols       (Cols),
    .BusBytes   (BusBytes),
    .ParAw      (ParAw),
    .AccAw      (AccAw),
    .AccW       (AccW),
    .RqLanes    (RqLanes),
    .RqCycles   (RqCycles),
    .MulStages  (MulStages),
    .Residual   (Residual),
    .MaxPool    (MaxPool),
    .AvgPool    (AvgPool),
    .StageBursts(StageBursts),
    .ResBursts  (ResBursts),
    .Bursts     (Bursts),
    .DimBits    (DimBits),
    .InPlace    (InPlace)
  ) u_store (
    .clk_i         (clk_i),
    .rst_i         (unit_rst),
    .q_valid_i     (q_valid[2]),
    .q_cmd_i       (q_cmd[383:256]),
    .q_idx_i       (q_idx[71:48]),
    .q_pop_o       (q_pop[2]),
    .stop_i        (stop),
    .idle_o        (idle[2]),
    .blocked_o     (blocked[2]),
    .wait_valid_o  (wait_valid[2]),
    .wait_idx_o    (wait_idx[71:48]),
    .err_valid_o   (err_valid[2]),
    .err_code_o    (err_code[23:16]),
    .err_idx_o     (err_idx[71:48]),
    .tok_ls_avail_i(tok_avail[2]),
    .tok_ls_pop_o  (tok_pop[2]),
    .tok_cs_avail_i(tok_avail[4]),
    .tok_cs_pop_o  (tok_pop[4]),
    .tok_sl_room_i (tok_room[3]),
    .tok_sl_push_o (tok_push[3]),
    .tok_sc_room_i (tok_room[5]),
    .tok_sc_push_o (tok_push[5]),
    .bank_full_i   (bank_full),
    .bank_done_i   (bank_done),
    .bank_free_o   (bank_free),
    .acc_re_o      (acc_re),
    .acc_rbank_o   (acc_rbank),
    .acc_rgroup_o  (acc_rgroup),
    .acc_raddr_o   (acc_raddr),
    .acc_rdata_i   (acc_rdata),
    .bw_we_i       (bw_we),
    .bw_sel_i      (bw_sel),
    .bw_bank_i     (bw_bank),
    .bw_addr_i     (bw_addr),
    .bw_data_i     (bw_data),
    .bw_strb_i     (bw_strb),
    .rq_valid_o    (rq_valid[2]),
    .rq_addr_o     (rq_addr[95:64]),
    .rq_beats_o    (rq_beats[20:14]),
    .rq_gnt_i      (rq_gnt[2]),
    .rd_valid_i    (rd_valid[2]),
    .rd_data_i     (mem_rd_data_i),
    .rd_last_i     (mem_rd_last_i),
    .rd_err_i      (mem_rd_err_i),
    .wq_valid_o    (wq_valid[0]),
    .wq_addr_o     (wq_addr[31:0]),
    .wq_beats_o    (wq_beats[6:0]),
    .wq_gnt_i      (wq_gnt[0]),
    .wd_take_i     (wd_take[0]),
    .wd_last_i     (mem_wr_last_o),
    .wd_data_o     (wd_data[8*BusBytes-1:0]),
    .wd_strb_o     (wd_strb[BusBytes-1:0]),
    .wr_rsp_i      (wr_rsp[0]),
    .wr_err_i      (mem_wr_rsp_err_i)
  );

endmodule
