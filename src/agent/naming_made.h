/* naming_made.h: code made at run time to functions. Part of naming. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct jit;
struct jit_span;
struct name;

struct naming_made; /* memory of the answers */

void naming_made_free(struct naming_made **made);

/* As naming_find_made(); *made is made at the first call. */
void naming_made_find(struct naming_made **made, struct jit *jit, uint32_t process,
                      const struct jit_span *spans, size_t count, struct name *ret);
