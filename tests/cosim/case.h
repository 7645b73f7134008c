/* A program with its machine, memory timing and memory content as a text file, to be run again.
 *
 * Lines "key value": every structural parameter by its name in hw/spec/params.tbl, the memory timing, the registers; then "@ADDRESS HEX"
 * for the bytes of memory that are not zero, 32 a line. The program's commands stand in comments (#). */
#ifndef ESPL_COSIM_CASE_H
#define ESPL_COSIM_CASE_H

#include "fields.h"
#include "progen.h"

/* `why`: comment of one line. */
espl_status pg_case_write(const char *path, const pg_program *p, const pg_fields *fields, const char *why, espl_err *err) ESPL_MUST_CHECK;
/* The program without its list (n = 0): what a run needs. pg_free. E_INPUT names the line. */
espl_status pg_case_read(const char *path, pg_program **out, espl_err *err) ESPL_MUST_CHECK;

#endif
