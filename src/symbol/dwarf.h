/* dwarf.h: debug information: the functions at an address, those inlined there too, with file and
 * line. For src/symbol only, and there for a process that may die of it: libdw maps the file, whose
 * owner may cut it short, and gives memory back only when it is closed. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct err;
struct symbol_frame;

#define DWARF_ADDRESSES_MAX 65536u /* of one call */

/* Of deadlines: what is computed costs, and on a busy machine takes longer. */
#define DWARF_CLOCK CLOCK_PROCESS_CPUTIME_ID

/* Takes the functions of one address, as chains_add() does; -errno ends the search. */
typedef int (*dwarf_chain_fn)(void *ctx, uint64_t address, uint64_t start,
                              const struct symbol_frame *frames, size_t count);

/* Reads the DWARF of `fd`, which may refer to that of `alt_fd` (dwz; -1: none), and gives the
 * functions of each address: ascending ones, each once. In no certain order: units that cost least
 * for an address come first, and what is not done by `deadline_ns` (DWARF_CLOCK) is not given, so
 * that it may be asked again. An address nothing is known of is given with no frames.
 * -ETIME: some were left out; -EBADMSG: no DWARF that makes sense. */
int dwarf_find_chains(int fd, int alt_fd, const uint64_t *addresses, size_t count,
                      int64_t deadline_ns, dwarf_chain_fn add, void *ctx, struct err *err);
