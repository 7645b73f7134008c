// The performance counters of hw/spec/counters.tbl, 32 bits each: the first `Counters` of them are built, the others read zero.
// Timing: what happens in cycle t with en_i is in counters_o from t+1 on; clear_i in cycle t makes them zero in t+1. Waiting
// requests are counted a cycle later: none waits in a cycle before the counters are cleared, recorded or read at the end.
module espl_counters #(
  parameter int BusBytes = 16,
  parameter int Counters = 16
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

  // What each counter adds in a cycle in which it counts.
  logic [511:0] add;
  logic [15:0]  on;
  logic [2:0]   wait_q;
  logic         rst_q;  // reset reaches the counters a cycle late
  always_ff @(posedge clk_i) rst_q <= rst_i;
  always_ff @(posedge clk_i) wait_q <= (en_i && !clear_i) ? bus_wait_i : 3'd0;
  always_comb begin
    add = '0;
    on  = '0;
    add[32*espl_pkg::CntCycles+:32]       = 32'd1;
    on[espl_pkg::CntCycles]               = 1'b1;
    add[32*espl_pkg::CntMacs+:32]         = macs_i;
    add[32*espl_pkg::CntMacsDense+:32]    = macs_dense_i;
    add[32*espl_pkg::CntTiles+:32]        = {16'd0, tiles_i};
    add[32*espl_pkg::CntTilesSkipped+:32] = {16'd0, skipped_i};
    on[espl_pkg::CntMacs]                 = cmd_i;
    on[espl_pkg::CntMacsDense]            = cmd_i;
    on[espl_pkg::CntTiles]                = cmd_i;
    on[espl_pkg::CntTilesSkipped]         = cmd_i;
    add[32*espl_pkg::CntReadBytes+:32]    = 32'd1 << BusSh;
    add[32*espl_pkg::CntWriteBytes+:32]   = 32'd1 << BusSh;
    on[espl_pkg::CntReadBytes]            = rd_beat_i;
    on[espl_pkg::CntWriteBytes]           = wr_beat_i;
    add[32*espl_pkg::CntBus+:32]          = {29'd0, wait_q};
    on[espl_pkg::CntBus]                  = 1'b1;
    for (int i = 0; i < 8; i++) begin
      add[32*cause_of(i)+:32] = 32'd1;
      on[cause_of(i)]         = cause_i == 3'(i);
    end
  end

  // Counter of a cause.
  function automatic int cause_of(input int i);
    case (i)
      0: cause_of = espl_pkg::CntBusy;
      1: cause_of = espl_pkg::CntStallLoad;
      2: cause_of = espl_pkg::CntStallStore;
      3: cause_of = espl_pkg::CntStallBank;
      4: cause_of = espl_pkg::CntStallWeights;
      5: cause_of = espl_pkg::CntStallFill;
      6: cause_of = espl_pkg::CntStallFull;
      default: cause_of = espl_pkg::CntIdle;
    endcase
  endfunction

  for (genvar k = 0; k < 16; k++) begin : gen_counter
    if (k < Counters) begin : gen_built
      logic [31:0] cnt_q;
      always_ff @(posedge clk_i) begin
        if (rst_q || clear_i) cnt_q <= 32'd0;
        else if ((en_i || k == espl_pkg::CntBus) && on[k]) cnt_q <= cnt_q + add[32*k+:32];
      end
      assign counters_o[32*k+:32] = cnt_q;
    end else begin : gen_zero
      assign counters_o[32*k+:32] = 32'd0;
      logic unused;
      assign unused = &{1'b0, on[k], add[32*k+:32]};
    end
  end

endmodule
