// Single-port memory with byte enables, Words x Width bytes: a read or a write in a cycle.
// Timing: a write in cycle t is seen by a read that starts in t+1; rdata_o holds the word read (en_i, not we_i) in the cycle before. After a write it
// is undefined.
// ESPL_ICE40_SPRAM: blocks of the UP5K's single-port RAM (16 bits x 16,384 words each), two side by side, Words up to 32,768, Width 4.
module espl_sp_ram #(
  parameter int Words = 32768,
  parameter int Width = 4,
  // derived
  parameter int AddrW = $clog2(Words)
) (
  input  logic               clk_i,
  input  logic               en_i,
  input  logic               we_i,
  input  logic [Width-1:0]   wstrb_i,
  input  logic [AddrW-1:0]   addr_i,
  input  logic [8*Width-1:0] wdata_i,
  output logic [8*Width-1:0] rdata_o
);

`ifdef ESPL_ICE40_SPRAM
  localparam int Banks = (Words + 16383) / 16384;
  logic [14:0]                addr;
  logic [8*Width*Banks-1:0]   bank_data;
  assign addr = 15'(addr_i);
  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    logic pick;
    assign pick = en_i && (Banks == 1 || addr[14] == b[0]);
    for (genvar h = 0; h < Width / 2; h++) begin : gen_half
      SB_SPRAM256KA u_ram (
        .CLOCK     (clk_i),
        .ADDRESS   (addr[13:0]),
        .DATAIN    (wdata_i[16*h+:16]),
        .MASKWREN  ({{2{wstrb_i[2*h+1]}}, {2{wstrb_i[2*h]}}}),
        .WREN      (we_i),
        .CHIPSELECT(pick),
        .STANDBY   (1'b0),
        .SLEEP     (1'b0),
        .POWEROFF  (1'b1),
        .DATAOUT   (bank_data[8*Width*b+16*h+:16])
      );
    end
  end
  if (Banks == 2) begin : gen_two
    logic high_q;
    always_ff @(posedge clk_i) if (en_i) high_q <= addr[14];
    assign rdata_o = high_q ? bank_data[8*Width+:8*Width] : bank_data[0+:8*Width];
  end else begin : gen_one
    assign rdata_o = bank_data;
  end
`else
  logic [8*Width-1:0] mem[0:Words-1];
  always_ff @(posedge clk_i) begin
    if (en_i && we_i) begin
      for (int i = 0; i < Width; i++) begin
        if (wstrb_i[i]) mem[addr_i][8*i+:8] <= wdata_i[8*i+:8];
      end
    end
    if (en_i && !we_i) rdata_o <= mem[addr_i];
  end
`endif

endmodule
