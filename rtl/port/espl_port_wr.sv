// Write path of the memory port: chooses the oldest request, asks the owner for its beats in grant order, returns responses.
// Timing: as the read path; mem_take_i in cycle t takes the beat shown in t (from the cycle after the grant on), and the owner
// shows the next one in t+1. A response is passed on in the cycle it arrives; the place is free from the next cycle.
// Requesters: 0 store, 1 mark; a tie of age goes to store.
module espl_port_wr #(
  parameter int BusBytes = 16,
  parameter int Bursts   = 16   // most bursts kept open
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

  localparam int OpenW = $clog2(Bursts + 1);
  logic [OpenW-1:0] open_q;
  logic       old01_q;
  logic [1:0] keep;
  logic       pick, allowed_q, granted;
  logic       data_valid, data_full, data_owner, rsp_valid, rsp_full, rsp_owner, take;
  logic [6:0] data_beats, beat_q;  // beat_q: number of the beat, from 1 on

  assign pick            = rq_valid_i[1] && (!rq_valid_i[0] || !old01_q);
  assign mem_req_valid_o = allowed_q && (rq_valid_i != 2'b00);
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
  if (Bursts == 1) begin : gen_one
    // With one burst open the last beat is known a cycle ahead.
    logic       last_q;
    logic [6:0] left_q;  // beats left, this one included
    always_ff @(posedge clk_i) begin
      if (granted) begin
        left_q <= mem_req_beats_o;
        last_q <= mem_req_beats_o == 7'd1;
      end else if (take) begin
        left_q <= left_q - 7'd1;
        last_q <= left_q == 7'd2;
      end
    end
    assign mem_last_o = data_valid && last_q;
    logic unused_beats;
    assign unused_beats = ^data_beats;
  end else begin : gen_more
    assign mem_last_o = data_valid && (beat_q == data_beats);
  end
  assign wr_rsp_o   = (mem_rsp_valid_i && rsp_valid) ? {rsp_owner, !rsp_owner} : 2'b00;
  assign busy_o     = (open_q != '0) || (rq_valid_i != 2'b00);

  espl_fifo #(
    .Width(8),
    .Depth(Bursts)
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
    .Depth(Bursts)
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
      open_q  <= '0;
      allowed_q <= 1'b1;
      beat_q  <= 7'd1;
      old01_q <= 1'b1;
    end else begin
      // As in espl_port_rd.
      if (granted && !mem_rsp_valid_i) begin
        open_q    <= open_q + 1'b1;
        allowed_q <= 6'(open_q) + 6'd1 < {1'b0, outstanding_i};
      end else if (mem_rsp_valid_i && !granted) begin
        open_q    <= open_q - 1'b1;
        allowed_q <= 1'b1;
      end
      if (take) beat_q <= mem_last_o ? 7'd1 : beat_q + 7'd1;
      old01_q <= !keep[1] || (keep[0] && old01_q);
    end
  end

  // What the lists' room would say is in open_q already.
  logic unused_full;
  assign unused_full = &{1'b0, data_full, rsp_full};

`ifdef FORMAL
  // Laws for every OUTSTANDING of 1..16 that stands still, requests of at least one beat that stay until they are granted, and a
  // memory that takes beats of granted bursts only and answers a burst after its last beat.
  logic init_q = 1'b0;
  logic [4:0] limit_q;
  logic [1:0] shown_q;  // this request was already there, not granted, in the cycle before
  logic [31:0] age_q, age;  // cycles each of them has waited
  always_ff @(posedge clk_i) begin
    init_q  <= 1'b1;
    limit_q <= outstanding_i;
    shown_q <= rst_i ? 2'b00 : keep;
    for (int i = 0; i < 2; i++) age_q[16*i+:16] <= age[16*i+:16] + 16'd1;
  end
  logic [4:0] bursts_q;     // granted and not answered
  logic [63:0] held_addr_q;
  logic [13:0] held_beats_q;
  logic        stuck_q;     // shown to the memory, not accepted, in the cycle before
  logic [38:0] stuck_rq_q;
  // The bursts that the two lists follow (their proof shows that a followed word comes out in its turn).
  (* hierconn *) logic \u_data.pick ;
  (* hierconn *) logic \u_data.watch_q ;
  (* hierconn *) logic [4:0] \u_data.ahead_q ;
  (* hierconn *) logic [4:0] \u_data.cnt_q ;
  (* hierconn *) logic [7:0] \u_data.word_q ;
  (* hierconn *) logic \u_rsp.pick ;
  (* hierconn *) logic \u_rsp.watch_q ;
  (* hierconn *) logic [4:0] \u_rsp.ahead_q ;
  (* hierconn *) logic [4:0] \u_rsp.cnt_q ;
  (* hierconn *) logic \u_rsp.word_q ;
  logic [1:0] dburst_q, rburst_q;  // who was granted them
  logic [6:0] dbeats_q, taken_q;   // beats asked for and beats taken of the first
  logic [4:0] dahead_q, rahead_q;  // bursts before them
  always_ff @(posedge clk_i) begin
    bursts_q     <= rst_i ? 5'd0 : bursts_q + {4'd0, rq_gnt_o != 2'b00} - {4'd0, mem_rsp_valid_i};
    stuck_q      <= !rst_i && mem_req_valid_o && !mem_req_ready_i;
    stuck_rq_q   <= {mem_req_beats_o, mem_req_addr_o};
    held_addr_q  <= rq_addr_i;
    held_beats_q <= rq_beats_i;
    if (granted && \u_data.pick && !\u_data.watch_q ) begin
      dburst_q <= rq_gnt_o;
      dbeats_q <= rq_gnt_o[1] ? rq_beats_i[13:7] : rq_beats_i[6:0];
      dahead_q <= \u_data.cnt_q - {4'd0, mem_take_i && mem_last_o};
      taken_q  <= 7'd0;
    end else if (mem_take_i) begin
      if (dahead_q == 5'd0) taken_q <= taken_q + 7'd1;
      if (mem_last_o) dahead_q <= dahead_q - 5'd1;
    end
    if (granted && \u_rsp.pick && !\u_rsp.watch_q ) begin
      rburst_q <= rq_gnt_o;
      rahead_q <= open_q - {4'd0, mem_rsp_valid_i};
    end else if (mem_rsp_valid_i) rahead_q <= rahead_q - 5'd1;
  end
  always_comb begin
    for (int i = 0; i < 2; i++) age[16*i+:16] = shown_q[i] ? age_q[16*i+:16] : 16'd0;
    if (!init_q) assume (rst_i);
    if (init_q && !rst_i) assume (outstanding_i == limit_q);
    assume (outstanding_i >= 5'd1 && outstanding_i <= 5'd16);
    for (int i = 0; i < 2; i++) begin
      assume (age[16*i+:16] != 16'hffff);
      if (rq_valid_i[i]) assume (rq_beats_i[7*i+:7] != 7'd0);
    end
    for (int i = 0; i < 2; i++) begin
      if (init_q && shown_q[i])
        assume (rq_valid_i[i] && rq_addr_i[32*i+:32] == held_addr_q[32*i+:32] && rq_beats_i[7*i+:7] == held_beats_q[7*i+:7]);
    end
    if (init_q && !rst_i) begin
`ifdef PROVE_espl_port_wr
      assume (!mem_take_i || \u_data.cnt_q != 5'd0);
      assume (!mem_rsp_valid_i || \u_rsp.cnt_q > \u_data.cnt_q );
`else
      assert (!mem_take_i || \u_data.cnt_q != 5'd0);
      assert (!mem_rsp_valid_i || \u_rsp.cnt_q > \u_data.cnt_q );
`endif
      assert (allowed_q == (5'(open_q) < outstanding_i));
      assert (open_q <= outstanding_i && open_q == bursts_q);
      if (stuck_q) assert (mem_req_valid_o && {mem_req_beats_o, mem_req_addr_o} == stuck_rq_q);
      if (stuck_q) assert (shown_q != 2'b00 && stuck_rq_q == (pick ? {held_beats_q[13:7], held_addr_q[63:32]} : {held_beats_q[6:0], held_addr_q[31:0]}));
      assert (\u_rsp.cnt_q == open_q);
      assert (\u_data.cnt_q <= open_q);
      assert (rq_gnt_o != 2'b11);
      assert ((rq_gnt_o & ~rq_valid_i) == 2'b00);
      assert ((rq_gnt_o != 2'b00) == (mem_req_ready_i && rq_valid_i != 2'b00 && open_q < outstanding_i));
      assert (mem_req_valid_o == (rq_valid_i != 2'b00 && open_q < outstanding_i));
      for (int i = 0; i < 2; i++) begin
        if (rq_gnt_o[i]) assert (mem_req_addr_o == rq_addr_i[32*i+:32] && mem_req_beats_o == rq_beats_i[7*i+:7]);
      end
      if (rq_gnt_o[0] && rq_valid_i[1]) assert (age[15:0] >= age[31:16]);
      if (rq_gnt_o[1] && rq_valid_i[0]) assert (age[31:16] > age[15:0]);
      assert (old01_q == ((shown_q[0] && shown_q[1]) ? age[15:0] >= age[31:16] : shown_q[0] || !shown_q[1]));
      if (!mem_take_i) assert (wd_take_o == 2'b00);
      if (!mem_rsp_valid_i) assert (wr_rsp_o == 2'b00);
      if (\u_data.cnt_q == 5'd0) assert (beat_q == 7'd1);
      if (\u_data.watch_q ) begin
        assert (dahead_q == \u_data.ahead_q );
        assert (\u_data.word_q == {dburst_q[1], dbeats_q});
        assert (dburst_q == 2'b01 || dburst_q == 2'b10);
        assert (taken_q < dbeats_q);
        assert (taken_q == ((dahead_q == 5'd0) ? beat_q - 7'd1 : 7'd0));
        if (dahead_q == 5'd0) begin
          if (mem_take_i) assert (wd_take_o == dburst_q);
          assert (mem_last_o == (taken_q + 7'd1 == dbeats_q));
          assert (mem_data_o == (dburst_q[1] ? wd_data_i[16*BusBytes-1:8*BusBytes] : wd_data_i[8*BusBytes-1:0]));
          assert (mem_strb_o == (dburst_q[1] ? wd_strb_i[2*BusBytes-1:BusBytes] : wd_strb_i[BusBytes-1:0]));
        end
      end
      if (\u_rsp.watch_q ) begin
        assert (rahead_q == \u_rsp.ahead_q );
        assert (rburst_q == (\u_rsp.word_q ? 2'b10 : 2'b01));
        if (mem_rsp_valid_i && rahead_q == 5'd0) assert (wr_rsp_o == rburst_q);
      end
    end
  end
`endif

endmodule
