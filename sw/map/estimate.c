/* Cycles of a plan, roughly: the same walk as emit.c in steps of one command instead of one burst, for telling good plans from bad ones
 * before the timing model measures a few of them.
 *
 * Every stream is one number, the cycle in which it becomes free: fetch, read data, write data, passes of the array, drains of the store unit.
 * A command begins at the maximum over what it waits for and moves its streams on by bytes / bandwidth, tiles * pass or pixels * period.
 * Left out: the order of bursts of different units, stalls injected by the memory, limits of token counters, partly overwritten columns. */
#include <stdlib.h>

#include "base/mem.h"
#include "map/map_int.h"

enum { QUEUE = 16, LOADS = 1024, SLOTS = 16 };

/* A queue's last pops: an entry goes in when the one `depth` before it is out. */
typedef struct queue {
  double pop[QUEUE];
  uint32_t n;
} queue;

/* A weight load that may still be in the ring. */
typedef struct loaded {
  int64_t end;   /* position behind it in the stream of all loads */
  double used;   /* its last reader has finished */
  int32_t column;
} loaded;

struct map_estimator {
  const map_geom *g;
  const map_plan *p;
  /* constants */
  double beat, command, latency, burst_gap, write_gap, pass_min, fill, pipe, period, flush;
  int32_t bus, depth, banks, weight_cap, param_cap;
  /* streams */
  double fetch, issue, read, write, pass, walk, store, params, bank[2];
  queue loads, computes, stores;
  int bank_at;
  /* buffers */
  int32_t image, copy; /* walked now; resident: its place among the images that are held */
  int32_t *held;       /* [images] image that lies there */
  double *copy_used, *copy_free; /* [images] end of the last pass that read it; of the one that read the image before */
  int32_t *rows_have;  /* [copies * ncb] resident rows; only native depthwise brings blocks one by one, other layers use the first */
  int32_t row_cb, row_have; /* plans by kernel row: rows of the channel block that is being brought, */
  double row_there;         /* and when the last of them are there */
  int64_t *tile_have;  /* [ncb] native depthwise: spatial tile whose block is in a slot */
  int64_t slot_tile[SLOTS];
  int32_t slot_next;
  double slot_used[SLOTS];
  int64_t position;
  loaded ring[LOADS];
  uint32_t ring_head, ring_tail;
  int64_t *at;    /* [nco] position of the column's weights, -1 never loaded */
  double *reused; /* [nco] end of their last use behind the first */
  int32_t *param_owner;
  int32_t *h;     /* [out.h + 64] rows of the tiles */
};

static inline double later(double a, double b) { return a > b ? a : b; }

static void constants(map_estimator *e) {
  const map_geom *g = e->g;
  const espl_machine *m = g->m;
  const espl_qlayer *l = g->l;
  int32_t rq = m->rq_cycles == 1 ? 4 + 2 * m->mul_stages : 21, taps = l->pool == ESPL_QPOOL_NONE ? 1 : l->win_h * l->win_w;
  double full = 256.0 / m->bus_bytes;
  e->bus = m->bus_bytes;
  e->beat = (double)m->mem.den / m->mem.num;
  if (m->mem.stall_mod) e->beat += 1.0 / (m->mem.stall_mod - 1);
  e->latency = m->mem.read_latency;
  e->burst_gap = (e->latency + full * e->beat + 1) / m->mem.outstanding;
  e->command = later(16.0 / e->bus * e->beat, e->burst_gap / 16);
  e->write_gap = (m->mem.write_latency + full * e->beat + 2) / m->mem.outstanding;
  e->pass_min = map_max(m->rows, g->dw ? MAP_DW_CYCLES : MAP_ACC_CYCLES);
  e->fill = 2 + m->rows / 2 + (m->w_book > 0);
  e->pipe = m->rows / 2 + m->cols + m->mul_stages + 1;
  e->period = (double)(g->g / m->rq_lanes) * (l->pool == ESPL_QPOOL_AVG ? (taps - 1) * m->rq_cycles + rq + 1 + m->rq_cycles : taps * m->rq_cycles);
  e->flush = rq + 4;
  e->depth = map_max(1, map_min(m->queue_depth, QUEUE)); /* without queues a command is popped in the cycle after */
  e->banks = m->acc_banks;
  e->weight_cap = map_weight_slots(m, g->tile_rows, g->tile_bytes);
  e->param_cap = (1 << m->par_aw) / m->cols;
}

