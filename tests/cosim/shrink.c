/* Shrinks a differing program: see shrink.h. */
#include "shrink.h"

#include <stdlib.h>
#include <string.h>

#define MEMORY_LEAST 64u /* bytes cleared or kept together */
#define FEW 12u          /* commands: with more left, latencies are varied too */
#define LATENCIES 6

/* A list and the places of its illegal change; what a trial changes besides machine and memory. */
typedef struct list {
  pg_cmd *cmd;
  uint32_t n, bad_at, cut_at, cut_in;
} list;

typedef struct shrinker {
  pg_program *p;
  const pg_fields *fields;
  const pg_oracle *oracle;
  pg_cmd *spare;
  bool *drop;
  uint32_t trials, most;
  bool other_timing; /* a trial without some commands is repeated with other latencies */
} shrinker;

/* --- trials --------------------------------------------------------------------------------------------------------- */

static bool exhausted(const shrinker *s) { return s->trials >= s->most; }

/* The program as it is now: legal but for its change, and different. */
static bool still_differs(shrinker *s) {
  pg_program *p = s->p;
  espl_err err = {0};
  s->trials++;
  pg_place(p, true);
  if (espl_program_check(&p->machine, p->memory, p->prog_base, p->prog_bytes, &err) != ESPL_OK) return false;
  pg_place(p, false);
  return s->oracle->differs(s->oracle->ctx, p);
}

/* The same with latencies near the present one: what meets in one cycle may meet again when the commands before it are fewer. */
static bool differs_at_some_latency(shrinker *s) {
  if (still_differs(s)) return true;
  int32_t *latency = &s->p->machine.mem.read_latency, old = *latency;
  for (int32_t k = 1; s->other_timing && k <= 2 * LATENCIES && !exhausted(s); k++) {
    *latency = old + (k & 1 ? (k + 1) / 2 : -k / 2);
    if (*latency >= 1 && still_differs(s)) return true;
  }
  *latency = old;
  return false;
}

static list take(const pg_program *p) { return (list){p->cmd, p->n, p->bad_at, p->cut_at, p->cut_in}; }
static void give(pg_program *p, list l) {
  p->cmd = l.cmd;
  p->n = l.n;
  p->bad_at = l.bad_at;
  p->cut_at = l.cut_at;
  p->cut_in = l.cut_in;
}

/* --- tokens --------------------------------------------------------------------------------------------------------- */

static const struct channel { uint32_t from, push_bit, to, pop_bit; } channels[6] = {
    {ESPL_OPC_LOAD, 6, ESPL_OPC_COMPUTE, 4}, {ESPL_OPC_LOAD, 7, ESPL_OPC_STORE, 4},   {ESPL_OPC_COMPUTE, 6, ESPL_OPC_LOAD, 4},
    {ESPL_OPC_COMPUTE, 7, ESPL_OPC_STORE, 5}, {ESPL_OPC_STORE, 6, ESPL_OPC_LOAD, 5}, {ESPL_OPC_STORE, 7, ESPL_OPC_COMPUTE, 5}};

static bool has(const pg_cmd *k, uint32_t opcode, uint32_t bit) { return (k->w[0] & 15u) == opcode && k->w[0] >> bit & 1u; }

/* Next command from `at` on with that flag; n when there is none. */
static uint32_t next_flag(const pg_cmd *cmd, uint32_t n, uint32_t at, uint32_t opcode, uint32_t bit) {
  while (at < n && !has(&cmd[at], opcode, bit)) at++;
  return at;
}

/* Takes away the flag at the other end of every token whose one end is dropped: the n-th push belongs to the n-th pop. */
static void cut_tokens(pg_cmd *cmd, uint32_t n, const bool *drop) {
  for (int c = 0; c < 6; c++) {
    const struct channel *h = &channels[c];
    uint32_t push = 0, pop = 0;
    for (;; push++, pop++) {
      push = next_flag(cmd, n, push, h->from, h->push_bit);
      pop = next_flag(cmd, n, pop, h->to, h->pop_bit);
      if (push == n || pop == n) break;
      if (!drop[push] && !drop[pop]) continue;
      cmd[push].w[0] &= ~(1u << h->push_bit);
      cmd[pop].w[0] &= ~(1u << h->pop_bit);
    }
    for (; push < n; push++) /* pushes that nobody pops */
      if (drop[push]) cmd[push].w[0] &= ~(1u << h->push_bit);
  }
}

/* Number of the token in its channel, by counting flags; then the k-th push and pop lose theirs. */
static bool drop_token(shrinker *s, const struct channel *h, uint32_t k) {
  pg_program *p = s->p;
  list old = take(p);
  uint32_t push = 0, pop = 0;
  for (uint32_t i = 0;; i++, push++, pop++) {
    push = next_flag(p->cmd, p->n, push, h->from, h->push_bit);
    pop = next_flag(p->cmd, p->n, pop, h->to, h->pop_bit);
    if (push == p->n || i == k) break;
  }
  if (push == p->n) return false;
  memcpy(s->spare, p->cmd, p->n * sizeof *p->cmd);
  s->spare[push].w[0] &= ~(1u << h->push_bit);
  if (pop < p->n) s->spare[pop].w[0] &= ~(1u << h->pop_bit);
  p->cmd = s->spare;
  if (still_differs(s)) {
    s->spare = old.cmd;
    return true;
  }
  give(p, old);
  return false;
}

