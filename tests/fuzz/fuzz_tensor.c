/* Tensors in files: the first byte chooses TensorProto (.pb) or .npy. */
#include "fuzz.h"
#include "cli/npy.h"
#include "onnx/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  if (n == 0) return 0;
  espl_err err = {0};
  espl_tensor *t = NULL;
  const char *file = fuzz_file(data + 1, n - 1);
  espl_status s = data[0] & 1 ? espl_npy_read(file, &t, &err) : espl_onnx_tensor_read(file, &t, &err);
  fuzz_lawful(s, &err);
  fuzz_expect((s == ESPL_OK) == (t != NULL), "a tensor exactly when it was read");
  espl_tensor_free(t);
  return 0;
}
