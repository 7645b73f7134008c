/* The procedural set: ten classes of fine structure, 32x32 RGB, so that a machine without data can train and measure.
 *
 *   0 disc  1 ring  2 square  3 triangle  4 cross  5 rows  6 columns  7 diagonals (either way)  8 checks  9 ripples
 *
 * Laws
 *   1. An image is a pure function of (seed, train or test file, index); its label is index % 10.
 *   2. No class is told by any pixel or colour: place, size, turn, phase, colour and even the sign of the contrast are
 *      random, over a sloping background with clutter and noise. A linear classifier on pixels must fail.
 *   3. A mirror image has the same class. Only + - * / and sqrt are used, so the bytes are the same on every machine
 *      (IEEE double, no contraction). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "data/data_int.h"

#define SIDE 32
#define AREA (SIDE * SIDE)
#define CLUTTER 6
#define NOISE 0.11 /* standard deviation, of a full scale of 1 */

enum { DISC, RING, SQUARE, TRIANGLE, CROSS, ROWS, COLUMNS, DIAGONALS, CHECKS, RIPPLES };

/* A double in [lo, hi). */
static double draw(espl_rng *r, double lo, double hi) {
  return lo + (hi - lo) * ((double)(espl_rng_next(r) >> 11) * 0x1p-53);
}

/* sin(2 pi t), Taylor to t^13 on a quarter turn: error below 1e-8. */
static double wave(double t) {
  t -= (double)(int64_t)t;
  if (t < 0) t += 1;
  double sign = 1;
  if (t >= 0.5) t -= 0.5, sign = -1;
  if (t > 0.25) t = 0.5 - t;
  double x = 6.283185307179586 * t, y = x * x;
  return sign * x * (1 - y / 6 * (1 - y / 20 * (1 - y / 42 * (1 - y / 72 * (1 - y / 110 * (1 - y / 156))))));
}

static double clamp01(double v) { return v < 0 ? 0 : v > 1 ? 1 : v; }
static double larger(double a, double b) { return a > b ? a : b; }
static double length(double x, double y) { return sqrt(x * x + y * y); }

/* What sits in the picture, in its own turned coordinates. */
typedef struct thing {
  int kind;
  double x, y, size;  /* centre and radius, pixels */
  double cosine, sine; /* its turn */
  double period, phase;
  double tint[3];      /* difference to the background, each in [-1, 1] */
} thing;

static double triangle_distance(double u, double v, double r) {
  double side = fabs(u) * 0.8660254037844386 + v * 0.5 - r * 0.55; /* the two slanted sides */
  return larger(side, -v - r * 0.55);
}

/* Signed distance to the outline (negative inside), pixels. */
static double outline(const thing *t, double u, double v) {
  double r = t->size;
  switch (t->kind) {
    case DISC: return length(u, v) - r;
    case RING: return fabs(length(u, v) - r * 0.75) - r * 0.22;
    case SQUARE: return larger(fabs(u), fabs(v)) - r * 0.86;
    case TRIANGLE: return triangle_distance(u, v, r * 1.15);
    case CROSS: {
      double wide = larger(fabs(u) - r, fabs(v) - r * 0.32), tall = larger(fabs(u) - r * 0.32, fabs(v) - r);
      return wide < tall ? wide : tall;
    }
    default: return length(u, v) - r; /* textures fill a round patch */
  }
}

/* Pattern inside the outline, [-1, 1]; shapes are flat. */
static double pattern(const thing *t, double u, double v) {
  switch (t->kind) {
    case ROWS:
    case COLUMNS:
    case DIAGONALS: return wave(u / t->period + t->phase);
    case CHECKS: return larger(-1, 1.6 * wave(u / t->period + t->phase) * wave(v / t->period + t->phase * 3));
    case RIPPLES: return wave(length(u, v) / t->period + t->phase);
    default: return 1;
  }
}

static void turn(thing *t, double turns) {
  t->cosine = wave(turns + 0.25);
  t->sine = wave(turns);
}

static thing draw_thing(espl_rng *r, int label) {
  thing t = {.kind = label};
  bool texture = label >= ROWS;
  t.size = texture ? draw(r, 6.5, 11) : draw(r, 5, 10.5);
  t.x = draw(r, 10, 22);
  t.y = draw(r, 10, 22);
  t.period = draw(r, 3.2, 6);
  t.phase = draw(r, 0, 1);
  double tilt = draw(r, -0.035, 0.035); /* turns: 12.6 degrees */
  if (label == ROWS) turn(&t, 0.25 + tilt);
  else if (label == DIAGONALS) turn(&t, (espl_rng_next_below(r, 2) ? 0.125 : -0.125) + tilt);
  else if (label == COLUMNS || texture) turn(&t, tilt);
  else turn(&t, draw(r, -0.06, 0.06));
  double strength = texture ? draw(r, 0.13, 0.30) : draw(r, 0.16, 0.40);
  double sign = espl_rng_next_below(r, 2) ? 1 : -1;
  for (int c = 0; c < 3; c++) t.tint[c] = sign * strength * draw(r, 0.35, 1.25);
  return t;
}

