/* BMP: file header (14 bytes), information header, masks or palette, rows from the bottom (or the top: negative height), each padded to
 * four bytes. Uncompressed 1, 4, 8 bits with palette, 24 and 32 bits blue green red. */
#include <string.h>

#include <stdbool.h>

#include "data/image_int.h"

typedef struct bmp {
  int64_t w, h;
  bool up;             /* rows from the bottom */
  uint32_t bits, start; /* of a pixel; offset of the pixels */
  const uint8_t *palette;
  uint32_t colours, entry; /* in the palette; bytes of an entry */
} bmp;

static uint32_t le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static uint32_t le32(const uint8_t *p) { return le16(p) | le16(p + 2) << 16; }

static espl_status damaged(espl_err *err, const char *what) { return espl_fail(err, ESPL_E_INPUT, "damaged BMP: %s", what); }

/* Compression 0, or 3 with the masks that mean plain blue green red. */
static espl_status check_masks(const uint8_t *data, size_t n, uint32_t head, uint32_t bits, uint32_t compression, espl_err *err) {
  if (compression == 0) return ESPL_OK;
  if (compression != 3 || bits != 32) return espl_fail(err, ESPL_E_UNSUPPORTED, "a BMP of %u bits with compression %u; uncompressed ones are supported", bits, compression);
  if (n < 66) return damaged(err, "the file ends in its header");
  (void)head; /* the masks follow the first 40 bytes, inside or behind the header */
  if (le32(data + 54) == 0xff0000 && le32(data + 58) == 0xff00 && le32(data + 62) == 0xff) return ESPL_OK;
  return espl_fail(err, ESPL_E_UNSUPPORTED, "a BMP with colour masks %08x %08x %08x", le32(data + 54), le32(data + 58), le32(data + 62));
}

static espl_status read_header(const uint8_t *data, size_t n, bmp *b, espl_err *err) {
  if (n < 26) return damaged(err, "the file ends in its header");
  uint32_t head = le32(data + 14), compression = 0;
  bool old = head == 12;
  if ((!old && head < 40) || head > 1024 || n < 14 + (size_t)head) return damaged(err, "the file ends in its header");
  b->start = le32(data + 10);
  b->w = old ? (int32_t)le16(data + 18) : (int32_t)le32(data + 18);
  b->h = old ? (int32_t)le16(data + 20) : (int32_t)le32(data + 22);
  b->bits = old ? le16(data + 24) : le16(data + 28);
  b->up = b->h > 0;
  b->h = b->h < 0 ? -b->h : b->h;
  if (!old) compression = le32(data + 30);
  if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 24 && b->bits != 32)
    return espl_fail(err, ESPL_E_UNSUPPORTED, "a BMP of %u bits a pixel; 1, 4, 8, 24 and 32 are supported", b->bits);
  ESPL_TRY(check_masks(data, n, head, b->bits, compression, err));
  if (b->bits > 8) return ESPL_OK;
  b->entry = old ? 3 : 4;
  b->colours = old ? 0 : le32(data + 46);
  if (b->colours == 0) b->colours = 1u << b->bits;
  if (b->colours > 1u << b->bits || 14 + (size_t)head + (size_t)b->colours * b->entry > n) return damaged(err, "its palette does not fit");
  b->palette = data + 14 + head;
  return ESPL_OK;
}

static bool grey_palette(const bmp *b) {
  bool grey = b->palette != NULL;
  for (uint32_t k = 0; grey && k < b->colours; k++) grey = b->palette[k * b->entry] == b->palette[k * b->entry + 1] && b->palette[k * b->entry] == b->palette[k * b->entry + 2];
  return grey;
}

/* One row; false when an index is not in the palette. */
static bool read_row(const bmp *b, const uint8_t *src, int32_t c, uint8_t *dst) {
  for (int64_t x = 0; x < b->w; x++, dst += c) {
    const uint8_t *bgr = src + x * (b->bits / 8);
    if (b->palette) {
      int64_t bit = x * b->bits;
      uint32_t k = (uint32_t)src[bit / 8] >> (8 - b->bits - bit % 8) & ((1u << b->bits) - 1);
      if (k >= b->colours) return false;
      bgr = b->palette + k * b->entry;
    }
    dst[0] = bgr[c == 3 ? 2 : 0];
    if (c == 3) dst[1] = bgr[1], dst[2] = bgr[0];
  }
  return true;
}

espl_status espli_bmp(const uint8_t *data, size_t n, espl_image *out, espl_err *err) {
  bmp b = {0};
  ESPL_TRY(read_header(data, n, &b, err));
  int32_t c = grey_palette(&b) ? 1 : 3;
  ESPL_TRY(espli_image_room(out, b.w, b.h, c, n, 8, err));
  int64_t row = (b.w * b.bits + 31) / 32 * 4;
  if (b.start > n || (uint64_t)(row * b.h) > n - b.start) return damaged(err, "the file ends before its last row");
  for (int64_t y = 0; y < b.h; y++)
    if (!read_row(&b, data + b.start + (b.up ? b.h - 1 - y : y) * row, c, out->pixels + y * b.w * c)) return damaged(err, "a pixel is not in its palette");
  return ESPL_OK;
}
