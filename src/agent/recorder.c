/* recorder.c: takes rings as they are drained, leaves a recording. See recording.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/recording.h"
#include "agent/ring.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct recorder {
    FILE *file;
    char *path;
    struct record_format format;
    uint64_t *written; /* of each ring, in its own count of bytes */
    uint32_t rings;
    struct buf known;
    int error;
};

static void put(struct recorder *r, const void *bytes, size_t len)
{
    if (!r->error && fwrite(bytes, 1, len, r->file) != len)
        r->error = errno ? -errno : -EIO;
}

static void put_u32(struct recorder *r, uint32_t v)
{
    put(r, &v, sizeof(v));
}

static void put_u64(struct recorder *r, uint64_t v)
{
    put(r, &v, sizeof(v));
}

static void put_chunk(struct recorder *r, enum recording_chunk kind, uint32_t ring, uint64_t n)
{
    put_u32(r, kind);
    put_u32(r, ring);
    put_u64(r, n);
}

int recorder_open(const char *path, const struct recording_info *info, struct recorder **ret,
                  struct err *err)
{
    struct recorder *r = calloc(1, sizeof(*r));
    if (!r || !(r->path = strdup(path))) {
        free(r);
        return err_errno(err, -ENOMEM, "a recorder");
    }
    /* It holds pieces of every process's stack: for its owner only. */
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd >= 0)
        r->file = fdopen(fd, "w");
    if (!r->file) {
        int code = err_errno(err, -errno, "creating %s", path);
        if (fd >= 0)
            close(fd);
        free(r->path);
        free(r);
        return code;
    }
    r->format = info->format;
    put(r, RECORDING_MAGIC, 4);
    put_u32(r, RECORDING_VERSION);
    put_u64(r, info->format.sample_type);
    put_u64(r, info->format.regs_user);
    put_u64(r, info->period_ns);
    put_u64(r, info->start);
    put_u64(r, (uint64_t)info->to_real_ns);
    put_u32(r, info->chain_max);
    put_u32(r, 0);
    *ret = r;
    return 0;
}

static int reserve_ring(struct recorder *r, uint32_t id)
{
    if (id < r->rings)
        return 0;
    if (id >= RECORDING_MAX_RINGS)
        return -E2BIG;
    uint64_t *written = realloc(r->written, (id + 1) * sizeof(*written));
    if (!written)
        return -ENOMEM;
    memset(written + r->rings, 0, (id + 1 - r->rings) * sizeof(*written));
    r->written = written;
    r->rings = id + 1;
    return 0;
}

void recorder_reset_ring(struct recorder *recorder, uint32_t id)
{
    if (id < recorder->rings)
        recorder->written[id] = 0;
}

void recorder_put_ring(struct recorder *recorder, const struct ring *ring)
{
    int r = reserve_ring(recorder, ring->id);
    if (r < 0 && !recorder->error)
        recorder->error = r;
    if (recorder->error)
        return;
    uint64_t *from = &recorder->written[ring->id];
    while (*from < ring->head) {
        uint64_t at = *from % ring->size;
        uint64_t len = ring->head - *from;
        if (len > ring->size - at)
            len = ring->size - at;
        put_chunk(recorder, RECORDING_RING, ring->id, len);
        put(recorder, ring->data + at, len);
        *from += len;
    }
}

void recorder_put_known(struct recorder *recorder, const struct record *record)
{
    recorder->known.len = 0;
    int r = record_write(&recorder->format, record, &recorder->known);
    if (r < 0 && !recorder->error)
        recorder->error = r;
    if (recorder->error)
        return;
    put_chunk(recorder, RECORDING_KNOWN, 0, recorder->known.len);
    put(recorder, recorder->known.data, recorder->known.len);
}

void recorder_put_memory(struct recorder *recorder, pid_t pid, uint64_t address, const void *bytes,
                         size_t len)
{
    static const uint8_t zeros[8];
    size_t fill = (8 - len % 8) % 8;
    put_chunk(recorder, RECORDING_MEMORY, 0, 24 + len + fill);
    put_u64(recorder, (uint64_t)pid);
    put_u64(recorder, address);
    put_u64(recorder, len);
    put(recorder, bytes, len);
    put(recorder, zeros, fill);
}

void recorder_put_turn(struct recorder *recorder, uint64_t until)
{
    put_chunk(recorder, RECORDING_TURN, 0, until);
}

int recorder_close(struct recorder **recorder, struct err *err)
{
    struct recorder *r = *recorder;
    if (!r)
        return 0;
    int code = r->error;
    if (fclose(r->file) != 0 && !code)
        code = -errno;
    if (code < 0)
        err_errno(err, code, "writing %s", r->path);
    free(r->written);
    buf_free(&r->known);
    free(r->path);
    free(r);
    *recorder = NULL;
    return code;
}
