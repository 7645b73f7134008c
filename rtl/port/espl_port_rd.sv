// Read path of the memory port: chooses the oldest request, counts open bursts, sends returning beats to their owner.
// Timing: the choice is combinational among registered requests, gnt_o is choice and mem_req_ready_i in the same cycle;
// a beat is passed on in the cycle it arrives. A burst's place is free from the cycle after its last beat.
// Requesters: 0 command fetch, 1 load, 2 residual; a tie of age goes to the lower number.
module espl_port_rd #(
  parameter int Bursts = 16   // most bursts kept open
) (
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

  localparam int OpenW = $clog2(Bursts + 1);
  logic [OpenW-1:0] open_q;
  logic       old01_q, old02_q, old12_q;  // first number of the pair was raised before the second, or in the same cycle
  logic [2:0] sel, keep;
  logic       allowed_q, granted, closed;
  logic [1:0] owner_d, owner;
  logic       owner_valid, owner_full;

  assign sel[0]  = rq_valid_i[0] && (!rq_valid_i[1] || old01_q) && (!rq_valid_i[2] || old02_q);
  assign sel[1]  = rq_valid_i[1] && (!rq_valid_i[0] || !old01_q) && (!rq_valid_i[2] || old12_q);
  assign sel[2]  = rq_valid_i[2] && (!rq_valid_i[0] || !old02_q) && (!rq_valid_i[1] || !old12_q);

  assign mem_req_valid_o = allowed_q && (rq_valid_i != 3'b000);
  assign granted         = mem_req_valid_o && mem_req_ready_i;
  assign rq_gnt_o        = granted ? sel : 3'b000;
  assign keep            = rq_valid_i & ~rq_gnt_o;
  assign wait_o          = {1'b0, keep[0]} + {1'b0, keep[1]} + {1'b0, keep[2]};
  assign owner_d         = sel[2] ? 2'd2 : sel[1] ? 2'd1 : 2'd0;
  assign mem_req_addr_o  = rq_addr_i[owner_d*32+:32];
  assign mem_req_beats_o = rq_beats_i[owner_d*7+:7];

  assign closed     = mem_valid_i && mem_last_i;
  assign rd_valid_o = (mem_valid_i && owner_valid) ? (3'b001 << owner) : 3'b000;
  assign busy_o     = (open_q != '0) || (rq_valid_i != 3'b000);

  espl_fifo #(
    .Width(2),
    .Depth(Bursts),
    .Front((Bursts > 1) ? 1 : 0)
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
      open_q    <= '0;
      allowed_q <= 1'b1;
      old01_q   <= 1'b1;
      old02_q   <= 1'b1;
      old12_q   <= 1'b1;
    end else begin
      // Another one is allowed: OUTSTANDING stands still while the core runs and is at most Bursts, so the lists have room.
      if (granted && !closed) begin
        open_q    <= open_q + 1'b1;
        allowed_q <= 6'(open_q) + 6'd1 < {1'b0, outstanding_i};
      end else if (closed && !granted) begin
        open_q    <= open_q - 1'b1;
        allowed_q <= 1'b1;
      end
      old01_q <= !keep[1] || (keep[0] && old01_q);
      old02_q <= !keep[2] || (keep[0] && old02_q);
      old12_q <= !keep[2] || (keep[1] && old12_q);
    end
  end

  // What the lists' room would say is in open_q already.
  logic unused_full;
  assign unused_full = owner_full;

`ifdef FORMAL
  // Laws for every OUTSTANDING of 1..16 that stands still, and for requests that stay until they are granted,
  // as they are.
  logic init_q = 1'b0;
  logic [4:0] limit_q;
  logic [2:0] shown_q;  // this request was already there, not granted, in the cycle before
  logic [47:0] age_q, age;  // cycles each of them has waited
  always_ff @(posedge clk_i) begin
    init_q  <= 1'b1;
    shown_q <= rst_i ? 3'b000 : keep;
    limit_q <= outstanding_i;
    for (int i = 0; i < 3; i++) age_q[16*i+:16] <= age[16*i+:16] + 16'd1;
  end
  logic       over;          // a burst ends in this cycle
  logic [4:0] bursts_q;      // granted and not over
  logic [95:0] held_addr_q;
  logic [20:0] held_beats_q;
  logic       stuck_q;       // shown to the memory, not accepted, in the cycle before
  logic [38:0] stuck_rq_q;
  assign over = mem_valid_i && mem_last_i;
  // The burst that the owner list follows (its proof shows that a followed word comes out in its turn).
  (* hierconn *) logic \u_owner.pick ;
  (* hierconn *) logic \u_owner.watch_q ;
  (* hierconn *) logic [4:0] \u_owner.ahead_q ;
  (* hierconn *) logic [4:0] \u_owner.cnt_q ;
  (* hierconn *) logic [1:0] \u_owner.word_q ;
  logic [2:0] burst_q;  // who was granted it
  logic [4:0] ahead_q;  // bursts that end before it
  always_ff @(posedge clk_i) begin
    bursts_q   <= rst_i ? 5'd0 : bursts_q + {4'd0, rq_gnt_o != 3'b000} - {4'd0, over};
    stuck_q    <= !rst_i && mem_req_valid_o && !mem_req_ready_i;
    stuck_rq_q <= {mem_req_beats_o, mem_req_addr_o};
    held_addr_q  <= rq_addr_i;
    held_beats_q <= rq_beats_i;
    if (granted && \u_owner.pick && !\u_owner.watch_q ) begin
      burst_q <= rq_gnt_o;
      ahead_q <= open_q - {4'd0, over};
    end else if (over) ahead_q <= ahead_q - 5'd1;
  end
  always_comb begin
    for (int i = 0; i < 3; i++) age[16*i+:16] = shown_q[i] ? age_q[16*i+:16] : 16'd0;
    if (!init_q) assume (rst_i);
    if (init_q && !rst_i) assume (outstanding_i == limit_q);
    assume (outstanding_i >= 5'd1 && outstanding_i <= 5'd16);
    for (int i = 0; i < 3; i++) assume (age[16*i+:16] != 16'hffff);
    for (int i = 0; i < 3; i++) begin
      if (init_q && shown_q[i])
        assume (rq_valid_i[i] && rq_addr_i[32*i+:32] == held_addr_q[32*i+:32] && rq_beats_i[7*i+:7] == held_beats_q[7*i+:7]);
    end
    if (init_q && !rst_i) begin
`ifdef PROVE_espl_port_rd
      assume (!mem_valid_i || open_q != 5'd0);  // the memory answers what it was asked
`else
      assert (!mem_valid_i || open_q != 5'd0);
`endif
      assert (allowed_q == (5'(open_q) < outstanding_i));
      assert (open_q <= outstanding_i && open_q == bursts_q);
      if (stuck_q) assert (mem_req_valid_o && {mem_req_beats_o, mem_req_addr_o} == stuck_rq_q);
      if (stuck_q) assert (shown_q != 3'b000 && stuck_rq_q == {held_beats_q[owner_d*7+:7], held_addr_q[owner_d*32+:32]});
      assert (\u_owner.cnt_q == open_q);
      assert (rq_gnt_o == 3'b000 || rq_gnt_o == 3'b001 || rq_gnt_o == 3'b010 || rq_gnt_o == 3'b100);
      assert ((rq_gnt_o & ~rq_valid_i) == 3'b000);
      assert ((rq_gnt_o != 3'b000) == (mem_req_ready_i && rq_valid_i != 3'b000 && open_q < outstanding_i));
      assert (mem_req_valid_o == (rq_valid_i != 3'b000 && open_q < outstanding_i));
      for (int i = 0; i < 3; i++) begin
        if (rq_gnt_o[i]) assert (mem_req_addr_o == rq_addr_i[32*i+:32] && mem_req_beats_o == rq_beats_i[7*i+:7]);
        for (int j = 0; j < 3; j++) begin
          if (i != j && rq_gnt_o[i] && rq_valid_i[j])
            assert (age[16*i+:16] > age[16*j+:16] || (age[16*i+:16] == age[16*j+:16] && i < j));
        end
      end
      assert (old01_q == ((shown_q[0] && shown_q[1]) ? age[15:0] >= age[31:16] : shown_q[0] || !shown_q[1]));
      assert (old02_q == ((shown_q[0] && shown_q[2]) ? age[15:0] >= age[47:32] : shown_q[0] || !shown_q[2]));
      assert (old12_q == ((shown_q[1] && shown_q[2]) ? age[31:16] >= age[47:32] : shown_q[1] || !shown_q[2]));
      if (!mem_valid_i) assert (rd_valid_o == 3'b000);
      if (\u_owner.watch_q ) begin
        assert (ahead_q == \u_owner.ahead_q );
        assert (burst_q == (3'b001 << \u_owner.word_q ) && burst_q != 3'b000);
        if (mem_valid_i && ahead_q == 5'd0) assert (rd_valid_o == burst_q);
      end
    end
  end
`endif

endmodule
