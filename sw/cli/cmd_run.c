/* espalier run: tensors in, tensors out, in float32, in the machine's integers, or on a board behind a serial line. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fsio.h"
#include "base/interrupt.h"
#include "base/mem.h"
#include "cli/board_run.h"
#include "cli/commands.h"
#include "cli/npy.h"
#include "cli/program_run.h"
#include "cli/quantized.h"
#include "quant/tfl.h"
#include "tflite/tflite.h"

enum { MAX_FILES = 64, FLOAT_BATCH = 8 };

typedef struct job {
  espl_cli *cli;
  espl_quantized_args a;
  const char *out;
  int int8, tflite;
  espl_graph *g;
  espl_qnet *q;
  espl_board_args board; /* tty NULL: no board */
  espl_board_session *session;
} job;

/* Images of a tensor [c,h,w] or [n,c,h,w] for the network ([n,c] too where h = w = 1), as reals; E_INPUT when the extents differ. */
static espl_status images_in(const job *j, const char *path, const espl_tensor *t, int64_t *n, float **value) {
  char found[160];
  espl_shape s = j->g->node[0].shape;
  int64_t want = espl_shape_elems(s), own[4] = {1, s.c, s.h, s.w};
  bool flat = t->dims == 2 && s.h == 1 && s.w == 1 && t->dim[1] == s.c, fits = flat || ((t->dims == 3 || t->dims == 4) && t->elems > 0);
  for (int d = 1; fits && !flat && d < 4; d++) fits = t->dim[t->dims - 4 + d] == own[d];
  fits |= s.h == 1 && t->dims == 3 && t->dim[1] == s.c && t->dim[2] == s.w; /* sequences [n,c,l] */
  espl_dims_text(found, sizeof found, t->dims, t->dim);
  *n = t->elems / want;
  if (!fits || *n < 1)
    return espl_fail(&j->cli->err, ESPL_E_INPUT, "%s: the network takes [%d,%d,%d], alone or with a batch in front; the file has the shape %s", path, (int)s.c, (int)s.h, (int)s.w, found);
  *value = espl_calloc((size_t)t->elems, sizeof **value);
  if (!*value) return espl_fail(&j->cli->err, ESPL_E_NOMEM, "run: out of memory");
  for (int64_t k = 0; k < t->elems; k++) (*value)[k] = (float)espl_tensor_at(t, k);
  return ESPL_OK;
}

/* n images, a few at a time: a plan for so many, and one for the rest. */
static espl_status run_float(const job *j, int64_t n, const float *in, float *out) {
  int64_t each = espl_shape_elems(j->g->node[0].shape), result = espl_shape_elems(j->g->node[j->g->output].shape), have = 0;
  espl_exec *x = NULL;
  espl_status s = ESPL_OK;
  for (int64_t at = 0, batch; s == ESPL_OK && at < n; at += batch) {
    batch = n - at < FLOAT_BATCH ? n - at : FLOAT_BATCH;
    if ((s = espl_interrupt_check(&j->cli->err)) != ESPL_OK) break;
    if (batch != have) {
      espl_exec_free(x);
      x = NULL;
      s = espl_exec_new(j->g, ESPL_MODE_INFER, ESPL_F32, (int32_t)(have = batch), &x, &j->cli->err);
      if (s == ESPL_OK) espl_exec_freeze(x);
    }
    if (s == ESPL_OK) s = espl_exec_forward(x, in + at * each, out + at * result, &j->cli->err);
  }
  espl_exec_free(x);
  return s;
}

static espl_status infer(const job *j, const int8_t *in, int8_t *out) {
  ESPL_TRY(espl_interrupt_check(&j->cli->err));
  if (j->session) return espl_board_session_infer(j->cli, j->session, in, out);
  espl_qexec *x = NULL;
  espl_tfl *t = NULL;
  espl_err *err = &j->cli->err;
  espl_status s = j->tflite ? espl_tfl_new(j->g, j->q, &t, err) : espl_qexec_new(j->q, 1, &x, err);
  if (s == ESPL_OK && t) espl_tfl_run(t, in, out, NULL);
  if (s == ESPL_OK && x) s = espl_qexec_run(x, 1, in, out, err);
  espl_qexec_free(x);
  espl_tfl_free(t);
  return s;
}

