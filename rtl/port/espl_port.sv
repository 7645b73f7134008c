// The memory port of the core: read path and write path side by side, nothing else.
// Timing: see espl_port_rd and espl_port_wr; rules of arbitration and of open bursts are those of hw/spec/memory.md.
module espl_port #(
  parameter int BusBytes = 16,
  parameter int Bursts   = 16   // most bursts a path keeps open
) (
  input  logic                   clk_i,
  input  logic                   rst_i,
  input  logic [4:0]             outstanding_i,
  // read requesters: 0 command fetch, 1 load, 2 residual
  input  logic [2:0]             rd_rq_valid_i,
  input  logic [95:0]            rd_rq_addr_i,
  input  logic [20:0]            rd_rq_beats_i,
  output logic [2:0]             rd_rq_gnt_o,
  output logic [2:0]             rd_valid_o,
  // write requesters: 0 store, 1 mark
  input  logic [1:0]             wr_rq_valid_i,
  input  logic [63:0]            wr_rq_addr_i,
  input  logic [13:0]            wr_rq_beats_i,
  output logic [1:0]             wr_rq_gnt_o,
  output logic [1:0]             wd_take_o,
  input  logic [16*BusBytes-1:0] wd_data_i,
  input  logic [2*BusBytes-1:0]  wd_strb_i,
  output logic [1:0]             wr_rsp_o,
  // memory
  output logic                   mem_rd_req_valid_o,
  input  logic                   mem_rd_req_ready_i,
  output logic [31:0]            mem_rd_req_addr_o,
  output logic [6:0]             mem_rd_req_beats_o,
  input  logic                   mem_rd_valid_i,
  input  logic                   mem_rd_last_i,
  output logic                   mem_wr_req_valid_o,
  input  logic                   mem_wr_req_ready_i,
  output logic [31:0]            mem_wr_req_addr_o,
  output logic [6:0]             mem_wr_req_beats_o,
  input  logic                   mem_wr_take_i,
  output logic [8*BusBytes-1:0]  mem_wr_data_o,
  output logic [BusBytes-1:0]    mem_wr_strb_o,
  output logic                   mem_wr_last_o,
  input  logic                   mem_wr_rsp_valid_i,
  // observation
  output logic                   busy_o,  // a burst is open or requested on either path
  output logic [2:0]             wait_o   // requests that wait for a grant in this cycle
);

  logic       rd_busy, wr_busy;
  logic [1:0] rd_wait, wr_wait;

  assign busy_o = rd_busy || wr_busy;
  assign wait_o = {1'b0, rd_wait} + {1'b0, wr_wait};

  espl_port_rd #(
    .Bursts(Bursts)
  ) u_rd (
    .clk_i          (clk_i),
    .rst_i          (rst_i),
    .outstanding_i  (outstanding_i),
    .rq_valid_i     (rd_rq_valid_i),
    .rq_addr_i      (rd_rq_addr_i),
    .rq_beats_i     (rd_rq_beats_i),
    .rq_gnt_o       (rd_rq_gnt_o),
    .rd_valid_o     (rd_valid_o),
    .mem_req_valid_o(mem_rd_req_valid_o),
    .mem_req_ready_i(mem_rd_req_ready_i),
    .mem_req_addr_o (mem_rd_req_addr_o),
    .mem_req_beats_o(mem_rd_req_beats_o),
    .mem_valid_i    (mem_rd_valid_i),
    .mem_last_i     (mem_rd_last_i),
    .busy_o         (rd_busy),
    .wait_o         (rd_wait)
  );

  espl_port_wr #(
    .BusBytes(BusBytes),
    .Bursts  (Bursts)
  ) u_wr (
    .clk_i          (clk_i),
    .rst_i          (rst_i),
    .outstanding_i  (outstanding_i),
    .rq_valid_i     (wr_rq_valid_i),
    .rq_addr_i      (wr_rq_addr_i),
    .rq_beats_i     (wr_rq_beats_i),
    .rq_gnt_o       (wr_rq_gnt_o),
    .wd_take_o      (wd_take_o),
    .wd_data_i      (wd_data_i),
    .wd_strb_i      (wd_strb_i),
    .wr_rsp_o       (wr_rsp_o),
    .mem_req_valid_o(mem_wr_req_valid_o),
    .mem_req_ready_i(mem_wr_req_ready_i),
    .mem_req_addr_o (mem_wr_req_addr_o),
    .mem_req_beats_o(mem_wr_req_beats_o),
    .mem_take_i     (mem_wr_take_i),
    .mem_data_o     (mem_wr_data_o),
    .mem_strb_o     (mem_wr_strb_o),
    .mem_last_o     (mem_wr_last_o),
    .mem_rsp_valid_i(mem_wr_rsp_valid_i),
    .busy_o         (wr_busy),
    .wait_o         (wr_wait)
  );

endmodule
