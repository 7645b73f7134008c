// Read path of the memory port: chooses the oldest request, counts open bursts, sends returning beats to their owner.
// Timing: the choice is combinational among registered requests, gnt_o is choice and mem_req_ready_i in the same cycle;
// a beat is passed on in the cycle it arrives. A burst's place is free from the cycle after its last beat.
// Requesters: 0 command fetch, 1 load, 2 residual; a tie of age goes to the lower number.
module espl_port_rd (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic [4:0]   outstanding_i,
  input  logic [2:0]   rq_valid_i,
  input  logic [95:0]  rq_addr_i,
  input  logic [20:0]  rq_beats_i,
  output logic [2:0]   rq_gnt_o,
  output logic [2:0]   rd_valid_o,
  output logic         mem_req_valid_o,
  input  logic         mem_req_ready_i,
  output logic [31:0]  mem_req_addr_o,
  output logic [6:0]   mem_req_beats_o,
  input  logic         mem_valid_i,
  input  logic         mem_last_i,
  output logic         busy_o,  // a burst is open or requested
  output logic [1:0]   wait_o   // requests that wait in this cycle
);

  logic [4:0] open_q;
  logic       old01_q, old02_q, old12_q;  // first number of the pair was raised before the second, or in the same cycle
  logic [2:0] sel, keep;
  logic       allowed, granted, closed;
  logic [1:0] owner_d, owner;
  logic       owner_valid, owner_full;

  assign allowed = (open_q < outstanding_i) && !owner_full;
  assign sel[0]  = rq_valid_i[0] && (!rq_valid_i[1] || old01_q) && (!rq_valid_i[2] || old02_q);
  assign sel[1]  = rq_valid_i[1] && (!rq_valid_i[0] || !old01_q) && (!rq_valid_i[2] || old12_q);
  assign sel[2]  = rq_valid_i[2] && (!rq_valid_i[0] || !old02_q) && (!rq_valid_i[1] || !old12_q);

  assign mem_req_valid_o = allowed && (rq_valid_i != 3'b000);
  assign granted         = mem_req_valid_o && mem_req_ready_i;
  assign rq_gnt_o        = granted ? sel : 3'b000;
  assign keep            = rq_valid_i & ~rq_gnt_o;
  assign wait_o          = {1'b0, keep[0]} + {1'b0, keep[1]} + {1'b0, keep[2]};
  assign owner_d         = sel[2] ? 2'd2 : sel[1] ? 2'd1 : 2'd0;
  assign mem_req_addr_o  = rq_addr_i[owner_d*32+:32];
  assign mem_req_beats_o = rq_beats_i[owner_d*7+:7];

  assign closed     = mem_valid_i && mem_last_i;
  assign rd_valid_o = (mem_valid_i && owner_valid) ? (3'b001 << owner) : 3'b000;
  assign busy_o     = (open_q != 5'd0) || (rq_valid_i != 3'b000);

  espl_fifo #(
    .Width(2),
    .Depth(16)
  ) u_owner (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (granted),
    .data_i (owner_d),
    .full_o (owner_full),
    .pop_i  (closed && owner_valid),
    .valid_o(owner_valid),
    .data_o (owner)
  );

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      open_q  <= 5'd0;
      old01_q <= 1'b1;
      old02_q <= 1'b1;
      old12_q <= 1'b1;
    end else begin
      if (granted && !closed) open_q <= open_q + 5'd1;
      if (closed && !granted) open_q <= open_q - 5'd1;
      if (!(keep[0] && keep[1])) old01_q <= keep[0] || !keep[1];
      if (!(keep[0] && keep[2])) old02_q <= keep[0] || !keep[2];
      if (!(keep[1] && keep[2])) old12_q <= keep[1] || !keep[2];
    end
  end

endmodule
