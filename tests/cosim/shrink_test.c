/* The shrinker, the case file and programs for tight buffers without any RTL: a stand-in for a wrong core "differs" on programs with a certain trait; what is left must still be legal,
 * still have the trait, be small, and come back from its file as it was. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case.h"
#include "map/machine_yaml.h"
#include "shrink.h"

enum { SEEDS = 30, TRIALS = 10000 };

static int passed, failed;

static void check(bool ok, const char *what, uint64_t seed, const pg_shrunk *s) {
  if (ok) passed++;
  else failed++;
  if (!ok) printf("FAIL seed %llu: %s (%u of %u commands, %u trials)\n", (unsigned long long)seed, what, (unsigned)s->commands, (unsigned)s->commands_before, (unsigned)s->trials);
}

static uint32_t opcode(const pg_cmd *k) { return k->w[0] & 15u; }

/* A wrong stride: a COMPUTE under a geometry that goes down faster than across, over several rows, and a STORE of that bank. */
static bool wrong_stride(void *ctx, const pg_program *p) {
  uint32_t down = 0, across = 0, bank = 2;
  (void)ctx;
  for (uint32_t i = 0; i < p->n; i++) {
    espl_cmd_compute k;
    espl_cmd_comp_geom q;
    const pg_cmd *c = &p->cmd[i];
    if ((c->w[0] & 0x73fu) == (ESPL_OPC_CFG | ESPL_UNIT_COMPUTE << 4)) {
      espl_cmd_comp_geom_decode(c->w, &q);
      down = q.sy;
      across = q.sx;
    }
    espl_cmd_compute_decode(c->w, &k);
    if (opcode(c) == ESPL_OPC_COMPUTE && down > across && k.out_h >= 2) bank = k.bank;
    if (opcode(c) == ESPL_OPC_STORE && espl_bits_get(c->w, 8, 1) == bank) return true;
  }
  return false;
}

/* A token counter that is too small: three tokens from load to compute under way in list order. */
static bool few_tokens(void *ctx, const pg_program *p) {
  uint32_t level = 0;
  (void)ctx;
  for (uint32_t i = 0; i < p->n; i++) {
    if (opcode(&p->cmd[i]) == ESPL_OPC_COMPUTE && p->cmd[i].w[0] >> 4 & 1u) level--;
    if (opcode(&p->cmd[i]) == ESPL_OPC_LOAD && p->cmd[i].w[0] >> 6 & 1u && ++level == 3) return true;
  }
  return false;
}

/* Slow memory with stalls. */
static bool slow_memory(void *ctx, const pg_program *p) {
  (void)ctx;
  return p->machine.mem.stall_mod > 0 && p->machine.mem.read_latency >= 10 && p->n >= 2;
}

static bool legal(pg_program *p) {
  espl_err err = {0};
  pg_place(p, true);
  return espl_program_check(&p->machine, p->memory, p->prog_base, p->prog_bytes, &err) == ESPL_OK;
}

static void round_trip(pg_program *p, const pg_fields *fields, uint64_t seed, const pg_shrunk *s) {
  const char *path = "shrink_test.case";
  pg_program *q = NULL;
  espl_err err = {0};
  pg_place(p, false);
  bool ok = pg_case_write(path, p, fields, "a test", &err) == ESPL_OK && pg_case_read(path, &q, &err) == ESPL_OK;
  check(ok, "the case file comes back", seed, s);
  if (ok) {
    check(memcmp(&q->machine.mem, &p->machine.mem, sizeof q->machine.mem) == 0 && espl_machine_hash(&q->machine) == espl_machine_hash(&p->machine) &&
              q->prog_addr == p->prog_addr && q->prog_bytes == p->prog_bytes && q->expect_hash == p->expect_hash && q->kind == p->kind, "its numbers are the same", seed, s);
    check(q->machine.mem_bytes == p->machine.mem_bytes && memcmp(q->memory, p->memory, p->machine.mem_bytes) == 0, "its memory is the same", seed, s);
  }
  pg_free(q);
  remove(path);
}

static void one(const espl_machine *m, const pg_fields *fields, uint64_t seed, pg_kind kind, bool (*trait)(void *, const pg_program *), uint32_t most) {
  pg_program *p = pg_make(m, seed, kind, 40);
  pg_shrunk s = {0};
  pg_oracle oracle = {trait, NULL};
  if (p && trait(NULL, p)) {
    check(pg_shrink(p, fields, &oracle, TRIALS, &s), "memory", seed, &s);
    check(trait(NULL, p), "the trait is still there", seed, &s);
    check(legal(p), "the program is legal but for its change", seed, &s);
    check(s.commands <= most, "it is small", seed, &s);
    check(kind == PG_LEGAL || p->bad_at < p->n || kind >= PG_TRUNCATED, "the change is still there", seed, &s);
    round_trip(p, fields, seed, &s);
  }
  pg_free(p);
}

/* Buffers of hardly more than what one job needs: programs are legal all the same. */
static void tight_buffers(void) {
  espl_machine m;
  espl_err err = {0};
  pg_shrunk none = {0};
  espl_machine_default(&m);
  m.wgt_aw = 9; /* two tiles */
  m.act_aw = 9;
  m.par_aw = 4;
  m.acc_aw = 5;
  m.idx_aw = 4;
  m.bus_bytes = 4;
  check(espl_machine_check(&m, &err) == ESPL_OK, err.msg, 0, &none);
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    pg_program *p = pg_make(&m, seed, PG_LEGAL, 40);
    check(p && legal(p), "a program for tight buffers is legal", seed, &none);
    pg_free(p);
  }
}

int main(void) {
  espl_machine m;
  espl_err err = {0};
  pg_fields *fields = malloc(sizeof *fields);
  if (!fields || pg_fields_load(fields, &err) != ESPL_OK || espl_machine_load("4x4", &m, &err) != ESPL_OK) {
    fprintf(stderr, "shrink_test: %s\n", err.msg);
    return 1;
  }
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    one(&m, fields, seed, PG_LEGAL, wrong_stride, 20);  /* two configurations, quantization, COMPUTE, STORE, END; more where weight credits hang together */
    one(&m, fields, seed, PG_LEGAL, few_tokens, 14);    /* three loads; computes that take the tokens, their configuration; END */
    one(&m, fields, seed, PG_LEGAL, slow_memory, 2);    /* END and one more */
    one(&m, fields, seed, PG_READ, slow_memory, 12);    /* the faulty load or store, and what it needs to be legal otherwise */
    one(&m, fields, seed, PG_TRUNCATED, slow_memory, 2);
  }
  tight_buffers();
  free(fields);
  if (passed < 4 * SEEDS) printf("FAIL: only %d checks were made\n", passed), failed++;
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
