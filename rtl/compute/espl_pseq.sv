// Pass sequencer: streams the pixels of one tile, one a cycle, then holds the finished command until the array is empty.
// A pass of M pixels takes max(M, Rows, 3) cycles S..E, a depthwise one of M words max(M, Rows, 16); the next one may start in E+1. start_o in cycle S-1 takes the
// description of the waiting tile (tile_*) and the geometry. A command whose last pass ends goes to the retire slot (one entry);
// while the slot is occupied the pass holds. In the slot it waits: E+PipeLat is the first cycle in which it may push (done_o):
// every accumulator is then written for a store read that starts three cycles later. A command of one dense tile that overwrites and releases
// its bank reads no accumulators: its bank becomes full PipeLat cycles after the first pixel's cycle (early_o), so that a store that reads
// pixels in order, one a cycle at most, follows the pass; moving_o until PipeLat cycles after the pass. With stop_i a command that finds no
// room gives up (slot empty, nothing pushed).
// Pixel timing: pix_re_o/pix_addr_o in cycle x read the buffer; pix_pad_o, pix_zi_o, in x+1 go with the data; swap_o in x+2 goes
// with the registered pixel at the array; the accumulator step leaves in x + Rows/2 + MulStages + 2 - AccLate.
module espl_pseq #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int MulStages = 1,
  parameter int DimBits = 12, // bits of a size
  parameter int InPlace = 0,  // 1: what describes the command and its geometry stands still until it has retired
  parameter int PosW = 17,    // bits of an input row or column, with sign
  parameter int PixAw = 8,    // log2 of the pixel words of a bank
  parameter int AccAw = 8,
  parameter int DwBanks = 0,
  parameter int Fold = 0,
  parameter int AccLate = 0,  // 1: the accumulators ask for a step one cycle earlier
  // derived
  parameter int Streams = (DwBanks > 0) ? DwBanks : 1,
  parameter int WinW = (Rows > Cols) ? $clog2(Rows / Cols) : 1,
  parameter int Lanes = (Fold > 0) ? Rows / 4 : 1,      // folded pixels of a pass
  parameter int LaneW = (Lanes > 1) ? $clog2(Lanes) : 1
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             stop_i,
  input  logic             tile_rdy_i,
  input  logic             tile_first_i,
  input  logic             tile_end_i,
  input  logic             tile_bank_i,
  input  logic             tile_release_i,
  input  logic             tile_push_load_i,
  input  logic             tile_push_store_i,
  input  logic [23:0]      tile_idx_i,
  input  logic [DimBits-1:0] tile_out_h_i,
  input  logic [DimBits-1:0] tile_out_w_i,
  input  logic [PosW-1:0]  tile_iy_i,
  input  logic [PosW-1:0]  tile_ix_i,
  input  logic [15:0]      tile_addr_i,
  input  logic [15:0]      tile_row_step_i,
  input  logic             tile_dw_i,
  input  logic [7:0]       tile_dw_bank_i,
  input  logic [14:0]      tile_dw_len_i,
  input  logic [15:0]      tile_dw_step_i,
  input  logic [DimBits-1:0] in_h_i,
  input  logic [DimBits-1:0] in_w_i,
  input  logic [2:0]       sy_i,
  input  logic [2:0]       sx_i,
  input  logic [7:0]       zi_i,
  input  logic [3:0]       dy_i,
  input  logic             fold_i,
  input  logic             dw_two_i,       // more than two kernel rows
  output logic             start_o,
  output logic             run_o,          // a pass streams in this cycle
  output logic             hold_o,         // a finished command waits for the retire slot
  // pixels
  output logic             pix_re_o,
  output logic [PixAw*Streams-1:0] pix_addr_o,
  output logic [Streams-1:0] pix_pad_o,
  output logic [7:0]       pix_zi_o,
  output logic [WinW-1:0]  pix_win_o,
  output logic             pix_fold_o,     // words of streams 0 and 1 side by side, from pixel pix_lane_o of the first on
  output logic [LaneW-1:0] pix_lane_o,
  output logic [Lanes-1:0] pix_out_o,      // folded pixels that are padding
  output logic             swap_o,
  output logic             dw_o,
  output logic             dw_two_o,
  output logic             step_valid_o,
  output logic             step_first_o,
  output logic             step_bank_o,
  output logic [AccAw-1:0] step_addr_o,
  // retire slot
  input  logic             cl_room_i,
  input  logic             cs_room_i,
  output logic             cl_push_o,
  output logic             cs_push_o,
  output logic             release_o,      // the bank becomes full
  output logic             release_bank_o,
  output logic [1:0]       early_o,        // banks that become full ahead of their command's retirement
  output logic [1:0]       moving_o,       // banks whose last sums are on their way
  output logic             slot_valid_o,
  output logic             retire_o,       // the command leaves the slot
  output logic             slot_wait_o,    // the array is empty, a token counter is full
  output logic [23:0]      slot_idx_o
);

  localparam int MinLen = (Rows > 3) ? Rows : 3;
  // A depthwise pass leaves words out, its last sums follow each other more slowly than those of the pass behind it: it lasts until they are written.
  localparam int MinDw = (DwBanks > 0 && MinLen < 16) ? 16 : MinLen;
  localparam int MinW = $clog2(MinDw);
  localparam int PipeLat = Rows / 2 + Cols + MulStages + 1;
  localparam int LatW = $clog2(PipeLat);
  localparam int StepLat = Rows / 2 + MulStages + 2 - AccLate;
  localparam int LenW = (DwBanks > 0) ? 15 : DimBits;

  logic            early;
  logic            run_q;
  logic            idle_q;    // its opposite, for what start_o does not wait for
  logic            over_q;    // the last cycle of a pass
  logic            hold_q;
  logic            tail_q;    // all pixels are out, the minimal length is not over
  logic            fresh_q;   // first pixel
  logic            last_col_q, last_row_q;  // one column of the row is left, one row
  logic            last_pix_q, last_pix_d;  // both
  logic            one_col_q;               // rows of one word
  logic            long_q;                  // the minimal length is over with this cycle
  logic [MinW-1:0] len_q;
  logic            first_q;
  logic            end_q;
  logic [DimBits-1:0] rows_q;  // output rows and columns left
  logic [LenW-1:0]    cols_q;
  logic [PosW-1:0] iy_q;
  logic [PosW-1:0] ix_q;
  logic [PosW-1:0] ix0_q;
  logic [15:0]     addr_q;
  logic [15:0]     line_q;    // address of the first pixel of the row

  // What the pass needs of its command and of the geometry.
  localparam int RetireW = 28;
  localparam int GeomW = LenW + 2 * DimBits + 30;
  logic [RetireW-1:0] retire;   // index, push_store, push_load, release, bank
  logic [GeomW-1:0]   geom;
  logic               bank;
  logic [LenW-1:0]    len_w;    // words of an output row
  logic [LenW-1:0]    row_len;
  logic [DimBits-1:0] in_h;
  logic [DimBits-1:0] in_w;
  logic [2:0]         sy;
  logic [2:0]         inc;      // columns from one word to the next
  logic [7:0]         zi;
  logic [15:0]        row_step;
  espl_hold #(
    .Width  (RetireW),
    .Through(InPlace)
  ) u_retire (
    .clk_i (clk_i),
    .we_i  (start_o),
    .data_i({tile_idx_i, tile_push_store_i, tile_push_load_i, tile_release_i && !early, tile_bank_i}),
    .data_o(retire)
  );
  logic load_walk;
  assign load_walk = over_q || idle_q;
  espl_hold #(
    .Width  (GeomW),
    .Through(InPlace)
  ) u_geom (
    .clk_i (clk_i),
    .we_i  (load_walk),
    .data_i({row_len, in_h_i, in_w_i, sy_i, tile_dw_i ? 3'd1 : sx_i, zi_i, tile_row_step_i}),
    .data_o(geom)
  );
  assign {len_w, in_h, in_w, sy, inc, zi, row_step} = geom;
  assign bank = retire[0];

  if (InPlace == 0) begin : gen_early
    localparam int MoveW = $clog2(PipeLat + 1);
    logic early_q;
    assign early = tile_first_i && tile_end_i && tile_release_i && !tile_dw_i;
    always_ff @(posedge clk_i) if (start_o) early_q <= early;
    for (genvar b = 0; b < 2; b++) begin : gen_bank
      logic             mine, wait_q;
      logic [LatW-1:0]  full_q;
      logic [MoveW-1:0] move_q;
      logic             moves_q;  // move_q is not 0
      assign mine = run_q && early_q && bank == 1'(b);
      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          wait_q  <= 1'b0;
          move_q  <= '0;
          moves_q <= 1'b0;
        end else begin
          if (mine && fresh_q) wait_q <= 1'b1;
          else if (full_q == '0) wait_q <= 1'b0;
          if (mine) move_q <= MoveW'(PipeLat);
          else if (moves_q) move_q <= move_q - MoveW'(1);
          moves_q <= mine || move_q > MoveW'(1);
        end
        if (mine && fresh_q) full_q <= LatW'(PipeLat - 1);
        else if (full_q != '0) full_q <= full_q - LatW'(1);
      end
      assign early_o[b]  = wait_q && full_q == '0;
      assign moving_o[b] = moves_q;
    end
  end else begin : gen_late
    assign early    = 1'b0;
    assign early_o  = 2'b00;
    assign moving_o = 2'b00;
  end

  logic            slot_q;
  logic [LatW-1:0] lat_q;
  logic            empty_q;   // nothing of the command in the slot is in the array: lat_q is 0
  logic [RetireW-1:0] slot;

  logic            last_col;
  logic            last_pix;
  logic            slot_room;
  logic            slot_ok;
  logic            fire;
  logic            drop;
  logic            load_slot;
  logic            free;

  espl_hold #(
    .Width  (RetireW),
    .Through(InPlace)
  ) u_slot (
    .clk_i (clk_i),
    .we_i  (load_slot),
    .data_i(retire),
    .data_o(slot)
  );
  assign release_bank_o = slot[0];
  assign slot_idx_o = slot[27:4];
  assign retire_o = fire || drop;
  assign slot_room = (!slot[2] || cl_room_i) && (!slot[3] || cs_room_i);
  assign fire = slot_q && empty_q && slot_room;
  assign drop = slot_q && empty_q && !slot_room && stop_i;
  assign slot_ok = !slot_q || fire || drop;
  assign slot_valid_o = slot_q;
  assign slot_wait_o = slot_q && empty_q && !slot_room;
  assign cl_push_o = fire && slot[2];
  assign cs_push_o = fire && slot[3];
  assign release_o = fire && slot[1];

  assign last_col = last_col_q;
  assign last_pix = last_pix_q;
  assign last_pix_d = last_col_q ? one_col_q && rows_q == DimBits'(2) : last_row_q && cols_q == LenW'(2);
  // The last cycle of a pass is a register: much of the next one is decided in it.
  always_ff @(posedge clk_i) begin
    over_q <= !rst_i && run_q && !over_q && (tail_q || last_pix || last_pix_d) && (long_q || len_q == MinW'(MinDw - 2));
  end
  // In place the command whose last pass ends is the only one: the slot is empty then, and no pass holds.
  assign load_slot = (InPlace != 0) ? over_q && end_q : ((over_q && end_q) || hold_q) && slot_ok;
  assign free = (InPlace != 0) ? !run_q || over_q : hold_q ? slot_ok : (!run_q || (over_q && (!end_q || slot_ok)));
  assign start_o = tile_rdy_i && free;  // a tile that is ready waits
  assign run_o = run_q;
  assign hold_o = InPlace == 0 && hold_q;

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      run_q  <= 1'b0;
      idle_q <= 1'b1;
      hold_q <= 1'b0;
      slot_q <= 1'b0;
    end else begin
      if (start_o) run_q <= 1'b1;
      else if (over_q) run_q <= 1'b0;
      if (start_o) idle_q <= 1'b0;
      else if (over_q) idle_q <= 1'b1;
      if (load_slot) hold_q <= 1'b0;
      else if (over_q && end_q) hold_q <= 1'b1;
      slot_q <= load_slot || (slot_q && !(fire || drop));
    end
  end

  always_ff @(posedge clk_i) begin
    if (load_slot) begin
      lat_q   <= LatW'(PipeLat - 1);
      empty_q <= 1'b0;
    end else if (!empty_q) begin
      lat_q   <= lat_q - LatW'(1);
      empty_q <= lat_q == LatW'(1);
    end
  end

  // The walk of the next pass is loaded in the last cycle of a pass and while none streams, whether or not it starts: start_o comes late in its cycle.
  always_ff @(posedge clk_i) begin
    if (load_walk) begin
      tail_q <= 1'b0;
      fresh_q <= 1'b1;
      len_q <= (MinDw == MinLen || tile_dw_i) ? '0 : MinW'(MinDw - MinLen);
      long_q <= 1'b0;
      first_q <= tile_first_i;
      end_q <= tile_end_i;
      rows_q <= tile_out_h_i;
      cols_q <= row_len;
      last_row_q <= tile_out_h_i == DimBits'(1);
      last_col_q <= row_len == LenW'(1);
      last_pix_q <= row_len == LenW'(1) && tile_out_h_i == DimBits'(1);
      one_col_q <= row_len == LenW'(1);
      iy_q <= tile_iy_i;
      ix_q <= tile_ix_i;
      ix0_q <= tile_ix_i;
      addr_q <= tile_addr_i;
      line_q <= tile_addr_i;
    end else begin
      fresh_q <= 1'b0;
      if (!long_q) len_q <= len_q + MinW'(1);
      if (len_q == MinW'(MinDw - 2)) long_q <= 1'b1;
      if (last_pix) tail_q <= 1'b1;
      last_pix_q <= last_pix_d;
      if (last_col) begin
        rows_q <= rows_q - DimBits'(1);
        last_row_q <= rows_q == DimBits'(2);
        cols_q <= len_w;
        last_col_q <= one_col_q;
        iy_q <= iy_q + PosW'(sy);
        ix_q <= ix0_q;
        addr_q <= line_q + row_step;
        line_q <= line_q + row_step;
      end else begin
        cols_q <= cols_q - LenW'(1);
        last_col_q <= cols_q == LenW'(2);
        ix_q <= ix_q + PosW'(inc);
        addr_q <= addr_q + {13'd0, inc};
      end
    end
  end

  // A negative row or column is a large one, and outside.
  logic            ix_in;
  logic            hit;  // the word begins an output
  assign ix_in = ix_q < PosW'(in_w);
  assign pix_re_o = run_q && !tail_q;
  // Folded: the word that holds pixel ix and the next one, and which of the Lanes pixels from ix on are outside.
  logic [PixAw*Streams-1:0] word_addr;
  if (Fold > 0) begin : gen_fold
    logic             fold_q, fold1_q;
    logic [LaneW-1:0] lane_q;
    logic [Lanes-1:0] out, out_q;
    logic [15:0]      addr;
    assign addr = line_q + 16'($signed(ix_q) >>> LaneW);
    always_comb begin
      pix_addr_o = word_addr;
      if (fold_q) begin
        pix_addr_o[PixAw-1:0]       = PixAw'(addr);
        pix_addr_o[2*PixAw-1:PixAw] = PixAw'(addr + 16'd1);
      end
      for (int j = 0; j < Lanes; j++) out[j] = !(ix_q + PosW'(j) < PosW'(in_w) && iy_q < PosW'(in_h));
    end
    always_ff @(posedge clk_i) begin
      if (start_o) fold_q <= fold_i && !tile_dw_i;
      fold1_q <= fold_q;
      lane_q  <= ix_q[LaneW-1:0];
      out_q   <= out;
    end
    assign pix_fold_o = fold1_q;
    assign pix_lane_o = lane_q;
    assign pix_out_o = out_q;
  end else begin : gen_no_fold
    assign pix_addr_o = word_addr;
    assign pix_fold_o = 1'b0;
    assign pix_lane_o = '0;
    assign pix_out_o = '0;
    logic unused_fold;
    assign unused_fold = fold_i;
  end

  if (DwBanks > 0) begin : gen_dw
    logic [16:0] iy_wide;
    assign iy_wide = 17'($signed(iy_q));
    assign row_len = tile_dw_i ? tile_dw_len_i : 15'(tile_out_w_i);
    espl_pseq_dw #(
      .Rows   (Rows),
      .Cols   (Cols),
      .PixAw  (PixAw),
      .Streams(Streams)
    ) u_dw (
      .clk_i         (clk_i),
      .start_i       (start_o),
      .tile_dw_i     (tile_dw_i),
      .tile_dw_bank_i(tile_dw_bank_i),
      .tile_dw_step_i(tile_dw_step_i),
      .tile_out_w_i  (12'(tile_out_w_i)),
      .sx_i          (sx_i),
      .dy_i          (dy_i),
      .tile_two_i    (dw_two_i),
      .run_i         (pix_re_o),
      .last_col_i    (last_col),
      .addr_i        (addr_q),
      .iy_i          (iy_wide),
      .ix_in_i       (ix_in),
      .in_h_i        (12'(in_h)),
      .hit_o         (hit),
      .addr_o        (word_addr),
      .pad_o         (pix_pad_o),
      .win_o         (pix_win_o),
      .dw_o          (dw_o),
      .dw_two_o      (dw_two_o)
    );
  end else begin : gen_dense
    logic out_x_q, out_y_q;
    assign row_len = tile_out_w_i;
    assign hit = 1'b1;
    assign word_addr = PixAw'(addr_q);
    always_ff @(posedge clk_i) begin
      out_x_q <= !ix_in;
      out_y_q <= !(iy_q < PosW'(in_h));
    end
    assign pix_pad_o = out_x_q || out_y_q;
    assign pix_win_o = '0;
    assign dw_o = 1'b0;
    assign dw_two_o = 1'b0;
    logic unused_dw;
    assign unused_dw = ^{tile_dw_bank_i, tile_dw_len_i, tile_dw_step_i, dy_i, dw_two_i};
  end

  logic fresh1_q;
  logic [7:0] zi1_q;
  always_ff @(posedge clk_i) begin
    zi1_q    <= zi;
    fresh1_q <= pix_re_o && fresh_q;
    swap_o   <= fresh1_q;
  end
  assign pix_zi_o = zi1_q;

  // The accumulator step follows the pixel through the array; its address is a count from the first pixel on.
  logic [4*StepLat-1:0] step_q;  // stage k: {valid, fresh, first, bank}
  logic [3:0]           ahead;
  assign ahead = step_q[4*(StepLat-2)+:4];
  always_ff @(posedge clk_i) begin
    step_q <= {step_q[4*StepLat-5:0], pix_re_o && hit, fresh_q, first_q, bank};
    if (ahead[3]) step_addr_o <= ahead[2] ? '0 : step_addr_o + AccAw'(1);
    if (rst_i) begin
      for (int k = 0; k < StepLat; k++) step_q[4*k+3] <= 1'b0;
    end
  end
  assign step_valid_o = step_q[4*StepLat-1];
  assign step_first_o = step_q[4*StepLat-3];
  assign step_bank_o = step_q[4*StepLat-4];
  logic unused_fresh;
  assign unused_fresh = ^{step_q[4*StepLat-2], ahead};

endmodule
