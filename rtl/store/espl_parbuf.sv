// Parameter buffer: 16-byte entries written beat by beat, RqLanes consecutive entries read at once. Bytes 10..15 of an entry are not kept.
// Entry e lives in bank e mod Banks, so that consecutive channels are in different banks; Banks is RqLanes, or the entries of a beat if more.
// Timing: a beat written in cycle t is seen by a read that starts in t+1; raddr_i in cycle t gives rdata_o in t+1. Addresses wrap.
module espl_parbuf #(
  parameter int ParAw    = 10,  // log2 of the entries
  parameter int BusBytes = 16,
  parameter int RqLanes  = 16,
  // derived
  parameter int BeatEnt = (BusBytes > 16) ? BusBytes / 16 : 1,
  parameter int Banks   = (RqLanes > BeatEnt) ? RqLanes : BeatEnt,
  parameter int LaneSh  = $clog2(RqLanes),
  parameter int BankSh  = $clog2(Banks),
  parameter int EntSh   = $clog2(BeatEnt),
  parameter int RowAw   = (ParAw > BankSh) ? ParAw - BankSh : 1,
  parameter int RdAw    = (ParAw > LaneSh) ? ParAw - LaneSh : 1
) (
  input  logic                  clk_i,
  input  logic                  we_i,
  input  logic [ParAw+3:0]      waddr_i,  // byte address, multiple of BusBytes
  input  logic [8*BusBytes-1:0] wdata_i,
  input  logic [BusBytes-1:0]   wstrb_i,
  input  logic [RdAw-1:0]       raddr_i,  // in units of RqLanes entries
  output logic [80*RqLanes-1:0] rdata_o   // entry k at bits 80*k..: bias, m, mr, s, l
);

  logic [ParAw-1:0]    went;
  logic [RowAw-1:0]    wrow, rrow;
  logic [80*Banks-1:0] row;
  assign went = waddr_i[ParAw+3:4];
  if (ParAw > BankSh) begin : gen_rows
    assign wrow = went[ParAw-1:BankSh];
    assign rrow = raddr_i[RdAw-1:BankSh-LaneSh];
  end else begin : gen_one_row
    assign wrow = 1'b0;
    assign rrow = 1'b0;
  end

  for (genvar n = 0; n < Banks; n++) begin : gen_bank
    logic        hit;
    logic [79:0] data;
    logic [9:0]  strb;
    if (BankSh > EntSh) begin : gen_hit
      assign hit = went[BankSh-1:EntSh] == (BankSh - EntSh)'(n / BeatEnt);
    end else begin : gen_always
      assign hit = 1'b1;
    end
    for (genvar j = 0; j < 10; j++) begin : gen_byte
      if (BusBytes >= 16) begin : gen_wide
        assign data[8*j+:8] = wdata_i[8*(16*(n%BeatEnt)+j)+:8];
        assign strb[j]      = wstrb_i[16*(n%BeatEnt)+j];
      end else begin : gen_part
        localparam int PartSh = $clog2(BusBytes);
        assign data[8*j+:8] = wdata_i[8*(j%BusBytes)+:8];
        assign strb[j]      = wstrb_i[j%BusBytes] && waddr_i[3:PartSh] == (4 - PartSh)'(j / BusBytes);
      end
    end
    espl_sdp_ram #(
      .Depth(1 << RowAw),
      .Width(10)
    ) u_ram (
      .clk_i  (clk_i),
      .we_i   (we_i && hit),
      .wstrb_i(strb),
      .waddr_i(wrow),
      .wdata_i(data),
      .re_i   (1'b1),
      .raddr_i(rrow),
      .rdata_o(row[80*n+:80])
    );
  end

  if (Banks > RqLanes) begin : gen_part_of_row
    logic [BankSh-LaneSh-1:0] part_q;
    always_ff @(posedge clk_i) part_q <= raddr_i[BankSh-LaneSh-1:0];
    assign rdata_o = row[80*RqLanes*part_q+:80*RqLanes];
  end else begin : gen_row
    assign rdata_o = row;
  end

  // Bytes 10..15 of an entry and the position inside a beat carry nothing that is kept.
  logic unused;
  assign unused = &{1'b0, waddr_i, wdata_i, wstrb_i, raddr_i, went};

endmodule
