// Serial line of the bridge, one direction at a time: 8 data bits, no parity, one stop bit, least significant bit first, with the CRC of the
// bits that pass (polynomial 0x1021 bit-reversed, hw/spec/bridge.md).
// Timing: a bit takes ClkDiv cycles. rx_valid_o is a pulse in the middle of a received stop bit (a cycle later), with the byte on data_o (kept until the
// next start bit's middle) and rx_bad_o when the stop bit was low. A byte offered with tx_valid_i while busy_o is low is sent at once; tx_done_o is a
// pulse in the cycle after its last one, the last with busy_o. With tx_crc_i the byte sent is the next one of the CRC instead of tx_data_i. A CRC that was received whole leaves
// crc_ok_o high. quiet_o is a pulse whenever the line has been without a byte for 2^GapW bit times. While a byte is sent nothing is received.
module espl_uart #(
  parameter int ClkDiv = 16,  // cycles of a bit, at least 4
  parameter int GapW   = 16,
  // derived
  parameter int DivW   = $clog2(ClkDiv)
) (
  input  logic       clk_i,
  input  logic       rst_i,
  input  logic       rx_i,
  output logic       tx_o,
  input  logic       tx_valid_i,
  input  logic [7:0] tx_data_i,
  input  logic       tx_crc_i,
  output logic       tx_done_o,
  output logic       rx_valid_o,
  output logic       rx_bad_o,
  output logic [7:0] data_o,
  output logic       busy_o,
  output logic       quiet_o,
  input  logic       crc_init_i,
  output logic       crc_ok_o
);

  localparam logic [DivW-1:0] Whole = DivW'(ClkDiv - 1), Half = DivW'(ClkDiv / 2 - 1);

  logic [1:0]      sync_q;
  logic            rx, active_q, send_q, low_q;
  logic [3:0]      bit_q;  // 0 start, 1..8 data, 9 stop: the bit whose end (sending) or middle (receiving) comes next
  logic [DivW-1:0] div_q;
  logic [7:0]      shift_q;
  logic [15:0]     crc_q;
  logic [GapW-1:0] gap_q;
  logic            step, step_q, crc_ok_q;  // div_q is 0; crc_q was 0
  logic            stop_q, silent_q;        // bit_q was 9, gap_q full: both stand still from one step to the next
  logic            data_bit, tx_bit, crc_bit;
  logic            got_q, bad_q, done_q, quiet_q;  // what is told, from registers

  assign rx         = sync_q[1];
  assign step       = step_q;
  // Receiving samples bits 1..8, sending puts them on the line at the end of the bit before.
  assign data_bit   = active_q && step && (send_q ? bit_q < 4'd8 : bit_q != 4'd0 && bit_q != 4'd9);
  assign tx_bit     = tx_crc_i ? crc_q[0] : shift_q[0];
  assign crc_bit    = crc_q[0] ^ (send_q ? tx_bit : rx);
  assign rx_valid_o = got_q;
  assign rx_bad_o   = bad_q;
  assign tx_done_o  = done_q;
  assign data_o     = shift_q;
  assign busy_o     = active_q || got_q || done_q;
  assign tx_o       = !low_q;  // idle before reset too
  assign crc_ok_o   = crc_ok_q;  // the CRC stands still for half a bit before a byte is there
  assign quiet_o    = quiet_q;

  always_ff @(posedge clk_i) begin
    sync_q   <= {sync_q[0], rx_i};
    crc_ok_q <= crc_q == 16'd0;
    stop_q   <= bit_q == 4'd9;
    got_q    <= active_q && step && !send_q && stop_q && !rst_i;
    done_q   <= active_q && step && send_q && stop_q && !rst_i;
    quiet_q  <= !active_q && step && silent_q && !rst_i;
    bad_q    <= !rx;
    silent_q <= gap_q == '1;
    step_q   <= div_q == DivW'(1) && !rst_i && (active_q || !(tx_valid_i || !rx));
    if (active_q ? data_bit : tx_valid_i) shift_q <= active_q ? {rx, shift_q[7:1]} : tx_data_i;
    if (crc_init_i) crc_q <= espl_pkg::BridgeCrcInit;
    else if (data_bit) crc_q <= {1'b0, crc_q[15:1]} ^ (crc_bit ? espl_pkg::BridgeCrcPoly : 16'd0);
    if (rst_i) begin
      active_q <= 1'b0;
      send_q   <= 1'b0;
      low_q    <= 1'b0;
      bit_q    <= 4'd0;
      div_q    <= Whole;
      gap_q    <= '0;
      sync_q   <= 2'b11;
    end else if (!active_q) begin
      if (tx_valid_i || !rx) begin
        active_q <= 1'b1;
        send_q   <= tx_valid_i;
        low_q    <= tx_valid_i;
        div_q    <= tx_valid_i ? Whole : Half;
        bit_q    <= 4'd0;
        gap_q    <= '0;
      end else begin
        div_q <= step ? Whole : div_q - 1'b1;
        if (step) gap_q <= gap_q + 1'b1;
      end
    end else begin
      div_q <= step ? Whole : div_q - 1'b1;
      if (step) begin
        bit_q <= bit_q + 4'd1;
        if (send_q) low_q <= bit_q < 4'd8 && !tx_bit;
        if (bit_q == 4'd9 || (bit_q == 4'd0 && !send_q && rx)) active_q <= 1'b0;  // the end, or no start bit after all
      end
    end
  end

endmodule
