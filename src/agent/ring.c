/* ring.c: takes the memory that the kernel writes records into, gives one record after the other.
 * See ring.h. */
#include "agent/ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"

/* header.size is 16 bits wide. */
#define RECORD_BYTES_MAX 65536

int ring_map(struct ring *ring, int fd, size_t bytes, struct err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *scratch = malloc(RECORD_BYTES_MAX);
    if (!scratch)
        return err_errno(err, -ENOMEM, "a ring's scratch space");
    void *base = mmap(NULL, page + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        int r = -errno;
        free(scratch);
        if (r == -EPERM || r == -ENOMEM)
            return err_errno(err, r,
                             "mapping a ring of %zu KiB; raise kernel.perf_event_mlock_kb or "
                             "RLIMIT_MEMLOCK, or give CAP_IPC_LOCK",
                             bytes / 1024);
        return err_errno(err, r, "mapping a ring of %zu KiB", bytes / 1024);
    }
    ring->base = base;
    ring->data = (uint8_t *)base + page;
    ring->size = bytes;
    ring->head = ring->tail = 0;
    ring->scratch = scratch;
    return 0;
}

void ring_over(struct ring *ring, const void *bytes, size_t len)
{
    ring->base = NULL;
    ring->data = (uint8_t *)bytes; /* never written: tail goes to the mapped page only */
    ring->size = len;
    ring->head = len;
    ring->tail = 0;
    ring->scratch = NULL;
}

void ring_unmap(struct ring *ring)
{
    if (ring->base)
        munmap(ring->base, (size_t)sysconf(_SC_PAGESIZE) + ring->size);
    free(ring->scratch);
    ring->base = NULL;
    ring->data = ring->scratch = NULL;
    ring->head = ring->tail = ring->size = 0;
}

void ring_refresh(struct ring *ring)
{
    if (!ring->base)
        return;
    struct perf_event_mmap_page *page = ring->base;
    ring->head = __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
}

static void publish_tail(struct ring *ring)
{
    if (!ring->base)
        return;
    struct perf_event_mmap_page *page = ring->base;
    __atomic_store_n(&page->data_tail, ring->tail, __ATOMIC_RELEASE);
}

static int give_up(struct ring *ring)
{
    ring->tail = ring->head;
    publish_tail(ring);
    return -EBADMSG;
}

int ring_peek(struct ring *ring, const void **ret_bytes, size_t *ret_len)
{
    uint64_t there = ring->head - ring->tail;
    if (there == 0)
        return 0;
    if (there > ring->size || there < sizeof(struct perf_event_header))
        return give_up(ring);
    uint64_t at = ring->tail % ring->size;
    /* Records are multiples of 8 and so is the ring: a header never wraps. */
    if (ring->size - at < sizeof(struct perf_event_header))
        return give_up(ring);
    struct perf_event_header header;
    memcpy(&header, ring->data + at, sizeof(header));
    if (header.size < sizeof(header) || header.size % 8 || header.size > there)
        return give_up(ring);
    *ret_len = ring->peeked = header.size;
    uint64_t before_end = ring->size - at;
    if (header.size <= before_end) {
        *ret_bytes = ring->data + at;
        return 1;
    }
    assert(ring->scratch); /* memory of a recording starts at tail 0 and cannot wrap */
    memcpy(ring->scratch, ring->data + at, before_end);
    memcpy(ring->scratch + before_end, ring->data, header.size - before_end);
    *ret_bytes = ring->scratch;
    return 1;
}

void ring_consume(struct ring *ring)
{
    ring->tail += ring->peeked;
    ring->peeked = 0;
    publish_tail(ring);
}
