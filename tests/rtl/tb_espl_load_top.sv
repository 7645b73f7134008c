// Bench harness: the load unit with its queue, the token counters and the memory port; the other requesters and units are the bench.
module tb_espl_load_top #(
  parameter int Rows     = 4,
  parameter int Cols     = 4,
  parameter int BusBytes = 4,
  parameter int WBook    = 0,
  parameter int TokenMax = 3
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  stop_i,
  input  logic [4:0]            outstanding_i,
  input  logic                  q_push_i,
  input  logic [127:0]          q_cmd_i,
  input  logic [23:0]           q_idx_i,
  output logic                  q_full_o,
  output logic                  q_pop_o,
  input  logic                  push_cl_i,
  input  logic                  push_sl_i,
  input  logic                  pop_lc_i,
  input  logic                  pop_ls_i,
  input  logic                  credit_pop_i,
  output logic [5:0]            avail_o,
  output logic [5:0]            room_o,
  output logic                  credit_avail_o,
  output logic [4:0]            credit_push_o,
  output logic                  idle_o,
  output logic                  blocked_o,
  output logic                  wait_valid_o,
  output logic [23:0]           wait_idx_o,
  output logic                  err_valid_o,
  output logic [7:0]            err_code_o,
  output logic [23:0]           err_idx_o,
  input  logic                  rq0_valid_i,
  input  logic [31:0]           rq0_addr_i,
  input  logic [6:0]            rq0_beats_i,
  input  logic                  rq2_valid_i,
  input  logic [31:0]           rq2_addr_i,
  input  logic [6:0]            rq2_beats_i,
  input  logic [1:0]            wq_valid_i,
  input  logic [63:0]           wq_addr_i,
  input  logic [13:0]           wq_beats_i,
  output logic [2:0]            rq_gnt_o,
  output logic [1:0]            wq_gnt_o,
  output logic                  rq1_valid_o,
  output logic [2:0]            rd_valid_o,
  output logic [1:0]            wd_take_o,
  output logic [1:0]            wr_rsp_o,
  output logic                  busy_o,
  output logic [2:0]            wait_o,
  output logic                  mem_rd_req_valid_o,
  output logic [31:0]           mem_rd_req_addr_o,
  output logic [6:0]            mem_rd_req_beats_o,
  input  logic                  mem_rd_valid_i,
  input  logic [8*BusBytes-1:0] mem_rd_data_i,
  input  logic                  mem_rd_last_i,
  input  logic                  mem_rd_err_i,
  output logic                  mem_wr_req_valid_o,
  output logic [31:0]           mem_wr_req_addr_o,
  output logic [6:0]            mem_wr_req_beats_o,
  input  logic                  mem_wr_take_i,
  output logic                  mem_wr_last_o,
  input  logic                  mem_wr_rsp_valid_i,
  output logic                  bw_we_o,
  output logic [1:0]            bw_sel_o,
  output logic [7:0]            bw_bank_o,
  output logic [19:0]           bw_addr_o,
  output logic [8*BusBytes-1:0] bw_data_o,
  output logic [BusBytes-1:0]   bw_strb_o
);

  logic         q_valid;
  logic [127:0] q_cmd;
  logic [23:0]  q_idx;
  logic         pop_cl, pop_sl, push_lc, push_ls;
  logic [31:0]  rq1_addr;
  logic [6:0]   rq1_beats;
  logic [8*BusBytes-1:0] unused_data;
  logic [BusBytes-1:0]   unused_strb;

  espl_fifo #(.Width(152), .Depth(4)) u_queue (
    .clk_i(clk_i), .rst_i(rst_i), .push_i(q_push_i), .data_i({q_idx_i, q_cmd_i}), .full_o(q_full_o),
    .pop_i(q_pop_o), .valid_o(q_valid), .data_o({q_idx, q_cmd})
  );

  espl_tokens #(.TokenMax(TokenMax)) u_tokens (
    .clk_i(clk_i), .rst_i(rst_i), .push_i({2'b00, push_sl_i, push_ls, push_cl_i, push_lc}),
    .pop_i({2'b00, pop_sl, pop_ls_i, pop_cl, pop_lc_i}), .avail_o(avail_o), .room_o(room_o),
    .credit_push_i(credit_push_o), .credit_pop_i(credit_pop_i), .credit_avail_o(credit_avail_o)
  );

  espl_load #(.Rows(Rows), .Cols(Cols), .BusBytes(BusBytes), .WBook(WBook)) u_load (
    .clk_i(clk_i), .rst_i(rst_i), .q_valid_i(q_valid), .q_cmd_i(q_cmd), .q_idx_i(q_idx), .q_pop_o(q_pop_o), .stop_i(stop_i),
    .idle_o(idle_o), .blocked_o(blocked_o), .wait_valid_o(wait_valid_o), .wait_idx_o(wait_idx_o),
    .err_valid_o(err_valid_o), .err_code_o(err_code_o), .err_idx_o(err_idx_o),
    .tok_cl_avail_i(avail_o[1]), .tok_cl_pop_o(pop_cl), .tok_sl_avail_i(avail_o[3]), .tok_sl_pop_o(pop_sl),
    .tok_lc_room_i(room_o[0]), .tok_lc_push_o(push_lc), .tok_ls_room_i(room_o[2]), .tok_ls_push_o(push_ls),
    .credit_push_o(credit_push_o), .rq_valid_o(rq1_valid_o), .rq_addr_o(rq1_addr), .rq_beats_o(rq1_beats), .rq_gnt_i(rq_gnt_o[1]),
    .rd_valid_i(rd_valid_o[1]), .rd_data_i(mem_rd_data_i), .rd_last_i(mem_rd_last_i), .rd_err_i(mem_rd_err_i),
    .bw_we_o(bw_we_o), .bw_sel_o(bw_sel_o), .bw_bank_o(bw_bank_o), .bw_addr_o(bw_addr_o), .bw_data_o(bw_data_o), .bw_strb_o(bw_strb_o)
  );

  espl_port #(.BusBytes(BusBytes)) u_port (
    .clk_i(clk_i), .rst_i(rst_i), .outstanding_i(outstanding_i),
    .rd_rq_valid_i({rq2_valid_i, rq1_valid_o, rq0_valid_i}), .rd_rq_addr_i({rq2_addr_i, rq1_addr, rq0_addr_i}),
    .rd_rq_beats_i({rq2_beats_i, rq1_beats, rq0_beats_i}), .rd_rq_gnt_o(rq_gnt_o), .rd_valid_o(rd_valid_o),
    .wr_rq_valid_i(wq_valid_i), .wr_rq_addr_i(wq_addr_i), .wr_rq_beats_i(wq_beats_i), .wr_rq_gnt_o(wq_gnt_o),
    .wd_take_o(wd_take_o), .wd_data_i('0), .wd_strb_i('0), .wr_rsp_o(wr_rsp_o),
    .mem_rd_req_valid_o(mem_rd_req_valid_o), .mem_rd_req_ready_i(1'b1), .mem_rd_req_addr_o(mem_rd_req_addr_o),
    .mem_rd_req_beats_o(mem_rd_req_beats_o), .mem_rd_valid_i(mem_rd_valid_i), .mem_rd_last_i(mem_rd_last_i),
    .mem_wr_req_valid_o(mem_wr_req_valid_o), .mem_wr_req_ready_i(1'b1), .mem_wr_req_addr_o(mem_wr_req_addr_o),
    .mem_wr_req_beats_o(mem_wr_req_beats_o), .mem_wr_take_i(mem_wr_take_i), .mem_wr_data_o(unused_data), .mem_wr_strb_o(unused_strb),
    .mem_wr_last_o(mem_wr_last_o), .mem_wr_rsp_valid_i(mem_wr_rsp_valid_i), .busy_o(busy_o), .wait_o(wait_o)
  );

endmodule
