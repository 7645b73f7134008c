// The memory of a board behind the core's port, with a second, byte-wide port for the host.
// Timing: exactly hw/spec/memory.md with num = den = 1, read latency ReadLat (2, or 3 with a register behind the RAM), write latency 1, and
//   Shared 0: separate paths over a RAM with a read and a write port;
//   Shared 1: one path over a single-port RAM, turnaround ReadLat - 1 (a read's RAM access is that much ahead of its beat).
// Outstanding bursts a path are held; with more requested, ready goes low (outside of the law). An address wraps at the memory's size.
// The host's request is served in a cycle in which the core does not use the RAM (Shared 1: nor has a write open), so it never changes the core's timing.
module espl_board_mem #(
  parameter int BusBytes    = 4,
  parameter int MemAw       = 17,  // log2 of the bytes
  parameter int ReadLat     = 2,
  parameter int Shared      = 1,
  parameter int Outstanding = 2
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  rd_req_valid_i,
  output logic                  rd_req_ready_o,
  input  logic [MemAw-1:0]      rd_req_addr_i,
  input  logic [6:0]            rd_req_beats_i,
  output logic                  rd_valid_o,
  output logic [8*BusBytes-1:0] rd_data_o,
  output logic                  rd_last_o,
  input  logic                  wr_req_valid_i,
  output logic                  wr_req_ready_o,
  input  logic [MemAw-1:0]      wr_req_addr_i,
  output logic                  wr_take_o,
  input  logic [8*BusBytes-1:0] wr_data_i,
  input  logic [BusBytes-1:0]   wr_strb_i,
  input  logic                  wr_last_i,
  output logic                  wr_rsp_o,
  input  logic                  host_req_i,
  input  logic                  host_we_i,
  input  logic [MemAw-1:0]      host_addr_i,
  input  logic [7:0]            host_wdata_i,
  output logic                  host_ack_o,
  output logic                  host_rvalid_o,
  output logic [7:0]            host_rdata_o
);

  localparam int LaneW = $clog2(BusBytes);
  localparam int WordW = MemAw - LaneW;
  localparam int Pipe  = ReadLat - 1;  // cycles from a RAM access to its beat

  logic             rd_access, rd_end, rd_turn, rd_open, wr_turn, wr_open;
  logic [WordW-1:0] rd_word, wr_word;
  logic             rd_last;
  logic [Pipe-1:0]  beat_q, last_q, host_q;
  logic             host_take, rsp_q;
  logic [LaneW-1:0] lane_q;
  logic [BusBytes-1:0]   host_strb;
  logic [8*BusBytes-1:0] ram_out;

  espl_board_burst #(.WordW(WordW), .CountW(7), .Depth(Outstanding)) u_read (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (rd_req_valid_i && rd_req_ready_o),
    .word_i (rd_req_addr_i[MemAw-1:LaneW]),
    .beats_i(rd_req_beats_i),
    .ready_o(rd_req_ready_o),
    .open_o (rd_open),
    .word_o (rd_word),
    .last_o (rd_last),
    .step_i (rd_access),
    .end_i  (rd_end)
  );
  // Writes end with the port's own last mark, so their beats are not counted.
  logic unused_last;
  espl_board_burst #(.WordW(WordW), .CountW(1), .Depth(Outstanding)) u_write (
    .clk_i  (clk_i),
    .rst_i  (rst_i),
    .push_i (wr_req_valid_i && wr_req_ready_o),
    .word_i (wr_req_addr_i[MemAw-1:LaneW]),
    .beats_i(1'b0),
    .ready_o(wr_req_ready_o),
    .open_o (wr_open),
    .word_o (wr_word),
    .last_o (unused_last),
    .step_i (wr_take_o),
    .end_i  (wr_take_o && wr_last_i)
  );

  logic unused_lanes;  // a port's bursts are whole words
  assign unused_lanes = &{1'b0, rd_req_addr_i[LaneW-1:0], wr_req_addr_i[LaneW-1:0]};

  assign rd_access = rd_open && rd_turn;
  assign rd_end    = rd_access && rd_last;
  assign wr_take_o = wr_open && wr_turn;
  // On one path the host waits while a write burst is open: what the RAM is given does not hang on the write's turn then.
  assign host_take = host_req_i && !(host_we_i ? wr_take_o : rd_access) && !((Shared != 0) && (wr_open || rd_access));

  assign host_strb = {{(BusBytes - 1) {1'b0}}, 1'b1} << host_addr_i[LaneW-1:0];

  if (Shared != 0) begin : gen_shared
    logic rd_push, wr_push, rd_first, wr_first;  // the oldest open burst, if any, is a read; it is a write
    assign rd_push = rd_req_valid_i && rd_req_ready_o;
    assign wr_push = wr_req_valid_i && wr_req_ready_o;
    if (Outstanding == 1) begin : gen_pair
      // At most a read and a write are open; a read is before a write of the same cycle.
      logic write_older_q;
      always_ff @(posedge clk_i) if (rd_push || wr_push) write_older_q <= !wr_push;
      assign rd_first = !(wr_open && write_older_q);
      assign wr_first = !(rd_open && !write_older_q);
    end else begin : gen_order
      // Kinds of the open bursts in the order of their grants, a read before a write of the same cycle.
      localparam int Kinds = 2 * Outstanding;
      localparam int CntW  = $clog2(Kinds + 1);
      logic [Kinds-1:0] write_q, write_d;  // bit 0 is the oldest
      logic [CntW-1:0]  count_q, count_d;
      logic             pop;
      assign pop = rd_end || (wr_take_o && wr_last_i);
      always_comb begin
        write_d = pop ? write_q >> 1 : write_q;
        count_d = count_q - {{(CntW - 1) {1'b0}}, pop};
        for (int i = 0; i < Kinds; i++) begin
          if (rd_push && CntW'(i) == count_d) write_d[i] = 1'b0;
          if (wr_push && CntW'(i) == count_d + {{(CntW - 1) {1'b0}}, rd_push}) write_d[i] = 1'b1;
        end
        count_d = count_d + {{(CntW - 1) {1'b0}}, rd_push} + {{(CntW - 1) {1'b0}}, wr_push};
      end
      always_ff @(posedge clk_i) begin
        write_q <= write_d;
        count_q <= rst_i ? '0 : count_d;
      end
      assign rd_first = !write_q[0];
      assign wr_first = write_q[0];
    end
    assign rd_turn = rd_first;
    assign wr_turn = wr_first && (beat_q == '0);  // the path is free after the last beat of a read

    espl_sp_ram #(.Words(1 << WordW), .Width(BusBytes)) u_ram (
      .clk_i  (clk_i),
      .en_i   (rd_access || wr_take_o || host_take),
      .we_i   (wr_take_o || (host_take && host_we_i)),
      .wstrb_i(wr_open ? wr_strb_i : host_strb),
      .addr_i (rd_access ? rd_word : wr_open ? wr_word : host_addr_i[MemAw-1:LaneW]),
      .wdata_i(wr_open ? wr_data_i : {BusBytes{host_wdata_i}}),
      .rdata_o(ram_out)
    );
  end else begin : gen_paths
    assign rd_turn = 1'b1;
    assign wr_turn = 1'b1;
    espl_sdp_ram #(.Depth(1 << WordW), .Width(BusBytes)) u_ram (
      .clk_i  (clk_i),
      .we_i   (wr_take_o || (host_take && host_we_i)),
      .wstrb_i(wr_take_o ? wr_strb_i : host_strb),
      .waddr_i(wr_take_o ? wr_word : host_addr_i[MemAw-1:LaneW]),
      .wdata_i(wr_take_o ? wr_data_i : {BusBytes{host_wdata_i}}),
      .re_i   (rd_access || (host_take && !host_we_i)),
      .raddr_i(rd_access ? rd_word : host_addr_i[MemAw-1:LaneW]),
      .rdata_o(ram_out)
    );
  end

  if (Pipe > 1) begin : gen_reg
    logic [8*BusBytes-1:0] data_q;
    always_ff @(posedge clk_i) data_q <= ram_out;
    assign rd_data_o = data_q;
  end else begin : gen_direct
    assign rd_data_o = ram_out;
  end

  // What arrives with the RAM's words: beats, the last of a burst, bytes for the host.
  always_ff @(posedge clk_i) begin
    if (host_take) lane_q <= host_addr_i[LaneW-1:0];
    for (int i = 0; i < Pipe; i++) begin
      beat_q[i] <= !rst_i && (i == 0 ? rd_access : beat_q[i-1]);
      last_q[i] <= i == 0 ? rd_end : last_q[i-1];
      host_q[i] <= !rst_i && (i == 0 ? host_take && !host_we_i : host_q[i-1]);
    end
    rsp_q <= !rst_i && wr_take_o && wr_last_i;
  end
  assign rd_valid_o    = beat_q[Pipe-1];
  assign rd_last_o     = last_q[Pipe-1];
  assign wr_rsp_o      = rsp_q;
  assign host_ack_o    = host_take;
  assign host_rvalid_o = host_q[Pipe-1];
  assign host_rdata_o  = rd_data_o[8*lane_q+:8];

endmodule
