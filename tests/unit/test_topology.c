/* Layer tables: every quirk of the form, refusals by line, SCALE-Sim's closed form against numbers that program printed, and the exact machine
 * on tables. Where the numbers come from: the reports of SCALE-Sim 3.0.0 (CALC mode), run on the tables that stand beside them. Tables of
 * that project's repository are read from ESPL_SHARED/topologies when it is there. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "base/rng.h"
#include "map/scale.h"

#define CONV_HEADER "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"

static espl_topology *parse(const char *text, espl_topo_form form) {
  espl_err err = {0};
  espl_topology *t = NULL;
  cr_assert_eq(espl_topology_parse("t.csv", text, strlen(text), form, &t, &err), ESPL_OK, "%s", err.msg);
  return t;
}

Test(topology, quirks_of_the_convolution_form) {
  /* A byte order mark, carriage returns, blank and comma-only lines, blanks around fields, a comment behind the last comma, spreadsheet columns,
   * no newline at the end. */
  espl_topology *t = parse("\xef\xbb\xbf" CONV_HEADER ",,Eh,Ew\r\n,,,,,,,,,,\r\n\r\n  \t\r\nConv1,224,224,7,7,3,64,2,,,110,110\r\n"
                           "Conv2     ,27   , 27,5 ,5,96 ,256,1,#dw\n a DP1, 6,5,3,3,2,4,1,\nfc,1,1,1,1,512,1000,1,", ESPL_TOPO_AUTO);
  cr_assert_eq(t->form, ESPL_TOPO_CONV);
  cr_assert_eq(t->layers, 4);
  cr_assert_str_eq(t->name, "t");
  const espl_topo_layer *l = t->layer;
  cr_assert_eq(l[0].line, 5);
  cr_assert_eq(l[0].gm, 110 * 110);
  cr_assert_eq(l[0].gk, 147);
  cr_assert_eq(espl_topo_exact_macs(&l[0]), 109 * 109 * 64 * 147); /* floor */
  cr_assert_str_eq(l[1].name, "Conv2");
  cr_assert(l[1].c == 96 && l[1].m == 256 && l[1].stride == 1 && !l[1].depthwise);
  cr_assert(l[2].depthwise && l[2].gk == 9 && l[2].gn == 4 && l[2].gm == 12);
  cr_assert_eq(espl_topo_macs(&l[2]), 12 * 4 * 9 * 2);
  cr_assert(l[3].gm == 1 && l[3].gn == 1000 && l[3].gk == 512);
  espl_topology_free(t);
}

Test(topology, form_is_found_or_given) {
  espl_topology *t = parse("Layer,M,N,K,\nQKT,1024,64,16,\n2,3,4,5\n", ESPL_TOPO_AUTO); /* the last row without its comma */
  cr_assert(t->form == ESPL_TOPO_GEMM && t->layers == 2 && t->layer[0].gm == 1024 && t->layer[0].gn == 64 && t->layer[0].gk == 16 && t->layer[1].gk == 5);
  espl_topology_free(t);
  t = parse("whatever\nx,3,4,5,\n", ESPL_TOPO_AUTO); /* by the number of fields */
  cr_assert(t->form == ESPL_TOPO_GEMM && t->layer[0].gemm);
  espl_topology_free(t);
  t = parse("\nx,9,8,3,3,4,5,1,\n", ESPL_TOPO_AUTO);
  cr_assert_eq(t->form, ESPL_TOPO_CONV);
  espl_topology_free(t);
  t = parse(CONV_HEADER "\nx,9,8,3,3,4,5,1,\n", ESPL_TOPO_GEMM); /* told so */
  cr_assert(t->layer[0].gemm && t->layer[0].gm == 9 && t->layer[0].gk == 3);
  espl_topology_free(t);
}

Test(topology, further_columns) {
  espl_topology *t = parse(CONV_HEADER " Sparsity,\na,5,5,3,3,2,6,1,2:4,\nb,5,5,3,3,2,6,1, 3 : 8\nc,5,5,3,3,2,6,1,,\n", ESPL_TOPO_AUTO);
  cr_assert(t->layer[0].sparse_n == 2 && t->layer[0].sparse_m == 4 && t->layer[1].sparse_n == 3 && t->layer[1].sparse_m == 8);
  cr_assert(t->layer[2].sparse_n == 1 && t->layer[2].sparse_m == 1);
  espl_topology_free(t);
  t = parse("Layer,M,N,K,\ng,3,5,16,1:4,\n", ESPL_TOPO_AUTO);
  cr_assert(t->layer[0].sparse_n == 1 && t->layer[0].sparse_m == 4);
  espl_topology_free(t);
  t = parse(CONV_HEADER " Pad Right, note, Pad Top, Pad Left, Pad Bottom,\na,5,5,3,3,2,6,1,4,hello,1,2,3,\nb,5,5,3,3,2,6,2,\n", ESPL_TOPO_AUTO);
  cr_assert(t->layer[0].pr == 4 && t->layer[0].pt == 1 && t->layer[0].pl == 2 && t->layer[0].pb == 3);
  cr_assert_eq(espl_topo_exact_macs(&t->layer[0]), 7 * 9 * 6 * 18);
  cr_assert(t->layer[1].pt == 0 && t->layer[1].gm == 4);
  espl_topology_free(t);
}

