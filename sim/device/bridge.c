/* Frames of the serial bridge: see bridge.h. */
#include "device/bridge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device/serial.h"
#include "espl_hw.h"

#define TRIES 5
#define FRAME_BYTES (ESPL_BRIDGE_HEAD_BYTES + 2 + ESPL_BRIDGE_BLOCK + 2)

struct espl_bridge {
  espl_serial *line;
  char name[128];
  double seconds, byte_seconds;
  uint32_t seq;
  uint64_t repeats;
};

uint16_t espl_bridge_crc(uint16_t crc, const uint8_t *bytes, size_t n) {
  uint32_t c = crc;
  for (size_t i = 0; i < n; i++) {
    c ^= bytes[i];
    for (int k = 0; k < 8; k++) c = c >> 1 ^ (c & 1u ? (uint32_t)ESPL_BRIDGE_CRC_POLY : 0u);
  }
  return (uint16_t)c;
}

/* Puts the CRC behind n bytes; the new length. */
static size_t seal(uint8_t *part, size_t n) {
  uint16_t c = espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, part, n);
  part[n] = (uint8_t)c;
  part[n + 1] = (uint8_t)(c >> 8);
  return n + 2;
}

espl_status espl_bridge_open(const char *tty, int64_t baud, double seconds, espl_bridge **out, espl_err *err) {
  espl_bridge *b = calloc(1, sizeof *b);
  if (!b) return espl_fail(err, ESPL_E_NOMEM, "%s: out of memory", tty);
  snprintf(b->name, sizeof b->name, "%s", tty);
  b->byte_seconds = 10.0 / (double)baud;
  b->seconds = seconds;
  espl_status s = espl_serial_open(tty, baud, &b->line, err);
  if (s != ESPL_OK) {
    free(b);
    return s;
  }
  *out = b;
  return ESPL_OK;
}

void espl_bridge_close(espl_bridge *b) {
  if (!b) return;
  espl_serial_close(b->line);
  free(b);
}

uint64_t espl_bridge_repeats(const espl_bridge *b) { return b->repeats; }

typedef enum verdict { RIGHT, SILENT, REFUSED, WRONG } verdict;

/* One try. The answer is kind byte, n data bytes, CRC; *v says what came of it. */
static espl_status attempt(espl_bridge *b, const uint8_t *frame, size_t frame_n, size_t n, uint8_t *answer, verdict *v, espl_err *err) {
  size_t got = 0, rest = 0;
  double limit = b->seconds + b->byte_seconds * (double)(frame_n + n);
  espl_serial_flush(b->line);
  ESPL_TRY(espl_serial_write(b->line, frame, frame_n, err));
  ESPL_TRY(espl_serial_read(b->line, answer, 1, limit, &got, err));
  *v = SILENT;
  if (got == 0) return ESPL_OK;
  size_t data = answer[0] == ESPL_BRIDGE_NAK ? 0 : n;
  ESPL_TRY(espl_serial_read(b->line, answer + 1, data + 2, limit, &rest, err));
  *v = WRONG;
  if (rest < data + 2 || espl_bridge_crc(ESPL_BRIDGE_CRC_INIT, answer, data + 3) != 0) return ESPL_OK;
  if (answer[0] == ESPL_BRIDGE_NAK) *v = REFUSED;
  else if (answer[0] == frame[0]) *v = RIGHT;
  return ESPL_OK;
}

static espl_status give_up(const espl_bridge *b, verdict v, int silent, espl_err *err) {
  if (silent == TRIES)
    return espl_fail(err, ESPL_E_IO, "%s: no answer within %.3g s; is it a board with this bridge, and its baud rate?", b->name, b->seconds);
  const char *why = v == REFUSED ? "the board found a wrong checksum" : v == WRONG ? "an answer with a wrong checksum" : "no answer";
  return espl_fail(err, ESPL_E_IO, "%s: a frame failed %d times, at last with: %s", b->name, TRIES, why);
}

/* in: data of a writing operation (or NULL), out: data of a reading one (or NULL); n 1..ESPL_BRIDGE_BLOCK. */
static espl_status transact(espl_bridge *b, int op, uint32_t addr, size_t n, const uint8_t *in, uint8_t *out, espl_err *err) {
  uint8_t frame[FRAME_BYTES], answer[ESPL_BRIDGE_BLOCK + 3];
  int silent = 0;
  verdict v = SILENT;
  for (int i = 0; i < TRIES; i++) {
    b->seq = (b->seq + 1) % ESPL_BRIDGE_SEQ_COUNT;
    frame[0] = (uint8_t)((unsigned)op | b->seq << ESPL_BRIDGE_SEQ_SHIFT);
    frame[1] = (uint8_t)(n - 1);
    for (int k = 0; k < 4; k++) frame[2 + k] = (uint8_t)(addr >> (8 * k));
    size_t len = seal(frame, ESPL_BRIDGE_HEAD_BYTES);
    if (in) {
      memcpy(frame + len, in, n);
      len += seal(frame + len, n);
    }
    if (i > 0) b->repeats++;
    ESPL_TRY(attempt(b, frame, len, out ? n : 0, answer, &v, err));
    if (v == RIGHT) {
      if (out) memcpy(out, answer + 1, n);
      return ESPL_OK;
    }
    silent += v == SILENT;
  }
  return give_up(b, v, silent, err);
}

static espl_status in_blocks(espl_bridge *b, int op, uint32_t addr, size_t n, const uint8_t *in, uint8_t *out, espl_err *err) {
  for (size_t done = 0; done < n;) {
    size_t k = n - done < ESPL_BRIDGE_BLOCK ? n - done : ESPL_BRIDGE_BLOCK;
    ESPL_TRY(transact(b, op, addr + (uint32_t)done, k, in ? in + done : NULL, out ? out + done : NULL, err));
    done += k;
  }
  return ESPL_OK;
}

espl_status espl_bridge_read_mem(espl_bridge *b, uint32_t addr, size_t n, uint8_t *bytes, espl_err *err) {
  return in_blocks(b, ESPL_BRIDGE_READ_MEM, addr, n, NULL, bytes, err);
}
espl_status espl_bridge_write_mem(espl_bridge *b, uint32_t addr, size_t n, const uint8_t *bytes, espl_err *err) {
  return in_blocks(b, ESPL_BRIDGE_WRITE_MEM, addr, n, bytes, NULL, err);
}

espl_status espl_bridge_read_reg(espl_bridge *b, uint32_t offset, uint32_t *value, espl_err *err) {
  uint8_t w[4];
  ESPL_TRY(transact(b, ESPL_BRIDGE_READ_REG, offset, 4, NULL, w, err));
  *value = (uint32_t)w[0] | (uint32_t)w[1] << 8 | (uint32_t)w[2] << 16 | (uint32_t)w[3] << 24;
  return ESPL_OK;
}
espl_status espl_bridge_write_reg(espl_bridge *b, uint32_t offset, uint32_t value, espl_err *err) {
  const uint8_t w[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
  return transact(b, ESPL_BRIDGE_WRITE_REG, offset, 4, w, NULL, err);
}
