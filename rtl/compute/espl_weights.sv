// Weight buffer and expansion: packed rows in, one array row of WBits-bit weights a cycle out.
// A row is stored in ceil(Cols*bits/8) bytes, code c in bits [c*bits, (c+1)*bits); formats: int8 or int4 alone, int4 beside int8 (WInt4),
// codebook indices of 2..WBook bits beside them (WBook). Addresses count units of UnitBytes: the largest piece all rows are made of.
// Timing: a row addressed in x stands on row_o in x+1, with a codebook (WBook > 0) in x+2; format and table must not change from x to then.
module espl_weights #(
  parameter int Cols     = 4,
  parameter int BusBytes = 4,
  parameter int WgtAw    = 10,
  parameter int WBits    = 8,
  parameter int WInt4    = 0,
  parameter int WBook    = 0,
  // derived
  parameter int BeatSh    = $clog2(BusBytes),
  parameter int UnitBytes = (WBook > 0) ? ((Cols > 8) ? Cols / 8 : 1) : (WInt4 > 0) ? Cols / 2 : Cols * WBits / 8,
  parameter int UnitSh    = $clog2(UnitBytes),
  parameter int RowAw     = WgtAw - UnitSh
) (
  input  logic                    clk_i,
  input  logic                    we_i,
  input  logic [WgtAw-BeatSh-1:0] waddr_i,     // in beats
  input  logic [8*BusBytes-1:0]   wdata_i,
  input  logic [BusBytes-1:0]     wstrb_i,
  input  logic                    re_i,
  input  logic [RowAw-1:0]        raddr_i,     // in units
  input  logic [3:0]              bits_i,
  input  logic                    book_i,
  input  logic                    table_we_i,  // eight entries of the codebook
  input  logic [4:0]              table_part_i,
  input  logic [63:0]             table_data_i,
  output logic [WBits*Cols-1:0]   row_o
);

  if (WBook > 0) begin : gen_book
    logic [8*Cols-1:0] window;
    espl_weights_window #(
      .Cols    (Cols),
      .BusBytes(BusBytes),
      .WgtAw   (WgtAw),
      .UnitSh  (UnitSh)
    ) u_window (
      .clk_i   (clk_i),
      .we_i    (we_i),
      .waddr_i (waddr_i),
      .wdata_i (wdata_i),
      .wstrb_i (wstrb_i),
      .re_i    (re_i),
      .raddr_i (raddr_i),
      .window_o(window)
    );
    logic [8*Cols-1:0] code;
    for (genvar c = 0; c < Cols; c++) begin : gen_code
      always_comb begin
        code[8*c+:8] = window[8*c+:8];
        for (int b = 2; b < 8; b++) begin
          if ((b <= WBook || (b == 4 && WInt4 > 0)) && bits_i == 4'(b)) code[8*c+:8] = window[c*b+:8] & 8'((1 << b) - 1);
        end
      end
    end
    logic [8*Cols-1:0] code_q, value;
    logic              book_q, int4_q;
    always_ff @(posedge clk_i) begin
      code_q <= code;
      book_q <= book_i;
      int4_q <= bits_i == 4'd4;
    end
    espl_codebook #(
      .Cols (Cols),
      .WBook(WBook)
    ) u_codebook (
      .clk_i  (clk_i),
      .we_i   (table_we_i),
      .part_i (table_part_i),
      .data_i (table_data_i),
      .code_i (code),
      .value_o(value)
    );
    for (genvar c = 0; c < Cols; c++) begin : gen_value
      always_comb begin
        row_o[8*c+:8] = code_q[8*c+:8];
        if (book_q) row_o[8*c+:8] = value[8*c+:8];
        else if (WInt4 > 0 && int4_q) row_o[8*c+:8] = {{4{code_q[8*c+3]}}, code_q[8*c+:4]};
      end
    end
  end else if (WInt4 > 0) begin : gen_int4
    logic [8*Cols-1:0] word;
    logic [4*Cols-1:0] part;
    logic              half_q;
    espl_beatbuf #(
      .Aw  (WgtAw),
      .Beat(BusBytes),
      .Unit(Cols)
    ) u_buf (
      .clk_i  (clk_i),
      .we_i   (we_i),
      .waddr_i(waddr_i),
      .wdata_i(wdata_i),
      .wstrb_i(wstrb_i),
      .re_i   (re_i),
      .raddr_i(raddr_i[RowAw-1:1]),
      .rdata_o(word)
    );
    always_ff @(posedge clk_i) if (re_i) half_q <= raddr_i[0];
    assign part = half_q ? word[8*Cols-1:4*Cols] : word[4*Cols-1:0];
    for (genvar c = 0; c < Cols; c++) begin : gen_value
      assign row_o[8*c+:8] = (bits_i == 4'd4) ? {{4{part[4*c+3]}}, part[4*c+:4]} : word[8*c+:8];
    end
  end else begin : gen_plain
    espl_beatbuf #(
      .Aw  (WgtAw),
      .Beat(BusBytes),
      .Unit(UnitBytes)
    ) u_buf (
      .clk_i  (clk_i),
      .we_i   (we_i),
      .waddr_i(waddr_i),
      .wdata_i(wdata_i),
      .wstrb_i(wstrb_i),
      .re_i   (re_i),
      .raddr_i(raddr_i),
      .rdata_o(row_o)
    );
    logic unused_format;
    assign unused_format = ^bits_i;
  end

  if (WBook == 0) begin : gen_no_table
    logic unused_table;
    assign unused_table = ^{book_i, table_we_i, table_part_i, table_data_i};
  end

endmodule
