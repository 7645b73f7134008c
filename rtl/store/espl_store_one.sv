// Control of the store unit without queue: the command stays at the head of the queue until it has retired, its fields are read there.
//   Idle --STORE--> Pop --all tokens--> Bank --bank full--> Drain --last operation--> Wait --last response--> Full --room--> Idle;  CFG: one cycle.
// A faulty command retires without pushes, and so does, after stop, one that has no room; after stop a command that still waits for tokens or
// its bank is given up. Timing: as espl_store_ctrl with one unfinished command; q_pop_o in the cycle of the retirement.
module espl_store_one #(
  parameter int Residual = 1
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
  // inside the unit
  output logic         cfg_we_o,
  output logic         take_o,
  output logic         follow_o,    // the command is taken and has not started: the drain's registers follow it
  output logic         start_o,
  input  logic         done_i,
  output logic         drained_o,   // the last operation has issued
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
  // One register for each state.
  localparam int StIdle = 0, StPop = 1, StBank = 2, StDrain = 3, StWait = 4, StFull = 5;

  logic [5:0] state_q, state_d;
  logic       bad_q, is_cfg, pops_ok, bank_full, drop, room, retire, pop_ls, pop_cs, push_sl, push_sc, res;

  assign pop_ls  = q_cmd_i[espl_pkg::StorePopLoadLsb];
  assign pop_cs  = q_cmd_i[espl_pkg::StorePopComputeLsb];
  assign push_sl = q_cmd_i[espl_pkg::StorePushLoadLsb];
  assign push_sc = q_cmd_i[espl_pkg::StorePushComputeLsb];
  assign res     = q_cmd_i[espl_pkg::StoreResidualLsb] && q_cmd_i[espl_pkg::StorePoolLsb+:2] == 2'd0;

  assign is_cfg    = q_cmd_i[3:0] == espl_pkg::OpCfg;
  assign cfg_we_o  = state_q[StIdle] && q_valid_i && !stop_i && is_cfg;
  assign take_o    = state_q[StIdle] && q_valid_i && !stop_i && !is_cfg;
  assign pops_ok   = (tok_ls_avail_i || !pop_ls) && (tok_cs_avail_i || !pop_cs);
  assign bank_full = bank_full_i[q_cmd_i[espl_pkg::StoreBankLsb]];
  assign tok_ls_pop_o = state_q[StPop] && pops_ok && pop_ls;
  assign tok_cs_pop_o = state_q[StPop] && pops_ok && pop_cs;
  assign start_o   = state_q[StBank] && bank_full;
  assign drained_o = state_q[StWait];
  assign follow_o  = state_q[StPop];
  assign drop      = stop_i && ((state_q[StPop] && !pops_ok) || (state_q[StBank] && !bank_full && !res_busy_i));
  assign room      = (tok_sl_room_i || !push_sl) && (tok_sc_room_i || !push_sc);
  assign retire    = state_q[StFull] && (room || bad_q || stop_i);
  assign tok_sl_push_o = state_q[StFull] && room && !bad_q && push_sl;
  assign tok_sc_push_o = state_q[StFull] && room && !bad_q && push_sc;
  assign q_pop_o   = cfg_we_o || retire || drop;

  always_comb begin
    state_d[StIdle]  = (state_q[StIdle] && !take_o) || retire || drop;
    state_d[StPop]   = take_o || (state_q[StPop] && !pops_ok && !drop);
    state_d[StBank]  = (state_q[StPop] && pops_ok) || (state_q[StBank] && !start_o && !drop);
    state_d[StDrain] = start_o || (state_q[StDrain] && !done_i);
    state_d[StWait]  = (state_q[StDrain] && done_i) || (state_q[StWait] && !wr_last_i);
    state_d[StFull]  = (state_q[StWait] && wr_last_i) || (state_q[StFull] && !retire);
  end

  // Residual reads start when the responses of all older commands are there, which they are.
  assign res_arm_o  = Residual != 0 && state_q[StPop] && pops_ok && res;
  assign res_drop_o = drop;
  assign res_ok_o   = !(stop_i && state_q[StBank]);

  always_ff @(posedge clk_i) begin
    if (rst_i) begin
      state_q     <= 6'd1;
      bad_q       <= 1'b0;
      err_valid_o <= 1'b0;
    end else begin
      state_q     <= state_d;
      if (take_o) bad_q <= 1'b0;
      else if (wr_err_i || res_err_i) bad_q <= 1'b1;
      err_valid_o <= wr_err_i || res_err_i;
    end
    err_code_o <= res_err_i ? espl_pkg::StBusRead : espl_pkg::StBusWrite;
  end
  assign err_idx_o = q_idx_i;

  // Observations.
  logic front_act;
  assign front_act    = cfg_we_o || take_o || state_q[StDrain] || (state_q[StPop] && pops_ok) || start_o || drop;
  assign idle_o       = state_q[StIdle];
  assign blocked_o    = !state_q[StIdle] && quiet_i && !res_busy_i && !front_act && !retire && !(res_more_i && res_ok_o);
  assign wait_valid_o = state_q[StFull] || state_q[StPop] || state_q[StBank];
  assign wait_idx_o   = q_idx_i;

  // Fields of the drain and of the residual reader.
  logic unused;
  assign unused = &{1'b0, q_cmd_i, res};

endmodule
