/* Labelled image sets with train / val / test discipline.
 *
 * val = the last 500 training images of each class in file order (the last tenth of a class that has fewer than 5,000).
 * The test split is a separate open, so that nothing that chooses can read it by accident.
 * A set is recognised by what its files contain, never by the folder's name:
 *   IDX (train-images-idx3-ubyte, ...), CIFAR-10 and CIFAR-100 binary (data_batch_1.bin ... test_batch.bin; train.bin, test.bin with
 *   the fine labels as classes), each plain, .gz or .xz;
 *   image folders, one sub-folder a class, of PNG, JPEG and BMP pictures (data/folder.c);
 *   the built-in procedural set ("builtin"): ten classes, 32x32 RGB, a pure function of (seed, split, index). */
#ifndef ESPL_DATA_DATA_H
#define ESPL_DATA_DATA_H
#include <stdint.h>
#include "base/status.h"
#include "graph/graph.h"

typedef enum espl_split { ESPL_SPLIT_TRAIN, ESPL_SPLIT_VAL, ESPL_SPLIT_TEST } espl_split;

/* Pixels as stored: uint8 [n, c, h, w]. Owned by the set. */
typedef struct espl_dataset {
  char *source;        /* folder, or "builtin" */
  espl_split split;
  int32_t n, classes;
  espl_shape shape;
  uint8_t *pixels;     /* [n,c,h,w] */
  uint8_t *labels;     /* [n], < classes */
} espl_dataset;

/* dir: folder, or NULL / "builtin" for the procedural set (seed picks the instance; 1 is the documented one).
 * E_INPUT: missing folder, wrong magic, wrong record count; the message names the file. */
espl_status espl_data_open(const char *dir, espl_split split, uint64_t seed, espl_dataset **out, espl_err *err) ESPL_MUST_CHECK;
/* The same with every image brought to w x h (0, 0: as stored; data/image.h says how). */
espl_status espl_data_open_sized(const char *dir, espl_split split, uint64_t seed, int32_t w, int32_t h, espl_dataset **out, espl_err *err) ESPL_MUST_CHECK;
void espl_data_free(espl_dataset *d);
const char *espl_split_name(espl_split s);

/* How bytes become network input: x = (p * scale - mean[c]) / std[c], scale 1/255 (or 1 when raw); with bgr channel c of the network is
 * stored channel 2 - c (three channels; mean and std count the network's). */
typedef struct espl_preprocess {
  int raw, bgr;
  float mean[4], std[4]; /* std > 0 */
} espl_preprocess;
void espl_preprocess_default(espl_preprocess *p); /* scale 1/255, mean 0, std 1 */
espl_status espl_preprocess_parse(espl_preprocess *p, const char *mean_csv, const char *std_csv, int raw, espl_err *err) ESPL_MUST_CHECK;
/* JSON of the ONNX metadata `espalier.preprocess`: {"range":[0,1],"mean":[..],"std":[..],"order":"rgb"}; from_json accepts NULL (default). */
espl_status espl_preprocess_from_json(espl_preprocess *p, const char *json, espl_err *err) ESPL_MUST_CHECK;
char *espl_preprocess_to_json(const espl_preprocess *p, int channels); /* free() it */

/* Writes image `index` as float [c,h,w]; aug_key != 0: zero-pad-4 random crop and horizontal flip keyed by (aug_key, index). */
void espl_data_image(const espl_dataset *d, int32_t index, const espl_preprocess *p, uint64_t aug_key, int flip, float *out);
#endif
