/* jit_index.h: which code lay where and when, of one process whose code is made at run time. A name
 * is given only where it is certain which code was there all the while; a JIT uses its memory
 * again, and what it tells of that may come late. Byte-capped; one thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct jit_index;

#define JIT_NAME_MAX 4096u        /* bytes of a name that are kept */
#define JIT_CODE_MAX (1ull << 30) /* bytes of one piece of code; what is larger is garbage */

/* When something happened, of the samples' clock. It may only be known that it was between two
 * readings of what the JIT wrote. */
struct jit_time {
    uint64_t after_ns; /* it had not happened yet */
    uint64_t by_ns;    /* it had happened */
};

struct jit_code {
    uint64_t start, size;
    const char *name; /* valid until the next jit_index_forget() */
};

/* Holds at most `max_bytes`: past it, what is new has no name. */
int jit_index_new(size_t max_bytes, struct jit_index **ret, struct err *err);
void jit_index_free(struct jit_index **index);

/* Code has come to be at [start, start + size), which ends all that lay there. What nothing lay
 * before is taken to have been there always, unless `when` is exact (after_ns = by_ns). What is
 * known already as it is changes nothing. The name is copied, and cut at JIT_NAME_MAX. -EINVAL for
 * a range that makes no sense, -ENOSPC at the cap (what lay there is ended even so), -ENOMEM. */
int jit_index_add(struct jit_index *index, uint64_t start, uint64_t size, const char *name,
                  size_t name_len, const struct jit_time *when);

/* The code that starts at `from` has moved to `to`; -ENOENT if none is known to start there. */
int jit_index_move(struct jit_index *index, uint64_t from, uint64_t to,
                   const struct jit_time *when);

/* What is added between the two is all there is: what else was known has gone at `when`. */
void jit_index_begin_all(struct jit_index *index);
int jit_index_end_all(struct jit_index *index, const struct jit_time *when);

/* The code that surely lay at `address` from first_ns to last_ns; false: none, or it is in doubt.
 */
bool jit_index_find(const struct jit_index *index, uint64_t address, uint64_t first_ns,
                    uint64_t last_ns, struct jit_code *ret);

/* Nobody will ask for times before `before_ns` again. Names that were handed out may go. */
void jit_index_forget(struct jit_index *index, uint64_t before_ns);

/* How often code has come to be where other code was. */
uint64_t jit_index_reuses(const struct jit_index *index);

size_t jit_index_count(const struct jit_index *index); /* pieces of code that are there now */
size_t jit_index_bytes(const struct jit_index *index);
