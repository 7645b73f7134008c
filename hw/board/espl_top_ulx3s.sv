// ULX3S: 25 MHz oscillator, PLL, serial line through the FTDI chip. The PLL's own oscillator runs at 600 MHz = 25 MHz * CLKFB_DIV * CLKOP_DIV, the core
// at 60 MHz = 600 MHz / CLKOS_DIV. Parameters of espl_board are set by the build (espalier synth --top board).
module espl_top_ulx3s (
  input  logic       clk_25mhz,
  output logic       ftdi_rxd,
  input  logic       ftdi_txd,
  output logic [7:0] led,
  output logic       wifi_gpio0
);

  logic clk, feedback, locked, rst;
  logic [1:0] lights;

  (* FREQUENCY_PIN_CLKI = "25", FREQUENCY_PIN_CLKOP = "50", FREQUENCY_PIN_CLKOS = "60", ICP_CURRENT = "12", LPF_RESISTOR = "8" *)
  EHXPLLL #(
    .PLLRST_ENA      ("DISABLED"),
    .INTFB_WAKE      ("DISABLED"),
    .STDBY_ENABLE    ("DISABLED"),
    .DPHASE_SOURCE   ("DISABLED"),
    .OUTDIVIDER_MUXA ("DIVA"),
    .CLKI_DIV        (1),
    .CLKFB_DIV       (2),
    .CLKOP_ENABLE    ("ENABLED"),
    .CLKOP_DIV       (12),
    .CLKOP_CPHASE    (5),
    .CLKOP_FPHASE    (0),
    .CLKOS_ENABLE    ("ENABLED"),
    .CLKOS_DIV       (10),
    .CLKOS_CPHASE    (5),
    .CLKOS_FPHASE    (0),
    .FEEDBK_PATH     ("CLKOP")
  ) u_pll (
    .CLKI        (clk_25mhz),
    .CLKFB       (feedback),
    .CLKOP       (feedback),
    .CLKOS       (clk),
    .RST         (1'b0),
    .STDBY       (1'b0),
    .PHASESEL0   (1'b0),
    .PHASESEL1   (1'b0),
    .PHASEDIR    (1'b1),
    .PHASESTEP   (1'b1),
    .PHASELOADREG(1'b1),
    .PLLWAKESYNC (1'b0),
    .ENCLKOP     (1'b0),
    .ENCLKOS     (1'b0),
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
    .uart_rx_i(ftdi_txd),
    .uart_tx_o(ftdi_rxd),
    .led_o    (lights)
  );

  assign led        = {locked, 5'd0, lights};
  assign wifi_gpio0 = 1'b1;  // keeps the module beside the FPGA from resetting the board

endmodule
