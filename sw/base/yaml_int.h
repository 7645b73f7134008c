/* The node behind espl_yaml_node, shared by loading and getting. */
#ifndef ESPL_BASE_YAML_INT_H
#define ESPL_BASE_YAML_INT_H

#include "base/yaml.h"

struct espl_yaml_node {
  espl_yaml_kind kind;
  int line, column; /* from 1 */
  int quoted;       /* a scalar in quotes is text, never a number or a truth value */
  const char *file;
  const char *text; /* scalar */
  size_t count;
  espl_yaml_node **keys, **values; /* [count]; keys NULL in a list */
};

#endif
