/* Tensor operators where ONNX's own vectors do not reach: number formats, adjointness of the two convolutions, limits, refusals. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/op.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

static espl_tensor *filled(espl_type type, int dims, const int64_t *dim, int step) {
  espl_tensor *t = espl_tensor_new(type, dims, dim);
  cr_assert_not_null(t);
  for (int64_t k = 0; k < t->elems; k++)
    if (t->f) t->f[k] = (float)((k * step) % 17) * 0.25f - 2;
    else t->i[k] = k * step;
  return t;
}

static espl_tensor *ints(int n, const int64_t *v) {
  espl_tensor *t = espl_tensor_new(ESPL_T_INT64, 1, &(int64_t){n});
  memcpy(t->i, v, (size_t)n * sizeof *v);
  return t;
}

static espl_tensor *run(const espl_top *op, int n, const espl_tensor *const *in) {
  espl_err err = {0};
  espl_tensor *out = NULL;
  OK(espl_top_run(op, in, n, &out, 1, ESPL_TLIMITS_DEFAULT, &err));
  return out;
}

static void refused(const espl_top *op, int n, const espl_tensor *const *in, espl_tlimits limits, espl_status code, const char *text) {
  espl_err err = {0};
  espl_tensor *out[1] = {NULL};
  cr_expect_eq(espl_top_run(op, in, n, out, 1, limits, &err), code, "%s", err.msg);
  cr_expect(strstr(err.msg, text), "\"%s\" is not in: %s", text, err.msg);
  cr_expect_null(out[0]);
}

/* IEEE binary16: 1 sign, 5 exponent, 10 fraction bits; bfloat16: the upper half of a float. */
Test(tensor, number_formats) {
  static const struct { float v; uint16_t half, brain; } t[] = {
      {0, 0, 0}, {-0.0f, 0x8000, 0x8000}, {1, 0x3c00, 0x3f80}, {-2, 0xc000, 0xc000}, {65504, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780}, {0x1p-24f, 1, 0x3380},
      {0x1.8p-24f, 2, 0x33c0}, {0x1p-25f, 0, 0x3300}, {0x1.ff8p-15f, 0x3ff, 0x3880}, {0x1.ffcp-15f, 0x400, 0x3880}, {0x1.ffep-15f, 0x400, 0x3880}, {1.00048828125f, 0x3c00, 0x3f80},
      {1.00146484375f, 0x3c02, 0x3f80}, {1.01171875f, 0x3c0c, 0x3f82}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    cr_expect_eq(espl_float_to_half(t[k].v), t[k].half, "%a: %x", (double)t[k].v, espl_float_to_half(t[k].v));
    cr_expect_eq(espl_float_to_bfloat(t[k].v), t[k].brain, "%a: %x", (double)t[k].v, espl_float_to_bfloat(t[k].v));
  }
  for (uint32_t h = 0; h < 0x7c00; h++) cr_assert_eq(espl_float_to_half(espl_half_to_float((uint16_t)h)), h);
  cr_expect(isnan(espl_half_to_float(espl_float_to_half(NAN))) && isinf(espl_half_to_float(0xfc00)));
  cr_expect_eq(espl_type_wrap(ESPL_T_INT8, 200), -56);
  cr_expect_eq(espl_type_wrap(ESPL_T_UINT8, -1), 255);
  cr_expect_eq(espl_type_wrap(ESPL_T_UINT32, -1), 4294967295);
  cr_expect_eq(espl_type_wrap(ESPL_T_BOOL, 7), 1);
}

