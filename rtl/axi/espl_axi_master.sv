// The core's native burst port as an AXI4 master: one ID, INCR bursts of at most 256 bytes that never cross a 4 KiB line.
// Timing: wires in both directions, so no cycle is added (declared extra latency: 0 on every channel). A shown request stays shown and
// unchanged until it is accepted, because the port serves the oldest request and its places only become more while it waits.
// Data of a write follows its address: W is valid only while bursts accepted on AW are not finished. The core always takes R and B.
// Runs of the core behind AXI give the same memory; cycles are those of the AXI memory, not of hw/spec/memory.md.
module espl_axi_master #(
  parameter int BusBytes = 16
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  // native port of the core
  input  logic                  rd_req_valid_i,
  output logic                  rd_req_ready_o,
  input  logic [31:0]           rd_req_addr_i,
  input  logic [6:0]            rd_req_beats_i,
  output logic                  rd_valid_o,
  output logic [8*BusBytes-1:0] rd_data_o,
  output logic                  rd_last_o,
  output logic                  rd_err_o,
  input  logic                  wr_req_valid_i,
  output logic                  wr_req_ready_o,
  input  logic [31:0]           wr_req_addr_i,
  input  logic [6:0]            wr_req_beats_i,
  output logic                  wr_take_o,
  input  logic [8*BusBytes-1:0] wr_data_i,
  input  logic [BusBytes-1:0]   wr_strb_i,
  input  logic                  wr_last_i,
  output logic                  wr_rsp_valid_o,
  output logic                  wr_rsp_err_o,
  // AXI4
  output logic                  m_arvalid_o,
  input  logic                  m_arready_i,
  output logic [31:0]           m_araddr_o,
  output logic [7:0]            m_arlen_o,
  output logic [2:0]            m_arsize_o,
  output logic [1:0]            m_arburst_o,
  input  logic                  m_rvalid_i,
  output logic                  m_rready_o,
  input  logic [8*BusBytes-1:0] m_rdata_i,
  input  logic [1:0]            m_rresp_i,
  input  logic                  m_rlast_i,
  output logic                  m_awvalid_o,
  input  logic                  m_awready_i,
  output logic [31:0]           m_awaddr_o,
  output logic [7:0]            m_awlen_o,
  output logic [2:0]            m_awsize_o,
  output logic [1:0]            m_awburst_o,
  output logic                  m_wvalid_o,
  input  logic                  m_wready_i,
  output logic [8*BusBytes-1:0] m_wdata_o,
  output logic [BusBytes-1:0]   m_wstrb_o,
  output logic                  m_wlast_o,
  input  logic                  m_bvalid_i,
  output logic                  m_bready_o,
  input  logic [1:0]            m_bresp_i
);

  logic [4:0] data_open_q;  // bursts accepted on AW whose last beat has not gone
  logic       aw, w_last, unused;
  logic       err_q;        // an earlier beat of this read burst failed: the core expects the mark on every beat that follows

  assign m_arvalid_o    = rd_req_valid_i;
  assign rd_req_ready_o = m_arready_i;
  assign m_araddr_o     = rd_req_addr_i;
  assign m_arlen_o      = {1'b0, rd_req_beats_i} - 8'd1;
  assign m_arsize_o     = 3'($clog2(BusBytes));
  assign m_arburst_o    = 2'b01;
  assign m_rready_o     = 1'b1;
  assign rd_valid_o     = m_rvalid_i;
  assign rd_data_o      = m_rdata_i;
  assign rd_last_o      = m_rlast_i;
  assign rd_err_o       = m_rresp_i[1] || err_q;

  assign m_awvalid_o    = wr_req_valid_i;
  assign wr_req_ready_o = m_awready_i;
  assign m_awaddr_o     = wr_req_addr_i;
  assign m_awlen_o      = {1'b0, wr_req_beats_i} - 8'd1;
  assign m_awsize_o     = 3'($clog2(BusBytes));
  assign m_awburst_o    = 2'b01;
  assign m_wvalid_o     = data_open_q != 5'd0;
  assign wr_take_o      = m_wvalid_o && m_wready_i;
  assign m_wdata_o      = wr_data_i;
  assign m_wstrb_o      = wr_strb_i;
  assign m_wlast_o      = wr_last_i;
  assign m_bready_o     = 1'b1;
  assign wr_rsp_valid_o = m_bvalid_i;
  assign wr_rsp_err_o   = m_bresp_i[1];

  assign aw     = wr_req_valid_i && m_awready_i;
  assign w_last = wr_take_o && wr_last_i;
  assign unused = &{1'b0, m_rresp_i[0], m_bresp_i[0]};

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      data_open_q <= 5'd0;
      err_q       <= 1'b0;
    end else begin
      if (aw && !w_last) data_open_q <= data_open_q + 5'd1;
      if (w_last && !aw) data_open_q <= data_open_q - 5'd1;
      if (m_rvalid_i) err_q <= rd_err_o && !m_rlast_i;
    end
  end

endmodule
