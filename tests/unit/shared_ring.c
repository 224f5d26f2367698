/* shared_ring.c: memory that is a ring from two sides. See shared_ring.h. */
#include "shared_ring.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <linux/perf_event.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

void shared_ring_open(struct shared_ring *s)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    _cleanup_close_ int fd = memfd_create("ring", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(page + SHARED_RING_BYTES)), 0);
    struct err err = {0};
    if (ring_map(&s->ring, fd, SHARED_RING_BYTES, &err) < 0)
        fail_msg("%s", err.text);
    void *base = mmap(NULL, page + SHARED_RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(base, MAP_FAILED);
    s->page = base;
    s->data = (uint8_t *)base + page;
    s->head = 0;
}

void shared_ring_close(struct shared_ring *s)
{
    munmap(s->page, (size_t)sysconf(_SC_PAGESIZE) + SHARED_RING_BYTES);
    ring_unmap(&s->ring);
}

void shared_ring_write(struct shared_ring *s, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        s->data[(s->head + i) % SHARED_RING_BYTES] = ((const uint8_t *)bytes)[i];
    s->head += len;
    __atomic_store_n(&s->page->data_head, s->head, __ATOMIC_RELEASE);
}

uint64_t shared_ring_space(const struct shared_ring *s)
{
    return SHARED_RING_BYTES - (s->head - s->page->data_tail);
}
