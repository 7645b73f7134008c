/* Status codes and the error context every fallible Espalier function reports through.
 *
 * Law: library code returns a status and never prints, exits or aborts; only `main` exits.
 *   1. ESPL_OK is 0; every other value is an error.
 *   2. The FIRST error wins: once an `espl_err` holds a code, later espl_fail() calls on it keep the
 *      first message and return the first code.
 *   3. A message says where, what was found and what was expected:
 *      "model.onnx: node conv_14: weight has 12 input channels, tensor has 16".
 * Exit status of the command: ESPL_OK 0; ESPL_E_INPUT and ESPL_E_UNSUPPORTED 2; all others 1. */
#ifndef ESPL_BASE_STATUS_H
#define ESPL_BASE_STATUS_H

#include <stdarg.h>

#define ESPL_MUST_CHECK __attribute__((warn_unused_result))
#define ESPL_PRINTF(fmt_index, first) __attribute__((format(printf, fmt_index, first)))

#ifdef __cplusplus
extern "C" {
#endif

#define ESPL_STATUS_LIST(X)                                            \
  X(OK, 0, "success")                                                  \
  X(E_INPUT, 1, "the command line, a file or a value is wrong")        \
  X(E_UNSUPPORTED, 2, "legal, but not something this version can do")  \
  X(E_IO, 3, "reading or writing failed")                              \
  X(E_NOMEM, 4, "out of memory")                                       \
  X(E_LIBRARY, 5, "a library underneath failed")                       \
  X(E_MISMATCH, 6, "two bodies of the machine, or two results, differ") \
  X(E_FAILED, 7, "the work failed")                                    \
  X(E_INTERRUPTED, 8, "interrupted; what was finished is kept")        \
  X(E_BUG, 9, "a promise of our own code was broken")

typedef enum espl_status {
#define X(name, value, text) ESPL_##name = (value),
  ESPL_STATUS_LIST(X)
#undef X
} espl_status;

#define ESPL_ERR_MSG_BYTES 768

/* Zero-initialise before use: `espl_err err = {0};`. Owned by the caller. */
typedef struct espl_err {
  espl_status code;
  char msg[ESPL_ERR_MSG_BYTES];
} espl_err;

/* Records code and formatted message unless `err` already holds one; returns the code held.
 * `err` may be NULL: then only the code is returned. */
espl_status espl_fail(espl_err *err, espl_status code, const char *fmt, ...) ESPL_PRINTF(3, 4);

/* Puts "prefix: " in front of a message already held (to add the file or layer it happened in). */
espl_status espl_fail_context(espl_err *err, const char *fmt, ...) ESPL_PRINTF(2, 3);

const char *espl_status_name(espl_status s); /* "E_INPUT"; never NULL */
const char *espl_status_text(espl_status s); /* one phrase; never NULL */
int espl_status_exit(espl_status s);         /* 0, 1 or 2 */

/* Evaluates `expr` (an espl_status) and returns it from the caller when it is not ESPL_OK. */
#define ESPL_TRY(expr)                             \
  do {                                             \
    espl_status espl_try_ = (expr);                \
    if (espl_try_ != ESPL_OK) return espl_try_;    \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
