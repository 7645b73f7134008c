/* networks: whole networks on the Verilated core in SystemC, beside the C model and the integer evaluator.
 *
 *   networks NETWORK CxHxW MACHINE...        (a network of configs/networks with seeded weights, an image of seeded pixels)
 *
 * On each machine: the RTL's logits are those of the integer evaluator (which knows nothing of the machine), every byte of memory, every
 * layer's cycles and counters are those of the C model. One line a run; then "N passed, M failed". Exit status 0: all agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "graph/zoo.h"
#include "map/machine_yaml.h"
#include "map/map.h"

enum { CLASSES = 10, SEED = 1 };

typedef struct subject {
  espl_graph *g;
  espl_qnet *q;
  int8_t *image, *logits;
  int32_t classes;
} subject;

static espl_status prepare(const char *name, espl_shape shape, subject *s, espl_err *err) {
  espl_quant_config c;
  espl_preprocess pp;
  espl_qexec *x = NULL;
  espl_quant_default(&c);
  espl_preprocess_default(&pp);
  ESPL_TRY(espl_zoo_build(name, shape, CLASSES, SEED, &s->g, err));
  ESPL_TRY(espl_quantize(s->g, NULL, &pp, &c, &s->q, err));
  int64_t n = espl_shape_elems(shape);
  s->classes = s->q->tensor[s->q->output].shape.c;
  s->image = malloc((size_t)n);
  s->logits = malloc((size_t)s->classes);
  if (!s->image || !s->logits) return espl_fail(err, ESPL_E_NOMEM, "networks: out of memory");
  for (int64_t i = 0; i < n; i++) s->image[i] = (int8_t)(uint8_t)espl_rng_u64(SEED, 7, (uint64_t)i);
  ESPL_TRY(espl_qexec_new(s->q, 1, &x, err));
  espl_status st = espl_qexec_run(x, 1, s->image, s->logits, err);
  espl_qexec_free(x);
  return st;
}

static void release(subject *s) {
  espl_qnet_free(s->q);
  espl_graph_free(s->g);
  free(s->image);
  free(s->logits);
}

/* How many different logits there are: with one alone a comparison would say little. */
static int distinct(const subject *s) {
  int n = 0;
  bool seen[256] = {false};
  for (int32_t i = 0; i < s->classes; i++) {
    bool *at = &seen[(uint8_t)s->logits[i]];
    n += !*at;
    *at = true;
  }
  return n;
}

/* Both bodies on mem[0] and mem[1]. */
static espl_status compare(const subject *s, const espl_program *p, uint8_t *mem[2], espl_run_result r[2], double *seconds, espl_err *err) {
  espl_machine m = p->machine;
  m.mem_bytes = p->mem_bytes;
  ESPL_TRY(espl_program_run(p, s->q, ESPL_ENGINE_MODEL, s->image, NULL, mem[0], &r[0], err));
  ESPL_TRY(espl_device_rtl_prepare(&m, err));
  double t0 = espl_now();
  ESPL_TRY(espl_program_run(p, s->q, ESPL_ENGINE_RTL, s->image, NULL, mem[1], &r[1], err));
  *seconds = espl_now() - t0;
  if (r[1].hw_status != ESPL_HW_NONE) return espl_fail(err, ESPL_E_FAILED, "the machine stopped with %s at command %u", espl_hw_status_name(r[1].hw_status), (unsigned)r[1].err_index);
  ESPL_TRY(espl_device_compare(&m, &r[0], mem[0], "the model", &r[1], mem[1], "the RTL", err));
  int8_t *logits = malloc((size_t)s->classes);
  if (!logits) return espl_fail(err, ESPL_E_NOMEM, "networks: out of memory");
  espl_program_get_tensor(p, s->q, s->q->output, mem[1], logits);
  bool same = memcmp(logits, s->logits, (size_t)s->classes) == 0;
  free(logits);
  return same ? ESPL_OK : espl_fail(err, ESPL_E_MISMATCH, "the RTL's logits are not those of the integer evaluator");
}

static espl_status one_machine(const subject *s, const char *network, const char *machine, espl_err *err) {
  espl_machine m;
  espl_program *p = NULL;
  espl_run_result r[2] = {{0}, {0}};
  double seconds = 0;
  ESPL_TRY(espl_machine_load(machine, &m, err));
  ESPL_TRY(espl_map_network(s->q, &m, &p, err));
  uint8_t *mem[2] = {malloc(p->mem_bytes), malloc(p->mem_bytes)};
  espl_status st = mem[0] && mem[1] ? compare(s, p, mem, r, &seconds, err) : espl_fail(err, ESPL_E_NOMEM, "networks: out of memory");
  if (st == ESPL_OK)
    printf("ok   %s on %s: %d layers, %llu cycles on both, %d logits (%d different) as evaluated, %.1f s\n", network, m.name, (int)r[1].layers,
           (unsigned long long)r[1].cycles, (int)s->classes, distinct(s), seconds);
  free(mem[0]);
  free(mem[1]);
  espl_run_result_clear(&r[0]);
  espl_run_result_clear(&r[1]);
  espl_program_free(p);
  return st;
}

int main(int argc, char **argv) {
  espl_shape shape;
  if (argc < 4 || sscanf(argv[2], "%dx%dx%d", &shape.c, &shape.h, &shape.w) != 3) {
    fputs("usage: networks NETWORK CxHxW MACHINE...\n", stderr);
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  subject s = {0};
  espl_err err = {0};
  int failed = 0;
  if (prepare(argv[1], shape, &s, &err) != ESPL_OK) {
    fprintf(stderr, "networks: %s: %s\n", argv[1], err.msg);
    release(&s);
    return 1;
  }
  for (int i = 3; i < argc; i++) {
    err = (espl_err){0};
    if (one_machine(&s, argv[1], argv[i], &err) == ESPL_OK) continue;
    printf("FAIL %s on %s: %s\n", argv[1], argv[i], err.msg);
    failed++;
  }
  release(&s);
  printf("%d passed, %d failed\n", argc - 3 - failed, failed);
  return failed != 0;
}