map_estimator *map_estimator_new(const map_geom *g) {
  map_estimator *e = espl_calloc(1, sizeof *e);
  if (!e) return NULL;
  e->g = g;
  constants(e);
  e->at = espl_calloc((size_t)g->nco, sizeof *e->at);
  e->reused = espl_calloc((size_t)g->nco, sizeof *e->reused);
  e->rows_have = espl_calloc((size_t)g->ncb * (size_t)g->images, sizeof *e->rows_have);
  e->held = espl_calloc((size_t)g->images, sizeof *e->held);
  e->copy_used = espl_calloc(2 * (size_t)g->images, sizeof *e->copy_used);
  e->copy_free = e->copy_used ? e->copy_used + g->images : NULL;
  e->tile_have = espl_calloc((size_t)g->ncb, sizeof *e->tile_have);
  e->param_owner = espl_calloc((size_t)e->param_cap, sizeof *e->param_owner);
  e->h = espl_calloc((size_t)g->out.h + 64, sizeof *e->h);
  if (e->at && e->reused && e->rows_have && e->held && e->copy_used && e->tile_have && e->param_owner && e->h) return e;
  map_estimator_free(e);
  return NULL;
}

void map_estimator_free(map_estimator *e) {
  if (!e) return;
  free(e->at);
  free(e->reused);
  free(e->param_owner);
  free(e->rows_have);
  free(e->held);
  free(e->copy_used);
  free(e->tile_have);
  free(e->h);
  free(e);
}

/* ---- fetch and queues ---- */

/* A command for `q` goes in; its pop is noted by the caller. Commands cost the read path a sixteenth of a burst. */
static void dispatch(map_estimator *e, queue *q) {
  e->read += e->command;
  e->fetch = later(e->fetch + 1, q->n >= (uint32_t)e->depth ? q->pop[(q->n - (uint32_t)e->depth) % QUEUE] + 2 : 0);
}
static void popped(queue *q, double t) { q->pop[q->n++ % QUEUE] = t; }

/* ---- reads ---- */

/* Time of `runs` runs of `bytes` bytes in all. */
static double transfer(const map_estimator *e, double bytes, double runs, double gap) {
  double beats = bytes / e->bus + (e->bus > e->g->g ? 0.5 * runs : 0), t = beats * e->beat, slots = (bytes / 256 + 0.5 * runs) * gap;
  return t > slots ? t : slots;
}

/* One LOAD that may begin at `wait`; *first: its first data. Returns the end of its data. */
static double load(map_estimator *e, double bytes, double runs, double wait, double *first) {
  dispatch(e, &e->loads);
  e->issue = later(later(e->issue + 1, e->fetch + 1), wait + 2);
  popped(&e->loads, e->issue);
  *first = later(e->read, e->issue + e->latency + 2);
  e->read = *first + transfer(e, bytes, runs, e->burst_gap);
  return e->read;
}

static double load_rows(map_estimator *e, int32_t blocks, int32_t b0, int32_t rows, int32_t cols, bool whole, double wait) {
  const map_geom *g = e->g;
  int32_t groups = map_min((b0 + blocks) * g->nb, g->in_groups) - b0 * g->nb;
  double first, runs = g->woven ? rows : whole ? groups : (double)groups * rows;
  return load(e, (double)groups * rows * cols * g->g, runs, wait, &first);
}

/* ---- weights ---- */

static bool column_there(const map_estimator *e, int32_t k) { return e->at[k] >= 0 && e->position - e->at[k] <= e->weight_cap; }

/* Room for n tiles in the ring; returns when the readers of what was there have finished. */
static double take_ring(map_estimator *e, int32_t n, int32_t column, bool begins) {
  int64_t at = e->position % e->weight_cap;
  double wait = 0;
  if (at + n > e->weight_cap) e->position += e->weight_cap - at;
  if (begins) e->at[column] = e->position;
  e->position += n;
  while (e->ring_head != e->ring_tail) {
    const loaded *old = &e->ring[e->ring_head % LOADS];
    if (old->end > e->position - e->weight_cap && e->ring_tail - e->ring_head < LOADS) break;
    wait = later(wait, later(old->used, e->reused[old->column]));
    e->ring_head++;
  }
  return wait;
}

/* ---- items ---- */

typedef struct work {
  int32_t column, n, taps;        /* tiles of the column, tiles of a channel block */
  int32_t block;                  /* channel block of its first tile */
  const map_span *y, *x;
  int64_t tile;                   /* number of the spatial tile */
  bool more, ends;                /* adds to the item before; ends it */
  double pixels, len;             /* of a pass */
  bool early;                     /* its bank is drained behind its only pass */
} work;