Test(topology, broken_rows_are_refused_by_line) {
  static const struct { const char *text, *says; } bad[] = {
      {CONV_HEADER "\n\nx,7,7,3,3,192,abc,1,\n", "t.csv:3: number of filters: found 'abc', expected an integer 1..1000000"},
      {CONV_HEADER "\nx,7,7,3,3,192,,1,\n", "t.csv:2: number of filters: found '', expected an integer"},
      {CONV_HEADER "\nx,0,7,3,3,192,1,1,\n", "t.csv:2: IFMAP height: found '0'"},
      {CONV_HEADER "\nx,-7,7,3,3,192,1,1,\n", "t.csv:2: IFMAP height: found '-7'"},
      {CONV_HEADER "\nx,99999999999999999999999,7,3,3,192,1,1,\n", "t.csv:2: IFMAP height: found '9999"},
      {CONV_HEADER "\nx,7,7,3,3,1,1,0,\n", "t.csv:2: stride: found '0'"},
      {CONV_HEADER "\nx,7,7,8,3,1,1,1,\n", "t.csv:2: filter height is 8, expected at most that of the input, 7"},
      {CONV_HEADER "\nx,7,7,3,8,1,1,1,\n", "t.csv:2: filter width is 8, expected at most that of the input, 7"},
      {CONV_HEADER "\nx,7,7,3,3\n", "t.csv:2: found 5 fields, expected 8"},
      {CONV_HEADER "\n\x01,7,7,3,3,1,1,1,\n", "t.csv:2: found the byte 0x01, expected text"},
      {CONV_HEADER " Sparsity,\nx,7,7,3,3,1,1,1,2:,\n", "t.csv:2: Sparsity: found '2:', expected N:M"},
      {CONV_HEADER "\nx,7,7,3,3,1,1,1,4:2,\n", "t.csv:2: Sparsity M of N:M: found '2', expected an integer 4.."},
      {CONV_HEADER " Pad Top,\nx,7,7,3,3,1,1,1,-1,\n", "t.csv:2: padtop: found '-1'"},
      {CONV_HEADER "\n", "t.csv: no layer behind the header line"},
      {"", "t.csv: no layer behind the header line"},
      {"x,7,7,3,3,192,384,1,\ny,7,7,3,3,192,384,1,\n", "t.csv:1: found a layer ('x'), expected the header line"},
      {"Layer,M,N,K,\nq,1,2\n", "t.csv:2: found 3 fields, expected 4: name, M, N, K"},
      {"Layer,M,N,K,\nq,1,2,\n", "t.csv:2: found 3 fields, expected 4: name, M, N, K"},
      {"Layer,M,N,K,\nq,1,2,x,\n", "t.csv:2: K: found 'x', expected an integer 1..1000000000"},
      {"Layer,M,N,K,\nq,1000000000,1000000000,1000000000,\n", "t.csv:2: layer q has more than 2^53 multiply-accumulates"},
      {"?\nq,1,2,3,4,5,\n", "t.csv:2: found 6 fields, expected 8 (convolution) or 4 (GEMM)"},
      {"?\n,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,1\n", "t.csv:2: more than 64 columns"},
      {CONV_HEADER "\n0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789,7,7,3,3,1,1,1,\n",
       "t.csv:2: layer name of 100 bytes, expected at most 95"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    espl_err err = {0};
    espl_topology *t = NULL;
    cr_expect_eq(espl_topology_parse("t.csv", bad[i].text, strlen(bad[i].text), ESPL_TOPO_AUTO, &t, &err), ESPL_E_INPUT, "%s", bad[i].text);
    cr_expect(t == NULL && strstr(err.msg, bad[i].says) != NULL, "found '%s', expected '%s'", err.msg, bad[i].says);
  }
  espl_err err = {0};
  espl_topology *t = NULL;
  cr_expect_eq(espl_topology_load("/nonexistent/t.csv", ESPL_TOPO_AUTO, &t, &err), ESPL_E_INPUT);
}

/* --- SCALE-Sim's closed form --------------------------------------------------------------------------------------- */

typedef struct printed {
  const char *name;
  int m, n, k, ws;
  double ws_util, ws_map, ws_comp;
  int os;
  double os_util, os_map, os_comp;
} printed;

/* 32x32; the bundled ResNet-50 (unpadded), MobileNet and test.csv. */
static const printed rows32[] = {
    {"Conv1", 12100, 64, 147, 121939, 91.17, 91.88, 90.94, 158421, 70.17, 99.77, 70.17},
    {"CB2a_1", 3136, 64, 64, 12919, 97.10, 100.00, 96.17, 24695, 50.80, 100.00, 50.79},
    {"CB2a_2", 2916, 64, 576, 108359, 96.88, 100.00, 95.89, 117391, 89.42, 99.05, 89.42},
    {"CB2a_3", 3136, 256, 64, 51679, 97.09, 100.00, 96.17, 98783, 50.79, 100.00, 50.79},
    {"IB2b_1", 3136, 64, 256, 51679, 97.09, 100.00, 96.17, 62327, 80.50, 100.00, 80.50},
    {"CB3a_1", 841, 128, 256, 29919, 89.95, 100.00, 87.06, 34343, 78.36, 97.34, 78.36},
    {"CB3a_2", 676, 128, 1152, 110879, 87.79, 100.00, 84.39, 106831, 91.12, 96.02, 91.12},
    {"CB3a_3", 784, 512, 128, 56191, 89.30, 100.00, 86.25, 75999, 66.02, 98.00, 66.02},
    {"CB3s", 841, 512, 256, 119679, 89.95, 100.00, 87.06, 137375, 78.36, 97.34, 78.36},
    {"IB3b_1", 784, 128, 512, 56191, 89.30, 100.00, 86.25, 57399, 87.42, 98.00, 87.41},
    {"CB4a_1", 225, 256, 512, 40831, 70.53, 100.00, 64.29, 36735, 78.40, 87.89, 78.40},
    {"CB4a_2", 144, 256, 2304, 137087, 60.50, 100.00, 53.53, 94639, 87.64, 90.00, 87.64},
    {"CB4a_3", 196, 1024, 256, 74239, 67.59, 100.00, 61.06, 71231, 70.44, 87.50, 70.44},
    {"CB4s", 225, 1024, 512, 163327, 70.53, 100.00, 64.29, 146943, 78.40, 87.89, 78.40},
    {"IB4b_1", 196, 256, 1024, 74239, 67.59, 100.00, 61.06, 60815, 82.51, 87.50, 82.50},
    {"CB5a_1", 64, 512, 1024, 80895, 40.51, 100.00, 33.86, 34751, 94.29, 100.00, 94.29},
    {"CB5a_2", 25, 512, 4608, 274175, 21.01, 100.00, 16.67, 74719, 77.09, 78.12, 77.09},
    {"CB5a_3", 49, 2048, 512, 146431, 34.27, 100.00, 28.16, 73471, 68.29, 76.56, 68.29},
    {"CB5s", 64, 2048, 1024, 323583, 40.51, 100.00, 33.86, 139007, 94.29, 100.00, 94.29},
    {"IB5b_1", 49, 512, 2048, 146431, 34.27, 100.00, 28.16, 67519, 74.31, 76.56, 74.31},
    {"FC6", 1, 1000, 2048, 194559, 1.03, 97.66, 0.78, 67519, 2.96, 3.05, 2.96},
    {"mobile1", 12544, 32, 27, 12637, 83.75, 84.38, 83.54, 34887, 30.34, 100.00, 30.34},
    {"mobile2", 12100, 1, 288, 109745, 3.10, 3.12, 3.09, 132649, 2.57, 3.12, 2.57},
    {"mobile3", 12544, 64, 32, 25275, 99.26, 100.00, 99.01, 73695, 34.04, 100.00, 34.04},
    {"mobile4", 3136, 1, 576, 58139, 3.03, 3.12, 3.01, 62523, 2.82, 3.12, 2.82},
    {"mobile6", 2916, 1, 1152, 108359, 3.03, 3.12, 3.00, 111687, 2.94, 3.10, 2.94},
    {"mobile8", 784, 1, 1152, 31607, 2.79, 3.12, 2.70, 30349, 2.91, 3.06, 2.91},
    {"mobile10", 676, 1, 2304, 55439, 2.74, 3.12, 2.64, 52051, 2.92, 3.00, 2.92},
    {"mobile12", 196, 1, 2304, 20879, 2.11, 3.12, 1.91, 16561, 2.66, 2.73, 2.66},
    {"mobile14", 144, 1, 4608, 34271, 1.89, 3.12, 1.67, 23349, 2.78, 2.81, 2.78},
    {"mobile24", 49, 1, 4608, 20591, 1.07, 3.12, 0.88, 9339, 2.36, 2.39, 2.36},
    {"mobile25", 49, 1024, 512, 73215, 34.27, 100.00, 28.16, 36735, 68.29, 76.56, 68.29},
    {"mobile26", 9, 1, 9216, 29663, 0.27, 3.12, 0.21, 9277, 0.87, 0.88, 0.87},
    {"mobile27", 49, 1024, 1024, 146431, 34.27, 100.00, 28.16, 69503, 72.19, 76.56, 72.19},
};

static espl_scale_result closed(const espl_topo_layer *l, int32_t r, int32_t c, espl_scale_dataflow d, bool sparsity) {
  espl_err err = {0};
  espl_scale_array a = {r, c, d, sparsity};
  espl_scale_result out = {0};
  cr_assert_eq(espl_scale_layer(l, &a, &out, &err), ESPL_OK, "%s", err.msg);
  return out;
}

/* Equal when printed with two decimals. */
static void percent(const char *name, const char *what, double want, double got) { cr_expect(fabs(want - got) <= 0.00501, "%s: %s is %.4f, expected %.2f", name, what, got, want); }

Test(topology, closed_form_gives_the_printed_numbers) {
  for (size_t i = 0; i < sizeof rows32 / sizeof rows32[0]; i++) {
    const printed *p = &rows32[i];
    char text[200];
    snprintf(text, sizeof text, "Layer,M,N,K,\n%s,%d,%d,%d,\n", p->name, p->m, p->n, p->k);
    espl_topology *t = parse(text, ESPL_TOPO_AUTO);
    espl_scale_result w = closed(t->layer, 32, 32, ESPL_SCALE_WS, false), o = closed(t->layer, 32, 32, ESPL_SCALE_OS, false);
    cr_expect_eq(w.cycles, p->ws, "%s: %lld", p->name, (long long)w.cycles);
    cr_expect_eq(o.cycles, p->os, "%s: %lld", p->name, (long long)o.cycles);
    percent(p->name, "ws util", p->ws_util, w.overall);
    percent(p->name, "ws map", p->ws_map, w.mapping);
    percent(p->name, "ws comp", p->ws_comp, w.compute);
    percent(p->name, "os util", p->os_util, o.overall);
    percent(p->name, "os map", p->os_map, o.mapping);
    percent(p->name, "os comp", p->os_comp, o.compute);
    espl_topology_free(t);
  }
}

Test(topology, closed_form_on_arrays_of_other_sizes) {
  static const struct { int side, ws, os; } want[] = {{16, 184031, 84383}, {32, 77111, 21479}, {128, 17093, 5945}};
  espl_topology *t = parse(CONV_HEADER "\nInc5b_3x3, 7, 7, 3, 3, 192, 384, 1,\n", ESPL_TOPO_AUTO);
  for (int i = 0; i < 3; i++) {
    cr_expect_eq(closed(t->layer, want[i].side, want[i].side, ESPL_SCALE_WS, false).cycles, want[i].ws);
    cr_expect_eq(closed(t->layer, want[i].side, want[i].side, ESPL_SCALE_OS, false).cycles, want[i].os);
  }
  espl_topology_free(t);
}

/* The 4x4x4 product on a 4x4 array: folds of 14 and 10 cycles, reported one short. */
Test(topology, closed_form_reports_one_cycle_less_than_a_fold) {
  espl_topology *t = parse("Layer,M,N,K,\na,4,4,4,\n", ESPL_TOPO_AUTO);
  espl_scale_result w = closed(t->layer, 4, 4, ESPL_SCALE_WS, false), o = closed(t->layer, 4, 4, ESPL_SCALE_OS, false), s = closed(t->layer, 4, 4, ESPL_SCALE_IS, false);
  cr_assert(w.cycles == 13 && w.fold_cycles == 14 && s.cycles == 13 && o.cycles == 9 && o.fold_cycles == 10 && w.folds == 1);
  cr_assert(o.ofmap.count == 24 && o.ofmap.start == 3); /* 16 outputs */
  espl_scale_array tiny = {1, 1, ESPL_SCALE_OS, false};
  espl_topology_free(t);
  t = parse("Layer,M,N,K,\na,1,1,1,\n", ESPL_TOPO_AUTO);
  espl_err err = {0};
  cr_assert_eq(espl_scale_layer(t->layer, &tiny, &o, &err), ESPL_E_UNSUPPORTED);
  espl_topology_free(t);
}

typedef struct report_case {
  const char *table;
  espl_scale_array a;
  const char *file[3]; /* compute, bandwidth, accesses: the rows that SCALE-Sim wrote, its DRAM columns left out */
} report_case;

static const char convs[] = CONV_HEADER "\nc1, 9, 8, 3, 2, 4, 7, 1,\nc2DP, 6, 5, 3, 3, 2, 1, 1,\nc3, 8, 9, 3, 4, 5, 11, 2,\n";

static const report_case reports[] = {
    {"Layer,M,N,K,\nb,9,7,10,\nd,3,2,2,\n", {4, 4, ESPL_SCALE_WS, false},
     {"113, 0, 34.84513274336283, 72.91666666666666, 29.829545454545453\n12, 0, 6.25, 25.0, 4.6875\n",
      "1.592920353982301, 0.6194690265486725, 1.6725663716814159\n0.5, 0.3333333333333333, 0.5\n",
      "5.0, 109.0, 180, 1.0, 99.0, 70, 7.0, 112.0, 189\n5.0, 8.0, 6, 3.0, 4.0, 4, 7.0, 10.0, 6\n"}},
    {convs, {3, 5, ESPL_SCALE_WS, false},
     {"927, 0, 59.2017259978425, 70.0, 55.32258064516129\n62, 0, 11.612903225806452, 20.0, 9.6\n62, 0, 11.612903225806452, 20.0, 9.6\n"
      "1499, 0, 46.96464309539693, 73.33333333333343, 40.45977011494254\n",
      "2.5372168284789645, 0.18122977346278318, 2.9600862998921253\n1.7419354838709677, 0.14516129032258066, 0.5806451612903226\n"
      "1.7419354838709677, 0.14516129032258066, 0.5806451612903226\n1.9212808539026018, 0.4402935290193462, 2.3482321547698466\n",
      "4.0, 924.0, 2352, 1.0, 873.0, 168, 5.0, 924.0, 2744\n4.0, 59.0, 108, 1.0, 45.0, 9, 5.0, 58.0, 36\n4.0, 59.0, 108, 1.0, 45.0, 9, 5.0, 58.0, 36\n"
      "4.0, n/a, 2880, 1.0, 1478.0, 660, 5.0, 1495.0, 3520\n"}},
    {convs, {3, 5, ESPL_SCALE_OS, false},
     {"1019, 0, 53.856722276741905, 67.25490196078424, 53.803921568627466\n59, 0, 12.203389830508474, 20.0, 12.0\n59, 0, 12.203389830508474, 20.0, 12.0\n"
      "1187, 0, 59.30918281381634, 65.18518518518516, 59.259259259259245\n",
      "2.308145240431796, 2.802747791952895, 0.6035328753680078\n1.8305084745762712, 0.6101694915254238, 0.7457627118644068\n"
      "1.8305084745762712, 0.6101694915254238, 0.7457627118644068\n2.426284751474305, 3.336141533277169, 0.2695871946082561\n",
      "1.0, 1014.0, 2352, 1.0, 1015.0, 2856, 23.0, 1016.0, 615\n1.0, 56.0, 108, 1.0, 54.0, 36, 8.0, 55.0, 44\n1.0, 56.0, 108, 1.0, 54.0, 36, 8.0, 55.0, 44\n"
      "1.0, n/a, 2880, 1.0, 1182.0, 3960, 59.0, 1183.0, 320\n"}},
    {convs, {3, 5, ESPL_SCALE_IS, false},
     {"1279, 0, 42.90852228303362, 98.0, 34.3\n89, 0, 8.089887640449438, 80.0, 5.7142857142857135\n89, 0, 8.089887640449438, 80.0, 5.7142857142857135\n"
      "1599, 0, 44.02751719824891, 80.0, 36.6666666666666\n",
      "0.9194683346364347, 1.313526192337764, 2.145426114151681\n1.2134831460674158, 0.30337078651685395, 0.4044943820224719\n"
      "1.2134831460674158, 0.30337078651685395, 0.4044943820224719\n0.600375234521576, 1.6510318949343339, 2.2013758599124453\n",
      "1.0, 1267.0, 1176, 4.0, 1276.0, 1680, 5.0, 1278.0, 2744\n1.0, 83.0, 108, 4.0, 86.0, 27, 5.0, 86.0, 36\n1.0, 83.0, 108, 4.0, 86.0, 27, 5.0, 86.0, 36\n"
      "1.0, n/a, 960, 4.0, 1596.0, 2640, 5.0, 1595.0, 3520\n"}},
    {CONV_HEADER " Sparsity,\ns1, 5, 5, 3, 3, 2, 6, 1, 2:4,\ns2, 6, 6, 2, 3, 5, 5, 1, 3:8,\n", {4, 4, ESPL_SCALE_WS, true},
     {"113, 0, 53.76106194690266, 62.5, 25.568181818181817\n179, 0, 104.74860335195531, 62.5, 37.87878787878788\n",
      "3.185840707964602, 0.5309734513274337, 1.4336283185840708\n7.150837988826814, 0.33519553072625696, 1.675977653631285\n",
      "5.0, 109.0, 360.0, 1.0, 99.0, 60, 7.0, 111.0, 162\n5.0, 177.0, 1280.0, 1.0, 154.0, 60, 7.0, 176.0, 300\n"}},
};

static const char *const report_names[3] = {"COMPUTE_REPORT.csv", "BANDWIDTH_REPORT.csv", "DETAILED_ACCESS_REPORT.csv"};
static const char *const report_headers[3] = {
    "LayerID, Total Cycles (incl. prefetch), Total Cycles, Stall Cycles, Overall Util %, Mapping Efficiency %, Compute Util %,\n",
    "LayerID, Avg IFMAP SRAM BW, Avg FILTER SRAM BW, Avg OFMAP SRAM BW, Avg IFMAP DRAM BW, Avg FILTER DRAM BW, Avg OFMAP DRAM BW,\n",
    "LayerID, SRAM IFMAP Start Cycle, SRAM IFMAP Stop Cycle, SRAM IFMAP Reads, SRAM Filter Start Cycle, SRAM Filter Stop Cycle, SRAM Filter Reads, "
    "SRAM OFMAP Start Cycle, SRAM OFMAP Stop Cycle, SRAM OFMAP Writes, DRAM IFMAP Start Cycle, DRAM IFMAP Stop Cycle, DRAM IFMAP Reads, "
    "DRAM Filter Start Cycle, DRAM Filter Stop Cycle, DRAM Filter Reads, DRAM OFMAP Start Cycle, DRAM OFMAP Stop Cycle, DRAM OFMAP Writes,\n"};
/* Columns behind the layer's number that are n/a, before and behind those of a report_case. */
static const char *const report_before[3] = {"n/a, ", "", ""}, *const report_behind[3] = {"", ", n/a, n/a, n/a", ", n/a, n/a, n/a, n/a, n/a, n/a, n/a, n/a, n/a"};

/* Same fields; numbers may differ in the last digits, since SCALE-Sim sums fold by fold. */
static void same_line(const char *want, const char *got) {
  const char *a = want, *b = got;
  while (*a && *b) {
    char *ea, *eb;
    double x = strtod(a, &ea), y = strtod(b, &eb);
    if (ea != a && eb != b) {
      cr_assert(fabs(x - y) <= 1e-9 * (1 + fabs(x)), "found '%s', expected '%s'", got, want);
      a = ea;
      b = eb;
      if (a[0] == '.' && a[1] == '0') a += 2;
    } else {
      cr_assert_eq(*a, *b, "found '%s', expected '%s'", got, want);
      a++;
      b++;
    }
  }
  cr_assert_eq(*a, *b, "found '%s', expected '%s'", got, want);
}

static void check_report(const char *dir, int k, const char *rows) {
  espl_err err = {0};
  char *path = espl_path_join(dir, report_names[k]), *text = NULL;
  size_t n;
  cr_assert_eq(espl_read_file(path, 1 << 20, &text, &n, &err), ESPL_OK, "%s", err.msg);
  size_t head = strlen(report_headers[k]);
  cr_assert(n > head && strncmp(text, report_headers[k], head) == 0, "%s", text);
  char *got = text + head;
  for (int id = 0; *rows; id++) {
    char want[600];
    int len = (int)strcspn(rows, "\n");
    snprintf(want, sizeof want, "%d, %s%.*s%s,", id, report_before[k], len, rows, report_behind[k]);
    char *end = strchr(got, '\n');
    cr_assert_not_null(end, "%s ends before row %d", path, id);
    *end = 0;
    same_line(want, got);
    got = end + 1;
    rows += len + 1;
  }
  cr_assert_eq(*got, 0, "%s: more rows than expected: %s", path, got);
  cr_assert_eq(unlink(path), 0);
  free(text);
  free(path);
}

Test(topology, report_files_hold_what_scale_sim_wrote) {
  char dir[SCRATCH];
  scratch_folder(dir, "espl-topo");
  for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
    espl_err err = {0};
    espl_topology *t = parse(reports[i].table, ESPL_TOPO_AUTO);
    cr_assert_eq(espl_scale_report(t, &reports[i].a, dir, &err), ESPL_OK, "%s", err.msg);
    for (int k = 0; k < 3; k++) check_report(dir, k, reports[i].file[k]);
    espl_topology_free(t);
  }
  espl_topology *t = parse(reports[4].table, ESPL_TOPO_AUTO);
  espl_scale_array os = {4, 4, ESPL_SCALE_OS, true};
  espl_err err = {0}, full = {0};
  cr_assert_eq(espl_scale_report(t, &os, dir, &err), ESPL_E_UNSUPPORTED); /* sparsity needs ws */
  cr_assert_eq(rmdir(dir), 0, "a failed report left a file in %s", dir);
  cr_assert_eq(espl_scale_report(t, &reports[4].a, "/dev/null/x", &full), ESPL_E_IO);
  espl_topology_free(t);
}

