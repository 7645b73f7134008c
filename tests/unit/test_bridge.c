/* The host's end of the serial bridge: its CRC, what is not a line, and frames against a peer of ten lines on a pseudo-terminal. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "device/bridge.h"
#include "espl_hw.h"

Test(bridge, crc_is_the_one_of_the_page) {
  cr_expect_eq(espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, (const uint8_t *)"123456789", 9), 0x6f91);
  uint8_t part[4] = {0x12, 0, 0, 0};
  uint16_t c = espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, part, 2);
  part[2] = (uint8_t)c;
  part[3] = (uint8_t)(c >> 8);
  cr_expect_eq(espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, part, 4), 0);
}

Test(bridge, refuses_what_is_no_line) {
  const struct { const char *path; int64_t baud; const char *text; } bad[] = {
      {"/tmp/no/such/line", 115200, "no such device"}, {"/dev/null", 115200, "not a serial line"}, {"/dev/null", 115201, "is not a rate of serial lines"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    espl_err err = {0};
    espl_bridge *b = NULL;
    cr_expect_eq(espl_bridge_open(bad[i].path, bad[i].baud, 1.0, &b, &err), ESPL_E_INPUT);
    cr_expect_not_null(strstr(err.msg, bad[i].text), "%s", err.msg);
  }
}

/* A board of the simplest kind: answers READ_REG with 0x11223344. It spoils its first answer and says NAK to the second frame. */
typedef struct peer { int master; int frames; } peer;

static void *serve(void *arg) {
  peer *p = arg;
  uint8_t head[8];
  for (size_t got = 0; got < sizeof head;) {
    struct pollfd f = {.fd = p->master, .events = POLLIN};
    if (poll(&f, 1, 3000) <= 0) break;
    ssize_t k = read(p->master, head + got, sizeof head - got);
    if (k <= 0) break;
    got += (size_t)k;
    if (got < sizeof head) continue;
    uint8_t answer[7] = {head[0], 0x44, 0x33, 0x22, 0x11}, nak[3] = {ESPL_BRIDGE_NAK};
    uint8_t *a = ++p->frames == 2 ? nak : answer;
    size_t n = a == nak ? 1 : 5;
    uint16_t c = espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, a, n);
    if (p->frames == 1) c ^= 1;
    a[n] = (uint8_t)c;
    a[n + 1] = (uint8_t)(c >> 8);
    if (write(p->master, a, n + 2) != (ssize_t)n + 2) break;
    got = 0;
    if (p->frames == 3) break;
  }
  return NULL;
}

Test(bridge, repeats_wrong_frames, .timeout = 30) {
  espl_err err = {0};
  espl_bridge *b = NULL;
  peer p = {.master = posix_openpt(O_RDWR | O_NOCTTY)};
  cr_assert(p.master >= 0 && grantpt(p.master) == 0 && unlockpt(p.master) == 0);
  cr_assert_eq(espl_bridge_open(ptsname(p.master), 1000000, 2.0, &b, &err), ESPL_OK, "%s", err.msg);
  pthread_t t;
  cr_assert_eq(pthread_create(&t, NULL, serve, &p), 0);
  uint32_t v = 0;
  cr_expect_eq(espl_bridge_read_reg(b, ESPL_REG_HASH, &v, &err), ESPL_OK, "%s", err.msg);
  pthread_join(t, NULL);
  cr_expect_eq(v, 0x11223344u);
  cr_expect_eq(p.frames, 3);
  cr_expect_eq(espl_bridge_repeats(b), 2);
  espl_bridge_close(b);
  close(p.master);
}
