# Proofs of the small RTL units with Yosys' own solver (docs/proofs.md). Names of single proofs: tests/formal/run proofs port_rd
.PHONY: formal formal-mutations
formal: ## proofs of queues, tokens, ports, bursts, staging
	$(Q)tests/formal/run proofs
formal-mutations: ## every proof turns red on a broken copy of its unit
	$(Q)tests/formal/run mutations
TEST_TARGETS += formal
