// The core as a board connects it: top module of synthesis. Nothing but what is left away:
// memory addresses have as many bits as the board's memory (a program that leaves it wraps), the command index counts the commands that fit
// there, and with CounterRegs 0 the host sees the counters in the records of MARK only, not through registers.
// Timing: that of espl_core.
module espl_synth #(
  parameter int          Rows        = 4,
  parameter int          Cols        = 4,
  parameter int          BusBytes    = 4,
  parameter int          ActAw       = 11,
  parameter int          DwBanks     = 0,
  parameter int          Fold        = 0,
  parameter int          WgtAw       = 10,
  parameter int          IdxAw       = 0,
  parameter int          ParAw       = 6,
  parameter int          AccAw       = 8,
  parameter int          AccBanks    = 1,
  parameter int          AccW        = 24,
  parameter int          WBits       = 8,
  parameter int          WInt4       = 0,
  parameter int          WBook       = 0,
  parameter int          MulStages   = 1,
  parameter int          RqLanes     = 1,
  parameter int          RqCycles    = 18,
  parameter int          Residual    = 0,
  parameter int          MaxPool     = 0,
  parameter int          AvgPool     = 0,
  parameter int          QueueDepth  = 1,
  parameter int          TokenMax    = 3,
  parameter int          StageBursts = 2,
  parameter int          ResBursts   = 2,
  parameter int          Bursts      = 16,
  parameter int          Counters    = 16,
  parameter int          DimBits     = 12,
  parameter int          Kernel      = 16,
  parameter logic [31:0] ConfigHash  = 32'd0,
  parameter int          MemAw       = 17,  // log2 of the bytes of memory, 13..32
  parameter int          CounterRegs = 1,
  parameter int          AddrEarly   = 0,   // 1: the host shows the address of a register's write in the cycle before it too
  // derived
  parameter int          CmdIdxW     = (MemAw < 28) ? MemAw - 4 : 24
) (
  input  logic                  clk_i,
  input  logic                  rst_i,
  input  logic                  reg_we_i,
  input  logic [7:0]            reg_addr_i,
  input  logic [31:0]           reg_wdata_i,
  output logic [31:0]           reg_rdata_o,
  output logic                  irq_o,
  output logic                  mem_rd_req_valid_o,
  input  logic                  mem_rd_req_ready_i,
  output logic [MemAw-1:0]      mem_rd_req_addr_o,
  output logic [6:0]            mem_rd_req_beats_o,
  input  logic                  mem_rd_valid_i,
  input  logic [8*BusBytes-1:0] mem_rd_data_i,
  input  logic                  mem_rd_last_i,
  output logic                  mem_wr_req_valid_o,
  input  logic                  mem_wr_req_ready_i,
  output logic [MemAw-1:0]      mem_wr_req_addr_o,
  output logic [6:0]            mem_wr_req_beats_o,
  input  logic                  mem_wr_take_i,
  output logic [8*BusBytes-1:0] mem_wr_data_o,
  output logic [BusBytes-1:0]   mem_wr_strb_o,
  output logic                  mem_wr_last_o,
  input  logic                  mem_wr_rsp_valid_i,
  output logic                  mem_reset_o
);

  logic [31:0] rd_addr, wr_addr;
  assign mem_rd_req_addr_o = rd_addr[MemAw-1:0];
  assign mem_wr_req_addr_o = wr_addr[MemAw-1:0];
  if (MemAw < 32) begin : gen_wrap
    logic unused;
    assign unused = &{1'b0, rd_addr[31:MemAw], wr_addr[31:MemAw]};
  end

  espl_core #(
    .Rows       (Rows),
    .Cols       (Cols),
    .BusBytes   (BusBytes),
    .ActAw      (ActAw),
    .DwBanks    (DwBanks),
    .Fold       (Fold),
    .WgtAw      (WgtAw),
    .IdxAw      (IdxAw),
    .ParAw      (ParAw),
    .AccAw      (AccAw),
    .AccBanks   (AccBanks),
    .AccW       (AccW),
    .WBits      (WBits),
    .WInt4      (WInt4),
    .WBook      (WBook),
    .MulStages  (MulStages),
    .RqLanes    (RqLanes),
    .RqCycles   (RqCycles),
    .Residual   (Residual),
    .MaxPool    (MaxPool),
    .AvgPool    (AvgPool),
    .QueueDepth (QueueDepth),
    .TokenMax   (TokenMax),
    .StageBursts(StageBursts),
    .ResBursts  (ResBursts),
    .Bursts     (Bursts),
    .Counters   (Counters),
    .DimBits    (DimBits),
    .Kernel     (Kernel),
    .ConfigHash (ConfigHash),
    .CmdIdxW    (CmdIdxW),
    .AddrEarly  (AddrEarly)
  ) u_core (
    .clk_i             (clk_i),
    .rst_i             (rst_i),
    .reg_we_i          (reg_we_i),
    .reg_addr_i        ({reg_addr_i[7], reg_addr_i[6] && (CounterRegs != 0), reg_addr_i[5:0]}),
    .reg_wdata_i       (reg_wdata_i),
    .reg_rdata_o       (reg_rdata_o),
    .irq_o             (irq_o),
    .mem_rd_req_valid_o(mem_rd_req_valid_o),
    .mem_rd_req_ready_i(mem_rd_req_ready_i),
    .mem_rd_req_addr_o (rd_addr),
    .mem_rd_req_beats_o(mem_rd_req_beats_o),
    .mem_rd_valid_i    (mem_rd_valid_i),
    .mem_rd_data_i     (mem_rd_data_i),
    .mem_rd_last_i     (mem_rd_last_i),
    .mem_rd_err_i      (1'b0),
    .mem_wr_req_valid_o(mem_wr_req_valid_o),
    .mem_wr_req_ready_i(mem_wr_req_ready_i),
    .mem_wr_req_addr_o (wr_addr),
    .mem_wr_req_beats_o(mem_wr_req_beats_o),
    .mem_wr_take_i     (mem_wr_take_i),
    .mem_wr_data_o     (mem_wr_data_o),
    .mem_wr_strb_o     (mem_wr_strb_o),
    .mem_wr_last_o     (mem_wr_last_o),
    .mem_wr_rsp_valid_i(mem_wr_rsp_valid_i),
    .mem_wr_rsp_err_i  (1'b0),
    .mem_reset_o       (mem_reset_o)
  );

endmodule
