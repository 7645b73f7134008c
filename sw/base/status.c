/* Error context and the names of the status codes. */
#include "base/status.h"

#include <stdio.h>
#include <string.h>

espl_status espl_fail(espl_err *err, espl_status code, const char *fmt, ...) {
  if (!err) return code;
  if (err->code != ESPL_OK) return err->code;
  err->code = code;
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(err->msg, sizeof err->msg, fmt, ap);
  va_end(ap);
  return code;
}

espl_status espl_fail_context(espl_err *err, const char *fmt, ...) {
  if (!err) return ESPL_E_BUG;
  char head[ESPL_ERR_MSG_BYTES / 2];
  char old[ESPL_ERR_MSG_BYTES];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(head, sizeof head, fmt, ap);
  va_end(ap);
  memcpy(old, err->msg, sizeof old);
  snprintf(err->msg, sizeof err->msg, "%s: %.*s", head, (int)(ESPL_ERR_MSG_BYTES / 2 - 3), old);
  return err->code;
}

const char *espl_status_name(espl_status s) {
  switch (s) {
#define X(name, value, text) \
  case ESPL_##name: return #name;
    ESPL_STATUS_LIST(X)
#undef X
  }
  return "UNKNOWN";
}

const char *espl_status_text(espl_status s) {
  switch (s) {
#define X(name, value, text) \
  case ESPL_##name: return text;
    ESPL_STATUS_LIST(X)
#undef X
  }
  return "unknown status";
}

int espl_status_exit(espl_status s) {
  if (s == ESPL_OK) return 0;
  return (s == ESPL_E_INPUT || s == ESPL_E_UNSUPPORTED) ? 2 : 1;
}
