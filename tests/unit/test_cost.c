/* The cost table on a network with depthwise layers: what a layer costs as it is, and that its widths stay tied. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "graph/zoo.h"
#include "map/machine_yaml.h"
#include "map/map.h"
#include "quant/qnet.h"
#include "steer/cost.h"
#include "steer/widths.h"

#define OK(expr) cr_assert_eq((expr), ESPL_OK, "%s", err.msg)

typedef struct subject {
  espl_graph *g;
  espl_qnet *q;
  espl_machine m;
  espl_cost_table *table;
} subject;

static void setup(subject *s, const char *machine) {
  espl_quant_config c;
  espl_preprocess pp;
  espl_err err = {0};
  espl_quant_default(&c);
  espl_preprocess_default(&pp);
  OK(espl_zoo_build("mobilenetv2-small", (espl_shape){3, 16, 16}, 10, 1, &s->g, &err));
  OK(espl_quantize(s->g, NULL, &pp, &c, &s->q, &err));
  OK(espl_machine_load(machine, &s->m, &err));
  OK(espl_cost_table_new(s->q, &s->m, NULL, &s->table, &err));
}

static void release(subject *s) {
  espl_cost_table_free(s->table);
  espl_qnet_free(s->q);
  espl_graph_free(s->g);
}

static bool depthwise(const espl_qlayer *l) { return l->groups > 1; }

/* The table's made-up weights cost what the network's own do: also where zeros between groups leave tiles empty. */
static void as_it_is(const char *machine) {
  espl_err err = {0};
  subject s;
  int seen = 0;
  setup(&s, machine);
  for (int32_t i = 0; i < s.q->layers; i++) {
    espl_layer_form f = espl_layer_form_now(s.q, i);
    const espl_qlayer *l = &s.q->layer[i];
    int64_t cycles;
    uint64_t own;
    OK(espl_cost_get(s.table, &f, &cycles, &err));
    OK(espl_layer_cost(s.q, i, &s.m, -1, &own, &err));
    cr_expect_eq(cycles, (int64_t)own, "%s on %s: %lld cycles, alone %lld", l->name, machine, (long long)cycles, (long long)own);
    seen += depthwise(l);
    if (l->onehot) continue;
    int64_t taps = (int64_t)l->kh * l->kw * l->conv_h * l->conv_w;
    cr_expect_eq(espl_form_macs(s.q, &f), taps * l->out_c * (depthwise(l) ? 1 : l->in_c), "%s", l->name);
    if (!depthwise(l)) continue;
    espl_layer_form half = f;
    half.in_c = half.out_c = f.out_c / 2;
    int64_t less;
    OK(espl_cost_get(s.table, &half, &less, &err));
    cr_expect(less > 0 && less < cycles, "%s at half its width: %lld cycles of %lld", l->name, (long long)less, (long long)cycles);
    cr_expect_eq(2 * espl_form_macs(s.q, &half), espl_form_macs(s.q, &f), "%s", l->name);
  }
  cr_expect_eq(seen, 7);
  release(&s);
}

Test(cost, depthwise_layers_on_the_diagonal, .timeout = 120) { as_it_is("configs/machines/16x16-diag.yaml"); }
Test(cost, native_depthwise_layers, .timeout = 120) { as_it_is("configs/machines/16x16.yaml"); }

/* Every form that a choice of widths can ask for: a depthwise layer gives as many channels as it takes; a budget below the whole is met. */
Test(cost, widths_of_depthwise_layers_stay_tied, .timeout = 240) {
  espl_err err = {0};
  subject s;
  espl_units *u = NULL;
  espl_widths *w = NULL;
  espl_layer_form *form = NULL;
  espl_width_choice choice;
  int32_t n = 0, tied = 0;
  int64_t full = 0;
  setup(&s, "configs/machines/16x16.yaml");
  OK(espl_units_new(s.g, &u, &err));
  double *importance = calloc((size_t)u->units, sizeof *importance);
  uint8_t *keep = calloc((size_t)u->units, 1);
  for (int32_t k = 0; k < u->units; k++) importance[k] = 1 + k % 7;
  OK(espl_widths_new(s.g, u, importance, s.q, s.table, &w, &err));
  OK(espl_widths_forms(w, &form, &n, &err));
  for (int32_t k = 0; k < n; k++) {
    if (!depthwise(&s.q->layer[form[k].layer])) continue;
    cr_expect_eq(form[k].in_c, form[k].out_c, "%s: %d -> %d", s.q->layer[form[k].layer].name, (int)form[k].in_c, (int)form[k].out_c);
    tied++;
  }
  cr_expect(tied > 14, "%d forms of depthwise layers", (int)tied);
  for (int32_t i = 0; i < s.q->layers; i++) {
    espl_layer_form f = espl_layer_form_now(s.q, i);
    int64_t cycles;
    OK(espl_cost_get(s.table, &f, &cycles, &err));
    full += cycles;
  }
  OK(espl_widths_choose(w, ESPL_WIDTH_UNIFORM, full * 8 / 10, keep, &choice, &err));
  cr_expect(choice.cycles <= full * 8 / 10 && choice.cycles > full / 2 && choice.kept < 1);
  free(form);
  free(importance);
  free(keep);
  espl_widths_free(w);
  espl_units_free(u);
  release(&s);
}
