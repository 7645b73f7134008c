// The core alone on a part that has fewer pins than the core has ports, to place and route it by itself (espalier synth --top alone): every input of
// espl_synth is a register of a shift register, every output goes to a register of another one. Three pins; nothing is computed with it.
// Timing: IN is at the inputs after up to InW cycles; the outputs of a cycle with IN high InW - 1 cycles before leave through OUT one after the other.
`include "espl_params.svh"
module espl_alone #(
  `ESPL_PARAMS_DECLARE
  parameter logic [31:0] ConfigHash  = 32'd0,
  parameter int          MemAw       = 17,
  parameter int          CounterRegs = 1,
  // derived
  parameter int          InW  = 48 + 8 * BusBytes,
  parameter int          OutW = 51 + 2 * MemAw + 9 * BusBytes
) (
  input  logic CLK,
  input  logic IN,
  output logic OUT
);

  logic [InW-1:0]  in_q;
  logic [OutW-1:0] out, out_q;

  always_ff @(posedge CLK) begin
    in_q  <= {in_q[InW-2:0], IN};
    out_q <= in_q[InW-1] ? out : {out_q[OutW-2:0], 1'b0};
  end
  assign OUT = out_q[OutW-1];

  logic                  reg_we, irq, rd_req_valid, rd_req_ready, rd_valid, rd_last, wr_req_valid, wr_req_ready, wr_take, wr_last, wr_rsp, mem_reset, rst;
  logic [7:0]            reg_addr;
  logic [31:0]           reg_wdata, reg_rdata;
  logic [MemAw-1:0]      rd_req_addr, wr_req_addr;
  logic [6:0]            rd_req_beats, wr_req_beats;
  logic [8*BusBytes-1:0] rd_data, wr_data;
  logic [BusBytes-1:0]   wr_strb;
  assign {reg_we, reg_addr, reg_wdata, rd_req_ready, rd_valid, rd_data, rd_last, wr_req_ready, wr_take, wr_rsp, rst} = in_q;
  assign out = {reg_rdata, irq, rd_req_valid, rd_req_addr, rd_req_beats, wr_req_valid, wr_req_addr, wr_req_beats, wr_data, wr_strb, wr_last, mem_reset};

  espl_synth #(
    `ESPL_PARAMS_HAND_ON
    .ConfigHash (ConfigHash),
    .MemAw      (MemAw),
    .CounterRegs(CounterRegs),
    .AddrEarly  (1)
  ) u_core (
    .clk_i             (CLK),
    .rst_i             (rst),
    .reg_we_i          (reg_we),
    .reg_addr_i        (reg_addr),
    .reg_wdata_i       (reg_wdata),
    .reg_rdata_o       (reg_rdata),
    .irq_o             (irq),
    .mem_rd_req_valid_o(rd_req_valid),
    .mem_rd_req_ready_i(rd_req_ready),
    .mem_rd_req_addr_o (rd_req_addr),
    .mem_rd_req_beats_o(rd_req_beats),
    .mem_rd_valid_i    (rd_valid),
    .mem_rd_data_i     (rd_data),
    .mem_rd_last_i     (rd_last),
    .mem_wr_req_valid_o(wr_req_valid),
    .mem_wr_req_ready_i(wr_req_ready),
    .mem_wr_req_addr_o (wr_req_addr),
    .mem_wr_req_beats_o(wr_req_beats),
    .mem_wr_take_i     (wr_take),
    .mem_wr_data_o     (wr_data),
    .mem_wr_strb_o     (wr_strb),
    .mem_wr_last_o     (wr_last),
    .mem_wr_rsp_valid_i(wr_rsp),
    .mem_reset_o       (mem_reset)
  );

endmodule
