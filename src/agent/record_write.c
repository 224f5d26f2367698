/* record_write.c: takes a struct record, gives the bytes the kernel would have written: what /proc
 * told goes into recordings so. See record.h for the way back. */
#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>

#include "agent/record.h"
#include "base/buf.h"

static void put_u32(struct buf *buf, uint32_t v)
{
    buf_append(buf, &v, sizeof(v));
}

static void put_u64(struct buf *buf, uint64_t v)
{
    buf_append(buf, &v, sizeof(v));
}

/* With its NUL, filled up to 8 bytes. */
static void put_text(struct buf *buf, const char *text, size_t max)
{
    static const char zeros[8];
    size_t len = strnlen(text, max);
    buf_append(buf, text, len);
    buf_append(buf, zeros, 8 - len % 8);
}

static void put_mmap2(struct buf *buf, const struct record *record)
{
    const struct record_mmap *m = &record->mmap;
    put_u32(buf, record->pid);
    put_u32(buf, record->tid);
    put_u64(buf, m->start);
    put_u64(buf, m->len);
    put_u64(buf, m->file_offset);
    if (m->build_id_len) {
        uint8_t id[24] = {m->build_id_len};
        memcpy(id + 4, m->build_id, m->build_id_len);
        buf_append(buf, id, sizeof(id));
    } else {
        put_u32(buf, m->major);
        put_u32(buf, m->minor);
        put_u64(buf, m->inode);
        put_u64(buf, m->generation);
    }
    put_u32(buf, m->prot);
    put_u32(buf, 0);
    put_text(buf, m->path, 4095);
}

static int put_body(struct buf *buf, const struct record *record, struct perf_event_header *header)
{
    switch (record->kind) {
    case RECORD_MMAP:
        header->type = PERF_RECORD_MMAP2;
        header->misc = record->mmap.build_id_len ? PERF_RECORD_MISC_MMAP_BUILD_ID : 0;
        put_mmap2(buf, record);
        return 0;
    case RECORD_COMM:
        header->type = PERF_RECORD_COMM;
        header->misc = record->comm.exec ? PERF_RECORD_MISC_COMM_EXEC : 0;
        put_u32(buf, record->pid);
        put_u32(buf, record->tid);
        put_text(buf, record->comm.name, 4095);
        return 0;
    case RECORD_FORK:
    case RECORD_EXIT:
        header->type = record->kind == RECORD_FORK ? PERF_RECORD_FORK : PERF_RECORD_EXIT;
        put_u32(buf, record->pid);
        put_u32(buf, record->task.ppid);
        put_u32(buf, record->tid);
        put_u32(buf, record->task.ptid);
        put_u64(buf, record->time);
        return 0;
    case RECORD_CGROUP:
        header->type = PERF_RECORD_CGROUP;
        put_u64(buf, record->cgroup.id);
        put_text(buf, record->cgroup.path, 4095);
        return 0;
    default:
        return -ENOTSUP;
    }
}

static void put_sample_id(struct buf *buf, const struct record_format *f,
                          const struct record *record)
{
    if (f->sample_type & PERF_SAMPLE_TID) {
        put_u32(buf, record->pid);
        put_u32(buf, record->tid);
    }
    if (f->sample_type & PERF_SAMPLE_TIME)
        put_u64(buf, record->time);
    if (f->sample_type & PERF_SAMPLE_CPU) {
        put_u32(buf, record->cpu);
        put_u32(buf, 0);
    }
    if (f->sample_type & PERF_SAMPLE_IDENTIFIER)
        put_u64(buf, 0);
}

int record_write(const struct record_format *format, const struct record *record, struct buf *buf)
{
    /* One reservation, so that the small appends behind it cannot fail. */
    int r = buf_reserve(buf, 8192);
    if (r < 0)
        return r;
    size_t start = buf->len;
    struct perf_event_header header = {0};
    buf_append(buf, &header, sizeof(header));
    r = put_body(buf, record, &header);
    if (r < 0) {
        buf->len = start;
        return r;
    }
    put_sample_id(buf, format, record);
    header.size = (uint16_t)(buf->len - start);
    memcpy(buf->data + start, &header, sizeof(header));
    return 0;
}