/* --- its configuration --------------------------------------------------------------------------------------------- */

#define CFG_ARRAY "[architecture_presets]\nArrayHeight:    32\narraywidth = 16\nIfmapSramSzkB: 64\nFilterSramSzkB: 65\nOfmapSramSzkB: 66\nMemoryBanks: 1\nDataflow : os\n"
#define CFG_REST "[layout]\nIfmapCustomLayout: False\n[sparsity]\nSparsitySupport : false\n[run_presets]\nInterfaceBandwidth: CALC\n"

Test(topology, configuration_is_read) {
  static const char text[] = "[general]\nrun_name = x\n; a comment\n# another\n[extra]\nDataflow = zz\n" CFG_ARRAY CFG_REST;
  espl_err err = {0};
  espl_scale_config c;
  cr_assert_eq(espl_scale_config_parse("s.cfg", text, strlen(text), &c, &err), ESPL_OK, "%s", err.msg);
  cr_assert(c.array.rows == 32 && c.array.cols == 16 && c.array.dataflow == ESPL_SCALE_OS && !c.array.sparsity);
  cr_assert(c.sram_kb[0] == 64 && c.sram_kb[1] == 65 && c.sram_kb[2] == 66);
  cr_assert_str_eq(c.missing, "");
  cr_assert_eq(espl_scale_config_parse("s.cfg", CFG_ARRAY "[sparsity]\r\nSparsitySupport : TRUE", strlen(CFG_ARRAY "[sparsity]\r\nSparsitySupport : TRUE"), &c, &err), ESPL_OK);
  cr_assert(c.array.sparsity);
  cr_assert_str_eq(c.missing, "general layout run_presets");
}

