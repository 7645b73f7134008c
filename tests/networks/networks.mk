# Whole networks on the Verilated core, with seeded weights: logits, memory, and every layer's cycles and counters.
.PHONY: networks rtl-networks
TEST_TARGETS += networks
$(BUILD)/tests/networks/networks: tests/networks/networks.c $(BUILD)/libespl.a $(BUILD)/flags
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@ $(BUILD)/libespl.a $(LDLIBS)
RTL_NETWORK := cd $(BUILD) && ESPL_ROOT='$(CURDIR)' tests/networks/networks
networks: $(BUILD)/tests/networks/networks ## four whole networks on the Verilated 16x16 core
	$(Q)$(RTL_NETWORK) resnet8 3x32x32 16x16
	$(Q)$(RTL_NETWORK) resnet20 3x32x32 16x16
	$(Q)$(RTL_NETWORK) mobilenetv1-025 3x32x32 16x16
	$(Q)$(RTL_NETWORK) mobilenetv2-small 3x32x32 16x16
rtl-networks: $(BUILD)/tests/networks/networks ## the same and more on cores from 4x4 to 64x64
	$(Q)$(RTL_NETWORK) resnet8 3x32x32 4x4 8x8 8x16 16x16 32x32 64x64
	$(Q)$(RTL_NETWORK) resnet20 3x32x32 8x8 8x16 16x16 32x32 64x64
	$(Q)$(RTL_NETWORK) mobilenetv1-025 3x96x96 8x8 16x16 32x32
	$(Q)$(RTL_NETWORK) mobilenetv2-small 3x32x32 8x8 16x16 32x32
	$(Q)$(RTL_NETWORK) ds-cnn 1x49x10 8x8 16x16
