/* Memory runs of a layer: inside memory, off the program, and ordered where a load and a store meet. */
#include <stdlib.h>

#include "device/check_int.h"
#include "espl_hw.h"

espl_status espl_runs_add(const struct check *c, struct espl_runs *r, uint32_t index, int unit, bool write, uint64_t addr, uint64_t bytes, espl_err *err) {
  if (r->count == r->cap) {
    uint32_t cap = r->cap ? 2 * r->cap : 256;
    void *p = realloc(r->run, (size_t)cap * sizeof *r->run);
    if (!p) return espl_fail(err, ESPL_E_NOMEM, "program check: out of memory");
    r->run = p;
    r->cap = cap;
  }
  bool store = unit == ESPL_UNIT_STORE;
  uint64_t known = espl_check_known(c, unit, store ? ESPL_UNIT_LOAD : ESPL_UNIT_STORE);
  r->run[r->count++] = (struct espl_run_access){addr, addr + bytes, index, (uint32_t)known, store, write};
  return ESPL_OK;
}

espl_status espl_runs_inside(const struct espl_runs *r, uint64_t mem_bytes, uint32_t bus, uint32_t index, espl_err *err) {
  for (uint32_t i = r->count; i > 0 && r->run[i - 1].index == index; i--) {
    uint64_t end = (r->run[i - 1].end + bus - 1) / bus * bus;
    if (end > mem_bytes)
      return espl_check_fail(err, index, "touches bytes 0x%llx..0x%llx, memory ends at 0x%llx", (unsigned long long)r->run[i - 1].addr,
                             (unsigned long long)end, (unsigned long long)mem_bytes);
  }
  return ESPL_OK;
}

static int by_addr(const void *a, const void *b) {
  const struct espl_run_access *x = a, *y = b;
  return x->addr < y->addr ? -1 : x->addr > y->addr;
}

espl_status espl_runs_self(const struct espl_runs *r, uint32_t mark, uint32_t index, espl_err *err) {
  uint32_t n = r->count - mark;
  struct espl_run_access *t = malloc(((size_t)n + 1) * sizeof *t);
  if (!t) return espl_fail(err, ESPL_E_NOMEM, "program check: out of memory");
  for (uint32_t i = 0; i < n; i++) t[i] = r->run[mark + i];
  qsort(t, n, sizeof *t, by_addr);
  uint64_t end[2] = {0, 0}; /* furthest end of reads, of writes, so far */
  bool clash = false;
  for (uint32_t i = 0; i < n; i++) {
    clash = clash || end[!t[i].write] > t[i].addr;
    if (t[i].end > end[t[i].write]) end[t[i].write] = t[i].end;
  }
  free(t);
  if (clash) return espl_check_fail(err, index, "its residual operand and its output overlap without being the same tensor tile");
  return ESPL_OK;
}

/* A load and a store run that overlap, one writing: the later in list order must know the earlier finished. */
static bool ordered(const struct espl_run_access *a, const struct espl_run_access *b) {
  if (a->store == b->store || !(a->write || b->write)) return true;
  const struct espl_run_access *late = a->index > b->index ? a : b, *early = a->index > b->index ? b : a;
  return late->known >= early->index + 1;
}

espl_status espl_runs_check(struct espl_runs *r, uint64_t prog_addr, uint64_t prog_bytes, espl_err *err) {
  qsort(r->run, r->count, sizeof *r->run, by_addr);
  uint32_t open = 0; /* runs [open..i) whose furthest end may reach run i */
  for (uint32_t i = 0; i < r->count; i++) {
    const struct espl_run_access *a = &r->run[i];
    if (a->write && a->addr < prog_addr + prog_bytes && a->end > prog_addr)
      return espl_check_fail(err, a->index, "writes 0x%llx..0x%llx into the program", (unsigned long long)a->addr, (unsigned long long)a->end);
    while (open < i && r->run[open].end <= a->addr) open++;
    for (uint32_t k = open; k < i; k++) {
      const struct espl_run_access *b = &r->run[k];
      if (b->end > a->addr && !ordered(a, b))
        return espl_check_fail(err, a->index > b->index ? a->index : b->index, "touches memory 0x%llx that command %u also touches, without a token between them",
                               (unsigned long long)a->addr, (unsigned)(a->index > b->index ? b->index : a->index));
    }
  }
  return ESPL_OK;
}
