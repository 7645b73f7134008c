/* Where the project's own files are: the folder that holds scripts/build-core, configs/ and rtl/. */
#ifndef ESPL_DEVICE_ROOT_H
#define ESPL_DEVICE_ROOT_H

#include <stddef.h>

#include "base/status.h"

/* $ESPL_ROOT, else the nearest folder above the working directory, else above the running program, that has `member` (a relative path).
 * path: "<root>/<member>", at most n bytes with the ending 0. E_INPUT when there is none. */
espl_status espl_root_path(const char *member, char *path, size_t n, espl_err *err) ESPL_MUST_CHECK;

/* The YAML file that a user names: name_or_path itself (anything with a '/' or ending in ".yaml", whether it exists or not), else
 * <root>/<folder>/<name_or_path>.yaml, which must exist: E_INPUT lists the names there are. what: "machine", for the message. */
espl_status espl_config_path(const char *what, const char *folder, const char *name_or_path, char *path, size_t n, espl_err *err) ESPL_MUST_CHECK;

#endif
