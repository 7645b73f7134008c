/* Memory timing: see memtime.h and hw/spec/memory.md. */
#include "timing/memtime.h"

#include <stddef.h>

#include "base/rng.h"

void espl_memtime_reset(espl_memtime *mt, const espl_mem_timing *t, int64_t now) {
  mt->t = *t;
  for (int i = 0; i < 2; i++) {
    mt->path[i] = (espl_path){.free_at = now, .credit_at = now, .credit = t->den};
    mt->bursts[i] = 0;
  }
  for (int32_t i = 0; i < t->banks; i++) mt->bank[i] = (espl_bank){.row = -1, .ready = now, .free_at = now};
  mt->resp_at = now - 1;
}

/* The bank of `addr` with its row open: *ready is the first cycle (>= t) in which it is. */
static espl_bank *open_row(espl_memtime *mt, int64_t t, uint32_t addr, int64_t *ready) {
  const espl_mem_timing *mem = &mt->t;
  uint32_t line = addr / (uint32_t)mem->row_bytes;
  int64_t row = line / (uint32_t)mem->banks;
  espl_bank *b = &mt->bank[line % (uint32_t)mem->banks];
  if (b->row != row) {
    int64_t from = t > b->free_at ? t : b->free_at;
    b->ready = from + (b->row >= 0 ? mem->row_close : 0) + mem->row_open;
    b->row = row;
  }
  *ready = t > b->ready ? t : b->ready;
  return b;
}

/* Cycles a beat is held back by injected stalls: 0..15. */
static int32_t stall_cycles(const espl_mem_timing *t, int channel, uint32_t burst, int32_t beat) {
  int32_t k = 0;
  uint64_t stream = (uint64_t)burst << 8 | (uint64_t)(channel << 7) | (uint64_t)beat;
  while (k < 15 && espl_rng_u64(t->stall_seed, stream, (uint64_t)k) % (uint64_t)t->stall_mod == 0) k++;
  return k;
}

/* First cycle >= x in which the bucket lets a beat go; takes den. Refill happens before the take. */
static int64_t take_credit(espl_path *p, const espl_mem_timing *t, int64_t x) {
  if (x <= p->credit_at) x = p->credit_at + 1;
  int64_t credit = p->credit + (x - p->credit_at) * t->num;
  if (credit > t->den) credit = t->den;
  if (credit < t->den) {
    int64_t wait = (t->den - credit + t->num - 1) / t->num;
    x += wait;
    credit += wait * t->num;
    if (credit > t->den) credit = t->den;
  }
  p->credit_at = x;
  p->credit = (int32_t)(credit - t->den);
  return x;
}

void espl_memtime_accept(espl_memtime *mt, int channel, int64_t t, uint32_t addr, int32_t beats, espl_burst_time *out) {
  const espl_mem_timing *mem = &mt->t;
  espl_path *p = &mt->path[mem->shared_path ? 0 : channel];
  int64_t ready = t;
  espl_bank *bank = mem->banks ? open_row(mt, t, addr, &ready) : NULL;
  int64_t x = ready + (channel == ESPL_READ ? mem->read_latency : 1);
  int64_t from = p->free_at + (p->wrote && channel == ESPL_READ ? mem->turnaround : 0);
  if (x < from) x = from;
  p->wrote = mem->shared_path && channel == ESPL_WRITE;
  uint32_t burst = mt->bursts[channel]++;
  out->beats = beats;
  out->uniform = mem->num == mem->den && mem->stall_mod == 0;
  if (out->uniform) {
    out->first = x;
    out->last = x + beats - 1;
  } else {
    for (int32_t i = 0; i < beats; i++) {
      if (mem->num < mem->den) x = take_credit(p, mem, x);
      if (mem->stall_mod) x += stall_cycles(mem, channel, burst, i);
      out->beat[i] = x++;
    }
    out->first = out->beat[0];
    out->last = out->beat[beats - 1];
  }
  p->free_at = out->last + 1;
  if (bank && bank->free_at <= out->last) bank->free_at = out->last + 1;
  out->resp = 0;
  if (channel == ESPL_WRITE) {
    out->resp = out->last + mem->write_latency;
    if (out->resp <= mt->resp_at) out->resp = mt->resp_at + 1;
    mt->resp_at = out->resp;
  }
}
