// Small first-in first-out queue in registers, any depth from 1.
// Timing: an entry pushed in cycle t is at valid_o/data_o from t+1 (data_o shows the oldest entry without a read);
// pop_i in cycle t shows the next entry in t+1. full_o and valid_o are functions of registers only; with Front they and the oldest entry are registers of their own.
// Law: never push_i while full_o, never pop_i while not valid_o (push and pop in one cycle are fine otherwise).
module espl_fifo #(
  parameter int Width = 8,
  parameter int Depth = 4,
  parameter int Front = 0,
  // derived
  parameter int PtrW = (Depth > 1) ? $clog2(Depth) : 1,
  parameter int CntW = $clog2(Depth + 1)
) (
  input  logic             clk_i,
  input  logic             rst_i,
  input  logic             push_i,
  input  logic [Width-1:0] data_i,
  output logic             full_o,
  input  logic             pop_i,
  output logic             valid_o,
  output logic [Width-1:0] data_o
);

  logic [Width-1:0] mem[0:Depth-1];
  logic [PtrW-1:0]  wptr_q, rptr_q;
  logic [CntW-1:0]  cnt_q;

`ifdef FORMAL
  logic init_q = 1'b0;
`endif
  function automatic logic [PtrW-1:0] behind(input logic [PtrW-1:0] p);
    behind = (p == PtrW'(Depth - 1)) ? '0 : p + 1'b1;
  endfunction

  if (Front != 0) begin : gen_front
    logic [Width-1:0] front_q;
    logic             full_q, valid_q, few_q;  // few: one entry or none, the next front is what is pushed
    logic [PtrW-1:0]  next_q;                  // behind rptr_q
    // Without an entry the register follows data_i, so what it does hangs on pop_i and registers only: push and pop come late in their cycle.
    always_ff @(posedge clk_i) begin
      if (pop_i || !valid_q) begin
        if (few_q) front_q <= data_i;
        else front_q <= mem[next_q];
      end
    end
    always_ff @(posedge clk_i) begin
      if (rst_i) next_q <= behind('0);
      else if (pop_i) next_q <= behind(next_q);
      if (rst_i) few_q <= 1'b1;
      else if (push_i && !pop_i) few_q <= cnt_q == '0;
      else if (pop_i && !push_i) few_q <= 32'(cnt_q) <= 32'd2;
    end
`ifdef FORMAL
    always_comb if (init_q) assert (next_q == behind(rptr_q) && few_q == (32'(cnt_q) <= 32'd1));
`endif
    always_ff @(posedge clk_i) begin
      if (rst_i) begin
        full_q  <= 1'b0;
        valid_q <= 1'b0;
      end else if (push_i && !pop_i) begin
        full_q  <= cnt_q == CntW'(Depth - 1);
        valid_q <= 1'b1;
      end else if (pop_i && !push_i) begin
        full_q  <= 1'b0;
        valid_q <= cnt_q != CntW'(1);
      end
    end
    assign data_o  = front_q;
    assign full_o  = full_q;
    assign valid_o = valid_q;
  end else begin : gen_memory
    assign data_o  = mem[rptr_q];
    assign full_o  = cnt_q == CntW'(Depth);
    assign valid_o = cnt_q != '0;
  end

  always_ff @(posedge clk_i) begin
    if (push_i) mem[wptr_q] <= data_i;
    if (rst_i) begin
      wptr_q <= '0;
      rptr_q <= '0;
      cnt_q  <= '0;
    end else begin
      if (push_i) wptr_q <= behind(wptr_q);
      if (pop_i)  rptr_q <= behind(rptr_q);
      if (push_i && !pop_i) cnt_q <= cnt_q + 1'b1;
      if (pop_i && !push_i) cnt_q <= cnt_q - 1'b1;
    end
  end

`ifdef FORMAL
  // In the proof of another unit the law about push and pop is that unit's to keep.
  // Law to prove: an entry picked at any push comes out unchanged after exactly as many pops as entries were ahead of it.
  logic             watch_q;
  logic [CntW-1:0]  ahead_q;
  logic [Width-1:0] word_q;
  logic [PtrW-1:0]  slot_q;
  (* anyseq *) logic pick;
  always_ff @(posedge clk_i) begin
    init_q <= 1'b1;
    if (rst_i) watch_q <= 1'b0;
    else if (!watch_q && push_i && pick) begin
      watch_q <= 1'b1;
      ahead_q <= pop_i ? cnt_q - 1'b1 : cnt_q;
      word_q  <= data_i;
      slot_q  <= wptr_q;
    end else if (watch_q && pop_i) begin
      if (ahead_q == '0) watch_q <= 1'b0;
      else ahead_q <= ahead_q - 1'b1;
    end
  end
  // Distance of two slots going round.
  function automatic logic [CntW:0] gap(input logic [PtrW-1:0] a, input logic [PtrW-1:0] b);
    gap = (a >= b) ? {{(CntW + 1 - PtrW) {1'b0}}, a} - {{(CntW + 1 - PtrW) {1'b0}}, b}
                   : {{(CntW + 1 - PtrW) {1'b0}}, a} - {{(CntW + 1 - PtrW) {1'b0}}, b} + (CntW + 1)'(Depth);
  endfunction
  always_comb begin
    if (!init_q) assume (rst_i);
`ifdef PROVE_espl_fifo
    assume (!(push_i && full_o));
    assume (!(pop_i && !valid_o));
`else
    if (init_q && !rst_i) begin
      assert (!(push_i && full_o));
      assert (!(pop_i && !valid_o));
    end
`endif
    if (init_q) begin
      assert (cnt_q <= CntW'(Depth));
      assert (full_o == (cnt_q == CntW'(Depth)) && valid_o == (cnt_q != '0));
      assert (wptr_q <= PtrW'(Depth - 1) && rptr_q <= PtrW'(Depth - 1));
      assert (gap(wptr_q, rptr_q) == (full_o ? '0 : {1'b0, cnt_q}));
      if (valid_o) assert (data_o == mem[rptr_q]);
      if (watch_q) begin
        assert (ahead_q < cnt_q);
        assert (slot_q <= PtrW'(Depth - 1));
        assert (gap(slot_q, rptr_q) == {1'b0, ahead_q});
        assert (mem[slot_q] == word_q);
        if (ahead_q == '0) assert (data_o == word_q);
      end
    end
  end
`endif

endmodule
