/* What the loaders share: unpacking of one file, and the whole training or test part of a set before it is split. */
#ifndef ESPL_DATA_DATA_INT_H
#define ESPL_DATA_DATA_INT_H
#include <stdbool.h>
#include <stddef.h>

#include "data/data.h"

/* Reads a file that is plain, gzip or xz (told by its first bytes) into a new buffer, free() it. E_INPUT: missing, damaged,
 * or more than limit_bytes unpacked. */
espl_status espli_unpack(const char *path, size_t limit_bytes, uint8_t **data, size_t *n, espl_err *err) ESPL_MUST_CHECK;

/* dir/name, dir/name.gz or dir/name.xz, whichever exists first; NULL when none does or out of memory. free() it. */
char *espli_find_packed(const char *dir, const char *name);

/* The loaders fill shape, classes, n, pixels and labels of `d` with all training (test = false) or all test records in file
 * order, and leave the rest alone. *found = false and ESPL_OK: the folder holds no such files. On error the caller frees. */
espl_status espli_idx_load(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_cifar_load(const char *dir, bool test, espl_dataset *d, bool *found, espl_err *err) ESPL_MUST_CHECK;
/* Image folders; w, h: size to bring the pictures to, 0: as they are. *carve: the rule that divides train and val still applies. */
espl_status espli_folder_load(const char *dir, espl_split split, int32_t w, int32_t h, espl_dataset *d, bool *found, bool *carve, espl_err *err) ESPL_MUST_CHECK;
espl_status espli_builtin_load(uint64_t seed, bool test, espl_dataset *d, espl_err *err) ESPL_MUST_CHECK;

/* One image of the built-in set: pixels [3,32,32]; its label is index % 10. */
#define ESPLI_BUILTIN_CLASSES 10
#define ESPLI_BUILTIN_TRAIN 10000
#define ESPLI_BUILTIN_TEST 2000
void espli_builtin_image(uint64_t seed, bool test, int32_t index, uint8_t *pixels);
#endif
