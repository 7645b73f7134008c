// Column feeds of native depthwise: brings the streams' bytes to their columns with the array's skew.
// Timing: a word on feed_i in cycle t is on feed_top_o of column c in t + c; feed_low_o has the same bytes, or with dw_two those of
// streams 2 and 3 of the word of t - Rows/4. dw_o of pair i, column c is dw_i of i + c cycles before.
module espl_array_feed #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int Streams = 1,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Pairs = Rows / 2
) (
  input  logic                       clk_i,
  input  logic [8*MinRc*Streams-1:0] feed_i,
  input  logic                       dw_i,
  input  logic                       dw_two_i,
  output logic [16*Cols-1:0]         feed_top_o,
  output logic [16*Cols-1:0]         feed_low_o,
  output logic [Pairs*Cols-1:0]      dw_o
);

  localparam int Late = Rows / 4;

  // The level: down the pairs, then right with the columns.
  logic [Pairs-1:0]      dw_row;
  logic [Pairs-2:0]      dw_row_q;
  logic [Pairs*Cols-1:0] dw_col;
  assign dw_row = {dw_row_q, dw_i};
  always_ff @(posedge clk_i) dw_row_q <= dw_row[Pairs-2:0];
  for (genvar c = 0; c < Cols; c++) begin : gen_level
    if (c == 0) begin : gen_first
      assign dw_col[Pairs-1:0] = dw_row;
    end else begin : gen_delay
      logic [Pairs-1:0] dw_q;
      always_ff @(posedge clk_i) dw_q <= dw_col[Pairs*(c-1)+:Pairs];
      assign dw_col[Pairs*c+:Pairs] = dw_q;
    end
  end
  assign dw_o = dw_col;

  // The channel's byte of each stream, c cycles late.
  for (genvar c = 0; c < Cols; c++) begin : gen_col
    logic [8*Streams-1:0] now;
    logic [8*Streams-1:0] here;
    for (genvar k = 0; k < Streams; k++) begin : gen_byte
      assign now[8*k+:8] = feed_i[8*(MinRc*k+c%MinRc)+:8];
    end
    if (c == 0) begin : gen_first
      assign here = now;
    end else begin : gen_delay
      logic [8*Streams*c-1:0] now_q;
      always_ff @(posedge clk_i) now_q <= (8 * Streams * c)'({now_q, now});
      assign here = now_q[8*Streams*c-1-:8*Streams];
    end
    if (Streams > 1) begin : gen_two
      assign feed_top_o[16*c+:16] = here[15:0];
    end else begin : gen_one
      assign feed_top_o[16*c+:16] = {here, here};
    end
  end

  if (Streams > 2) begin : gen_late
    localparam int Bits = 8 * (Streams - 2);
    logic [Late+Cols-2:0] two_q;  // bit k: k + 1 cycles late
    always_ff @(posedge clk_i) two_q <= (Late + Cols - 1)'({two_q, dw_two_i});
    for (genvar c = 0; c < Cols; c++) begin : gen_col_late
      logic [Bits*Late-1:0] late_q;
      logic [Bits-1:0]      late;
      always_ff @(posedge clk_i) late_q <= (Bits * Late)'({late_q, gen_col[c].here[8*Streams-1:16]});
      assign late = late_q[Bits*Late-1-:Bits];
      if (Streams > 3) begin : gen_four
        assign feed_low_o[16*c+:16] = two_q[Late+c-1] ? late[15:0] : feed_top_o[16*c+:16];
      end else begin : gen_three
        assign feed_low_o[16*c+:16] = two_q[Late+c-1] ? {late, late} : feed_top_o[16*c+:16];
      end
    end
  end else begin : gen_no_late
    assign feed_low_o = feed_top_o;
    logic unused_two;
    assign unused_two = dw_two_i;
  end

endmodule
