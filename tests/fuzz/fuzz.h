/* What the libFuzzer targets share. One program a reader: LLVMFuzzerTestOneInput hands the bytes to the reader and ends the process when a
 * law is broken: a status that a reader must not give, a refusal without a message. Crashes, leaks, long runs and large allocations are
 * libFuzzer's and the sanitizers' to see. */
#ifndef ESPL_TESTS_FUZZ_H
#define ESPL_TESTS_FUZZ_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Ends the process, with the status and message on stderr, unless s is OK or a refusal that says something. */
void fuzz_lawful(espl_status s, const espl_err *err);
/* Ends the process, with `what`, unless ok. */
void fuzz_expect(bool ok, const char *what);
/* Path of a file in memory that holds exactly these bytes until the next call. */
const char *fuzz_file(const uint8_t *data, size_t n);
#endif
