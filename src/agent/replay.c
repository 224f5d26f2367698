/* replay.c: takes a recording, gives its records as they came. See recording.h. */
#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/merge.h"
#include "agent/recording.h"
#include "agent/replay_memory.h"
#include "agent/ring.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* What a ring may hold that has not been merged yet: live rings are at most 1 MiB, and a turn may
 * have come late. */
#define PENDING_MAX (64u << 20)

struct replay_ring {
    struct ring ring;
    struct buf pending;
};

struct replay {
    FILE *file;
    char *path;
    struct record_format format;
    struct replay_ring *rings;
    struct ring **list; /* of all rings, for the merge */
    uint32_t count;
    struct buf known, piece;
    struct replay_memory *memory;
    struct merge merge;
    uint64_t offset; /* in the file, of the chunk at hand */
};

void replay_free(struct replay **replay)
{
    struct replay *r = *replay;
    if (!r)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        buf_free(&r->rings[i].pending);
    free(r->rings);
    free(r->list);
    buf_free(&r->known);
    buf_free(&r->piece);
    replay_memory_free(&r->memory);
    merge_free(&r->merge);
    if (r->file)
        fclose(r->file);
    free(r->path);
    free(r);
    *replay = NULL;
}

static int read_header(struct replay *r, struct recording_info *ret, struct err *err)
{
    uint8_t h[RECORDING_HEADER_SIZE];
    if (fread(h, 1, sizeof(h), r->file) != sizeof(h) || memcmp(h, RECORDING_MAGIC, 4) != 0)
        return err_set(err, -EBADMSG, "%s is no recording of podflamed --record", r->path);
    uint32_t version;
    memcpy(&version, h + 4, 4);
    if (version != RECORDING_VERSION)
        return err_set(err, -EPROTONOSUPPORT, "%s has version %u; this podflamed knows %u", r->path,
                       version, RECORDING_VERSION);
    memcpy(&ret->format.sample_type, h + 8, 8);
    memcpy(&ret->format.regs_user, h + 16, 8);
    memcpy(&ret->period_ns, h + 24, 8);
    memcpy(&ret->start, h + 32, 8);
    memcpy(&ret->to_real_ns, h + 40, 8);
    memcpy(&ret->chain_max, h + 48, 4);
    if (ret->format.sample_type & ~(uint64_t)RECORD_SAMPLE_TYPES)
        return err_set(err, -EBADMSG, "%s: sample_type 0x%" PRIx64 " has fields not known here",
                       r->path, ret->format.sample_type);
    /* Without these nobody can say when and in which process a record was. */
    const uint64_t needed = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_CPU;
    if ((ret->format.sample_type & needed) != needed)
        return err_set(err, -EBADMSG, "%s: sample_type 0x%" PRIx64 " lacks process, time or CPU",
                       r->path, ret->format.sample_type);
    /* The wall clock stands after 1970, as a batch wants it. */
    if (ret->period_ns == 0 || ret->period_ns > 1000000000 || ret->start > INT64_MAX / 4 ||
        ret->to_real_ns > INT64_MAX / 4 || ret->to_real_ns < -(int64_t)ret->start)
        return err_set(err, -EBADMSG, "%s: its period or times make no sense", r->path);
    r->format = ret->format;
    return 0;
}

int replay_open(const char *path, struct replay **ret, struct recording_info *ret_info,
                struct err *err)
{
    _cleanup_(replay_free) struct replay *r = calloc(1, sizeof(*r));
    if (!r || !(r->path = strdup(path)))
        return err_errno(err, -ENOMEM, "a replay");
    r->file = fopen(path, "re");
    if (!r->file)
        return err_errno(err, -errno, "opening %s", path);
    struct recording_info info = {0};
    int code = read_header(r, &info, err);
    if (code < 0)
        return code;
    *ret_info = info;
    *ret = TAKE_PTR(r);
    return 0;
}

static int reserve_ring(struct replay *r, uint32_t id)
{
    if (id < r->count)
        return 0;
    if (id >= RECORDING_MAX_RINGS)
        return -E2BIG;
    struct replay_ring *rings = realloc(r->rings, (id + 1) * sizeof(*rings));
    if (!rings)
        return -ENOMEM;
    r->rings = rings;
    struct ring **list = realloc(r->list, (id + 1) * sizeof(*list));
    if (!list)
        return -ENOMEM;
    r->list = list;
    for (uint32_t i = r->count; i <= id; i++)
        rings[i] = (struct replay_ring){.ring = {.format = r->format, .id = i},
                                        .pending = {.max = PENDING_MAX}};
    r->count = id + 1;
    return 0;
}

