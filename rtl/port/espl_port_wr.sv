// Write path of the memory port: chooses the oldest request, asks the owner for its beats in grant order, returns responses.
// Timing: as the read path; mem_take_i in cycle t takes the beat shown in t (from the cycle after the grant on), and the owner
// shows the next one in t+1. A response is passed on in the cycle it arrives; the place is free from the next cycle.
// Requesters: 0 store, 1 mark; a tie of age goes to store.
module espl_port_wr #(
  parameter int BusBytes = 16
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  input  logic [4:0]              outstanding_i,
  input  logic [1:0]              rq_valid_i,
  input  logic [63:0]             rq_addr_i,
  input  logic [13:0]             rq_beats_i,
  output logic [1:0]              rq_gnt_o,
  output logic [1:0]              wd_take_o,
  input  logic [16*BusBytes-1:0]  wd_data_i,
  input  logic [2*BusBytes-1:0]   wd_strb_i,
  output logic [1:0]              wr_rsp_o,
  output logic                    mem_req_valid_o,
  input  logic                    mem_req_ready_i,
  output logic [31:0]             mem_req_addr_o,
  output logic [6:0]              mem_req_beats_o,
  input  logic                    mem_take_i,
  output logic [8*BusBytes-1:0]   mem_data_o,
  output logic [BusBytes-1:0]     mem_strb_o,
  output logic                    mem_last_o,
  input  logic                    mem_rsp_valid_i,
  output logic                    busy_o,
  output logic [1:0]              wait_o
);

  logic [4:0] open_q;
  logic       old01_q;
  logic [1:0] keep;
  logic       pick, allowed, granted;
  logic       data_valid, data_full, data_owner, rsp_valid, rsp_full, rsp_owner, take;
  logic [6:0] data_beats, beat_q;

  assign pick            = rq_valid_i[1] && (!rq_valid_i[0] || !old01_q);
  assign allowed         = (open_q < outstanding_i) && !data_full && !rsp_full;
  assign mem_req_valid_o = allowed && (rq_valid_i != 2'b00);
  assign granted         = mem_req_valid_o && mem_req_ready_i;
  assign rq_gnt_o        = granted ? {pick, !pick} : 2'b00;
  assign keep            = rq_valid_i & ~rq_gnt_o;
  assign wait_o          = {1'b0, keep[0]} + {1'b0, keep[1]};
  assign mem_req_addr_o  = pick ? rq_addr_i[63:32] : rq_addr_i[31:0];
  assign mem_req_beats_o = pick ? rq_beats_i[13:7] : rq_beats_i[6:0];

  assign take       = mem_take_i && data_valid;
  assign wd_take_o  = take ? {data_owner, !data_owner} : 2'b00;
  assign mem_data_o = data_owner ? wd_data_i[16*BusBytes-1:8*BusBytes] : wd_data_i[8*BusBytes-1:0];
  assign mem_strb_o = data_owner ? wd_strb_i[2*BusBytes-1:BusBytes] : wd_strb_i[BusBytes-1:0];
  assign mem_last_o = data_valid && (beat_q + 7'd1 == data_beats);
  assign wr_rsp_o   = (mem_rsp_valid_i && rsp_valid) ? {rsp_owner, !rsp_owner} : 2'b00;
  assign busy_o     = (open_q != 5'd0) || (rq_valid_i != 2'b00);

  espl_fifo #(
    .Width(8),
    .Depth(16)
  ) u_data (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (granted),
    .data_i ({pick, mem_req_beats_o}),
    .full_o (data_full),
    .pop_i  (take && mem_last_o),
    .valid_o(data_valid),
    .data_o ({data_owner, data_beats})
  );

  espl_fifo #(
    .Width(1),
    .Depth(16)
  ) u_rsp (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (granted),
    .data_i (pick),
    .full_o (rsp_full),
    .pop_i  (mem_rsp_valid_i && rsp_valid),
    .valid_o(rsp_valid),
    .data_o (rsp_owner)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      open_q  <= 5'd0;
      beat_q  <= 7'd0;
      old01_q <= 1'b1;
    end else begin
      if (granted && !mem_rsp_valid_i) open_q <= open_q + 5'd1;
      if (mem_rsp_valid_i && !granted) open_q <= open_q - 5'd1;
      if (take) beat_q <= mem_last_o ? 7'd0 : beat_q + 7'd1;
      if (!(keep[0] && keep[1])) old01_q <= keep[0] || !keep[1];
    end
  end

endmodule
