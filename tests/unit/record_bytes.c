/* record_bytes.c: takes what a record is to say, gives its bytes. See record_bytes.h. */
#include "record_bytes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <linux/perf_event.h>
#include <string.h>

const struct record_format record_format_plain = {
    .sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU |
                   PERF_SAMPLE_CALLCHAIN,
};

const struct record_format record_format_full = {
    .sample_type = RECORD_SAMPLE_TYPES,
    .regs_user = 0x0300ff0001,
};

static void append(struct buf *buf, const void *bytes, size_t len)
{
    assert_int_equal(buf_append(buf, bytes, len), 0);
}

size_t bytes_begin(struct buf *buf, uint32_t type, uint16_t misc)
{
    size_t start = buf->len;
    struct perf_event_header header = {.type = type, .misc = misc};
    append(buf, &header, sizeof(header));
    return start;
}

void bytes_u32(struct buf *buf, uint32_t v)
{
    append(buf, &v, sizeof(v));
}

void bytes_u64(struct buf *buf, uint64_t v)
{
    append(buf, &v, sizeof(v));
}

void bytes_text(struct buf *buf, const char *text)
{
    append(buf, text, strlen(text) + 1);
    while (buf->len % 8)
        append(buf, "", 1);
}

void bytes_end(struct buf *buf, size_t start)
{
    while ((buf->len - start) % 8)
        append(buf, "", 1);
    uint16_t size = (uint16_t)(buf->len - start);
    assert_int_equal(size, buf->len - start);
    memcpy(buf->data + start + offsetof(struct perf_event_header, size), &size, sizeof(size));
}

void bytes_sample_id(struct buf *buf, const struct record_format *f, const struct bytes_id *id)
{
    if (f->sample_type & PERF_SAMPLE_TID) {
        bytes_u32(buf, id->pid);
        bytes_u32(buf, id->tid);
    }
    if (f->sample_type & PERF_SAMPLE_TIME)
        bytes_u64(buf, id->time);
    if (f->sample_type & PERF_SAMPLE_CPU) {
        bytes_u32(buf, id->cpu);
        bytes_u32(buf, 0xdeadbeef); /* "res": may be anything */
    }
    if (f->sample_type & PERF_SAMPLE_IDENTIFIER)
        bytes_u64(buf, 0x1de47);
}

static void put_registers_and_stack(struct buf *buf, const struct record_format *f,
                                    const struct bytes_sample *s)
{
    if (f->sample_type & PERF_SAMPLE_REGS_USER) {
        bytes_u64(buf, s->regs_abi);
        for (int i = 0; s->regs_abi && i < __builtin_popcountll(f->regs_user); i++)
            bytes_u64(buf, s->regs[i]);
    }
    if (f->sample_type & PERF_SAMPLE_STACK_USER) {
        bytes_u64(buf, s->stack_size);
        if (s->stack_size) {
            append(buf, s->stack, s->stack_size);
            bytes_u64(buf, s->stack_copied);
        }
    }
}

void bytes_sample(struct buf *buf, const struct record_format *f, const struct bytes_sample *s)
{
    size_t start = bytes_begin(buf, PERF_RECORD_SAMPLE, s->misc);
    if (f->sample_type & PERF_SAMPLE_IDENTIFIER)
        bytes_u64(buf, 0x1de47);
    if (f->sample_type & PERF_SAMPLE_IP)
        bytes_u64(buf, s->ip);
    if (f->sample_type & PERF_SAMPLE_TID) {
        bytes_u32(buf, s->id.pid);
        bytes_u32(buf, s->id.tid);
    }
    if (f->sample_type & PERF_SAMPLE_TIME)
        bytes_u64(buf, s->id.time);
    if (f->sample_type & PERF_SAMPLE_CPU) {
        bytes_u32(buf, s->id.cpu);
        bytes_u32(buf, 0xdeadbeef);
    }
    if (f->sample_type & PERF_SAMPLE_PERIOD)
        bytes_u64(buf, s->period);
    if (f->sample_type & PERF_SAMPLE_CALLCHAIN) {
        bytes_u64(buf, s->chain_count);
        for (size_t i = 0; i < s->chain_count; i++)
            bytes_u64(buf, s->chain[i]);
    }
    put_registers_and_stack(buf, f, s);
    if (f->sample_type & PERF_SAMPLE_CGROUP)
        bytes_u64(buf, s->cgroup);
    bytes_end(buf, start);
}

static void put_task(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                     uint32_t type, uint32_t ppid)
{
    size_t start = bytes_begin(buf, type, 0);
    bytes_u32(buf, id->pid);
    bytes_u32(buf, ppid);
    bytes_u32(buf, id->tid);
    bytes_u32(buf, ppid);
    bytes_u64(buf, id->time);
    bytes_sample_id(buf, f, id);
    bytes_end(buf, start);
}

void bytes_fork(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                uint32_t ppid)
{
    put_task(buf, f, id, PERF_RECORD_FORK, ppid);
}

void bytes_exit(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                uint32_t ppid)
{
    put_task(buf, f, id, PERF_RECORD_EXIT, ppid);
}

void bytes_comm(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                const char *name, uint16_t misc)
{
    size_t start = bytes_begin(buf, PERF_RECORD_COMM, misc);
    bytes_u32(buf, id->pid);
    bytes_u32(buf, id->tid);
    bytes_text(buf, name);
    bytes_sample_id(buf, f, id);
    bytes_end(buf, start);
}

void bytes_mmap2(struct buf *buf, const struct record_format *f, const struct bytes_id *id,
                 const struct bytes_mmap *m)
{
    size_t start =
        bytes_begin(buf, PERF_RECORD_MMAP2, m->build_id_size ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0);
    bytes_u32(buf, id->pid);
    bytes_u32(buf, id->tid);
    bytes_u64(buf, m->start);
    bytes_u64(buf, m->len);
    bytes_u64(buf, m->offset);
    if (m->build_id_size) {
        uint8_t sized[4] = {m->build_id_size, 0xee, 0xee, 0xee}; /* then 3 reserved */
        append(buf, sized, sizeof(sized));
        append(buf, m->build_id, sizeof(m->build_id));
    } else {
        bytes_u32(buf, m->major);
        bytes_u32(buf, m->minor);
        bytes_u64(buf, m->inode);
        bytes_u64(buf, m->generation);
    }
    bytes_u32(buf, m->prot);
    bytes_u32(buf, m->flags);
    bytes_text(buf, m->path);
    bytes_sample_id(buf, f, id);
    bytes_end(buf, start);
}