/* Integer logits as real numbers: scale * (q - zero). */
static espl_status run_int8(const job *j, const float *in, float *out) {
  const espl_qtensor *o = &j->q->tensor[j->q->output];
  int64_t n = espl_shape_elems(j->q->tensor[0].shape), k = espl_shape_elems(o->shape);
  int8_t *a = espl_calloc((size_t)n, 1), *b = espl_calloc((size_t)k, 1);
  espl_status s = a && b ? ESPL_OK : espl_fail(&j->cli->err, ESPL_E_NOMEM, "run: out of memory");
  if (s == ESPL_OK) {
    espl_qnet_input(j->q, in, a);
    s = infer(j, a, b);
  }
  for (int64_t i = 0; s == ESPL_OK && i < k; i++) out[i] = o->scale * (float)(b[i] - o->zero);
  free(a);
  free(b);
  return s;
}

/* DIR/<name of the input file>.out.npy: [n,c,h,w], [n,c,l] or [n,c], as the output is in the network's file. */
static espl_status write_result(const job *j, const char *input, int64_t n, float *value) {
  espl_shape s = j->g->node[j->g->output].shape;
  int rank = j->g->output_rank ? j->g->output_rank : s.h == 1 && s.w == 1 ? 2 : 4;
  char *path = espl_cli_output_path(j->out, input, "out");
  if (!path) return espl_fail(&j->cli->err, ESPL_E_NOMEM, "run: out of memory");
  espl_tensor t = {.type = ESPL_T_FLOAT, .dims = rank, .dim = {n, s.c, rank == 3 ? s.w : s.h, s.w}, .elems = n * espl_shape_elems(s), .f = value};
  espl_status st = espl_mkdirs(j->out, &j->cli->err);
  if (st == ESPL_OK) st = espl_npy_write(path, &t, &j->cli->err);
  if (st == ESPL_OK) fprintf(espl_cli_out(j->cli), "%s -> %s (%lld x %d)\n", input, path, (long long)n, (int)espl_shape_elems(s));
  free(path);
  return st;
}

static espl_status run_file(const job *j, const char *path) {
  espl_tensor *t = NULL;
  float *in = NULL, *value = NULL;
  int64_t n = 0, each = espl_shape_elems(j->g->node[0].shape), out = espl_shape_elems(j->g->node[j->g->output].shape);
  ESPL_TRY(espl_npy_read(path, &t, &j->cli->err));
  espl_status s = images_in(j, path, t, &n, &in);
  if (s == ESPL_OK && !(value = espl_calloc((size_t)(n * out), sizeof *value))) s = espl_fail(&j->cli->err, ESPL_E_NOMEM, "run: out of memory");
  if (s == ESPL_OK && !j->int8) s = run_float(j, n, in, value);
  for (int64_t i = 0; s == ESPL_OK && j->int8 && i < n; i++) s = run_int8(j, in + i * each, value + i * out);
  if (s == ESPL_OK) s = write_result(j, path, n, value);
  free(in);
  free(value);
  espl_tensor_free(t);
  return s;
}

static espl_status run_files(job *j, const char *first, int n, const char **more) {
  espl_status s = run_file(j, first);
  for (int i = 0; s == ESPL_OK && i < n; i++) s = run_file(j, more[i]);
  return s;
}

static espl_status run_board(job *j, const char *first, int n, const char **more) {
  espl_board_session session;
  j->session = &session;
  espl_status s = espl_board_session_open(j->cli, &j->board, j->q, &session);
  if (s == ESPL_OK) s = run_files(j, first, n, more);
  if (s == ESPL_OK) espl_board_session_print(j->cli, &session);
  espl_board_session_close(&session);
  return s;
}

