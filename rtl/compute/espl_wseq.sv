// Weight sequencer: walks the tiles of one command, loads each into the shadow weights, describes its pass.
// A tile is taken in cycle c when the row loader is free (or in the last row of the tile before), the shadow is free (the tile
// before has started its pass, or starts it now), a sparse entry has been read and a credit is there (popped in c).
// Rows are addressed in c+1 .. c+Rows, one a cycle; tile_rdy_o rises at c+1+Rows/2+Late: a pass whose first pixel is addressed from
// c+2+Rows/2+Late on finds every weight in place (law of espl_array: a pixel reaches it two cycles after its address, a row 2+Late).
// In place all that is decided a cycle ahead: the conditions hold in c-1, and the row loader is free in c.
// The command leaves the walker with its last tile. No tile at all: one tile of zero weights, without credit or index entry.
// A depthwise tile is stored without the rows that are no tap: the address stands still while they are loaded with zeros.
// Dense order: channel block outermost, present kernel rows, present kernel columns; masks are eaten from the lowest bit.
module espl_wseq #(
  parameter int Rows = 4,
  parameter int IdxAw = 0,
  parameter int WgtRowAw = 8,   // log2 of the units of the weight buffer
  parameter int DwBanks = 0,
  parameter int Late = 0,       // 1: rows take a cycle more to expand
  parameter int DimBits = 12,   // bits of a size; the number of tiles has four more
  parameter int Kernel = 16,    // kernel rows and columns at most
  parameter int InPlace = 0,    // 1: cmd_i stands still until the command has retired
  parameter int PosW = 17,      // bits of an input row or column that a tap can name, with sign
  // derived
  parameter int RowSh = $clog2(Rows),
  parameter int IdxAddrW = (IdxAw > 0) ? IdxAw : 1
) (
  input  logic                clk_i,
  input  logic                rst_i,
  input  logic                stop_i,
  input  logic                hand_i,
  input  logic [127:0]        cmd_i,
  input  logic [23:0]         idx_i,
  input  logic [DimBits-1:0]  row_words_i,
  input  logic [15:0]         plane_words_i,
  input  logic [2:0]          sy_i,
  input  logic [2:0]          sx_i,
  input  logic [3:0]          dy_i,
  input  logic [3:0]          dx_i,
  input  logic [1:0]          dw_rows_i,
  input  logic [3:0]          dw_cols_i,
  input  logic                fold_i,         // the pixel's column is not in tile_addr_o: espl_pseq adds it in words
  input  logic [Kernel-1:0]   ky_mask_i,
  input  logic [Kernel-1:0]   kx_mask_i,
  input  logic [3:0]          row_units_i,    // units of the weight buffer in a row
  input  logic                credit_avail_i,
  output logic                credit_pop_o,
  output logic                walk_valid_o,   // a command is in the walker
  output logic                wait_credit_o,
  output logic [23:0]         walk_idx_o,
  output logic                rows_busy_o,    // a row is addressed in this cycle or was in the one before
  output logic                act_o,          // a row is addressed, a tile taken or about to be
  // index buffer
  output logic                idx_re_o,
  output logic [IdxAddrW-1:0] idx_raddr_o,
  input  logic [31:0]         idx_rdata_i,
  // weight buffer
  output logic                row_re_o,
  output logic [WgtRowAw-1:0] row_raddr_o,
  output logic [RowSh-1:0]    row_num_o,
  output logic                row_zero_o,     // the row is to be zero
  // description of the next pass
  input  logic                start_i,        // the pass of the tile starts with the next cycle
  output logic                tile_wait_o,
  output logic                tile_rdy_o,
  output logic                tile_first_o,   // overwrite the accumulators
  output logic                tile_end_o,     // last pass of the command
  output logic                tile_bank_o,
  output logic                tile_release_o,
  output logic                tile_push_load_o,
  output logic                tile_push_store_o,
  output logic [23:0]         tile_idx_o,
  output logic [DimBits-1:0]  tile_out_h_o,
  output logic [DimBits-1:0]  tile_out_w_o,
  output logic [PosW-1:0]     tile_iy_o,
  output logic [PosW-1:0]     tile_ix_o,
  output logic [15:0]         tile_addr_o,
  output logic [15:0]         tile_row_step_o,
  output logic                tile_dw_o,
  output logic [7:0]          tile_dw_bank_o,
  output logic [14:0]         tile_dw_len_o,  // words of an output row
  output logic [15:0]         tile_dw_step_o  // words between kernel rows
);

  function automatic logic [3:0] lowest(input logic [Kernel-1:0] m);
    lowest = 4'd0;
    for (int i = Kernel - 1; i >= 0; i--) if (m[i]) lowest = 4'(i);
  endfunction

  // The command in the walker: a copy, or in place the head itself. While the walker is empty its registers follow the head: hand_i comes late in
  // its cycle and goes to valid_q only.
  logic valid_q;
  logic empty;    // its opposite, with queues a register of its own, for the registers that follow
  logic [127:0] cmd;
  logic [23:0]  idx;
  espl_hold #(
    .Width  (152),
    .Through(InPlace)
  ) u_cmd (
    .clk_i (clk_i),
    .we_i  (empty),
    .data_i({idx_i, cmd_i}),
    .data_o({idx, cmd})
  );
  assign walk_idx_o = idx;

  // Where the walk stands.
  logic        fresh_q;   // no tile taken yet
  logic        credit;
  logic        zero_q;      // no tile at all
  logic        last_tile_q; // one tile is left, or none
  logic [DimBits+3:0] left_q;
  logic [15:0] plane_q;
  logic [Kernel-1:0]  ky_left_q;
  logic [Kernel-1:0]  kx_left_q;

  // The row loader and the tile whose pass has not started.
  logic             run_q;
  logic [RowSh-1:0] row_q;
  logic             last_row_q;
  logic [WgtRowAw-1:0] addr_q;
  logic             run1_q;
  logic             row_zero_q;
  logic             wait_q;
  logic             rdy_q;

  assign credit = cmd[espl_pkg::ComputeCreditLsb] && !zero_q;

  logic       entry_ok;
  logic       ready;     // a tile can be taken
  logic       take;
  logic       row_skip;  // depthwise: the row is no tap, it is not stored
  logic       room;
  logic       sparse;
  logic [3:0] ky_low;      // row and column of the tap
  logic [3:0] kx_low;
  logic [7:0] ky;
  logic [7:0] kx;
  logic [15:0] block;     // channel block of a sparse entry

  assign room = (!run_q || last_row_q) && (!wait_q || start_i);
  assign wait_credit_o = credit && !credit_avail_i;
  assign ready = valid_q && room && entry_ok && !wait_credit_o;
  if (InPlace != 0) begin : gen_take_late
    // Decided in a cycle, taken in the next: much hangs on it. What it was decided on stands still meanwhile.
    logic take_q;
    always_ff @(posedge clk_i) take_q <= ready && !take_q && !rst_i;
    assign take = take_q;
  end else begin : gen_take
    assign take = ready;
  end
  assign credit_pop_o = take && credit;
  assign walk_valid_o = valid_q;
  assign act_o = run_q || (valid_q && (wait_credit_o ? stop_i : room));
  assign row_re_o = run_q;
  assign row_raddr_o = addr_q;
  assign rows_busy_o = run_q || run1_q;
  assign row_num_o = row_q;
  assign tile_wait_o = wait_q;
  assign tile_rdy_o = rdy_q;

  if (IdxAw > 0) begin : gen_sparse
    logic             entry_q;
    logic [IdxAw-1:0] entry_addr_q;
    assign sparse = cmd[espl_pkg::ComputeSparseLsb];
    assign entry_ok = !sparse || entry_q || zero_q;
    assign idx_re_o = valid_q && sparse && !entry_q;
    assign idx_raddr_o = entry_addr_q;
    assign block = sparse ? idx_rdata_i[31:16] : 16'd0;
    assign ky = sparse ? idx_rdata_i[15:8] : {4'd0, ky_low};
    assign kx = sparse ? idx_rdata_i[7:0] : {4'd0, kx_low};
    always_ff @(posedge clk_i) begin
      if (empty) begin
        entry_addr_q <= cmd_i[espl_pkg::ComputeIdxBaseLsb+:IdxAw];
      end else if (take) begin
        entry_addr_q <= entry_addr_q + IdxAw'(1);
      end
      entry_q <= valid_q && !take;
    end
  end else begin : gen_dense
    assign sparse = 1'b0;
    assign entry_ok = 1'b1;
    assign idx_re_o = 1'b0;
    assign idx_raddr_o = '0;
    assign block = 16'd0;
    assign ky = {4'd0, ky_low};
    assign kx = {4'd0, kx_low};
    logic unused_entry;
    assign unused_entry = ^idx_rdata_i;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) valid_q <= 1'b0;
    else if (hand_i) valid_q <= 1'b1;
    else if (take && last_tile_q) valid_q <= 1'b0;
    else if (valid_q && stop_i && wait_credit_o) valid_q <= 1'b0;
  end
  if (InPlace == 0) begin : gen_empty
    logic empty_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) empty_q <= 1'b1;
      else if (hand_i) empty_q <= 1'b0;
      else if (take && last_tile_q) empty_q <= 1'b1;
      else if (valid_q && stop_i && wait_credit_o) empty_q <= 1'b1;
    end
    assign empty = empty_q;
  end else begin : gen_not_valid
    assign empty = !valid_q;
  end

  // What is left without the tap that is taken, and whether that is nothing.
  logic [Kernel-1:0] kx_rest, ky_rest;
  logic              kx_end, ky_end;
  if (InPlace == 0) begin : gen_ahead
    // In registers: the masks stand still for a cycle before they are copied.
    logic [Kernel-1:0] kx_all_q, ky_all_q, kx_rest_q, ky_rest_q;  // masks without their lowest bit
    logic              kx_one, ky_one, kx_end_q, ky_end_q;
    assign kx_one = kx_all_q == '0;
    assign ky_one = ky_all_q == '0;
    always_ff @(posedge clk_i) begin
      kx_all_q <= kx_mask_i & (kx_mask_i - Kernel'(1));
      ky_all_q <= ky_mask_i & (ky_mask_i - Kernel'(1));
      if (empty || (take && kx_end_q)) begin
        kx_rest_q <= kx_all_q;
        kx_end_q <= kx_one;
      end else if (take) begin
        kx_rest_q <= kx_rest_q & (kx_rest_q - Kernel'(1));
        kx_end_q <= (kx_rest_q & (kx_rest_q - Kernel'(1))) == '0;
      end
      if (empty || (take && kx_end_q && ky_end_q)) begin
        ky_rest_q <= ky_all_q;
        ky_end_q <= ky_one;
      end else if (take && kx_end_q) begin
        ky_rest_q <= ky_rest_q & (ky_rest_q - Kernel'(1));
        ky_end_q <= (ky_rest_q & (ky_rest_q - Kernel'(1))) == '0;
      end
    end
    assign kx_rest = kx_rest_q;
    assign ky_low  = lowest(ky_left_q);
    assign kx_low  = lowest(kx_left_q);
    assign ky_rest = ky_rest_q;
    assign kx_end = kx_end_q;
    assign ky_end = ky_end_q;
  end else begin : gen_late
    // What follows from the taps left stands still for two cycles before a take in place, so that it has registers there.
    logic [Kernel-1:0] kx_rest_d, ky_rest_d;
    assign kx_rest_d = kx_left_q & (kx_left_q - Kernel'(1));
    assign ky_rest_d = ky_left_q & (ky_left_q - Kernel'(1));
    always_ff @(posedge clk_i) begin
      {kx_rest, ky_rest} <= {kx_rest_d, ky_rest_d};
      {kx_end, ky_end}   <= {kx_rest_d == '0, ky_rest_d == '0};
      {ky_low, kx_low}   <= {lowest(ky_left_q), lowest(kx_left_q)};
    end
  end

  always_ff @(posedge clk_i) begin
    if (empty) begin
      fresh_q   <= 1'b1;
      left_q    <= cmd_i[espl_pkg::ComputeNTilesLsb+:DimBits+4];
      zero_q      <= cmd_i[espl_pkg::ComputeNTilesLsb+:DimBits+4] == '0;
      last_tile_q <= cmd_i[espl_pkg::ComputeNTilesLsb+1+:DimBits+3] == '0;
      plane_q   <= cmd_i[espl_pkg::ComputeActBaseLsb+:16];
      ky_left_q <= ky_mask_i;
      kx_left_q <= kx_mask_i;
    end else if (take) begin
      fresh_q <= 1'b0;
      left_q  <= left_q - (DimBits + 4)'(1);
      last_tile_q <= left_q == (DimBits + 4)'(2);
      // (of a sparse command only the plane counts, and stays)
      kx_left_q <= kx_end ? kx_mask_i : kx_rest;
      if (kx_end) ky_left_q <= ky_end ? ky_mask_i : ky_rest;
      if (kx_end && ky_end && !sparse) plane_q <= plane_q + plane_words_i;
    end
  end

  // Row loader: the rows of a command's tiles follow each other, so the address only counts.
  always_ff @(posedge clk_i) begin
    if (rst_i) run_q <= 1'b0;
    else if (take) run_q <= 1'b1;
    else if (last_row_q) run_q <= 1'b0;
    last_row_q <= run_q && row_q == RowSh'(Rows - 2);
    if (take) row_q <= '0;
    else if (run_q) row_q <= row_q + RowSh'(1);
    if (take && fresh_q) addr_q <= WgtRowAw'(20'(cmd[espl_pkg::ComputeWgtBaseLsb+:16]) * 20'(row_units_i));
    else if (run_q && !row_skip) addr_q <= addr_q + WgtRowAw'(row_units_i);
    run1_q <= run_q && !rst_i;
    if (take) row_zero_q <= zero_q;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) wait_q <= 1'b0;
    else if (take) wait_q <= 1'b1;
    else if (start_i) wait_q <= 1'b0;
    if (rst_i || take || start_i) rdy_q <= 1'b0;
    else if (run_q && row_q == RowSh'(Rows / 2 - 1 + Late)) rdy_q <= 1'b1;
  end

  // The command of the tile taken last, and what its pass needs of it. With four rows or more it is copied in the cycle after the take, where the
  // walker still has it: `take` comes late in its cycle and goes to few registers.
  logic [127:0] tile;
  logic [23:0]  tile_idx;
  logic         taken_q;
  always_ff @(posedge clk_i) taken_q <= take;
  espl_hold #(
    .Width  (152),
    .Through(InPlace)
  ) u_tile (
    .clk_i (clk_i),
    .we_i  ((Rows >= 4) ? taken_q : take),
    .data_i({idx, cmd}),
    .data_o({tile_idx, tile})
  );
  assign tile_bank_o       = tile[espl_pkg::ComputeBankLsb];
  assign tile_release_o    = tile[espl_pkg::ComputeLastLsb];
  assign tile_push_load_o  = tile[espl_pkg::ComputePushLoadLsb];
  assign tile_push_store_o = tile[espl_pkg::ComputePushStoreLsb];
  assign tile_idx_o        = tile_idx;
  assign tile_out_h_o      = tile[espl_pkg::ComputeOutHLsb+:DimBits];
  assign tile_out_w_o      = tile[espl_pkg::ComputeOutWLsb+:DimBits];
  always_ff @(posedge clk_i) begin
    if (take) begin
      tile_first_o <= fresh_q && cmd[espl_pkg::ComputeFirstLsb];
      tile_end_o   <= last_tile_q;
    end
  end

  espl_wseq_place #(
    .Rows   (Rows),
    .DwBanks(DwBanks),
    .DimBits(DimBits),
    .Early  (InPlace),
    .PosW   (PosW)
  ) u_place (
    .clk_i        (clk_i),
    .take_i       (take),
    .ky_i         (ky),
    .kx_i         (kx),
    .block_i      (block),
    .plane_i      (plane_q),
    .off_y_i      (cmd[espl_pkg::ComputeOffYLsb+:DimBits]),
    .off_x_i      (cmd[espl_pkg::ComputeOffXLsb+:DimBits]),
    .row_words_i  (row_words_i),
    .plane_words_i(plane_words_i),
    .sy_i         (sy_i),
    .sx_i         (sx_i),
    .dy_i         (dy_i),
    .dx_i         (dx_i),
    .dw_cols_i    (dw_cols_i),
    .whole_i      (fold_i && !tile_dw_o),
    .out_w_i      (tile_out_w_o),
    .iy_o         (tile_iy_o),
    .ix_o         (tile_ix_o),
    .addr_o       (tile_addr_o),
    .row_step_o   (tile_row_step_o),
    .dw_len_o     (tile_dw_len_o),
    .dw_step_o    (tile_dw_step_o)
  );

  // Depthwise: rows that are no tap of the tile hold zeros; the pass streams whole stretches of input rows.
  if (DwBanks > 0) begin : gen_dw
    localparam int Pairs = Rows / 2;
    logic       dw_q;      // of the command
    logic       row_dw_q;  // of the tile whose rows are addressed
    logic [1:0] rows_q;
    logic [3:0] cols_q;
    logic [7:0] bank_num_q;
    logic [RowSh-2:0] pair;
    logic       lower;
    logic [1:0] k;
    logic [RowSh-2:0] tap;
    assign pair = row_q[RowSh-1:1];
    assign lower = rows_q[1] && pair[RowSh-2];  // the half with streams 2 and 3
    assign k = {lower, row_q[0]};
    assign tap = lower ? pair - (RowSh - 1)'(Pairs / 2) : pair;
    assign row_skip = row_dw_q && (k > rows_q || 8'(tap) > {4'd0, cols_q});
    assign row_zero_o = row_zero_q || row_skip;
    always_ff @(posedge clk_i) begin
      if (empty) begin
        dw_q       <= cmd_i[espl_pkg::ComputeDwLsb];
        bank_num_q <= cmd_i[espl_pkg::ComputeIdxBaseLsb+:8];
      end
      if (take) begin
        row_dw_q       <= dw_q;
        rows_q         <= dw_rows_i;
        cols_q         <= dw_cols_i;
        tile_dw_o      <= dw_q;
        tile_dw_bank_o <= bank_num_q;
      end
    end
  end else begin : gen_no_dw
    assign row_skip = 1'b0;
    assign row_zero_o = row_zero_q;
    assign tile_dw_o = 1'b0;
    assign tile_dw_bank_o = 8'd0;
    logic unused_dw;
    assign unused_dw = ^dw_rows_i;
  end

  // Fields of the front, and what is not carried on to the pass.
  logic unused_cmd;
  assign unused_cmd = ^{cmd_i, cmd, tile};

endmodule
