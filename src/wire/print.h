/* print.h: a batch as text. */
#pragma once

#include <stdio.h>

struct batch;
struct err;

/* JSON for people and tests: all the batch holds, one row of a table a line, names in the place of
 * string rows; an address is a string, "0x401136". The batch has been decoded or checked. */
int batch_print_json(const struct batch *batch, FILE *to, struct err *err);
