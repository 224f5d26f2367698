/* demangle.h: linker names to the names their authors wrote: of C++ (Itanium ABI), Rust (legacy and
 * v0) and D; of Swift, OCaml and Haskell without parameters. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DEMANGLE_IN_MAX  2048
#define DEMANGLE_OUT_MAX 8192

/* Writes the readable form of `name` with its parameters, without return type and Rust's hash, as
 * a string into `ret`. False, and an empty string, if the name is none of those languages', is
 * longer than DEMANGLE_IN_MAX, or would fill more than DEMANGLE_OUT_MAX: then the linker's name
 * stands. Any bytes are allowed; time and stack are bounded. */
bool demangle_name(const char *name, char ret[DEMANGLE_OUT_MAX]);
