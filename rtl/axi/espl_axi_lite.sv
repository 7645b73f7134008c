// AXI4-Lite slave in front of the core's registers; 32-bit words, byte strobes are ignored (the host writes whole words).
// Timing: a write acts in the cycle in which address and data have both arrived and no response waits; its response is shown from the
// next cycle on. A read address accepted in cycle t gives its data from t+1 on, as the register stood in t.
// So a write costs one cycle more than at the core's own register port, and a read one; the core's counted cycles do not change.
module espl_axi_lite (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        s_awvalid_i,
  output logic        s_awready_o,
  input  logic [7:0]  s_awaddr_i,
  input  logic        s_wvalid_i,
  output logic        s_wready_o,
  input  logic [31:0] s_wdata_i,
  output logic        s_bvalid_o,
  input  logic        s_bready_i,
  output logic [1:0]  s_bresp_o,
  input  logic        s_arvalid_i,
  output logic        s_arready_o,
  input  logic [7:0]  s_araddr_i,
  output logic        s_rvalid_o,
  input  logic        s_rready_i,
  output logic [31:0] s_rdata_o,
  output logic [1:0]  s_rresp_o,
  output logic        reg_we_o,
  output logic [7:0]  reg_addr_o,
  output logic [31:0] reg_wdata_o,
  input  logic [31:0] reg_rdata_i
);

  logic b_q, r_q, write, read;

  assign write       = s_awvalid_i && s_wvalid_i && !b_q;
  assign read        = s_arvalid_i && !r_q && !write;  // one register port: a write goes first
  assign s_awready_o = write;
  assign s_wready_o  = write;
  assign s_arready_o = read;
  assign s_bvalid_o  = b_q;
  assign s_rvalid_o  = r_q;
  assign s_bresp_o   = 2'b00;
  assign s_rresp_o   = 2'b00;
  assign reg_we_o    = write;
  assign reg_addr_o  = write ? s_awaddr_i : s_araddr_i;
  assign reg_wdata_o = s_wdata_i;

  always_ff @(posedge clk_i) begin
    if (read) s_rdata_o <= reg_rdata_i;
    if (rst_i) begin
      b_q <= 1'b0;
      r_q <= 1'b0;
    end else begin
      if (write) b_q <= 1'b1;
      else if (s_bready_i) b_q <= 1'b0;
      if (read) r_q <= 1'b1;
      else if (s_rready_i) r_q <= 1'b0;
    end
  end

endmodule