static bool shrink_tokens(shrinker *s) {
  bool any = false;
  for (int c = 0; c < 6; c++)
    for (uint32_t k = s->p->n; k-- > 0 && !exhausted(s);) any = drop_token(s, &channels[c], k) || any;
  return any;
}

/* --- commands ------------------------------------------------------------------------------------------------------- */

/* Tries the program without the commands marked in s->drop. */
static bool without(shrinker *s) {
  pg_program *p = s->p;
  list old = take(p), new = {s->spare, 0, PG_NO_CMD, PG_NO_CMD, p->cut_in};
  pg_cmd *all = malloc(p->n * sizeof *all);
  if (!all) return false;
  memcpy(all, p->cmd, p->n * sizeof *all);
  cut_tokens(all, p->n, s->drop);
  for (uint32_t i = 0; i < p->n; i++) {
    if (i == p->bad_at) new.bad_at = new.n;
    if (i == p->cut_at) {
      new.cut_at = new.n;
      if (s->drop[i]) new.cut_in = 0;
    }
    if (!s->drop[i]) new.cmd[new.n++] = all[i];
  }
  free(all);
  give(p, new);
  if (new.n < old.n && differs_at_some_latency(s)) {
    s->spare = old.cmd;
    return true;
  }
  give(p, old);
  return false;
}

/* END, the illegal command and (in its place) the cut stay. */
static bool may_drop(const pg_program *p, uint32_t i) { return i != p->bad_at && i + 1 < p->n; }

static bool without_range(shrinker *s, uint32_t from, uint32_t to) {
  bool some = false;
  for (uint32_t i = 0; i < s->p->n; i++) {
    s->drop[i] = i >= from && i < to && may_drop(s->p, i);
    some = some || s->drop[i];
  }
  return some && without(s);
}

/* One accumulator bank's use, from its first COMPUTE to its STORE. */
static bool without_tile(shrinker *s, uint32_t store) {
  const pg_program *p = s->p;
  uint32_t bank = espl_bits_get(p->cmd[store].w, 8, 1);
  memset(s->drop, 0, p->n);
  s->drop[store] = true;
  for (uint32_t i = store; i-- > 0;) {
    const uint32_t *w = p->cmd[i].w;
    if ((w[0] & 15u) != ESPL_OPC_COMPUTE || espl_bits_get(w, 10, 1) != bank) continue;
    s->drop[i] = true;
    if (espl_bits_get(w, 8, 1)) break;
  }
  return !s->drop[p->bad_at < p->n ? p->bad_at : p->n - 1] && without(s);
}

/* No weight credits any more: the loads that give them go, the computes ask for none. */
static bool without_credits(shrinker *s) {
  pg_program *p = s->p;
  bool any = false;
  pg_cmd *kept = malloc(p->n * sizeof *kept);
  if (!kept) return false;
  memcpy(kept, p->cmd, p->n * sizeof *kept);
  for (uint32_t i = 0; i < p->n; i++) {
    uint32_t *w = p->cmd[i].w, opcode = w[0] & 15u;
    s->drop[i] = opcode == ESPL_OPC_LOAD && espl_bits_get(w, 10, 1) && may_drop(p, i);
    if (opcode == ESPL_OPC_COMPUTE) w[0] &= ~(1u << 12);
    any = any || s->drop[i];
  }
  uint32_t n = p->n;
  any = any && without(s);
  if (!any) memcpy(p->cmd, kept, n * sizeof *kept);
  free(kept);
  return any;
}

static bool shrink_commands(shrinker *s) {
  bool any = without_credits(s);
  for (uint32_t size = s->p->n / 2; size > 0 && !exhausted(s); size /= 2)
    for (uint32_t at = 0; at < s->p->n && !exhausted(s);) {
      if (without_range(s, at, at + size)) any = true; /* the next ones have moved here */
      else at += size;
    }
  for (uint32_t i = s->p->n; i-- > 0 && !exhausted(s);)
    if (i < s->p->n && (s->p->cmd[i].w[0] & 15u) == ESPL_OPC_STORE) any = without_tile(s, i) || any;
  return any;
}

/* --- numbers -------------------------------------------------------------------------------------------------------- */

/* Places are not made smaller: a smaller address says nothing. */
static bool is_size(const pg_field *f) {
  static const char *const places[] = {"addr", "out_addr", "res_addr", "record", "dst"};
  for (size_t i = 0; i < sizeof places / sizeof *places; i++)
    if (strcmp(f->name, places[i]) == 0) return false;
  return strncmp(f->name, "pop_", 4) != 0 && strncmp(f->name, "push_", 5) != 0;
}