static bool by_row(const map_estimator *e) { return e->p->resident && e->p->by_row && !e->g->dw; }

/* Tiles [t, ...) of the item that one COMPUTE takes. */
static int32_t segment_tiles(const map_estimator *e, const work *w, int32_t t, bool there, bool ready) {
  int32_t block = t / w->taps, chunk = e->p->resident ? e->g->ncb : e->p->chunk_cb, to = map_min(w->n, (block / chunk + 1) * chunk * w->taps);
  if (!(there && ready)) to = map_min(to, (block + e->p->cold_cb) * w->taps);
  if (by_row(e) && !ready) {
    const map_tile *tile = e->g->tile + e->g->first[w->column];
    int32_t same = t + 1;
    while (same < to && tile[same].cb == tile[t].cb && tile[same].ky == tile[t].ky) same++;
    to = same;
  }
  if (!there && to - t > e->p->seg_tiles) to = t + (e->p->seg_tiles > w->taps ? e->p->seg_tiles / w->taps * w->taps : e->p->seg_tiles);
  return map_max(1, to - t);
}

/* Slot of a chunk of the tile: *have says whether its data is there. */
static int32_t find_slot(map_estimator *e, int64_t key, bool *have) {
  for (int32_t i = 0; i < e->p->slots; i++)
    if (e->slot_tile[i] == key) {
      *have = true;
      return i;
    }
  *have = false;
  return e->slot_next;
}

/* One kernel row of a channel block: the rows it reads behind those that an earlier one has brought. */
static double bring_row(map_estimator *e, const work *w, int32_t t) {
  const map_geom *g = e->g;
  const map_tile *tile = &g->tile[g->first[w->column] + t];
  if (tile->cb != e->row_cb) e->row_have = e->rows_have[e->copy * g->ncb], e->row_cb = tile->cb, e->row_there = 0;
  int32_t rows = map_rows_read(g, w->y, tile->ky);
  if (rows > e->row_have) {
    e->row_there = load_rows(e, 1, tile->cb, rows - e->row_have, g->fold ? g->pitch : g->in.w, g->fold || (g->pitch == g->in.w && !g->stacked), e->copy_free[e->copy]);
    e->row_have = rows;
  }
  return e->row_there;
}

/* Brings channel blocks [b0, b1), not before `wait`; returns when they are there. */
static double bring_acts(map_estimator *e, const work *w, int32_t b0, int32_t b1, double wait) {
  const map_geom *g = e->g;
  b0 += w->block;
  b1 += w->block;
  if (e->p->resident)
    return load_rows(e, b1 - b0, b0, w->y->i1 - e->rows_have[e->copy * g->ncb + w->block], g->fold ? g->pitch : g->in.w, g->fold || (g->pitch == g->in.w && !g->stacked), e->copy_free[e->copy]);
  bool whole = g->fold || (g->row_step == 1 && !g->stacked && map_slot_pitch(g, e->p->tile_w) == g->in.w && w->x->i1 - w->x->i0 == g->in.w);
  return load_rows(e, b1 - b0, b0, w->y->i1 - w->y->i0, g->fold ? g->pitch : w->x->i1 - w->x->i0, whole, wait);
}

/* One COMPUTE of n tiles; acts: when its activations are there. Returns the end of its last pass. */
static double segment(map_estimator *e, const work *w, int32_t t, int32_t n, bool cold, bool first, double acts) {
  double tile = (double)e->g->tile_bytes / e->bus * e->beat, credit = 0, last = 0;
  uint32_t entry = e->ring_tail;
  if (cold) {
    double wait = take_ring(e, n, w->column, t == 0), begin;
    last = load(e, n * tile / e->beat * e->bus, 1, wait, &begin) + 2;
    credit = begin + tile + 2;
    entry = e->ring_tail++;
  }
  dispatch(e, &e->computes);
  double hand = later(later(e->walk, e->fetch + 2), acts + 4);
  if (first) hand = later(hand, e->bank[e->bank_at] + 2);
  popped(&e->computes, hand);
  double start = later(e->pass, later(hand, credit) + e->fill), end = start + n * w->len;
  end = later(end, last + e->fill + w->len);
  e->walk = later(later(hand, last), end - 2 * w->len);
  e->pass = end;
  if (cold) e->ring[entry % LOADS] = (loaded){e->position, end + e->pipe, w->column};
  else e->reused[w->column] = end + e->pipe;
  return end;
}

