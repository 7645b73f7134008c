/* Serial lines: see serial.h. */
#include "device/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/interrupt.h"

struct espl_serial {
  int fd;
  char path[PATH_MAX];
};

static const struct rate { int64_t baud; speed_t speed; } rates[] = {
    {9600, B9600},       {19200, B19200},     {38400, B38400},     {57600, B57600},     {115200, B115200},   {230400, B230400},   {460800, B460800},
    {500000, B500000},   {576000, B576000},   {921600, B921600},   {1000000, B1000000}, {1152000, B1152000}, {1500000, B1500000}, {2000000, B2000000},
    {2500000, B2500000}, {3000000, B3000000}, {3500000, B3500000}, {4000000, B4000000}};

static espl_status find_rate(int64_t baud, speed_t *speed, espl_err *err) {
  char known[256] = "";
  size_t used = 0;
  for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
    if (rates[i].baud == baud) {
      *speed = rates[i].speed;
      return ESPL_OK;
    }
    if (used < sizeof known) used += (size_t)snprintf(known + used, sizeof known - used, "%s%lld", used ? ", " : "", (long long)rates[i].baud);
  }
  return espl_fail(err, ESPL_E_INPUT, "%lld baud is not a rate of serial lines; there are %s", (long long)baud, known);
}

static espl_status set_up(espl_serial *s, speed_t speed, espl_err *err) {
  struct termios t;
  if (!isatty(s->fd)) return espl_fail(err, ESPL_E_INPUT, "%s: not a serial line (no terminal)", s->path);
  if (tcgetattr(s->fd, &t) != 0) return espl_fail(err, ESPL_E_IO, "%s: %s", s->path, strerror(errno));
  cfmakeraw(&t);
  t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
  t.c_cflag |= CLOCAL | CREAD;
  t.c_cc[VMIN] = 0;
  t.c_cc[VTIME] = 0;
  if (cfsetispeed(&t, speed) != 0 || cfsetospeed(&t, speed) != 0 || tcsetattr(s->fd, TCSANOW, &t) != 0)
    return espl_fail(err, ESPL_E_IO, "%s: the line refuses its settings: %s", s->path, strerror(errno));
  return ESPL_OK;
}

espl_status espl_serial_open(const char *path, int64_t baud, espl_serial **out, espl_err *err) {
  speed_t speed = B0;
  ESPL_TRY(find_rate(baud, &speed, err));
  int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return espl_fail(err, errno == ENOENT || errno == EISDIR ? ESPL_E_INPUT : ESPL_E_IO, "%s: %s", path, errno == ENOENT ? "no such device" : strerror(errno));
  espl_serial *s = calloc(1, sizeof *s);
  if (!s) {
    close(fd);
    return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", path);
  }
  s->fd = fd;
  snprintf(s->path, sizeof s->path, "%s", path);
  espl_status st = set_up(s, speed, err);
  if (st == ESPL_OK && ioctl(fd, TIOCEXCL) != 0) st = espl_fail(err, ESPL_E_IO, "%s: %s", path, strerror(errno));
  if (st != ESPL_OK) {
    espl_serial_close(s);
    return st;
  }
  espl_serial_flush(s);
  *out = s;
  return ESPL_OK;
}

static espl_status gone(const espl_serial *s, const char *why, espl_err *err) {
  return espl_fail(err, ESPL_E_IO, "%s: the line has gone (%s); was the board unplugged?", s->path, why);
}

/* Waits for an event; *ready is 0 when the time is over. */
static espl_status wait_for(const espl_serial *s, short event, double until, int *ready, espl_err *err) {
  for (;;) {
    double left = until - espl_now();
    struct pollfd p = {.fd = s->fd, .events = event};
    int n = poll(&p, 1, left > 0 ? (int)(left * 1000) + 1 : 0);
    ESPL_TRY(espl_interrupt_check(err));
    if (n < 0 && errno != EINTR) return gone(s, strerror(errno), err);
    *ready = n > 0 && (p.revents & event);
    if (*ready) return ESPL_OK;
    if (n > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL))) return gone(s, "hung up", err);
    if (left <= 0) return ESPL_OK;
  }
}

espl_status espl_serial_write(espl_serial *s, const uint8_t *bytes, size_t n, espl_err *err) {
  double until = espl_now() + 10.0;
  for (size_t sent = 0; sent < n;) {
    int ready = 0;
    ESPL_TRY(wait_for(s, POLLOUT, until, &ready, err));
    if (!ready) return espl_fail(err, ESPL_E_IO, "%s: the line takes no bytes", s->path);
    ssize_t k = write(s->fd, bytes + sent, n - sent);
    if (k < 0 && errno != EINTR && errno != EAGAIN) return gone(s, strerror(errno), err);
    if (k > 0) sent += (size_t)k;
  }
  return ESPL_OK;
}

espl_status espl_serial_read(espl_serial *s, uint8_t *bytes, size_t n, double seconds, size_t *got, espl_err *err) {
  double until = espl_now() + seconds;
  for (*got = 0; *got < n;) {
    int ready = 0;
    ESPL_TRY(wait_for(s, POLLIN, until, &ready, err));
    if (!ready) return ESPL_OK;
    ssize_t k = read(s->fd, bytes + *got, n - *got);
    if (k == 0) return gone(s, "end of file", err);
    if (k < 0 && errno != EINTR && errno != EAGAIN) return gone(s, strerror(errno), err);
    if (k > 0) *got += (size_t)k;
  }
  return ESPL_OK;
}

void espl_serial_flush(espl_serial *s) { tcflush(s->fd, TCIOFLUSH); }

void espl_serial_close(espl_serial *s) {
  if (!s) return;
  ioctl(s->fd, TIOCNXCL);
  close(s->fd);
  free(s);
}