Test(tensor, pack_and_unpack_are_inverse) {
  static const espl_type types[] = {ESPL_T_FLOAT, ESPL_T_UINT8, ESPL_T_INT8, ESPL_T_UINT16, ESPL_T_INT16, ESPL_T_INT32, ESPL_T_INT64,
                                    ESPL_T_BOOL, ESPL_T_FLOAT16, ESPL_T_DOUBLE, ESPL_T_UINT32, ESPL_T_UINT64, ESPL_T_BFLOAT16};
  uint8_t data[8 * 24];
  for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
    espl_tensor *a = filled(types[k], 2, (int64_t[]){4, 6}, 5), *b = espl_tensor_new(types[k], 2, (int64_t[]){4, 6});
    for (int64_t j = 0; a->i && j < a->elems; j++) a->i[j] = espl_type_wrap(types[k], a->i[j] * 1000003);
    espl_tensor_pack(a, data);
    espl_tensor_unpack(b, data);
    for (int64_t j = 0; j < a->elems; j++) cr_assert(a->i ? a->i[j] == b->i[j] : a->f[j] == b->f[j], "%s, element %lld", espl_type_name(types[k]), (long long)j);
    espl_tensor_free(a);
    espl_tensor_free(b);
  }
}

static double dot(const espl_tensor *a, const espl_tensor *b) {
  double s = 0;
  cr_assert_eq(a->elems, b->elems);
  for (int64_t k = 0; k < a->elems; k++) s += (double)a->f[k] * (double)b->f[k];
  return s;
}

/* ConvTranspose is the adjoint of Conv: <conv(x), y> = <x, convtranspose(y)>, for every stride, dilation, padding and group. */
Test(tensor, transposed_convolution_is_the_adjoint) {
  static const struct { int64_t group, s[2], d[2], pad[4], extra[2]; } t[] = {
      {1, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}}, {2, {2, 1}, {1, 2}, {1, 0, 1, 2}, {0, 0}}, {2, {3, 2}, {2, 1}, {0, 2, 1, 0}, {1, 1}}, {1, {2, 2}, {1, 1}, {2, 1, 0, 1}, {1, 0}}};
  for (size_t k = 0; k < sizeof t / sizeof *t; k++) {
    espl_top op, back;
    int64_t big[4] = {2, 4, 11, 10}, wdim[4] = {6, 4 / t[k].group, 3, 2}, small;
    espl_top_init(&op, ESPL_TOP_CONV, 13);
    op.group = t[k].group;
    op.strides = (espl_ints){2, {t[k].s[0], t[k].s[1]}};
    op.dilations = (espl_ints){2, {t[k].d[0], t[k].d[1]}};
    op.pads = (espl_ints){4, {t[k].pad[0], t[k].pad[1], t[k].pad[2], t[k].pad[3]}};
    back = op;
    back.kind = ESPL_TOP_CONVTRANSPOSE;
    for (int j = 0; j < 2; j++) { /* what the convolution leaves unread behind */
      small = (big[2 + j] + t[k].pad[j] + t[k].pad[2 + j] - (wdim[2 + j] - 1) * t[k].d[j] - 1) % t[k].s[j];
      back.out_pads.n = 2;
      back.out_pads.v[j] = small;
    }
    espl_tensor *x = filled(ESPL_T_FLOAT, 4, big, 7), *w = filled(ESPL_T_FLOAT, 4, wdim, 5), *y = run(&op, 2, (const espl_tensor *[]){x, w});
    espl_tensor *z = filled(ESPL_T_FLOAT, 4, y->dim, 3), *xt = run(&back, 2, (const espl_tensor *[]){z, w});
    cr_assert(memcmp(xt->dim, big, sizeof big) == 0, "case %zu: %lld x %lld", k, (long long)xt->dim[2], (long long)xt->dim[3]);
    double a = dot(y, z), b = dot(x, xt);
    cr_expect(fabs(a - b) < 1e-3 * (1 + fabs(a)), "case %zu: %g, %g", k, a, b);
    espl_tensor *all[] = {x, w, y, z, xt};
    for (int j = 0; j < 5; j++) espl_tensor_free(all[j]);
  }
}

