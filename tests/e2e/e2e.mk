# The command end to end, and everything it must refuse. The study on RTL uses (or builds) the 8x8 core that the co-simulation uses too.
TEST_TARGETS += bad e2e
.PHONY: bad e2e
bad: build ## wrong input: exit status 2, one clear line, nothing written
	$(Q)tests/bad/run $(BUILD)/espalier
e2e: build ## demo, RTL proof, compress, sweep; killed, interrupted, out of room
	$(Q)tests/e2e/run $(BUILD)/espalier
