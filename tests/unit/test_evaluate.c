/* Float accuracy of imported networks against numbers measured by an independent evaluator on the same files:
 * mnist-8 98.91 % of the MNIST test set (raw pixels), ResNet-20 91.73 % of the CIFAR-10 test set.
 * The files are found through ESPL_SHARED (default ../shared); without them the test says so and passes. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/fsio.h"
#include "nn/nn.h"
#include "onnx/onnx.h"

static const char *shared(const char *name, char *path, size_t room) {
  const char *root = getenv("ESPL_SHARED");
  snprintf(path, room, "%s/%s", root ? root : "../shared", name);
  return path;
}

static void check(const char *network, const char *data, const char *mean, const char *std, int raw, double want) {
  char n[512], d[512];
  espl_err err = {0};
  espl_graph *g = NULL;
  espl_dataset *set = NULL;
  espl_preprocess pp;
  double got = 0.0;
  if (!espl_path_exists(shared(network, n, sizeof n)) || !espl_path_exists(shared(data, d, sizeof d)))
    cr_skip("SKIP: %s or %s is absent (set ESPL_SHARED)", n, d);
  cr_assert_eq(espl_onnx_read(n, &g, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_data_open(d, ESPL_SPLIT_TEST, 1, &set, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_preprocess_parse(&pp, mean, std, raw, &err), ESPL_OK, "%s", err.msg);
  cr_assert_eq(espl_evaluate(g, set, &pp, 0, &got, &err), ESPL_OK, "%s", err.msg);
  cr_expect_float_eq(got, want, 0.0005, "%s: %.4f, expected %.4f", network, got, want);
  espl_data_free(set);
  espl_graph_free(g);
}

Test(evaluate, mnist_8) { check("models/mnist-8.onnx", "data/mnist", NULL, NULL, 1, 0.9891); }

Test(evaluate, resnet20_cifar10) {
  check("models/resnet20_cifar10.onnx", "data/cifar-10-batches-bin", ".485,.456,.406", ".229,.224,.225", 0, 0.9173);
}
