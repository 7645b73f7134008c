/* Pictures: PNG, JPEG and BMP as folders of images are read, then brought to another size. */
#include "data/image.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  espl_err err = {0};
  espl_image m = {0};
  espl_status s = espl_image_decode(data, n, &m, &err);
  if (s == ESPL_OK && (int64_t)m.w * m.h < 65536) s = espl_image_resize(&m, 3, 5, &err);
  fuzz_lawful(s, &err);
  espl_image_clear(&m);
  return 0;
}
