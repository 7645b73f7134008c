// Weight-stationary systolic array of Rows x Cols multipliers, made of row pairs. All skew is inside: pixels and weight
// rows enter whole, column sums leave skewed by column.
// Timing: a pixel on a_i in cycle t has its sum of column c on psum_o in cycle t + Rows/2 + 1 + MulStages + c.
// Weight row r on w_i with bit r of wsel_i in cycle t reaches the shadow of column c in t + c. swap_i comes with the first
// pixel of a pass and makes the shadow active, travelling with the pixel: pair i of column c swaps in t + i + c.
// Law for one-row-a-cycle loading from cycle L (row r in L+r): a swap in cycle T may use it when T >= L + Rows/2 + 1, and
// loading for the next pass may begin in T itself, because the swap goes down two rows a cycle and the rows one.
//
// Native depthwise (DwBanks > 0): while dw_i is high, a level that comes with the pixels as swap_i comes with the first, the pairs of a
// column take the column's own channel instead of their left neighbour's byte: rows 2i of stream 0, rows 2i+1 of stream 1, all pairs at
// once, so that pair i meets the word i cycles behind the one at which a sum passed pair 0: its tap is i. With dw_two_i the lower half
// of the pairs takes streams 2 and 3, Rows/4 cycles later: its taps begin again with 0. Column c takes byte c mod min(Rows, Cols) of a stream.
// A sum comes out as in a dense pass, in the time of the word of tap 0.
module espl_array #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int WBits = 8,   // bits of a weight
  parameter int MulStages = 1,
  parameter int DwBanks = 0,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Streams = (DwBanks > 0) ? DwBanks : 1
) (
  input  logic               clk_i,
  input  logic [8*Rows-1:0]  a_i,
  input  logic [8*MinRc*Streams-1:0] feed_i,
  input  logic               swap_i,
  input  logic               dw_i,
  input  logic               dw_two_i,
  input  logic [Rows-1:0]    wsel_i,
  input  logic [WBits*Cols-1:0] w_i,
  output logic [24*Cols-1:0] psum_o
);

  localparam int Pairs = Rows / 2;

  // Row skew: pair i meets pixel and swap i cycles later.
  logic [16*Pairs-1:0] a_row;
  logic [Pairs-1:0]    swap_row;
  for (genvar i = 0; i < Pairs; i++) begin : gen_row_skew
    if (i == 0) begin : gen_first
      assign a_row[15:0] = a_i[15:0];
      assign swap_row[0] = swap_i;
    end else begin : gen_delay
      logic [16*i-1:0] a_q;
      logic            swap_q;
      always_ff @(posedge clk_i) begin
        a_q    <= (16 * i)'({a_q, a_i[16*i+:16]});
        swap_q <= swap_row[i-1];
      end
      assign a_row[16*i+:16] = a_q[16*i-1-:16];
      assign swap_row[i] = swap_q;
    end
  end

  // Column skew of weight rows, their select and the swap: column c meets them c cycles later.
  logic [WBits*Cols-1:0] w_col;
  logic [Rows*Cols-1:0]  wsel_col;
  logic [Pairs*Cols-1:0] swap_col;
  for (genvar c = 0; c < Cols; c++) begin : gen_col_skew
    if (c == 0) begin : gen_first
      assign w_col[WBits-1:0] = w_i[WBits-1:0];
      assign wsel_col[Rows-1:0] = wsel_i;
      assign swap_col[Pairs-1:0] = swap_row;
    end else begin : gen_delay
      logic [WBits*c-1:0] w_q;
      logic [Rows-1:0]  wsel_q;
      logic [Pairs-1:0] swap_q;
      always_ff @(posedge clk_i) begin
        w_q    <= (WBits * c)'({w_q, w_i[WBits*c+:WBits]});
        wsel_q <= wsel_col[Rows*(c-1)+:Rows];
        swap_q <= swap_col[Pairs*(c-1)+:Pairs];
      end
      assign w_col[WBits*c+:WBits] = w_q[WBits*c-1-:WBits];
      assign wsel_col[Rows*c+:Rows] = wsel_q;
      assign swap_col[Pairs*c+:Pairs] = swap_q;
    end
  end

  // Column feeds: pair of bytes for the upper and the lower half of the pairs, and which pairs take it.
  logic [16*Cols-1:0]    feed_top;
  logic [16*Cols-1:0]    feed_low;
  logic [Pairs*Cols-1:0] dw_col;
  if (DwBanks > 0) begin : gen_dw
    espl_array_feed #(
      .Rows   (Rows),
      .Cols   (Cols),
      .Streams(Streams)
    ) u_feed (
      .clk_i     (clk_i),
      .feed_i    (feed_i),
      .dw_i      (dw_i),
      .dw_two_i  (dw_two_i),
      .feed_top_o(feed_top),
      .feed_low_o(feed_low),
      .dw_o      (dw_col)
    );
  end else begin : gen_no_dw
    assign feed_top = '0;
    assign feed_low = '0;
    assign dw_col = '0;
    logic unused_dw;
    assign unused_dw = ^{feed_i, dw_i, dw_two_i, feed_top, feed_low, dw_col};
  end

  for (genvar c = 0; c < Cols; c++) begin : gen_col
    for (genvar i = 0; i < Pairs; i++) begin : gen_pair
      logic [15:0] a_left;
      logic [15:0] a_in;
      logic [15:0] a_out;
      logic [23:0] psum_in;
      logic [23:0] psum_out;
      if (c == 0) begin : gen_left
        assign a_left = a_row[16*i+:16];
      end else begin : gen_inner
        assign a_left = gen_col[c-1].gen_pair[i].a_out;
      end
      if (DwBanks > 0 && 2 * i >= Pairs) begin : gen_low
        assign a_in = dw_col[Pairs*c+i] ? feed_low[16*c+:16] : a_left;
      end else if (DwBanks > 0) begin : gen_upper
        assign a_in = dw_col[Pairs*c+i] ? feed_top[16*c+:16] : a_left;
      end else begin : gen_row
        assign a_in = a_left;
      end
      if (i == 0) begin : gen_top
        assign psum_in = 24'd0;
      end else begin : gen_below
        assign psum_in = gen_col[c].gen_pair[i-1].psum_out;
      end
      espl_pe2 #(
        .WBits    (WBits),
        .MulStages(MulStages)
      ) u_pe2 (
        .clk_i (clk_i),
        .a_i   (a_in),
        .swap_i(swap_col[Pairs*c+i]),
        .wsel_i(wsel_col[Rows*c+2*i+:2]),
        .w_i   (w_col[WBits*c+:WBits]),
        .psum_i(psum_in),
        .a_o   (a_out),
        .psum_o(psum_out)
      );
      if (c == Cols - 1) begin : gen_right
        logic unused_a;
        assign unused_a = ^a_out;
      end
    end
    assign psum_o[24*c+:24] = gen_col[c].gen_pair[Pairs-1].psum_out;
  end

endmodule
