// iCE40-HX8K breakout board: 12 MHz oscillator, PLL, serial line through the FTDI chip. The core runs at 60 MHz = 12 MHz * (DIVF + 1) / 2^DIVQ;
// the PLL's own oscillator runs at 960 MHz. Parameters of espl_board are set by the build (espalier synth --top board).
module espl_top_hx8k (
  input  logic       clk_12mhz,
  input  logic       rs232_rx,
  output logic       rs232_tx,
  output logic [7:0] led
);

  logic clk, locked, rst;
  logic [1:0] lights;

  SB_PLL40_CORE #(
    .FEEDBACK_PATH("SIMPLE"),
    .DIVR         (4'd0),
    .DIVF         (7'd79),
    .DIVQ         (3'd4),
    .FILTER_RANGE (3'd1)
  ) u_pll (
    .REFERENCECLK(clk_12mhz),
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
    .uart_rx_i(rs232_rx),
    .uart_tx_o(rs232_tx),
    .led_o    (lights)
  );

  assign led = {locked, 5'd0, lights};

endmodule
