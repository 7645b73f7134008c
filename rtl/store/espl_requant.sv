// One requantizer lane in the body the machine point asks for; both are bit-exact with sim/model/requant.h.
// Operands with valid_i in cycle c give q_o in cycle c+6 (RqCycles 1, an operation a cycle; c+8 with MulStages 2) or c+21 (RqCycles 18, one every 18 cycles).
// zo, lo and hi are those of the cycle before q_o; zo is that of the cycle before it with MulStages 2.
module espl_requant #(
  parameter int RqCycles = 1,
  parameter int Residual = 1,
  parameter int MulStages = 1
) (
  input  logic        clk_i,
  input  logic        rst_i,
  input  logic        valid_i,
  input  logic [31:0] a_i,
  input  logic [31:0] b_i,
  input  logic [15:0] m_i,
  input  logic [8:0]  d_i,
  input  logic [15:0] mr_i,
  input  logic [5:0]  s_i,
  input  logic [4:0]  l_i,
  input  logic [7:0]  zo_i,
  input  logic [7:0]  lo_i,
  input  logic [7:0]  hi_i,
  output logic [7:0]  q_o
);

  if (RqCycles == 1) begin : gen_pipe
    logic unused;
    assign unused = &{1'b0, rst_i, valid_i};
    espl_requant_pipe #(.Residual(Residual), .MulStages(MulStages)) u_pipe (
      .clk_i(clk_i), .a_i(a_i), .b_i(b_i), .m_i(m_i), .d_i(d_i), .mr_i(mr_i), .s_i(s_i), .l_i(l_i),
      .zo_i(zo_i), .lo_i(lo_i), .hi_i(hi_i), .q_o(q_o)
    );
  end else begin : gen_serial
    espl_requant_serial #(.Residual(Residual)) u_serial (
      .clk_i(clk_i), .rst_i(rst_i), .valid_i(valid_i), .a_i(a_i), .b_i(b_i), .m_i(m_i), .d_i(d_i), .mr_i(mr_i),
      .s_i(s_i), .l_i(l_i), .zo_i(zo_i), .lo_i(lo_i), .hi_i(hi_i), .q_o(q_o)
    );
  end

endmodule
