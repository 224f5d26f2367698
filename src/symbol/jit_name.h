/* jit_name.h: what JITs call their code, made readable: HotSpot's and its agents' names of Java
 * methods, V8's of JavaScript, CPython's, PHP's, Erlang's, Ruby's; others stay as they are. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "symbol/jit_index.h"
#include "symbol/symbol.h"

#define JIT_NAME_FRAMES 16u /* inlined into each other; the outermost are kept */

struct jit_name {
    struct symbol_frame frames[JIT_NAME_FRAMES]; /* the outermost first; at least one */
    size_t count;
    char text[2 * JIT_NAME_MAX]; /* the frames' strings */
    size_t used;
};

/* What HotSpot calls all code of its interpreter. */
#define JIT_NAME_INTERPRETER "Interpreter"

/* `java`: the process is a JVM. What does not fit is cut. `raw` is not empty. */
void jit_name_decode(const char *raw, bool java, struct jit_name *ret);
