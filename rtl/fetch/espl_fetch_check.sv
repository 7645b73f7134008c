// Decides whether a command word is acceptable: the contract's field rules and the options this core is built with.
// Timing: combinational.
module espl_fetch_check #(
  parameter int Rows     = 16,
  parameter int Cols     = 16,
  parameter int DwBanks  = 3,
  parameter int Fold     = 0,
  parameter int IdxAw    = 10,
  parameter int AccBanks = 2,
  parameter int Residual = 1,
  parameter int MaxPool  = 1,
  parameter int AvgPool  = 1,
  parameter int WBits    = 8,
  parameter int WInt4    = 0,
  parameter int WBook    = 0,
  parameter int DimBits  = 12,
  parameter int Kernel   = 16,
  // derived
  parameter int MinRc = (Rows < Cols) ? Rows : Cols,
  parameter int G     = (MinRc < 16) ? MinRc : 16,
  parameter int Nb    = Rows / G,
  parameter int Ng    = Cols / G
) (
  input  logic [127:0] cmd_i,
  output logic [7:0]   status_o,
  output logic         field_o,    // refused by the contract's field rules
  output logic         built_o     // it asks for what this core is not built with
);

  logic [7:0] field_status;
  logic [1:0] buffer, pool;
  logic       bad, excess;
  logic       plain, indexed;  // weight format of LOAD_WGT and COMP_WGT: built as values, as indices

  assign field_status = espl_pkg::cmd_check(cmd_i);
  assign field_o      = field_status != espl_pkg::StNone;
  assign built_o      = bad || excess;
  assign buffer       = cmd_i[espl_pkg::LoadBufferLsb+:2];
  assign pool         = cmd_i[espl_pkg::StorePoolLsb+:2];

  if (WInt4 > 0 || WBook > 0) begin : gen_formats
    logic [3:0] bits;
    assign bits    = cmd_i[espl_pkg::CompWgtBitsLsb+:4];
    assign plain   = bits == 4'(WBits) || (WInt4 > 0 && bits == 4'd4);
    assign indexed = bits <= 4'(WBook);
  end else begin : gen_one_format
    assign plain   = 1'b0;
    assign indexed = 1'b0;
  end

  always_comb begin
    bad = 1'b0;
    case (cmd_i[3:0])
      espl_pkg::OpCfg: begin
        case ({cmd_i[espl_pkg::CfgUnitLsb+:2], cmd_i[espl_pkg::CfgIndexLsb+:3]})
          {espl_pkg::UnitCompute, espl_pkg::CfgCompGeom}: bad = cmd_i[espl_pkg::CompGeomFoldLsb] && (Fold == 0);
          {espl_pkg::UnitLoad, espl_pkg::CfgLoadWgt}: bad = !plain && !indexed;
          {espl_pkg::UnitCompute, espl_pkg::CfgCompWgt}: bad = cmd_i[espl_pkg::CompWgtBookLsb] ? !indexed : !plain;
          {espl_pkg::UnitCompute, espl_pkg::CfgCompTable}:
            bad = (WBook == 0) || ({4'd0, cmd_i[espl_pkg::CompTablePartLsb+:5], 3'd0} >= (12'd1 << WBook));
          default: bad = 1'b0;
        endcase
      end
      espl_pkg::OpLoad: begin
        if ((buffer == 2'd0) && ((cmd_i[espl_pkg::LoadBankLsb+:8] >> $clog2(Nb)) != 8'd0)) bad = 1'b1;
        if ((buffer == 2'd2) && (IdxAw == 0)) bad = 1'b1;
      end
      espl_pkg::OpCompute: begin
        if (cmd_i[espl_pkg::ComputeSparseLsb] && (IdxAw == 0)) bad = 1'b1;
        if (cmd_i[espl_pkg::ComputeBankLsb] && (AccBanks == 1)) bad = 1'b1;
        if (cmd_i[espl_pkg::ComputeDwLsb] && ((DwBanks == 0) || cmd_i[espl_pkg::ComputeSparseLsb])) bad = 1'b1;
      end
      espl_pkg::OpStore: begin
        if (cmd_i[espl_pkg::StoreBankLsb] && (AccBanks == 1)) bad = 1'b1;
        if (cmd_i[espl_pkg::StoreResidualLsb] && ((Residual == 0) || (pool != 2'd0))) bad = 1'b1;
        if ((pool == 2'd1) && (MaxPool == 0)) bad = 1'b1;
        if ((pool == 2'd2) && (AvgPool == 0)) bad = 1'b1;
        if (((cmd_i[espl_pkg::StoreGroupsLsb+:8] >> $clog2(Ng)) != 8'd0) && ({1'b0, cmd_i[espl_pkg::StoreGroupsLsb+:8]} != 9'(Ng))) bad = 1'b1;
      end
      default: bad = 1'b0;
    endcase
    status_o = field_status;
    if ((field_status == espl_pkg::StNone) && (bad || excess)) status_o = espl_pkg::StBadField;
  end

  logic taps;  // of a COMP_TAPS: a kernel row or column that is not kept
  if (Kernel < 16) begin : gen_taps
    assign taps = (cmd_i[espl_pkg::CompTapsKyMaskLsb+Kernel+:16-Kernel] != '0) || (cmd_i[espl_pkg::CompTapsKxMaskLsb+Kernel+:16-Kernel] != '0);
  end else begin : gen_all_taps
    assign taps = 1'b0;
  end

  // Sizes, offsets and kernels of which this core keeps fewer bits than the contract: the top bits must be unused.
  localparam int Top = 12 - DimBits;
  if (Top > 0) begin : gen_size
    logic [4:0]   target;  // unit and index of a CFG
    logic [127:0] c;
    assign c      = cmd_i;
    assign target = {cmd_i[espl_pkg::CfgUnitLsb+:2], cmd_i[espl_pkg::CfgIndexLsb+:3]};
    // The top bits of the field that ends below bit `lsb + width`, of a signed one with its sign.
    function automatic logic spare(input logic [127:0] w, input int lsb, input int width);
      spare = w[lsb+width-Top+:Top] != {Top{1'b0}};
    endfunction
    function automatic logic spare_signed(input logic [127:0] w, input int lsb);
      spare_signed = w[lsb+11-Top+:Top+1] != {(Top + 1) {w[lsb+11]}};
    endfunction
    always_comb begin
      excess = 1'b0;
      case (cmd_i[3:0])
        espl_pkg::OpLoad:
        excess = spare(c, espl_pkg::LoadRowBytesLsb, 20) || spare(c, espl_pkg::LoadRowsLsb, 12) || spare(c, espl_pkg::LoadGroupsLsb, 12);
        espl_pkg::OpCompute:
        excess = spare(c, espl_pkg::ComputeNTilesLsb, 16) || spare(c, espl_pkg::ComputeOutHLsb, 12) || spare(c, espl_pkg::ComputeOutWLsb, 12) ||
                spare_signed(c, espl_pkg::ComputeOffYLsb) || spare_signed(c, espl_pkg::ComputeOffXLsb);
        espl_pkg::OpStore: excess = spare(c, espl_pkg::StoreOutHLsb, 12) || spare(c, espl_pkg::StoreOutWLsb, 12);
        espl_pkg::OpCfg: begin
          if (target == {espl_pkg::UnitCompute, espl_pkg::CfgCompGeom})
            excess = spare(c, espl_pkg::CompGeomInHLsb, 12) || spare(c, espl_pkg::CompGeomInWLsb, 12) || spare(c, espl_pkg::CompGeomRowWordsLsb, 12);
          if (target == {espl_pkg::UnitCompute, espl_pkg::CfgCompTaps}) excess = taps;
          if (target == {espl_pkg::UnitStore, espl_pkg::CfgStorePool})
            excess = spare(c, espl_pkg::StorePoolAccHLsb, 12) || spare(c, espl_pkg::StorePoolAccWLsb, 12) ||
                    spare_signed(c, espl_pkg::StorePoolPoffYLsb) || spare_signed(c, espl_pkg::StorePoolPoffXLsb);
        end
        default: excess = 1'b0;
      endcase
    end
  end else begin : gen_all_sizes
    assign excess = taps && cmd_i[3:0] == espl_pkg::OpCfg && cmd_i[espl_pkg::CfgUnitLsb+:2] == espl_pkg::UnitCompute &&
                   cmd_i[espl_pkg::CfgIndexLsb+:3] == espl_pkg::CfgCompTaps;
  end
`ifdef FORMAL
  // What the units rely on in an accepted command: no zero sizes, banks, groups and options that are built, an opcode and unit that exist.
  logic ok;
  assign ok = status_o == espl_pkg::StNone;
  always_comb begin
    assert (status_o == espl_pkg::StNone || status_o == espl_pkg::StBadOpcode || status_o == espl_pkg::StBadField);
    assert ((status_o == espl_pkg::StBadOpcode) == (cmd_i[3:0] == 4'd0 || cmd_i[3:0] > 4'd6));
    if (ok && cmd_i[3:0] == espl_pkg::OpLoad) begin
      assert (cmd_i[espl_pkg::LoadRowBytesLsb+:20] != 20'd0);
      assert (cmd_i[espl_pkg::LoadRowsLsb+:12] != 12'd0 && cmd_i[espl_pkg::LoadGroupsLsb+:12] != 12'd0);
      if (buffer == 2'd0) assert ({1'b0, cmd_i[espl_pkg::LoadBankLsb+:8]} < 9'(Nb));
      if (IdxAw == 0) assert (buffer != 2'd2);
    end
    if (ok && cmd_i[3:0] == espl_pkg::OpCompute) begin
      assert (cmd_i[espl_pkg::ComputeOutHLsb+:12] != 12'd0 && cmd_i[espl_pkg::ComputeOutWLsb+:12] != 12'd0);
      if (AccBanks == 1) assert (!cmd_i[espl_pkg::ComputeBankLsb]);
      if (DwBanks == 0) assert (!cmd_i[espl_pkg::ComputeDwLsb]);
      assert (!(cmd_i[espl_pkg::ComputeDwLsb] && cmd_i[espl_pkg::ComputeSparseLsb]));
      if (IdxAw == 0) assert (!cmd_i[espl_pkg::ComputeSparseLsb]);
    end
    if (ok && cmd_i[3:0] == espl_pkg::OpStore) begin
      assert (cmd_i[espl_pkg::StoreOutHLsb+:12] != 12'd0 && cmd_i[espl_pkg::StoreOutWLsb+:12] != 12'd0);
      assert (cmd_i[espl_pkg::StoreGroupsLsb+:8] != 8'd0 && {1'b0, cmd_i[espl_pkg::StoreGroupsLsb+:8]} <= 9'(Ng));
      if (AccBanks == 1) assert (!cmd_i[espl_pkg::StoreBankLsb]);
      if (Residual == 0 || pool != 2'd0) assert (!cmd_i[espl_pkg::StoreResidualLsb]);
      if (MaxPool == 0) assert (pool != 2'd1);
      if (AvgPool == 0) assert (pool != 2'd2);
    end
    if (ok && cmd_i[3:0] == espl_pkg::OpCfg) assert (cmd_i[espl_pkg::CfgUnitLsb+:2] != 2'd0);
  end
`endif

endmodule
