/* Image folders: one sub-folder a class, pictures in it (.png .jpg .jpeg .bmp, any case; other files are left alone).
 *
 *   given split:   DIR/train/CLASS/x.png   DIR/test/CLASS/y.jpg   and perhaps DIR/val (or valid, validation)
 *   no split:      DIR/CLASS/x.png; of each class a tenth is test
 *
 * Laws: classes are the sub-folders (of train) in byte order of their names, 2 to 256; pictures come in an order that is a hash of
 * class and file name, the same on every machine and for every seed of the caller, so no run can train on another one's test pictures; without a
 * val folder the rule of data.h takes val from the training pictures in that order. A picture that cannot be read is an error that names it. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/text.h"
#include "data/data_int.h"
#include "data/image.h"

#define MAX_CLASSES 256
#define MAX_PICTURES 4000000
#define PICTURE_BYTES ((size_t)256 << 20)
#define SET_BYTES ((int64_t)4 << 30)
#define ORDER_SEED 0x666f6c646572u

typedef struct names {
  char **name;
  int32_t n, cap;
} names;

typedef struct picture {
  char *path;
  uint64_t order;
  uint8_t label;
} picture;

typedef struct folder {
  picture *p;
  int32_t n, cap;
} folder;

static espl_status no_memory(const char *dir, espl_err *err) { return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", dir); }

static void names_clear(names *v) {
  for (int32_t i = 0; i < v->n; i++) free(v->name[i]);
  free(v->name);
  *v = (names){0};
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_order(const void *a, const void *b) {
  const picture *x = a, *y = b;
  return x->order != y->order ? (x->order < y->order ? -1 : 1) : strcmp(x->path, y->path);
}

static bool is_folder(const char *dir, const char *name) {
  struct stat st;
  char *p = espl_path_join(dir, name);
  bool yes = p && stat(p, &st) == 0 && S_ISDIR(st.st_mode);
  free(p);
  return yes;
}

static bool picture_name(const char *name) {
  static const char *const ends[] = {".png", ".jpg", ".jpeg", ".bmp"};
  const char *dot = strrchr(name, '.');
  for (int i = 0; dot && i < 4; i++)
    if (strcasecmp(dot, ends[i]) == 0) return name[0] != '.';
  return false;
}

/* Sub-folders (or, `pictures`, files named like pictures) of dir, sorted. */
static espl_status list(const char *dir, bool pictures, names *out, espl_err *err) {
  DIR *d = opendir(dir);
  *out = (names){0};
  if (!d) return espl_fail(err, ESPL_E_INPUT, "%s: cannot be opened as a folder", dir);
  espl_status s = ESPL_OK;
  for (struct dirent *e; s == ESPL_OK && (e = readdir(d));) {
    if (e->d_name[0] == '.' || (pictures ? !picture_name(e->d_name) : !is_folder(dir, e->d_name))) continue;
    if (out->n == out->cap) {
      int32_t cap = 2 * out->cap + 16;
      char **v = realloc(out->name, (size_t)cap * sizeof *v);
      if (!v) s = no_memory(dir, err);
      else out->name = v, out->cap = cap;
    }
    if (s == ESPL_OK && !(out->name[out->n] = espl_strdup(e->d_name))) s = no_memory(dir, err);
    if (s == ESPL_OK && ++out->n > MAX_PICTURES) s = espl_fail(err, ESPL_E_UNSUPPORTED, "%s: more than %d entries", dir, MAX_PICTURES);
  }
  closedir(d);
  if (s == ESPL_OK && out->n) qsort(out->name, (size_t)out->n, sizeof *out->name, by_name);
  if (s != ESPL_OK) names_clear(out);
  return s;
}

