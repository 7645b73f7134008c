// The generated vectors (hw/gen/vectors.txt) through the package's command check: every status as written there.
#include <string>

#include "Vtb_espl_decode.h"
#include "tb_util.hpp"

int main() {
  FILE* f = fopen("hw/gen/vectors.txt", "r");
  if (!f) {
    printf("FAIL tb_espl_decode: hw/gen/vectors.txt cannot be read (run from the repository root)\n");
    return 1;
  }
  Vtb_espl_decode top;
  char line[4096], name[64];
  int vectors = 0, failures = 0;
  while (fgets(line, sizeof line, f)) {
    uint32_t w[4], status;
    if (line[0] == '#') continue;
    if (sscanf(line, "%63s %x %x %x %x %u", name, &w[3], &w[2], &w[1], &w[0], &status) != 6) {
      printf("FAIL tb_espl_decode: line not understood: %s", line);
      failures++;
      continue;
    }
    vectors++;
    for (int i = 0; i < 4; i++) top.cmd_i[(size_t)i] = w[i];
    top.eval();
    if (top.status_o != status) {
      printf("FAIL %s %08x %08x %08x %08x: status %u, expected %u\n", name, w[3], w[2], w[1], w[0], top.status_o, status);
      failures++;
    }
  }
  fclose(f);
  bool ok = failures == 0 && vectors >= 200;
  printf("%s tb_espl_decode: %d vectors, %d differences\n", ok ? "PASS" : "FAIL", vectors, failures);
  return ok ? 0 : 1;
}
