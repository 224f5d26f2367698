/* shared_ring.h: a ring with the kernel's side played by a second mapping of the same memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agent/ring.h"

struct perf_event_mmap_page;

#define SHARED_RING_BYTES 65536u

struct shared_ring {
    struct ring ring;
    struct perf_event_mmap_page *page; /* the writer's view */
    uint8_t *data;
    uint64_t head;
};

void shared_ring_open(struct shared_ring *s);
void shared_ring_close(struct shared_ring *s);

/* Writes bytes at the head as the kernel does: around the end, then the head. There must be space,
 * or what was there is overwritten. */
void shared_ring_write(struct shared_ring *s, const void *bytes, size_t len);

/* Bytes that the reader has given back. */
uint64_t shared_ring_space(const struct shared_ring *s);
