/* First difference of two runs, in time. */
#include "first.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *unit_name(const espl_bus_event *e) {
  static const char *const names[] = {"fetch", "load", "store's residual reader", "store", "mark"};
  return e->unit < 5 ? names[e->unit] : e->channel ? "a writer" : "a reader";
}

static void describe(const espl_bus_event *e, char *text, size_t n) {
  snprintf(text, n, "%s %s %u beats at 0x%x in cycle %llu", unit_name(e), e->channel ? "writes" : "reads", (unsigned)e->beats, (unsigned)e->addr, (unsigned long long)e->cycle);
}

/* Next event of a channel from *at on; NULL at the end. */
static const espl_bus_event *next_of(const espl_bus_log *l, int channel, uint32_t *at) {
  while (*at < l->count && l->event[*at].channel != channel) ++*at;
  return *at < l->count ? &l->event[(*at)++] : NULL;
}

/* First pair of a channel that is not equal; false: none (or one log was full before). */
static bool first_of(const espl_bus_log *a, const espl_bus_log *b, int channel, const espl_bus_event **ea, const espl_bus_event **eb) {
  uint32_t ia = 0, ib = 0;
  do {
    *ea = next_of(a, channel, &ia);
    *eb = next_of(b, channel, &ib);
    if ((!*ea && a->count == a->cap) || (!*eb && b->count == b->cap)) return false;
  } while (*ea && *eb && (*ea)->cycle == (*eb)->cycle && (*ea)->addr == (*eb)->addr && (*ea)->beats == (*eb)->beats);
  return *ea || *eb;
}

static uint64_t when(const espl_bus_event *a, const espl_bus_event *b) {
  return !a ? b->cycle : !b || a->cycle < b->cycle ? a->cycle : b->cycle;
}

static bool bus_difference(const espl_bus_log *a, const espl_bus_log *b, char *text, size_t n) {
  const espl_bus_event *ea = NULL, *eb = NULL, *fa = NULL, *fb = NULL;
  bool any = false;
  for (int channel = 0; channel < 2; channel++) {
    if (!first_of(a, b, channel, &fa, &fb)) continue;
    if (any && when(ea, eb) <= when(fa, fb)) continue;
    any = true;
    ea = fa;
    eb = fb;
  }
  if (!any) return false;
  char model[160] = "no more burst", rtl[160] = "no more burst";
  if (ea) describe(ea, model, sizeof model);
  if (eb) describe(eb, rtl, sizeof rtl);
  snprintf(text, n, "first difference in cycle %llu: model: %s; RTL: %s", (unsigned long long)when(ea, eb), model, rtl);
  return true;
}

void first_difference(const espl_machine *m, const espl_bus_log *a, const uint8_t *mem_a, const espl_bus_log *b, const uint8_t *mem_b, char *text, size_t n) {
  text[0] = 0;
  if (bus_difference(a, b, text, n)) return;
  uint32_t bus = (uint32_t)m->bus_bytes;
  for (uint32_t i = 0; i < a->count; i++) { /* bursts in time; a later burst over the same bytes names the earlier one */
    const espl_bus_event *e = &a->event[i];
    uint32_t from = e->addr & ~(bus - 1), to = from + e->beats * bus;
    if (!e->channel || to > m->mem_bytes) continue;
    for (uint32_t at = from; at < to; at++) {
      if (mem_a[at] == mem_b[at]) continue;
      snprintf(text, n, "first differing byte: 0x%x, written by the %s burst of cycle %llu: %u on the model, %u on the RTL", (unsigned)at, unit_name(e),
               (unsigned long long)e->cycle, (unsigned)mem_a[at], (unsigned)mem_b[at]);
      return;
    }
  }
}
