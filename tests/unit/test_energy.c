/* Energy by hand: a machine of 4 rows and 8 columns with 32-bit accumulators, and the table of the repository. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../scratch.h"
#include "base/fsio.h"
#include "cost/energy.h"

Test(energy, by_hand) {
  espl_machine m;
  espl_machine_default(&m);
  m.rows = 4;
  m.cols = 8;
  m.acc_w = 32;
  m.w_bits = 8;
  const espl_energy_table t = {"t", 0.5, 2.0, 100.0, 3.0};
  const espl_energy_events e = {.cycles = 1000, .macs = 20000, .busy = 800, .tiles = 10, .bus_bytes = 5000};
  const espl_energy got = espl_energy_of(&t, &m, &e);
  cr_expect_float_eq(got.mac, 10000.0, 1e-9);
  cr_expect_float_eq(got.buffer, 2.0 * (800 * (4 + 2 * 8 * 4) + 10 * 32 + 5000), 1e-9);
  cr_expect_float_eq(got.bus, 500000.0, 1e-9);
  cr_expect_float_eq(got.cycle, 3000.0, 1e-9);
  cr_expect_float_eq(espl_energy_total(&got), 10000.0 + 2.0 * 59720 + 500000.0 + 3000.0, 1e-6);
}

Test(energy, tables_load_or_are_refused_by_place) {
  espl_energy_table t;
  espl_err err = {0};
  cr_assert_eq(espl_energy_load("asic-45nm", &t, &err), ESPL_OK, "%s", err.msg);
  cr_expect_str_eq(t.name, "asic-45nm");
  cr_expect_float_eq(t.bus_byte_pj, 240, 1e-9);
  cr_expect_eq(espl_energy_load("asic-44nm", &t, &err), ESPL_E_INPUT);
  cr_expect(strstr(err.msg, "asic-44nm") && strstr(err.msg, "there are ") && strstr(err.msg, "asic-45nm"), "%s", err.msg);
  char path[SCRATCH];
  scratch_file(path, "espl_energy");
  static const struct { const char *text, *says; } bad[] = {{"mac: 1\nbuffer_byte: 1\nbus_byte: 1\n", "cycle"},
                                                            {"mac: -1\nbuffer_byte: 1\nbus_byte: 1\ncycle: 0\n", ":1:"},
                                                            {"mac: 1\nbufer_byte: 1\nbus_byte: 1\ncycle: 0\n", "buffer_byte"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    err = (espl_err){0};
    cr_assert_eq(espl_write_file(path, bad[i].text, strlen(bad[i].text), &err), ESPL_OK);
    cr_expect_eq(espl_energy_load(path, &t, &err), ESPL_E_INPUT);
    cr_expect(strstr(err.msg, bad[i].says), "%s", err.msg);
  }
  unlink(path);
}
