/* fuzz_record.c: any bytes, read as a format and then as a ring's records, give records whose
 * pointers lie within, and what is written again is read the same. */
#include <assert.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/record.h"
#include "agent/ring.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(const void *at, size_t len, const uint8_t *bytes, size_t total)
{
    const uint8_t *p = at;
    return !p || (p >= bytes && p <= bytes + total && len <= (size_t)(bytes + total - p));
}

static void check_contents(const struct record_format *f, const struct record *r,
                           const uint8_t *bytes, size_t len)
{
    const struct record_sample *s = &r->sample;
    switch (r->kind) {
    case RECORD_SAMPLE:
        assert(is_inside(s->chain, s->chain_count * 8, bytes, len));
        assert(is_inside(s->stack, s->stack_len, bytes, len));
        assert(is_inside(s->regs, 8 * (size_t)__builtin_popcountll(f->regs_user), bytes, len));
        assert((uintptr_t)s->chain % 8 == 0 && (uintptr_t)s->regs % 8 == 0);
        break;
    case RECORD_MMAP:
        assert(is_inside(r->mmap.path, strlen(r->mmap.path) + 1, bytes, len));
        assert(r->mmap.build_id_len <= RECORD_BUILD_ID_MAX);
        break;
    case RECORD_COMM:
        assert(is_inside(r->comm.name, strlen(r->comm.name) + 1, bytes, len));
        break;
    case RECORD_CGROUP:
        assert(is_inside(r->cgroup.path, strlen(r->cgroup.path) + 1, bytes, len));
        break;
    default:
        break;
    }
}

static void check_way_back(const struct record_format *f, const struct record *was)
{
    _cleanup_(buf_free) struct buf buf = {0};
    int r = record_write(f, was, &buf);
    assert(r == 0 || r == -ENOTSUP);
    if (r < 0)
        return;
    struct record is;
    assert(record_parse(f, buf.data, buf.len, &is, NULL) == 0);
    assert(is.kind == was->kind && is.time == was->time && is.pid == was->pid);
    assert(is.tid == was->tid);
    if (is.kind == RECORD_MMAP && strlen(was->mmap.path) < 4096)
        assert(strcmp(is.mmap.path, was->mmap.path) == 0 && is.mmap.len == was->mmap.len);
}

static void check_record(const struct record_format *f, const uint8_t *bytes, size_t len)
{
    struct record record;
    struct err err = {0};
    uint64_t time = 0;
    int t = record_time(f, bytes, len, &time);
    int r = record_parse(f, bytes, len, &record, &err);
    assert(r == 0 || (r == -EBADMSG && err.text[0]));
    if (r < 0)
        return;
    assert(t == 0 && time == record.time);
    check_contents(f, &record, bytes, len);
    check_way_back(f, &record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record_format format;
    if (size < 16)
        return 0;
    memcpy(&format.sample_type, data, 8);
    memcpy(&format.regs_user, data + 8, 8);
    format.sample_type &= RECORD_SAMPLE_TYPES;
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ uint8_t *memory = size > 16 ? malloc(size - 16) : NULL;
    if (!memory)
        return 0;
    memcpy(memory, data + 16, size - 16);
    struct ring ring = {.format = format};
    ring_over(&ring, memory, size - 16);
    const void *bytes;
    size_t len;
    while (ring_peek(&ring, &bytes, &len) == 1) {
        check_record(&format, bytes, len);
        ring_consume(&ring);
    }
    assert(ring.tail == ring.head);
    return 0;
}
