// Serial requantizer lane for parts without multipliers: the same result as the pipelined one, one shift-add step a cycle.
// Operands with valid_i in cycle c give q_o in cycle c+21; the next valid_i may come in cycle c+18. Steps: c load, c+1..c+16 one
// bit of m (and of mr) each, c+17 sum and coarse shift, c+18 fine shift, c+19 rounding and zero point, c+20 clamp. m shifts out of the register into
// which the low product bits shift. zo is that of cycle c+19, lo and hi are those of cycle c+20.
module espl_requant_serial #(
  parameter int Residual = 1
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

  logic [4:0] cnt_q;  // 17 in c+1 .. 1 in c+17, 0: idle
  logic       step;
  assign step = cnt_q > 5'd1;
  always_ff @(posedge clk_i) begin
    if (rst_i) cnt_q <= 5'd0;
    else if (valid_i) cnt_q <= 5'd17;
    else if (cnt_q != 5'd0) cnt_q <= cnt_q - 5'd1;
  end

  // After k steps {hi, low k bits of lo} is v * (m mod 2^k); hi stays inside 32 bits because it is below |v|.
  logic [31:0] v_q, hi_q;
  logic [15:0] lo_q;
  logic [5:0]  s_q;
  logic [32:0] t;
  assign t = {hi_q[31], hi_q} + (lo_q[0] ? {v_q[31], v_q} : 33'd0);
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      v_q  <= a_i + b_i;
      hi_q <= 32'd0;
      lo_q <= m_i;
      s_q  <= s_i - 6'd1;
    end else if (step) begin
      hi_q <= t[32:1];
      lo_q <= {t[0], lo_q[15:1]};
    end
  end

  logic        [48:0] add;
  logic signed [48:0] sum;
  logic        [10:0] x2;        // saturated
  logic        [2:0]  last_q;    // coarse shift, fine shift, y_q are there
  logic signed [12:0] twice;
  logic signed [11:0] y_q;

  if (Residual != 0) begin : gen_res
    logic [8:0]  d_q, rh_q;
    logic [15:0] rl_q;
    logic [4:0]  l_q;
    logic [9:0]  rt;
    assign rt = {rh_q[8], rh_q} + (rl_q[0] ? {d_q[8], d_q} : 10'd0);
    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        d_q  <= d_i;
        rh_q <= 9'd0;
        rl_q <= mr_i;
        l_q  <= l_i;
      end else if (step) begin
        rh_q <= rt[9:1];
        rl_q <= {rt[0], rl_q[15:1]};
      end
    end
    assign add = {{24{rh_q[8]}}, rh_q, rl_q} << l_q;
  end else begin : gen_no_res
    logic unused;
    assign unused = &{1'b0, d_i, mr_i, l_i};
    assign add = 49'd0;
  end

  assign sum = $signed({hi_q[31], hi_q, lo_q} + add);
  espl_satshift #(
    .Split(1)
  ) u_shift (
    .clk_i(clk_i),
    .z_i(sum),
    .s_i(s_q),
    .x_o(x2)
  );
  // floor((z + 2^(s-1)) / 2^s) = floor((floor(z / 2^(s-1)) + 1) / 2); 10 bits after halving are enough for an exact clamp.
  // So y = floor((x2 + 1) / 2) + zo = floor((x2 + 2 zo + 1) / 2): one addition.
  assign twice = 13'($signed(x2)) + 13'($signed({zo_i, 1'b1}));
  // The limits stand still in the cycle before their use: registers, inverted as a subtraction takes them. With lo above hi the result is hi.
  // y - lo is negative; y - hi - 1 is not.
  logic [7:0]  lo_n_q, hi_n_q;
  logic [13:0] from_lo;
  logic [12:0] from_hi;
  assign from_lo = {y_q[11], y_q, 1'b1} + {{5{lo_n_q[7]}}, lo_n_q, 1'b1};
  assign from_hi = {y_q[11], y_q} + {{5{hi_n_q[7]}}, hi_n_q};
  always_ff @(posedge clk_i) begin
    lo_n_q <= ~(($signed(lo_i) > $signed(hi_i)) ? hi_i : lo_i);
    hi_n_q <= ~hi_i;
    last_q <= {last_q[1:0], cnt_q == 5'd1};
    y_q    <= twice[12:1];
    if (last_q[2]) begin
      if (from_lo[13]) q_o <= ~lo_n_q;
      else if (!from_hi[12]) q_o <= ~hi_n_q;
      else q_o <= y_q[7:0];
    end
  end
  logic unused_bits;
  assign unused_bits = ^{twice[0], from_lo[12:0], from_hi[11:0]};

endmodule
