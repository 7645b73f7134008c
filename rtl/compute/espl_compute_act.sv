// Activation buffers and the registers in front of the array. Without native depthwise one word of Group bytes is read from each bank.
// With it (DwBanks > 0) every bank is cut into interleaved parts, word a in part a mod Parts, and each stream reads a word of its own:
// the pixel of stream 0 and one pixel for every further kernel row of a depthwise pass. Words of streams in use must lie in different
// parts (hw/spec/numerics.md); where two meet, the lower stream gets its word.
// Timing: an address in cycle x gives the word in x+1; a_o and feed_o hold it in x+2, pad and zero point come in x+1.
module espl_compute_act #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int BusBytes = 4,
  parameter int ActAw = 10,
  parameter int DwBanks = 0,
  parameter int Fold = 0,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Group = (MinRc < 16) ? MinRc : 16,
  parameter int PixAw = (ActAw - $clog2(Group) < 16) ? ActAw - $clog2(Group) : 16,
  parameter int Streams = (DwBanks > 0) ? DwBanks : 1,
  parameter int Lanes = (Fold > 0) ? Rows / 4 : 1,
  parameter int LaneW = (Lanes > 1) ? $clog2(Lanes) : 1,
  parameter int Windows = Rows / MinRc,
  parameter int WinW = (Windows > 1) ? $clog2(Windows) : 1
) (
  input  logic                       clk_i,
  input  logic                       bw_we_i,     // a beat for the activations
  input  logic [7:0]                 bw_bank_i,
  input  logic [19:0]                bw_addr_i,
  input  logic [8*BusBytes-1:0]      bw_data_i,
  input  logic [BusBytes-1:0]        bw_strb_i,
  input  logic                       pix_re_i,
  input  logic [PixAw*Streams-1:0]   pix_addr_i,
  input  logic [Streams-1:0]         pix_pad_i,
  input  logic [7:0]                 pix_zi_i,
  input  logic                       pix_fold_i,  // with pad: four-byte pixels from pixel pix_lane_i of stream 0's word on, into stream 1's
  input  logic [LaneW-1:0]           pix_lane_i,
  input  logic [Lanes-1:0]           pix_out_i,   // those of them that are padding
  input  logic [WinW-1:0]            pix_win_i,   // with pad: which MinRc rows' banks feed the columns
  output logic [8*Rows-1:0]          a_o,         // word of stream 0, all banks
  output logic [8*MinRc*Streams-1:0] feed_o       // depthwise: MinRc channels of each stream
);

  localparam int GroupSh = $clog2(Group);
  localparam int BeatSh = $clog2(BusBytes);
  localparam int Banks = Rows / Group;
  localparam int PartSh = (DwBanks > 2) ? 2 : ((DwBanks == 2) ? 1 : 0);
  localparam int Parts = 1 << PartSh;
  localparam int Beat = (Parts > 1 && BusBytes > Group) ? Group : BusBytes;  // of one part
  localparam int PartAw = ActAw - PartSh;
  localparam int WordAw = PartAw - GroupSh;

  logic [8*Rows*Parts-1:0]   part_word;   // part p of all banks
  logic [WordAw*Parts-1:0]   part_addr;
  logic [Parts-1:0]          part_we;
  logic [PartAw-$clog2(Beat)-1:0] part_waddr;

  // The address without the bits that choose the part.
  if (Parts == 1) begin : gen_whole
    assign part_we = bw_we_i;
    assign part_waddr = bw_addr_i[ActAw-1:BeatSh];
  end else if (BusBytes > Group) begin : gen_wide
    assign part_waddr = bw_addr_i[ActAw-1:GroupSh+PartSh];
    for (genvar p = 0; p < Parts; p++) begin : gen_we
      if (BusBytes == Group * Parts) assign part_we[p] = bw_we_i;
      else assign part_we[p] = bw_we_i && bw_addr_i[GroupSh+PartSh-1:BeatSh] == (GroupSh + PartSh - BeatSh)'(p / (BusBytes / Group));
    end
  end else begin : gen_narrow
    if (BusBytes == Group) assign part_waddr = bw_addr_i[ActAw-1:GroupSh+PartSh];
    else assign part_waddr = {bw_addr_i[ActAw-1:GroupSh+PartSh], bw_addr_i[GroupSh-1:BeatSh]};
    for (genvar p = 0; p < Parts; p++) begin : gen_we
      assign part_we[p] = bw_we_i && bw_addr_i[GroupSh+:PartSh] == PartSh'(p);
    end
  end

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    for (genvar p = 0; p < Parts; p++) begin : gen_part
      localparam int First = (BusBytes > Beat) ? p % (BusBytes / Beat) : 0;  // the part's word in a beat
      espl_beatbuf #(
        .Aw  (PartAw),
        .Beat(Beat),
        .Unit(Group)
      ) u_buf (
        .clk_i  (clk_i),
        .we_i   (part_we[p] && bw_bank_i == 8'(b)),
        .waddr_i(part_waddr),
        .wdata_i(bw_data_i[8*Beat*First+:8*Beat]),
        .wstrb_i(bw_strb_i[Beat*First+:Beat]),
        .re_i   (pix_re_i),
        .raddr_i(part_addr[WordAw*p+:WordAw]),
        .rdata_o(part_word[8*(Rows*p+Group*b)+:8*Group])
      );
    end
  end

  logic [8*Rows*Streams-1:0] word;  // the word of each stream, all banks
  if (Parts == 1) begin : gen_one_part
    assign part_addr = WordAw'(pix_addr_i);
    assign word = part_word;
  end else begin : gen_parts
    logic [PartSh*Streams-1:0] part_q;
    for (genvar p = 0; p < Parts; p++) begin : gen_addr
      always_comb begin
        part_addr[WordAw*p+:WordAw] = WordAw'(pix_addr_i[PixAw-1:PartSh]);
        for (int k = Streams - 1; k >= 0; k--) begin
          if (pix_addr_i[PixAw*k+:PartSh] == PartSh'(p)) part_addr[WordAw*p+:WordAw] = WordAw'(pix_addr_i[PixAw*k+PartSh+:PixAw-PartSh]);
        end
      end
    end
    for (genvar k = 0; k < Streams; k++) begin : gen_word
      always_ff @(posedge clk_i) begin
        if (pix_re_i) part_q[PartSh*k+:PartSh] <= pix_addr_i[PixAw*k+:PartSh];
      end
      assign word[8*Rows*k+:8*Rows] = part_word[part_q[PartSh*k+:PartSh]*(8*Rows)+:8*Rows];
    end
  end

  logic [8*Rows-1:0] pixels;
  if (Fold > 0) begin : gen_fold
    logic [16*Rows-1:0] pair;
    logic [8*Rows-1:0]  side;
    assign pair = word[16*Rows-1:0];
    assign side = pair[{1'b0, pix_lane_i, 5'd0}+:8*Rows];
    always_comb begin
      pixels = pix_pad_i[0] ? {Rows{pix_zi_i}} : word[8*Rows-1:0];
      for (int j = 0; j < Lanes; j++) begin
        if (pix_fold_i) pixels[32*j+:32] = pix_out_i[j] ? {4{pix_zi_i}} : side[32*j+:32];
      end
    end
  end else begin : gen_no_fold
    assign pixels = pix_pad_i[0] ? {Rows{pix_zi_i}} : word[8*Rows-1:0];
    logic unused_fold;
    assign unused_fold = ^{pix_fold_i, pix_lane_i, pix_out_i};
  end
  always_ff @(posedge clk_i) a_o <= pixels;

  // Feeds: the banks of one window. Stream 0 is a part of a_o.
  if (DwBanks > 0) begin : gen_feed
    logic [WinW-1:0] win;
    logic [WinW-1:0] win_q;
    assign win = (Windows > 1) ? pix_win_i : '0;
    always_ff @(posedge clk_i) win_q <= win;
    assign feed_o[8*MinRc-1:0] = a_o[win_q*(8*MinRc)+:8*MinRc];
    for (genvar k = 1; k < Streams; k++) begin : gen_stream
      logic [8*Rows-1:0]  mine;
      logic [8*MinRc-1:0] feed_q;
      assign mine = word[8*Rows*k+:8*Rows];
      always_ff @(posedge clk_i) feed_q <= pix_pad_i[k] ? {MinRc{pix_zi_i}} : mine[win*(8*MinRc)+:8*MinRc];
      assign feed_o[8*MinRc*k+:8*MinRc] = feed_q;
    end
  end else begin : gen_no_feed
    assign feed_o = '0;
  end

  logic unused_in;
  assign unused_in = ^{bw_addr_i, bw_bank_i, pix_win_i};

endmodule
