// A board without its pins and clock: core, memory, serial bridge. Everything a board's top needs but a clock, a reset and two wires.
// Timing: the core's, with the memory of espl_board_mem (machine points with read_latency 2 or 3, write_latency 1, one beat a cycle, no stalls; shared_path
// with turnaround read_latency - 1, or separate paths).
// led_o: bit 0 the interrupt, bit 1 a byte on the serial line.
`include "espl_params.svh"
module espl_board #(
  `ESPL_PARAMS_DECLARE
  parameter logic [31:0] ConfigHash  = 32'd0,
  parameter int          MemAw       = 17,  // log2 of the bytes of memory
  parameter int          CounterRegs = 1,
  parameter int          ReadLat     = 2,
  parameter int          Shared      = 0,
  parameter int          Outstanding = 2,
  parameter int          ClkDiv      = 16,  // cycles of a bit on the serial line
  parameter int          GapW        = 16
) (
  input  logic       clk_i,
  input  logic       rst_i,
  input  logic       uart_rx_i,
  output logic       uart_tx_o,
  output logic [1:0] led_o
);

  logic                  reg_we, irq;
  logic [7:0]            reg_addr;
  logic [31:0]           reg_wdata, reg_rdata;
  logic                  rd_req_valid, rd_req_ready, rd_valid, rd_last, wr_req_valid, wr_req_ready, wr_take, wr_last, wr_rsp;
  logic [MemAw-1:0]      rd_req_addr, wr_req_addr;
  logic [6:0]            rd_req_beats;
  logic [8*BusBytes-1:0] rd_data, wr_data;
  logic [BusBytes-1:0]   wr_strb;
  logic                  host_req, host_we, host_ack, host_rvalid;
  logic [MemAw-1:0]      host_addr;
  logic [7:0]            host_wdata, host_rdata;
  logic [6:0]            unused_beats;
  logic                  unused_reset;

  espl_synth #(
    `ESPL_PARAMS_HAND_ON
    .ConfigHash (ConfigHash),
    .MemAw      (MemAw),
    .CounterRegs(CounterRegs),
    .AddrEarly  (1)
  ) u_core (
    .clk_i             (clk_i),
    .rst_i             (rst_i),
    .reg_we_i          (reg_we),
    .reg_addr_i        (reg_addr),
    .reg_wdata_i       (reg_wdata),
    .reg_rdata_o       (reg_rdata),
    .irq_o             (irq),
    .mem_rd_req_valid_o(rd_req_valid),
    .mem_rd_req_ready_i(rd_req_ready),
    .mem_rd_req_addr_o (rd_req_addr),
    .mem_rd_req_beats_o(rd_req_beats),
    .mem_rd_valid_i    (rd_valid),
    .mem_rd_data_i     (rd_data),
    .mem_rd_last_i     (rd_last),
    .mem_wr_req_valid_o(wr_req_valid),
    .mem_wr_req_ready_i(wr_req_ready),
    .mem_wr_req_addr_o (wr_req_addr),
    .mem_wr_req_beats_o(unused_beats),
    .mem_wr_take_i     (wr_take),
    .mem_wr_data_o     (wr_data),
    .mem_wr_strb_o     (wr_strb),
    .mem_wr_last_o     (wr_last),
    .mem_wr_rsp_valid_i(wr_rsp),
    .mem_reset_o       (unused_reset)
  );

  espl_board_mem #(
    .BusBytes   (BusBytes),
    .MemAw      (MemAw),
    .ReadLat    (ReadLat),
    .Shared     (Shared),
    .Outstanding(Outstanding)
  ) u_mem (
    .clk_i         (clk_i),
    .rst_i         (rst_i),
    .rd_req_valid_i(rd_req_valid),
    .rd_req_ready_o(rd_req_ready),
    .rd_req_addr_i (rd_req_addr),
    .rd_req_beats_i(rd_req_beats),
    .rd_valid_o    (rd_valid),
    .rd_data_o     (rd_data),
    .rd_last_o     (rd_last),
    .wr_req_valid_i(wr_req_valid),
    .wr_req_ready_o(wr_req_ready),
    .wr_req_addr_i (wr_req_addr),
    .wr_take_o     (wr_take),
    .wr_data_i     (wr_data),
    .wr_strb_i     (wr_strb),
    .wr_last_i     (wr_last),
    .wr_rsp_o      (wr_rsp),
    .host_req_i    (host_req),
    .host_we_i     (host_we),
    .host_addr_i   (host_addr),
    .host_wdata_i  (host_wdata),
    .host_ack_o    (host_ack),
    .host_rvalid_o (host_rvalid),
    .host_rdata_o  (host_rdata)
  );

  espl_bridge #(
    .ClkDiv(ClkDiv),
    .GapW  (GapW),
    .MemAw (MemAw)
  ) u_bridge (
    .clk_i       (clk_i),
    .rst_i       (rst_i),
    .rx_i        (uart_rx_i),
    .tx_o        (uart_tx_o),
    .reg_we_o    (reg_we),
    .reg_addr_o  (reg_addr),
    .reg_wdata_o (reg_wdata),
    .reg_rdata_i (reg_rdata),
    .mem_req_o   (host_req),
    .mem_we_o    (host_we),
    .mem_addr_o  (host_addr),
    .mem_wdata_o (host_wdata),
    .mem_ack_i   (host_ack),
    .mem_rvalid_i(host_rvalid),
    .mem_rdata_i (host_rdata)
  );

  assign led_o = {!uart_rx_i || !uart_tx_o, irq};

endmodule
