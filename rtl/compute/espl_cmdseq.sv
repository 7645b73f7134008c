// Front of the compute unit: works on the head of the queue while the tiles of the command before are still walked.
// CFG: written in one cycle (COMP_TAPS when no command is being walked, COMP_GEOM when moreover no tile waits for its pass,
// COMP_WGT and COMP_TABLE when moreover no weight row is addressed in this cycle or was in the one before).
// COMPUTE: first cycle with all tokens there: pops; a later cycle with the bank free (first) and the walker free: hand_o, in which
// the walker takes q_cmd_i, the bank is taken, the entry leaves the queue (in place: when the command has retired). With stop_i nothing is taken, popped tokens included.
// cnt_* : one pulse a command, in the cycle after hand_o.
module espl_cmdseq #(
  parameter int WBits = 8,
  parameter int WInt4 = 0,
  parameter int WBook = 0,
  parameter int DimBits = 12,  // bits of a size
  parameter int Kernel  = 16,  // kernel rows and columns at most
  parameter int InPlace = 0    // 1: the entry stays until the command has retired (retire_i)
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         q_valid_i,
  input  logic [127:0] q_cmd_i,
  output logic         q_pop_o,
  input  logic         stop_i,
  input  logic         lc_avail_i,
  output logic         lc_pop_o,
  input  logic         sc_avail_i,
  output logic         sc_pop_o,
  input  logic         bank_free_i,    // the bank of the head
  output logic         bank_take_o,
  input  logic         walk_valid_i,   // the walker holds a command
  input  logic         tile_wait_i,    // a tile has been taken and its pass not started
  input  logic         rows_busy_i,    // a weight row is addressed in this cycle or was in the one before
  input  logic         retire_i,       // InPlace: the command handed over is done
  output logic         head_o,         // the head is there and not handed over
  output logic         hand_o,
  output logic         popped_o,       // tokens of the head are popped
  output logic         wait_load_o,    // the head waits for a token of load, of store, for its bank
  output logic         wait_store_o,
  output logic         wait_bank_o,
  output logic         act_o,          // the front does something in this cycle
  output logic [DimBits-1:0] in_h_o,
  output logic [DimBits-1:0] in_w_o,
  output logic [DimBits-1:0] row_words_o,
  output logic [15:0]  plane_words_o,
  output logic [2:0]   sy_o,
  output logic [2:0]   sx_o,
  output logic [3:0]   dy_o,
  output logic [3:0]   dx_o,
  output logic [7:0]   zi_o,
  output logic [1:0]   dw_rows_o,
  output logic [3:0]   dw_cols_o,
  output logic         fold_o,
  output logic [Kernel-1:0] ky_mask_o,
  output logic [Kernel-1:0] kx_mask_o,
  output logic [3:0]   w_bits_o,       // format of stored weights
  output logic         w_book_o,
  output logic         table_we_o,     // q_cmd_i holds eight entries of the codebook
  output logic         cnt_cmd_o,
  output logic [31:0]  cnt_macs_o,
  output logic [31:0]  cnt_macs_dense_o,
  output logic [15:0]  cnt_tiles_o,
  output logic [15:0]  cnt_skipped_o
);

  logic        is_cfg;
  logic        need_bank;
  logic        pops_ok;
  logic        do_cfg;
  logic        do_pops;
  logic        popped_q;
  logic        handed;     // in place: the head is the command in work
  logic [15:0] tiles_total_q;

  assign is_cfg = q_cmd_i[3:0] == espl_pkg::OpCfg;
  assign wait_load_o = q_cmd_i[espl_pkg::ComputePopLoadLsb] && !lc_avail_i;
  assign wait_store_o = q_cmd_i[espl_pkg::ComputePopStoreLsb] && !sc_avail_i;
  assign need_bank = q_cmd_i[espl_pkg::ComputeFirstLsb];
  assign wait_bank_o = need_bank && !bank_free_i;
  assign pops_ok = !wait_load_o && !wait_store_o;
  logic cfg_geom, cfg_taps, cfg_format;
  assign cfg_geom = q_cmd_i[espl_pkg::CfgIndexLsb+:3] == espl_pkg::CfgCompGeom;
  assign head_o = q_valid_i && !handed;
  assign do_cfg = q_valid_i && !stop_i && is_cfg && !walk_valid_i && !(cfg_geom && tile_wait_i) && !(cfg_format && rows_busy_i);
  assign do_pops = head_o && !stop_i && !is_cfg && !popped_q && pops_ok;
  assign hand_o = popped_q && !stop_i && !walk_valid_i && !wait_bank_o;
  assign q_pop_o = do_cfg || ((InPlace != 0) ? retire_i : hand_o);
  assign lc_pop_o = do_pops && q_cmd_i[espl_pkg::ComputePopLoadLsb];
  assign sc_pop_o = do_pops && q_cmd_i[espl_pkg::ComputePopStoreLsb];
  assign bank_take_o = hand_o && need_bank;
  assign popped_o = popped_q;
  assign act_o = do_cfg || do_pops || hand_o || (popped_q && stop_i);

  if (InPlace != 0) begin : gen_place
    logic handed_q;
    always_ff @(posedge clk_i) handed_q <= !rst_i && (hand_o || (handed_q && !retire_i));
    assign handed = handed_q;
  end else begin : gen_queued
    assign handed = 1'b0;
    logic unused;
    assign unused = retire_i;
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) popped_q <= 1'b0;
    else if (stop_i || hand_o) popped_q <= 1'b0;
    else if (do_pops) popped_q <= 1'b1;
  end

  if (WInt4 > 0 || WBook > 0) begin : gen_formats
    logic [3:0] bits_q;
    logic       book_q;
    assign cfg_format = q_cmd_i[espl_pkg::CfgIndexLsb+1];
    assign cfg_taps   = !cfg_geom && !cfg_format;
    assign table_we_o = do_cfg && cfg_format && q_cmd_i[espl_pkg::CfgIndexLsb];
    assign w_bits_o   = bits_q;
    assign w_book_o   = book_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        bits_q <= 4'(WBits);
        book_q <= 1'b0;
      end else if (do_cfg && cfg_format && !table_we_o) begin
        bits_q <= q_cmd_i[espl_pkg::CompWgtBitsLsb+:4];
        book_q <= q_cmd_i[espl_pkg::CompWgtBookLsb];
      end
    end
  end else begin : gen_one_format
    assign cfg_format = 1'b0;
    assign cfg_taps   = !cfg_geom;
    assign table_we_o = 1'b0;
    assign w_bits_o   = 4'(WBits);
    assign w_book_o   = 1'b0;
    logic unused_rows;
    assign unused_rows = rows_busy_i;
  end

  always_ff @(posedge clk_i) begin
    if (do_cfg && cfg_geom) begin
      in_h_o        <= q_cmd_i[espl_pkg::CompGeomInHLsb+:DimBits];
      in_w_o        <= q_cmd_i[espl_pkg::CompGeomInWLsb+:DimBits];
      row_words_o   <= q_cmd_i[espl_pkg::CompGeomRowWordsLsb+:DimBits];
      plane_words_o <= q_cmd_i[espl_pkg::CompGeomPlaneWordsLsb+:16];
      sy_o          <= q_cmd_i[espl_pkg::CompGeomSyLsb+:3];
      sx_o          <= q_cmd_i[espl_pkg::CompGeomSxLsb+:3];
      dy_o          <= q_cmd_i[espl_pkg::CompGeomDyLsb+:4];
      dx_o          <= q_cmd_i[espl_pkg::CompGeomDxLsb+:4];
      zi_o          <= q_cmd_i[espl_pkg::CompGeomZiLsb+:8];
      dw_rows_o     <= q_cmd_i[espl_pkg::CompGeomDwRowsLsb+:2];
      fold_o        <= q_cmd_i[espl_pkg::CompGeomFoldLsb];
      dw_cols_o     <= q_cmd_i[espl_pkg::CompGeomDwColsLsb+:4];
    end
    if (do_cfg && cfg_taps) begin
      ky_mask_o        <= q_cmd_i[espl_pkg::CompTapsKyMaskLsb+:Kernel];
      kx_mask_o        <= q_cmd_i[espl_pkg::CompTapsKxMaskLsb+:Kernel];
      tiles_total_q    <= q_cmd_i[espl_pkg::CompTapsTilesTotalLsb+:16];
      cnt_macs_o       <= q_cmd_i[espl_pkg::CompTapsMacsLsb+:32];
      cnt_macs_dense_o <= q_cmd_i[espl_pkg::CompTapsMacsDenseLsb+:32];
    end
  end

  // No CFG can be written in the cycle after a hand-over, so the macs registers belong to the command counted.
  always_ff @(posedge clk_i) begin
    cnt_cmd_o     <= hand_o && !rst_i;
    cnt_tiles_o   <= q_cmd_i[espl_pkg::ComputeNTilesLsb+:16];
    cnt_skipped_o <= tiles_total_q - q_cmd_i[espl_pkg::ComputeNTilesLsb+:16];
  end

endmodule