static void paint(double *image, const thing *t) {
  for (int y = 0; y < SIDE; y++)
    for (int x = 0; x < SIDE; x++) {
      double dx = x - t->x, dy = y - t->y;
      double u = dx * t->cosine + dy * t->sine, v = dy * t->cosine - dx * t->sine;
      double cover = clamp01(0.5 - outline(t, u, v));
      if (cover <= 0) continue;
      double p = cover * pattern(t, u, v);
      for (int c = 0; c < 3; c++) image[c * AREA + y * SIDE + x] += p * t->tint[c];
    }
}

/* Sloping colour with two slow waves. */
static void background(espl_rng *r, double *image) {
  double gx = draw(r, -0.006, 0.006), gy = draw(r, -0.006, 0.006);
  double fx = draw(r, -0.06, 0.06), fy = draw(r, -0.06, 0.06), phase = draw(r, 0, 1);
  for (int c = 0; c < 3; c++) {
    double base = draw(r, 0.3, 0.7), swing = draw(r, -0.09, 0.09);
    for (int i = 0; i < AREA; i++) {
      int x = i % SIDE, y = i / SIDE;
      image[c * AREA + i] = base + gx * (x - 16) + gy * (y - 16) + swing * wave(fx * x + fy * y + phase + 8);
    }
  }
}

/* Small discs and bars anywhere, behind or in front of the thing. */
static void clutter(espl_rng *r, double *image, int count) {
  for (int i = 0; i < count; i++) {
    thing t = {.kind = espl_rng_next_below(r, 2) ? DISC : CROSS};
    t.size = draw(r, 1.2, 2.8);
    t.x = draw(r, 0, SIDE);
    t.y = draw(r, 0, SIDE);
    turn(&t, draw(r, 0, 1));
    for (int c = 0; c < 3; c++) t.tint[c] = draw(r, -0.35, 0.35);
    paint(image, &t);
  }
}

/* Sum of four 16-bit uniforms, centred: close to normal, standard deviation 1. */
static double noise(uint64_t bits) {
  int64_t sum = (int64_t)((bits & 65535) + (bits >> 16 & 65535) + (bits >> 32 & 65535) + (bits >> 48)) - 2 * 65535;
  return (double)sum * (1.7320508075688772 / 65536);
}

void espli_builtin_image(uint64_t seed, bool test, int32_t index, uint8_t *pixels) {
  espl_rng r = {.seed = seed, .stream = (uint64_t)(test ? 1 : 0) << 32 | (uint32_t)index};
  double image[3 * AREA];
  background(&r, image);
  int behind = (int)espl_rng_next_below(&r, CLUTTER + 1);
  clutter(&r, image, behind);
  thing t = draw_thing(&r, index % ESPLI_BUILTIN_CLASSES);
  paint(image, &t);
  clutter(&r, image, (CLUTTER - behind) / 2);
  double level = draw(&r, 0.4, 1) * NOISE;
  for (int i = 0; i < 3 * AREA; i++)
    pixels[i] = (uint8_t)(255 * clamp01(image[i] + level * noise(espl_rng_next(&r))) + 0.5);
}

espl_status espli_builtin_load(uint64_t seed, bool test, espl_dataset *d, espl_err *err) {
  d->n = test ? ESPLI_BUILTIN_TEST : ESPLI_BUILTIN_TRAIN;
  d->classes = ESPLI_BUILTIN_CLASSES;
  d->shape = (espl_shape){3, SIDE, SIDE};
  d->pixels = espl_calloc((size_t)d->n, 3 * AREA);
  d->labels = espl_calloc((size_t)d->n, 1);
  if (!d->pixels || !d->labels) return espl_fail(err, ESPL_E_NOMEM, "built-in data: out of memory for %d images", d->n);
  for (int32_t i = 0; i < d->n; i++) {
    espli_builtin_image(seed, test, i, d->pixels + (size_t)i * 3 * AREA);
    d->labels[i] = (uint8_t)(i % ESPLI_BUILTIN_CLASSES);
  }
  return ESPL_OK;
}