/* Linear resizing to twice the size with aligned corners maps a ramp onto a ramp. */
Test(tensor, aligned_linear_resize_keeps_a_ramp) {
  espl_top op;
  espl_top_init(&op, ESPL_TOP_RESIZE, 13);
  op.mode = ESPL_WORD_LINEAR;
  op.coordinates = ESPL_WORD_ALIGN_CORNERS;
  espl_tensor *x = espl_tensor_new(ESPL_T_FLOAT, 2, (int64_t[]){1, 5}), *sizes = ints(2, (int64_t[]){1, 9});
  for (int k = 0; k < 5; k++) x->f[k] = (float)k;
  espl_tensor *y = run(&op, 4, (const espl_tensor *[]){x, NULL, NULL, sizes});
  cr_assert_eq(y->elems, 9);
  for (int k = 0; k < 9; k++) cr_expect_float_eq(y->f[k], (float)k / 2, 1e-6);
  espl_tensor_free(x);
  espl_tensor_free(sizes);
  espl_tensor_free(y);
}

/* One scale for both axes, and symmetric half pixels: 5x4 asked to become 10x6 is 8x6 (not larger) or 10x8 (not smaller); with a scale of 0.7 both
 * ends of seven elements lose alike: 4 positions around the middle one, (x + 0.5)/0.7 - 0.5 moved by 7/2 * (1 - 4/4.9). An axis that keeps its extent
 * stays what it is in every mode. */
Test(tensor, resize_policies_and_symmetry) {
  espl_top op;
  espl_tensor *x = filled(ESPL_T_FLOAT, 2, (int64_t[]){5, 4}, 3), *sizes = ints(2, (int64_t[]){10, 6}), *row = espl_tensor_new(ESPL_T_FLOAT, 2, (int64_t[]){1, 7});
  espl_tensor *scales = espl_tensor_new(ESPL_T_FLOAT, 1, &(int64_t){2}), *same = ints(2, (int64_t[]){5, 4});
  for (int larger = 0; larger < 2; larger++) {
    espl_top_init(&op, ESPL_TOP_RESIZE, 18);
    op.mode = ESPL_WORD_NEAREST;
    op.policy = larger ? ESPL_WORD_NOT_SMALLER : ESPL_WORD_NOT_LARGER;
    espl_tensor *y = run(&op, 4, (const espl_tensor *[]){x, NULL, NULL, sizes});
    cr_expect(y->dim[0] == (larger ? 10 : 8) && y->dim[1] == (larger ? 8 : 6), "%lld x %lld", (long long)y->dim[0], (long long)y->dim[1]);
    espl_tensor_free(y);
  }
  for (int k = 0; k < 7; k++) row->f[k] = (float)k;
  scales->f[0] = 1, scales->f[1] = 0.7f;
  espl_top_init(&op, ESPL_TOP_RESIZE, 19);
  op.mode = ESPL_WORD_LINEAR;
  op.coordinates = ESPL_WORD_HALF_PIXEL_SYMMETRIC;
  espl_tensor *y = run(&op, 3, (const espl_tensor *[]){row, NULL, scales});
  cr_assert_eq(y->elems, 4);
  for (int k = 0; k < 4; k++) {
    cr_expect_float_eq(y->f[k], ((float)k + 0.5f) / 0.7f - 0.5f + 3.5f * (1 - 4 / 4.9f), 1e-5);
    cr_expect_float_eq(y->f[k] + y->f[3 - k], 6, 1e-5);
  }
  espl_tensor_free(y);
  op.coordinates = ESPL_WORD_TF_HALF_PIXEL_FOR_NN;
  y = run(&op, 4, (const espl_tensor *[]){x, NULL, NULL, same});
  for (int k = 0; k < 20; k++) cr_expect_eq(y->f[k], x->f[k]);
  espl_tensor *all[] = {x, sizes, row, scales, same, y};
  for (int j = 0; j < 6; j++) espl_tensor_free(all[j]);
}

