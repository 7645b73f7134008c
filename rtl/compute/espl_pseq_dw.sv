// Depthwise part of the pass sequencer: words of the further kernel rows, and which words of a row begin an output.
// A depthwise pass streams every word between the first and the last tap of an output row, one a cycle; the array's sum that starts
// with a word is an output when the word lies on the stride and outputs of the row are left (hit_o, in the cycle of the address).
// Stream k > 0 reads k * step words further, k * dy rows lower, with its own padding. Timing: addr_o and hit_o in the cycle x of the address,
// pad_o and win_o in x+1, dw_o and dw_two_o in x+2.
module espl_pseq_dw #(
  parameter int Rows = 4,
  parameter int Cols = 4,
  parameter int PixAw = 8,
  parameter int Streams = 1,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int Group = (MinRc < 16) ? MinRc : 16,
  parameter int WinW = (Rows > Cols) ? $clog2(Rows / Cols) : 1
) (
  input  logic                     clk_i,
  input  logic                     start_i,
  input  logic                     tile_dw_i,
  input  logic [7:0]               tile_dw_bank_i,
  input  logic [15:0]              tile_dw_step_i,
  input  logic [11:0]              tile_out_w_i,
  input  logic [2:0]               sx_i,
  input  logic [3:0]               dy_i,
  input  logic                     tile_two_i, // more than two kernel rows
  input  logic                     run_i,      // a word is addressed
  input  logic                     last_col_i, // the last one of its row
  input  logic [15:0]              addr_i,     // of stream 0
  input  logic [16:0]              iy_i,
  input  logic                     ix_in_i,    // the column is inside
  input  logic [11:0]              in_h_i,
  output logic                     hit_o,
  output logic [PixAw*Streams-1:0] addr_o,
  output logic [Streams-1:0]       pad_o,
  output logic [WinW-1:0]          win_o,
  output logic                     dw_o,
  output logic                     dw_two_o
);

  logic            dw_q;
  logic            two_q;
  logic [WinW-1:0] win_q;
  logic [15:0]     step_q;
  logic [3:0]      dy_q;
  logic [2:0]      sx_q;
  logic [11:0]     out_w_q;
  logic [11:0]     left_q;   // outputs of the row
  logic [2:0]      phase_q;  // words since the last one on the stride

  assign hit_o = !dw_q || (phase_q == 3'd0 && left_q != 12'd0);
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      dw_q    <= tile_dw_i;
      two_q   <= tile_two_i;
      win_q   <= (Rows > Cols) ? WinW'(tile_dw_bank_i >> $clog2(MinRc / Group)) : '0;
      step_q  <= tile_dw_step_i;
      dy_q    <= dy_i;
      sx_q    <= sx_i;
      out_w_q <= tile_out_w_i;
      left_q  <= tile_out_w_i;
      phase_q <= 3'd0;
    end else if (run_i) begin
      if (last_col_i) begin
        left_q  <= out_w_q;
        phase_q <= 3'd0;
      end else begin
        phase_q <= (phase_q == sx_q - 3'd1) ? 3'd0 : phase_q + 3'd1;
        if (phase_q == 3'd0 && left_q != 12'd0) left_q <= left_q - 12'd1;
      end
    end
  end

  for (genvar k = 0; k < Streams; k++) begin : gen_stream
    logic [16:0] iy;
    logic        pad_q;
    assign iy = iy_i + 17'(k) * {13'd0, dy_q};
    assign addr_o[PixAw*k+:PixAw] = PixAw'(addr_i + 16'(k) * step_q);
    always_ff @(posedge clk_i) pad_q <= !(ix_in_i && iy < {5'd0, in_h_i});
    assign pad_o[k] = pad_q;
  end

  logic dw1_q;
  logic two1_q;
  always_ff @(posedge clk_i) begin
    win_o    <= win_q;
    dw1_q    <= dw_q;
    two1_q   <= two_q;
    dw_o     <= dw1_q;
    dw_two_o <= two1_q;
  end

endmodule
