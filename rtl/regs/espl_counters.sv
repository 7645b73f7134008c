// The 16 performance counters of hw/spec/counters.tbl, 32 bits each.
// Timing: what happens in cycle t with en_i is in counters_o from t+1 on; clear_i in cycle t makes them zero in t+1.
module espl_counters #(
  parameter int BusBytes = 16
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         clear_i,
  input  logic         en_i,
  input  logic [2:0]   cause_i,    // 0 busy, 1 load, 2 store, 3 bank, 4 weights, 5 fill, 6 full, 7 idle
  input  logic         cmd_i,      // a compute command has finished
  input  logic [31:0]  macs_i,
  input  logic [31:0]  macs_dense_i,
  input  logic [15:0]  tiles_i,
  input  logic [15:0]  skipped_i,
  input  logic         rd_beat_i,
  input  logic         wr_beat_i,
  input  logic [2:0]   bus_wait_i,
  output logic [511:0] counters_o
);

  localparam int BusSh = $clog2(BusBytes);

  logic [31:0]       cycles_q, macs_q, macs_dense_q, tiles_q, skipped_q, bus_q;
  logic [31:0]       cause_q[0:7];
  logic [31-BusSh:0] rd_beats_q, wr_beats_q;
  logic              zero;

  assign zero = rst_i || clear_i;

  for (genvar i = 0; i < 8; i++) begin : gen_cause
    always_ff @(posedge clk_i) begin
      if (zero) cause_q[i] <= 32'd0;
      else if (en_i && (cause_i == 3'(i))) cause_q[i] <= cause_q[i] + 32'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    if (zero) begin
      cycles_q     <= 32'd0;
      macs_q       <= 32'd0;
      macs_dense_q <= 32'd0;
      tiles_q      <= 32'd0;
      skipped_q    <= 32'd0;
      bus_q        <= 32'd0;
      rd_beats_q   <= '0;
      wr_beats_q   <= '0;
    end else if (en_i) begin
      cycles_q <= cycles_q + 32'd1;
      bus_q    <= bus_q + {29'd0, bus_wait_i};
      if (rd_beat_i) rd_beats_q <= rd_beats_q + 1'b1;
      if (wr_beat_i) wr_beats_q <= wr_beats_q + 1'b1;
      if (cmd_i) begin
        macs_q       <= macs_q + macs_i;
        macs_dense_q <= macs_dense_q + macs_dense_i;
        tiles_q      <= tiles_q + {16'd0, tiles_i};
        skipped_q    <= skipped_q + {16'd0, skipped_i};
      end
    end
  end

  assign counters_o[32*espl_pkg::CntCycles+:32]       = cycles_q;
  assign counters_o[32*espl_pkg::CntBusy+:32]         = cause_q[0];
  assign counters_o[32*espl_pkg::CntMacs+:32]         = macs_q;
  assign counters_o[32*espl_pkg::CntMacsDense+:32]    = macs_dense_q;
  assign counters_o[32*espl_pkg::CntStallLoad+:32]    = cause_q[1];
  assign counters_o[32*espl_pkg::CntStallStore+:32]   = cause_q[2];
  assign counters_o[32*espl_pkg::CntStallBank+:32]    = cause_q[3];
  assign counters_o[32*espl_pkg::CntStallWeights+:32] = cause_q[4];
  assign counters_o[32*espl_pkg::CntStallFill+:32]    = cause_q[5];
  assign counters_o[32*espl_pkg::CntStallFull+:32]    = cause_q[6];
  assign counters_o[32*espl_pkg::CntIdle+:32]         = cause_q[7];
  assign counters_o[32*espl_pkg::CntReadBytes+:32]    = {rd_beats_q, {BusSh{1'b0}}};
  assign counters_o[32*espl_pkg::CntWriteBytes+:32]   = {wr_beats_q, {BusSh{1'b0}}};
  assign counters_o[32*espl_pkg::CntTiles+:32]        = tiles_q;
  assign counters_o[32*espl_pkg::CntTilesSkipped+:32] = skipped_q;
  assign counters_o[32*espl_pkg::CntBus+:32]          = bus_q;

endmodule
