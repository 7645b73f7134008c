/* Layer tables: the first byte chooses the form. What was read is also counted, exactly and by SCALE-Sim's closed form. */
#include "fuzz.h"
#include "map/scale.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static const espl_topo_form forms[] = {ESPL_TOPO_AUTO, ESPL_TOPO_CONV, ESPL_TOPO_GEMM};
  if (n == 0) return 0;
  espl_err err = {0};
  espl_topology *t = NULL;
  espl_status s = espl_topology_parse("table.csv", (const char *)data + 1, n - 1, forms[data[0] % 3], &t, &err);
  fuzz_lawful(s, &err);
  for (int32_t k = 0; s == ESPL_OK && k < t->layers; k++) {
    const espl_scale_array a = {16, 16, (espl_scale_dataflow)(data[0] / 3 % 3), false};
    espl_scale_result r;
    err = (espl_err){0};
    fuzz_expect(espl_topo_macs(&t->layer[k]) >= 0 && espl_topo_exact_macs(&t->layer[k]) >= 0, "counts are not negative");
    fuzz_lawful(espl_scale_layer(&t->layer[k], &a, &r, &err), &err);
  }
  espl_topology_free(t);
  return 0;
}
