// Turns returning beats into buffer writes and counts finished weight tiles.
// Timing: a beat in cycle t is on bw_* in t+1, its credits on credit_o in t+2, and done_o (last beat of a command) is high in t+1.
// Law: a tile is Rows rows of ceil(Cols*bits/8) bytes of a command, counted from its first byte (bits = WBits without Choice); bytes of a tile cut off at the end give no credit;
// from the first faulty beat on a command gives no credit.
module espl_load_beat #(
  parameter int Rows     = 16,
  parameter int Cols     = 16,
  parameter int BusBytes = 16,
  parameter int WBits    = 8,
  parameter bit Choice   = 1'b0,  // formats of other widths are built
  // derived
  parameter int BusSh  = $clog2(BusBytes),
  parameter int UnitSh = $clog2(Choice ? Rows * ((Cols > 8) ? Cols / 8 : 1) : Rows * Cols * WBits / 8)  // tiles are made of such pieces
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  // oldest open burst, steady until its last beat
  input  logic [1:0]            sel_i,
  input  logic                  credit_i,     // credits are wanted
  input  logic [3:0]            bits_i,       // of a stored weight
  input  logic [7:0]            bank_i,
  input  logic [19:BusSh]       dst_i,        // beat address of the first beat
  input  logic [BusSh-1:0]      lane_i,       // lane of the first byte in the first beat
  input  logic [BusSh-1:0]      end_i,        // lane behind the last byte in the last beat
  input  logic                  cmd_last_i,   // last burst of its command
  input  logic                  rd_valid_i,
  input  logic [8*BusBytes-1:0] rd_data_i,
  input  logic                  rd_last_i,
  input  logic                  rd_err_i,
  output logic                  bw_we_o,
  output logic [1:0]            bw_sel_o,
  output logic [7:0]            bw_bank_o,
  output logic [19:0]           bw_addr_o,
  output logic [8*BusBytes-1:0] bw_data_o,
  output logic [BusBytes-1:0]   bw_strb_o,
  output logic [4:0]            credit_o,
  output logic                  done_o,
  output logic                  done_err_o,   // with done_o: the command met a faulty beat
  output logic                  err_o         // pulse in t+1: first faulty beat of a command
);

  // position of byte b of this beat in the burst's aligned span is pos_q + b; the run is [lane, end)
  logic [8:0]          pos_q;                 // beat_q * BusBytes, at most 256
  logic                whole;                 // the beat's last byte is inside the run
  logic [BusBytes-1:0] strb;
  logic [5:0]          n_first, n_upto, count_in, count;
  logic                first_beat, bad;
  logic                err_q;                 // an earlier beat of this command was faulty
  logic                we_q, done_q, done_err_q, err_pulse_q, credit_on_q, cmd_end_q;
  logic [5:0]          count_q;
  logic [4:0]          credit_q;
  logic [UnitSh-1:0]   part_q;                // bytes of the unfinished unit
  logic [UnitSh+6:0]   part_sum;
  logic [4:0]          units, tiles;          // finished with the beat of the cycle before

  assign first_beat = pos_q == 9'd0;
  assign whole      = !rd_last_i || end_i == '0;  // only a burst's last beat can hold less
  assign bad        = err_q || rd_err_i;

  always_comb begin
    for (int b = 0; b < BusBytes; b++) begin
      strb[b] = (whole || BusSh'(b) < end_i) && (!first_beat || (BusSh'(b) >= lane_i));
    end
  end

  // bytes of this beat inside the run
  assign n_first  = first_beat ? {{(6 - BusSh) {1'b0}}, lane_i} : 6'd0;
  assign n_upto   = whole ? 6'(BusBytes) : {{(6 - BusSh) {1'b0}}, end_i};
  if (Choice) begin : gen_count
    assign count_in = n_upto - n_first;
    assign count    = count_q;
  end else begin : gen_count_late
    // Nothing else hangs on the finished units: the difference is taken with them.
    logic [5:0] first_q;
    always_ff @(posedge clk_i) first_q <= n_first;
    assign count_in = n_upto;
    assign count    = count_q - first_q;
  end
  assign part_sum = {7'd0, part_q} + {{(UnitSh + 1) {1'b0}}, count};
  assign units    = 5'(part_sum >> UnitSh);

  // Units to tiles of 1..8 units. A beat ends at most MaxUnits of them.
  if (Choice) begin : gen_tiles
    localparam int MaxUnits = ((BusBytes >> UnitSh) > 1) ? BusBytes >> UnitSh : 1;
    logic [3:0] per_tile_q;
    logic [2:0] pending_q;                    // units of the unfinished tile
    logic [7:0] sum;
    if (Cols >= 8) begin : gen_wide
      always_ff @(posedge clk_i) per_tile_q <= bits_i;
    end else if (Cols == 4) begin : gen_four
      always_ff @(posedge clk_i) per_tile_q <= (bits_i + 4'd1) >> 1;
    end else begin : gen_two
      always_ff @(posedge clk_i) per_tile_q <= (bits_i + 4'd3) >> 2;
    end
    assign sum = {5'd0, pending_q} + {3'd0, units};
    always_comb begin
      tiles = 5'd0;
      for (int j = 1; j <= MaxUnits; j++) if (sum >= 8'(j) * {4'd0, per_tile_q}) tiles = 5'(j);
    end
    always_ff @(posedge clk_i) begin
      if (rst_i) pending_q <= 3'd0;
      else if (we_q) pending_q <= cmd_end_q ? 3'd0 : 3'(sum - {3'd0, tiles} * {4'd0, per_tile_q});
    end
  end else begin : gen_one_size
    assign tiles = units;
    logic unused_bits;
    assign unused_bits = ^bits_i;
  end

  assign bw_we_o    = we_q;
  assign credit_o   = credit_q;
  assign done_o     = done_q;
  assign done_err_o = done_err_q;
  assign err_o      = err_pulse_q;

  always_ff @(posedge clk_i) begin
    bw_sel_o  <= sel_i;
    bw_bank_o <= bank_i;
    bw_addr_o <= {dst_i, {BusSh{1'b0}}} + {11'd0, pos_q};
    bw_data_o <= rd_data_i;
    bw_strb_o <= strb;
    count_q   <= count_in;
    cmd_end_q <= rd_last_i && cmd_last_i;
    done_err_q <= bad;
    if (rst_i) begin
      pos_q       <= 9'd0;
      err_q       <= 1'b0;
      we_q        <= 1'b0;
      done_q      <= 1'b0;
      err_pulse_q <= 1'b0;
      credit_on_q <= 1'b0;
      credit_q    <= 5'd0;
      part_q      <= '0;
    end else begin
      we_q        <= rd_valid_i;
      done_q      <= rd_valid_i && rd_last_i && cmd_last_i;
      err_pulse_q <= rd_valid_i && rd_err_i && !err_q;
      credit_on_q <= credit_i && !bad;
      if (rd_valid_i) begin
        pos_q <= rd_last_i ? 9'd0 : pos_q + 9'(BusBytes);
        err_q <= bad && !(rd_last_i && cmd_last_i);
      end
      credit_q <= 5'd0;
      if (we_q) begin
        if (credit_on_q) credit_q <= tiles;
        part_q <= cmd_end_q ? '0 : part_sum[UnitSh-1:0];
      end
    end
  end

endmodule
