// The memory port behind the AXI4 master, for proofs: its two paths and the master wired as in the core, requests and beats left free.
// Given: requests that lie inside 256 bytes (proved for the units that raise them) and stay until granted, an owner that keeps a beat until it
// is taken, and an AXI memory that answers reads it accepted and sends B only after the last beat of a write.
// Laws of AXI4 proved here: a valid channel stays valid and unchanged until ready; bursts do not cross 4 KiB; no beat of W before its address;
// W ends each burst on the beat its address announced (with the laws of espl_port_wr); never more bursts open than OUTSTANDING.
// That the master is a legal memory for both paths follows from their own laws, which are proved in the same run.
module espl_axi_port #(
  parameter int BusBytes = 4
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic [4:0]             outstanding_i,
  input  logic [2:0]             rd_rq_valid_i,
  input  logic [95:0]            rd_rq_addr_i,
  input  logic [20:0]            rd_rq_beats_i,
  input  logic [1:0]             wr_rq_valid_i,
  input  logic [63:0]            wr_rq_addr_i,
  input  logic [13:0]            wr_rq_beats_i,
  input  logic [16*BusBytes-1:0] wd_data_i,
  input  logic [2*BusBytes-1:0]  wd_strb_i,
  input  logic                   m_arready_i,
  input  logic                   m_rvalid_i,
  input  logic [8*BusBytes-1:0]  m_rdata_i,
  input  logic [1:0]             m_rresp_i,
  input  logic                   m_rlast_i,
  input  logic                   m_awready_i,
  input  logic                   m_wready_i,
  input  logic                   m_bvalid_i,
  input  logic [1:0]             m_bresp_i
);

  logic [2:0]            rd_gnt, rd_valid;
  logic [1:0]            wr_gnt, wd_take, wr_rsp, rd_wait, wr_wait;
  logic                  rd_req_valid, rd_req_ready, rd_beat, rd_last, rd_err, wr_req_valid, wr_req_ready, wr_take, wr_last, wr_rsp_valid, wr_rsp_err;
  logic                  rd_busy, wr_busy;
  logic [31:0]           rd_addr, wr_addr;
  logic [6:0]            rd_beats, wr_beats;
  logic [8*BusBytes-1:0] rd_data, wr_data;
  logic [BusBytes-1:0]   wr_strb;
  logic                  arvalid, awvalid, wvalid, wlast, rready, bready;
  logic [31:0]           araddr, awaddr;
  logic [7:0]            arlen, awlen;
  logic [2:0]            arsize, awsize;
  logic [1:0]            arburst, awburst;
  logic [8*BusBytes-1:0] wdata;
  logic [BusBytes-1:0]   wstrb;

  espl_port_rd u_rd (
    .clk_i          (clk_i),
    .rst_i          (rst_i),
    .outstanding_i  (outstanding_i),
    .rq_valid_i     (rd_rq_valid_i),
    .rq_addr_i      (rd_rq_addr_i),
    .rq_beats_i     (rd_rq_beats_i),
    .rq_gnt_o       (rd_gnt),
    .rd_valid_o     (rd_valid),
    .mem_req_valid_o(rd_req_valid),
    .mem_req_ready_i(rd_req_ready),
    .mem_req_addr_o (rd_addr),
    .mem_req_beats_o(rd_beats),
    .mem_valid_i    (rd_beat),
    .mem_last_i     (rd_last),
    .busy_o         (rd_busy),
    .wait_o         (rd_wait)
  );

  espl_port_wr #(
    .BusBytes(BusBytes)
  ) u_wr (
    .clk_i          (clk_i),
    .rst_i          (rst_i),
    .outstanding_i  (outstanding_i),
    .rq_valid_i     (wr_rq_valid_i),
    .rq_addr_i      (wr_rq_addr_i),
    .rq_beats_i     (wr_rq_beats_i),
    .rq_gnt_o       (wr_gnt),
    .wd_take_o      (wd_take),
    .wd_data_i      (wd_data_i),
    .wd_strb_i      (wd_strb_i),
    .wr_rsp_o       (wr_rsp),
    .mem_req_valid_o(wr_req_valid),
    .mem_req_ready_i(wr_req_ready),
    .mem_req_addr_o (wr_addr),
    .mem_req_beats_o(wr_beats),
    .mem_take_i     (wr_take),
    .mem_data_o     (wr_data),
    .mem_strb_o     (wr_strb),
    .mem_last_o     (wr_last),
    .mem_rsp_valid_i(wr_rsp_valid),
    .busy_o         (wr_busy),
    .wait_o         (wr_wait)
  );

  espl_axi_master #(
    .BusBytes(BusBytes)
  ) u_master (
    .clk_i         (clk_i),
    .rst_i         (rst_i),
    .rd_req_valid_i(rd_req_valid),
    .rd_req_ready_o(rd_req_ready),
    .rd_req_addr_i (rd_addr),
    .rd_req_beats_i(rd_beats),
    .rd_valid_o    (rd_beat),
    .rd_data_o     (rd_data),
    .rd_last_o     (rd_last),
    .rd_err_o      (rd_err),
    .wr_req_valid_i(wr_req_valid),
    .wr_req_ready_o(wr_req_ready),
    .wr_req_addr_i (wr_addr),
    .wr_req_beats_i(wr_beats),
    .wr_take_o     (wr_take),
    .wr_data_i     (wr_data),
    .wr_strb_i     (wr_strb),
    .wr_last_i     (wr_last),
    .wr_rsp_valid_o(wr_rsp_valid),
    .wr_rsp_err_o  (wr_rsp_err),
    .m_arvalid_o   (arvalid),
    .m_arready_i   (m_arready_i),
    .m_araddr_o    (araddr),
    .m_arlen_o     (arlen),
    .m_arsize_o    (arsize),
    .m_arburst_o   (arburst),
    .m_rvalid_i    (m_rvalid_i),
    .m_rready_o    (rready),
    .m_rdata_i     (m_rdata_i),
    .m_rresp_i     (m_rresp_i),
    .m_rlast_i     (m_rlast_i),
    .m_awvalid_o   (awvalid),
    .m_awready_i   (m_awready_i),
    .m_awaddr_o    (awaddr),
    .m_awlen_o     (awlen),
    .m_awsize_o    (awsize),
    .m_awburst_o   (awburst),
    .m_wvalid_o    (wvalid),
    .m_wready_i    (m_wready_i),
    .m_wdata_o     (wdata),
    .m_wstrb_o     (wstrb),
    .m_wlast_o     (wlast),
    .m_bvalid_i    (m_bvalid_i),
    .m_bready_o    (bready),
    .m_bresp_i     (m_bresp_i)
  );

  logic init_q = 1'b0;
  logic [4:0] ar_q, aw_q, w_q, b_q;  // reads open, addresses without all their beats, bursts without B, bursts whose B may come
  logic       ar_stuck_q, aw_stuck_q, w_stuck_q, rerr_q;
  logic [39:0] ar_was_q, aw_was_q;
  logic [9*BusBytes:0] w_was_q;
  logic [1:0] w_owner;
  logic [1:0] w_owner_q;
  logic [16*BusBytes-1:0] data_was_q;
  logic [2*BusBytes-1:0]  strb_was_q;
  (* hierconn *) logic \u_wr.data_owner ;
  (* hierconn *) logic [4:0] \u_wr.open_q ;
  (* hierconn *) logic [4:0] \u_wr.u_data.cnt_q ;
  (* hierconn *) logic [4:0] \u_rd.open_q ;
  (* hierconn *) logic [4:0] \u_master.data_open_q ;
  (* hierconn *) logic \u_master.err_q ;
  assign w_owner = \u_wr.data_owner ? 2'b10 : 2'b01;
  always_ff @(posedge clk_i) begin
    init_q <= 1'b1;
    ar_stuck_q <= !rst_i && arvalid && !m_arready_i;
    aw_stuck_q <= !rst_i && awvalid && !m_awready_i;
    w_stuck_q  <= !rst_i && wvalid && !m_wready_i;
    ar_was_q   <= {arlen, araddr};
    aw_was_q   <= {awlen, awaddr};
    w_was_q    <= {wlast, wstrb, wdata};
    w_owner_q  <= w_owner;
    data_was_q <= wd_data_i;
    strb_was_q <= wd_strb_i;
    rerr_q     <= !rst_i && m_rvalid_i && !m_rlast_i && (m_rresp_i[1] || rerr_q) || (!rst_i && !m_rvalid_i && rerr_q);
    if (rst_i) begin
      ar_q <= 5'd0;
      aw_q <= 5'd0;
      w_q  <= 5'd0;
      b_q  <= 5'd0;
    end else begin
      ar_q <= ar_q + {4'd0, arvalid && m_arready_i} - {4'd0, m_rvalid_i && rready && m_rlast_i};
      aw_q <= aw_q + {4'd0, awvalid && m_awready_i} - {4'd0, wvalid && m_wready_i && wlast};
      w_q  <= w_q + {4'd0, awvalid && m_awready_i} - {4'd0, m_bvalid_i && bready};
      b_q  <= b_q + {4'd0, wvalid && m_wready_i && wlast} - {4'd0, m_bvalid_i && bready};
    end
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    for (int i = 0; i < 3; i++) begin
      if (rd_rq_valid_i[i])
        assume ({5'd0, rd_rq_addr_i[32*i+:8]} + ({6'd0, rd_rq_beats_i[7*i+:7]} << $clog2(BusBytes)) <= 13'd256
                && rd_rq_beats_i[7*i+:7] != 7'd0 && rd_rq_beats_i[7*i+:7] <= 7'd64);
    end
    for (int i = 0; i < 2; i++) begin
      if (wr_rq_valid_i[i])
        assume ({5'd0, wr_rq_addr_i[32*i+:8]} + ({6'd0, wr_rq_beats_i[7*i+:7]} << $clog2(BusBytes)) <= 13'd256
                && wr_rq_beats_i[7*i+:7] != 7'd0 && wr_rq_beats_i[7*i+:7] <= 7'd64);
    end
    if (init_q && !rst_i) begin
      if (w_stuck_q && w_owner_q[0]) assume (wd_data_i[8*BusBytes-1:0] == data_was_q[8*BusBytes-1:0] && wd_strb_i[BusBytes-1:0] == strb_was_q[BusBytes-1:0]);
      if (w_stuck_q && w_owner_q[1]) assume (wd_data_i[16*BusBytes-1:8*BusBytes] == data_was_q[16*BusBytes-1:8*BusBytes]
                                             && wd_strb_i[2*BusBytes-1:BusBytes] == strb_was_q[2*BusBytes-1:BusBytes]);
      assume (!m_rvalid_i || ar_q != 5'd0);
      assume (!m_bvalid_i || b_q != 5'd0);
      assert (rready && bready);
      assert (arsize == 3'($clog2(BusBytes)) && awsize == 3'($clog2(BusBytes)) && arburst == 2'b01 && awburst == 2'b01);
      if (ar_stuck_q) assert (arvalid && {arlen, araddr} == ar_was_q);
      if (aw_stuck_q) assert (awvalid && {awlen, awaddr} == aw_was_q);
      if (w_stuck_q) assert (wvalid && {wlast, wstrb, wdata} == w_was_q);
      if (arvalid) assert ({1'b0, araddr[11:0]} + ((13'(arlen) + 13'd1) << $clog2(BusBytes)) <= 13'd4096);
      if (awvalid) assert ({1'b0, awaddr[11:0]} + ((13'(awlen) + 13'd1) << $clog2(BusBytes)) <= 13'd4096);
      if (wvalid) assert (aw_q != 5'd0);
      assert (ar_q <= outstanding_i && w_q <= outstanding_i && aw_q <= w_q);
      assert (ar_q == \u_rd.open_q && w_q == \u_wr.open_q && aw_q == \u_wr.u_data.cnt_q && aw_q == \u_master.data_open_q && b_q == w_q - aw_q);
      assert (rerr_q == \u_master.err_q );
      if (m_rvalid_i) assert (rd_err == (m_rresp_i[1] || rerr_q));
      assert (wr_rsp_valid == m_bvalid_i && (!m_bvalid_i || wr_rsp_err == m_bresp_i[1]));
      if (w_stuck_q) assert (w_owner == w_owner_q);
    end
  end

endmodule
