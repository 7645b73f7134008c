// Walk of a STORE command: group, output row, output column, sub-word of RqLanes channels, window row, window column; one operation
// (one accumulator read of RqLanes channels, or one average) each time `issue` is high.
// Timing: the command is that of the last cycle with follow_i, which is the one of take_i; it runs from the cycle after start_i. An operation issued in cycle i reads the accumulators with
// acc_* in i+1 (data in i+3); op_* carry its control in i+1. After an operation the next may issue RqCycles later; the average of a window
// issues AvgGap after its last tap. The first operation of a pixel waits for a staging slot when its word begins a burst (slot_free_i) and for a
// residual word (res_ready_i). bank_free_o is high in the cycle after the last operation of the command.
module espl_drain #(
  parameter int GroupBytes = 16,  // G
  parameter int RqLanes    = 16,
  parameter int RqCycles   = 1,
  parameter int ParAw      = 10,
  parameter int AccAw      = 10,
  parameter int Residual   = 1,
  parameter int MaxPool    = 1,
  parameter int AvgPool    = 1,
  parameter int DimBits    = 12,  // bits of a size
  parameter int Groups     = 2,   // channel groups of the array; 1: a command has one
  parameter int InPlace    = 0,   // 1: cmd_i stands still until the command has retired
  parameter int AvgGap     = 7,   // cycles from the last tap of a window to its average
  parameter int Flush      = 10,  // cycles from an operation to the write of its word
  // derived
  parameter int GSh   = $clog2(GroupBytes),
  parameter int SubSh = $clog2(GroupBytes / RqLanes),
  parameter int SubW  = (SubSh > 0) ? SubSh : 1,
  parameter int PgAw  = ParAw - GSh,
  parameter int RowAw = (PgAw + SubSh > 0) ? PgAw + SubSh : 1
) (
  input  logic             clk_i,
  input  logic             rst_i,
  // command (a STORE command word with take_i) and configuration
  input  logic             take_i,
  input  logic             follow_i,      // the registers follow cmd_i: also in the cycle of take_i, with InPlace after it, before start_i
  input  logic [127:0]     cmd_i,
  input  logic             start_i,
  output logic             done_o,        // the last operation issues in this cycle
  output logic             flushed_o,     // nothing between issue and staging memory
  input  logic [31:0]      out_group_i,
  input  logic [23:0]      out_row_i,
  input  logic [7:0]       res_group_i,   // low bytes: only the place inside a 256-byte burst is followed here
  input  logic [7:0]       res_row_i,
  input  logic [71:0]      pool_cfg_i,    // STORE_POOL, from its bit 16
  input  logic             pool_fixed_i,
  input  logic [255:0]     avg_table_i,
  // staging and residual buffer
  input  logic             slot_free_i,
  output logic             burst_open_o,  // this operation begins a burst at burst_addr_o
  output logic             burst_close_o, // this operation ends the burst with the word at burst_addr_o
  output logic             burst_last_o,  // ... and the command
  output logic [31:0]      burst_addr_o,
  input  logic             res_ready_i,
  output logic             res_free_o,    // this operation is the last to use the residual burst
  output logic [7:0]       res_off_o,     // byte offset of the residual word in its burst's 256 bytes
  // accumulators and requantizer
  output logic             acc_re_o,
  output logic             acc_rbank_o,
  output logic [7:0]       acc_rgroup_o,
  output logic [AccAw-1:0] acc_raddr_o,
  output logic [1:0]       bank_free_o,
  output logic             op_valid_o,
  output logic             op_tapv_o,     // the tap is inside the tile
  output logic             op_first_o,    // first tap of the window
  output logic             op_emit_o,     // gives RqLanes result bytes
  output logic             op_res_o,
  output logic [1:0]       op_kind_o,     // 0 plain, 1 maximum tap, 2 average tap, 3 average
  output logic             op_last_o,     // last operation of a burst
  output logic [SubW-1:0]  op_sub_o,
  output logic [RowAw-1:0] op_prow_o,     // parameter row in units of RqLanes entries
  output logic [15:0]      op_mt_o        // average multiplier, for kind 3
);
  localparam int Pool = (MaxPool != 0 || AvgPool != 0) ? 1 : 0;

  // The command.
  logic [127:0] cmd;
  logic        bank, res_q, contig, rcontig, avg_q, max_q, active_q;
  logic [DimBits-1:0] out_h, out_w;
  espl_hold #(
    .Width  (128),
    .Through(InPlace)
  ) u_cmd (
    .clk_i (clk_i),
    .we_i  (follow_i),
    .data_i(cmd_i),
    .data_o(cmd)
  );
  assign bank    = cmd[espl_pkg::StoreBankLsb];
  always_ff @(posedge clk_i) begin
    if (follow_i) begin
      max_q <= MaxPool != 0 && cmd_i[espl_pkg::StorePoolLsb+:2] == 2'd1;
      avg_q <= AvgPool != 0 && cmd_i[espl_pkg::StorePoolLsb+:2] == 2'd2;
      res_q <= Residual != 0 && cmd_i[espl_pkg::StoreResidualLsb] && cmd_i[espl_pkg::StorePoolLsb+:2] == 2'd0;
    end
  end
  assign contig  = cmd[espl_pkg::StoreOutContigLsb];
  assign rcontig = cmd[espl_pkg::StoreResContigLsb];
  assign out_h   = cmd[espl_pkg::StoreOutHLsb+:DimBits];
  assign out_w   = cmd[espl_pkg::StoreOutWLsb+:DimBits];
  logic [PgAw > 0 ? PgAw-1 : 0:0] pg_q;
  // The walk: what is left, this one included.
  logic [7:0]  group_q, groups_q;
  logic        last_group;
  logic [DimBits-1:0] y_q, x_q;
  logic [SubW-1:0] sub_q;
  logic        pfirst_q, phase_q;  // first operation of a pixel; the average is next
  logic [4:0]  step_q, flush_q;
  logic        x_last, y_last, sub_last, w_last, w_first, w_valid;
  logic        x_last_q, y_last_q, one_col_q, one_row_q;  // sizes left, and sizes, of one
  logic        wait_q;             // step_q is not 0
  logic        issue, avg_op, tap_now, sub_now, pix_now, sub_end, pix_end, run_end, need_slot, cmd_end;
  // Addresses.
  logic        need_q;             // the next operation begins a burst: the first one of a word that is the first of a run, or of 256 bytes
  logic        page_last;          // it is the last one of 256 bytes
  logic [31:0] oa_q, orow_q, ogrp_q, oa_d;
  logic [AccAw-1:0] w_addr;

  assign last_group = Groups == 1 || groups_q == 8'd1;
  assign x_last    = x_last_q;
  assign y_last    = y_last_q;
  assign sub_last  = sub_q == SubW'((1 << SubSh) - 1);
  assign avg_op    = AvgPool != 0 && phase_q;
  assign need_slot = need_q;
  assign issue     = go && !(need_slot && !slot_free_i) && !(pfirst_q && res_q && !res_ready_i);
  logic go;  // a command is drained, and the operation before is over
  if (RqCycles > 2) begin : gen_go_ahead
    // A register: an operation is never followed by one in the next cycle.
    logic go_q;
    always_ff @(posedge clk_i) go_q <= (start_i || active_q) && !issue && !(wait_q && step_q != 5'd1) && !rst_i;
    assign go = go_q;
  end else begin : gen_go
    assign go = active_q && !wait_q;
  end
  // What an operation ends if it issues in this cycle: functions of registers, `issue` comes later in the cycle.
  assign tap_now   = !avg_op && w_last;
  assign sub_now   = avg_op || (tap_now && !avg_q);
  assign pix_now   = sub_now && sub_last;
  assign sub_end   = issue && sub_now;
  assign pix_end   = issue && pix_now;
  assign run_end   = x_last && (y_last || !contig);
  assign cmd_end   = pix_end && x_last && y_last && last_group;
  assign done_o    = cmd_end;
  assign flushed_o = flush_q == 5'd0;

  assign burst_open_o  = issue && need_slot;
  assign burst_close_o = pix_end && (run_end || page_last);
  assign burst_last_o  = cmd_end;
  assign burst_addr_o  = oa_q;

  // An address stands still for many cycles before its pixel when a lane is serial.
  if (RqCycles > 2) begin : gen_page_late
    always_ff @(posedge clk_i) page_last <= &oa_q[7:GSh];
  end else begin : gen_page
    assign page_last = &oa_q[7:GSh];
  end

  // One adder for the next output address: pixel, row or group.
  always_comb begin
    if (!x_last || (contig && !y_last)) oa_d = oa_q + 32'(GroupBytes);
    else if (!y_last || Groups == 1) oa_d = orow_q + {8'd0, out_row_i};
    else oa_d = ogrp_q + out_group_i;
    oa_d[GSh-1:0] = '0;  // words of G bytes: a stride's low bits are not looked at
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      active_q <= 1'b0;
      step_q   <= 5'd0;
      wait_q   <= 1'b0;
      flush_q  <= 5'd0;
    end else begin
      active_q <= start_i || (active_q && !cmd_end);
      if (issue) begin
        step_q <= (tap_now && avg_q) ? 5'(AvgGap - 1) : 5'(RqCycles - 1);
        wait_q <= (tap_now && avg_q) || RqCycles > 1;
      end else if (wait_q) begin
        step_q <= step_q - 5'd1;
        wait_q <= step_q != 5'd1;
      end
      if (issue) flush_q <= 5'(Flush);
      else if (flush_q != 5'd0) flush_q <= flush_q - 5'd1;
    end
    if (follow_i) begin
      groups_q  <= cmd_i[espl_pkg::StoreGroupsLsb+:8];
      oa_q      <= {cmd_i[espl_pkg::StoreOutAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      orow_q    <= {cmd_i[espl_pkg::StoreOutAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      ogrp_q    <= {cmd_i[espl_pkg::StoreOutAddrLsb+GSh+:32-GSh], {GSh{1'b0}}};
      y_q       <= cmd_i[espl_pkg::StoreOutHLsb+:DimBits];
      x_q       <= cmd_i[espl_pkg::StoreOutWLsb+:DimBits];
      y_last_q  <= cmd_i[espl_pkg::StoreOutHLsb+:DimBits] == DimBits'(1);
      x_last_q  <= cmd_i[espl_pkg::StoreOutWLsb+:DimBits] == DimBits'(1);
      one_row_q <= cmd_i[espl_pkg::StoreOutHLsb+:DimBits] == DimBits'(1);
      one_col_q <= cmd_i[espl_pkg::StoreOutWLsb+:DimBits] == DimBits'(1);
      group_q   <= 8'd0;
      sub_q     <= '0;
      pfirst_q  <= 1'b1;
      phase_q   <= 1'b0;
      need_q    <= 1'b1;
    end else if (issue) begin
      pfirst_q <= pix_now;
      need_q   <= pix_now && (run_end || page_last);
      phase_q  <= tap_now && avg_q;
      if (sub_now) sub_q <= sub_last ? '0 : sub_q + 1'b1;
      if (pix_now) begin
        oa_q  <= oa_d;
        x_q   <= x_last ? out_w : x_q - DimBits'(1);
        x_last_q <= x_last ? one_col_q : x_q == DimBits'(2);
        if (x_last) begin
          y_q    <= y_last ? out_h : y_q - DimBits'(1);
          y_last_q <= y_last ? one_row_q : y_q == DimBits'(2);
          orow_q <= oa_d;
          if (y_last) begin
            ogrp_q   <= oa_d;
            group_q  <= group_q + 8'd1;
            groups_q <= groups_q - 8'd1;
          end
        end
      end
    end
  end

  // Parameter row: {group, sub}; the low bits of par_base are zero in a legal command and are not looked at.
  if (PgAw > 0) begin : gen_pg
    always_ff @(posedge clk_i) begin
      if (follow_i) pg_q <= cmd_i[espl_pkg::StoreParBaseLsb+GSh+:PgAw];
      else if (pix_end && x_last && y_last && Groups > 1) pg_q <= pg_q + 1'b1;
    end
  end else begin : gen_no_pg
    assign pg_q = '0;
  end

  // The residual word's place, with the same walk.
  if (Residual != 0) begin : gen_res
    logic [7:0] ro_q, rrow_q, rgrp_q, ro_d;
    logic       rrun_end;
    assign rrun_end = x_last && (y_last || !rcontig);
    always_comb begin
      if (!x_last || (rcontig && !y_last)) ro_d = ro_q + 8'(GroupBytes);
      else if (!y_last) ro_d = rrow_q + res_row_i;
      else ro_d = rgrp_q + res_group_i;
      ro_d[GSh-1:0] = '0;
    end
    always_ff @(posedge clk_i) begin
      if (follow_i) begin
        ro_q   <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:8-GSh], {GSh{1'b0}}};
        rrow_q <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:8-GSh], {GSh{1'b0}}};
        rgrp_q <= {cmd_i[espl_pkg::StoreResAddrLsb+GSh+:8-GSh], {GSh{1'b0}}};
      end else if (pix_end) begin
        ro_q <= ro_d;
        if (x_last) rrow_q <= ro_d;
        if (x_last && y_last) rgrp_q <= ro_d;
      end
    end
    assign res_off_o  = ro_q;
    assign res_free_o = pix_end && res_q && (rrun_end || (&ro_q[7:GSh]));
  end else begin : gen_no_res
    assign res_off_o  = 8'd0;
    assign res_free_o = 1'b0;
    logic unused;
    assign unused = &{1'b0, rcontig, res_row_i, res_group_i};
  end

  logic taken_q;  // the window stands at its first tap from two cycles after the take on, before the first operation
  always_ff @(posedge clk_i) taken_q <= (InPlace != 0) ? follow_i : take_i;
  espl_window #(
    .AccAw(AccAw),
    .Pool (Pool)
  ) u_window (
    .clk_i   (clk_i),
    .pool_i  (max_q || avg_q),
    .win_h_i (pool_cfg_i[espl_pkg::StorePoolWinHLsb-16+:8]),
    .win_w_i (pool_cfg_i[espl_pkg::StorePoolWinWLsb-16+:8]),
    .psy_i   (pool_cfg_i[espl_pkg::StorePoolPsyLsb-16+:4]),
    .psx_i   (pool_cfg_i[espl_pkg::StorePoolPsxLsb-16+:4]),
    .poff_y_i(pool_cfg_i[espl_pkg::StorePoolPoffYLsb-16+:12]),
    .poff_x_i(pool_cfg_i[espl_pkg::StorePoolPoffXLsb-16+:12]),
    .acc_h_i (pool_cfg_i[espl_pkg::StorePoolAccHLsb-16+:12]),
    .acc_w_i (pool_cfg_i[espl_pkg::StorePoolAccWLsb-16+:12]),
    .en_i    (taken_q || issue),
    .load_i  (taken_q || (Groups > 1 && pix_now && x_last && y_last)),  // (behind the only group the next command loads)
    .row_i   (pix_now && x_last && (Groups == 1 || !y_last)),
    .pix_i   (pix_now && !x_last),
    .sub_i   (sub_now && !sub_last),
    .addr_o  (w_addr),
    .valid_o (w_valid),
    .first_o (w_first),
    .last_o  (w_last)
  );

  if (AvgPool != 0) begin : gen_avg
    // Valid taps of the window so far, at most 16, minus one as the table's index; counted a cycle late, the average is some cycles away.
    logic [4:0] n_q, n_d;
    logic [3:0] entry;
    assign n_d   = (op_first_o ? 5'd0 : n_q) + 5'(op_tapv_o && !(n_q[4] && !op_first_o));
    assign entry = (pool_fixed_i || n_q == 5'd0) ? 4'd0 : 4'(n_q - 5'd1);
    always_ff @(posedge clk_i) begin
      if (op_valid_o && op_kind_o != 2'd3) n_q <= n_d;
      if (issue && avg_op) op_mt_o <= avg_table_i[16*entry+:16];
    end
  end else begin : gen_no_avg
    assign op_mt_o = 16'd0;
    logic unused;
    assign unused = &{1'b0, pool_fixed_i, avg_table_i, phase_q, w_first && (Pool == 0)};
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      op_valid_o  <= 1'b0;
      bank_free_o <= 2'd0;
    end else begin
      op_valid_o  <= issue;
      bank_free_o <= cmd_end ? (bank ? 2'b10 : 2'b01) : 2'b00;
    end
    acc_re_o     <= issue && !avg_op;
    acc_rbank_o  <= bank;
    acc_rgroup_o <= (SubSh > 0) ? 8'({group_q, sub_q}) : group_q;
    acc_raddr_o  <= w_addr;
    op_tapv_o    <= w_valid;
    op_first_o   <= w_first;
    op_emit_o    <= sub_end;
    op_res_o     <= res_q;
    op_kind_o    <= avg_op ? 2'd3 : {avg_q, max_q};
    op_last_o    <= burst_close_o;
    op_sub_o     <= sub_q;
  end
  if (PgAw > 0 && SubSh > 0) begin : gen_prow
    always_ff @(posedge clk_i) op_prow_o <= {pg_q, sub_q};
  end else if (SubSh > 0) begin : gen_prow_sub
    always_ff @(posedge clk_i) op_prow_o <= sub_q;
    logic unused;
    assign unused = &{1'b0, pg_q};
  end else begin : gen_prow_group
    always_ff @(posedge clk_i) op_prow_o <= pg_q;
  end

  // Fields of other units and of the residual reader.
  logic unused_cmd;
  assign unused_cmd = &{1'b0, cmd_i, cmd, out_h, groups_q, out_group_i, ogrp_q};

`ifdef FORMAL
  // Laws that the staging memory and the residual reader rely on, given a command with sizes of at least one, a residual burst that stays ready
  // until it is freed, and a slot that stays free until it is taken: a burst is opened only with a slot free and closed before the next one,
  // in the same 256 bytes, not before its first word; a command ends with a closed burst; a residual burst is freed only when ready.
  logic init_q = 1'b0;
  logic        opening_q, loaded_q, res_held_q;
  logic [31:0] first_q;  // word that opened the burst
  always_ff @(posedge clk_i) begin
    init_q     <= 1'b1;
    res_held_q <= res_ready_i && !res_free_o;
    loaded_q   <= !rst_i && (take_i || (loaded_q && !start_i && !follow_i));
    if (rst_i) opening_q <= 1'b0;
    else opening_q <= (opening_q || burst_open_o) && !burst_close_o;
    if (burst_open_o) first_q <= burst_addr_o;
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    if (take_i) begin
      assume (cmd_i[espl_pkg::StoreOutHLsb+:12] != 12'd0 && cmd_i[espl_pkg::StoreOutWLsb+:12] != 12'd0);
      assume (cmd_i[espl_pkg::StoreGroupsLsb+:8] != 8'd0);
    end
    if (init_q && !rst_i) begin
      assume (!take_i || follow_i);
      assume (!follow_i || (!active_q && !start_i));
      assume (!start_i || (loaded_q && !active_q));
      if (res_held_q) assume (res_ready_i);
      assert (!(loaded_q && active_q));
      assert (wait_q == (step_q != 5'd0));
      if (loaded_q || active_q) begin
        assert (x_last == (x_q == 12'd1) && y_last == (y_q == 12'd1) && one_col_q == (out_w == 12'd1) && one_row_q == (out_h == 12'd1));
        assert (x_q != 12'd0 && y_q != 12'd0 && groups_q != 8'd0 && out_w != 12'd0 && out_h != 12'd0);
        assert (oa_q[GSh-1:0] == '0 && orow_q[GSh-1:0] == '0 && ogrp_q[GSh-1:0] == '0);
      end
      if (loaded_q) assert (pfirst_q && need_q);
      assert (opening_q == (active_q && !need_q));
      if (loaded_q || active_q) assert (pfirst_q || !need_q);
      if ((loaded_q || active_q) && oa_q[7:0] == 8'd0) assert (need_q || !pfirst_q);
      if (opening_q) assert (oa_q[31:8] == first_q[31:8] && oa_q[7:0] >= first_q[7:0]);
      if (burst_open_o) assert (slot_free_i && !opening_q && active_q);
      if (burst_close_o) assert ((opening_q || burst_open_o) && active_q);
      if (burst_close_o && opening_q) assert (burst_addr_o[31:8] == first_q[31:8] && burst_addr_o[7:0] >= first_q[7:0]);
      if (burst_last_o) assert (burst_close_o && done_o);
      if (active_q && res_q && !pfirst_q) assert (res_ready_i);
      if (res_free_o) assert (res_ready_i);
    end
  end
`endif

endmodule
