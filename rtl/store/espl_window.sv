// Accumulator address of the tap to be read, and whether the tap lies inside the accumulator tile.
// Without pooling the address counts pixels of the group. With pooling it walks the window: tile row y*psy + wy + poff_y, tile column
// x*psx + wx + poff_x, address row*acc_w + column modulo the depth; only additions are needed because every start is a sum of steps.
// Timing: registers; with en_i one of load_i (counts before the others), row_i, pix_i, sub_i, or else the next tap; the state is new in the next cycle. The products
// base = poff_y*acc_w + poff_x and psy*acc_w are taken one cycle after the configuration changes.
module espl_window #(
  parameter int AccAw = 10,
  parameter int Pool  = 1  // 0: no pooling is built
) (
  input  logic             clk_i,
  input  logic             pool_i,   // the command pools
  input  logic [7:0]       win_h_i,
  input  logic [7:0]       win_w_i,
  input  logic [3:0]       psy_i,
  input  logic [3:0]       psx_i,
  input  logic [11:0]      poff_y_i,
  input  logic [11:0]      poff_x_i,
  input  logic [11:0]      acc_h_i,
  input  logic [11:0]      acc_w_i,
  input  logic             en_i,     // comes last in its cycle
  input  logic             load_i,   // first window of a group
  input  logic             row_i,    // first window of the next output row
  input  logic             pix_i,    // window of the next output column
  input  logic             sub_i,    // the same window again
  output logic [AccAw-1:0] addr_o,
  output logic             valid_o,
  output logic             first_o,  // first tap of the window
  output logic             last_o    // last tap of the window
);

  logic [AccAw-1:0] a_q;
  assign addr_o = a_q;

  if (Pool == 0) begin : gen_linear
    always_ff @(posedge clk_i) begin
      if (en_i && load_i) a_q <= '0;
      else if (en_i && (row_i || pix_i)) a_q <= a_q + 1'b1;
    end
    assign valid_o = 1'b1;
    assign first_o = 1'b1;
    assign last_o  = 1'b1;
    logic unused;
    assign unused = &{1'b0, pool_i, win_h_i, win_w_i, psy_i, psx_i, poff_y_i, poff_x_i, acc_h_i, acc_w_i, sub_i};
  end else begin : gen_window
    logic [AccAw-1:0]   base_q, ystep_q, arow_q, apix_q, aline_q, a_d, apix_d, acc_w;
    logic signed [17:0] ty0_q, tx0_q, ty_q, tx_q, ty0_d, tx0_d;
    logic [7:0]         wy_q, wx_q;  // taps left in the window, this one included
    logic               first_q, line_end, end_q, low_q;  // one tap of the line left, one line
    logic               one_col_q, one_row_q;              // windows of one tap's width, height
    assign acc_w    = acc_w_i[AccAw-1:0];
    assign line_end = end_q;
    assign last_o   = !pool_i || (end_q && low_q);
    assign first_o  = !pool_i || first_q;
    assign valid_o  = !pool_i || (!ty_q[17] && !tx_q[17] && ty_q < $signed({6'd0, acc_h_i}) && tx_q < $signed({6'd0, acc_w_i}));

    // Start of the window that comes next.
    always_comb begin
      apix_d = apix_q;
      ty0_d  = ty0_q;
      tx0_d  = tx0_q;
      if (load_i) begin
        apix_d = base_q;
        ty0_d  = 18'($signed(poff_y_i));
        tx0_d  = 18'($signed(poff_x_i));
      end else if (row_i) begin
        apix_d = arow_q + ystep_q;
        ty0_d  = ty0_q + $signed({14'd0, psy_i});
        tx0_d  = 18'($signed(poff_x_i));
      end else if (pix_i) begin
        apix_d = apix_q + AccAw'(psx_i);
        tx0_d  = tx0_q + $signed({14'd0, psx_i});
      end
      if (load_i || row_i || pix_i || sub_i) a_d = apix_d;
      else if (!line_end) a_d = a_q + 1'b1;
      else a_d = aline_q + acc_w;
      if (!pool_i) begin
        if (load_i) a_d = '0;
        else if (row_i || pix_i) a_d = a_q + 1'b1;
        else a_d = a_q;
      end
    end

    always_ff @(posedge clk_i) begin
      base_q  <= poff_y_i[AccAw-1:0] * acc_w + poff_x_i[AccAw-1:0];
      ystep_q <= AccAw'(psy_i) * acc_w;
      one_col_q <= win_w_i == 8'd1;
      one_row_q <= win_h_i == 8'd1;
      if (en_i && (load_i || row_i)) arow_q <= apix_d;
      if (en_i && (load_i || row_i || pix_i || sub_i)) begin
        apix_q  <= apix_d;
        aline_q <= a_d;
        a_q     <= a_d;
        ty0_q   <= ty0_d;
        tx0_q   <= tx0_d;
        ty_q    <= ty0_d;
        tx_q    <= tx0_d;
        wy_q    <= win_h_i;
        wx_q    <= win_w_i;
        end_q   <= one_col_q;
        low_q   <= one_row_q;
        first_q <= 1'b1;
      end else if (en_i) begin
        a_q     <= a_d;
        first_q <= 1'b0;
        if (line_end) begin
          aline_q <= a_d;
          ty_q    <= ty_q + 18'sd1;
          tx_q    <= tx0_q;
          wy_q    <= wy_q - 8'd1;
          low_q   <= wy_q == 8'd2;
          wx_q    <= win_w_i;
          end_q   <= one_col_q;
        end else begin
          tx_q <= tx_q + 18'sd1;
          wx_q <= wx_q - 8'd1;
          end_q <= wx_q == 8'd2;
        end
      end
    end
    if (AccAw < 12) begin : gen_unused
      logic unused;
      assign unused = &{1'b0, poff_y_i, poff_x_i};
    end
  end

endmodule
