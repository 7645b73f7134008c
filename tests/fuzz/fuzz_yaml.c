/* Configuration files: the first byte chooses whose (machine, recipe of a network, study, sweep, energy table). */
#include <stdlib.h>

#include "base/yaml.h"
#include "cost/energy.h"
#include "fuzz.h"
#include "map/machine_yaml.h"
#include "nn/recipe.h"
#include "steer/study.h"
#include "steer/sweep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static espl_recipe recipe;
  if (n == 0) return 0;
  espl_err err = {0};
  espl_machine machine;
  espl_energy_table energy;
  espl_study study;
  espl_sweep *sweep = NULL;
  espl_yaml *doc = NULL;
  const char *file = fuzz_file(data + 1, n - 1);
  espl_status s = ESPL_OK;
  switch (data[0] % 5) {
    case 0: s = espl_machine_parse("machine.yaml", (const char *)data + 1, n - 1, &machine, &err); break;
    case 1: s = espl_recipe_load(file, &recipe, &err); break;
    case 2: espl_study_default(&study); s = espl_study_load(file, &study, &doc, &err); break;
    case 3: s = espl_sweep_load(file, NULL, &sweep, &err); break;
    default: s = espl_energy_load(file, &energy, &err); break;
  }
  /* studies and sweeps name other files, which may be missing */
  if (s != ESPL_E_IO || !err.msg[0]) fuzz_lawful(s, &err);
  espl_sweep_free(sweep);
  espl_yaml_free(doc);
  return 0;
}
