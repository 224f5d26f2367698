/* record.c: takes the bytes of a perf record, gives a struct record. See record.h. */
#include "agent/record.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>

#include "base/err.h"

/* A reader that never passes its end: once it has been asked for too much, every answer is zero. */
struct cursor {
    const uint8_t *at, *end;
    bool short_of;
};

static const void *take(struct cursor *c, size_t len)
{
    if (c->short_of || (size_t)(c->end - c->at) < len) {
        c->short_of = true;
        return NULL;
    }
    const void *p = c->at;
    c->at += len;
    return p;
}

static uint64_t take_u64(struct cursor *c)
{
    uint64_t v = 0;
    const void *p = take(c, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return v;
}

static uint32_t take_u32(struct cursor *c)
{
    uint32_t v = 0;
    const void *p = take(c, sizeof(v));
    if (p)
        memcpy(&v, p, sizeof(v));
    return v;
}

/* Text to the next NUL, which must be there. */
static const char *take_text(struct cursor *c)
{
    const void *nul = c->short_of ? NULL : memchr(c->at, 0, (size_t)(c->end - c->at));
    if (!nul) {
        c->short_of = true;
        return "";
    }
    const char *text = (const char *)c->at;
    c->at = (const uint8_t *)nul + 1;
    return text;
}

/* `count` numbers of 64 bits, where a hostile count cannot overflow the product. */
static const uint64_t *take_u64s(struct cursor *c, uint64_t count)
{
    if (count > (size_t)(c->end - c->at) / 8) {
        c->short_of = true;
        return NULL;
    }
    return take(c, (size_t)count * 8);
}

/* Order of the fields: perf_output_sample() in kernel/events/core.c. */
static void parse_sample(const struct record_format *f, struct cursor *c, struct record *ret)
{
    struct record_sample *s = &ret->sample;
    if (f->sample_type & PERF_SAMPLE_IDENTIFIER)
        take_u64(c);
    if (f->sample_type & PERF_SAMPLE_IP)
        s->ip = take_u64(c);
    if (f->sample_type & PERF_SAMPLE_TID) {
        ret->pid = take_u32(c);
        ret->tid = take_u32(c);
    }
    if (f->sample_type & PERF_SAMPLE_TIME)
        ret->time = take_u64(c);
    if (f->sample_type & PERF_SAMPLE_CPU) {
        ret->cpu = take_u32(c);
        take_u32(c);
    }
    if (f->sample_type & PERF_SAMPLE_PERIOD)
        take_u64(c);
    if (f->sample_type & PERF_SAMPLE_CALLCHAIN) {
        uint64_t count = take_u64(c);
        s->chain = take_u64s(c, count);
        s->chain_count = s->chain ? (size_t)count : 0;
    }
    if (f->sample_type & PERF_SAMPLE_REGS_USER) {
        s->regs_abi = take_u64(c);
        if (s->regs_abi)
            s->regs = take_u64s(c, (uint64_t)__builtin_popcountll(f->regs_user));
    }
    if (f->sample_type & PERF_SAMPLE_STACK_USER) {
        uint64_t size = take_u64(c);
        if (size) {
            s->stack = size <= (size_t)(c->end - c->at) ? take(c, (size_t)size) : take(c, SIZE_MAX);
            uint64_t copied = take_u64(c);
            s->stack_room = (size_t)size;
            s->stack_len = s->stack && copied <= size ? (size_t)copied : 0;
        }
    }
    if (f->sample_type & PERF_SAMPLE_CGROUP) {
        s->cgroup = take_u64(c);
        s->has_cgroup = true;
    }
}

/* The fields that sample_id_all puts behind every record that is no sample; found from the end, as
 * the record's own part may have grown since. */
static size_t sample_id_size(const struct record_format *f)
{
    return 8 * (size_t)__builtin_popcountll(
                   f->sample_type &
                   (PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU | PERF_SAMPLE_IDENTIFIER));
}

/* perf_event_ksymbol_output() adds the id's size to the record's for each listener of the CPU, one
 * after the other, and never takes it off again (Linux 5.1 to 6.18): whoever is not the first gets
 * a record that is too long, with whatever was in the ring behind the id. The name, padded to eight
 * bytes, tells where the id is. */
static void cut_ksymbol(const struct record_format *f, struct cursor *c)
{
    enum { BEFORE_NAME = 16 };
    size_t there = (size_t)(c->end - c->at);
    const uint8_t *name = c->at + BEFORE_NAME;
    const uint8_t *nul = there > BEFORE_NAME ? memchr(name, 0, there - BEFORE_NAME) : NULL;
    if (!nul)
        return;
    size_t len = BEFORE_NAME + ((size_t)(nul - name) / 8 + 1) * 8 + sample_id_size(f);
    if (len < there)
        c->end = c->at + len;
}

static int parse_sample_id(const struct record_format *f, uint32_t type, struct cursor *c,
                           struct record *ret)
{
    size_t size = sample_id_size(f);
    if (type == PERF_RECORD_KSYMBOL)
        cut_ksymbol(f, c);
    if ((size_t)(c->end - c->at) < size)
        return -EBADMSG;
    struct cursor id = {.at = c->end - size, .end = c->end};
    c->end -= size;
    if (f->sample_type & PERF_SAMPLE_TID) {
        ret->pid = take_u32(&id);
        ret->tid = take_u32(&id);
    }
    if (f->sample_type & PERF_SAMPLE_TIME)
        ret->time = take_u64(&id);
    if (f->sample_type & PERF_SAMPLE_CPU)
        ret->cpu = take_u32(&id);
    return 0;
}

static void parse_mmap2(uint16_t misc, struct cursor *c, struct record *ret)
{
    struct record_mmap *m = &ret->mmap;
    ret->pid = take_u32(c);
    ret->tid = take_u32(c);
    m->start = take_u64(c);
    m->len = take_u64(c);
    m->file_offset = take_u64(c);
    if (misc & PERF_RECORD_MISC_MMAP_BUILD_ID) {
        const uint8_t *p = take(c, 24); /* size, 3 bytes of padding, 20 of build-id */
        if (p && p[0] <= RECORD_BUILD_ID_MAX) {
            m->build_id_len = p[0];
            memcpy(m->build_id, p + 4, p[0]);
        }
    } else {
        m->major = take_u32(c);
        m->minor = take_u32(c);
        m->inode = take_u64(c);
        m->generation = take_u64(c);
    }
    m->prot = take_u32(c);
    take_u32(c); /* flags: MAP_PRIVATE and the like */
    m->path = take_text(c);
}

static void parse_mmap(struct cursor *c, struct record *ret)
{
    struct record_mmap *m = &ret->mmap;
    ret->pid = take_u32(c);
    ret->tid = take_u32(c);
    m->start = take_u64(c);
    m->len = take_u64(c);
    m->file_offset = take_u64(c);
    m->prot = PROT_EXEC;
    m->path = take_text(c);
}

static void parse_task(struct cursor *c, struct record *ret)
{
    ret->pid = take_u32(c);
    ret->task.ppid = take_u32(c);
    ret->tid = take_u32(c);
    ret->task.ptid = take_u32(c);
    take_u64(c); /* time: the sample_id's, which a merge has sorted by, is the same */
}

static void parse_ksymbol(struct cursor *c, struct record *ret)
{
    ret->ksymbol.address = take_u64(c);
    ret->ksymbol.len = take_u32(c);
    uint32_t type_flags = take_u32(c); /* two of 16 bits */
    ret->ksymbol.type = (uint16_t)type_flags;
    ret->ksymbol.gone = type_flags >> 16 & PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER;
    ret->ksymbol.name = take_text(c);
}

static void parse_body(uint32_t type, uint16_t misc, struct cursor *c, struct record *ret)
{
    switch (type) {
    case PERF_RECORD_MMAP:
        ret->kind = RECORD_MMAP;
        parse_mmap(c, ret);
        return;
    case PERF_RECORD_MMAP2:
        ret->kind = RECORD_MMAP;
        parse_mmap2(misc, c, ret);
        return;
    case PERF_RECORD_COMM:
        ret->kind = RECORD_COMM;
        ret->pid = take_u32(c);
        ret->tid = take_u32(c);
        ret->comm.name = take_text(c);
        ret->comm.exec = misc & PERF_RECORD_MISC_COMM_EXEC;
        return;
    case PERF_RECORD_FORK:
    case PERF_RECORD_EXIT:
        ret->kind = type == PERF_RECORD_FORK ? RECORD_FORK : RECORD_EXIT;
        parse_task(c, ret);
        return;
    case PERF_RECORD_CGROUP:
        ret->kind = RECORD_CGROUP;
        ret->cgroup.id = take_u64(c);
        ret->cgroup.path = take_text(c);
        return;
    case PERF_RECORD_KSYMBOL:
        ret->kind = RECORD_KSYMBOL;
        parse_ksymbol(c, ret);
        return;
    case PERF_RECORD_LOST:
        ret->kind = RECORD_LOST;
        take_u64(c); /* the event's id */
        ret->lost = take_u64(c);
        return;
    case PERF_RECORD_LOST_SAMPLES:
        ret->kind = RECORD_LOST_SAMPLES;
        ret->lost = take_u64(c);
        return;
    case PERF_RECORD_THROTTLE:
        ret->kind = RECORD_THROTTLE;
        return;
    case PERF_RECORD_UNTHROTTLE:
        ret->kind = RECORD_UNTHROTTLE;
        return;
    default:
        ret->kind = RECORD_OTHER;
    }
}

static int open_cursor(const void *bytes, size_t len, struct perf_event_header *ret_header,
                       struct cursor *ret)
{
    if (len < sizeof(*ret_header))
        return -EBADMSG;
    memcpy(ret_header, bytes, sizeof(*ret_header));
    if (ret_header->size != len)
        return -EBADMSG;
    *ret = (struct cursor){.at = (const uint8_t *)bytes + sizeof(*ret_header),
                           .end = (const uint8_t *)bytes + len};
    return 0;
}

int record_parse(const struct record_format *format, const void *bytes, size_t len,
                 struct record *ret, struct err *err)
{
    struct perf_event_header header;
    struct cursor c;
    if (open_cursor(bytes, len, &header, &c) < 0)
        return err_set(err, -EBADMSG, "perf record of %zu bytes whose header says otherwise", len);
    struct record record = {.kind = RECORD_OTHER};
    if (header.type == PERF_RECORD_SAMPLE) {
        record.kind = RECORD_SAMPLE;
        record.sample.user_mode =
            (header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER;
        parse_sample(format, &c, &record);
    } else {
        if (parse_sample_id(format, header.type, &c, &record) < 0)
            return err_set(err, -EBADMSG, "perf record type=%u of %zu bytes has no sample id",
                           header.type, len);
        parse_body(header.type, header.misc, &c, &record);
    }
    if (c.short_of)
        return err_set(err, -EBADMSG, "perf record type=%u of %zu bytes ends before its contents",
                       header.type, len);
    *ret = record;
    return 0;
}

int record_time(const struct record_format *format, const void *bytes, size_t len,
                uint64_t *ret_time)
{
    struct perf_event_header header;
    struct cursor c;
    if (open_cursor(bytes, len, &header, &c) < 0)
        return -EBADMSG;
    if (header.type != PERF_RECORD_SAMPLE) {
        struct record record = {.kind = RECORD_OTHER};
        if (parse_sample_id(format, header.type, &c, &record) < 0)
            return -EBADMSG;
        *ret_time = record.time;
        return 0;
    }
    if (format->sample_type & PERF_SAMPLE_IDENTIFIER)
        take_u64(&c);
    if (format->sample_type & PERF_SAMPLE_IP)
        take_u64(&c);
    if (format->sample_type & PERF_SAMPLE_TID)
        take_u64(&c);
    uint64_t time = format->sample_type & PERF_SAMPLE_TIME ? take_u64(&c) : 0;
    if (c.short_of)
        return -EBADMSG;
    *ret_time = time;
    return 0;
}