/* Nearest in operator set 10: up where an axis shrinks (ONNX's example of that set: the first and the third of four columns), down where it grows. */
Test(tensor, nearest_resize_of_set_10) {
  espl_top op;
  espl_top_init(&op, ESPL_TOP_RESIZE, 10);
  op.mode = ESPL_WORD_NEAREST;
  espl_tensor *x = espl_tensor_new(ESPL_T_FLOAT, 2, (int64_t[]){2, 4}), *scales = espl_tensor_new(ESPL_T_FLOAT, 1, &(int64_t){2});
  for (int k = 0; k < 8; k++) x->f[k] = (float)(k + 1);
  scales->f[0] = 2, scales->f[1] = 0.6f;
  espl_tensor *y = run(&op, 2, (const espl_tensor *[]){x, scales});
  static const float want[] = {1, 3, 1, 3, 5, 7, 5, 7};
  cr_assert(y->dim[0] == 4 && y->dim[1] == 2);
  for (int k = 0; k < 8; k++) cr_expect_eq(y->f[k], want[k], "element %d: %g", k, (double)y->f[k]);
  espl_tensor_free(x);
  espl_tensor_free(scales);
  espl_tensor_free(y);
}

/* Parts of 3, 3 and 1 (operator set 18); refused before. */
Test(tensor, uneven_split) {
  espl_top op;
  espl_err err = {0};
  espl_tensor *x = filled(ESPL_T_INT32, 1, (int64_t[]){7}, 1), *out[3];
  espl_top_init(&op, ESPL_TOP_SPLIT, 18);
  op.outputs = 3;
  OK(espl_top_run(&op, (const espl_tensor *[]){x}, 1, out, 3, ESPL_TLIMITS_DEFAULT, &err));
  cr_expect(out[0]->elems == 3 && out[1]->elems == 3 && out[2]->elems == 1 && out[2]->i[0] == 6);
  for (int k = 0; k < 3; k++) espl_tensor_free(out[k]);
  op.opset = 13;
  refused(&op, 1, (const espl_tensor *[]){x}, ESPL_TLIMITS_DEFAULT, ESPL_E_INPUT, "an extent of 7 does not split into 3 equal parts");
  espl_tensor_free(x);
}

/* 1 2 3 reflected over its borders: 2 3 2 1 2 3 2 1 2; wrapped: 3 1 2 3 1 ... */
Test(tensor, pads_longer_than_the_axis) {
  static const float reflected[9] = {2, 3, 2, 1, 2, 3, 2, 1, 2}, wrapped[9] = {3, 1, 2, 3, 1, 2, 3, 1, 2};
  espl_tensor *x = espl_tensor_new(ESPL_T_FLOAT, 1, (int64_t[]){3});
  for (int k = 0; k < 3; k++) x->f[k] = (float)(k + 1);
  for (int k = 0; k < 2; k++) {
    espl_top op;
    espl_top_init(&op, ESPL_TOP_PAD, 19);
    op.mode = k ? ESPL_WORD_WRAP : ESPL_WORD_REFLECT;
    op.pads = (espl_ints){2, {k ? 1 : 3, k ? 5 : 3}};
    espl_tensor *y = run(&op, 1, (const espl_tensor *[]){x});
    cr_expect_arr_eq(y->f, k ? wrapped : reflected, sizeof wrapped);
    espl_tensor_free(y);
  }
  espl_tensor_free(x);
}

/* A softmax before operator set 13 sees everything behind the axis as one vector. */
Test(tensor, softmax_of_old_sets) {
  espl_top op;
  espl_top_init(&op, ESPL_TOP_SOFTMAX, 11);
  espl_tensor *x = filled(ESPL_T_FLOAT, 3, (int64_t[]){2, 3, 4}, 5), *y = run(&op, 1, (const espl_tensor *[]){x});
  for (int r = 0; r < 2; r++) {
    double sum = 0;
    for (int k = 0; k < 12; k++) sum += (double)y->f[12 * r + k];
    cr_expect_float_eq(sum, 1, 1e-6);
  }
  espl_tensor_free(x);
  espl_tensor_free(y);
}

