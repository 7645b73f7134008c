// iCEBreaker: 12 MHz oscillator, PLL, serial line through the FTDI chip. The core runs at 36 MHz = 12 MHz * (DIVF + 1) / 2^DIVQ; the PLL's own
// oscillator runs at 576 MHz. Parameters of espl_board are set by the build (espalier synth --top board).
module espl_top_icebreaker (
  input  logic CLK,
  input  logic RX,
  output logic TX,
  output logic LEDR_N,
  output logic LEDG_N
);

  logic clk, locked, rst;
  logic [1:0] lights;

  SB_PLL40_PAD #(
    .FEEDBACK_PATH("SIMPLE"),
    .DIVR         (4'd0),
    .DIVF         (7'd47),
    .DIVQ         (3'd4),
    .FILTER_RANGE (3'd1)
  ) u_pll (
    .PACKAGEPIN  (CLK),
    .PLLOUTGLOBAL(clk),
    .RESETB      (1'b1),
    .BYPASS      (1'b0),
    .LOCK        (locked)
  );

  espl_por u_por (
    .clk_i(clk),
    .ok_i (locked),
    .rst_o(rst)
  );

  espl_board u_board (
    .clk_i    (clk),
    .rst_i    (rst),
    .uart_rx_i(RX),
    .uart_tx_o(TX),
    .led_o    (lights)
  );

  assign LEDG_N = !lights[0];
  assign LEDR_N = !lights[1];

endmodule
