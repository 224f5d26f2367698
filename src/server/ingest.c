/* ingest.c: takes the bytes of a posted batch, gives a stored batch or the reason why not. */
#include "server/ingest.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/hot_objects.h"
#include "server/store.h"
#include "wire/batch.h"

/* Whose clock is further ahead would fill days that nobody looks at and retention does not reach.
 */
#define AHEAD_MAX_NS (86400 * NS_PER_SEC)

struct ingest {
    struct store *store;
    struct hot_objects *hot_objects; /* NULL: nobody asks */
#define X(name, help) atomic_uint_fast64_t name;
    INGEST_COUNTERS(X)
#undef X
};

int ingest_new(struct store *store, struct ingest **ret, struct err *err)
{
    struct ingest *in = calloc(1, sizeof(*in));
    if (!in)
        return err_errno(err, -ENOMEM, "starting to take batches");
    in->store = store;
    *ret = in;
    return 0;
}

void ingest_free(struct ingest **ingest)
{
    free(*ingest);
    *ingest = NULL;
}

void ingest_count_objects(struct ingest *in, struct hot_objects *objects)
{
    in->hot_objects = objects;
}

static void count_refused(struct ingest *in, int code)
{
    switch (code) {
    case -EBADMSG:
        atomic_fetch_add(&in->batches_malformed, 1);
        break;
    case -EFBIG:
        atomic_fetch_add(&in->batches_too_large, 1);
        break;
    case -EPROTONOSUPPORT:
        atomic_fetch_add(&in->batches_unknown_version, 1);
        break;
    default:
        atomic_fetch_add(&in->batches_failed, 1);
    }
}

static int check_clock(struct ingest *in, const struct batch *b, struct err *err)
{
    int64_t ahead_ns = b->start_ns - clock_ns(CLOCK_REALTIME);
    if (ahead_ns <= AHEAD_MAX_NS)
        return 0;
    atomic_fetch_add(&in->batches_bad_clock, 1);
    return err_set(err, -EBADMSG,
                   "the window starts %lld s ahead of this server's clock: set the node's",
                   ahead_ns / NS_PER_SEC);
}

static int store_batch(struct ingest *in, const struct batch *b, bool *ret_stored, struct err *err)
{
    bool duplicate = false;
    uint64_t samples = 0;
    int r = in->store->ops->ingest(in->store, b, &duplicate, err);
    if (r < 0) {
        atomic_fetch_add(&in->batches_failed, 1);
        return r;
    }
    for (uint32_t i = 0; i < b->sample_count; i++)
        samples += b->samples[i].count;
    if (duplicate) {
        atomic_fetch_add(&in->batches_duplicate, 1);
    } else {
        atomic_fetch_add(&in->batches_stored, 1);
        atomic_fetch_add(&in->samples_stored, samples);
        if (in->hot_objects)
            hot_objects_add_batch(in->hot_objects, b, clock_ns(CLOCK_MONOTONIC));
    }
    log_debug("batch taken in node=\"%s\" seq=%" PRIu64 " samples=%" PRIu64 " stored=%d", b->node,
              b->seq, samples, !duplicate);
    *ret_stored = !duplicate;
    return 0;
}

int ingest_batch(struct ingest *in, const void *bytes, size_t len, bool *ret_stored,
                 struct err *err)
{
    _cleanup_(batch_free) struct batch *b = NULL;
    atomic_fetch_add(&in->batches_received, 1);
    atomic_fetch_add(&in->bytes_received, len);
    int r = batch_decode(bytes, len, &b, err);
    if (r < 0) {
        count_refused(in, r);
        return r;
    }
    r = check_clock(in, b, err);
    return r < 0 ? r : store_batch(in, b, ret_stored, err);
}

void ingest_read_counts(struct ingest *in, struct ingest_counts *ret)
{
#define X(name, help) ret->name = atomic_load(&in->name);
    INGEST_COUNTERS(X)
#undef X
}