static bool try_field(shrinker *s, uint32_t i, const pg_field *f, int64_t v) {
  pg_cmd *k = &s->p->cmd[i], old = *k;
  pg_field_put(f, k->w, v);
  if (still_differs(s)) return true;
  *k = old;
  return false;
}

/* The smallest value, else ever smaller steps towards it. */
static bool shrink_field(shrinker *s, uint32_t i, const pg_field *f) {
  int64_t least = f->min > 0 ? f->min : 0, v = pg_field_get(f, s->p->cmd[i].w), from = v;
  if (v == least) return false;
  if (try_field(s, i, f, least)) return true;
  for (int64_t step = (v - least) / 2; step != 0 && !exhausted(s); step /= 2)
    if (try_field(s, i, f, v - step)) v -= step;
  return v != from;
}

static bool shrink_fields(shrinker *s) {
  bool any = false;
  for (uint32_t i = 0; i < s->p->n; i++)
    for (int k = 0; k < s->fields->n && i != s->p->bad_at && !exhausted(s); k++) {
      const pg_field *f = &s->fields->field[k];
      if (pg_field_of(f, s->p->cmd[i].w) && is_size(f)) any = shrink_field(s, i, f) || any;
    }
  return any;
}

static bool shrink_timing(shrinker *s) {
  espl_mem_timing *t = &s->p->machine.mem;
  struct { int32_t *v, least; } n[] = {{&t->turnaround, 0}, {&t->shared_path, 0}, {&t->stall_mod, 0}, {&t->read_latency, 1}, {&t->write_latency, 1}, {&t->outstanding, 1}};
  bool any = false;
  espl_mem_timing old = *t;
  t->num = t->den = 1;
  if (old.den != 1 && still_differs(s)) any = true;
  else *t = old;
  old = *t;
  t->banks = t->row_bytes = t->row_open = t->row_close = 0;
  if (old.banks && still_differs(s)) any = true;
  else *t = old;
  for (size_t i = 0; i < sizeof n / sizeof *n && !exhausted(s); i++) {
    int32_t v = *n[i].v;
    if (v == n[i].least) continue;
    *n[i].v = n[i].least;
    if (still_differs(s)) any = true;
    else *n[i].v = v;
  }
  return any;
}

/* --- memory --------------------------------------------------------------------------------------------------------- */

/* Clears [lo, hi) outside the program, or as much of it as may be. */
static void clear_memory(shrinker *s, uint32_t lo, uint32_t hi, uint8_t *keep) {
  uint8_t *at = s->p->memory + lo;
  bool zero = true;
  for (uint32_t i = 0; i < hi - lo && zero; i++) zero = at[i] == 0;
  if (zero || exhausted(s)) return;
  memcpy(keep + lo, at, hi - lo);
  memset(at, 0, hi - lo);
  if (still_differs(s)) return;
  memcpy(at, keep + lo, hi - lo);
  if (hi - lo <= MEMORY_LEAST) return;
  uint32_t half = lo + (hi - lo) / 2 / MEMORY_LEAST * MEMORY_LEAST;
  clear_memory(s, lo, half > lo ? half : lo + MEMORY_LEAST, keep);
  clear_memory(s, half > lo ? half : lo + MEMORY_LEAST, hi, keep);
}

static void shrink_memory(shrinker *s) {
  pg_program *p = s->p;
  uint8_t *keep = malloc(p->machine.mem_bytes);
  if (!keep) return;
  pg_place(p, true);
  uint32_t end = (p->prog_base + p->prog_bytes + MEMORY_LEAST - 1) / MEMORY_LEAST * MEMORY_LEAST;
  pg_place(p, false);
  clear_memory(s, 0, p->prog_base, keep);
  clear_memory(s, end, p->machine.mem_bytes, keep);
  free(keep);
}

bool pg_shrink(pg_program *p, const pg_fields *fields, const pg_oracle *oracle, uint32_t trials, pg_shrunk *out) {
  shrinker s = {.p = p, .fields = fields, .oracle = oracle, .most = trials, .spare = malloc(p->n * sizeof *s.spare), .drop = calloc(p->n, sizeof *s.drop)};
  *out = (pg_shrunk){.commands_before = p->n};
  bool ok = s.spare && s.drop;
  for (bool more = ok; more && !exhausted(&s);) {
    more = shrink_commands(&s);
    more = shrink_tokens(&s) || more;
    more = shrink_fields(&s) || more;
    more = shrink_timing(&s) || more;
    if (!more && p->n > FEW && !s.other_timing) more = s.other_timing = true;
  }
  if (ok) shrink_memory(&s);
  pg_place(p, false);
  free(s.spare);
  free(s.drop);
  out->trials = s.trials;
  out->commands = p->n;
  return ok;
}
