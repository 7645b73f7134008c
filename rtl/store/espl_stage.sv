// Write staging: packs words of G bytes into bursts of beats of B bytes, requests a burst when it is complete, follows the responses.
// StageBursts slots of 256 bytes; the byte of memory address a is byte (a mod 256) of its burst's slot, so alignment and byte enables follow from
// the first and last address of the burst. A slot is taken when the drain opens a burst and free in the cycle after its last beat was taken.
// Timing: a word written in cycle w; if it completes a burst, the request is shown from w+1. wd_* show the next beat; it is there from the cycle
// after the grant. rsp_last_o marks, in the response's cycle, the last burst of a command. At most Bursts bursts wait for a response.
module espl_stage #(
  parameter int GroupBytes  = 16,
  parameter int BusBytes    = 16,
  parameter int StageBursts = 4,
  parameter int InPlace     = 0,   // 1: one command at a time, its last response is the one with nothing left (all_open_i)
  parameter int Bursts      = 16,  // most bursts the port keeps open
  // derived
  parameter int GSh    = $clog2(GroupBytes),
  parameter int BSh    = $clog2(BusBytes),
  parameter int SlotSh = $clog2(StageBursts),
  parameter int CntW   = $clog2(StageBursts + 1),
  parameter int RspSh  = (Bursts > 1) ? $clog2(Bursts) : 1
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  // drain, when it issues
  output logic                    slot_free_o,
  input  logic                    open_i,
  input  logic                    close_i,
  input  logic                    close_last_i,  // the burst is the last of its command
  input  logic                    all_open_i,    // InPlace: every burst of the command has been opened
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
  input  logic                    wd_last_i,     // Bursts 1: the beat shown is the last of its burst
  output logic [8*BusBytes-1:0]   wd_data_o,
  output logic [BusBytes-1:0]     wd_strb_o,
  input  logic                    wr_rsp_i,
  output logic                    rsp_last_o,
  output logic                    quiet_o        // no slot is taken and no response is awaited
);

  // Burst descriptors by slot: written at issue, long before the words arrive.
  logic [31:GSh] addr_q[0:StageBursts-1];
  logic [7:GSh]  end_q[0:StageBursts-1];  // last word inside the 256 bytes
  // Slot pointers in the order of a burst's life: issue, words, request, beats.
  logic [SlotSh-1:0] is_q, wo_q, rq_q, be_q, be_next;
  logic [CntW-1:0]   used_q, staged_q;
  logic              done, burst_free, some_q;  // some: staged_q is not 0
  assign done        = we_i && word_last_i;
  assign wq_valid_o  = some_q;

  if (InPlace != 0) begin : gen_free
    // (with a power of two of slots the top bit says it)
    assign slot_free_o = (StageBursts == (1 << (CntW - 1))) ? !used_q[CntW-1] : used_q != CntW'(StageBursts);
  end else begin : gen_free_ahead
    logic free_q;
    always_ff @(posedge clk_i) free_q <= rst_i || burst_free || (used_q != CntW'(StageBursts) && !(open_i && used_q == CntW'(StageBursts - 1)));
    assign slot_free_o = free_q;
  end

  function automatic logic [SlotSh-1:0] next_slot(input logic [SlotSh-1:0] s);
    next_slot = (s == SlotSh'(StageBursts - 1)) ? '0 : s + 1'b1;
  endfunction
  // ... when `on`; with two slots that is a function of two signals.
  function automatic logic [SlotSh-1:0] step_slot(input logic [SlotSh-1:0] s, input logic on);
    step_slot = (StageBursts == 2) ? s ^ SlotSh'(on) : on ? next_slot(s) : s;
  endfunction

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      is_q     <= '0;
      wo_q     <= '0;
      rq_q     <= '0;
      be_q     <= '0;
      used_q   <= '0;
      staged_q <= '0;
      some_q   <= 1'b0;
    end else begin
      is_q <= step_slot(is_q, close_i);
      wo_q <= step_slot(wo_q, done);
      rq_q <= step_slot(rq_q, wq_gnt_i);
      be_q <= step_slot(be_q, burst_free);
      used_q   <= used_q + CntW'(open_i) - CntW'(burst_free);
      staged_q <= staged_q + CntW'(done) - CntW'(wq_gnt_i);
      some_q   <= done || staged_q > CntW'(1) || (some_q && !wq_gnt_i);
    end
    if (open_i) addr_q[is_q] <= addr_i[31:GSh];
    if (close_i) end_q[is_q] <= addr_i[7:GSh];
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
  logic [6:0] wq_beats;
  assign wq_beats   = 7'(rq_end[7:BSh]) - 7'(rq_addr[7:BSh]) + 7'd1;
  // With one burst open the burst's ends stand still in the cycle before its grant.
  espl_hold #(
    .Width  (7),
    .Through((Bursts == 1) ? 0 : 1)
  ) u_beats (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i(wq_beats),
    .data_o(wq_beats_o)
  );

  // Beats: the memory is read one cycle ahead, again and again until the beat is taken. Until then the first beat follows the burst's start, which is
  // known long before its request.
  logic           bfirst_q, blast;
  logic [7:BSh]   beat_q, beat, beat_d;
  logic [31:GSh]  be_addr, nx_addr;
  logic [7:0]     be_start, be_end, nx_start;
  logic [SlotSh-1:0] rslot;
  assign be_addr    = addr_q[be_q];
  assign be_start   = {be_addr[7:GSh], {GSh{1'b0}}};
  assign nx_start   = {nx_addr[7:GSh], {GSh{1'b0}}};
  assign be_end     = {last_word, {GSh{1'b1}}};
  assign beat       = beat_q;
  logic [7:GSh] last_word;  // of the burst
  if (Bursts == 1) begin : gen_end_late
    assign last_word = end_q[be_q];
    assign nx_addr   = addr_q[be_next];
    assign blast     = wd_last_i;
  end else begin : gen_end
    // The end of the burst and the start of the next one as they were a cycle before: they are older than that when beats are taken.
    logic [7:GSh]      last_word_q;
    logic [31:GSh]     next_addr_q;
    logic [SlotSh-1:0] be_third;
    assign be_third = next_slot(be_next);
    always_ff @(posedge clk_i) begin
      last_word_q <= end_q[burst_free ? be_next : be_q];
      next_addr_q <= addr_q[burst_free ? be_third : be_next];
    end
    assign last_word = last_word_q;
    assign nx_addr   = next_addr_q;
    assign blast = beat == be_end[7:BSh];
    logic unused_last;
    assign unused_last = wd_last_i;
  end
  assign burst_free = wd_take_i && blast;
  if (Bursts == 1) begin : gen_start_late
    // The next burst is granted after this one's response: its start is read from the slot that is the oldest by then.
    assign rslot  = be_q;
    assign beat_d = wd_take_i ? beat + 1'b1 : bfirst_q ? be_start[7:BSh] : beat;
    logic unused;
    assign unused = ^nx_start;
  end else begin : gen_start
    assign rslot  = burst_free ? be_next : be_q;
    assign beat_d = burst_free ? nx_start[7:BSh] : wd_take_i ? beat + 1'b1 : bfirst_q ? be_start[7:BSh] : beat;
  end
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
  localparam int OpenW = $clog2(Bursts + 1);
  logic [OpenW-1:0] open_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      open_q <= '0;
    end else begin
      open_q <= open_q + OpenW'(wq_gnt_i) - OpenW'(wr_rsp_i);
    end
  end
  if (InPlace != 0) begin : gen_place
    assign rsp_last_o = wr_rsp_i && all_open_i && used_q == '0 && open_q == OpenW'(1);
    logic unused;
    assign unused = &{1'b0, close_last_i};
  end else begin : gen_ring
    logic                  cmd_q[0:StageBursts-1];  // by slot
    logic [(1<<RspSh)-1:0] last_q;
    logic [RspSh-1:0]      put_q, get_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        put_q <= '0;
        get_q <= '0;
      end else begin
        if (wq_gnt_i) put_q <= put_q + 1'b1;
        if (wr_rsp_i) get_q <= get_q + 1'b1;
      end
      if (close_i) cmd_q[is_q] <= close_last_i;
      for (int i = 0; i < (1 << RspSh); i++) if (wq_gnt_i && put_q == RspSh'(i)) last_q[i] <= cmd_q[rq_q];
    end
    assign rsp_last_o = wr_rsp_i && last_q[get_q];
    logic unused;
    assign unused = &{1'b0, all_open_i};
  end
  assign quiet_o    = used_q == '0 && open_q == '0;

  // Addresses below a word; upper address bits where only the place counts.
  logic unused;
  assign unused = &{1'b0, addr_i, rq_addr, rq_end, be_addr, nx_addr, be_start, be_end, nx_start, wo_addr};

`ifdef FORMAL
  // Laws, given that
  //   the drain opens a burst only with a slot free, closes it before the next one, inside the same 256 bytes, at or after its first word;
  //   words arrive for opened bursts, in order, and word_last_i marks the last word of a closed one;
  //   the port grants what is requested, at most 16 without response, takes beats of granted bursts, and answers bursts whose beats are taken.
  // A burst is requested only when every word of it is in the memory; a beat shows the words that were written, enables exactly those between
  // the first and the last of the burst; slots are neither lost nor given twice.
  localparam int Places = 256 / GroupBytes;
  localparam int PlaceW = 8 - GSh;
  logic init_q = 1'b0;
  // Bursts by stage of life: open, closed with words to come, staged (staged_q), granted with beats to come.
  logic            opening_q;
  logic [CntW-1:0] closed_q, granted_q;
  function automatic logic [CntW:0] around(input logic [SlotSh-1:0] s, input logic [CntW-1:0] n);
    around = (CntW + 1)'(s) + (CntW + 1)'(n);
    if (around >= (CntW + 1)'(StageBursts)) around = around - (CntW + 1)'(StageBursts);
  endfunction
  // One word, at an arbitrary place of an arbitrary slot.
  (* anyconst *) logic [SlotSh-1:0] slot;
  (* anyconst *) logic [PlaceW-1:0] place;
  logic                    have_q, read_q, hit, covered, inside, live;
  logic [8*GroupBytes-1:0] word_q;
  logic [SlotSh-1:0]       rslot_q;
  logic [7:BSh]            rbeat_q;
  logic [7:BSh]            taken_q;  // beats of the oldest granted burst that are gone
  logic [CntW-1:0]         order;  // the slot's place in the ring, counted from the oldest
  logic [31:GSh]           s_addr;
  logic [7:GSh]            s_end;
  (* hierconn *) logic [7+SlotSh-$clog2((BusBytes > GroupBytes) ? BusBytes : GroupBytes):0] \u_buf.u_ram.follow ;
  (* hierconn *) logic [8*((BusBytes > GroupBytes) ? BusBytes : GroupBytes)-1:0] \u_buf.u_ram.word_q ;
  logic [8*GroupBytes-1:0] kept;   // the word in the memory
  localparam int Wide = (BusBytes > GroupBytes) ? BusBytes : GroupBytes;
  localparam int WideSh = $clog2(Wide);
  logic [7:0] place_byte;
  assign place_byte = {place, {GSh{1'b0}}};
  assign s_addr = addr_q[slot];
  assign s_end  = end_q[slot];
  assign inside = place >= s_addr[7:GSh] && place <= s_end;
  assign order  = (slot >= be_q) ? CntW'(slot) - CntW'(be_q) : CntW'(slot) + CntW'(StageBursts) - CntW'(be_q);
  assign live   = order < granted_q + staged_q;  // complete
  assign hit    = we_i && wo_q == slot && woff == place;
  logic covers_next;
  if (BusBytes >= GroupBytes) begin : gen_cover
    assign covered     = place_byte[7:BSh] == beat;
    assign covers_next = rslot == slot && beat_d == place_byte[7:BSh];
  end else begin : gen_part
    assign covered     = beat[7:GSh] == place;
    assign covers_next = rslot == slot && beat_d[7:GSh] == place;
  end
  if (BusBytes > GroupBytes) begin : gen_kept
    assign kept = \u_buf.u_ram.word_q [place_byte[BSh-1:GSh]*(8*GroupBytes)+:8*GroupBytes];
  end else begin : gen_all
    assign kept = \u_buf.u_ram.word_q ;
  end
  logic strobe, same;  // the word is enabled in this beat; the beat shows it (or the part of it that the beat carries)
  if (BusBytes > GroupBytes) begin : gen_beat
    assign strobe = wd_strb_o[place_byte[BSh-1:0]];
    assign same   = wd_data_o[place_byte[BSh-1:GSh]*(8*GroupBytes)+:8*GroupBytes] == word_q;
  end else if (BusBytes == GroupBytes) begin : gen_one
    assign strobe = wd_strb_o[0];
    assign same   = wd_data_o == word_q;
  end else begin : gen_piece
    assign strobe = wd_strb_o[0];
    assign same   = wd_data_o == word_q[beat[GSh-1:BSh]*(8*BusBytes)+:8*BusBytes];
  end
  always_ff @(posedge clk_i) begin
    init_q  <= 1'b1;
    rslot_q <= rslot;
    rbeat_q <= beat_d;
    if (rst_i) begin
      opening_q <= 1'b0;
      closed_q  <= '0;
      granted_q <= '0;
      have_q    <= 1'b0;
      read_q    <= 1'b0;
      taken_q   <= '0;
    end else begin
      opening_q <= (opening_q || open_i) && !close_i;
      closed_q  <= closed_q + CntW'(close_i) - CntW'(done);
      granted_q <= granted_q + CntW'(wq_gnt_i) - CntW'(burst_free);
      if (wd_take_i) taken_q <= burst_free ? '0 : taken_q + 1'b1;
      if (open_i && is_q == slot) have_q <= 1'b0;
      else if (hit) have_q <= 1'b1;
      read_q    <= covers_next && have_q && !hit;
    end
    if (hit) word_q <= word_i;
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    assume (slot < CntW'(StageBursts));
    assume (\u_buf.u_ram.follow == {slot, place_byte[7:WideSh]});
    if (init_q) begin
      assume (!open_i || (slot_free_o && !opening_q));
      assume (!close_i || opening_q || open_i);
      if (close_i && opening_q) assume (addr_i[31:8] == addr_q[is_q][31:8] && addr_i[7:GSh] >= addr_q[is_q][7:GSh]);
      if (close_i && opening_q && closed_q == '0 && !wfirst_q) assume (addr_i[7:GSh] >= woff + (we_i ? 8'd1 : 8'd0));
      if (close_i && opening_q && closed_q == '0 && wfirst_q && we_i) assume (addr_i[7:GSh] > woff);
      assume (!we_i || closed_q != '0 || opening_q);
      if (we_i && closed_q != '0) assume (word_last_i == (woff == end_q[wo_q]));
      if (we_i && closed_q == '0) assume (!word_last_i && woff != {PlaceW{1'b1}});
      assume (!wq_gnt_i || (wq_valid_o && open_q < 5'd16));
      assume (!wd_take_i || granted_q != '0);
      assume (!wr_rsp_i || open_q > 5'(granted_q));
    end
    if (init_q && !rst_i) begin
      assert (used_q <= CntW'(StageBursts) && slot_free_o == (used_q != CntW'(StageBursts)) && some_q == (staged_q != '0));
      assert ((CntW + 2)'(used_q) == (CntW + 2)'(granted_q) + (CntW + 2)'(staged_q) + (CntW + 2)'(closed_q) + (CntW + 2)'(opening_q));
      assert (is_q < CntW'(StageBursts) && wo_q < CntW'(StageBursts) && rq_q < CntW'(StageBursts) && be_q < CntW'(StageBursts));
      assert ((CntW + 1)'(rq_q) == around(be_q, granted_q));
      assert ((CntW + 1)'(wo_q) == around(rq_q, staged_q));
      assert ((CntW + 1)'(is_q) == around(wo_q, closed_q));
      assert (open_q <= 5'd16 && open_q >= 5'(granted_q) && 4'(gen_ring.put_q - gen_ring.get_q) == open_q[3:0]);
      assert (quiet_o == (used_q == '0 && open_q == 5'd0));
      // the followed slot
      if (order < granted_q + staged_q + closed_q) assert (s_end >= s_addr[7:GSh]);
      if (live && inside) assert (have_q);
      if (wo_q == slot && (closed_q != '0 || opening_q)) begin
        if (wfirst_q) assert (!have_q);
        else assert (have_q == (place >= s_addr[7:GSh] && place < woff_q) && woff_q > s_addr[7:GSh]);
        if (closed_q != '0) assert (woff <= s_end);
      end else if (order >= granted_q + staged_q && order < used_q) assert (!have_q);
      if (closed_q == '0 && !opening_q) assert (wfirst_q);
      if (have_q) assert (kept == word_q);
      if (granted_q != '0) assert (rslot_q == be_q && rbeat_q == beat);
      if (granted_q == '0) assert (bfirst_q && taken_q == '0);
      if (bfirst_q) assert (taken_q == '0);
      // what the port sees
      if (wq_valid_o && rq_q == slot) begin
        if (inside) assert (have_q);
        assert ({wq_addr_o[31:8], wq_addr_o[7:BSh]} == {s_addr[31:8], rq_addr[7:BSh]} && wq_addr_o[BSh-1:0] == '0);
        assert (wq_beats_o >= 7'd1 && {5'd0, wq_addr_o[7:0]} + ({6'd0, wq_beats_o} << BSh) <= 13'd256);
      end
      if (granted_q != '0 && be_q == slot) begin
        assert (beat == be_start[7:BSh] + taken_q);
        assert (burst_free == (wd_take_i && taken_q == be_end[7:BSh] - be_start[7:BSh]));
        assert (beat >= be_start[7:BSh] && beat <= be_end[7:BSh]);
        if (covered) begin
          assert (strobe == inside);
          if (strobe) assert (read_q && same);
        end
      end
    end
  end
`endif

endmodule
