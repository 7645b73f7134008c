// Data path of the compute unit: buffers, the registers in front of the array, array, accumulators. No decisions.
// Timing: an address in cycle x (pixel word, weight row) gives the buffer's word in x+1 and stands at the array in x+2; swap_i
// comes in x+2 of a first pixel; step_* with the timing of espl_acc (column 0's sum is there one cycle after the step, two with AccLate).
module espl_compute_data #(
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
  parameter int AccRead = 4,   // columns the store unit reads at once
  parameter int AccLate = 0,
  parameter int MulStages = 1,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Group = (MinRc < 16) ? MinRc : 16,
  parameter int GroupSh = $clog2(Group),
  parameter int RowSh = $clog2(Rows),
  parameter int PixAw = (ActAw - GroupSh < 16) ? ActAw - GroupSh : 16,
  parameter int RowAw = 8,      // bits of a weight row's address, as espl_weights counts
  parameter int IdxAddrW = (IdxAw > 0) ? IdxAw : 1,
  parameter int Streams = (DwBanks > 0) ? DwBanks : 1,
  parameter int Lanes = (Fold > 0) ? Rows / 4 : 1,
  parameter int LaneW = (Lanes > 1) ? $clog2(Lanes) : 1,
  parameter int WinW = (Rows > MinRc) ? $clog2(Rows / MinRc) : 1
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  bw_we_i,
  input  logic [1:0]            bw_sel_i,
  input  logic [7:0]            bw_bank_i,
  input  logic [19:0]           bw_addr_i,
  input  logic [8*BusBytes-1:0] bw_data_i,
  input  logic [BusBytes-1:0]   bw_strb_i,
  input  logic                  idx_re_i,
  input  logic [IdxAddrW-1:0]   idx_raddr_i,
  output logic [31:0]           idx_rdata_o,
  input  logic                  row_re_i,
  input  logic [RowAw-1:0]      row_raddr_i,
  input  logic [RowSh-1:0]      row_num_i,
  input  logic                  row_zero_i,
  input  logic [3:0]            w_bits_i,
  input  logic                  w_book_i,
  input  logic                  table_we_i,
  input  logic [4:0]            table_part_i,
  input  logic [63:0]           table_data_i,
  input  logic                  pix_re_i,
  input  logic [PixAw*Streams-1:0] pix_addr_i,
  input  logic [Streams-1:0]    pix_pad_i,
  input  logic [7:0]            pix_zi_i,
  input  logic                  pix_fold_i,
  input  logic [LaneW-1:0]      pix_lane_i,
  input  logic [Lanes-1:0]      pix_out_i,
  input  logic [WinW-1:0]       pix_win_i,
  input  logic                  swap_i,
  input  logic                  dw_i,
  input  logic                  dw_two_i,
  input  logic                  step_valid_i,
  input  logic                  step_first_i,
  input  logic                  step_bank_i,
  input  logic [AccAw-1:0]      step_addr_i,
  input  logic                  acc_re_i,
  input  logic                  acc_rbank_i,
  input  logic [7:0]            acc_rgroup_i,
  input  logic [AccAw-1:0]      acc_raddr_i,
  output logic [AccRead*AccW-1:0] acc_rdata_o
);

  localparam int BeatSh = $clog2(BusBytes);

  logic [8*Rows-1:0]          pixel;
  logic [8*MinRc*Streams-1:0] feed;
  espl_compute_act #(
    .Rows    (Rows),
    .Cols    (Cols),
    .BusBytes(BusBytes),
    .ActAw   (ActAw),
    .DwBanks (DwBanks),
    .Fold    (Fold)
  ) u_act (
    .clk_i     (clk_i),
    .bw_we_i   (bw_we_i && bw_sel_i == 2'd0),
    .bw_bank_i (bw_bank_i),
    .bw_addr_i (bw_addr_i),
    .bw_data_i (bw_data_i),
    .bw_strb_i (bw_strb_i),
    .pix_re_i  (pix_re_i),
    .pix_addr_i(pix_addr_i),
    .pix_pad_i (pix_pad_i),
    .pix_zi_i  (pix_zi_i),
    .pix_fold_i(pix_fold_i),
    .pix_lane_i(pix_lane_i),
    .pix_out_i (pix_out_i),
    .pix_win_i (pix_win_i),
    .a_o       (pixel),
    .feed_o    (feed)
  );

  // Weights: the row, its select and its zero follow the address by two cycles, with a codebook by three.
  localparam int Late = (WBook > 0) ? 1 : 0;
  logic [WBits*Cols-1:0] row_word;
  logic [WBits*Cols-1:0] row_word_q;
  logic [Rows-1:0]       sel_q;
  logic [Late:0]         re_q;
  logic [Late:0]         zero_q;
  logic [RowSh*(Late+1)-1:0] num_q;
  espl_weights #(
    .Cols    (Cols),
    .BusBytes(BusBytes),
    .WgtAw   (WgtAw),
    .WBits   (WBits),
    .WInt4   (WInt4),
    .WBook   (WBook)
  ) u_weights (
    .clk_i       (clk_i),
    .we_i        (bw_we_i && bw_sel_i == 2'd1),
    .waddr_i     (bw_addr_i[WgtAw-1:BeatSh]),
    .wdata_i     (bw_data_i),
    .wstrb_i     (bw_strb_i),
    .re_i        (row_re_i),
    .raddr_i     (row_raddr_i),
    .bits_i      (w_bits_i),
    .book_i      (w_book_i),
    .table_we_i  (table_we_i),
    .table_part_i(table_part_i),
    .table_data_i(table_data_i),
    .row_o       (row_word)
  );
  always_ff @(posedge clk_i) begin
    re_q       <= (Late + 1)'({re_q, row_re_i && !rst_i});
    zero_q     <= (Late + 1)'({zero_q, row_zero_i});
    num_q      <= (RowSh * (Late + 1))'({num_q, row_num_i});
    row_word_q <= zero_q[Late] ? '0 : row_word;
    for (int r = 0; r < Rows; r++) sel_q[r] <= re_q[Late] && num_q[RowSh*Late+:RowSh] == RowSh'(r);
  end

  // Index entries of sparse streams.
  if (IdxAw > 0) begin : gen_idx
    espl_beatbuf #(
      .Aw  (IdxAw + 2),
      .Beat(BusBytes),
      .Unit(4)
    ) u_buf (
      .clk_i  (clk_i),
      .we_i   (bw_we_i && bw_sel_i == 2'd2),
      .waddr_i(bw_addr_i[IdxAw+1:BeatSh]),
      .wdata_i(bw_data_i),
      .wstrb_i(bw_strb_i),
      .re_i   (idx_re_i),
      .raddr_i(idx_raddr_i),
      .rdata_o(idx_rdata_o)
    );
  end else begin : gen_no_idx
    assign idx_rdata_o = 32'd0;
    logic unused_idx;
    assign unused_idx = ^{idx_re_i, idx_raddr_i};
  end

  logic [24*Cols-1:0] psum;
  espl_array #(
    .Rows     (Rows),
    .Cols     (Cols),
    .WBits    (WBits),
    .MulStages(MulStages),
    .DwBanks  (DwBanks)
  ) u_array (
    .clk_i   (clk_i),
    .a_i     (pixel),
    .feed_i  (feed),
    .swap_i  (swap_i),
    .dw_i    (dw_i),
    .dw_two_i(dw_two_i),
    .wsel_i  (sel_q),
    .w_i     (row_word_q),
    .psum_o  (psum)
  );

  espl_acc #(
    .Cols    (Cols),
    .Group   (AccRead),
    .AccAw   (AccAw),
    .AccW    (AccW),
    .AccBanks(AccBanks),
    .Late    (AccLate)
  ) u_acc (
    .clk_i       (clk_i),
    .step_valid_i(step_valid_i),
    .step_first_i(step_first_i),
    .step_bank_i (step_bank_i),
    .step_addr_i (step_addr_i),
    .psum_i      (psum),
    .re_i        (acc_re_i),
    .rbank_i     (acc_rbank_i),
    .rgroup_i    (acc_rgroup_i),
    .raddr_i     (acc_raddr_i),
    .rdata_o     (acc_rdata_o)
  );

  logic unused_addr;
  assign unused_addr = ^bw_addr_i;

endmodule