Test(topology, configuration_refusals) {
  static const struct { const char *text; espl_status st; const char *says; } bad[] = {
      {"[general]\nrun_name=x\n", ESPL_E_INPUT, "s.cfg: section [architecture_presets] is missing"},
      {"", ESPL_E_INPUT, "s.cfg: section [architecture_presets] is missing"},
      {"[architecture_presets]\nArrayHeight: 4\n", ESPL_E_INPUT, "s.cfg: key ArrayWidth of section [architecture_presets] is missing"},
      {"[architecture_presets]\nArrayHeight: four\nArrayWidth:4\n", ESPL_E_INPUT, "s.cfg:2: ArrayHeight: found 'four', expected an integer 1..65536"},
      {"[architecture_presets]\nArrayHeight: 4\nARRAYHEIGHT: 5\n", ESPL_E_INPUT, "s.cfg:3: ARRAYHEIGHT again, first at line 2"},
      {"[a]\n[architecture_presets]\n[architecture_presets]\n", ESPL_E_INPUT, "s.cfg:3: section [architecture_presets] again, first at line 2"},
      {"ArrayHeight: 4\n", ESPL_E_INPUT, "s.cfg:1: found 'ArrayHeight: 4', expected [section]"},
      {"[x\n", ESPL_E_INPUT, "s.cfg:1: found '[x', expected [section]"},
      {"[x]\nhello\n", ESPL_E_INPUT, "s.cfg:2: found 'hello', expected key : value"},
      {"[architecture_presets]\nArrayHeight:1\nArrayWidth:1\nIfmapSramSzkB:1\nFilterSramSzkB:1\nOfmapSramSzkB:1\nDataflow: rs\n", ESPL_E_INPUT, "s.cfg:7: Dataflow: found 'rs', expected ws, os or is"},
      {CFG_ARRAY "[run_presets]\nInterfaceBandwidth: USER\n", ESPL_E_UNSUPPORTED, "s.cfg:10: InterfaceBandwidth USER"},
      {CFG_ARRAY "[run_presets]\nInterfaceBandwidth: fast\n", ESPL_E_INPUT, "s.cfg:10: InterfaceBandwidth: found 'fast'"},
      {CFG_ARRAY "[sparsity]\nSparsitySupport: true\nOptimizedMapping: true\n", ESPL_E_UNSUPPORTED, "s.cfg:11: OptimizedMapping"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    espl_err err = {0};
    espl_scale_config c;
    cr_expect_eq(espl_scale_config_parse("s.cfg", bad[i].text, strlen(bad[i].text), &c, &err), bad[i].st, "%s", bad[i].text);
    cr_expect(strstr(err.msg, bad[i].says) != NULL, "found '%s', expected '%s'", err.msg, bad[i].says);
  }
}

/* --- damaged text -------------------------------------------------------------------------------------------------- */

static const char damaged[] = CONV_HEADER " Sparsity, Pad Top,\r\nConv1, 224,224,7,7,3,64,2,1:1,3,\n\n,,,\nDP2,56 ,56,3,3,64,1,1,,1,\nfc,1,1,1,1,512,1000,1";

/* Parses a copy in memory of exactly its size, so that a sanitizer sees every byte read too far. */
static void parse_any(const char *text, size_t n, int *good) {
  char *copy = malloc(n ? n : 1);
  memcpy(copy, text, n);
  for (int form = ESPL_TOPO_AUTO; form <= ESPL_TOPO_GEMM; form++) {
    espl_err err = {0};
    espl_topology *t = NULL;
    espl_status s = espl_topology_parse("f.csv", copy, n, (espl_topo_form)form, &t, &err);
    cr_assert(s == ESPL_OK || (s == ESPL_E_INPUT && strncmp(err.msg, "f.csv", 5) == 0 && !t), "%s", err.msg);
    for (int32_t i = 0; t && i < t->layers; i++)
      for (int d = ESPL_SCALE_WS; d <= ESPL_SCALE_IS; d++) {
        espl_scale_array a = {8, 8, (espl_scale_dataflow)d, true};
        espl_scale_result r = {.cycles = 1};
        if (espl_scale_layer(&t->layer[i], &a, &r, &err) == ESPL_OK) cr_assert(r.cycles > 0 && r.folds > 0);
      }
    *good += s == ESPL_OK;
    espl_topology_free(t);
  }
  espl_err err = {0};
  espl_scale_config c;
  espl_status s = espl_scale_config_parse("f.cfg", copy, n, &c, &err);
  cr_assert(s == ESPL_OK || s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED);
  *good += s == ESPL_OK;
  free(copy);
}

static void damage(const char *text, size_t n, uint64_t seed) {
  int good = 0;
  for (size_t i = 0; i <= n; i++) parse_any(text, i, &good);
  espl_rng r = {seed, 0, 0};
  char *copy = malloc(n);
  for (int i = 0; i < 20000; i++) {
    memcpy(copy, text, n);
    for (uint32_t k = 0, flips = 1 + espl_rng_next_below(&r, 6); k < flips; k++) {
      uint32_t at = espl_rng_next_below(&r, (uint32_t)n);
      copy[at] = espl_rng_next_below(&r, 2) ? "0123456789,:\n[]=DP \r\t"[espl_rng_next_below(&r, 21)] : (char)espl_rng_next_below(&r, 256);
    }
    parse_any(copy, n, &good);
  }
  free(copy);
  cr_assert_gt(good, 100); /* some damage leaves a legal text, so that the code behind the reader is reached too */
}

Test(topology, damaged_tables_never_crash) { damage(damaged, sizeof damaged - 1, 11); }
Test(topology, damaged_configurations_never_crash) { damage("[general]\n" CFG_ARRAY CFG_REST, strlen("[general]\n" CFG_ARRAY CFG_REST), 12); }

/* --- on our machine ------------------------------------------------------------------------------------------------- */

static espl_machine small(void) {
  espl_machine m;
  espl_machine_default(&m);
  m.rows = m.cols = 8;
  m.rq_lanes = m.rq_lanes > 8 ? 8 : m.rq_lanes;
  return m;
}

static const char mixed[] = CONV_HEADER " Sparsity, Pad Top, Pad Left, Pad Bottom, Pad Right,\n"
                            "dense, 9, 8, 3, 2, 12, 20, 2,,1,0,1,1,\nDPth, 6, 7, 3, 3, 10, 2, 1,\nsparse, 7, 7, 1, 3, 24, 9, 1, 8:16,\nfc, 1, 1, 1, 1, 40, 30, 1,\n";

static const int64_t mixed_macs[] = {5 * 4 * 20 * 12 * 6, 4 * 5 * 20 * 9, 7 * 5 * 9 * 72, 40 * 30};

Test(topology, layers_become_integer_layers) {
  espl_topology *t = parse(mixed, ESPL_TOPO_AUTO);
  espl_machine m = small();
  espl_err err = {0};
  espl_qnet *q = NULL;
  cr_assert_eq(espl_topology_qnet(t, 0, t->layers, &m, 5, &q, &err), ESPL_OK, "%s", err.msg);
  cr_assert(q->layers == 4 && q->tensors == 8);
  for (int32_t i = 0; i < 4; i++) {
    const espl_qlayer *l = &q->layer[i];
    cr_expect(l->in == 2 * i && l->out == 2 * i + 1 && l->macs == mixed_macs[i], "%s: %lld", l->name, (long long)l->macs);
    cr_expect(q->tensor[l->out].shape.c == l->out_c && q->tensor[l->out].shape.h == l->conv_h && q->tensor[l->out].shape.w == l->conv_w);
    for (int64_t o = 0; o < l->out_c; o++)
      for (int64_t c = 0; c < l->in_c; c++)
        for (int64_t k = 0; k < l->kh * l->kw; k++) {
          int w = l->w[(o * l->in_c + c) * l->kh * l->kw + k];
          bool gone = (i == 1 && o / 2 != c) || (i == 2 && (k * 24 + c) % 16 >= 8);
          cr_assert(gone ? w == 0 : w % 2 != 0, "layer %d: weight %lld,%lld,%lld is %d", i, (long long)o, (long long)c, (long long)k, w);
        }
  }
  cr_expect(q->layer[1].groups == 10 && q->layer[1].out_c == 20);
  espl_qnet_free(q);
  m.acc_w = 18; /* 72 products of -128: weights of at most 3 bits and a sign keep every sum below 2^17 */
  cr_assert_eq(espl_topology_qnet(t, 0, t->layers, &m, 5, &q, &err), ESPL_OK);
  for (int32_t i = 0; i < 4; i++) cr_expect_leq(espl_qlayer_acc_bits(q, i), 18);
  espl_qnet_free(q);
  espl_topology_free(t);
  t = parse("Layer,M,N,K,\nbig,4,200000,200000,\n", ESPL_TOPO_AUTO);
  cr_assert_eq(espl_topology_qnet(t, 0, 1, &m, 5, &q, &err), ESPL_E_UNSUPPORTED);
  cr_assert(strstr(err.msg, "layer big: 200000 x 200000 x 1 weights") != NULL, "%s", err.msg);
  espl_topology_free(t);
}

/* Layer by layer equals one program of all layers, and the body with values takes the same cycles. */
Test(topology, sum_of_single_layers_is_exact) {
  espl_topology *t = parse(mixed, ESPL_TOPO_AUTO);
  espl_machine m = small();
  espl_err err = {0};
  espl_sim_result one = {0}, all = {0}, model = {0};
  espl_qnet *q = NULL;
  espl_program *p = NULL;
  cr_assert_eq(espl_topology_simulate(t, &m, ESPL_TOPO_TIMING, 5, NULL, &one, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_topology_qnet(t, 0, t->layers, &m, 5, &q, &err), ESPL_OK);
  cr_assert_eq(espl_map_network(q, &m, &p, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_simulate(p, q, ESPL_ENGINE_TIMING, NULL, NULL, &all, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_simulate(p, q, ESPL_ENGINE_MODEL, NULL, NULL, &model, &err), ESPL_OK, "%s", err.msg);
  cr_assert(one.layers == 4 && all.layers == 4);
  uint64_t sum = one.overhead;
  for (int i = 0; i < 4; i++) {
    const espl_sim_layer *a = &one.layer[i], *b = &all.layer[i];
    cr_expect(a->cycles == b->cycles && a->macs == b->macs && a->read_bytes == b->read_bytes && a->write_bytes == b->write_bytes && a->busy == b->busy && a->tiles == b->tiles,
              "%s: %llu cycles alone, %llu together", a->name, (unsigned long long)a->cycles, (unsigned long long)b->cycles);
    cr_expect_eq(model.layer[i].cycles, a->cycles);
    cr_expect_str_eq(a->name, t->layer[i].name);
    sum += a->cycles;
  }
  cr_expect(one.total.cycles == sum && one.total.cycles == all.total.cycles && one.overhead == all.overhead);
  cr_expect_eq(one.layer[0].macs, (uint64_t)mixed_macs[0]);
  cr_expect_float_eq(one.total.roof_fraction, all.total.roof_fraction, 1e-12);
  espl_sim_result_clear(&one);
  espl_sim_result_clear(&all);
  espl_sim_result_clear(&model);
  espl_program_free(p);
  espl_qnet_free(q);
  espl_topology_free(t);
}

Test(topology, equal_layers_share_their_numbers) {
  espl_topology *t = parse("Layer,M,N,K,\na,50,20,30,\nb,50,20,31,\nc,50,20,30,\n", ESPL_TOPO_AUTO);
  espl_machine m = small();
  espl_err err = {0};
  espl_sim_result r = {0}, alone = {0};
  cr_assert_eq(espl_topology_simulate(t, &m, ESPL_TOPO_TIMING, 5, NULL, &r, &err), ESPL_OK, "%s", err.msg);
  espl_topology last = *t;
  last.layer = &t->layer[2];
  last.layers = 1;
  cr_assert_eq(espl_topology_simulate(&last, &m, ESPL_TOPO_TIMING, 99, NULL, &alone, &err), ESPL_OK, "%s", err.msg);
  cr_expect(r.layer[2].cycles == alone.layer[0].cycles && r.layer[0].cycles == alone.layer[0].cycles);
  cr_expect_str_eq(r.layer[2].name, "c");
  cr_expect_eq(r.total.macs, 50u * 20 * (30 + 31 + 30));
  espl_sim_result_clear(&alone);
  cr_expect_eq(espl_topology_simulate(t, &m, ESPL_TOPO_TIMING, 5, &(espl_trace){.path = "x.fst", .to = UINT64_MAX}, &alone, &err), ESPL_E_INPUT);
  espl_sim_result_clear(&r);
  espl_topology_free(t);
}

Test(topology, what_the_machine_cannot_do_is_refused_by_line) {
  espl_topology *t = parse(CONV_HEADER "\nok,9,9,3,3,4,4,1,\n\nwide,4,5000,1,1,4,4,1,\n", ESPL_TOPO_AUTO);
  espl_machine m = small();
  espl_err err = {0};
  espl_sim_result r;
  cr_assert_eq(espl_topology_simulate(t, &m, ESPL_TOPO_TIMING, 5, NULL, &r, &err), ESPL_E_UNSUPPORTED);
  cr_assert(strstr(err.msg, "line 4: layer wide: input width is 5000") != NULL, "%s", err.msg);
  espl_topology_free(t);
  t = parse(CONV_HEADER "\ndeep,4000,4000,1,1,2048,1,1,\n", ESPL_TOPO_AUTO); /* 4000 * 4000 * 2048 bytes */
  espl_machine_default(&m);
  err = (espl_err){0};
  cr_assert_eq(espl_topology_simulate(t, &m, ESPL_TOPO_TIMING, 5, NULL, &r, &err), ESPL_E_UNSUPPORTED, "%s", err.msg);
  cr_assert(strstr(err.msg, "line 2: layer deep: its input [2048,4000,4000] takes 3276") != NULL, "%s", err.msg);
  espl_topology_free(t);
}

/* --- files ---------------------------------------------------------------------------------------------------------- */

static espl_topology *load(const char *path) {
  espl_err err = {0};
  espl_topology *t = NULL;
  cr_assert_eq(espl_topology_load(path, ESPL_TOPO_AUTO, &t, &err), ESPL_OK, "%s", err.msg);
  return t;
}

/* Bottlenecks counted from the definition: images of 56, 28, 14 and 7; the first of a stage works on the image before it. */
Test(topology, padded_resnet50_has_its_macs) {
  static const int64_t blocks[] = {3, 4, 6, 3};
  int64_t want = 112 * 112 * 64 * 147 + 2048 * 1000, in = 64, side = 56;
  for (int s = 0; s < 4; s++) {
    int64_t w = 64 << s, out = side >> (s > 0);
    want += side * side * in * w + out * out * (9 * w * w + w * 4 * w + in * 4 * w);              /* first, with its projection */
    want += (blocks[s] - 1) * out * out * (4 * w * w + 9 * w * w + w * 4 * w);
    in = 4 * w;
    side = out;
  }
  const char *root = access("configs/topologies/resnet50.csv", R_OK) == 0 ? "." : getenv("ESPL_ROOT");
  cr_assert_not_null(root, "run from the repository, or set ESPL_ROOT");
  char *path = espl_path_join(root, "configs/topologies/resnet50.csv");
  espl_topology *t = load(path);
  int64_t macs = 0;
  for (int32_t i = 0; i < t->layers; i++) macs += espl_topo_exact_macs(&t->layer[i]);
  cr_assert_eq(t->layers, 54);
  cr_assert_eq(macs, want, "%lld", (long long)macs);
  cr_assert_eq(macs, 4089184256);
  espl_topology_free(t);
  free(path);
}

Test(topology, tables_of_scale_sim) {
  static const struct { const char *file; int layers; double mmacs; int64_t ws32; } want[] = {
      {"conv_nets/Resnet18.csv", 21, 1471.2, 2519815}, {"conv_nets/Resnet50.csv", 54, 3479.5, 5753486}, {"conv_nets/alexnet.csv", 5, 805.1, 0},
      {"conv_nets/mobilenet.csv", 27, 565.5, 1433453}, {"conv_nets/mobilnet_paper.csv", 28, 551.5, 0}, {"conv_nets/yolo_tiny.csv", 9, 1753.6, 0},
      {"conv_nets/UNet_2d.csv", 19, 2608061.4, 0}, {"GEMM_mnk/unet2d.csv", 19, 2608061.4, 0}, {"GEMM_mnk/gnmt.csv", 17, 189608.9, 0},
      {"GEMM_mnk/vit_s.csv", 5, 275.2, 0}, {"ispass25_models/vit_b.csv", 5, 983.2, 0}, {"conv_nets/test.csv", 1, 16.6, 77111},
      {"sparsity/conv.csv", 1, 0.0, 102}, {"sparsity/gemm.csv", 2, 0.0, 190}};
  const char *shared = getenv("ESPL_SHARED") ? getenv("ESPL_SHARED") : "../shared";
  char *dir = espl_path_join(shared, "topologies");
  if (!espl_path_exists(dir)) cr_skip_test("%s is not there", dir);
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    char *path = espl_path_join(dir, want[i].file);
    espl_topology *t = load(path);
    int64_t macs = 0, cycles = 0;
    for (int32_t k = 0; k < t->layers; k++) {
      macs += espl_topo_macs(&t->layer[k]);
      cycles += closed(&t->layer[k], 32, 32, ESPL_SCALE_WS, true).cycles;
    }
    cr_expect_eq(t->layers, want[i].layers, "%s: %d layers", path, (int)t->layers);
    cr_expect(fabs((double)macs / 1e6 - want[i].mmacs) <= 0.0501, "%s: %lld MACs", path, (long long)macs);
    cr_expect(want[i].ws32 == 0 || cycles == want[i].ws32, "%s: %lld cycles", path, (long long)cycles);
    espl_topology_free(t);
    free(path);
  }
  free(dir);
}
