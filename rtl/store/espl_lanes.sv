// RqLanes requantizer lanes with the pooling accumulator of each, and the assembly of their bytes to words of G bytes.
// Timing: control op_* of an operation in cycle t (from espl_drain); its accumulators, parameters and residual word in cycle t+2; word_we_o with
// the completed word in cycle t+RqLat+3, for the operation that gives the last bytes of a word. Average taps build the sum of (q - zo), so
// the average is one more operation with that sum in place of the accumulator; it may come RqLat+1 cycles after the last tap.
module espl_lanes #(
  parameter int GroupBytes = 16,
  parameter int RqLanes    = 16,
  parameter int RqCycles   = 1,
  parameter int MulStages  = 1,
  parameter int RqLat      = 6,
  parameter int AccW       = 32,
  parameter int Residual   = 1,
  parameter int MaxPool    = 1,
  parameter int AvgPool    = 1,
  // derived
  parameter int SubSh = $clog2(GroupBytes / RqLanes),
  parameter int SubW  = (SubSh > 0) ? SubSh : 1
) (
  input  logic                       clk_i,
  input  logic                       rst_i,
  input  logic                       op_valid_i,
  input  logic                       op_tapv_i,
  input  logic                       op_first_i,
  input  logic                       op_emit_i,
  input  logic                       op_res_i,
  input  logic [1:0]                 op_kind_i,
  input  logic                       op_last_i,
  input  logic [SubW-1:0]            op_sub_i,
  input  logic [15:0]                op_mt_i,
  input  logic [46:0]                quant_i,  // STORE_QUANT, from its bit 16
  input  logic [RqLanes*AccW-1:0]    acc_i,    // of the sub-word
  input  logic [80*RqLanes-1:0]      par_i,
  input  logic [8*GroupBytes-1:0]    res_i,
  output logic                       word_we_o,
  output logic [8*GroupBytes-1:0]    word_o,
  output logic                       word_last_o
);
  localparam int CtlW = 7 + SubW;  // valid excluded: last, emit, first, tapv, kind, res, sub

  // Two cycles of delay to the operands, then RqLat to the result.
  logic            v2_q, v3_q;
  logic [CtlW-1:0] c2_q, c3_q;
  always_ff @(posedge clk_i) begin
    if (rst_i) {v3_q, v2_q} <= 2'b00;
    else {v3_q, v2_q} <= {v2_q, op_valid_i};
    c2_q <= {op_sub_i, op_res_i, op_kind_i, op_tapv_i, op_first_i, op_emit_i, op_last_i};
    c3_q <= c2_q;
  end
  logic            use_res, use_avg;
  logic [SubW-1:0] sub_in;
  assign use_res = c3_q[6];
  assign use_avg = AvgPool != 0 && c3_q[5:4] == 2'd3;
  assign sub_in  = c3_q[7+:SubW];

  logic            v_q;       // a result is at the lanes' outputs
  logic [CtlW-1:0] c_q, c_pre, c_zo;  // its control; control of the result that comes in the next cycle (serial) or after it, and when its zero point is added
  if (RqCycles == 1) begin : gen_pipe_ctl
    logic [CtlW-1:0]  c_dly[0:RqLat-1];
    logic [RqLat-1:0] v_dly;
    always_ff @(posedge clk_i) begin
      if (rst_i) v_dly <= '0;
      else v_dly <= {v_dly[RqLat-2:0], v3_q};
      c_dly[0] <= c3_q;
      for (int i = 1; i < RqLat; i++) c_dly[i] <= c_dly[i-1];
    end
    assign v_q   = v_dly[RqLat-1];
    assign c_q   = c_dly[RqLat-1];
    assign c_pre = c_dly[RqLat-3];
    assign c_zo  = c_dly[RqLat-2-MulStages];
  end else begin : gen_serial_ctl
    // An operation is RqCycles old when the next one comes: its control goes on to a second register then, and stays there until its result.
    logic [4:0]                left_q;  // cycles to the move, 1: now
    logic [CtlW-1:0]           hold_q, done_q;
    logic [RqLat-RqCycles-1:0] last_q;
    always_ff @(posedge clk_i) begin
      if (rst_i) left_q <= 5'd0;
      else if (v3_q) left_q <= 5'(RqCycles);
      else if (left_q != 5'd0) left_q <= left_q - 5'd1;
      if (v3_q) hold_q <= c3_q;
      last_q <= rst_i ? '0 : {last_q[RqLat-RqCycles-2:0], left_q == 5'd1};
      if (left_q == 5'd1) done_q <= hold_q;
    end
    assign v_q   = last_q[RqLat-RqCycles-1];
    assign c_q   = done_q;
    assign c_pre = done_q;
    assign c_zo  = done_q;
  end

  logic [7:0] zo, zo_out, lo_out, hi_out;
  logic       avg_pre, avg_zo;
  assign zo      = quant_i[espl_pkg::StoreQuantZoLsb-16+:8];
  assign avg_pre = AvgPool != 0 && c_pre[5:4] == 2'd3;
  assign avg_zo  = AvgPool != 0 && c_zo[5:4] == 2'd3;
  espl_hold #(
    .Width  (24),
    .Through((RqCycles == 1) ? 0 : 1)
  ) u_limits (
    .clk_i (clk_i),
    .we_i  (1'b1),
    .data_i({avg_zo ? quant_i[espl_pkg::StoreQuantPoolZoLsb-16+:8] : zo,
             avg_pre ? {8'h80, 8'h7f} : {quant_i[espl_pkg::StoreQuantLoLsb-16+:8], quant_i[espl_pkg::StoreQuantHiLsb-16+:8]}}),
    .data_o({zo_out, lo_out, hi_out})
  );

  // The sub-word's residual bytes.
  logic [8*RqLanes-1:0]    res_sub, out;
  if (SubSh > 0) begin : gen_sub
    assign res_sub = res_i[sub_in*(8*RqLanes)+:8*RqLanes];
  end else begin : gen_all
    assign res_sub = res_i;
    logic unused;
    assign unused = &{1'b0, sub_in};
  end

  for (genvar k = 0; k < RqLanes; k++) begin : gen_lane
    logic [31:0]        sum;  // sum of the window, for the average
    logic [79:0]        par;
    logic [7:0]         q;
    logic signed [8:0]  d;
    assign par = par_i[80*k+:80];
    assign d   = 9'($signed(res_sub[8*k+:8])) - 9'($signed(quant_i[espl_pkg::StoreQuantZrLsb-16+:8]));
    espl_requant #(
      .RqCycles(RqCycles),
      .Residual(Residual),
      .MulStages(MulStages)
    ) u_requant (
      .clk_i  (clk_i),
      .rst_i  (rst_i),
      .valid_i(v3_q),
      .a_i    (use_avg ? sum : 32'($signed(acc_i[AccW*k+:AccW]))),
      .b_i    (use_avg ? 32'd0 : par[31:0]),
      .m_i    (use_avg ? op_mt_i : par[47:32]),
      .d_i    (use_res ? d : 9'd0),
      .mr_i   (par[63:48]),
      .s_i    (use_avg ? quant_i[espl_pkg::StoreQuantPoolShiftLsb-16+:6] : par[69:64]),
      .l_i    (par[76:72]),
      .zo_i   (zo_out),
      .lo_i   (lo_out),
      .hi_i   (hi_out),
      .q_o    (q)
    );

    if (AvgPool != 0 || MaxPool != 0) begin : gen_pool
      // 25 bits: 65,025 taps of |q - zo| <= 255. The maximum uses the low 8 of them.
      localparam int SumW = (AvgPool != 0) ? 25 : 8;
      logic [SumW-1:0] s_q, s_d;
      logic            more;  // the maximum is q
      logic [7:0]      best;
      assign best = more ? q : c_q[2] ? 8'h80 : s_q[7:0];
      assign more = c_q[3] && (c_q[2] || $signed(q) > $signed(s_q[7:0]));
      always_comb begin
        if (MaxPool != 0 && (AvgPool == 0 || c_q[5:4] == 2'd1)) begin
          s_d = SumW'(best);
        end else begin
          s_d = c_q[2] ? '0 : s_q;
          if (c_q[3]) s_d = s_d + SumW'($signed(q)) - SumW'($signed(zo));
        end
      end
      always_ff @(posedge clk_i) begin
        if (v_q && c_q[5:4] != 2'd3) s_q <= s_d;
      end
      assign out[8*k+:8] = (MaxPool != 0 && c_q[5:4] == 2'd1) ? s_d[7:0] : q;
      assign sum = 32'($signed(s_q));
    end else begin : gen_no_pool
      assign out[8*k+:8] = q;
      assign sum = 32'd0;
    end
    logic unused;
    assign unused = &{1'b0, par, sum};
  end

  // Word of G bytes.
  always_ff @(posedge clk_i) begin
    if (rst_i) word_we_o <= 1'b0;
    else word_we_o <= v_q && c_q[1] && c_q[7+:SubW] == SubW'((1 << SubSh) - 1);
    word_last_o <= c_q[0];
  end
  for (genvar g = 0; g < GroupBytes / RqLanes; g++) begin : gen_word
    always_ff @(posedge clk_i) begin
      if (v_q && c_q[1] && c_q[7+:SubW] == SubW'(g)) word_o[8*RqLanes*g+:8*RqLanes] <= out;
    end
  end

  // Parts of the configuration that options without pooling or residual do not use, and control bits that end before the result.
  logic unused_all;
  assign unused_all = &{1'b0, quant_i, op_mt_i, c_q, c_pre, c_zo, res_sub, use_res};

endmodule
