// Bench harness: the contract's field check as hardware.
module tb_espl_decode_top (
  input  logic [127:0] cmd_i,
  output logic [7:0]   status_o
);
  assign status_o = espl_pkg::cmd_check(cmd_i);
endmodule
