// The host's bridge: frames from a serial line to register accesses and memory bytes (hw/spec/bridge.md). One frame at a time, half duplex.
// Timing: reg_we_o is a pulse with address and data; reg_rdata_i belongs to reg_addr_o in the same cycle (it is looked at a cycle later). mem_req_o with address, direction and
// byte stays until the cycle of mem_ack_i; a byte read comes with mem_rvalid_i in any later cycle.
// Law: memory bytes of a write are taken before their CRC is known; a frame that turns out wrong is answered by NAK and has to be repeated.
module espl_bridge #(
  parameter int ClkDiv = 16,
  parameter int GapW   = 16,
  parameter int MemAw  = 17
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             rx_i,
  output logic             tx_o,
  output logic             reg_we_o,
  output logic [7:0]       reg_addr_o,
  output logic [31:0]      reg_wdata_o,
  input  logic [31:0]      reg_rdata_i,
  output logic             mem_req_o,
  output logic             mem_we_o,
  output logic [MemAw-1:0] mem_addr_o,
  output logic [7:0]       mem_wdata_o,
  input  logic             mem_ack_i,
  input  logic             mem_rvalid_i,
  input  logic [7:0]       mem_rdata_i
);

  // Head: kind, count, 4 of address, 2 of CRC. Skip: a wrong frame, until the line is quiet.
  localparam logic [2:0] StHead = 3'd0, StData = 3'd1, StDataCrc = 3'd2, StSkip = 3'd3, StKind = 3'd4, StFetch = 3'd5, StSend = 3'd6, StCrc = 3'd7;

  logic [2:0]       state_q, idx_q;
  logic [7:0]       kind_q, count_q;
  logic [31:0]      word_q;
  logic [MemAw-1:0] addr_q;
  logic             req_q, reg_we_q;
  logic             is_write, is_reg, receiving, begun, got, bad, quiet, busy, done, crc_ok, tx_valid, shift;
  logic             crc_init_q, begun_q, end_q;  // begun, count_q is 0: both stand still from one byte to the next
  logic [7:0]       data;

  assign is_write    = kind_q[0];
  assign is_reg      = kind_q[1];
  assign receiving   = !state_q[2];
  assign begun      = state_q != StHead || idx_q != 3'd0;
  // Registers and bytes of memory go to the line from word_q.
  logic tx_valid_q;
  assign tx_valid    = tx_valid_q;
  always_ff @(posedge clk_i) tx_valid_q <= (state_q == StKind || state_q == StSend || state_q == StCrc) && !busy && !tx_valid_q && !rst_i;
  // What the state says stands still for long before a byte is through, and for two cycles before a byte of memory comes.
  logic in_word_q, at_kind_q, at_fetch_q, at_send_q;  // head: bytes 2..5
  logic [31:0] rdata_q;
  always_ff @(posedge clk_i) begin
    in_word_q  <= (state_q == StHead && idx_q[2] != idx_q[1]) || state_q == StData;
    at_kind_q  <= state_q == StKind;
    at_fetch_q <= state_q == StFetch;
    at_send_q  <= state_q == StSend;
    rdata_q    <= reg_rdata_i;
  end
  assign shift       = (got && in_word_q) || (done && at_send_q);
  // The CRC starts again with every head, with the data of a write and with every answer.
  always_ff @(posedge clk_i) begin
    crc_init_q <= (receiving && !begun && !busy) || (got && state_q == StHead && idx_q == 3'd7) || (tx_valid && state_q == StKind);
    begun_q    <= begun;
    end_q      <= count_q == 8'd0;
  end
  assign reg_we_o    = reg_we_q;
  assign reg_addr_o  = addr_q[7:0];
  assign reg_wdata_o = word_q;
  assign mem_req_o   = req_q;
  assign mem_we_o    = is_write;
  assign mem_addr_o  = addr_q;
  assign mem_wdata_o = word_q[31:24];

  espl_uart #(
    .ClkDiv(ClkDiv),
    .GapW  (GapW)
  ) u_uart (
    .clk_i     (clk_i),
    .rst_i     (rst_i),
    .rx_i      (rx_i),
    .tx_o      (tx_o),
    .tx_valid_i(tx_valid),
    .tx_data_i (state_q == StKind ? kind_q : word_q[7:0]),
    .tx_crc_i  (state_q == StCrc),
    .tx_done_o (done),
    .rx_valid_o(got),
    .rx_bad_o  (bad),
    .data_o    (data),
    .busy_o    (busy),
    .quiet_o   (quiet),
    .crc_init_i(crc_init_q),
    .crc_ok_o  (crc_ok)
  );

  // The state that the next byte received, byte sent or byte of memory leads to: all that says it stands still in the cycle before.
  logic [2:0] then_d, then_q;
  logic       event_now, at_line_q;
  always_comb begin
    then_d = state_q;
    case (state_q)
      StHead: if (idx_q == 3'd7) then_d = crc_ok ? (is_write ? StData : StKind) : StSkip;
      StData: if (end_q) then_d = StDataCrc;
      StDataCrc: if (idx_q == 3'd1) then_d = crc_ok ? StKind : StSkip;
      StKind: then_d = is_write ? StCrc : is_reg ? StSend : StFetch;
      StFetch: then_d = StSend;
      StSend: then_d = end_q ? StCrc : is_reg ? StSend : StFetch;
      StCrc: if (idx_q == 3'd1) then_d = StHead;
      default: ;
    endcase
  end
  always_ff @(posedge clk_i) begin
    then_q    <= then_d;
    at_line_q <= state_q == StKind || state_q == StSend || state_q == StCrc;
  end
  assign event_now = (got && receiving) || (done && at_line_q) || (mem_rvalid_i && at_fetch_q);

  always_ff @(posedge clk_i) begin
    reg_we_q <= 1'b0;
    if (shift) word_q <= {data, word_q[31:8]};
    else if (done && at_kind_q) word_q <= rdata_q;
    else if (mem_rvalid_i && at_fetch_q) word_q[7:0] <= mem_rdata_i;
    if (rst_i) begin
      state_q <= StHead;
      idx_q   <= 3'd0;
      req_q   <= 1'b0;
    end else begin
      if (mem_ack_i) req_q <= 1'b0;
      if (req_q && mem_ack_i) addr_q <= addr_q + 1'b1;
      if (event_now) state_q <= then_q;
      case (state_q)
        StHead: if (got) begin
          idx_q <= idx_q + 3'd1;
          if (idx_q == 3'd0) kind_q <= data;
          if (idx_q == 3'd1) count_q <= data;
          if (idx_q == 3'd7) addr_q <= word_q[MemAw-1:0];
        end
        StData: if (got) begin
          req_q   <= !is_reg;
          count_q <= count_q - 8'd1;
        end
        StDataCrc: if (got) begin
          idx_q <= idx_q + 3'd1;
          if (idx_q == 3'd1) begin
            idx_q    <= 3'd0;
            reg_we_q <= crc_ok && is_reg && !bad;
          end
        end
        StKind: if (done) req_q <= !is_write && !is_reg;
        StSend: if (done) begin
          count_q <= count_q - 8'd1;
          req_q   <= !is_reg && !end_q;
        end
        StCrc: if (done) idx_q <= (idx_q == 3'd1) ? 3'd0 : idx_q + 3'd1;
        default: ;
      endcase
      // A stop bit that is low, or a byte for which memory was not ready: the rest of the frame is skipped.
      if (got && receiving && (bad || req_q)) state_q <= StSkip;
      if (receiving && begun_q && quiet) begin
        idx_q   <= 3'd0;
        kind_q  <= espl_pkg::BridgeNak;
        state_q <= StKind;
      end
    end
  end

endmodule
