/* Test support: a whole integer network on the machine's model, every tensor against the definition of the arithmetic (qref.h). */
#ifndef ESPL_TESTS_MAPPED_H
#define ESPL_TESTS_MAPPED_H
#include <criterion/criterion.h>
#include <stdio.h>

#include "map/map_int.h"
#include "qref.h"

static inline espl_machine mapped_machine(const char *name, int32_t rows, int32_t cols) {
  espl_machine m;
  espl_machine_default(&m);
  snprintf(m.name, sizeof m.name, "%s", name);
  m.rows = rows;
  m.cols = cols;
  if (m.rq_lanes > espl_g(&m)) m.rq_lanes = espl_g(&m);
  m.fold = rows >= 8 && rows <= 16 && rows <= cols && m.dw_banks >= 2;
  return m;
}

/* tensor[t]: plain arrays; a slice goes into its whole. */
static inline void mapped_reference(const espl_qnet *q, int8_t **tensor) {
  for (int32_t i = 0; i < q->layers; i++) {
    qref_layer(q, i, tensor);
    for (int32_t t = q->layer[i].out; q->tensor[t].whole > 0; t = q->tensor[t].whole) {
      espl_shape s = q->tensor[t].shape;
      int64_t px = (int64_t)s.h * s.w;
      memcpy(tensor[q->tensor[t].whole] + q->tensor[t].whole_c * px, tensor[t], (size_t)(px * s.c));
    }
  }
}

static inline int8_t **mapped_tensors(const espl_qnet *q) {
  int8_t **t = calloc((size_t)q->tensors, sizeof *t);
  for (int32_t i = 0; i < q->tensors; i++) t[i] = calloc((size_t)espl_shape_elems(q->tensor[i].shape), 1);
  return t;
}

static inline void mapped_tensors_free(const espl_qnet *q, int8_t **t) {
  for (int32_t i = 0; i < q->tensors; i++) free(t[i]);
  free(t);
}

static inline void mapped_equal(const espl_qnet *q, const char *who, int32_t t, const int8_t *want, const int8_t *got) {
  espl_shape s = q->tensor[t].shape;
  if (memcmp(want, got, (size_t)espl_shape_elems(s)) == 0) return;
  for (int64_t i = 0; i < espl_shape_elems(s); i++)
    cr_assert_eq(want[i], got[i], "%s: %s: tensor %d [%d,%d,%d], value %lld is %d, expected %d", q->name, who, t, s.c, s.h, s.w, (long long)i, got[i], want[i]);
}

/* A batch: the output of every image is that of the image alone. Returns the cycles of the run. */
static inline uint64_t mapped_batch(const espl_qnet *q, const espl_machine *m, int32_t images, bool keep, uint64_t seed) {
  espl_err err = {0};
  espl_program *p = NULL;
  cr_assert_eq(espl_map_build(q, m, &(espl_map_config){.images = images, .keep = keep}, &p, &err), ESPL_OK, "machine %s: %s", m->name, err.msg);
  espl_machine mm = *m;
  mm.mem_bytes = p->mem_bytes;
  cr_assert_eq(espl_program_check(&mm, p->image, p->prog_addr, p->prog_bytes, &err), ESPL_OK, "machine %s: %s", m->name, err.msg);
  int64_t n = espl_shape_elems(q->tensor[0].shape);
  int8_t *in = malloc((size_t)(n * images));
  for (int64_t j = 0; j < n * images; j++) in[j] = (int8_t)(uint8_t)espl_rng_u64(seed, 77, (uint64_t)j);
  uint8_t *mem = calloc(p->mem_bytes, 1);
  espl_run_result r = {0}, timed = {0};
  cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_MODEL, in, NULL, mem, &r, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(r.hw_status, ESPL_HW_NONE, "%s on %s: stops with %s at command %u", q->name, m->name, espl_hw_status_name(r.hw_status), r.err_index);
  cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_TIMING, NULL, NULL, NULL, &timed, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(timed.cycles, r.cycles);
  int8_t **want = mapped_tensors(q), **got = calloc((size_t)q->tensors, sizeof *got);
  for (int32_t t = 0; t < q->tensors; t++) {
    got[t] = malloc((size_t)(images * espl_shape_elems(q->tensor[t].shape)));
    espl_program_get_tensor(p, q, t, mem, got[t]);
  }
  for (int32_t b = 0; b < images; b++) {
    memcpy(want[0], in + b * n, (size_t)n);
    mapped_reference(q, want);
    for (int32_t t = 0; t < q->tensors; t++)
      if (keep || t == q->output) mapped_equal(q, m->name, t, want[t], got[t] + b * espl_shape_elems(q->tensor[t].shape));
  }
  for (int32_t i = 0; i < q->layers; i++) {
    cr_assert_eq(r.layer[i].counter[ESPL_CNT_MACS], p->layer[i].macs);
    cr_assert_eq(r.layer[i].counter[ESPL_CNT_MACS_DENSE], (uint64_t)images * (uint64_t)q->layer[i].macs_dense);
  }
  uint64_t cycles = r.cycles;
  espl_run_result_clear(&r);
  espl_run_result_clear(&timed);
  espl_program_free(p);
  mapped_tensors_free(q, want);
  mapped_tensors_free(q, got);
  free(in);
  free(mem);
  return cycles;
}

