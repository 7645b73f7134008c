// Simple dual-port memory: one write port with byte enables, one registered read port with read enable.
// Timing: a write in cycle t is seen by a read that starts in cycle t+1; rdata_o holds the word read with re_i in the
// cycle before and keeps it while re_i is low. A read and a write of one word in the same cycle is never asked for where
// the data matters (no_rw_check: the result of such a read is undefined in hardware).
module espl_sdp_ram #(
  parameter int Depth = 256,  // words
  parameter int Width = 4,    // bytes of a word
  // derived
  parameter int AddrW = (Depth > 1) ? $clog2(Depth) : 1
) (
  input  logic               clk_i,
  input  logic               we_i,
  input  logic [Width-1:0]   wstrb_i,
  input  logic [AddrW-1:0]   waddr_i,
  input  logic [8*Width-1:0] wdata_i,
  input  logic               re_i,
  input  logic [AddrW-1:0]   raddr_i,
  output logic [8*Width-1:0] rdata_o
);

  (* no_rw_check *) logic [8*Width-1:0] mem[0:Depth-1];

  always_ff @(posedge clk_i) begin
    if (we_i) begin
      for (int i = 0; i < Width; i++) begin
        if (wstrb_i[i]) mem[waddr_i][8*i+:8] <= wdata_i[8*i+:8];
      end
    end
    if (re_i) rdata_o <= mem[raddr_i];
  end

endmodule
