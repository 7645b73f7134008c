/* Edit distance over three rolling rows; nearest word by linear search. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_WORD 127

static int min3(int a, int b, int c) {
  int m = a < b ? a : b;
  return m < c ? m : c;
}

int espl_edit_distance(const char *a, const char *b) {
  int row[3][MAX_WORD + 1];
  int na = (int)strnlen(a, MAX_WORD), nb = (int)strnlen(b, MAX_WORD);
  for (int j = 0; j <= nb; j++) row[0][j] = j;
  for (int i = 1; i <= na; i++) {
    int *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];
    now[0] = i;
    for (int j = 1; j <= nb; j++) {
      now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && up2[j - 2] + 1 < now[j])
        now[j] = up2[j - 2] + 1;
    }
  }
  return row[na % 3][nb];
}

const char *espl_nearest(const char *word, const char *const *words, size_t n) {
  const char *best = NULL;
  int best_d = 0;
  for (size_t i = 0; i < n; i++) {
    int d = espl_edit_distance(word, words[i]);
    if (!best || d < best_d) {
      best = words[i];
      best_d = d;
    }
  }
  return best;
}

char *espl_format(const char *fmt, ...) {
  char *s = NULL;
  va_list ap;
  va_start(ap, fmt);
  int n = vasprintf(&s, fmt, ap);
  va_end(ap);
  return n < 0 ? NULL : s;
}
