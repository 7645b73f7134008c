// Compute unit: command front, weight and pass sequencer, activation, weight and index buffers, array, accumulators, banks.
// Interfaces and timing: hw/spec/units.md ("Compute"). bw_* writes go to the buffers one cycle after load's beat; the
// store unit's read gives acc_rdata_o two cycles after acc_re_i. cnt_cause_o is a function of registers.
module espl_compute #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int BusBytes = 4,
  parameter int ActAw = 10,
  parameter int DwBanks = 0,
  parameter int Fold = 0,
  parameter int WgtAw = 10,
  parameter int IdxAw = 0,
  parameter int AccAw = 6,
  parameter int AccBanks = 2,
  parameter int AccW = 32,
  parameter int WBits = 8,
  parameter int WInt4 = 0,
  parameter int WBook = 0,
  parameter int MulStages = 1,
  parameter int DimBits = 12,
  parameter int Kernel = 16,
  parameter int InPlace = 0,   // 1: the head of the queue stands still until its command has retired, one command at a time
  parameter int AccRead = (Rows < Cols ? Rows : Cols) < 16 ? (Rows < Cols ? Rows : Cols) : 16,  // columns the store unit reads at once
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Group = (MinRc < 16) ? MinRc : 16
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  q_valid_i,
  input  logic [127:0]          q_cmd_i,
  input  logic [23:0]           q_idx_i,
  output logic                  q_pop_o,
  input  logic                  stop_i,
  output logic                  idle_o,
  output logic                  blocked_o,
  output logic                  wait_valid_o,
  output logic [23:0]           wait_idx_o,
  input  logic                  tok_lc_avail_i,
  output logic                  tok_lc_pop_o,
  input  logic                  tok_sc_avail_i,
  output logic                  tok_sc_pop_o,
  input  logic                  tok_cl_room_i,
  output logic                  tok_cl_push_o,
  input  logic                  tok_cs_room_i,
  output logic                  tok_cs_push_o,
  input  logic                  credit_avail_i,
  output logic                  credit_pop_o,
  output logic [1:0]            bank_full_o, // can be drained in order
  output logic [1:0]            bank_done_o, // and in any order
  input  logic [1:0]            bank_free_i,
  input  logic                  bw_we_i,
  input  logic [1:0]            bw_sel_i,
  input  logic [7:0]            bw_bank_i,
  input  logic [19:0]           bw_addr_i,
  input  logic [8*BusBytes-1:0] bw_data_i,
  input  logic [BusBytes-1:0]   bw_strb_i,
  input  logic                  acc_re_i,
  input  logic                  acc_rbank_i,
  input  logic [7:0]            acc_rgroup_i,
  input  logic [AccAw-1:0]      acc_raddr_i,
  output logic [AccRead*AccW-1:0] acc_rdata_o,
  output logic [2:0]            cnt_cause_o,
  output logic                  cnt_cmd_o,
  output logic [31:0]           cnt_macs_o,
  output logic [31:0]           cnt_macs_dense_o,
  output logic [15:0]           cnt_tiles_o,
  output logic [15:0]           cnt_skipped_o
);

  localparam int GroupSh = $clog2(Group);
  localparam int AccLate = (InPlace == 0 && Rows >= 4) ? 1 : 0;  // accumulators have a register of their own in front of the sum
  localparam int PixAw = (ActAw - GroupSh < 16) ? ActAw - GroupSh : 16;
  localparam int UnitBytes = (WBook > 0) ? ((Cols > 8) ? Cols / 8 : 1) : (WInt4 > 0) ? Cols / 2 : Cols * WBits / 8;
  localparam int RowAw = WgtAw - $clog2(UnitBytes);
  localparam int RowSh = $clog2(Rows);
  localparam int IdxAddrW = (IdxAw > 0) ? IdxAw : 1;
  localparam int Streams = (DwBanks > 0) ? DwBanks : 1;
  localparam int Lanes = (Fold > 0) ? Rows / 4 : 1;
  localparam int LaneW = (Lanes > 1) ? $clog2(Lanes) : 1;
  localparam int WinW = (Rows > Cols) ? $clog2(Rows / Cols) : 1;

  // A tap names rows from the lowest offset to the last row of the widest kernel and the furthest output; index entries name any kernel row.
  localparam int PosMax = ((DwBanks > 0) ? 15 : Kernel - 1) * 15 + ((1 << DimBits) - 1) * 7 + (1 << (DimBits - 1));
  localparam int PosW = (IdxAw > 0) ? 17 : $clog2(PosMax + 1) + 1;

  logic [DimBits-1:0] in_h, in_w, row_words;
  logic [15:0] plane_words;
  logic [2:0] sy, sx;
  logic [3:0] dy, dx;
  logic [7:0] zi;
  logic [1:0] dw_rows;
  logic [3:0] dw_cols;
  logic fold;
  logic [Kernel-1:0] ky_mask, kx_mask;
  logic hand, popped, head_wait_load, head_wait_store, head_wait_bank, front_act, walk_valid, wait_credit;
  logic [23:0] walk_idx;
  logic walk_act, start, tile_wait, tile_rdy, tile_first, tile_end, tile_bank, tile_release, tile_push_load,
    tile_push_store;
  logic [23:0] tile_idx;
  logic [DimBits-1:0] tile_out_h, tile_out_w;
  logic [PosW-1:0] tile_iy, tile_ix;
  logic [15:0] tile_addr, tile_row_step, tile_dw_step;
  logic tile_dw;
  logic [7:0] tile_dw_bank;
  logic [14:0] tile_dw_len;
  logic run, hold, slot_valid, slot_wait, retired, head;
  logic [23:0] slot_idx;

  // Accumulator banks: taken from a `first` command until store frees, full from the release until then.
  logic [1:0] taken_q, full_q, take, release_bank, early, moving;
  logic head_bank, bank_take, bank_release, slot_bank;
  assign head_bank = AccBanks == 2 && q_cmd_i[espl_pkg::ComputeBankLsb];
  assign take = {bank_take && head_bank, bank_take && !head_bank};
  assign release_bank = {bank_release && slot_bank, bank_release && !slot_bank};
  assign bank_full_o = (InPlace != 0) ? full_q : full_q & ~bank_free_i;  // (in place store looks again long after it has freed a bank)
  assign bank_done_o = bank_full_o & ~moving;
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      taken_q <= 2'b00;
      full_q  <= 2'b00;
    end else begin
      taken_q <= (taken_q & ~bank_free_i) | take;
      full_q  <= (full_q & ~bank_free_i) | release_bank | early;
    end
  end

  // Units of the weight buffer in a row (espl_weights).
  logic [3:0] w_bits, row_units;
  logic w_book, table_we, rows_busy;
  if (WBook > 0 && Cols >= 8) begin : gen_units_bits
    assign row_units = w_bits;
  end else if (WBook > 0 && Cols == 4) begin : gen_units_half
    assign row_units = (w_bits + 4'd1) >> 1;
  end else if (WBook > 0) begin : gen_units_quarter
    assign row_units = (w_bits + 4'd3) >> 2;
  end else if (WInt4 > 0) begin : gen_units_int4
    assign row_units = (w_bits == 4'd4) ? 4'd1 : 4'd2;
  end else begin : gen_units_one
    assign row_units = 4'd1;
  end

  espl_cmdseq #(
    .WBits(WBits),
    .WInt4(WInt4),
    .WBook(WBook),
    .DimBits(DimBits),
    .Kernel (Kernel),
    .InPlace(InPlace)
  ) u_cmdseq (
    .clk_i           (clk_i),
    .rst_i           (rst_i),
    .q_valid_i       (q_valid_i),
    .q_cmd_i         (q_cmd_i),
    .q_pop_o         (q_pop_o),
    .stop_i          (stop_i),
    .lc_avail_i      (tok_lc_avail_i),
    .lc_pop_o        (tok_lc_pop_o),
    .sc_avail_i      (tok_sc_avail_i),
    .sc_pop_o        (tok_sc_pop_o),
    .bank_free_i     (!taken_q[head_bank] || bank_free_i[head_bank]),
    .bank_take_o     (bank_take),
    .walk_valid_i    (walk_valid),
    .tile_wait_i     (tile_wait),
    .rows_busy_i     (rows_busy),
    .retire_i        (retired),
    .head_o          (head),
    .hand_o          (hand),
    .popped_o        (popped),
    .wait_load_o     (head_wait_load),
    .wait_store_o    (head_wait_store),
    .wait_bank_o     (head_wait_bank),
    .act_o           (front_act),
    .in_h_o          (in_h),
    .in_w_o          (in_w),
    .row_words_o     (row_words),
    .plane_words_o   (plane_words),
    .sy_o            (sy),
    .sx_o            (sx),
    .dy_o            (dy),
    .dx_o            (dx),
    .zi_o            (zi),
    .dw_rows_o       (dw_rows),
    .dw_cols_o       (dw_cols),
    .fold_o          (fold),
    .ky_mask_o       (ky_mask),
    .kx_mask_o       (kx_mask),
    .w_bits_o        (w_bits),
    .w_book_o        (w_book),
    .table_we_o      (table_we),
    .cnt_cmd_o       (cnt_cmd_o),
    .cnt_macs_o      (cnt_macs_o),
    .cnt_macs_dense_o(cnt_macs_dense_o),
    .cnt_tiles_o     (cnt_tiles_o),
    .cnt_skipped_o   (cnt_skipped_o)
  );

  logic idx_re;
  logic [IdxAddrW-1:0] idx_raddr;
  logic [31:0] idx_rdata;
  logic row_re;
  logic [RowAw-1:0] row_raddr;
  logic [RowSh-1:0] row_num;
  logic row_zero;
  espl_wseq #(
    .Rows    (Rows),
    .IdxAw   (IdxAw),
    .WgtRowAw(RowAw),
    .DwBanks (DwBanks),
    .Late    ((WBook > 0) ? 1 : 0),
    .DimBits (DimBits),
    .Kernel  (Kernel),
    .InPlace (InPlace),
    .PosW    (PosW)
  ) u_wseq (
    .clk_i            (clk_i),
    .rst_i            (rst_i),
    .stop_i           (stop_i),
    .hand_i           (hand),
    .cmd_i            (q_cmd_i),
    .idx_i            (q_idx_i),
    .row_words_i      (row_words),
    .plane_words_i    (plane_words),
    .sy_i             (sy),
    .sx_i             (sx),
    .dy_i             (dy),
    .dx_i             (dx),
    .dw_rows_i        (dw_rows),
    .dw_cols_i        (dw_cols),
    .fold_i           (fold),
    .ky_mask_i        (ky_mask),
    .kx_mask_i        (kx_mask),
    .row_units_i      (row_units),
    .credit_avail_i   (credit_avail_i),
    .credit_pop_o     (credit_pop_o),
    .walk_valid_o     (walk_valid),
    .wait_credit_o    (wait_credit),
    .walk_idx_o       (walk_idx),
    .rows_busy_o      (rows_busy),
    .act_o            (walk_act),
    .idx_re_o         (idx_re),
    .idx_raddr_o      (idx_raddr),
    .idx_rdata_i      (idx_rdata),
    .row_re_o         (row_re),
    .row_raddr_o      (row_raddr),
    .row_num_o        (row_num),
    .row_zero_o       (row_zero),
    .start_i          (start),
    .tile_wait_o      (tile_wait),
    .tile_rdy_o       (tile_rdy),
    .tile_first_o     (tile_first),
    .tile_end_o       (tile_end),
    .tile_bank_o      (tile_bank),
    .tile_release_o   (tile_release),
    .tile_push_load_o (tile_push_load),
    .tile_push_store_o(tile_push_store),
    .tile_idx_o       (tile_idx),
    .tile_out_h_o     (tile_out_h),
    .tile_out_w_o     (tile_out_w),
    .tile_iy_o        (tile_iy),
    .tile_ix_o        (tile_ix),
    .tile_addr_o      (tile_addr),
    .tile_row_step_o  (tile_row_step),
    .tile_dw_o        (tile_dw),
    .tile_dw_bank_o   (tile_dw_bank),
    .tile_dw_len_o    (tile_dw_len),
    .tile_dw_step_o   (tile_dw_step)
  );

  logic pix_re;
  logic [PixAw*Streams-1:0] pix_addr;
  logic [Streams-1:0] pix_pad;
  logic [WinW-1:0] pix_win;
  logic pix_fold;
  logic [LaneW-1:0] pix_lane;
  logic [Lanes-1:0] pix_out;
  logic dw, dw_two;
  logic [7:0] pix_zi;
  logic swap, step_valid, step_first, step_bank;
  logic [AccAw-1:0] step_addr;
  espl_pseq #(
    .Rows     (Rows),
    .Cols     (Cols),
    .MulStages(MulStages),
    .DimBits  (DimBits),
    .InPlace  (InPlace),
    .PosW     (PosW),
    .PixAw    (PixAw),
    .AccAw    (AccAw),
    .DwBanks  (DwBanks),
    .Fold     (Fold),
    .AccLate  (AccLate)
  ) u_pseq (
    .clk_i            (clk_i),
    .rst_i            (rst_i),
    .stop_i           (stop_i),
    .tile_rdy_i       (tile_rdy),
    .tile_first_i     (tile_first),
    .tile_end_i       (tile_end),
    .tile_bank_i      (AccBanks == 2 && tile_bank),
    .tile_release_i   (tile_release),
    .tile_push_load_i (tile_push_load),
    .tile_push_store_i(tile_push_store),
    .tile_idx_i       (tile_idx),
    .tile_out_h_i     (tile_out_h),
    .tile_out_w_i     (tile_out_w),
    .tile_iy_i        (tile_iy),
    .tile_ix_i        (tile_ix),
    .tile_addr_i      (tile_addr),
    .tile_row_step_i  (tile_row_step),
    .tile_dw_i        (tile_dw),
    .tile_dw_bank_i   (tile_dw_bank),
    .tile_dw_len_i    (tile_dw_len),
    .tile_dw_step_i   (tile_dw_step),
    .in_h_i           (in_h),
    .in_w_i           (in_w),
    .sy_i             (sy),
    .sx_i             (sx),
    .zi_i             (zi),
    .dy_i             (dy),
    .fold_i           (fold),
    .dw_two_i         (dw_rows[1]),
    .start_o          (start),
    .run_o            (run),
    .hold_o           (hold),
    .pix_re_o         (pix_re),
    .pix_addr_o       (pix_addr),
    .pix_pad_o        (pix_pad),
    .pix_zi_o         (pix_zi),
    .pix_win_o        (pix_win),
    .pix_fold_o       (pix_fold),
    .pix_lane_o       (pix_lane),
    .pix_out_o        (pix_out),
    .swap_o           (swap),
    .dw_o             (dw),
    .dw_two_o         (dw_two),
    .step_valid_o     (step_valid),
    .step_first_o     (step_first),
    .step_bank_o      (step_bank),
    .step_addr_o      (step_addr),
    .cl_room_i        (tok_cl_room_i),
    .cs_room_i        (tok_cs_room_i),
    .cl_push_o        (tok_cl_push_o),
    .cs_push_o        (tok_cs_push_o),
    .release_o        (bank_release),
    .release_bank_o   (slot_bank),
    .early_o          (early),
    .moving_o         (moving),
    .slot_valid_o     (slot_valid),
    .retire_o         (retired),
    .slot_wait_o      (slot_wait),
    .slot_idx_o       (slot_idx)
  );

  espl_compute_data #(
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
    .RowAw    (RowAw),
    .AccRead  (AccRead),
    .AccLate  (AccLate),
    .MulStages(MulStages)
  ) u_data (
    .clk_i       (clk_i),
    .rst_i       (rst_i),
    .bw_we_i     (bw_we_i),
    .bw_sel_i    (bw_sel_i),
    .bw_bank_i   (bw_bank_i),
    .bw_addr_i   (bw_addr_i),
    .bw_data_i   (bw_data_i),
    .bw_strb_i   (bw_strb_i),
    .idx_re_i    (idx_re),
    .idx_raddr_i (idx_raddr),
    .idx_rdata_o (idx_rdata),
    .row_re_i    (row_re),
    .row_raddr_i (row_raddr),
    .row_num_i   (row_num),
    .row_zero_i  (row_zero),
    .w_bits_i    (w_bits),
    .w_book_i    (w_book),
    .table_we_i  (table_we),
    .table_part_i(q_cmd_i[espl_pkg::CompTablePartLsb+:5]),
    .table_data_i(q_cmd_i[espl_pkg::CompTableE0Lsb+:64]),
    .pix_re_i    (pix_re),
    .pix_addr_i  (pix_addr),
    .pix_pad_i   (pix_pad),
    .pix_zi_i    (pix_zi),
    .pix_fold_i  (pix_fold),
    .pix_lane_i  (pix_lane),
    .pix_out_i   (pix_out),
    .pix_win_i   (pix_win),
    .swap_i      (swap),
    .dw_i        (dw),
    .dw_two_i    (dw_two),
    .step_valid_i(step_valid),
    .step_first_i(step_first),
    .step_bank_i (step_bank),
    .step_addr_i (step_addr),
    .acc_re_i    (acc_re_i),
    .acc_rbank_i (acc_rbank_i),
    .acc_rgroup_i(acc_rgroup_i),
    .acc_raddr_i (acc_raddr_i),
    .acc_rdata_o (acc_rdata_o)
  );

  // What this cycle counts as; the order is the priority (units.md).
  always_comb begin
    if (run) cnt_cause_o = 3'd0;
    else if (slot_wait) cnt_cause_o = 3'd6;
    else if (hold || tile_wait) cnt_cause_o = 3'd5;
    else if (walk_valid) cnt_cause_o = wait_credit ? 3'd4 : 3'd5;
    else if (popped) cnt_cause_o = head_wait_bank ? 3'd3 : 3'd5;
    else if (head && !stop_i && q_cmd_i[3:0] == espl_pkg::OpCfg) cnt_cause_o = 3'd5;
    else if (head && !stop_i) cnt_cause_o = head_wait_load ? 3'd1 : (head_wait_store ? 3'd2 : 3'd5);
    else if (slot_valid) cnt_cause_o = 3'd5;
    else cnt_cause_o = 3'd7;
  end

  assign idle_o = !popped && !walk_valid && !tile_wait && !run && !hold && !slot_valid && moving == 2'b00;
  assign blocked_o = !idle_o && !front_act && !walk_act && !run && moving == 2'b00 && !(tile_wait && !hold) && !(slot_valid && !slot_wait) &&
                     !(slot_wait && stop_i);
  assign wait_valid_o = slot_valid || walk_valid || q_valid_i;
  assign wait_idx_o = slot_valid ? slot_idx : (walk_valid ? walk_idx : q_idx_i);

endmodule
