/* Attributes of ONNX nodes as tensor operators (tensor/op.h). An attribute that means something and is not understood is refused. */
#include <math.h>
#include <string.h>

#include "onnx/onnx_int.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

typedef struct decoding {
  const Onnx__NodeProto *n;
  const Onnx__AttributeProto *a; /* the one at hand */
  espl_top *op;
  espl_tensor **value;
  espl_err *err;
} decoding;

/* ---- one kind of value each ---- */

static espl_status wrong_kind(const decoding *d, const char *want) { return espl_fail(d->err, ESPL_E_INPUT, "attribute %s is not %s", d->a->name, want); }

static espl_status get_int(const decoding *d, int64_t *v) {
  if (!d->a->has_i) return wrong_kind(d, "an integer");
  *v = d->a->i;
  return ESPL_OK;
}

static espl_status get_flag(const decoding *d, bool *v) {
  int64_t i = 0;
  ESPL_TRY(get_int(d, &i));
  *v = i != 0;
  return ESPL_OK;
}

static espl_status get_float(const decoding *d, float *v) {
  if (!d->a->has_f) return wrong_kind(d, "a number");
  *v = d->a->f;
  return ESPL_OK;
}

static espl_status get_ints(const decoding *d, espl_ints *v) {
  if (d->a->n_ints > sizeof v->v / sizeof *v->v) return espl_fail(d->err, ESPL_E_UNSUPPORTED, "attribute %s has %zu values", d->a->name, d->a->n_ints);
  v->n = (int)d->a->n_ints;
  for (int k = 0; k < v->n; k++) v->v[k] = d->a->ints[k];
  return ESPL_OK;
}

static espl_status get_floats(const decoding *d, int *n, float *v) {
  if (d->a->n_floats > ESPL_TENSOR_DIMS) return espl_fail(d->err, ESPL_E_UNSUPPORTED, "attribute %s has %zu values", d->a->name, d->a->n_floats);
  *n = (int)d->a->n_floats;
  for (int k = 0; k < *n; k++) v[k] = d->a->floats[k];
  return ESPL_OK;
}

static bool says(const decoding *d, const char *text) { return d->a->has_s && d->a->s.len == strlen(text) && memcmp(d->a->s.data, text, d->a->s.len) == 0; }

static espl_status get_word(const decoding *d, espl_word *w) {
  static const struct { const char *text; espl_word word; } words[] = {
      {"constant", ESPL_WORD_CONSTANT}, {"reflect", ESPL_WORD_REFLECT}, {"edge", ESPL_WORD_EDGE}, {"wrap", ESPL_WORD_WRAP},
      {"nearest", ESPL_WORD_NEAREST}, {"linear", ESPL_WORD_LINEAR}, {"bilinear", ESPL_WORD_LINEAR}, {"half_pixel", ESPL_WORD_HALF_PIXEL},
      {"pytorch_half_pixel", ESPL_WORD_PYTORCH_HALF_PIXEL}, {"align_corners", ESPL_WORD_ALIGN_CORNERS}, {"asymmetric", ESPL_WORD_ASYMMETRIC},
      {"tf_half_pixel_for_nn", ESPL_WORD_TF_HALF_PIXEL_FOR_NN},
      {"half_pixel_symmetric", ESPL_WORD_HALF_PIXEL_SYMMETRIC}, {"stretch", ESPL_WORD_STRETCH}, {"not_larger", ESPL_WORD_NOT_LARGER},
      {"not_smaller", ESPL_WORD_NOT_SMALLER}, {"round_prefer_floor", ESPL_WORD_ROUND_PREFER_FLOOR},
      {"round_prefer_ceil", ESPL_WORD_ROUND_PREFER_CEIL}, {"floor", ESPL_WORD_FLOOR}, {"ceil", ESPL_WORD_CEIL}};
  *w = ESPL_WORD_OTHER;
  for (size_t k = 0; k < sizeof words / sizeof *words; k++)
    if (says(d, words[k].text)) *w = words[k].word;
  return ESPL_OK;
}

