/* peek.h: reads other processes' memory without ever waiting long for it. A page may have to come
 * from a file system that hangs, or from userfaultfd(2), where the process itself decides when: so
 * a thread of its own reads, and is left behind if it does not come back. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct counters;
struct err;
struct peek;

/* Bytes of one reading. */
#define PEEK_MAX (256u << 10)

int peek_start(struct counters *counters, struct peek **ret, struct err *err);
void peek_stop(struct peek **peek);

/* Copies what process `pid` has at `address`, `len` bytes or as many as are mapped there in one
 * piece, and gives their number; 0 if there are none, if it may not be read (CAP_SYS_PTRACE), or if
 * it takes longer than some milliseconds. `len` is at most PEEK_MAX. One thread asks. */
size_t peek_read(struct peek *peek, pid_t pid, uint64_t address, void *to, size_t len);
