// The load unit: takes LOAD commands in order, keeps bursts in flight back to back, writes what returns into the buffers.
// Timing: a command is taken in the first cycle in which the walker is free, fewer than Flight commands are in flight and the tokens it
// pops are there; its first request is visible two cycles later, the next ones each in the cycle after a grant (with Flight 1: three cycles later, the
// next ones two cycles after a grant, and not earlier than two cycles after the request before). A beat of cycle t is on
// bw_* in t+1; credits are pushed in t+2; a command whose last beat came in t retires (pushes its tokens) in the first cycle from t+2 on in
// which there is room, one command a cycle. After `stop` nothing is taken, and a retiring command that finds no room pushes nothing.
module espl_load #(
  parameter int Rows     = 16,
  parameter int Cols     = 16,
  parameter int BusBytes = 16,
  parameter int WBits    = 8,
  parameter int WInt4    = 0,
  parameter int WBook    = 0,
  parameter int Bursts   = 16,  // most bursts the port keeps open
  parameter int DimBits  = 12,  // bits of rows and groups; row_bytes has eight more
  parameter int Flight   = 4,   // commands in flight, 1 or 4
  parameter int BufAw    = 20   // bits of a buffer's byte address that are kept: log2 of the largest buffer, or more
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  q_valid_i,
  input  logic [127:0]          q_cmd_i,
  input  logic [23:0]           q_idx_i,
  output logic                  q_pop_o,
  input  logic                  stop_i,
  output logic                  idle_o,
  output logic                  blocked_o,
  output logic                  wait_valid_o,
  output logic [23:0]           wait_idx_o,
  output logic                  err_valid_o,
  output logic [7:0]            err_code_o,
  output logic [23:0]           err_idx_o,
  input  logic                  tok_cl_avail_i,
  output logic                  tok_cl_pop_o,
  input  logic                  tok_sl_avail_i,
  output logic                  tok_sl_pop_o,
  input  logic                  tok_lc_room_i,
  output logic                  tok_lc_push_o,
  input  logic                  tok_ls_room_i,
  output logic                  tok_ls_push_o,
  output logic [4:0]            credit_push_o,
  output logic                  rq_valid_o,
  output logic [31:0]           rq_addr_o,
  output logic [6:0]            rq_beats_o,
  input  logic                  rq_gnt_i,
  input  logic                  rd_valid_i,
  input  logic [8*BusBytes-1:0] rd_data_i,
  input  logic                  rd_last_i,
  input  logic                  rd_err_i,
  output logic                  bw_we_o,
  output logic [1:0]            bw_sel_o,
  output logic [7:0]            bw_bank_o,
  output logic [19:0]           bw_addr_o,
  output logic [8*BusBytes-1:0] bw_data_o,
  output logic [BusBytes-1:0]   bw_strb_o
);

  localparam int BusSh = $clog2(BusBytes);
  localparam int MinRc = (Rows < Cols) ? Rows : Cols;
  localparam int Nb    = Rows / ((MinRc < 16) ? MinRc : 16);
  localparam int BankW = (Nb > 1) ? $clog2(Nb) : 1;
  localparam int BeatW = BufAw - BusSh;                  // address in beats
  localparam int MetaW = 1 + 2 * BusSh + BeatW + BankW;  // last, lane of the first byte, lane behind the last one, address, bank

  logic [95:0]      stride_q;
  logic             is_cfg, cfg_stride, pops_ok, take, take_load;
  logic             walk_valid, walk_ready, walk_last, emit;
  logic [31:0]      walk_addr;
  logic [6:0]       walk_beats;
  logic [8:0]       walk_bytes, walk_end;
  logic [19:0]      walk_dst;
  logic [7:0]       walk_bank;
  logic [BusSh-1:0] walk_lane;
  logic             rq_valid_q;
  logic [31:0]      rq_addr_q;
  logic [6:0]       rq_beats_q;
  logic [MetaW-1:0] rq_meta_q, meta;
  logic             meta_valid, meta_full;
  // commands in flight: index, pushes, buffer and credit flag; taken at `head`, filled by beats at `fill`, retired at `tail`
  localparam int FlySh = (Flight > 1) ? $clog2(Flight) : 1;
  logic [23:0]      fly_idx[0:Flight-1];
  logic [4:0]       fly_ctl[0:Flight-1];
  logic [FlySh-1:0] head_q, fill_q, tail_q;
  logic [2:0]       fly_cnt_q;
  logic             done, done_err, err_pulse, retire, has_room, fin_valid, fin_err, fin_full;
  logic [2:0]       fill_ctl;  // buffer, credit
  logic [1:0]       tail_push; // load->store, load->compute
  logic [23:0]      err_idx_q;
  logic             sel_credit;

  // The port keeps at most Bursts bursts open, so the open list cannot fill; Flight commands fit the finished list.
  logic unused_full;
  assign unused_full = &{1'b0, meta_full, fin_full, walk_dst, walk_bank, walk_bytes, walk_end};

  // ---- taking commands
  assign is_cfg    = q_cmd_i[3:0] == espl_pkg::OpCfg;
  assign pops_ok   = (!q_cmd_i[espl_pkg::LoadPopComputeLsb] || tok_cl_avail_i) && (!q_cmd_i[espl_pkg::LoadPopStoreLsb] || tok_sl_avail_i);
  if (Flight == 1) begin : gen_take_one
    // What is walked is in flight: a LOAD asks for that only.
    logic open;
    assign open      = q_valid_i && !stop_i && !is_cfg && !fly_cnt_q[0];
    assign take_load = open && pops_ok;
    assign take      = take_load || (q_valid_i && !stop_i && is_cfg && !walk_valid);
  end else begin : gen_take
    assign take      = q_valid_i && !stop_i && !walk_valid && (is_cfg || (pops_ok && !fly_cnt_q[2]));
    assign take_load = take && !is_cfg;
  end
  assign q_pop_o   = take;
  assign tok_cl_pop_o = take_load && q_cmd_i[espl_pkg::LoadPopComputeLsb];
  assign tok_sl_pop_o = take_load && q_cmd_i[espl_pkg::LoadPopStoreLsb];

  espl_load_walk #(
    .Rows    (Rows),
    .Cols    (Cols),
    .BusBytes(BusBytes),
    .DimBits (DimBits),
    .Prep    ((Flight == 1) ? 1 : 0)
  ) u_walk (
    .clk_i   (clk_i),
    .rst_i   (rst_i),
    .start_i (take_load),
    .cmd_i   (q_cmd_i),
    .stride_i(stride_q),
    .step_i  (emit),
    .valid_o (walk_valid),
    .ready_o (walk_ready),
    .addr_o  (walk_addr),
    .lane_o  (walk_lane),
    .beats_o (walk_beats),
    .bytes_o (walk_bytes),
    .end_o   (walk_end),
    .dst_o   (walk_dst),
    .bank_o  (walk_bank),
    .last_o  (walk_last)
  );

  // ---- requests: one in the register, its meta data goes to the open list with the grant
  assign emit       = walk_ready && (!rq_valid_q || (Flight > 1 && rq_gnt_i));  // (one at a time: the walk does not hang on the port)
  assign rq_valid_o = rq_valid_q;
  assign rq_addr_o  = rq_addr_q;
  assign rq_beats_o = rq_beats_q;

  espl_fifo #(
    .Width(MetaW),
    .Depth(Bursts),
    .Front((Flight > 1) ? 1 : 0)
  ) u_meta (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (rq_gnt_i),
    .data_i (rq_meta_q),
    .full_o (meta_full),
    .pop_i  (rd_valid_i && rd_last_i),
    .valid_o(meta_valid),
    .data_o (meta)
  );

  // ---- format of weights, kept for each command in flight
  logic [3:0] fill_bits;
  if (WInt4 > 0 || WBook > 0) begin : gen_formats
    logic       cfg_wgt;
    logic [3:0] bits_q;
    logic [3:0] fly_bits[0:Flight-1];
    assign cfg_wgt    = q_cmd_i[espl_pkg::CfgIndexLsb+:3] == espl_pkg::CfgLoadWgt;
    assign cfg_stride = !cfg_wgt;
    assign fill_bits  = fly_bits[fill_q];
    always_ff @(posedge clk_i) begin
      if (take_load) fly_bits[head_q] <= bits_q;
      if (rst_i) bits_q <= 4'(WBits);
      else if (take && is_cfg && cfg_wgt) bits_q <= q_cmd_i[espl_pkg::LoadWgtBitsLsb+:4];
    end
  end else begin : gen_one_format
    assign cfg_stride = 1'b1;
    assign fill_bits  = 4'(WBits);
  end

  // ---- beats
  assign fill_ctl   = fly_ctl[fill_q][2:0];
  assign sel_credit = fill_ctl[0] && (fill_ctl[2:1] == 2'd1);

  espl_load_beat #(
    .Rows    (Rows),
    .Cols    (Cols),
    .BusBytes(BusBytes),
    .WBits   (WBits),
    .Choice  (WInt4 > 0 || WBook > 0)
  ) u_beat (
    .clk_i     (clk_i),
    .rst_i     (rst_i),
    .sel_i     (fill_ctl[2:1]),
    .credit_i  (sel_credit),
    .bits_i    (fill_bits),
    .bank_i    (8'(meta[BankW-1:0])),
    .dst_i     ((20 - BusSh)'(meta[BankW+:BeatW])),
    .lane_i    (meta[BankW+BeatW+BusSh+:BusSh]),
    .end_i     (meta[BankW+BeatW+:BusSh]),
    .cmd_last_i(meta[MetaW-1]),
    .rd_valid_i(rd_valid_i),
    .rd_data_i (rd_data_i),
    .rd_last_i (rd_last_i),
    .rd_err_i  (rd_err_i),
    .bw_we_o   (bw_we_o),
    .bw_sel_o  (bw_sel_o),
    .bw_bank_o (bw_bank_o),
    .bw_addr_o (bw_addr_o),
    .bw_data_o (bw_data_o),
    .bw_strb_o (bw_strb_o),
    .credit_o  (credit_push_o),
    .done_o    (done),
    .done_err_o(done_err),
    .err_o     (err_pulse)
  );

  assign err_valid_o = err_pulse;
  assign err_code_o  = espl_pkg::StBusRead;
  assign err_idx_o   = err_idx_q;

  // ---- retirement in order
  espl_fifo #(
    .Width(1),
    .Depth(Flight)
  ) u_fin (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (done),
    .data_i (done_err),
    .full_o (fin_full),
    .pop_i  (retire),
    .valid_o(fin_valid),
    .data_o (fin_err)
  );

  assign tail_push     = fly_ctl[tail_q][4:3];
  assign has_room      = (!tail_push[0] || tok_lc_room_i) && (!tail_push[1] || tok_ls_room_i);
  assign retire        = fin_valid && (has_room || fin_err || stop_i);
  assign tok_lc_push_o = retire && has_room && !fin_err && tail_push[0];
  assign tok_ls_push_o = retire && has_room && !fin_err && tail_push[1];

  assign idle_o       = fly_cnt_q == 3'd0;
  assign blocked_o    = fin_valid && !has_room && !fin_err && !walk_valid && !rq_valid_q && !meta_valid && !bw_we_o;
  assign wait_valid_o = fin_valid && !has_room && !fin_err;
  assign wait_idx_o   = fly_idx[tail_q];

  always_ff @(posedge clk_i) begin
    if (take && is_cfg && cfg_stride) stride_q <= q_cmd_i[111:16];
    if (take_load) begin
      fly_idx[head_q] <= q_idx_i;
      fly_ctl[head_q] <= {q_cmd_i[espl_pkg::LoadPushStoreLsb], q_cmd_i[espl_pkg::LoadPushComputeLsb],
                          q_cmd_i[espl_pkg::LoadBufferLsb+:2], q_cmd_i[espl_pkg::LoadCreditLsb]};
    end
    if (emit) begin
      rq_addr_q  <= walk_addr;
      rq_beats_q <= walk_beats;
      rq_meta_q  <= {walk_last, walk_lane, walk_end[BusSh-1:0], walk_dst[BufAw-1:BusSh], walk_bank[BankW-1:0]};
    end
    err_idx_q <= fly_idx[fill_q];
    if (rst_i) begin
      rq_valid_q <= 1'b0;
      head_q     <= '0;
      fill_q     <= '0;
      tail_q     <= '0;
      fly_cnt_q  <= 3'd0;
    end else begin
      if (emit) rq_valid_q <= 1'b1;
      else if (rq_gnt_i) rq_valid_q <= 1'b0;
      if (take_load && Flight > 1) head_q <= head_q + 1'b1;
      if (rd_valid_i && rd_last_i && meta[MetaW-1] && Flight > 1) fill_q <= fill_q + 1'b1;
      if (retire && Flight > 1) tail_q <= tail_q + 1'b1;
      if (Flight == 1) fly_cnt_q <= {2'b00, take_load || (fly_cnt_q[0] && !retire)};
      else if (take_load && !retire) fly_cnt_q <= fly_cnt_q + 3'd1;
      else if (retire && !take_load) fly_cnt_q <= fly_cnt_q - 3'd1;
    end
  end

`ifdef FORMAL
  // Laws, given a queue that keeps its head until it is popped, commands that the decoder accepts, and a port that grants only what is requested,
  // keeps at most 16 bursts open and answers open bursts only: tokens are popped only when there and pushed only with room; a request stays as
  // it is until granted; the open list has one entry for each open burst; no list overflows (the queues' own laws); at most four commands fly.
  logic init_q = 1'b0;
  logic        stuck_q;
  logic [38:0] was_q;
  logic [4:0]  bursts_q;  // granted and not over
  logic [15:0] lasts_q;   // of the open bursts, oldest in bit 0: last of its command
  logic [15:0] lasts_kept;
  logic        over;
  logic [4:0]  n_lasts;   // commands whose last burst is open
  (* hierconn *) logic [4:0] \u_meta.cnt_q ;
  (* hierconn *) logic [2:0] \u_fin.cnt_q ;
  assign over       = rd_valid_i && rd_last_i;
  assign lasts_kept = over ? lasts_q >> 1 : lasts_q;
  always_comb begin
    n_lasts = 5'd0;
    for (int i = 0; i < 16; i++) n_lasts = n_lasts + {4'd0, lasts_q[i]};
  end
  always_ff @(posedge clk_i) begin
    init_q   <= 1'b1;
    stuck_q  <= !rst_i && rq_valid_o && !rq_gnt_i;
    was_q    <= {rq_beats_o, rq_addr_o};
    if (rst_i) lasts_q <= 16'd0;
    else lasts_q <= lasts_kept | ({15'd0, rq_gnt_i && rq_meta_q[MetaW-1]} << (bursts_q - {4'd0, over}));
    bursts_q <= rst_i ? 5'd0 : bursts_q + {4'd0, rq_gnt_i} - {4'd0, rd_valid_i && rd_last_i};
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    assume (q_cmd_i[espl_pkg::LoadRowBytesLsb+:20] != 20'd0);
    assume (q_cmd_i[espl_pkg::LoadRowsLsb+:12] != 12'd0 && q_cmd_i[espl_pkg::LoadGroupsLsb+:12] != 12'd0);
    if (init_q && !rst_i) begin
      assume (!rq_gnt_i || (rq_valid_o && bursts_q < 5'd16));
      assume (!rd_valid_i || bursts_q != 5'd0);
      if (bursts_q != 5'd0) assume (meta[MetaW-1] == lasts_q[0]);  // a queue gives back what it was given, in order: the queue's proof
      assert ((lasts_q >> bursts_q) == 16'd0 && bursts_q <= 5'd16);
      assert ({2'b00, fly_cnt_q} == 5'(walk_valid) + 5'(rq_valid_q && rq_meta_q[MetaW-1]) + n_lasts + 5'(done) + 5'(\u_fin.cnt_q ));
      if (rq_valid_q && !rq_meta_q[MetaW-1]) assert (walk_valid);
      if (bursts_q != 5'd0 && !lasts_q[4'(bursts_q - 5'd1)]) assert (walk_valid || rq_valid_q);
      assert (!tok_cl_pop_o || tok_cl_avail_i);
      assert (!tok_sl_pop_o || tok_sl_avail_i);
      assert (!tok_lc_push_o || tok_lc_room_i);
      assert (!tok_ls_push_o || tok_ls_room_i);
      assert (!q_pop_o || (q_valid_i && !stop_i));
      if (stuck_q) assert (rq_valid_o && {rq_beats_o, rq_addr_o} == was_q);
      if (rq_valid_o) assert (rq_beats_o != 7'd0 && {5'd0, rq_addr_o[7:0]} + ({6'd0, rq_beats_o} << BusSh) <= 13'd256);
      assert (\u_meta.cnt_q == bursts_q);
      assert (fly_cnt_q <= 3'd4 && \u_fin.cnt_q <= fly_cnt_q);
      if (idle_o) assert (!walk_valid && !rq_valid_q && bursts_q == 5'd0);
    end
  end
`endif

endmodule
