/* Placing a network without gaps: the same outputs, cycles and legality as with every part on a line of its own, in less memory. */
#include <criterion/criterion.h>

#include "map/machine_yaml.h"
#include "mapnet.h"
#include "mapped.h"

#define LINE 4096u

/* Networks of two layers where every part has lines of its own, then in always a line less until that is refused. */
Test(tight, less_memory_changes_no_cycle) {
  espl_rng r = {.seed = 31};
  espl_err err = {0};
  espl_program *p = NULL;
  for (uint64_t seed = 0; seed < 12; seed++) {
    espl_machine m = mapped_machine(seed % 2 ? "8x8" : "4x16", seed % 2 ? 8 : 4, seed % 2 ? 8 : 16);
    espl_qnet *q = mapnet_random(&r, 40, 12, m.rows);
    uint64_t cycles = mapped_check(q, &m, false, seed);
    cr_assert_eq(espl_map_network(q, &m, &p, &err), ESPL_OK, "%s", err.msg);
    uint32_t lines = p->mem_bytes, bytes = lines;
    espl_program_free(p);
    /* two layers and END take three lines of commands at least */
    while (m.mem_bytes = bytes - LINE, espl_map_network(q, &m, &p, &err) == ESPL_OK) {
      cr_assert_leq(p->mem_bytes, m.mem_bytes);
      cr_assert_geq(p->mem_bytes, 3 * LINE);
      bytes = p->mem_bytes;
      espl_program_free(p);
      cr_expect_eq(mapped_check(q, &m, seed % 3 == 0, seed), cycles, "%s in %u bytes", m.name, (unsigned)m.mem_bytes);
    }
    cr_expect(strstr(err.msg, "bytes of memory, machine"), "%s", err.msg);
    cr_expect_leq(bytes, lines - 4 * LINE, "%u bytes instead of %u", (unsigned)bytes, (unsigned)lines);
    espl_qnet_free(q);
  }
}

/* A fully connected layer over `inputs` values of one pixel, 10 outputs. */
static espl_qnet *classifier(int32_t side, espl_rng *r) {
  espl_qnet *q = calloc(1, sizeof *q);
  q->name = strdup("classifier");
  q->tensors = 2;
  q->layers = q->output = 1;
  q->tensor = calloc(2, sizeof *q->tensor);
  q->layer = calloc(1, sizeof *q->layer);
  q->tensor[0] = (espl_qtensor){.shape = {side * side, 1, 1}, .scale = 1, .zero = -3};
  q->tensor[1] = (espl_qtensor){.shape = {10, 1, 1}, .scale = 1};
  q->layer[0] = (espl_qlayer){.out = 1, .res = -1, .in_c = side * side, .out_c = 10, .kh = 1, .kw = 1, .sh = 1, .sw = 1, .dh = 1, .dw = 1, .groups = 1,
                              .conv_h = 1, .conv_w = 1, .win_h = 1, .win_w = 1, .psy = 1, .psx = 1};
  qref_fill(q, 0, r, 0, 2);
  return q;
}

/* 8 KB: a line for the commands of one layer and END's, and all else in what they leave. 256 inputs are 2,560 bytes of weights, 400 are 4,000: more than any tail. */
Test(tight, one_layer_lives_in_two_lines) {
  espl_machine m;
  espl_err err = {0};
  espl_rng r = {.seed = 32};
  cr_assert_eq(espl_machine_load("hx8k-bram", &m, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(m.mem_bytes, 2 * LINE);
  espl_qnet *q = classifier(16, &r);
  for (uint64_t seed = 0; seed < 3; seed++) mapped_check(q, &m, seed == 1, seed);
  espl_qnet_free(q);
  q = classifier(20, &r);
  espl_program *p = NULL;
  cr_expect_eq(espl_map_network(q, &m, &p, &err), ESPL_E_UNSUPPORTED);
  cr_expect(strstr(err.msg, "bytes of memory, machine hx8k-bram has 8192"), "%s", err.msg);
  espl_qnet_free(q);
}
