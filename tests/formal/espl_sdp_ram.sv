// Stand-in for the memory in proofs: follows one word at an arbitrary, fixed address; every other word reads as anything, and so does the
// followed one when it is written in the cycle in which it is read. What is proved with it holds for every word of the real memory.
module espl_sdp_ram #(
  parameter int Depth = 256,
  parameter int Width = 4,
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

  (* anyconst *) logic [AddrW-1:0]   follow;
  (* anyseq *)   logic [8*Width-1:0] other;
  logic [8*Width-1:0] word_q;
  logic               here;

  assign here = we_i && waddr_i == follow;
  always_ff @(posedge clk_i) begin
    for (int i = 0; i < Width; i++) begin
      if (here && wstrb_i[i]) word_q[8*i+:8] <= wdata_i[8*i+:8];
    end
    if (re_i) rdata_o <= (raddr_i == follow && !here) ? word_q : other;
  end

endmodule
