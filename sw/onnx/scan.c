/* A walk over the protobuf wire format with an explicit stack, before anything recursive or allocating sees the bytes.
 *
 * protobuf-c unpacks nested messages by recursion and allocates a struct an empty two-byte message; this scan bounds both:
 *   nesting <= 64 messages; at most 2^20 messages and strings, 2^24 fields in all. Unknown fields are skipped and counted.
 * Every length lies inside its message, so a truncated file is refused here with the byte where it breaks. */
#include "onnx/onnx_int.h"

#define MAX_NESTING 64
#define MAX_ITEMS ((size_t)1 << 20)
#define MAX_FIELDS ((size_t)1 << 24)

typedef struct frame {
  const ProtobufCMessageDescriptor *message;
  size_t end;
} frame;

typedef struct scan {
  const uint8_t *p;
  size_t at, items, fields;
  int depth;
  frame stack[MAX_NESTING];
} scan;

/* Reads a base-128 varint that ends before `end`; false when it does not. */
static bool varint(scan *s, size_t end, uint64_t *v) {
  *v = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (s->at >= end) return false;
    uint8_t b = s->p[s->at++];
    if (shift < 64) *v |= (uint64_t)(b & 127) << shift;
    if (!(b & 128)) return true;
  }
  return false;
}

static espl_status broken(const scan *s, const char *what, espl_err *err) {
  return espl_fail(err, ESPL_E_INPUT, "not an ONNX file, or truncated: %s at byte %zu", what, s->at);
}

static espl_status skip(scan *s, size_t bytes, espl_err *err) {
  if (s->stack[s->depth].end - s->at < bytes) return broken(s, "a value runs past its message", err);
  s->at += bytes;
  return ESPL_OK;
}

static espl_status delimited(scan *s, uint64_t field, espl_err *err) {
  uint64_t n;
  const frame *f = &s->stack[s->depth];
  if (!varint(s, f->end, &n) || n > f->end - s->at) return broken(s, "a length runs past its message", err);
  const ProtobufCFieldDescriptor *d = protobuf_c_message_descriptor_get_field(f->message, (unsigned)field);
  bool item = d && (d->type == PROTOBUF_C_TYPE_MESSAGE || d->type == PROTOBUF_C_TYPE_STRING || d->type == PROTOBUF_C_TYPE_BYTES);
  if (item && ++s->items > MAX_ITEMS) return espl_fail(err, ESPL_E_INPUT, "more than %zu messages and strings", MAX_ITEMS);
  if (!d || d->type != PROTOBUF_C_TYPE_MESSAGE) return skip(s, (size_t)n, err);
  if (s->depth + 1 == MAX_NESTING) return espl_fail(err, ESPL_E_INPUT, "messages are nested deeper than %d at byte %zu", MAX_NESTING, s->at);
  s->stack[++s->depth] = (frame){d->descriptor, s->at + (size_t)n};
  return ESPL_OK;
}

static espl_status field(scan *s, espl_err *err) {
  uint64_t tag, ignored;
  if (!varint(s, s->stack[s->depth].end, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return broken(s, "no field tag", err);
  if (++s->fields > MAX_FIELDS) return espl_fail(err, ESPL_E_INPUT, "more than %zu fields", MAX_FIELDS);
  switch (tag & 7) {
    case 0: return varint(s, s->stack[s->depth].end, &ignored) ? ESPL_OK : broken(s, "a number runs past its message", err);
    case 1: return skip(s, 8, err);
    case 2: return delimited(s, tag >> 3, err);
    case 5: return skip(s, 4, err);
    default: return broken(s, "wire type that ONNX does not use", err);
  }
}

espl_status espli_onnx_scan(const uint8_t *p, size_t n, const ProtobufCMessageDescriptor *message, espl_err *err) {
  scan s = {.p = p};
  s.stack[0] = (frame){message, n};
  if (n == 0) return espl_fail(err, ESPL_E_INPUT, "the file is empty");
  for (;;) {
    while (s.at == s.stack[s.depth].end) {
      if (s.depth == 0) return ESPL_OK;
      s.depth--;
    }
    ESPL_TRY(field(&s, err));
  }
}