Test(tensor, limits_bad) {
  espl_top op;
  espl_tlimits small = {100, 1000};
  espl_tensor *x = filled(ESPL_T_FLOAT, 4, (int64_t[]){1, 2, 6, 6}, 3), *w = filled(ESPL_T_FLOAT, 4, (int64_t[]){2, 2, 3, 3}, 3), *shape = ints(2, (int64_t[]){11, 10});
  espl_top_init(&op, ESPL_TOP_CONSTANTOFSHAPE, 13);
  refused(&op, 1, (const espl_tensor *[]){shape}, small, ESPL_E_UNSUPPORTED, "a result of shape [11,10], at most 100 elements are allowed");
  espl_top_init(&op, ESPL_TOP_CONV, 13);
  espl_tensor *y = run(&op, 2, (const espl_tensor *[]){x, w});
  cr_expect_eq(y->elems * 18, 576);
  refused(&op, 2, (const espl_tensor *[]){x, w}, (espl_tlimits){100, 575}, ESPL_E_UNSUPPORTED, "32 outputs of 18 terms each");
  espl_top_init(&op, ESPL_TOP_MAXPOOL, 13); /* a window that would be walked for a very long time */
  op.kernel = (espl_ints){2, {1 << 27, 1 << 27}};
  op.pads = (espl_ints){4, {1 << 27, 1 << 27, 1 << 27, 1 << 27}};
  op.strides = (espl_ints){2, {1 << 27, 1 << 27}};
  refused(&op, 1, (const espl_tensor *[]){x}, ESPL_TLIMITS_DEFAULT, ESPL_E_UNSUPPORTED, "terms are allowed");
  espl_tensor *all[] = {x, w, shape, y};
  for (int k = 0; k < 4; k++) espl_tensor_free(all[k]);
}

Test(tensor, shapes_and_types_bad) {
  espl_top op;
  const espl_tlimits any = ESPL_TLIMITS_DEFAULT;
  espl_tensor *a = filled(ESPL_T_FLOAT, 2, (int64_t[]){2, 3}, 1), *b = filled(ESPL_T_FLOAT, 2, (int64_t[]){2, 4}, 1), *i = filled(ESPL_T_INT32, 2, (int64_t[]){2, 3}, 1);
  espl_tensor *far = ints(1, (int64_t[]){3}), *step = ints(1, (int64_t[]){0});
  espl_top_init(&op, ESPL_TOP_ADD, 13);
  refused(&op, 2, (const espl_tensor *[]){a, b}, any, ESPL_E_INPUT, "shapes [2,3] and [2,4] do not broadcast");
  refused(&op, 2, (const espl_tensor *[]){a, i}, any, ESPL_E_INPUT, "its inputs are of types float and int32");
  refused(&op, 1, (const espl_tensor *[]){a}, any, ESPL_E_INPUT, "has 1 inputs, expected 2 to 2");
  refused(&op, 2, (const espl_tensor *[]){a, NULL}, any, ESPL_E_INPUT, "input 1 is missing");
  espl_top_init(&op, ESPL_TOP_MATMUL, 13);
  refused(&op, 2, (const espl_tensor *[]){a, b}, any, ESPL_E_INPUT, "inner extents are 3 and 2");
  espl_top_init(&op, ESPL_TOP_GATHER, 13);
  refused(&op, 2, (const espl_tensor *[]){a, far}, any, ESPL_E_INPUT, "index 3 of an axis of extent 2");
  espl_top_init(&op, ESPL_TOP_SLICE, 13);
  refused(&op, 5, (const espl_tensor *[]){a, far, far, NULL, step}, any, ESPL_E_INPUT, "the step of axis 0 is 0");
  espl_top_init(&op, ESPL_TOP_SIGMOID, 13);
  refused(&op, 1, (const espl_tensor *[]){i}, any, ESPL_E_UNSUPPORTED, "input 0 is of type int32");
  espl_top_init(&op, ESPL_TOP_RESHAPE, 13);
  refused(&op, 2, (const espl_tensor *[]){a, far}, any, ESPL_E_INPUT, "its target shape [3] does not hold the 6 elements");
  espl_tensor *all[] = {a, b, i, far, step};
  for (int k = 0; k < 5; k++) espl_tensor_free(all[k]);
}