/* Place of class/file in the order: FNV-1a of both names, mixed. */
static uint64_t order_of(const char *class_name, const char *file) {
  uint64_t h = 1469598103934665603u;
  for (const char *p = class_name; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  h = (h ^ '/') * 1099511628211u;
  for (const char *p = file; *p; p++) h = (h ^ (uint8_t)*p) * 1099511628211u;
  return espl_rng_u64(ORDER_SEED, h, 0);
}

static espl_status add_class(folder *f, const char *dir, const char *class_name, uint8_t label, espl_err *err) {
  names files;
  char *sub = espl_path_join(dir, class_name);
  if (!sub) return no_memory(dir, err);
  espl_status s = list(sub, true, &files, err);
  if (s == ESPL_OK && f->n + files.n > f->cap) {
    int32_t cap = 2 * f->cap + files.n;
    picture *p = realloc(f->p, (size_t)cap * sizeof *p);
    if (!p) s = no_memory(dir, err);
    else f->p = p, f->cap = cap;
  }
  for (int32_t i = 0; s == ESPL_OK && i < files.n; i++) {
    char *path = espl_path_join(sub, files.name[i]);
    if (!path) s = no_memory(dir, err);
    else f->p[f->n++] = (picture){path, order_of(class_name, files.name[i]), label};
  }
  names_clear(&files);
  free(sub);
  return s;
}

/* All pictures below dir with the labels of `classes`; a sub-folder that is no class is refused. */
static espl_status collect(folder *f, const char *dir, const names *classes, espl_err *err) {
  names have;
  ESPL_TRY(list(dir, false, &have, err));
  espl_status s = ESPL_OK;
  for (int32_t i = 0; s == ESPL_OK && i < have.n; i++) {
    int32_t label = 0;
    while (label < classes->n && strcmp(classes->name[label], have.name[i])) label++;
    s = label < classes->n ? add_class(f, dir, have.name[i], (uint8_t)label, err)
                           : espl_fail(err, ESPL_E_INPUT, "%s: class folder %s is not among those of the training pictures", dir, have.name[i]);
  }
  names_clear(&have);
  if (s == ESPL_OK && f->n) qsort(f->p, (size_t)f->n, sizeof *f->p, by_order);
  return s;
}

/* Keeps the first tenth of each class (test) or the rest. */
static void keep_tenth(folder *f, bool test) {
  int32_t total[MAX_CLASSES] = {0}, seen[MAX_CLASSES] = {0}, at = 0;
  for (int32_t i = 0; i < f->n; i++) total[f->p[i].label]++;
  for (int32_t i = 0; i < f->n; i++) {
    uint8_t c = f->p[i].label;
    bool is_test = seen[c]++ < (total[c] + 5) / 10;
    if (is_test == test) f->p[at++] = f->p[i];
    else free(f->p[i].path);
  }
  f->n = at;
}

static espl_status read_picture(const char *path, int32_t w, int32_t h, espl_image *m, espl_err *err) {
  char *data = NULL;
  size_t n = 0;
  *m = (espl_image){0};
  ESPL_TRY(espl_read_file(path, PICTURE_BYTES, &data, &n, err));
  espl_status s = espl_image_decode((const uint8_t *)data, n, m, err);
  free(data);
  if (s == ESPL_OK && w) s = espl_image_resize(m, w, h, err);
  if (s == ESPL_OK) return s;
  espl_image_clear(m);
  return err ? espl_fail_context(err, "%s", path) : s;
}

/* [h][w][c] into three planes, grey into all of them. */
static void put(const espl_image *m, uint8_t *to) {
  int64_t px = (int64_t)m->w * m->h;
  for (int64_t p = 0; p < px; p++)
    for (int k = 0; k < 3; k++) to[k * px + p] = m->pixels[p * m->c + (m->c == 3 ? k : 0)];
}

/* Only grey pictures: one plane is enough. */
static void drop_colour(espl_dataset *d) {
  int64_t px = (int64_t)d->shape.h * d->shape.w;
  for (int32_t i = 1; i < d->n; i++) memmove(d->pixels + i * px, d->pixels + 3 * i * px, (size_t)px);
  d->shape.c = 1;
  uint8_t *smaller = realloc(d->pixels, (size_t)(d->n * px));
  if (smaller) d->pixels = smaller;
}

static espl_status load(const folder *f, const char *dir, int32_t w, int32_t h, espl_dataset *d, espl_err *err) {
  bool grey = true;
  espl_image m;
  for (int32_t i = 0; i < f->n; i++) {
    ESPL_TRY(read_picture(f->p[i].path, w, h, &m, err));
    espl_status s = ESPL_OK;
    if (i == 0) {
      int64_t bytes = 3 * (int64_t)m.w * m.h * f->n;
      d->n = f->n;
      d->shape = (espl_shape){3, m.h, m.w};
      d->labels = espl_calloc((size_t)f->n, 1);
      d->pixels = bytes <= SET_BYTES ? espl_calloc((size_t)bytes, 1) : NULL;
      if (bytes > SET_BYTES) s = espl_fail(err, ESPL_E_UNSUPPORTED, "%s: %d pictures of %dx%d take more than 4 GiB; --resize WxH makes them smaller", dir, (int)f->n, (int)m.w, (int)m.h);
      else if (!d->labels || !d->pixels) s = no_memory(dir, err);
    } else if (m.w != d->shape.w || m.h != d->shape.h) {
      s = espl_fail(err, ESPL_E_INPUT, "%s: %dx%d pixels, the first picture has %dx%d; --resize WxH makes all the same", f->p[i].path, (int)m.w, (int)m.h, (int)d->shape.w, (int)d->shape.h);
    }
    if (s == ESPL_OK) {
      put(&m, d->pixels + i * espl_shape_elems(d->shape));
      d->labels[i] = f->p[i].label;
      grey = grey && m.c == 1;
    }
    espl_image_clear(&m);
    ESPL_TRY(s);
  }
  if (grey) drop_colour(d);
  return ESPL_OK;
}

static const char *val_folder(const char *dir) {
  static const char *const known[] = {"val", "valid", "validation"};
  for (int i = 0; i < 3; i++)
    if (is_folder(dir, known[i])) return known[i];
  return NULL;
}

/* Whether any sub-folder of dir holds a picture. */
static espl_status has_pictures(const char *dir, const names *subs, bool *yes, espl_err *err) {
  *yes = false;
  for (int32_t i = 0; i < subs->n && !*yes; i++) {
    names files;
    char *sub = espl_path_join(dir, subs->name[i]);
    if (!sub) return no_memory(dir, err);
    espl_status s = list(sub, true, &files, err);
    *yes = s == ESPL_OK && files.n > 0;
    names_clear(&files);
    free(sub);
    ESPL_TRY(s);
  }
  return ESPL_OK;
}

static espl_status fill(const char *dir, espl_split split, bool given, const names *classes, const char *from, int32_t w, int32_t h, espl_dataset *d, espl_err *err) {
  folder f = {0};
  espl_status s = classes->n < 2 || classes->n > MAX_CLASSES ? espl_fail(err, ESPL_E_INPUT, "%s: %d class folders, expected 2 to %d", dir, (int)classes->n, MAX_CLASSES) : ESPL_OK;
  if (s == ESPL_OK) s = collect(&f, from, classes, err);
  if (s == ESPL_OK && !given) keep_tenth(&f, split == ESPL_SPLIT_TEST);
  if (s == ESPL_OK && f.n == 0) s = espl_fail(err, ESPL_E_INPUT, "%s: no picture (.png, .jpg, .jpeg, .bmp) for the %s split", from, espl_split_name(split));
  if (s == ESPL_OK) s = load(&f, dir, w, h, d, err);
  d->classes = classes->n;
  for (int32_t i = 0; i < f.n; i++) free(f.p[i].path);
  free(f.p);
  return s;
}

espl_status espli_folder_load(const char *dir, espl_split split, int32_t w, int32_t h, espl_dataset *d, bool *found, bool *carve, espl_err *err) {
  bool given = is_folder(dir, "train");
  const char *val = given ? val_folder(dir) : NULL, *part = split == ESPL_SPLIT_TEST ? "test" : split == ESPL_SPLIT_VAL && val ? val : "train";
  char *train = given ? espl_path_join(dir, "train") : espl_strdup(dir), *from = given ? espl_path_join(dir, part) : espl_strdup(dir);
  names classes = {0};
  *found = false;
  *carve = split != ESPL_SPLIT_TEST && !val;
  espl_status s = train && from ? list(train, false, &classes, err) : no_memory(dir, err);
  if (s == ESPL_OK) s = has_pictures(train, &classes, found, err);
  if (s == ESPL_OK && *found && given && !is_folder(dir, part)) s = espl_fail(err, ESPL_E_INPUT, "%s: has a train folder but no %s folder", dir, part);
  if (s == ESPL_OK && *found) s = fill(dir, split, given, &classes, from, w, h, d, err);
  names_clear(&classes);
  free(train);
  free(from);
  return s;
}
