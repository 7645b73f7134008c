// Byte buffer written by bus beats and read as a window of Cols bytes from any unit on: rows of any number of units, one a cycle.
// Even and odd memory words lie in two memories, so a window and the word behind it are read together.
// Timing: write in cycle t is seen by a read that starts in t+1; a read with re_i in cycle t gives window_o in t+1, held while re_i is low.
// Addresses wrap at the size of the buffer.
module espl_weights_window #(
  parameter int Cols     = 4,
  parameter int BusBytes = 4,
  parameter int WgtAw    = 10,
  parameter int UnitSh   = 0,   // log2 of the bytes of a unit, less than log2(Cols)
  // derived
  parameter int BeatSh = $clog2(BusBytes),
  parameter int Word   = (BusBytes > Cols) ? BusBytes : Cols,
  parameter int WordSh = $clog2(Word),
  parameter int WordAw = WgtAw - WordSh
) (
  input  logic                    clk_i,
  input  logic                    we_i,
  input  logic [WgtAw-BeatSh-1:0] waddr_i,
  input  logic [8*BusBytes-1:0]   wdata_i,
  input  logic [BusBytes-1:0]     wstrb_i,
  input  logic                    re_i,
  input  logic [WgtAw-UnitSh-1:0] raddr_i,
  output logic [8*Cols-1:0]       window_o
);

  localparam int Depth  = 1 << (WordAw - 1);
  localparam int BankAw = (Depth > 1) ? WordAw - 1 : 1;
  localparam int OffW   = WordSh - UnitSh;

  logic [WordAw-1:0]  waddr, raddr, next;
  logic [8*Word-1:0]  wdata;
  logic [Word-1:0]    wstrb;
  logic [16*Word-1:0] words;  // even word below
  logic [16*Word-1:0] cat;    // the word of the window below, the next one above
  logic [OffW-1:0]    off_q;
  logic               odd_q;

  assign waddr = waddr_i[WgtAw-BeatSh-1:WordSh-BeatSh];
  assign raddr = raddr_i[WgtAw-UnitSh-1:OffW];
  assign next  = raddr + WordAw'(1);

  if (Word > BusBytes) begin : gen_narrow_beat
    always_comb begin
      wstrb = '0;
      for (int i = 0; i < Word / BusBytes; i++) begin
        if (waddr_i[WordSh-BeatSh-1:0] == (WordSh-BeatSh)'(i)) wstrb[i*BusBytes+:BusBytes] = wstrb_i;
      end
    end
    assign wdata = {(Word / BusBytes) {wdata_i}};
  end else begin : gen_full_beat
    assign wstrb = wstrb_i;
    assign wdata = wdata_i;
  end

  espl_sdp_ram #(
    .Depth(Depth),
    .Width(Word)
  ) u_even (
    .clk_i  (clk_i),
    .we_i   (we_i && !waddr[0]),
    .wstrb_i(wstrb),
    .waddr_i(BankAw'(waddr >> 1)),
    .wdata_i(wdata),
    .re_i   (re_i),
    .raddr_i(BankAw'(next >> 1)),
    .rdata_o(words[8*Word-1:0])
  );
  espl_sdp_ram #(
    .Depth(Depth),
    .Width(Word)
  ) u_odd (
    .clk_i  (clk_i),
    .we_i   (we_i && waddr[0]),
    .wstrb_i(wstrb),
    .waddr_i(BankAw'(waddr >> 1)),
    .wdata_i(wdata),
    .re_i   (re_i),
    .raddr_i(BankAw'(raddr >> 1)),
    .rdata_o(words[16*Word-1:8*Word])
  );

  always_ff @(posedge clk_i) begin
    if (re_i) begin
      off_q <= raddr_i[OffW-1:0];
      odd_q <= raddr[0];
    end
  end
  assign cat      = odd_q ? {words[8*Word-1:0], words[16*Word-1:8*Word]} : words;
  assign window_o = cat[{1'b0, off_q, {(UnitSh + 3) {1'b0}}}+:8*Cols];

endmodule
