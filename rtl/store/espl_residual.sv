// Residual reader: requests the bursts of a command's residual operand in the order of the drain, keeps ResBursts of them.
// A run [address, address + bytes) is cut at multiples of 256; each piece is a burst and takes one slot from its request until the drain's last
// use. A burst counts as ready only when its last beat is there. Byte 256*slot + (address mod 256) of the buffer holds the byte at address.
// Timing: take_i loads a command (the last one before arm_i counts), arm_i (later) lets it read; in a cycle with ok_i high, no request shown and a slot free the next request is
// formed, shown from the next cycle to its grant. A beat in cycle t can be read in t+1; ready_o counts a burst from the cycle after its last
// beat. off_i in cycle t gives word_o in t+3; free_i in cycle t frees a slot for a request formed in t+1.
module espl_residual #(
  parameter int GroupBytes = 16,
  parameter int BusBytes   = 16,
  parameter int ResBursts  = 4,
  // derived
  parameter int GSh    = $clog2(GroupBytes),
  parameter int BSh    = $clog2(BusBytes),
  parameter int SlotSh = $clog2(ResBursts),
  parameter int CntW   = $clog2(ResBursts + 1)
) (
  input  logic                    clk_i,
  input  logic                    rst_i,
  input  logic                    take_i,
  input  logic                    arm_i,
  input  logic                    drop_i,   // the command is given up; nothing is open
  input  logic                    ok_i,
  input  logic [127:0]            cmd_i,    // with take_i
  input  logic [31:0]             res_group_i,
  input  logic [23:0]             res_row_i,
  output logic                    busy_o,   // a request is shown or a burst is open
  output logic                    more_o,   // a request will be formed in this cycle when ok_i
  output logic                    rq_valid_o,
  output logic [31:0]             rq_addr_o,
  output logic [6:0]              rq_beats_o,
  input  logic                    rq_gnt_i,
  input  logic                    rd_valid_i,
  input  logic [8*BusBytes-1:0]   rd_data_i,
  input  logic                    rd_last_i,
  output logic                    ready_o,
  input  logic [7:0]              off_i,
  input  logic                    free_i,
  output logic [8*GroupBytes-1:0] word_o
);

  // What is left to request: the run from ra, left pixels of it; then rows and groups. What follows from that for the next request is in registers
  // one cycle later: no request is formed in the cycle after another one, or in the first two cycles of a command.
  logic        on_q, contig_q;
  logic [31:0] ra_q, rrow_q, rgrp_q, ra_d;
  logic [23:0] left_q, run_q, run_d;  // pixels: left in the run, of a run, of one of the command that is loaded
  logic [11:0] out_h_q, y_q;
  logic [7:0]  groups_q;
  logic [CntW-1:0] used_q, ready_q, open_q;
  logic            some_q;     // ready_q is not 0
  logic        form, fits, fits_q, y_end;
  logic [8-GSh:0]   room;   // pixels to the next multiple of 256
  logic [8-GSh:0]   n, n_q; // pixels of the next request
  logic [7:0]       end_off, end_q; // place of its last byte in the 256
  logic [6:0]       beats;

  assign room    = (9 - GSh)'(256 / GroupBytes) - {1'b0, ra_q[7:GSh]};
  assign fits    = left_q <= 24'(room);
  assign n       = fits ? left_q[8-GSh:0] : room;
  assign end_off = fits ? ra_q[7:0] + 8'({left_q[8-GSh:0], {GSh{1'b0}}}) - 8'd1 : 8'hff;
  assign beats   = 7'(end_q[7:BSh]) - 7'(ra_q[7:BSh]) + 7'd1;
  assign run_d   = 24'(cmd_i[espl_pkg::StoreOutWLsb+:12]) * (cmd_i[espl_pkg::StoreResContigLsb] ? 24'(cmd_i[espl_pkg::StoreOutHLsb+:12]) : 24'd1);
  assign y_end   = contig_q || y_q == 12'd1;
  assign more_o  = on_q && !rq_valid_o && used_q != CntW'(ResBursts);
  assign form    = more_o && ok_i;
  assign busy_o  = rq_valid_o || open_q != '0;
  assign ready_o = some_q;

  always_comb begin
    if (!fits_q) ra_d = {ra_q[31:8] + 24'd1, 8'd0};
    else if (!y_end) ra_d = rrow_q + {8'd0, res_row_i};
    else ra_d = rgrp_q + res_group_i;
    ra_d[GSh-1:0] = '0;  // words of G bytes: a stride's low bits are not looked at
  end

  always_ff @(posedge clk_i) begin
    fits_q  <= fits;
    n_q     <= n;
    end_q   <= end_off;
    if (rst_i) begin
      on_q       <= 1'b0;
      rq_valid_o <= 1'b0;
    end else begin
      if (arm_i) on_q <= 1'b1;
      else if (drop_i || (form && fits_q && y_end && groups_q == 8'd1)) on_q <= 1'b0;
      if (form) rq_valid_o <= 1'b1;
      else if (rq_gnt_i) rq_valid_o <= 1'b0;
    end
    if (take_i) begin
      contig_q <= cmd_i[espl_pkg::StoreResContigLsb];
      run_q    <= run_d;
      left_q   <= run_d;
      out_h_q  <= cmd_i[espl_pkg::StoreOutHLsb+:12];
      groups_q <= cmd_i[espl_pkg::StoreGroupsLsb+:8];
      ra_q     <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      rrow_q   <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      rgrp_q   <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      y_q      <= cmd_i[espl_pkg::StoreOutHLsb+:12];
    end else if (form) begin
      ra_q    <= ra_d;
      left_q  <= fits_q ? run_q : left_q - 24'(n_q);
      if (fits_q) begin
        rrow_q <= ra_d;
        y_q    <= y_end ? out_h_q : y_q - 12'd1;
        if (y_end) begin
          rgrp_q   <= ra_d;
          groups_q <= groups_q - 8'd1;
        end
      end
    end
    if (form) begin
      rq_addr_o  <= {ra_q[31:BSh], {BSh{1'b0}}};
      rq_beats_o <= beats;
    end
  end

  // Slots: formed (fill), arriving (arr), used by the drain (use).
  logic [SlotSh-1:0] fill_q, arr_q, use_q;
  logic [7-BSh:0]    start_q[0:ResBursts-1];  // first beat of a burst inside its 256 bytes
  logic [7-BSh:0]    beat_q, beat;
  logic              afirst_q, last;
  assign beat = afirst_q ? start_q[arr_q] : beat_q;
  assign last = rd_valid_i && rd_last_i;
  always_ff @(posedge clk_i) begin
    if (rst_i || drop_i) begin
      fill_q   <= '0;
      arr_q    <= '0;
      use_q    <= '0;
      used_q   <= '0;
      ready_q  <= '0;
      some_q   <= 1'b0;
      open_q   <= '0;
      afirst_q <= 1'b1;
    end else begin
      if (form) fill_q <= (fill_q == SlotSh'(ResBursts - 1)) ? '0 : fill_q + 1'b1;
      if (last) arr_q <= (arr_q == SlotSh'(ResBursts - 1)) ? '0 : arr_q + 1'b1;
      if (free_i) use_q <= (use_q == SlotSh'(ResBursts - 1)) ? '0 : use_q + 1'b1;
      if (rd_valid_i) afirst_q <= rd_last_i;
      used_q  <= used_q + CntW'(form) - CntW'(free_i);
      ready_q <= ready_q + CntW'(last) - CntW'(free_i);
      some_q  <= last || ready_q > CntW'(1) || (some_q && !free_i);
      open_q  <= open_q + CntW'(rq_gnt_i) - CntW'(last);
    end
    beat_q <= beat + 1'b1;
    if (!rd_valid_i && !afirst_q) beat_q <= beat_q;
    if (form) start_q[fill_q] <= ra_q[7:BSh];
  end

  // The word follows the operation by three cycles, as the accumulators do: a register in front of the memory, one behind it.
  logic [SlotSh+7-GSh:0]   raddr_q;
  logic [8*GroupBytes-1:0] word;
  always_ff @(posedge clk_i) begin
    raddr_q <= {use_q, off_i[7:GSh]};
    word_o  <= word;
  end
  espl_beatbuf #(
    .Aw  (8 + SlotSh),
    .Beat(BusBytes),
    .Unit(GroupBytes)
  ) u_buf (
    .clk_i  (clk_i),
    .we_i   (rd_valid_i),
    .waddr_i({arr_q, beat}),
    .wdata_i(rd_data_i),
    .wstrb_i({BusBytes{1'b1}}),
    .re_i   (1'b1),
    .raddr_i(raddr_q),
    .rdata_o(word)
  );

  // Command fields of other parts; the place inside a word.
  logic unused;
  assign unused = &{1'b0, cmd_i, off_i, end_q};

`ifdef FORMAL
  // Laws, given a command with sizes of at least one, taken while none is under way; arm_i
  // after take_i; drop_i only while nothing is requested or open; a port that answers granted requests with the beats asked for; and a drain that
  // frees only a burst that is ready.
  // A request stays as it is until granted, lies inside 256 bytes and is never empty; slots = ready + open + requested, never more than
  // ResBursts; the beats of a burst are written at its slot, at their place of the 256 bytes.
  logic init_q = 1'b0;
  logic        stuck_q, taken_q, moved_q;
  logic [38:0] was_q;
  (* anyconst *) logic [SlotSh-1:0] slot;     // an arbitrary slot
  logic [38:0]     slot_rq_q;                 // the request that has it
  logic [6:0]      got_q;                     // beats of the burst that arrives
  logic [SlotSh:0] use_next, arr_next;
  logic [6:0]      arr_beats;
  function automatic logic [CntW:0] around(input logic [SlotSh-1:0] s, input logic [CntW-1:0] n);
    around = (CntW + 1)'(s) + (CntW + 1)'(n);
    if (around >= (CntW + 1)'(ResBursts)) around = around - (CntW + 1)'(ResBursts);
  endfunction
  logic [CntW-1:0] order;  // of the slot, counted from the one in use
  logic            waits;  // the slot's burst is open and has beats to come
  logic [31:0]     next_addr;
  logic [6:0]      next_beats;
  assign order      = (slot >= use_q) ? CntW'(slot) - CntW'(use_q) : CntW'(slot) + CntW'(ResBursts) - CntW'(use_q);
  assign waits      = order >= ready_q && order < ready_q + open_q;
  assign next_addr  = {ra_q[31:BSh], {BSh{1'b0}}};
  assign next_beats = beats;
  always_ff @(posedge clk_i) begin
    init_q  <= 1'b1;
    stuck_q <= !rst_i && rq_valid_o && !rq_gnt_i;
    was_q   <= {rq_beats_o, rq_addr_o};
    moved_q <= take_i || form;
    taken_q <= !rst_i && (take_i || (taken_q && !arm_i));
    if (form && fill_q == slot) slot_rq_q <= {next_beats, next_addr};
    if (rst_i || drop_i) got_q <= 7'd0;
    else if (rd_valid_i) got_q <= rd_last_i ? 7'd0 : got_q + 7'd1;
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    if (take_i) begin
      assume (cmd_i[espl_pkg::StoreOutHLsb+:12] != 12'd0 && cmd_i[espl_pkg::StoreOutWLsb+:12] != 12'd0);
      assume (cmd_i[espl_pkg::StoreGroupsLsb+:8] != 8'd0);
    end
    assume (slot < CntW'(ResBursts));
    if (init_q && !rst_i) begin
      assume (!take_i || (!on_q && !arm_i));
      assume (!arm_i || taken_q);
      assume (!drop_i || (!busy_o && !arm_i && !take_i && !rd_valid_i && !form));
      assume (!rq_gnt_i || rq_valid_o);
      assume (!free_i || ready_o);
      assume (!rd_valid_i || open_q != '0);
      if (rd_valid_i && arr_q == slot) assume (rd_last_i == (got_q + 7'd1 == slot_rq_q[38:32]));
      if (rd_valid_i && got_q == 7'd63) assume (rd_last_i);  // no burst is longer
      assert (got_q <= 7'd63);
      if (on_q || taken_q) assert (run_q != 24'd0 && out_h_q != 12'd0);
      if (moved_q) assert (rq_valid_o || !on_q);
      else if (on_q) assert (fits_q == fits && n_q == n && end_q == end_off);
      if (on_q) begin
        assert (ra_q[GSh-1:0] == '0 && rrow_q[GSh-1:0] == '0 && rgrp_q[GSh-1:0] == '0);
        assert (left_q != 24'd0);
        assert (n != '0 && n <= room);
      end
      assert (!(taken_q && on_q));
      if (taken_q) assert (left_q != 24'd0 && ra_q[GSh-1:0] == '0 && rrow_q[GSh-1:0] == '0 && rgrp_q[GSh-1:0] == '0);
      if (stuck_q) assert (rq_valid_o && {rq_beats_o, rq_addr_o} == was_q);
      if (rq_valid_o) begin
        assert (rq_beats_o != 7'd0 && rq_addr_o[BSh-1:0] == '0);
        assert ({5'd0, rq_addr_o[7:0]} + ({6'd0, rq_beats_o} << BSh) <= 13'd256);
      end
      assert (used_q <= CntW'(ResBursts) && some_q == (ready_q != '0));
      assert ((CntW + 1)'(used_q) == (CntW + 1)'(ready_q) + (CntW + 1)'(open_q) + (CntW + 1)'(rq_valid_o));
      assert (fill_q < CntW'(ResBursts) && arr_q < CntW'(ResBursts) && use_q < CntW'(ResBursts));
      assert ((CntW + 1)'(arr_q) == around(use_q, ready_q));
      assert ((CntW + 1)'(fill_q) == around(use_q, used_q));
      if (open_q == '0) assert (afirst_q);
      assert (afirst_q == (got_q == 7'd0));
      if (rq_valid_o && order == used_q - 1'b1) assert (slot_rq_q == {rq_beats_o, rq_addr_o});
      if (order >= ready_q && order < used_q) begin
        assert (start_q[slot] == slot_rq_q[7:BSh] && slot_rq_q[38:32] != 7'd0);
        assert ({5'd0, slot_rq_q[7:0]} + ({6'd0, slot_rq_q[38:32]} << BSh) <= 13'd256);
      end
      if (waits && arr_q == slot) begin
        assert (got_q < slot_rq_q[38:32]);
        assert ({1'b0, beat} == {1'b0, slot_rq_q[7:BSh]} + (9 - BSh)'(got_q));
      end
    end
  end
`endif

endmodule
