/* Machine points from YAML files: every structural parameter of hw/spec/params.tbl by its name, the memory behind the port, the clock. */
#ifndef ESPL_MAP_MACHINE_YAML_H
#define ESPL_MAP_MACHINE_YAML_H

#include <stddef.h>

#include "device/machine.h"

/* name_or_path: a file (anything with a '/' or ending in ".yaml"), else a name in configs/machines. The machine's name is the file's, without
 * folder and ending. All parameters must be there; unknown keys are refused with the nearest known one; espl_machine_check is applied.
 * E_INPUT with file:line:column; a name that does not exist lists those that do. *out is unchanged on error. */
espl_status espl_machine_load(const char *name_or_path, espl_machine *out, espl_err *err) ESPL_MUST_CHECK;
/* From text, for tests and for files inside other files. */
espl_status espl_machine_parse(const char *file, const char *text, size_t n, espl_machine *out, espl_err *err) ESPL_MUST_CHECK;

#endif
