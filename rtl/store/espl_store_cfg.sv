// Configuration words of the store unit. A word written in cycle t is seen from t+1. Words of options that are not built are not kept.
// A start leaves windows of one tap on an empty tile: a pooling command comes to its end in a program that never set them.
module espl_store_cfg #(
  parameter int Residual = 1,
  parameter int MaxPool  = 1,
  parameter int AvgPool  = 1
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         we_i,
  input  logic [127:0] word_i,
  output logic [31:0]  out_group_o,
  output logic [23:0]  out_row_o,
  output logic [31:0]  res_group_o,
  output logic [23:0]  res_row_o,
  output logic [46:0]  quant_o,   // STORE_QUANT from bit 16
  output logic [71:0]  pool_o,    // STORE_POOL from bit 16
  output logic [255:0] avg_o      // multipliers for 1..16 valid taps
);
  logic [2:0] index;
  assign index = word_i[espl_pkg::CfgIndexLsb+:3];

  always_ff @(posedge clk_i) begin
    if (we_i && index == espl_pkg::CfgStoreStride) begin
      out_group_o <= word_i[espl_pkg::StoreStrideOutGroupLsb+:32];
      out_row_o   <= word_i[espl_pkg::StoreStrideOutRowLsb+:24];
    end
  end

  if (Residual != 0) begin : gen_res
    always_ff @(posedge clk_i) begin
      if (we_i && index == espl_pkg::CfgStoreStride) begin
        res_group_o <= word_i[espl_pkg::StoreStrideResGroupLsb+:32];
        res_row_o   <= word_i[espl_pkg::StoreStrideResRowLsb+:24];
      end
    end
  end else begin : gen_no_res
    assign res_group_o = 32'd0;
    assign res_row_o   = 24'd0;
  end

  logic [46:0] quant_q;
  always_ff @(posedge clk_i) begin
    if (we_i && index == espl_pkg::CfgStoreQuant) quant_q <= word_i[62:16];
  end
  always_comb begin
    quant_o = quant_q;
    if (Residual == 0) quant_o[espl_pkg::StoreQuantZrLsb-16+:8] = 8'd0;
    if (AvgPool == 0) quant_o[46:espl_pkg::StoreQuantPoolZoLsb-16] = '0;
  end

  if (MaxPool != 0 || AvgPool != 0) begin : gen_pool
    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        pool_o <= 72'd0;
        pool_o[espl_pkg::StorePoolWinHLsb-16+:8] <= 8'd1;
        pool_o[espl_pkg::StorePoolWinWLsb-16+:8] <= 8'd1;
      end else if (we_i && index == espl_pkg::CfgStorePool) begin
        pool_o <= word_i[87:16];
      end
    end
  end else begin : gen_no_pool
    assign pool_o = 72'd0;
  end

  if (AvgPool != 0) begin : gen_avg
    always_ff @(posedge clk_i) begin
      if (we_i && index == espl_pkg::CfgStoreAvg0) avg_o[111:0] <= word_i[127:16];
      if (we_i && index == espl_pkg::CfgStoreAvg1) avg_o[223:112] <= word_i[127:16];
      if (we_i && index == espl_pkg::CfgStoreAvg2) avg_o[255:224] <= word_i[47:16];
    end
  end else begin : gen_no_avg
    assign avg_o = 256'd0;
  end

  // Head of the word, and fields of options that are not built.
  logic unused;
  assign unused = &{1'b0, word_i, quant_q, rst_i};

endmodule
