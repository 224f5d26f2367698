/* worker_format.h: what a symbol worker and who asks it say to each other. Both are one program on
 * one machine: numbers are as they lie in memory. For src/symbol only.
 *
 *     request   struct worker_request, with one or two descriptors (SCM_RIGHTS), then the addresses
 *     answer    struct worker_chain, then its frames, then their strings, each with its NUL:
 *               frame 0's name, frame 0's file, frame 1's name, ...; again for each address
 *               struct worker_chain with WORKER_END; `start` is then 0 or a positive errno
 *
 * The worker has read a file that somebody may have made to harm it: the answer's reader believes
 * nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbol/chains.h"

struct buf;

#define WORKER_FD        3           /* of the process: the socket */
#define WORKER_MAGIC     0x776c6670u /* "pflw" */
#define WORKER_TEXT_MAX  4096u       /* of a string, with its NUL */
#define WORKER_TEXT_NULL UINT32_MAX  /* instead of a length: no string */
#define WORKER_END       UINT32_MAX  /* instead of a count of frames */

struct worker_request {
    uint32_t magic;
    uint32_t count; /* of addresses, ascending */
    int64_t cpu_ns; /* that it may take */
    uint32_t has_alt;
    uint32_t reserved;
};
_Static_assert(sizeof(struct worker_request) == 24, "no padding");

struct worker_chain {
    uint64_t address, start;
    uint32_t frame_count;
    uint32_t bytes; /* of frames and strings */
};
_Static_assert(sizeof(struct worker_chain) == 24, "no padding");

struct worker_frame {
    uint32_t name_len, file_len; /* with their NULs, or WORKER_TEXT_NULL */
    uint32_t line;
};
_Static_assert(sizeof(struct worker_frame) == 12, "no padding");

#define WORKER_CHAIN_BYTES_MAX \
    (CHAIN_FRAMES_MAX * (sizeof(struct worker_frame) + 2 * (size_t)WORKER_TEXT_MAX))

/* Appends an address's chain, or the end with `error` (0 or -errno). */
int worker_write_chain(struct buf *to, uint64_t address, uint64_t start,
                       const struct symbol_frame *frames, size_t count);
int worker_write_end(struct buf *to, int error);

struct worker_answer {
    uint64_t address, start;
    uint32_t count;
    bool is_end;
    int error;                                    /* with the end: 0 or -errno */
    struct symbol_frame frames[CHAIN_FRAMES_MAX]; /* strings are the bytes read */
};

/* Reads the next part of an answer from what has come of it. *ret_used is its length, 0 if more
 * must come first. -EBADMSG. */
int worker_read(const uint8_t *bytes, size_t len, struct worker_answer *ret, size_t *ret_used);
