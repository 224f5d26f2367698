/* jitdump.c: takes the bytes of a jitdump, gives pieces of code. See jitdump.h. */
#include "symbol/jitdump.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "symbol/jit_index.h"

#define MAGIC          0x4a695444u /* "JiTD" */
#define FORMAT_VERSION 1u
#define HEADER_MAX     4096u
#define FLAG_OWN_CLOCK 1u
#define ID_LOAD        0u
#define ID_MOVE        1u
#define ID_CLOSE       3u
#define MOVE_SIZE      64u

/* Records of one reading: a file of small ones must not keep a thread for minutes. */
#define RECORDS_MAX 4000000u

static uint32_t u32_at(const uint8_t *bytes, size_t at)
{
    uint32_t v;
    memcpy(&v, bytes + at, sizeof(v));
    return v;
}

static uint64_t u64_at(const uint8_t *bytes, size_t at)
{
    uint64_t v;
    memcpy(&v, bytes + at, sizeof(v));
    return v;
}

int jitdump_read_header(const void *bytes, size_t len, struct jitdump_header *ret)
{
    const uint8_t *b = bytes;
    if (len < JITDUMP_HEADER_SIZE)
        return -EAGAIN;
    uint32_t size = u32_at(b, 8);
    if (u32_at(b, 0) != MAGIC || u32_at(b, 4) != FORMAT_VERSION || size < JITDUMP_HEADER_SIZE ||
        size > HEADER_MAX)
        return -EBADMSG;
    *ret = (struct jitdump_header){.size = size,
                                   .machine = u32_at(b, 12),
                                   .pid = u32_at(b, 20),
                                   .own_clock = u64_at(b, 32) & FLAG_OWN_CLOCK};
    return 0;
}

static int read_load(const uint8_t *b, size_t len, bool cut, struct jitdump_record *r)
{
    if (r->size <= JITDUMP_LOAD_SIZE)
        return -EBADMSG;
    if (len <= JITDUMP_LOAD_SIZE)
        return -EAGAIN;
    r->code = u64_at(b, 32);
    r->size_of_code = u64_at(b, 40);
    r->name = (const char *)b + JITDUMP_LOAD_SIZE;
    size_t room = (len < r->size ? len : r->size) - JITDUMP_LOAD_SIZE;
    r->name_len = strnlen(r->name, room);
    if (r->name_len < room || (cut && len < r->size))
        return 0;
    return len < r->size ? -EAGAIN : -EBADMSG;
}

static int read_move(const uint8_t *b, size_t len, struct jitdump_record *r)
{
    if (r->size < MOVE_SIZE)
        return -EBADMSG;
    if (len < MOVE_SIZE)
        return -EAGAIN;
    r->from = u64_at(b, 32);
    r->code = u64_at(b, 40);
    r->size_of_code = u64_at(b, 48);
    return 0;
}

int jitdump_read_record(const void *bytes, size_t len, bool cut, struct jitdump_record *ret)
{
    const uint8_t *b = bytes;
    if (len < JITDUMP_RECORD_SIZE)
        return -EAGAIN;
    struct jitdump_record record = {
        .kind = JITDUMP_OTHER, .size = u32_at(b, 4), .timestamp = u64_at(b, 8)};
    if (record.size < JITDUMP_RECORD_SIZE)
        return -EBADMSG;
    int r = 0;
    switch (u32_at(b, 0)) {
    case ID_LOAD:
        record.kind = JITDUMP_LOAD;
        r = read_load(b, len, cut, &record);
        break;
    case ID_MOVE:
        record.kind = JITDUMP_MOVE;
        r = read_move(b, len, &record);
        break;
    case ID_CLOSE:
        record.kind = JITDUMP_CLOSE;
        break;
    default:
        break;
    }
    if (r == 0)
        *ret = record;
    return r;
}

static int take(const struct jitdump_record *record, struct jit_index *index,
                const struct jit_time *when)
{
    int r = 0;
    if (record->kind == JITDUMP_LOAD)
        r = jit_index_add(index, record->code, record->size_of_code, record->name, record->name_len,
                          when);
    else if (record->kind == JITDUMP_MOVE)
        r = jit_index_move(index, record->from, record->code, when);
    return r == -ENOMEM ? r : 0;
}

static int read_at(int fd, uint64_t offset, void *to, size_t size, size_t *ret_len)
{
    ssize_t n;
    do
        n = pread(fd, to, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *ret_len = (size_t)n;
    return 0;
}

static int start(int fd, struct jitdump_cursor *c)
{
    uint8_t bytes[JITDUMP_HEADER_SIZE];
    size_t len = 0;
    struct jitdump_header header = {0};
    int r = read_at(fd, 0, bytes, sizeof(bytes), &len);
    if (r == 0)
        r = jitdump_read_header(bytes, len, &header);
    if (r < 0)
        return r;
    c->offset = header.size;
    c->own_clock = header.own_clock;
    return 0;
}

static int read_records(int fd, struct jitdump_cursor *c, uint64_t file_size,
                        struct jit_index *index, uint64_t since_ns, const struct jit_time *when)
{
    uint8_t bytes[JITDUMP_LOAD_SIZE + JIT_NAME_MAX];
    for (unsigned i = 0; i < RECORDS_MAX && !c->closed; i++) {
        size_t len = 0;
        struct jitdump_record record = {0};
        int r = read_at(fd, c->offset, bytes, sizeof(bytes), &len);
        if (r == 0)
            r = jitdump_read_record(bytes, len, len == sizeof(bytes), &record);
        if (r < 0)
            return r;
        if (c->offset + record.size > file_size)
            return -EAGAIN;
        uint64_t t = record.timestamp;
        bool timed = !c->own_clock && t > 0 && t >= since_ns && t <= when->by_ns;
        r = take(&record, index, timed ? &(struct jit_time){t, t} : when);
        if (r < 0)
            return r;
        c->closed = record.kind == JITDUMP_CLOSE;
        c->offset += record.size;
    }
    return 0;
}

int jitdump_read(int fd, uint64_t size, struct jitdump_cursor *cursor, struct jit_index *index,
                 uint64_t since_ns, const struct jit_time *when, struct err *err)
{
    if (cursor->closed)
        return 0;
    if (size < cursor->offset)
        return err_set(err, -ESTALE, "a jitdump has been made anew");
    int r = cursor->offset ? 0 : start(fd, cursor);
    if (r == 0)
        r = read_records(fd, cursor, size, index, since_ns, when);
    if (r == -EAGAIN) /* the rest has not been written yet */
        return 0;
    cursor->closed = cursor->closed || r == -EBADMSG;
    return r < 0 ? err_errno(err, r, "reading a jitdump") : 0;
}
