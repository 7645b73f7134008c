// Table of a codebook: Cols indices of up to WBook bits to int8 values at once. Index 0 gives 0 whatever was written.
// Timing: eight entries written in cycle t hold for indices of t+1 on; an index on code_i in cycle t has its value on value_o in t+1.
// Up to 16 entries are registers that all columns read; larger tables are one memory a column.
module espl_codebook #(
  parameter int Cols  = 4,
  parameter int WBook = 4
) (
  input  logic              clk_i,
  input  logic              we_i,
  input  logic [4:0]        part_i,  // entries 8*part_i .. 8*part_i+7
  input  logic [63:0]       data_i,
  input  logic [8*Cols-1:0] code_i,
  output logic [8*Cols-1:0] value_o
);

  if (WBook <= 4) begin : gen_registers
    localparam int Parts  = (WBook == 4) ? 2 : 1;
    localparam int IndexW = (WBook == 4) ? 4 : 3;
    logic [64*Parts-1:0] table_q;
    always_ff @(posedge clk_i) begin
      for (int p = 0; p < Parts; p++) begin
        if (we_i && part_i == 5'(p)) table_q[64*p+:64] <= data_i;
      end
      table_q[7:0] <= 8'd0;
    end
    for (genvar c = 0; c < Cols; c++) begin : gen_column
      logic [IndexW-1:0] index_q;
      always_ff @(posedge clk_i) index_q <= code_i[8*c+:IndexW];
      assign value_o[8*c+:8] = table_q[{index_q, 3'd0}+:8];
      logic unused_code;
      assign unused_code = ^code_i[8*c+:8];
    end
  end else begin : gen_memories
    for (genvar c = 0; c < Cols; c++) begin : gen_column
      logic [7:0] word_value;
      logic       zero_q;
      espl_beatbuf #(
        .Aw  (WBook),
        .Beat(8),
        .Unit(1)
      ) u_table (
        .clk_i  (clk_i),
        .we_i   (we_i),
        .waddr_i(part_i[WBook-4:0]),
        .wdata_i(data_i),
        .wstrb_i(8'hff),
        .re_i   (1'b1),
        .raddr_i(code_i[8*c+:WBook]),
        .rdata_o(word_value)
      );
      always_ff @(posedge clk_i) zero_q <= code_i[8*c+:8] == 8'd0;
      assign value_o[8*c+:8] = zero_q ? 8'd0 : word_value;
    end
    logic unused_part;
    assign unused_part = ^part_i;
  end

endmodule
