// Walks the runs of one LOAD (groups x rows x bytes) and cuts them into bursts at 256-byte boundaries of memory.
// Timing: start_i in cycle t loads the command, valid_o and the first burst are shown from t+1; step_i in cycle t moves to the next
// burst, shown in t+1; after the step of the burst with last_o valid_o is low. All outputs are functions of registers. A burst that is shown may be
// taken with step_i when ready_o is high: always, or with Prep from the next cycle on (the cut at 256 bytes has registers of its own).
// While nothing is walked the registers follow cmd_i: start_i, which comes only then, is late in its cycle and goes to valid_o only.
// Buffer offset of run (group k, row r): dst + r*dst_row*G + ((bank+k) div NB)*dst_group*G in bank (bank+k) mod NB; buffers other than
// the activation buffer have one bank. Offsets are modulo 2^20, addresses modulo 2^32.
module espl_load_walk #(
  parameter int Rows     = 16,
  parameter int Cols     = 16,
  parameter int BusBytes = 16,
  parameter int DimBits  = 12,  // bits of rows and groups; row_bytes has eight more
  parameter int Prep     = 0,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int G     = (MinRc < 16) ? MinRc : 16,
  parameter int Nb    = Rows / G,
  parameter int BusSh = $clog2(BusBytes),
  parameter int RunW  = DimBits + 8
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         start_i,
  input  logic [127:0] cmd_i,
  input  logic [95:0]  stride_i,  // mem_row, mem_group, dst_row, dst_group of LOAD_STRIDE; steady while valid_o
  input  logic         step_i,
  output logic         valid_o,
  output logic         ready_o,
  output logic [31:0]  addr_o,    // of the first aligned beat
  output logic [BusSh-1:0] lane_o, // of the first byte in it
  output logic [6:0]   beats_o,
  output logic [8:0]   bytes_o,   // 1..256
  output logic [8:0]   end_o,     // lane_o + bytes_o
  output logic [19:0]  dst_o,     // buffer byte address of the first byte
  output logic [7:0]   bank_o,
  output logic         last_o     // last burst of the command
);

  localparam int GSh = $clog2(G);

  logic        valid_q, act_q;
  logic        empty;  // nothing is walked, the registers follow cmd_i; without Prep a register of its own
  logic [31:0] addr_q, row_addr_q, group_addr_q;
  logic [19:0] dst_q, row_dst_q, group_dst_q;
  logic [RunW-1:0]    left_q, row_bytes_q;
  logic [DimBits-1:0] rows_q, row_left_q, group_left_q;
  logic [7:0]  bank_q;
  logic [8:0]  room, bytes;
  logic [RunW-1:0] left_cut;  // what is left of the run behind a burst that is cut
  logic        run_end, cut, row_end, group_end, wrap;
  logic [31:0] mem_row, mem_group, next_row_addr, next_group_addr;
  logic [19:0] dst_row, dst_group, next_row_dst, next_group_dst;

  logic unused_cmd;  // opcode, token and reserved bits, top bits of sizes
  assign unused_cmd = &{1'b0, cmd_i};

  assign mem_row   = stride_i[31:0];
  assign mem_group = stride_i[63:32];
  assign dst_row   = {{(4) {1'b0}}, stride_i[79:64]} << GSh;
  assign dst_group = {{(4) {1'b0}}, stride_i[95:80]} << GSh;

  assign room    = 9'd256 - {1'b0, addr_q[7:0]};
  assign cut     = left_q > RunW'(room);
  if (Prep != 0) begin : gen_prep
    // Place behind the run's last byte, counted from the 256 bytes that hold the burst: beyond 256 the burst is cut.
    logic          ready_q, run_end_q;
    logic [RunW:0] place, place_q;
    assign place = {1'b0, left_q} + (RunW + 1)'(addr_q[7:0]);
    always_ff @(posedge clk_i) begin
      ready_q   <= valid_q && !step_i && !rst_i;
      run_end_q <= place[RunW:9] == '0 && !(place[8] && place[7:0] != 8'd0);
      place_q   <= place;
    end
    logic       row_end_q, group_end_q;
    always_ff @(posedge clk_i) begin
      row_end_q   <= row_left_q == DimBits'(1);
      group_end_q <= group_left_q == DimBits'(1);
    end
    assign row_end   = row_end_q;
    assign group_end = group_end_q;
    assign ready_o = ready_q;
    assign run_end = run_end_q;
    assign bytes     = run_end_q ? left_q[8:0] : room;
    assign left_cut  = RunW'({place_q[RunW:8] - (RunW - 7)'(1), place_q[7:0]});
    logic [8:0] stop;  // place behind the burst
    assign stop    = run_end_q ? place_q[8:0] : 9'd256;
    assign end_o   = stop - {1'b0, addr_q[7:BusSh], {BusSh{1'b0}}};
    assign beats_o = 7'(stop[8:BusSh]) - 7'(addr_q[7:BusSh]) + 7'(stop[BusSh-1:0] != '0);
    logic unused_cut;
    assign unused_cut = ^{cut, bytes};
  end else begin : gen_direct
    // Where the run ends, counted from the 256 bytes that hold the burst: what lies behind them says whether the burst is cut.
    logic [RunW:0]   last_q, last_row, last_group;  // place of the run's last byte
    logic [RunW-1:0] less_q;                        // row_bytes - 1
    logic            short_q, run_end_q;            // no run is longer than 256 bytes; the run ends with the burst
    logic [7:0]      last;
    assign last_row   = {1'b0, less_q} + {{(RunW - 7) {1'b0}}, next_row_addr[7:0]};
    assign last_group = {1'b0, less_q} + {{(RunW - 7) {1'b0}}, next_group_addr[7:0]};
    always_ff @(posedge clk_i) begin
      if (empty) begin
        less_q    <= cmd_i[espl_pkg::LoadRowBytesLsb+:RunW] - RunW'(1);
        short_q   <= cmd_i[espl_pkg::LoadRowBytesLsb+:RunW] <= RunW'(256);
        last_q    <= {1'b0, cmd_i[espl_pkg::LoadRowBytesLsb+:RunW]} + {{(RunW - 7) {1'b0}}, cmd_i[espl_pkg::LoadAddrLsb+:8]} - (RunW + 1)'(1);
        run_end_q <= {1'b0, cmd_i[espl_pkg::LoadRowBytesLsb+:RunW]} + {{(RunW - 7) {1'b0}}, cmd_i[espl_pkg::LoadAddrLsb+:8]} <= (RunW + 1)'(256);
      end else if (step_i) begin
        if (!run_end_q) begin
          last_q[RunW:8] <= last_q[RunW:8] - (RunW - 7)'(1);
          run_end_q      <= last_q[RunW:8] == (RunW - 7)'(1);
        end else begin
          last_q    <= row_end ? last_group : last_row;
          run_end_q <= short_q && !(row_end ? last_group[8] : last_row[8]);
        end
      end
    end
    assign last    = run_end_q ? last_q[7:0] : 8'hff;
    assign row_end   = row_left_q == DimBits'(1);
    assign group_end = group_left_q == DimBits'(1);
    assign ready_o = valid_q;
    assign run_end = run_end_q;
    assign bytes    = {1'b0, last} - {1'b0, addr_q[7:0]} + 9'd1;
    assign left_cut = left_q - RunW'(bytes);
    assign beats_o = 7'(last[7:BusSh]) - 7'(addr_q[7:BusSh]) + 7'd1;
    assign end_o   = {1'b0, last} - {1'b0, addr_q[7:BusSh], {BusSh{1'b0}}} + 9'd1;
`ifdef FORMAL
    always_comb if (valid_q) assert (run_end_q == !cut && bytes == (cut ? room : left_q[8:0]) && {1'b0, left_q} + (RunW + 1)'(addr_q[7:0]) == last_q + (RunW + 1)'(1) &&
                                     less_q == row_bytes_q - RunW'(1) && short_q == (row_bytes_q <= RunW'(256)));
`else
    logic unused_cut;
    assign unused_cut = cut;
`endif
  end
  assign wrap    = Nb == 1 || !act_q || (bank_q == 8'(Nb - 1));

  // The next run, of this group and of the next one. With Prep a step follows the one before after two cycles or more: the sums are registers by then.
  espl_hold #(
    .Width  (104),
    .Through((Prep != 0) ? 0 : 1)
  ) u_next (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i({row_addr_q + mem_row, row_dst_q + dst_row, group_addr_q + mem_group, wrap ? group_dst_q + dst_group : group_dst_q}),
    .data_o({next_row_addr, next_row_dst, next_group_addr, next_group_dst})
  );

  assign valid_o = valid_q;
  assign addr_o  = {addr_q[31:BusSh], {BusSh{1'b0}}};
  assign lane_o  = addr_q[BusSh-1:0];
  assign bytes_o = bytes;
  assign dst_o   = dst_q;
  assign bank_o  = bank_q;
  assign last_o  = run_end && row_end && group_end;

  always_ff @(posedge clk_i) begin
    if (empty) begin
      act_q        <= cmd_i[espl_pkg::LoadBufferLsb+:2] == 2'd0;
      addr_q       <= cmd_i[espl_pkg::LoadAddrLsb+:32];
      row_addr_q   <= cmd_i[espl_pkg::LoadAddrLsb+:32];
      group_addr_q <= cmd_i[espl_pkg::LoadAddrLsb+:32];
      dst_q        <= cmd_i[espl_pkg::LoadDstLsb+:20];
      row_dst_q    <= cmd_i[espl_pkg::LoadDstLsb+:20];
      group_dst_q  <= cmd_i[espl_pkg::LoadDstLsb+:20];
      left_q       <= cmd_i[espl_pkg::LoadRowBytesLsb+:RunW];
      row_bytes_q  <= cmd_i[espl_pkg::LoadRowBytesLsb+:RunW];
      rows_q       <= cmd_i[espl_pkg::LoadRowsLsb+:DimBits];
      row_left_q   <= cmd_i[espl_pkg::LoadRowsLsb+:DimBits];
      group_left_q <= cmd_i[espl_pkg::LoadGroupsLsb+:DimBits];
      bank_q       <= (Nb > 1 && cmd_i[espl_pkg::LoadBufferLsb+:2] == 2'd0) ? cmd_i[espl_pkg::LoadBankLsb+:8] : 8'd0;
    end else if (step_i) begin
      if (!run_end) begin
        addr_q <= {addr_q[31:8] + 24'd1, 8'd0};
        dst_q  <= dst_q - {12'hfff, addr_q[7:0]};  // behind 256 - addr bytes
        left_q <= left_cut;
      end else if (!row_end) begin
        addr_q     <= next_row_addr;
        row_addr_q <= next_row_addr;
        dst_q      <= next_row_dst;
        row_dst_q  <= next_row_dst;
        left_q     <= row_bytes_q;
        row_left_q <= row_left_q - DimBits'(1);
      end else begin
        addr_q       <= next_group_addr;
        row_addr_q   <= next_group_addr;
        group_addr_q <= next_group_addr;
        dst_q        <= next_group_dst;
        row_dst_q    <= next_group_dst;
        group_dst_q  <= next_group_dst;
        left_q       <= row_bytes_q;
        row_left_q   <= rows_q;
        group_left_q <= group_left_q - DimBits'(1);
        bank_q       <= wrap ? 8'd0 : bank_q + 8'd1;
      end
    end
    if (rst_i) valid_q <= 1'b0;
    else if (start_i) valid_q <= 1'b1;
    else if (step_i && last_o) valid_q <= 1'b0;
  end
  if (Prep == 0) begin : gen_empty
    logic empty_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) empty_q <= 1'b1;
      else if (start_i) empty_q <= 1'b0;
      else if (step_i && last_o) empty_q <= 1'b1;
    end
    assign empty = empty_q;
  end else begin : gen_not_valid
    assign empty = !valid_q;
  end

`ifdef FORMAL
  // Laws for a command without zero sizes (the decoder refuses others), started only while nothing is walked, stepped only while a burst is shown.
  // A burst lies inside 256 bytes and is never empty; its beats are those that hold its bytes; the bursts of a run follow each other without
  // a gap and add up to the run; the runs add up to rows x groups; last_o marks the last burst of the last run.
  logic init_q = 1'b0;
  logic [19:0] run_bytes_q, pos_q;        // of a run, and how many of them are behind
  logic [11:0] n_rows_q, n_groups_q;      // of the command
  logic [11:0] row_q, group_q;            // runs behind in this group, groups behind
  logic [9:0]  place, place_end;          // of the burst in its first beat, in bytes
  logic        f_last;
  assign place     = {2'b00, addr_o[7:0]} + {{(10 - BusSh) {1'b0}}, lane_o};
  assign place_end = place + {1'b0, bytes_o};
  assign f_last    = {1'b0, pos_q} + {12'd0, bytes_o} == {1'b0, run_bytes_q};
  always_ff @(posedge clk_i) begin
    init_q <= 1'b1;
    if (start_i) begin
      run_bytes_q <= cmd_i[espl_pkg::LoadRowBytesLsb+:20];
      n_rows_q    <= cmd_i[espl_pkg::LoadRowsLsb+:12];
      n_groups_q  <= cmd_i[espl_pkg::LoadGroupsLsb+:12];
      pos_q       <= 20'd0;
      row_q       <= 12'd0;
      group_q     <= 12'd0;
    end else if (step_i) begin
      pos_q <= f_last ? 20'd0 : pos_q + {11'd0, bytes_o};
      if (f_last) row_q <= (row_q + 12'd1 == n_rows_q) ? 12'd0 : row_q + 12'd1;
      if (f_last && row_q + 12'd1 == n_rows_q) group_q <= group_q + 12'd1;
    end
  end
  always_comb begin
    if (!init_q) assume (rst_i);
`ifdef PROVE_espl_load_walk
    if (init_q) assume ((!step_i || valid_o) && (!start_i || !valid_o));
`else
    if (init_q && !rst_i) assert ((!step_i || valid_o) && (!start_i || !valid_o));
`endif
    if (start_i) begin
      assume (cmd_i[espl_pkg::LoadRowBytesLsb+:20] != 20'd0);
      assume (cmd_i[espl_pkg::LoadRowsLsb+:12] != 12'd0);
      assume (cmd_i[espl_pkg::LoadGroupsLsb+:12] != 12'd0);
    end
    if (start_i && cmd_i[espl_pkg::LoadBufferLsb+:2] == 2'd0) assume (cmd_i[espl_pkg::LoadBankLsb+:8] < 8'(Nb));
    if (init_q && valid_o) begin
      assert (bytes_o >= 9'd1 && bytes_o <= 9'd256);
      assert (place_end <= 10'd256);
      assert (end_o == bytes_o + {{(9 - BusSh) {1'b0}}, lane_o});
      assert (addr_o[BusSh-1:0] == '0);
      assert (beats_o >= 7'd1 && {3'd0, beats_o} <= 10'(256 / BusBytes));
      assert ({3'd0, beats_o} == (({{(10 - BusSh) {1'b0}}, lane_o} + {1'b0, bytes_o} + 10'(BusBytes - 1)) >> BusSh));
      assert (addr_o + {{(32 - BusSh) {1'b0}}, lane_o} == row_addr_q + {12'd0, pos_q});
      assert (dst_o == row_dst_q + pos_q);
      assert (run_bytes_q == row_bytes_q && pos_q < run_bytes_q && left_q == run_bytes_q - pos_q);
      assert (n_rows_q == rows_q && row_q < n_rows_q && row_left_q == n_rows_q - row_q);
      assert (group_q < n_groups_q && group_left_q == n_groups_q - group_q);
      assert (f_last || place_end == 10'd256);
      assert (last_o == (f_last && row_q + 12'd1 == n_rows_q && group_q + 12'd1 == n_groups_q));
      assert (bank_o < 8'(Nb));
    end
    if (init_q) assert (empty == !valid_q);
  end
`endif

endmodule
