// Write staging: packs words of G bytes into bursts of beats of B bytes, requests a burst when it is complete, follows the responses.
// StageBursts slots of 256 bytes; the byte of memory address a is byte (a mod 256) of its burst's slot, so alignment and byte enables follow from
// the first and last address of the burst. A slot is taken when the drain opens a burst and free in the cycle after its last beat was taken.
// Timing: a word written in cycle w; if it completes a burst, the request is shown from w+1. wd_* show the next beat; it is there from the cycle
// after the grant. rsp_last_o marks, in the response's cycle, the last burst of a command. At most 16 bursts wait for a response.
module espl_stage #(
  parameter int GroupBytes  = 16,
  parameter int BusBytes    = 16,
  parameter int StageBursts = 4,
  // derived
  parameter int GSh    = $clog2(GroupBytes),
  parameter int BSh    = $clog2(BusBytes),
  parameter int SlotSh = $clog2(StageBursts),
  parameter int CntW   = $clog2(StageBursts + 1)
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  // drain, when it issues
  output logic                    slot_free_o,
  input  logic                    open_i,
  input  logic                    close_i,
  input  logic                    close_last_i,  // the burst is the last of its command
  input  logic [31:0]             addr_i,        // word that opens or closes the burst
  // words
  input  logic                    we_i,
  input  logic [8*GroupBytes-1:0] word_i,
  input  logic                    word_last_i,
  // port
  output logic                    wq_valid_o,
  output logic [31:0]             wq_addr_o,
  output logic [6:0]              wq_beats_o,
  input  logic                    wq_gnt_i,
  input  logic                    wd_take_i,
  output logic [8*BusBytes-1:0]   wd_data_o,
  output logic [BusBytes-1:0]     wd_strb_o,
  input  logic                    wr_rsp_i,
  output logic                    rsp_last_o,
  output logic                    quiet_o        // no slot is taken and no response is awaited
);

  // Burst descriptors by slot: written at issue, long before the words arrive.
  logic [31:GSh] addr_q[0:StageBursts-1];
  logic [7:GSh]  end_q[0:StageBursts-1];  // last word inside the 256 bytes
  logic          cmd_q[0:StageBursts-1];
  // Slot pointers in the order of a burst's life: issue, words, request, beats.
  logic [SlotSh-1:0] is_q, wo_q, rq_q, be_q, be_next;
  logic [CntW-1:0]   used_q, staged_q;
  logic              done, burst_free;
  assign done        = we_i && word_last_i;
  assign slot_free_o = used_q != CntW'(StageBursts);
  assign wq_valid_o  = staged_q != '0;

  function automatic logic [SlotSh-1:0] next_slot(input logic [SlotSh-1:0] s);
    next_slot = (s == SlotSh'(StageBursts - 1)) ? '0 : s + 1'b1;
  endfunction

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      is_q     <= '0;
      wo_q     <= '0;
      rq_q     <= '0;
      be_q     <= '0;
      used_q   <= '0;
      staged_q <= '0;
    end else begin
      if (close_i) is_q <= next_slot(is_q);
      if (done) wo_q <= next_slot(wo_q);
      if (wq_gnt_i) rq_q <= next_slot(rq_q);
      if (burst_free) be_q <= be_next;
      used_q   <= used_q + CntW'(open_i) - CntW'(burst_free);
      staged_q <= staged_q + CntW'(done) - CntW'(wq_gnt_i);
    end
    if (open_i) addr_q[is_q] <= addr_i[31:GSh];
    if (close_i) begin
      end_q[is_q] <= addr_i[7:GSh];
      cmd_q[is_q] <= close_last_i;
    end
  end
  assign be_next = next_slot(be_q);

  // Words arrive in order: the place counts up from the burst's first word.
  logic         wfirst_q;
  logic [7:GSh] woff_q, woff;
  logic [31:GSh] wo_addr;
  assign wo_addr = addr_q[wo_q];
  assign woff    = wfirst_q ? wo_addr[7:GSh] : woff_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) wfirst_q <= 1'b1;
    else if (we_i) wfirst_q <= word_last_i;
    if (we_i) woff_q <= woff + 1'b1;
  end

  // Request: aligned address, beats between the beats of the first and the last word.
  logic [31:0] rq_addr;
  logic [7:0]  rq_end;
  assign rq_addr    = {addr_q[rq_q], {GSh{1'b0}}};
  assign rq_end     = {end_q[rq_q], {GSh{1'b1}}};
  assign wq_addr_o  = {rq_addr[31:BSh], {BSh{1'b0}}};
  assign wq_beats_o = 7'(rq_end[7:BSh]) - 7'(rq_addr[7:BSh]) + 7'd1;

  // Beats: the memory is read one cycle ahead, again and again until the beat is taken.
  logic           bfirst_q, blast;
  logic [7:BSh]   beat_q, beat, beat_d;
  logic [31:GSh]  be_addr, nx_addr;
  logic [7:0]     be_start, be_end, nx_start;
  logic [SlotSh-1:0] rslot;
  assign be_addr    = addr_q[be_q];
  assign nx_addr    = addr_q[be_next];
  assign be_start   = {be_addr[7:GSh], {GSh{1'b0}}};
  assign nx_start   = {nx_addr[7:GSh], {GSh{1'b0}}};
  assign be_end     = {end_q[be_q], {GSh{1'b1}}};
  assign beat       = bfirst_q ? be_start[7:BSh] : beat_q;
  assign blast      = beat == be_end[7:BSh];
  assign burst_free = wd_take_i && blast;
  assign rslot      = burst_free ? be_next : be_q;
  assign beat_d     = burst_free ? nx_start[7:BSh] : wd_take_i ? beat + 1'b1 : beat;
  always_ff @(posedge clk_i) begin
    if (rst_i) bfirst_q <= 1'b1;
    else if (wd_take_i) bfirst_q <= blast;
    beat_q <= beat_d;
  end

  espl_beatbuf #(
    .Aw  (8 + SlotSh),
    .Beat(GroupBytes),
    .Unit(BusBytes)
  ) u_buf (
    .clk_i  (clk_i),
    .we_i   (we_i),
    .waddr_i({wo_q, woff}),
    .wdata_i(word_i),
    .wstrb_i({GroupBytes{1'b1}}),
    .re_i   (1'b1),
    .raddr_i({rslot, beat_d}),
    .rdata_o(wd_data_o)
  );
  if (BusBytes > GroupBytes) begin : gen_strb
    for (genvar k = 0; k < BusBytes / GroupBytes; k++) begin : gen_word
      logic on;
      assign on = {beat, (BSh - GSh)'(k)} >= be_start[7:GSh] && {beat, (BSh - GSh)'(k)} <= be_end[7:GSh];
      assign wd_strb_o[k*GroupBytes+:GroupBytes] = {GroupBytes{on}};
    end
  end else begin : gen_full
    assign wd_strb_o = '1;
  end

  // Responses come in order: one bit for each burst that waits for one.
  logic [15:0] last_q;
  logic [3:0]  put_q, get_q;
  logic [4:0]  open_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      put_q  <= 4'd0;
      get_q  <= 4'd0;
      open_q <= 5'd0;
    end else begin
      if (wq_gnt_i) put_q <= put_q + 4'd1;
      if (wr_rsp_i) get_q <= get_q + 4'd1;
      open_q <= open_q + 5'(wq_gnt_i) - 5'(wr_rsp_i);
    end
    if (wq_gnt_i) last_q[put_q] <= cmd_q[rq_q];
  end
  assign rsp_last_o = wr_rsp_i && last_q[get_q];
  assign quiet_o    = used_q == '0 && open_q == 5'd0;

  // Addresses below a word; upper address bits where only the place counts.
  logic unused;
  assign unused = &{1'b0, addr_i, rq_addr, rq_end, be_addr, nx_addr, be_start, be_end, nx_start, wo_addr};

endmodule