static espl_status get_auto_pad(const decoding *d, espl_auto_pad *p) {
  static const char *const text[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
  for (int k = 0; k < 4; k++)
    if (says(d, text[k])) {
      *p = (espl_auto_pad)k;
      return ESPL_OK;
    }
  return espl_fail(d->err, ESPL_E_INPUT, "auto_pad is none of NOTSET, SAME_UPPER, SAME_LOWER, VALID");
}

/* An attribute that must have one value for the operator to be what is evaluated. */
static espl_status want_int(const decoding *d, int64_t want) {
  int64_t v = 0;
  ESPL_TRY(get_int(d, &v));
  return v == want ? ESPL_OK : espl_fail(d->err, ESPL_E_UNSUPPORTED, "%s is %lld, only %lld is supported", d->a->name, (long long)v, (long long)want);
}

/* ---- constants ---- */

static espl_status give_value(const decoding *d, espl_tensor *t) {
  if (!t) return espl_fail(d->err, ESPL_E_NOMEM, "out of memory for a constant");
  espl_tensor_free(*d->value);
  *d->value = t;
  d->op->value = t;
  return ESPL_OK;
}

static espl_status get_tensor(const decoding *d) {
  espl_tensor *t = NULL;
  if (!d->a->t) return wrong_kind(d, "a tensor");
  ESPL_TRY(espli_tensor_decode(d->a->t, &t, d->err));
  return give_value(d, t);
}

/* value_int, value_ints, value_float, value_floats. */
static espl_status get_plain_constant(const decoding *d) {
  const char *name = d->a->name;
  bool ints = strncmp(name, "value_int", 9) == 0, many = name[strlen(name) - 1] == 's';
  int64_t len = (int64_t)(ints ? d->a->n_ints : d->a->n_floats);
  espl_tensor *t = espl_tensor_new(ints ? ESPL_T_INT64 : ESPL_T_FLOAT, many ? 1 : 0, &len);
  for (int64_t k = 0; t && k < t->elems; k++)
    if (ints) t->i[k] = many ? d->a->ints[k] : d->a->i;
    else t->f[k] = many ? d->a->floats[k] : d->a->f;
  return give_value(d, t);
}

/* ---- all attributes ---- */

/* Names whose meaning is one for all operators that have them. */
static espl_status common(const decoding *d, const char *s, bool *known) {
  espl_top *o = d->op;
  const struct { const char *name; espl_ints *v; } lists[] = {
      {"kernel_shape", &o->kernel}, {"strides", &o->strides}, {"dilations", &o->dilations}, {"pads", &o->pads}, {"output_padding", &o->out_pads},
      {"output_shape", &o->out_shape}, {"axes", &o->axes}, {"starts", &o->starts}, {"ends", &o->ends}, {"perm", &o->list}, {"split", &o->list}};
  const struct { const char *name; bool *v; } flags[] = {
      {"keepdims", &o->keepdims}, {"noop_with_empty_axes", &o->noop_empty}, {"ceil_mode", &o->ceil_mode}, {"count_include_pad", &o->count_include_pad},
      {"storage_order", &o->column_major}, {"transA", &o->trans_a}, {"transB", &o->trans_b}, {"allowzero", &o->allowzero}, {"axis", &o->has_axis}};
  const struct { const char *name; int64_t *v; } ints[] = {{"group", &o->group}, {"to", &o->to}, {"output_dtype", &o->to}, {"start", &o->start}, {"end", &o->end}};
  const struct { const char *name; float *v; } floats[] = {{"alpha", &o->alpha}, {"beta", &o->beta}, {"epsilon", &o->eps}, {"min", &o->lo}, {"max", &o->hi}};
  static const char *const idle[] = {"momentum", "ratio", "seed", "saturate", "cubic_coeff_a", "extrapolation_value", "is_test", "consumed_inputs", "precision"};
  *known = true;
  for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
    if (strcmp(s, lists[k].name) == 0) return get_ints(d, lists[k].v);
  for (size_t k = 0; k < sizeof flags / sizeof *flags; k++)
    if (strcmp(s, flags[k].name) == 0) {
      if (flags[k].v != &o->has_axis) return get_flag(d, flags[k].v);
      o->has_axis = true;
      return get_int(d, &o->axis);
    }
  for (size_t k = 0; k < sizeof ints / sizeof *ints; k++)
    if (strcmp(s, ints[k].name) == 0) {
      o->has_end |= ints[k].v == &o->end;
      return get_int(d, ints[k].v);
    }
  for (size_t k = 0; k < sizeof floats / sizeof *floats; k++)
    if (strcmp(s, floats[k].name) == 0) return get_float(d, floats[k].v);
  for (size_t k = 0; k < sizeof idle / sizeof *idle; k++)
    if (strcmp(s, idle[k]) == 0) return ESPL_OK;
  *known = false;
  return ESPL_OK;
}

static espl_status attribute(const decoding *d) {
  const char *s = d->a->name;
  espl_top *o = d->op;
  bool known;
  ESPL_TRY(common(d, s, &known));
  if (known) return ESPL_OK;
  if (strcmp(s, "auto_pad") == 0) return get_auto_pad(d, &o->auto_pad);
  if (strcmp(s, "mode") == 0) return get_word(d, &o->mode);
  if (strcmp(s, "coordinate_transformation_mode") == 0) return get_word(d, &o->coordinates);
  if (strcmp(s, "nearest_mode") == 0) return get_word(d, &o->nearest);
  if (strcmp(s, "scales") == 0) return get_floats(d, &o->n_scales, o->scales);
  if (strcmp(s, "value") == 0) return o->kind == ESPL_TOP_PAD ? get_float(d, &o->fill) : get_tensor(d);
  if (o->kind == ESPL_TOP_CONSTANT && (strncmp(s, "value_int", 9) == 0 || strncmp(s, "value_float", 11) == 0)) return get_plain_constant(d);
  if (strcmp(s, "num_outputs") == 0) return want_int(d, (int64_t)d->n->n_output);
  if (strcmp(s, "spatial") == 0) return want_int(d, 1);
  if (strcmp(s, "training_mode") == 0 || strcmp(s, "antialias") == 0 || strcmp(s, "exclude_outside") == 0 || strcmp(s, "block_size") == 0) return want_int(d, 0);
  if (strcmp(s, "keep_aspect_ratio_policy") == 0) return get_word(d, &o->policy);
  return espl_fail(d->err, ESPL_E_UNSUPPORTED, "attribute %s is not supported", s);
}

espl_status espli_top_decode(const Onnx__NodeProto *n, int64_t opset, espl_top *op, espl_tensor **value, espl_err *err) {
  espl_top_kind kind;
  int fewest, most, outputs;
  *value = NULL;
  if (!espl_top_find(espli_text(n->op_type), &kind)) return espl_fail(err, ESPL_E_UNSUPPORTED, "no such operator is evaluated");
  espl_top_arity(kind, &fewest, &most, &outputs);
  if (n->n_input < (size_t)fewest || n->n_input > (size_t)most) return espl_fail(err, ESPL_E_INPUT, "has %zu inputs, expected %d to %d", n->n_input, fewest, most);
  size_t used = n->n_output;
  while (used > 0 && !n->output[used - 1][0]) used--;
  if (used < 1 || used > (size_t)outputs) return espl_fail(err, used ? ESPL_E_UNSUPPORTED : ESPL_E_INPUT, "has %zu outputs, expected 1 to %d", used, outputs);
  espl_top_init(op, kind, opset);
  op->outputs = (int)n->n_output;
  for (size_t k = 0; k < n->n_attribute; k++) {
    decoding d = {n, n->attribute[k], op, value, err};
    espl_status s = n->attribute[k]->name ? attribute(&d) : espl_fail(err, ESPL_E_INPUT, "an attribute without name");
    if (s == ESPL_OK) continue;
    espl_tensor_free(*value);
    *value = NULL;
    return s;
  }
  return ESPL_OK;
}
