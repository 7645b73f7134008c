// A register that is loaded now and then, or with Through the input itself, which then has to stand still while it is needed.
// Timing: data_i with we_i in cycle t is on data_o from t+1 on; with Through in the same cycle.
module espl_hold #(
  parameter int Width   = 8,
  parameter int Through = 0
) (
  input  logic             clk_i,
  input  logic             we_i,
  input  logic [Width-1:0] data_i,
  output logic [Width-1:0] data_o
);

  if (Through != 0) begin : gen_through
    assign data_o = data_i;
    logic unused;
    assign unused = &{1'b0, clk_i, we_i};
  end else begin : gen_register
    always_ff @(posedge clk_i) begin
      if (we_i) data_o <= data_i;
    end
  end

endmodule
