/* Boards: the FPGA of each, what it has, and the family that decides how a core is mapped to it.
 *
 * A board is configs/boards/<name>.yaml. Capacities count what a family calls one: iCE40 logic cells, LUT4 or LUT6; SB_MAC16, MULT18X18D or
 * DSP48E1; block RAM of 4 Kbit (iCE40) or 18 Kbit (ECP5, 7-series). */
#ifndef ESPL_COST_BOARD_H
#define ESPL_COST_BOARD_H

#include <stdint.h>

#include "base/status.h"

typedef enum espl_family { ESPL_ICE40UP, ESPL_ICE40HX, ESPL_ECP5, ESPL_XC7, ESPL_FAMILIES } espl_family;
const char *espl_family_name(espl_family f); /* as board files say it, and as the script of hw/synth is called */

typedef enum espl_resource { ESPL_LUT, ESPL_FF, ESPL_DSP, ESPL_BRAM, ESPL_SPRAM, ESPL_RESOURCES } espl_resource;
const char *espl_resource_name(espl_resource r);

typedef struct espl_board {
  char name[64], part[64], machine[256]; /* machine: the point taken by default */
  char pack[128];                        /* options with which nextpnr-ice40 packs; empty for other families */
  espl_family family;
  int64_t has[ESPL_RESOURCES];
  double core_mhz, baud; /* of the whole board: the clock its PLL makes, the serial line */
} espl_board;

/* A name in configs/boards, or a file (anything with a '/' or ending in ".yaml"); the board is called as the file, without folder and ending.
 * E_INPUT with file:line:column; a name that does not exist lists those that do. *out is unchanged on error. */
espl_status espl_board_load(const char *name_or_path, espl_board *out, espl_err *err) ESPL_MUST_CHECK;
/* Names of all boards of the repository in alphabetical order, at most max; *n is how many there are. */
espl_status espl_board_names(char names[][64], int max, int *n, espl_err *err) ESPL_MUST_CHECK;

#endif
