/* go_names.h: names, files, lines and inlined calls of Go code, which every Go program has,
 * stripped or not: its runtime prints stacks by them. For src/symbol only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct chains;
struct elf_file;
struct err;

/* Adds the functions of each address that a function of Go's covers, as Go itself prints them
 * (main.(*T).Method, main.F[...]). `addresses` ascend, each once. C's code among Go's is left to
 * other sources.
 *
 * -ENODATA: no Go program, or not one from Go 1.16 on for a little endian machine of 64 bits.
 * -E2BIG: the tables cost more to read than those of any real program, or chains_add()'s errors:
 * what was added is right, the rest is left out. */
int go_names_find(const struct elf_file *file, const uint64_t *addresses, size_t count,
                  struct chains *chains, struct err *err);
