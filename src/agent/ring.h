/* ring.h: a perf mmap ring, read in place. Layout and memory order: struct perf_event_mmap_page in
 * include/uapi/linux/perf_event.h and kernel/events/ring_buffer.c. One reader a ring. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/record.h"

struct err;

struct ring {
    struct record_format format; /* of the events that write here */
    uint32_t id;                 /* the owner's; goes into recordings */
    bool samples_only;           /* what is lost here are samples */
    void *base;                  /* the mapping; NULL over memory that is not the kernel's */
    uint8_t *data;
    uint64_t size; /* bytes of data, a power of two for a kernel's ring */
    uint64_t head, tail;
    uint64_t peeked; /* bytes of the record last peeked at */
    uint8_t *scratch;
};

/* Maps the ring of event `fd` with `bytes` of data (a power of two of pages). -EPERM and -ENOMEM
 * are the locked-memory limit; the error says what to raise. */
int ring_map(struct ring *ring, int fd, size_t bytes, struct err *err);

/* Reads records that lie one after another in memory, as a recording holds them; the bytes stay the
 * caller's. ring_unmap only forgets them. */
void ring_over(struct ring *ring, const void *bytes, size_t len);
void ring_unmap(struct ring *ring);

/* Takes note of what the kernel has written since. */
void ring_refresh(struct ring *ring);

/* 1 and the next record, whole and aligned to 8, valid until ring_consume; 0 if there is none.
 * Records lie in the ring itself; only one that wraps at its end is copied. -EBADMSG if the bytes
 * are no record; then everything up to head has been given up. */
int ring_peek(struct ring *ring, const void **ret_bytes, size_t *ret_len);

/* Gives the space of the record last peeked at back to the kernel. */
void ring_consume(struct ring *ring);