/* Evaluation on the CPU, and the machine: legal, all tensors where they keep their memory (else the output), cycles of layers as they are timed
 * alone and of the network as it is timed without a program. Returns its cycles. */
static inline uint64_t mapped_check(const espl_qnet *q, const espl_machine *m, bool keep, uint64_t seed) {
  espl_err err = {0};
  espl_program *p = NULL;
  espl_qexec *x = NULL;
  int8_t **want = mapped_tensors(q), **got = mapped_tensors(q);
  for (int64_t j = 0; j < espl_shape_elems(q->tensor[0].shape); j++) want[0][j] = (int8_t)(uint8_t)espl_rng_u64(seed, 77, (uint64_t)j);
  mapped_reference(q, want);
  cr_assert_eq(espl_qexec_new(q, 1, &x, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_qexec_keep(x, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_qexec_run(x, 1, want[0], got[q->output], &err), ESPL_OK, "%s", err.msg);
  for (int32_t t = 0; t < q->tensors; t++) {
    cr_assert_eq(espl_qexec_tensor(x, t, got[t], &err), ESPL_OK);
    mapped_equal(q, "CPU evaluation", t, want[t], got[t]);
  }
  espl_qexec_free(x);
  cr_assert_eq(espl_map_build(q, m, &(espl_map_config){.keep = keep}, &p, &err), ESPL_OK, "machine %s: %s", m->name, err.msg);
  cr_assert(keep ? p->tensor_bytes == p->tensor_bytes_apart : p->tensor_bytes <= p->tensor_bytes_apart);
  espl_machine mm = *m;
  mm.mem_bytes = p->mem_bytes;
  cr_assert_eq(espl_program_check(&mm, p->image, p->prog_addr, p->prog_bytes, &err), ESPL_OK, "machine %s: %s", m->name, err.msg);
  uint8_t *mem = calloc(p->mem_bytes, 1);
  espl_run_result r = {0};
  cr_assert_eq(espl_program_run(p, q, ESPL_ENGINE_MODEL, want[0], NULL, mem, &r, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(r.hw_status, ESPL_HW_NONE, "%s on %s: stops with %s at command %u", q->name, m->name, espl_hw_status_name(r.hw_status), r.err_index);
  for (int32_t t = 0; t < q->tensors; t++) {
    if (!keep && t != q->output) continue;
    espl_program_get_tensor(p, q, t, mem, got[t]);
    mapped_equal(q, m->name, t, want[t], got[t]);
  }
  for (int32_t i = 0; i < q->layers && m->mem.banks == 0; i++) { /* with banks a layer's time depends on where it lies */
    uint64_t alone = 0;
    cr_assert_eq(espl_layer_cost(q, i, m, -1, &alone, &err), ESPL_OK, "%s", err.msg);
    cr_assert_eq(alone, r.layer[i].counter[ESPL_CNT_CYCLES], "%s on %s: layer %d alone %llu cycles, in the network %u", q->name, m->name, i, (unsigned long long)alone,
                 r.layer[i].counter[ESPL_CNT_CYCLES]);
  }
  espl_sim_result timed;
  cr_assert_eq(espl_time_network(q, m, &timed, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(timed.raw.cycles, r.cycles, "%s on %s: %llu cycles timed, %llu run", q->name, m->name, (unsigned long long)timed.raw.cycles, (unsigned long long)r.cycles);
  uint64_t cycles = r.cycles;
  espl_sim_result_clear(&timed);
  espl_run_result_clear(&r);
  espl_program_free(p);
  free(mem);
  mapped_tensors_free(q, want);
  mapped_tensors_free(q, got);
  return cycles;
}
#endif
