// Control of the store unit: takes commands, pops tokens, waits for the bank, starts the drain, retires in order.
//   Idle --take STORE--> Pop --all tokens--> Bank --bank full--> Drain --last operation--> Idle;  CFG: one cycle in Idle.
// Up to Ring commands are unfinished at a time, the youngest of them the one in Pop, Bank or Drain; each has an entry (index, pushes, faulty).
// The oldest retires, in or after the cycle after its last response, when its pushes have room. A faulty command retires without pushes, and
// so does, after stop, one that has no room; after stop a command that still waits for tokens or its bank is given up.
// STORE_QUANT and the average words are taken only when no operation is between issue and staging memory.
module espl_store_ctrl #(
  parameter int Residual = 1,
  parameter int Ring     = 4  // power of two
) (
  input  logic         clk_i,
  input  logic         rst_i,
  input  logic         q_valid_i,
  input  logic [127:0] q_cmd_i,
  input  logic [23:0]  q_idx_i,
  output logic         q_pop_o,
  input  logic         stop_i,
  output logic         idle_o,
  output logic         blocked_o,
  output logic         wait_valid_o,
  output logic [23:0]  wait_idx_o,
  output logic         err_valid_o,
  output logic [7:0]   err_code_o,
  output logic [23:0]  err_idx_o,
  input  logic         tok_ls_avail_i,
  output logic         tok_ls_pop_o,
  input  logic         tok_cs_avail_i,
  output logic         tok_cs_pop_o,
  input  logic         tok_sl_room_i,
  output logic         tok_sl_push_o,
  input  logic         tok_sc_room_i,
  output logic         tok_sc_push_o,
  input  logic [1:0]   bank_full_i,
  input  logic [1:0]   bank_done_i,
  // inside the unit
  output logic         cfg_we_o,
  output logic         take_o,
  output logic         follow_o,   // no command is in front of the drain: its registers follow the head of the queue
  output logic         start_o,
  input  logic         done_i,
  input  logic         flushed_i,
  output logic         res_arm_o,
  output logic         res_drop_o,
  output logic         res_ok_o,
  input  logic         res_busy_i,
  input  logic         res_more_i,
  input  logic         res_err_i,
  input  logic         wr_last_i,
  input  logic         wr_err_i,
  input  logic         quiet_i
);
  localparam int RingSh = $clog2(Ring);
  localparam logic [1:0] StIdle = 2'd0, StPop = 2'd1, StBank = 2'd2, StDrain = 2'd3;

  logic [1:0] state_q, state_d;
  logic       pop_ls_q, pop_cs_q, bank_q, res_q, pool_q, bank_ok;
  // Ring: head is the oldest, rsp the one whose responses arrive, tail the next entry to be taken.
  logic [23:0]       idx_q[0:Ring-1];
  logic              push_sl_q[0:Ring-1];
  logic              push_sc_q[0:Ring-1];
  logic [Ring-1:0]   bad_q;
  logic [RingSh:0]   head_q, rsp_q, tail_q, cur;
  logic [RingSh-1:0] head, rsp, tail, young;
  logic empty, full, full_q, is_cfg, late, pops_ok, drop, complete, room, retire, front_act;

  assign head  = head_q[RingSh-1:0];
  assign rsp   = rsp_q[RingSh-1:0];
  assign tail  = tail_q[RingSh-1:0];
  assign cur   = tail_q - 1'b1;
  assign young = cur[RingSh-1:0];
  assign empty = head_q == tail_q;
  assign full  = head_q == {~tail_q[RingSh], tail};

  // Front.
  assign is_cfg   = q_cmd_i[3:0] == espl_pkg::OpCfg;
  assign late     = q_cmd_i[espl_pkg::CfgIndexLsb+:3] == espl_pkg::CfgStoreQuant || q_cmd_i[espl_pkg::CfgIndexLsb+2];
  assign q_pop_o  = state_q == StIdle && q_valid_i && !stop_i && (is_cfg ? flushed_i || !late : !full_q);
  assign cfg_we_o = q_pop_o && is_cfg;
  assign take_o   = q_pop_o && !is_cfg;
  assign follow_o = state_q == StIdle;
  assign pops_ok  = (tok_ls_avail_i || !pop_ls_q) && (tok_cs_avail_i || !pop_cs_q);
  assign tok_ls_pop_o = state_q == StPop && pops_ok && pop_ls_q;
  assign tok_cs_pop_o = state_q == StPop && pops_ok && pop_cs_q;
  assign bank_ok  = pool_q ? bank_done_i[bank_q] : bank_full_i[bank_q];  // pooling reads out of order
  assign start_o  = state_q == StBank && bank_ok;
  assign drop     = stop_i && ((state_q == StPop && !pops_ok) || (state_q == StBank && !bank_ok && !res_busy_i));
  always_comb begin
    state_d = state_q;
    case (state_q)
      StIdle: if (take_o) state_d = StPop;
      StPop: if (pops_ok) state_d = StBank;
      StBank: if (start_o) state_d = StDrain;
      default: if (done_i) state_d = StIdle;
    endcase
    if (drop) state_d = StIdle;
  end

  // Residual reads start when the responses of all older commands are there.
  assign res_arm_o  = Residual != 0 && state_q == StPop && pops_ok && res_q;
  assign res_drop_o = drop;
  assign res_ok_o   = rsp_q == cur && !(stop_i && state_q == StBank);

  // Retirement.
  assign complete = head_q != rsp_q;
  assign room     = (tok_sl_room_i || !push_sl_q[head]) && (tok_sc_room_i || !push_sc_q[head]);
  assign retire   = complete && (room || bad_q[head] || stop_i);
  assign tok_sl_push_o = complete && room && !bad_q[head] && push_sl_q[head];
  assign tok_sc_push_o = complete && room && !bad_q[head] && push_sc_q[head];

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q     <= StIdle;
      head_q      <= '0;
      rsp_q       <= '0;
      tail_q      <= '0;
      full_q      <= 1'b0;
      bad_q       <= '0;
      err_valid_o <= 1'b0;
    end else begin
      state_q <= state_d;
      full_q  <= full && !retire;  // a take is seen a cycle later: the next one is some cycles away
      if (take_o) tail_q <= tail_q + 1'b1;
      else if (drop) tail_q <= cur;
      if (wr_last_i) rsp_q <= rsp_q + 1'b1;
      if (retire) head_q <= head_q + 1'b1;
      for (int i = 0; i < Ring; i++) begin
        if ((wr_err_i && rsp == RingSh'(i)) || (res_err_i && young == RingSh'(i))) bad_q[i] <= 1'b1;
        else if (take_o && tail == RingSh'(i)) bad_q[i] <= 1'b0;
      end
      err_valid_o <= wr_err_i || res_err_i;
    end
    if (take_o) begin
      idx_q[tail]     <= q_idx_i;
      push_sl_q[tail] <= q_cmd_i[espl_pkg::StorePushLoadLsb];
      push_sc_q[tail] <= q_cmd_i[espl_pkg::StorePushComputeLsb];
      pop_ls_q        <= q_cmd_i[espl_pkg::StorePopLoadLsb];
      pop_cs_q        <= q_cmd_i[espl_pkg::StorePopComputeLsb];
      bank_q          <= q_cmd_i[espl_pkg::StoreBankLsb];
      pool_q          <= q_cmd_i[espl_pkg::StorePoolLsb+:2] != 2'd0;
      res_q           <= q_cmd_i[espl_pkg::StoreResidualLsb] && q_cmd_i[espl_pkg::StorePoolLsb+:2] == 2'd0;
    end
    // Residual beats and responses of one cycle belong to one command: earlier commands have all their responses by then.
    err_code_o <= res_err_i ? espl_pkg::StBusRead : espl_pkg::StBusWrite;
    err_idx_o  <= idx_q[res_err_i ? young : rsp];
  end

  // Observations.
  assign front_act = q_pop_o || state_q == StDrain || (state_q == StPop && pops_ok) || start_o || drop;
  assign idle_o       = empty;
  assign blocked_o    = !empty && quiet_i && !res_busy_i && !front_act && !retire && !(res_more_i && res_ok_o);
  assign wait_valid_o = complete || state_q == StPop || state_q == StBank;
  assign wait_idx_o   = idx_q[complete ? head : young];

  // Fields of the drain and of the residual reader.
  logic unused;
  assign unused = &{1'b0, q_cmd_i, res_q};

endmodule
