/* chains.h: what is known of one object's single addresses: functions with file and line, of which
 * inlined code has several. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/symbol.h"

#define CHAIN_FRAMES_MAX 64u /* of one address; the outermost are kept */

struct chains;

int chains_new(struct chains **ret);
void chains_free(struct chains **c);
size_t chains_bytes(const struct chains *c);

/* The functions at an address, the outermost first; what is known already stays. `count` 0: nothing
 * is known of it, which is an answer too. Names are as they are to be shown; all strings are
 * copied. A frame without a name stands only outermost: the symbol table's name goes there.
 * `start`: the outermost function's first byte, 0 if unknown. -ENOMEM, -EFBIG. */
int chains_add(struct chains *c, uint64_t address, uint64_t start,
               const struct symbol_frame *frames, size_t count);

/* False if the address was never added. Valid until the next chains_add(). */
bool chains_find(const struct chains *c, uint64_t address, uint64_t *ret_start,
                 const struct symbol_frame **ret, uint32_t *ret_count);
