// Arty A7: 100 MHz oscillator, divided to the core's 50 MHz = 100 MHz * CLKFBOUT_MULT / CLKOUT0_DIVIDE, serial line through the FTDI chip.
// Parameters of espl_board are set by the build (espalier synth --top board).
module espl_top_arty (
  input  logic       CLK100MHZ,
  input  logic       uart_txd_in,
  output logic       uart_rxd_out,
  output logic [3:0] led
);

  logic pll_clk, feedback, clk, locked, rst;
  logic [1:0] lights;

  PLLE2_BASE #(
    .CLKIN1_PERIOD (10.0),
    .DIVCLK_DIVIDE (1),
    .CLKFBOUT_MULT (10),
    .CLKOUT0_DIVIDE(20)
  ) u_pll (
    .CLKIN1  (CLK100MHZ),
    .CLKFBIN (feedback),
    .CLKFBOUT(feedback),
    .CLKOUT0 (pll_clk),
    .LOCKED  (locked),
    .PWRDWN  (1'b0),
    .RST     (1'b0)
  );

  BUFG u_clk (
    .I(pll_clk),
    .O(clk)
  );

  espl_por u_por (
    .clk_i(clk),
    .ok_i (locked),
    .rst_o(rst)
  );

  espl_board u_board (
    .clk_i    (clk),
    .rst_i    (rst),
    .uart_rx_i(uart_txd_in),
    .uart_tx_o(uart_rxd_out),
    .led_o    (lights)
  );

  assign led = {locked, 1'b0, lights};

endmodule
