// Byte buffer written by bus beats and read in units of a power-of-two number of bytes (pixel word, weight row, entry).
// A memory word is max(Beat, Unit) bytes: the narrower side selects its part of the word.
// Timing: write in cycle t is seen by a read that starts in t+1; a read with re_i in cycle t gives rdata_o in t+1
// (registered memory, then the part multiplexer), held while re_i is low. Addresses wrap at the size of the buffer.
module espl_beatbuf #(
  parameter int Aw   = 10,  // log2 of the bytes of the buffer
  parameter int Beat = 16,  // bytes of a beat
  parameter int Unit = 4,   // bytes read at once
  // derived
  parameter int Word   = (Beat > Unit) ? Beat : Unit,
  parameter int WordSh = $clog2(Word),
  parameter int UnitSh = $clog2(Unit),
  parameter int BeatSh = $clog2(Beat),
  parameter int UnitAw = Aw - UnitSh,
  parameter int BeatAw = Aw - BeatSh
) (
  input  logic              clk_i,
  input  logic              we_i,
  input  logic [BeatAw-1:0] waddr_i,  // in beats
  input  logic [8*Beat-1:0] wdata_i,
  input  logic [Beat-1:0]   wstrb_i,
  input  logic              re_i,
  input  logic [UnitAw-1:0] raddr_i,  // in units
  output logic [8*Unit-1:0] rdata_o
);

  logic [8*Word-1:0]      ram_rdata;
  logic [8*Word-1:0]      ram_wdata;
  logic [Word-1:0]        ram_wstrb;
  logic [Aw-WordSh-1:0]   ram_waddr;
  logic [Aw-WordSh-1:0]   ram_raddr;

  espl_sdp_ram #(
    .Depth(1 << (Aw - WordSh)),
    .Width(Word)
  ) u_ram (
    .clk_i  (clk_i),
    .we_i   (we_i),
    .wstrb_i(ram_wstrb),
    .waddr_i(ram_waddr),
    .wdata_i(ram_wdata),
    .re_i   (re_i),
    .raddr_i(ram_raddr),
    .rdata_o(ram_rdata)
  );

  assign ram_waddr = waddr_i[BeatAw-1:WordSh-BeatSh];
  assign ram_raddr = raddr_i[UnitAw-1:WordSh-UnitSh];

  if (Word > Beat) begin : gen_narrow_beat
    always_comb begin
      ram_wstrb = '0;
      for (int i = 0; i < Word / Beat; i++) begin
        if (waddr_i[WordSh-BeatSh-1:0] == (WordSh-BeatSh)'(i)) ram_wstrb[i*Beat+:Beat] = wstrb_i;
      end
    end
    assign ram_wdata = {(Word / Beat) {wdata_i}};
  end else begin : gen_full_beat
    assign ram_wstrb = wstrb_i;
    assign ram_wdata = wdata_i;
  end

  if (Word > Unit) begin : gen_narrow_unit
    logic [WordSh-UnitSh-1:0] part_q;
    always_ff @(posedge clk_i) begin
      if (re_i) part_q <= raddr_i[WordSh-UnitSh-1:0];
    end
    assign rdata_o = ram_rdata[part_q*(8*Unit)+:8*Unit];
  end else begin : gen_full_unit
    assign rdata_o = ram_rdata;
  end

endmodule
