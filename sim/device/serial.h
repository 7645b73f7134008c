/* A serial line to a board: raw bytes, 8N1, no flow control. Works on a pseudo-terminal too. One thread. */
#ifndef ESPL_DEVICE_SERIAL_H
#define ESPL_DEVICE_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef struct espl_serial espl_serial;

/* E_INPUT: no such file, not a terminal, or a baud rate that the system does not have (the message lists them); E_IO: no permission, in use. */
espl_status espl_serial_open(const char *path, int64_t baud, espl_serial **out, espl_err *err) ESPL_MUST_CHECK;
/* All n bytes, or E_IO. */
espl_status espl_serial_write(espl_serial *s, const uint8_t *bytes, size_t n, espl_err *err) ESPL_MUST_CHECK;
/* Up to n bytes until `seconds` from now have passed; *got says how many came. E_IO when the line has gone (unplugged). */
espl_status espl_serial_read(espl_serial *s, uint8_t *bytes, size_t n, double seconds, size_t *got, espl_err *err) ESPL_MUST_CHECK;
/* Bytes that have come and were not read are forgotten. */
void espl_serial_flush(espl_serial *s);
void espl_serial_close(espl_serial *s); /* NULL is allowed */

#endif
