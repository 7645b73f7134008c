/* Comparison of two bodies' results: the first difference is named, equal results pass. */
#include <criterion/criterion.h>

#include <string.h>

#include "device/device.h"

typedef struct sides {
  espl_machine m;
  espl_layer_record la, lb;
  espl_run_result a, b;
  uint8_t mem_a[64], mem_b[64];
} sides;

static sides *equal_sides(void) {
  static sides s;
  memset(&s, 0, sizeof s);
  espl_machine_default(&s.m);
  s.m.mem_bytes = 64;
  s.la.counter[ESPL_CNT_BUSY] = s.lb.counter[ESPL_CNT_BUSY] = 40;
  s.a = (espl_run_result){.cycles = 100, .layers = 1, .layer = &s.la};
  s.b = (espl_run_result){.cycles = 100, .layers = 1, .layer = &s.lb};
  return &s;
}

static void differs(sides *s, const char *word, const char *value) {
  espl_err err = {0};
  cr_assert_eq(espl_device_compare(&s->m, &s->a, s->mem_a, "left", &s->b, s->mem_b, "right", &err), ESPL_E_MISMATCH);
  cr_assert_not_null(strstr(err.msg, word), "%s", err.msg);
  cr_assert_not_null(strstr(err.msg, value), "%s", err.msg);
  cr_assert_not_null(strstr(err.msg, "left"), "%s", err.msg);
}

Test(compare, equal_results_pass) {
  sides *s = equal_sides();
  espl_err err = {0};
  cr_assert_eq(espl_device_compare(&s->m, &s->a, s->mem_a, "left", &s->b, s->mem_b, "right", &err), ESPL_OK, "%s", err.msg);
}
Test(compare, a_counter_of_a_layer_is_named) {
  sides *s = equal_sides();
  s->lb.counter[ESPL_CNT_BUSY] = 41;
  differs(s, "layer 0", "busy is 40 on left and 41 on right");
}
Test(compare, a_counter_after_the_last_layer_is_named) {
  sides *s = equal_sides();
  s->a.counter[ESPL_CNT_BUS] = 3;
  differs(s, "after the last layer", "bus is 3");
}
Test(compare, cycles_and_layers_are_compared) {
  sides *s = equal_sides();
  s->b.cycles = 101;
  differs(s, "cycles", "101");
  s = equal_sides();
  s->b.layers = 0;
  differs(s, "layers", "0 on right");
}
Test(compare, status_and_error_index_are_compared) {
  sides *s = equal_sides();
  s->b.hw_status = ESPL_HW_BUS_READ;
  differs(s, "BUS_READ", "NONE");
  s->a.hw_status = ESPL_HW_BUS_READ;
  s->b.err_index = 5;
  differs(s, "index", "5");
}
Test(compare, the_first_byte_and_the_number_of_bytes_are_named) {
  sides *s = equal_sides();
  s->mem_b[17] = 9;
  s->mem_b[30] = 1;
  differs(s, "0x11", "2 bytes differ");
}
