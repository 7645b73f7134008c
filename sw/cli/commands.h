/* The subcommands that exist: X(name, one line for `espalier --help`). A line here and cmd_<name>.c make a command. */
#ifndef ESPL_CLI_COMMANDS_H
#define ESPL_CLI_COMMANDS_H

#include "cli/cli.h"

#define ESPL_COMMANDS(X) \
  X(info, "layers, shapes, parameters and multiply-accumulates of a network") \
  X(train, "train a network of configs/networks") \
  X(eval, "accuracy of a network on a data set") \
  X(quantize, "write a calibrated int8 network (ONNX with QuantizeLinear/DequantizeLinear pairs)") \
  X(sim, "cycles, utilization and stalls of a network on a machine") \
  X(run, "tensors in, tensors out, in float32 or the machine's integers") \
  X(compress, "one smaller network within a budget of cycles") \
  X(sweep, "exact cycles of networks on a grid of machines, resumable") \
  X(steer, "run a co-design study: compression steered by exact cycles") \
  X(demo, "the main job: train or load, compress, simulate, verify on RTL, report") \
  X(synth, "synthesize the core of a machine point for a board, and how much of the part it takes") \
  X(cost, "area and clock of a machine point on boards, estimated from synthesized points") \
  X(report, "write the HTML page, CSV and JSON of a results store")

#define X(name, text) espl_status espl_cmd_##name(espl_cli *cli, int argc, char **argv);
ESPL_COMMANDS(X)
#undef X

#endif
