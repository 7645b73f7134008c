/* The memory's timing law (hw/spec/memory.md) on bursts whose times are worked out by hand. */
#include <criterion/criterion.h>

#include "timing/memtime.h"

static espl_memtime mt;
static espl_burst_time b;

/* L = 10, Lw = 5, one beat a cycle, separate paths. */
static espl_mem_timing plain(void) { return (espl_mem_timing){.read_latency = 10, .write_latency = 5, .num = 1, .den = 1, .outstanding = 8}; }

/* Four banks of 1 KiB rows: line n = addr / 1024 lies in bank n % 4; open 6, close 4. */
static espl_mem_timing dram(void) {
  espl_mem_timing t = plain();
  t.banks = 4, t.row_bytes = 1024, t.row_open = 6, t.row_close = 4;
  return t;
}

static void expect(int channel, int64_t at, uint32_t addr, int32_t beats, int64_t first, int64_t resp) {
  espl_memtime_accept(&mt, channel, at, addr, beats, &b);
  cr_expect_eq(espl_beat_time(&b, 0), first, "burst at %u granted in %lld: first beat %lld, expected %lld", (unsigned)addr, (long long)at, (long long)espl_beat_time(&b, 0), (long long)first);
  cr_expect_eq(b.last, first + beats - 1);
  cr_expect_eq(b.resp, resp);
}

Test(memtime, bursts_of_a_path_follow_each_other) {
  espl_mem_timing t = plain();
  espl_memtime_reset(&mt, &t, 0);
  expect(ESPL_READ, 1, 0, 16, 11, 0);
  expect(ESPL_READ, 2, 4096, 4, 27, 0);      /* behind the first burst's last beat, 26 */
  expect(ESPL_WRITE, 2, 0, 8, 3, 15);        /* its own path; last beat 10, response 5 later */
  expect(ESPL_READ, 60, 0, 1, 70, 0);
}

Test(memtime, half_rate_takes_every_second_cycle) {
  espl_mem_timing t = plain();
  t.den = 2;
  espl_memtime_reset(&mt, &t, 0);
  espl_memtime_accept(&mt, ESPL_READ, 1, 0, 4, &b);
  for (int i = 0; i < 4; i++) cr_expect_eq(espl_beat_time(&b, i), 11 + 2 * i);
}

Test(memtime, a_shared_path_turns_around) {
  espl_mem_timing t = plain();
  t.shared_path = 1, t.turnaround = 3;
  espl_memtime_reset(&mt, &t, 0);
  expect(ESPL_WRITE, 1, 0, 16, 2, 22);
  expect(ESPL_READ, 2, 0, 1, 21, 0);         /* last beat of the write 17, then 3 cycles */
}

Test(memtime, rows_open_once_and_banks_work_beside_each_other) {
  espl_mem_timing t = dram();
  espl_memtime_reset(&mt, &t, 0);
  expect(ESPL_READ, 1, 0, 4, 1 + 6 + 10, 0);        /* bank 0, none open: 17..20 */
  expect(ESPL_READ, 2, 256, 4, 21, 0);              /* same row, ready in 7: only the path is in its way: 21..24 */
  expect(ESPL_READ, 3, 1024, 4, 25, 0);             /* bank 1 opens in 3..9, data could come in 19: hidden */
  expect(ESPL_READ, 40, 512, 1, 50, 0);             /* still open */
  expect(ESPL_READ, 60, 4096, 1, 60 + 4 + 6 + 10, 0); /* bank 0, another row */
  expect(ESPL_READ, 61, 8192, 1, 81 + 4 + 6 + 10, 0); /* bank 0 again: busy with beat 80 until then */
}

Test(memtime, both_paths_share_the_banks) {
  espl_mem_timing t = dram();
  espl_memtime_reset(&mt, &t, 0);
  expect(ESPL_WRITE, 1, 2048, 8, 1 + 6 + 1, 8 + 7 + 5);   /* bank 2: 8..15 */
  expect(ESPL_READ, 2, 2048 + 256, 1, 7 + 10, 0);         /* the row is open in 7 */
  expect(ESPL_READ, 4, 4096 + 2048, 1, 18 + 4 + 6 + 10, 0); /* another row of bank 2, whose last beat is the read's, 17 */
}

Test(memtime, a_reset_closes_all_rows) {
  espl_mem_timing t = dram();
  espl_memtime_reset(&mt, &t, 0);
  expect(ESPL_READ, 1, 0, 1, 17, 0);
  expect(ESPL_READ, 30, 0, 1, 40, 0);
  espl_memtime_reset(&mt, &t, 100);
  expect(ESPL_READ, 101, 0, 1, 101 + 6 + 10, 0);
}
