/* Places for the labels of a scatter plot: no label covers another label or a point.
 *
 * Units are pixels, y downwards, inside a plot area of width x height. Every label tries the places around its point in a fixed order,
 * near ones first, and takes the first that is free; one that finds none stays without a place. Names of equal points so fan out. */
#include <math.h>

#include "report/report_int.h"

#define CHAR_PX 6.3 /* mean advance of an 11 pixel sans-serif font, rounded up */
#define LINE_PX 14.0
#define POINT_PX 6.0 /* half the side of a point's box */

/* Characters, not bytes: UTF-8 continuation bytes do not count. */
static double text_width(const char *s) {
  int n = 0;
  for (; *s; s++) n += ((unsigned char)*s & 0xC0) != 0x80;
  return CHAR_PX * n;
}

static int apart(double l0, double t0, double w0, double h0, double l1, double t1, double w1, double h1) {
  return l0 + w0 <= l1 || l1 + w1 <= l0 || t0 + h0 <= t1 || t1 + h1 <= t0;
}

static int fits(const struct espli_mark *m, size_t n, double left, double top, double w, double width, double height) {
  if (left < 0 || top < 0 || left + w > width || top + LINE_PX > height) return 0;
  for (size_t i = 0; i < n; i++) {
    if (!apart(left, top, w, LINE_PX, m[i].x - POINT_PX, m[i].y - POINT_PX, 2 * POINT_PX, 2 * POINT_PX)) return 0;
    if (m[i].placed && !apart(left, top, w, LINE_PX, m[i].left, m[i].top, m[i].width, LINE_PX)) return 0;
  }
  return 1;
}

void espli_place_labels(struct espli_mark *m, size_t n, double width, double height) {
  static const double far[] = {10, 20, 32, 46, 62, 80, 100, 122, 146};
  static const double way[][2] = {{1, 0}, {0.8, -0.6}, {0.8, 0.6}, {-1, 0}, {-0.8, -0.6}, {-0.8, 0.6}, {0, -1}, {0, 1}};
  for (size_t i = 0; i < n; i++) m[i].placed = 0;
  for (size_t i = 0; i < n; i++) {
    if (!m[i].text) continue;
    double w = text_width(m[i].text);
    for (size_t k = 0; k < 9 * 8 && !m[i].placed; k++) {
      double dx = far[k / 8] * way[k % 8][0], dy = far[k / 8] * way[k % 8][1];
      double left = m[i].x + dx - (dx == 0 ? w / 2 : dx < 0 ? w : 0), top = m[i].y + dy - LINE_PX / 2;
      if (!fits(m, n, left, top, w, width, height)) continue;
      m[i].left = left, m[i].top = top, m[i].width = w, m[i].placed = k < 8 ? 1 : 2;
      m[i].anchor_x = m[i].x + dx, m[i].anchor_y = m[i].y + dy;
    }
  }
}

double espli_label_middle(const struct espli_mark *m) { return m->top + LINE_PX / 2; }
