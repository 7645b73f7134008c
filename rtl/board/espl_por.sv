// Reset after configuration: high until 16 cycles after ok_i (the clock is stable) rose; starts again when ok_i falls. A register.
// Needs registers that start at zero, which every part's configuration gives.
module espl_por (
  input  logic clk_i,
  input  logic ok_i,
  output logic rst_o
);

  logic [3:0] count_q = 4'd0;
  logic [1:0] ok_q = 2'b00;
  logic       on_q = 1'b0;

  assign rst_o = !on_q;

  always_ff @(posedge clk_i) begin
    ok_q <= {ok_q[0], ok_i};
    on_q <= count_q == 4'd15;
    if (!ok_q[1]) count_q <= 4'd0;
    else if (count_q != 4'd15) count_q <= count_q + 4'd1;
  end

endmodule