static void store(map_estimator *e, const work *w, double end) {
  const map_geom *g = e->g;
  int32_t per = g->block / g->g, groups = map_min(per, g->out_groups - w->column * per), unit = w->column % e->param_cap, cols = w->x->o1 - w->x->o0, rows = w->y->o1 - w->y->o0;
  double first, px = (double)groups * rows * cols, bytes = px * g->g, runs = cols == g->out.w && !g->stacked ? groups : (double)groups * rows;
  if (e->param_owner[unit] != w->column) {
    e->param_owner[unit] = w->column;
    e->params = load(e, (double)groups * g->g * 16, 1, 0, &first);
  }
  dispatch(e, &e->stores);
  double full = (w->early ? end - w->len + 1 : end) + e->pipe;
  double pops = later(e->store + 1, e->fetch + 1), begin = later(later(full + 2, pops + 2), e->params + 4), drain = px * e->period;
  popped(&e->stores, pops);
  double t = transfer(e, bytes, runs, e->write_gap), burst = (bytes < 256 ? bytes : 256) / e->bus * e->beat;
  bool shared = g->m->mem.shared_path;
  if (g->l->res >= 0) {
    double r = transfer(e, bytes, runs, later(e->burst_gap, (e->latency + 256.0 / e->bus * e->beat + 4) / g->m->res_bursts));
    double reads = later(pops, e->write + g->m->mem.write_latency + 1); /* not before the writes of the command before are answered */
    begin = later(begin, reads + e->latency + burst);
    if (e->read > begin) r += r < e->read - begin ? r : e->read - begin; /* loads take every other burst */
    drain = later(drain, shared ? r + t : r);
    e->read += transfer(e, bytes, runs, e->burst_gap);
    drain = later(drain, e->read - begin); /* the path has to carry everything asked for so far */
  }
  double written = later(e->write, begin + e->flush + burst / e->beat) + t; /* its first burst is staged before its first beat */
  e->store = later(begin + drain, written - g->m->stage_bursts * burst);
  e->write = later(written, e->store + e->flush + burst);
  if (shared) e->read += t;
  e->bank[e->bank_at] = e->store;
  if (e->banks > 1) e->bank_at ^= 1;
}

static void item(map_estimator *e, work *w) {
  const map_geom *g = e->g;
  bool there = column_there(e, w->column);
  double end = e->pass, wait = 0;
  int32_t chunk = e->p->resident ? g->ncb : e->p->chunk_cb, chunks = map_div_up(g->ncb, chunk), slot = 0, slot_of = -1, brought = 0;
  int32_t *rows_have = &e->rows_have[e->copy * g->ncb + w->block];
  bool have = e->p->resident && *rows_have >= w->y->i1;
  for (int32_t t = 0; t < w->n;) {
    int32_t c = (w->block + t / w->taps) / chunk;
    if (!e->p->resident && c != slot_of) {
      slot_of = c;
      slot = find_slot(e, w->tile * chunks + c, &have);
      wait = 0;
      if (!have) {
        wait = e->slot_used[slot];
        e->slot_tile[slot] = w->tile * chunks + c;
        e->slot_next = (slot + 1) % e->p->slots;
      }
      if (g->dw) {
        have = e->tile_have[w->block] == w->tile;
        e->tile_have[w->block] = w->tile;
      }
    }
    int32_t n = segment_tiles(e, w, t, there, have);
    int32_t b1 = (t + n - 1) / w->taps + 1;
    double acts = 0;
    if (!have && by_row(e)) acts = bring_row(e, w, t);
    else if (!have && b1 > brought) {
      acts = bring_acts(e, w, map_max(brought, t / w->taps), b1, wait);
      brought = b1;
      wait = 0;
    }
    end = segment(e, w, t, n, !there, t == 0 && !w->more, acts);
    if (!e->p->resident) e->slot_used[slot] = end + e->pipe;
    t += n;
  }
  if (w->n == 0) end = segment(e, w, 0, 0, false, true, 0);
  if (e->p->resident) e->copy_used[e->copy] = end + e->pipe;
  if (e->p->resident && *rows_have < w->y->i1) *rows_have = w->y->i1;
  if (w->ends) store(e, w, end);
}

