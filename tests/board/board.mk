# Whole boards (core, memory, serial bridge) simulated behind a pseudo-terminal, with the command on the other side.
.PHONY: board
board: build ## simulated boards: networks over a serial line, faults on the line
	$(Q)tests/board/run $(BUILD)/espalier $(BUILD)
TEST_TARGETS += board
