# Proofs of the small units by induction (Yosys' SAT solver), and one broken copy of each that must not be proved.
.PHONY: formal
formal: ## proofs of the small RTL units
	$(Q)for d in 1 2 3 4 5; do tests/formal/prove rtl/common/espl_fifo.sv espl_fifo Width=3 Depth=$$d || exit 1; done
	$(Q)for m in 1 3 5 15; do tests/formal/prove rtl/tokens/espl_tokens.sv espl_tokens TokenMax=$$m || exit 1; done
	@mkdir -p $(BUILD)/formal
	$(Q)sed 's/if (pop_i && !push_i) cnt_q/if (pop_i) cnt_q/' rtl/common/espl_fifo.sv > $(BUILD)/formal/fifo.sv; ! cmp -s rtl/common/espl_fifo.sv $(BUILD)/formal/fifo.sv \
	  && ! tests/formal/prove $(BUILD)/formal/fifo.sv espl_fifo Width=3 Depth=4 > /dev/null && echo "PASS broken fifo is not proved"
	$(Q)sed 's/push_i\[i\] && !pop_i\[i\]) cnt_q/push_i[i]) cnt_q/' rtl/tokens/espl_tokens.sv > $(BUILD)/formal/tokens.sv; ! cmp -s rtl/tokens/espl_tokens.sv $(BUILD)/formal/tokens.sv \
	  && ! tests/formal/prove $(BUILD)/formal/tokens.sv espl_tokens TokenMax=3 > /dev/null && echo "PASS broken tokens are not proved"
TEST_TARGETS += formal