/* A mean: blocks of the image into one pixel. */
static void blocks(map_estimator *e, int32_t image, int32_t column) {
  const map_geom *g = e->g;
  int32_t n = g->l->conv_h * g->l->conv_w;
  for (int32_t i = 0; i < n; i++) {
    map_span y = map_row_span(g, i / g->l->conv_w, i / g->l->conv_w + 1, 0), x = map_col_span(g, i % g->l->conv_w, i % g->l->conv_w + 1, 0, true);
    work w = {.column = column, .n = g->first[column + 1] - g->first[column], .taps = map_max(1, g->taps), .block = g->tile[g->first[column]].cb, .y = &y, .x = &x,
              .pixels = 1, .more = i > 0, .ends = i == n - 1, .tile = (int64_t)image * g->l->conv_h + i / g->l->conv_w + 1};
    w.len = later(g->dw ? g->dw_cols : 1, e->pass_min);
    if (w.ends) y.o0 = x.o0 = 0, y.o1 = x.o1 = 1;
    item(e, &w);
  }
}

static void begin_image(map_estimator *e, int32_t n) {
  e->image = n;
  e->copy = e->p->resident ? n % e->p->copies : 0;
  if (!e->p->resident || e->held[e->copy] == n) return;
  e->held[e->copy] = n;
  e->row_cb = -1;
  e->copy_free[e->copy] = e->copy_used[e->copy];
  for (int32_t b = 0; b < e->g->ncb; b++) e->rows_have[e->copy * e->g->ncb + b] = 0;
}

static void walk(map_estimator *e, int32_t image, int32_t k0, int32_t k1) {
  const map_geom *g = e->g;
  const map_plan *p = e->p;
  begin_image(e, image);
  for (int32_t k = k0; g->mean && k < k1; k++) blocks(e, image, k);
  if (g->mean) return;
  int32_t n = map_plan_rows(g, p, k0, image, e->h, g->out.h + 64), across = map_div_up(g->out.w, p->tile_w);
  for (int32_t i = 0, o = 0; i < n; o += e->h[i++]) {
    map_span y = map_row_span(g, o, o + e->h[i], 0);
    for (int32_t j = 0; j < across; j++) {
      map_span x = map_col_span(g, j * p->tile_w, map_min(g->out.w, (j + 1) * p->tile_w), 0, p->tile_w >= g->out.w);
      work w = {.taps = map_max(1, g->sparse ? map_div_up(g->tiles, g->nco * g->ncb) : g->taps), .y = &y, .x = &x, .ends = true, .tile = ((int64_t)image * g->out.h + o) * across + j + 1};
      w.pixels = (double)(y.c1 - y.c0) * (x.c1 - x.c0);
      double words = g->dw ? (double)(y.c1 - y.c0) * ((x.c1 - x.c0 - 1) * g->l->sw + g->dw_cols) : w.pixels;
      w.len = later(words, e->pass_min);
      for (w.column = k0; w.column < k1; w.column++) {
        w.block = g->dw ? map_depthwise_block(g, w.column) : 0;
        w.n = g->first[w.column + 1] - g->first[w.column];
        w.early = w.n <= 1 && !g->dw && g->l->pool == ESPL_QPOOL_NONE && g->m->queue_depth > 0;
        item(e, &w);
      }
    }
  }
}

double map_estimate(map_estimator *e, const map_plan *p) {
  const map_geom *g = e->g;
  e->p = p;
  e->fetch = 0; /* the first commands are there before the first cycle */
  e->issue = e->read = e->write = e->pass = e->walk = e->store = e->params = e->bank[0] = e->bank[1] = 0;
  e->loads.n = e->computes.n = e->stores.n = 0;
  e->bank_at = e->slot_next = 0;
  e->row_cb = -1;
  for (int32_t k = 0; k < g->ncb; k++) e->tile_have[k] = 0;
  for (int32_t k = 0; k < g->images; k++) e->held[k] = -1, e->copy_used[k] = e->copy_free[k] = 0;
  e->position = 0;
  e->ring_head = e->ring_tail = 0;
  for (int32_t i = 0; i < SLOTS; i++) e->slot_tile[i] = 0, e->slot_used[i] = 0;
  for (int32_t k = 0; k < g->nco; k++) e->at[k] = -1, e->reused[k] = 0;
  for (int32_t k = 0; k < e->param_cap; k++) e->param_owner[k] = -1;
  for (int32_t k = 0; p->image_inner && k < g->nco; k++)
    for (int32_t n = 0; n < g->images; n++) walk(e, n, k, k + 1);
  for (int32_t n = 0; !p->image_inner && n < g->images; n++) {
    if (!p->column_outer) walk(e, n, 0, g->nco);
    else
      for (int32_t k = 0; k < g->nco; k++) walk(e, n, k, k + 1);
  }
  return e->write + g->m->mem.write_latency + 8;
}
