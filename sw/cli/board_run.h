/* A network on a board behind a serial line: mapped, loaded once, then one image after the other. */
#ifndef ESPL_CLI_BOARD_RUN_H
#define ESPL_CLI_BOARD_RUN_H

#include "cli/cli.h"
#include "device/board.h"
#include "map/map.h"

typedef struct espl_board_args {
  const char *tty, *machine;
  int64_t baud;    /* 0: 1,000,000 */
  double seconds;  /* limit of an answer; 0: 1 */
  int check;       /* compare every output with the integer model */
} espl_board_args;

typedef struct espl_board_session {
  const espl_board_args *args;
  const espl_qnet *q;
  espl_machine machine;
  espl_program *program;
  espl_board board;
  espl_qexec *model;        /* with check */
  int8_t *expected;         /* with check: the model's output */
  uint8_t *memory;          /* the image as loaded, with the tensor of the last input */
  uint64_t expected_cycles; /* of an image, from the timing model */
  int64_t images;
} espl_board_session;

/* Maps q for the machine, opens the line, checks the core and loads the program. Close the session in every case. */
espl_status espl_board_session_open(espl_cli *cli, const espl_board_args *a, const espl_qnet *q, espl_board_session *s) ESPL_MUST_CHECK;
/* in: int8 [c,h,w] of the network's input, out: of its output. E_MISMATCH when the board's cycles are not the timing model's or, with
 * check, its output not the integer model's. */
espl_status espl_board_session_infer(espl_cli *cli, espl_board_session *s, const int8_t *in, int8_t *out) ESPL_MUST_CHECK;
/* One line for people: images, cycles, time. */
void espl_board_session_print(const espl_cli *cli, const espl_board_session *s);
void espl_board_session_close(espl_board_session *s);

#endif
