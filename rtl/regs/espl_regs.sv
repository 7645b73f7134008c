// The host's registers (hw/spec/registers.tbl), the state of a run and the interrupt.
// Timing: a write in cycle t is in force from t+1 on; reads are combinational. An accepted start write in cycle 0 gives
// running_o from cycle 1 to E-1, E being the first cycle with the interrupt; CYCLES then reads E. fin_ok_i or fin_err_i come in cycle E-1.
// unit_rst_o, a register, is the reset of all units: it is high until the start and again from E on, so a start finds every unit reset.
// A start write with a wrong expected hash ends at once: error BAD_HASH, interrupt in cycle 1. A start write while running is ignored.
module espl_regs #(
  parameter int          Bursts     = 16,  // most bursts a path keeps open
  parameter int          AddrEarly  = 0,   // 1: reg_addr_i of a write stands in the cycle before it too
  parameter logic [31:0] ConfigHash = 32'd0
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         reg_we_i,
  input  logic [7:0]   reg_addr_i,
  input  logic [31:0]  reg_wdata_i,
  output logic [31:0]  reg_rdata_o,
  output logic         irq_o,
  output logic         running_o,
  output logic         unit_rst_o,
  input  logic         fin_ok_i,
  input  logic         fin_err_i,
  input  logic [7:0]   err_code_i,
  input  logic [23:0]  err_idx_i,
  output logic [31:12] prog_addr_o,
  output logic [27:0]  prog_cmds_o,
  output logic [4:0]   outstanding_o,
  input  logic [511:0] counters_i
);

  localparam logic [1:0] StateIdle = 2'd0, StateRunning = 2'd1, StateDone = 2'd2, StateError = 2'd3;

  logic [1:0]   state_q;
  logic [7:0]   code_q;
  logic [23:0]  err_idx_q;
  logic [31:0]  expect_q, prog_bytes_q, cycles_q;
  logic [31:12] prog_addr_q;
  logic [4:0]   outstanding_q;
  logic         irq_q, running_q, unit_rst_q, start_write, hash_ok_q;

  logic at_control;
  if (AddrEarly != 0) begin : gen_early
    always_ff @(posedge clk_i) at_control <= reg_addr_i == espl_pkg::RegControl;
  end else begin : gen_now
    assign at_control = reg_addr_i == espl_pkg::RegControl;
  end
  assign start_write   = reg_we_i && at_control && reg_wdata_i[0] && !running_q;
  assign running_o     = running_q;
  assign unit_rst_o    = unit_rst_q;
  assign irq_o         = irq_q;
  assign prog_addr_o   = prog_addr_q;
  assign prog_cmds_o   = prog_bytes_q[31:4];
  assign outstanding_o = (Bursts == 1) ? 5'd1 : outstanding_q;

  always_comb begin
    reg_rdata_o = 32'd0;
    case (reg_addr_i)
      espl_pkg::RegId: reg_rdata_o = espl_pkg::IdValue;
      espl_pkg::RegVersion: reg_rdata_o = espl_pkg::VersionValue;
      espl_pkg::RegHash: reg_rdata_o = ConfigHash;
      espl_pkg::RegExpectHash: reg_rdata_o = expect_q;
      espl_pkg::RegStatus: reg_rdata_o = {16'd0, code_q, 6'd0, state_q};
      espl_pkg::RegErrIndex: reg_rdata_o = {8'd0, err_idx_q};
      espl_pkg::RegProgAddr: reg_rdata_o = {prog_addr_q, 12'd0};
      espl_pkg::RegProgBytes: reg_rdata_o = prog_bytes_q;
      espl_pkg::RegOutstanding: reg_rdata_o = {27'd0, outstanding_o};
      espl_pkg::RegCycles: reg_rdata_o = cycles_q;
      default: if (reg_addr_i[7:6] == espl_pkg::RegCounter0[7:6]) reg_rdata_o = counters_i[reg_addr_i[5:2]*32+:32];
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q       <= StateIdle;
      code_q        <= espl_pkg::StNone;
      err_idx_q     <= 24'd0;
      expect_q      <= 32'd0;
      hash_ok_q     <= 1'b1;
      running_q     <= 1'b0;
      unit_rst_q    <= 1'b1;
      prog_addr_q   <= 20'd0;
      prog_bytes_q  <= 32'd0;
      outstanding_q <= 5'((Bursts < 8) ? Bursts : 8);
      cycles_q      <= 32'd0;
      irq_q         <= 1'b0;
    end else begin
      if (reg_we_i) begin
        case (reg_addr_i)
          espl_pkg::RegExpectHash: begin
            expect_q  <= reg_wdata_i;
            hash_ok_q <= (reg_wdata_i == 32'd0) || (reg_wdata_i == ConfigHash);
          end
          espl_pkg::RegProgAddr: prog_addr_q <= reg_wdata_i[31:12];
          espl_pkg::RegProgBytes: prog_bytes_q <= reg_wdata_i;
          espl_pkg::RegOutstanding: begin  // kept inside 1..Bursts
            if (reg_wdata_i == 32'd0) outstanding_q <= 5'd1;
            else if (reg_wdata_i > 32'(Bursts)) outstanding_q <= 5'(Bursts);
            else outstanding_q <= reg_wdata_i[4:0];
          end
          espl_pkg::RegControl: if (reg_wdata_i[1]) irq_q <= 1'b0;
          default: ;
        endcase
      end
      if (start_write) begin
        state_q    <= hash_ok_q ? StateRunning : StateError;
        running_q  <= hash_ok_q;
        unit_rst_q <= !hash_ok_q;
        code_q     <= hash_ok_q ? espl_pkg::StNone : espl_pkg::StBadHash;
        err_idx_q  <= 24'd0;
        irq_q      <= !hash_ok_q;
        cycles_q   <= 32'd1;
      end else if (running_q) begin
        cycles_q <= cycles_q + 32'd1;
        if (fin_ok_i || fin_err_i) begin
          state_q    <= fin_err_i ? StateError : StateDone;
          running_q  <= 1'b0;
          unit_rst_q <= 1'b1;
          code_q     <= fin_err_i ? err_code_i : espl_pkg::StNone;
          err_idx_q  <= fin_err_i ? err_idx_i : 24'd0;
          irq_q      <= 1'b1;
        end
      end
    end
  end

endmodule
