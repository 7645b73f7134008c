// Prefetches the program in 256-byte bursts into two slots of 16 commands and shows the oldest command.
// Timing: a request is raised (visible in t+1) in a cycle t with run_i in which no request is shown, a slot is free and the program goes
// on; the last one is cut at the end of the program. A command whose last byte arrives in cycle t is shown from t+2 on, and the one behind
// a command popped in cycle t from t+1 on. A slot is free again in the cycle after the pop of its last command.
// With Ahead the memory is read in the cycle of its address (distributed memory): next_o in a cycle with load_o is what cmd_o shows in the next one.
// With Parts the memory is 4 bytes wide to the reader: a command is read in four cycles, and each one is shown three cycles later than said above.
// flush_i drops everything; nothing may be open then. It starts again at seek_pos_i, given with seek_i in that cycle, at the latest, without run_i.
module espl_fetch_buf #(
  parameter int BusBytes = 16,
  parameter int Ahead    = 0,
  parameter int Parts    = 0,   // without Ahead
  parameter int PosW     = 29   // bits of a position in the program, in commands: 29, or enough for memory
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  run_i,
  input  logic [31:12]          base_i,
  input  logic [PosW-1:0]       limit_i,      // commands in the program
  input  logic                  big_i,        // they are more than that
  input  logic                  flush_i,
  input  logic                  seek_i,
  input  logic [PosW-1:4]       seek_pos_i,   // position in commands, a multiple of 16
  output logic                  rq_valid_o,
  output logic [31:0]           rq_addr_o,
  output logic [6:0]            rq_beats_o,
  input  logic                  rq_gnt_i,
  input  logic                  rd_valid_i,
  input  logic [8*BusBytes-1:0] rd_data_i,
  input  logic                  rd_last_i,
  input  logic                  rd_err_i,
  output logic                  valid_o,
  output logic [127:0]          cmd_o,
  output logic [127:0]          next_o,
  output logic                  load_o,
  output logic                  err_o,        // the burst it came with was faulty
  input  logic                  pop_i,
  output logic                  drained_o,    // no burst open or requested
  output logic                  full_o        // moreover no slot free, or nothing left of the program
);

  localparam int Mid = (PosW + 4) / 2;
  localparam int BeatAw = 9 - $clog2(BusBytes);
  localparam logic [5:0] Arrive = (BusBytes == 32) ? 6'd2 : 6'd1;

  logic              rq_valid_q, valid_q;
  logic [31:0]       rq_addr_q;
  logic [6:0]        rq_beats_q;
  logic [PosW-1:4]   pos_q, pos_d;  // next burst, in 16 commands
  logic [PosW-1:4]   then_q;        // the one behind it
  logic              whole_q;       // from there on the program has 16 commands and more
  logic [1:0]        part_q;        // it has fewer: both
  logic [1:0]        slots_q, open_q;
  logic [BeatAw-1:0] wbeat_q;
  logic [4:0]        rptr_q, raddr;
  logic [5:0]        level_q;
  logic              arrive;     // Arrive commands are complete with this beat
  logic [1:0]        slot_err_q;
  logic [4:0]        burst_cmds;
  logic              more, raise, slot_free;
  logic              some, valid_d;  // a command is in memory, that popped now aside; the oldest one can be shown in the next cycle

  assign pos_d      = rst_i ? '0 : seek_i ? seek_pos_i : raise ? then_q : pos_q;
  // What is left of the program, a cycle after the position: no burst is raised in the cycle after a raise.
  logic [PosW-1:4] pos_now;
  assign pos_now    = rst_i ? '0 : seek_i ? seek_pos_i : pos_q;
  assign more       = !slots_q[1] && (whole_q || (&part_q));
  assign raise      = run_i && !rq_valid_q && more;
  assign burst_cmds = whole_q ? 5'd16 : {1'b0, limit_i[3:0]};
  assign slot_free  = pop_i && (rptr_q[3:0] == 4'd15);

  if (BusBytes >= 16) begin : gen_wide
    assign arrive = rd_valid_i;
  end else begin : gen_narrow
    localparam int SubW = 4 - $clog2(BusBytes);
    assign arrive = rd_valid_i && (&wbeat_q[SubW-1:0]);
  end

  assign raddr      = rptr_q + {4'd0, pop_i};
  assign valid_o    = valid_q;
  assign err_o      = slot_err_q[rptr_q[4]];
  assign rq_valid_o = rq_valid_q;
  assign rq_addr_o  = rq_addr_q;
  assign rq_beats_o = rq_beats_q;
  assign drained_o  = !rq_valid_q && (open_q == 2'd0);
  assign full_o     = drained_o && !more;

  assign load_o = pop_i || !valid_q;
  assign some   = pop_i ? level_q > 6'd1 : level_q != 6'd0;
  if (Ahead != 0) begin : gen_ahead
    logic [4:0]   place;  // of what is shown next: behind the command shown, or the oldest one
    logic [127:0] cmd_q;
    always_ff @(posedge clk_i) begin
      if (rst_i || flush_i) place <= 5'd0;
      else if (pop_i) place <= rptr_q + ((level_q > 6'd1) ? 5'd2 : 5'd1);
      else place <= rptr_q + ((level_q != 6'd0) ? 5'd1 : 5'd0);
    end
    always_ff @(posedge clk_i) if (load_o) cmd_q <= next_o;
    assign cmd_o   = cmd_q;
    assign valid_d = some;
    if (BusBytes == 32) begin : gen_two_commands
      logic [255:0] mem[0:15];
      logic [255:0] pair;
      always_ff @(posedge clk_i) if (rd_valid_i) mem[wbeat_q] <= rd_data_i;
      assign pair   = mem[place[4:1]];
      assign next_o = place[0] ? pair[255:128] : pair[127:0];
    end else if (BusBytes == 16) begin : gen_one_command
      logic [127:0] mem[0:31];
      always_ff @(posedge clk_i) if (rd_valid_i) mem[wbeat_q] <= rd_data_i;
      assign next_o = mem[place];
    end else begin : gen_parts
      localparam int PartSh = 4 - $clog2(BusBytes);
      for (genvar k = 0; k < 16 / BusBytes; k++) begin : gen_part
        logic [8*BusBytes-1:0] mem[0:31];
        always_ff @(posedge clk_i) if (rd_valid_i && wbeat_q[PartSh-1:0] == PartSh'(k)) mem[wbeat_q[BeatAw-1:PartSh]] <= rd_data_i;
        assign next_o[8*BusBytes*k+:8*BusBytes] = mem[place];
      end
    end
  end else if (Parts != 0) begin : gen_block_parts
    logic [95:0] hold_q;  // the first three parts; the last one stays at the memory's output
    logic [31:0] part;
    logic [1:0]  step_q;  // the part that is read; 0: none if there is nothing to begin with
    logic        reading, begins;
    assign reading = step_q != 2'd0;
    assign begins  = !reading && (pop_i || !valid_q) && some;
    assign valid_d = (valid_q && !pop_i) || (step_q == 2'd3);
    always_ff @(posedge clk_i) begin
      if (rst_i || flush_i) step_q <= 2'd0;
      else if (begins || reading) step_q <= step_q + 2'd1;
    end
    espl_beatbuf #(
      .Aw  (9),
      .Beat(BusBytes),
      .Unit(4)
    ) u_ram (
      .clk_i  (clk_i),
      .we_i   (rd_valid_i),
      .waddr_i(wbeat_q),
      .wdata_i(rd_data_i),
      .wstrb_i({BusBytes{1'b1}}),
      .re_i   (begins || reading),
      .raddr_i({raddr, step_q}),
      .rdata_o(part)
    );
    always_ff @(posedge clk_i) if (reading) hold_q <= {part, hold_q[95:32]};
    assign cmd_o  = {part, hold_q};
    assign next_o = cmd_o;
  end else begin : gen_block
    assign valid_d = some;
    espl_beatbuf #(
      .Aw  (9),
      .Beat(BusBytes),
      .Unit(16)
    ) u_ram (
      .clk_i  (clk_i),
      .we_i   (rd_valid_i),
      .waddr_i(wbeat_q),
      .wdata_i(rd_data_i),
      .wstrb_i({BusBytes{1'b1}}),
      .re_i   (1'b1),
      .raddr_i(raddr),
      .rdata_o(cmd_o)
    );
    assign next_o = cmd_o;
  end

  always_ff @(posedge clk_i) begin
    if (raise) begin
      rq_addr_q  <= {base_i + 20'(pos_q[PosW-1:8]), pos_q[7:4], 8'd0};
      rq_beats_q <= 7'(({4'd0, burst_cmds, 4'd0} + 13'(BusBytes - 1)) >> $clog2(BusBytes));
    end
    pos_q   <= pos_d;
    then_q  <= pos_now + 1'b1;
    whole_q <= limit_i[PosW-1:4] > pos_now || big_i;
    part_q  <= {limit_i[Mid-1:4] == pos_now[Mid-1:4], limit_i[PosW-1:Mid] == pos_now[PosW-1:Mid] && limit_i[3:0] != 4'd0};
    if (rd_valid_i) slot_err_q[wbeat_q[BeatAw-1]] <= rd_err_i;
    if (rst_i || flush_i) begin
      rq_valid_q <= 1'b0;
      valid_q    <= 1'b0;
      slots_q    <= 2'd0;
      open_q     <= 2'd0;
      wbeat_q    <= '0;
      rptr_q     <= 5'd0;
      level_q    <= 6'd0;
    end else begin
      if (raise) begin
        rq_valid_q <= 1'b1;
      end else if (rq_gnt_i) rq_valid_q <= 1'b0;
      slots_q <= slots_q + {1'b0, raise} - {1'b0, slot_free};
      open_q  <= open_q + {1'b0, rq_gnt_i} - {1'b0, rd_valid_i && rd_last_i};
      if (rd_valid_i) wbeat_q <= wbeat_q + 1'b1;
      rptr_q  <= raddr;
      // rd_valid_i and pop_i come late in their cycle: all four sums are there by then.
      if (arrive) level_q <= pop_i ? level_q + Arrive - 6'd1 : level_q + Arrive;
      else if (pop_i) level_q <= level_q - 6'd1;
      valid_q <= valid_d;
    end
  end

endmodule
