/* Batches: every image of a run has the result that it has alone, on arrays of several shapes and with buffers that hold little; weights that
 * many images share are loaded once. */
#include "mapped.h"
#include "nn_graphs.h"

static int op1(espl_graph *g, espl_op o, int in) { return node(g, (espl_node){.op = o, .inputs = 1, .input = {in}}); }
static const espl_conv_attr k1 = {.kh = 1, .kw = 1};

static espl_qnet *quantized(espl_graph *g) {
  espl_qnet *q = NULL;
  espl_quant_config cfg;
  espl_quant_default(&cfg);
  OK(espl_graph_check(g, &err));
  OK(espl_quantize(g, NULL, NULL, &cfg, &q, &err));
  espl_graph_free(g);
  return q;
}

/* Folded stem, 3x3 with a maximum, pointwise, depthwise, residual pointwise, slices, an average, a fully connected layer over an image. */
static espl_qnet *mixed(int32_t h, int32_t w, bool over_image) {
  espl_graph *g = start(3, h, w);
  int a = op1(g, ESPL_OP_RELU, conv(g, 0, 16, k3, true));
  a = node(g, (espl_node){.op = ESPL_OP_MAXPOOL, .inputs = 1, .input = {a}, .conv = {.kh = 2, .kw = 2, .sh = 2, .sw = 2, .dh = 1, .dw = 1, .groups = 1}});
  int b = op1(g, ESPL_OP_RELU, conv(g, a, 32, k1, true)), deep = 0;
  espl_conv_attr dw = k3;
  dw.groups = 32;
  deep = conv(g, b, 32, dw, true);
  b = add(g, b, conv(g, deep, 32, k1, true));
  b = node(g, (espl_node){.op = ESPL_OP_CONCAT, .inputs = 2, .input = {b, conv(g, a, 20, k1, false)}});
  espl_conv_attr two = k3;
  two.sh = two.sw = 2;
  b = op1(g, ESPL_OP_RELU, conv(g, b, 40, two, true));
  if (!over_image) b = op1(g, ESPL_OP_GLOBALAVGPOOL, b);
  b = op1(g, ESPL_OP_RELU, gemm(g, op1(g, ESPL_OP_FLATTEN, b), 70));
  gemm(g, b, 9);
  return quantized(g);
}

Test(batch, every_image_is_as_alone) {
  const int32_t size[][3] = {{16, 16, 0}, {4, 4, 1}, {8, 16, 2}, {16, 4, 3}, {32, 32, 0}};
  for (int32_t shape = 0; shape < 3; shape++) {
    espl_qnet *q = mixed(shape == 1 ? 11 : 16, shape == 1 ? 13 : 12, shape != 1);
    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
      char name[32];
      snprintf(name, sizeof name, "%dx%d", (int)size[i][0], (int)size[i][1]);
      espl_machine m = mapped_machine(name, size[i][0], size[i][1]);
      if (size[i][2] == 1) m.act_aw = 10, m.wgt_aw = 10, m.acc_aw = 6, m.idx_aw = 0;
      if (size[i][2] == 2) m.act_aw = 11, m.wgt_aw = 12, m.bus_bytes = 32;
      if (size[i][2] == 3) m.dw_banks = 0, m.act_aw = 9, m.acc_banks = 1;
      uint64_t one = mapped_batch(q, &m, 1, true, 5), kept = mapped_batch(q, &m, 5, true, 5), shared = mapped_batch(q, &m, 5, false, 5);
      cr_assert_eq(kept, shared, "where tensors lie changes cycles on %s", name);
      cr_assert_lt(kept, 5 * one, "%s: %llu cycles for 5 images, %llu for one", name, (unsigned long long)kept, (unsigned long long)one);
      mapped_batch(q, &m, 2, false, 6);
    }
    espl_qnet_free(q);
  }
}

/* Fully connected layers are bound by their weights: 16 images cost hardly more than one. */
Test(batch, weights_are_loaded_once) {
  espl_graph *g = start(12, 6, 6);
  int x = op1(g, ESPL_OP_FLATTEN, op1(g, ESPL_OP_RELU, conv(g, 0, 16, k3, true)));
  gemm(g, op1(g, ESPL_OP_RELU, gemm(g, op1(g, ESPL_OP_RELU, gemm(g, x, 200)), 150)), 30);
  espl_qnet *q = quantized(g);
  espl_machine m = mapped_machine("16x16", 16, 16);
  espl_program *p = NULL;
  espl_run_result r[2];
  for (int k = 0; k < 2; k++) {
    OK(espl_map_build(q, &m, &(espl_map_config){.images = k ? 16 : 1}, &p, &err));
    OK(espl_program_run(p, q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, &r[k], &err));
    espl_program_free(p);
  }
  for (int32_t i = 1; i < q->layers; i++) {
    const uint32_t *one = r[0].layer[i].counter, *all = r[1].layer[i].counter;
    uint32_t acts = 15 * (uint32_t)(q->layer[i].in_c * q->layer[i].kh * q->layer[i].kw + 16);
    cr_assert_leq(all[ESPL_CNT_READ_BYTES], one[ESPL_CNT_READ_BYTES] + acts + 1024, "layer %d reads %u bytes for 16 images, %u for one", (int)i, all[ESPL_CNT_READ_BYTES], one[ESPL_CNT_READ_BYTES]);
    cr_assert_lt(all[ESPL_CNT_CYCLES], 2 * one[ESPL_CNT_CYCLES] + 100, "layer %d takes %u cycles for 16 images, %u for one", (int)i, all[ESPL_CNT_CYCLES], one[ESPL_CNT_CYCLES]);
  }
  mapped_batch(q, &m, 16, true, 3);
  espl_run_result_clear(&r[0]);
  espl_run_result_clear(&r[1]);
  espl_qnet_free(q);
}
