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

`ifdef FORMAL
  // Laws for a master that keeps a valid channel as it is until ready: every accepted write acts once and is answered once, every accepted
  // read is answered once with the register of that cycle; responses stay until taken; nobody waits for longer than one other access.
  logic init_q = 1'b0;
  logic [1:0]  writes_q, reads_q;  // accepted and not answered
  logic        aw_q, w_q, ar_q, b_stuck_q, r_stuck_q, write_waits_q, read_waits_q;
  logic [7:0]  awaddr_q, araddr_q;
  logic [31:0] wdata_q, read_q;
  always_ff @(posedge clk_i) begin
    init_q        <= 1'b1;
    aw_q          <= !rst_i && s_awvalid_i && !s_awready_o;
    w_q           <= !rst_i && s_wvalid_i && !s_wready_o;
    ar_q          <= !rst_i && s_arvalid_i && !s_arready_o;
    b_stuck_q     <= !rst_i && s_bvalid_o && !s_bready_i;
    r_stuck_q     <= !rst_i && s_rvalid_o && !s_rready_i;
    write_waits_q <= !rst_i && s_awvalid_i && s_wvalid_i && !s_awready_o && !(s_bvalid_o && !s_bready_i);
    read_waits_q  <= !rst_i && s_arvalid_i && !s_arready_o && !(s_rvalid_o && !s_rready_i) && !s_rvalid_o;
    awaddr_q      <= s_awaddr_i;
    araddr_q      <= s_araddr_i;
    wdata_q       <= s_wdata_i;
    if (s_arvalid_i && s_arready_o) read_q <= reg_rdata_i;
    if (rst_i) begin
      writes_q <= 2'd0;
      reads_q  <= 2'd0;
    end else begin
      writes_q <= writes_q + {1'b0, s_awvalid_i && s_awready_o} - {1'b0, s_bvalid_o && s_bready_i};
      reads_q  <= reads_q + {1'b0, s_arvalid_i && s_arready_o} - {1'b0, s_rvalid_o && s_rready_i};
    end
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    if (init_q && !rst_i) begin
      if (aw_q) assume (s_awvalid_i && s_awaddr_i == awaddr_q);
      if (w_q) assume (s_wvalid_i && s_wdata_i == wdata_q);
      if (ar_q) assume (s_arvalid_i && s_araddr_i == araddr_q);
      assert (s_awready_o == s_wready_o && (!s_awready_o || (s_awvalid_i && s_wvalid_i)));
      assert (reg_we_o == (s_awvalid_i && s_awready_o));
      if (reg_we_o) assert (reg_addr_o == s_awaddr_i && reg_wdata_o == s_wdata_i);
      if (s_arvalid_i && s_arready_o) assert (!reg_we_o && reg_addr_o == s_araddr_i);
      assert (writes_q == {1'b0, s_bvalid_o} && reads_q == {1'b0, s_rvalid_o});
      if (b_stuck_q) assert (s_bvalid_o);
      if (r_stuck_q) assert (s_rvalid_o);
      if (s_rvalid_o) assert (s_rdata_o == read_q);
      assert (s_bresp_o == 2'b00 && s_rresp_o == 2'b00);
      if (write_waits_q) assert (s_awready_o);
      if (read_waits_q) assert (s_arready_o);
    end
  end
`endif

endmodule