/* The file's bytes go straight behind what the buffer holds. -ENODATA: the file ends within. */
static int append_bytes(struct replay *r, struct buf *to, uint64_t n)
{
    int code = n ? buf_reserve(to, n) : 0;
    if (code < 0 || n == 0)
        return code;
    if (fread(to->data + to->len, 1, n, r->file) != n)
        return -ENODATA;
    to->len += n;
    return 0;
}

static int take_known(struct replay *r, merge_fn fn, void *ctx)
{
    struct ring ring = {.format = r->format};
    ring_over(&ring, r->known.data, r->known.len);
    const void *bytes;
    size_t len;
    int code;
    while ((code = ring_peek(&ring, &bytes, &len)) == 1) {
        if ((code = fn(ctx, &ring, bytes, len)) < 0)
            return code;
        ring_consume(&ring);
    }
    return code;
}

static int merge_turn(struct replay *r, merge_fn fn, void *ctx, uint64_t until)
{
    for (uint32_t i = 0; i < r->count; i++) {
        struct replay_ring *rr = &r->rings[i];
        ring_over(&rr->ring, rr->pending.data, rr->pending.len);
        r->list[i] = &rr->ring;
    }
    int code = merge_drain(&r->merge, r->list, r->count, until, fn, ctx);
    for (uint32_t i = 0; i < r->count; i++) {
        struct replay_ring *rr = &r->rings[i];
        size_t left = rr->pending.len - rr->ring.tail;
        if (rr->ring.tail && left)
            memmove(rr->pending.data, rr->pending.data + rr->ring.tail, left);
        rr->pending.len = left;
    }
    return code;
}

static int take_memory(struct replay *r, uint64_t n)
{
    uint64_t head[3];
    r->piece.len = 0;
    int code = append_bytes(r, &r->piece, n);
    if (code < 0)
        return code;
    if (n < sizeof(head))
        return -EBADMSG;
    memcpy(head, r->piece.data, sizeof(head));
    if (head[2] > n - sizeof(head))
        return -EBADMSG;
    return replay_memory_put(&r->memory, head[0], head[1], r->piece.data + sizeof(head), head[2]);
}

size_t replay_read_memory(void *replay, pid_t pid, uint64_t address, void *to, size_t len)
{
    const struct replay *r = replay;
    return replay_memory_get(r->memory, (uint64_t)pid, address, to, len);
}

/* 1 after a turn, 0 for other chunks. */
static int take_chunk(struct replay *r, const uint32_t head[2], uint64_t n, merge_fn fn, void *ctx)
{
    if (head[0] == RECORDING_TURN) {
        if (n > INT64_MAX / 4)
            return -EBADMSG;
        int code = merge_turn(r, fn, ctx, n);
        return code < 0 ? code : 1;
    }
    if (n > RECORDING_MAX_CHUNK || n % 8)
        return -EBADMSG;
    if (head[0] == RECORDING_KNOWN) {
        r->known.len = 0;
        int code = append_bytes(r, &r->known, n);
        return code < 0 ? code : take_known(r, fn, ctx);
    }
    if (head[0] == RECORDING_MEMORY)
        return take_memory(r, n);
    if (head[0] != RECORDING_RING)
        return -EBADMSG;
    int code = reserve_ring(r, head[1]);
    return code < 0 ? code : append_bytes(r, &r->rings[head[1]].pending, n);
}

int replay_turn(struct replay *replay, merge_fn fn, void *ctx, uint64_t *ret_until, struct err *err)
{
    for (;;) {
        uint32_t head[2];
        uint64_t n;
        replay->offset = (uint64_t)ftell(replay->file);
        if (fread(head, 1, sizeof(head), replay->file) != sizeof(head) ||
            fread(&n, 1, sizeof(n), replay->file) != sizeof(n))
            return ferror(replay->file) ? err_errno(err, -EIO, "reading %s", replay->path) : 0;
        int code = take_chunk(replay, head, n, fn, ctx);
        if (code == 1) {
            *ret_until = n;
            return 1;
        }
        if (code == -ENODATA)
            return 0;
        if (code < 0)
            return err_errno(err, code, "%s: the chunk at byte %" PRIu64, replay->path,
                             replay->offset);
    }
}
