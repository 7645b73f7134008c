// Writes the 64-byte record of a MARK: 16 counters of 32 bits, in order.
// Timing: its address is taken in cycles with take_i; start_i in cycle t raises the request (visible in t+1); beats are shown ahead from the counters, which stand still meanwhile.
module espl_fetch_mark #(
  parameter int BusBytes = 16,
  // derived
  parameter int Beats = 64 / BusBytes,
  parameter int BeatW = $clog2(Beats)
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  take_i,
  input  logic                  start_i,
  input  logic [31:8]           record_i,
  input  logic [511:0]          counters_i,
  output logic                  wq_valid_o,
  output logic [31:0]           wq_addr_o,
  output logic [6:0]            wq_beats_o,
  input  logic                  wq_gnt_i,
  input  logic                  wd_take_i,
  output logic [8*BusBytes-1:0] wd_data_o,
  output logic [BusBytes-1:0]   wd_strb_o
);

  logic             valid_q;
  logic [31:8]      addr_q;
  logic [BeatW-1:0] beat_q;

  assign wq_valid_o = valid_q;
  assign wq_addr_o  = {addr_q, 8'd0};
  assign wq_beats_o = 7'(Beats);
  // Selection by halves, one bit of the beat number at a time: the smallest form in logic.
  for (genvar k = 0; k <= BeatW; k++) begin : gen_half
    logic [(512>>k)-1:0] part;
    if (k == 0) begin : gen_all
      assign part = counters_i;
    end else begin : gen_pick
      assign part = beat_q[BeatW-k] ? gen_half[k-1].part[(1024>>k)-1:512>>k] : gen_half[k-1].part[(512>>k)-1:0];
    end
  end
  assign wd_data_o  = gen_half[BeatW].part;
  assign wd_strb_o  = {BusBytes{1'b1}};

  always_ff @(posedge clk_i) begin
    if (take_i) addr_q <= record_i;
    if (rst_i) begin
      valid_q <= 1'b0;
      beat_q  <= '0;
    end else begin
      if (start_i) valid_q <= 1'b1;
      else if (wq_gnt_i) valid_q <= 1'b0;
      if (wd_take_i) beat_q <= beat_q + 1'b1;  // Beats is a power of two: back at 0 after the record
    end
  end

endmodule
