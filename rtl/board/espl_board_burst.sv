// The open bursts of one path of a board's memory, oldest first: its next word and whether that is its last one.
// Timing: a burst pushed in cycle t is at the outputs from t+1 when none is before it. step_i takes a beat, end_i (with step_i) ends the oldest
// burst; the one behind it is shown in the next cycle, one pushed in the same cycle too. ready_o: there is room, a function of registers.
module espl_board_burst #(
  parameter int WordW  = 15,
  parameter int CountW = 7,
  parameter int Depth  = 2
) (
  input  logic              clk_i,
  input  logic              rst_i,
  input  logic              push_i,
  input  logic [WordW-1:0]  word_i,
  input  logic [CountW-1:0] beats_i,
  output logic              ready_o,
  output logic              open_o,
  output logic [WordW-1:0]  word_o,
  output logic              last_o,   // of the oldest burst one beat is left
  input  logic              step_i,
  input  logic              end_i
);

  logic                    open_q, take, next_valid;
  logic [WordW-1:0]        word_q;
  logic [CountW-1:0]       left_q;
  logic                    last_q;
  logic [WordW+CountW-1:0] next;

  assign take   = !open_q || end_i;  // the front is free for the next one
  assign open_o = open_q;
  assign word_o = word_q;
  assign last_o = last_q;

  if (Depth > 1) begin : gen_behind
    logic full, behind;
    logic [WordW+CountW-1:0] data;
    espl_fifo #(.Width(WordW + CountW), .Depth(Depth - 1)) u_behind (
      .clk_i  (clk_i),
      .rst_i  (rst_i),
      .push_i (push_i && !(take && !behind)),
      .data_i ({beats_i, word_i}),
      .full_o (full),
      .pop_i  (take && behind),
      .valid_o(behind),
      .data_o (data)
    );
    assign ready_o    = !full;
    assign next_valid = behind || push_i;
    assign next       = behind ? data : {beats_i, word_i};
  end else begin : gen_one
    assign ready_o    = !open_q;
    assign next_valid = push_i;
    assign next       = {beats_i, word_i};
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) open_q <= 1'b0;
    else if (take) open_q <= next_valid;
    if (take) begin
      {left_q, word_q} <= next;
      last_q           <= next[WordW+:CountW] == CountW'(1);
    end else if (step_i) begin
      last_q <= left_q == CountW'(2);
      word_q <= word_q + 1'b1;
      left_q <= left_q - 1'b1;
    end
  end

endmodule
