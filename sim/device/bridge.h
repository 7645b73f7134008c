/* The host's end of a board's serial bridge (hw/spec/bridge.md): memory and registers through frames that are repeated until they are right. */
#ifndef ESPL_DEVICE_BRIDGE_H
#define ESPL_DEVICE_BRIDGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct espl_bridge espl_bridge;

/* seconds: how long an answer may take beyond the time of its bytes; more than the board's gap (65,536 bit times). */
espl_status espl_bridge_open(const char *tty, int64_t baud, double seconds, espl_bridge **out, espl_err *err) ESPL_MUST_CHECK;
/* Any n; E_IO after a frame failed five times ("no answer", or the last reason), or when the line has gone. */
espl_status espl_bridge_read_mem(espl_bridge *b, uint32_t addr, size_t n, uint8_t *bytes, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_bridge_write_mem(espl_bridge *b, uint32_t addr, size_t n, const uint8_t *bytes, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_bridge_read_reg(espl_bridge *b, uint32_t offset, uint32_t *value, espl_err *err) ESPL_MUST_CHECK;
espl_status espl_bridge_write_reg(espl_bridge *b, uint32_t offset, uint32_t value, espl_err *err) ESPL_MUST_CHECK;
uint64_t espl_bridge_repeats(const espl_bridge *b); /* frames that had to be sent again */
void espl_bridge_close(espl_bridge *b);             /* NULL is allowed */

/* The CRC of the frames over n bytes that follow bytes with CRC `crc` (ESPL_BRIDGE_CRC_INIT at the start). */
uint16_t espl_bridge_crc(uint16_t crc, const uint8_t *bytes, size_t n);

#endif