espl_status espl_cmd_run(espl_cli *cli, int argc, char **argv) {
  static const char *const arithmetics[] = {"machine", "tflite", NULL};
  job j = {.cli = cli};
  const char *args[1 + MAX_FILES], *first = NULL;
  int n_args = 0, reference = 0;
  const espl_opt opts[] = {
      {.name = "input", .type = ESPL_OPT_STRING, .arg = "T.npy", .value = &first, .required = 1, .help = "tensor (.npy, or ONNX .pb) as the network takes it; more files may follow, several inputs in order"},
      {.name = "out", .letter = 'o', .type = ESPL_OPT_STRING, .arg = "DIR", .value = &j.out, .required = 1, .help = "folder for the outputs"},
      {.name = "reference", .type = ESPL_OPT_FLAG, .value = &reference, .without = "int8|device", .help = "operator by operator as ONNX defines them, which every network that is read can do (slow)"},
      {.name = "int8", .type = ESPL_OPT_FLAG, .value = &j.int8, .help = "the machine's integers, bit for bit"},
      {.name = "arithmetic", .type = ESPL_OPT_CHOICE, .arg = "machine|tflite", .value = &j.tflite, .choices = arithmetics, .with = "int8", .without = "device",
       .help = "the machine's rule (default) or that of TFLite's reference kernels"},
      {.name = "data", .type = ESPL_OPT_STRING, .arg = "DIR", .value = &j.a.data, .with = "int8|device", .only = "float", .help = "calibrate a float network on its training images"},
      {.name = "device", .type = ESPL_OPT_STRING, .arg = "TTY", .value = &j.board.tty, .with = "machine", .help = "run on the board behind this serial line (bit for bit; cycles are checked)"},
      {.name = "machine", .letter = 'm', .type = ESPL_OPT_STRING, .arg = "M", .value = &j.board.machine, .with = "device", .help = "the machine point of its bitstream"},
      {.name = "baud", .type = ESPL_OPT_INT, .arg = "N", .value = &j.board.baud, .min = 9600, .max = 4e6, .with = "device", .help = "rate of the line (default 1000000)"},
      {.name = "timeout", .type = ESPL_OPT_NUMBER, .arg = "S", .value = &j.board.seconds, .min = 0.01, .max = 600, .with = "device", .help = "seconds an answer may take (default 1)"},
      {.name = "check", .type = ESPL_OPT_FLAG, .value = &j.board.check, .with = "device", .help = "compare every output with the integer model"},
      ESPL_QUANTIZED_OPTIONS(j.a, "data", "int8|device", "data"),
  };
  const espl_opt_spec spec = {.usage = "NETWORK --input T.npy ... -o DIR [--int8 [--data DIR]] [--device TTY --machine M]", .summary = "Runs tensors through a network.",
                              .options = opts, .n_options = sizeof opts / sizeof *opts, .min_args = 1, .max_args = 1 + MAX_FILES};
  ESPL_TRY(espl_opt_parse(cli, &spec, argc, argv, args, &n_args));
  if (cli->help) return ESPL_OK;
  if (j.board.tty) j.int8 = 1;
  espl_status s = reference ? ESPL_OK : espl_cli_network(cli, &j.a, args[0], j.int8, &j.g, &j.q);
  if (reference || ((s == ESPL_E_UNSUPPORTED || s == ESPL_E_INPUT) && !j.int8 && !espl_tflite_is_file(args[0]))) {
    const char *network = args[0];
    cli->err = (espl_err){0};
    args[0] = first;
    return espl_cli_run_program(cli, network, n_args, args, j.out);
  }
  if (s == ESPL_OK && j.int8 && !j.q && !j.a.data) s = espl_fail(&cli->err, ESPL_E_INPUT, "%s: a float network; --int8 needs --data to calibrate it", args[0]);
  if (s == ESPL_OK && j.int8 && !j.q) s = espl_cli_quantize(cli, &j.a, j.g, &j.q);
  if (s == ESPL_OK) s = (j.board.tty ? run_board : run_files)(&j, first, n_args - 1, args + 1);
  espl_qnet_free(j.q);
  espl_graph_free(j.g);
  return s;
}
