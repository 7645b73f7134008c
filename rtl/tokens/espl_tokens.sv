// The six token counters between load, compute and store, and the weight credit.
// Timing: a push or pop in cycle t changes avail/room from t+1 on; push and pop in one cycle cancel.
// Law: pushed only while room, popped only while avail (the units see to it), so a counter stays in 0..TokenMax.
// Order of the bits: 0 load->compute, 1 compute->load, 2 load->store, 3 store->load, 4 compute->store, 5 store->compute.
module espl_tokens #(
  parameter int TokenMax = 15,
  // derived
  parameter int TokenW = $clog2(TokenMax + 1)
) (
  input  logic       clk_i,
  input  logic       rst_i,
  input  logic [5:0] push_i,
  input  logic [5:0] pop_i,
  output logic [5:0] avail_o,
  output logic [5:0] room_o,
  input  logic [4:0] credit_push_i,  // how many tiles became complete
  input  logic       credit_pop_i,
  output logic       credit_avail_o
);

  // What a unit waits for is a register: it decides much in the same cycle.
  for (genvar i = 0; i < 6; i++) begin : gen_token
    logic [TokenW-1:0] cnt_q;
    logic              avail_q, room_q;
    if (TokenW <= 2) begin : gen_small
      // Each is a function of four signals.
      logic [TokenW-1:0] cnt_d;
      assign cnt_d = cnt_q + TokenW'(push_i[i]) - TokenW'(pop_i[i]);
      always_ff @(posedge clk_i) begin
        cnt_q   <= rst_i ? '0 : cnt_d;
        avail_q <= !rst_i && cnt_d != '0;
        room_q  <= rst_i || cnt_d != TokenW'(TokenMax);
      end
    end else begin : gen_large
      always_ff @(posedge clk_i) begin
        if (rst_i) begin
          cnt_q   <= '0;
          avail_q <= 1'b0;
          room_q  <= 1'b1;
        end else if (push_i[i] && !pop_i[i]) begin
          cnt_q   <= cnt_q + 1'b1;
          avail_q <= 1'b1;
          room_q  <= cnt_q != TokenW'(TokenMax - 1);
        end else if (pop_i[i] && !push_i[i]) begin
          cnt_q   <= cnt_q - 1'b1;
          avail_q <= cnt_q != TokenW'(1);
          room_q  <= 1'b1;
        end
      end
    end
    assign avail_o[i] = avail_q;
    assign room_o[i]  = room_q;
  end

  // The pop comes late in its cycle: both sums are there by then.
  logic [15:0] credit_q, kept, popped;
  logic        some_q;
  assign kept   = credit_q + {11'd0, credit_push_i};
  assign popped = credit_q + {{11{credit_push_i == 5'd0}}, credit_push_i - 5'd1};
  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      credit_q <= '0;
      some_q   <= 1'b0;
    end else begin
      credit_q <= credit_pop_i ? popped : kept;
      some_q   <= credit_pop_i ? !(credit_q == 16'd1 && credit_push_i == 5'd0) : some_q || credit_push_i != 5'd0;
    end
  end
  assign credit_avail_o = some_q;

`ifdef FORMAL
  // Laws, given that units push only where there is room and pop only what is there, and that fewer than 65536 credits wait.
  logic init_q = 1'b0;
  logic [17:0] credits_q;  // pushed and not yet popped
  always_ff @(posedge clk_i) begin
    init_q <= 1'b1;
    if (rst_i) credits_q <= 18'd0;
    else credits_q <= credits_q + {13'd0, credit_push_i} - {17'd0, credit_pop_i};
  end
  always_comb begin
    if (!init_q) assume (rst_i);
    assume (!(credit_pop_i && !credit_avail_o));
    if (init_q) begin
      assume (credits_q + {13'd0, credit_push_i} <= 18'd65535);
      assert (credits_q == {2'd0, credit_q});
      assert (credit_avail_o == (credits_q != 18'd0));
    end
  end
  for (genvar i = 0; i < 6; i++) begin : gen_law
    logic [TokenW:0] model_q;  // one bit more than the counter
    always_ff @(posedge clk_i) begin
      if (rst_i) model_q <= '0;
      else model_q <= model_q + {{TokenW{1'b0}}, push_i[i]} - {{TokenW{1'b0}}, pop_i[i]};
    end
    always_comb begin
      assume (!(push_i[i] && !room_o[i]));
      assume (!(pop_i[i] && !avail_o[i]));
      if (init_q) begin
        assert (model_q <= (TokenW + 1)'(TokenMax));
        assert (avail_o[i] == (model_q != '0));
        assert (room_o[i] == (model_q < (TokenW + 1)'(TokenMax)));
        assert (model_q[TokenW-1:0] == gen_token[i].cnt_q);
      end
    end
  end
`endif

endmodule
