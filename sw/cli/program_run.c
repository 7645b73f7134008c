/* Running tensor programs from files to files. */
#include "cli/program_run.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsio.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/npy.h"
#include "onnx/program.h"

char *espl_cli_output_path(const char *dir, const char *file, const char *what) {
  const char *base = strrchr(file, '/') ? strrchr(file, '/') + 1 : file, *dot = strrchr(base, '.');
  char *path = espl_format("%s/%.*s.%s.npy", dir, (int)(dot && dot != base ? dot - base : (long)strlen(base)), base, what);
  for (char *p = path ? path + strlen(path) - strlen(what) - 4 : NULL; p && *p; p++)
    if (!isalnum((unsigned char)*p) && !strchr("._-", *p)) *p = '_';
  return path;
}

static espl_status write_outputs(espl_cli *cli, const espl_tprogram *p, const char *file, const char *dir, espl_tensor **out) {
  char shape[160];
  ESPL_TRY(espl_mkdirs(dir, &cli->err));
  for (int k = 0; k < p->n_outputs; k++) {
    char *path = espl_cli_output_path(dir, file, p->n_outputs == 1 ? "out" : p->output[k].name);
    espl_status s = path ? espl_npy_write(path, out[k], &cli->err) : espl_fail(&cli->err, ESPL_E_NOMEM, "run: out of memory");
    espl_dims_text(shape, sizeof shape, out[k]->dims, out[k]->dim);
    if (s == ESPL_OK) fprintf(espl_cli_out(cli), "%s -> %s (%s %s, operator by operator)\n", file, path, espl_type_name(out[k]->type), shape);
    free(path);
    ESPL_TRY(s);
  }
  return ESPL_OK;
}

/* A file of other reals or integers than the network's floating input takes becomes what it takes. */
static espl_status as_declared(espl_cli *cli, espl_type type, espl_tensor **t) {
  espl_top cast;
  espl_tensor *out = NULL;
  if ((*t)->type == type || espl_type_is_int(type)) return ESPL_OK;
  espl_top_init(&cast, ESPL_TOP_CAST, 13);
  cast.to = type;
  ESPL_TRY(espl_top_run(&cast, (const espl_tensor *const *)t, 1, &out, 1, ESPL_TLIMITS_DEFAULT, &cli->err));
  espl_tensor_free(*t);
  *t = out;
  return ESPL_OK;
}

/* A result may have so many times the elements of what is given, or FREE_ELEMS: a small file cannot ask for much memory. */
enum { SPREAD = 4096, FREE_ELEMS = 1 << 24 };

static espl_tlimits limits_of(const espl_tprogram *p, espl_tensor *const *t) {
  espl_tlimits limits = ESPL_TLIMITS_DEFAULT;
  int64_t given = 0;
  for (int32_t v = 0; v < p->values; v++) given += p->konst[v] ? p->konst[v]->elems : 0;
  for (int k = 0; k < p->n_inputs; k++) given += t[k]->elems;
  if (given < limits.elems / SPREAD) limits.elems = given * SPREAD > FREE_ELEMS ? given * SPREAD : FREE_ELEMS;
  return limits;
}

static espl_status run_once(espl_cli *cli, const espl_tprogram *p, const char *const *file, const char *dir) {
  espl_tensor **t = espl_calloc((size_t)(p->n_inputs + p->n_outputs) + 1, sizeof *t), **out = t ? t + p->n_inputs : NULL;
  espl_status s = t ? ESPL_OK : espl_fail(&cli->err, ESPL_E_NOMEM, "run: out of memory");
  for (int k = 0; s == ESPL_OK && k < p->n_inputs; k++) {
    s = espl_npy_read(file[k], &t[k], &cli->err);
    if (s == ESPL_OK) s = as_declared(cli, p->input[k].type, &t[k]);
  }
  if (s == ESPL_OK) s = espl_tprogram_run(p, (const espl_tensor *const *)t, out, limits_of(p, t), &cli->err);
  if (s == ESPL_OK) s = write_outputs(cli, p, file[0], dir, out);
  for (int k = 0; t && k < p->n_inputs + p->n_outputs; k++) espl_tensor_free(t[k]);
  free(t);
  return s;
}

static void list_inputs(const espl_tprogram *p, char *text, size_t n) {
  size_t at = 0;
  text[0] = 0;
  for (int k = 0; k < p->n_inputs && at < n; k++) {
    char shape[160] = "any shape";
    if (p->input[k].dims >= 0) espl_dims_text(shape, sizeof shape, p->input[k].dims, p->input[k].dim);
    at += (size_t)snprintf(text + at, n - at, "%s%s %s %s", k ? ", " : "", p->input[k].name, espl_type_name(p->input[k].type), shape);
  }
}

espl_status espl_cli_run_program(espl_cli *cli, const char *network, int files, const char *const *file, const char *dir) {
  espl_tprogram *p = NULL;
  char inputs[400];
  ESPL_TRY(espl_onnx_program(network, &p, &cli->err));
  espl_status s = ESPL_OK;
  list_inputs(p, inputs, sizeof inputs);
  if (p->n_inputs < 1 || files % p->n_inputs)
    s = espl_fail(&cli->err, ESPL_E_INPUT, "%s: %d files for %d inputs (%s); -1 stands for any extent", network, files, p->n_inputs, inputs);
  for (int k = 0; s == ESPL_OK && k < files; k += p->n_inputs)
    if (run_once(cli, p, file + k, dir) != ESPL_OK) s = espl_fail_context(&cli->err, "%s", network);
  espl_tprogram_free(p);
  return s;
}
