/* merge.c: takes rings, gives their records by time: a heap of each ring's first record. Within a
 * ring the kernel writes in time order, but for an interrupt between a record's clock reading and
 * its place; such a pair, microseconds apart, stays as it is. See merge.h. */
#include "agent/merge.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "agent/ring.h"
#include "base/clock.h"

/* How far ahead of `until` a record can be: as long as a machine may stop between the reading of
 * the clock and that of the rings. What is further ahead has no time, but other bytes in its place.
 */
#define AHEAD_MAX_NS (60 * (uint64_t)NS_PER_SEC)

struct merge_head {
    uint64_t time;
    struct ring *ring;
    const void *bytes;
    size_t len;
};

static void sift_down(struct merge_head *heads, size_t count, size_t at)
{
    for (;;) {
        size_t least = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (heads[child].time < heads[least].time)
                least = child;
        }
        if (least == at)
            return;
        struct merge_head h = heads[at];
        heads[at] = heads[least];
        heads[least] = h;
        at = least;
    }
}

/* False if the ring has nothing more. A record that would hold back those behind it for ever is
 * given up. */
static bool load_head(struct merge *merge, struct ring *ring, uint64_t until,
                      struct merge_head *head)
{
    uint64_t latest = until < UINT64_MAX - AHEAD_MAX_NS ? until + AHEAD_MAX_NS : UINT64_MAX;
    for (;;) {
        int r = ring_peek(ring, &head->bytes, &head->len);
        if (r == 0)
            return false;
        if (r < 0) {
            merge->garbled++;
            return false;
        }
        head->ring = ring;
        if (record_time(&ring->format, head->bytes, head->len, &head->time) == 0 &&
            head->time <= latest)
            return true;
        merge->garbled++;
        ring_consume(ring);
    }
}

int merge_drain(struct merge *merge, struct ring *const *rings, size_t count, uint64_t until,
                merge_fn fn, void *ctx)
{
    if (merge->room < count) {
        struct merge_head *heads = realloc(merge->heads, count * sizeof(*heads));
        if (!heads)
            return -ENOMEM;
        merge->heads = heads;
        merge->room = count;
    }
    struct merge_head *heads = merge->heads;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (load_head(merge, rings[i], until, &heads[n]))
            n++;
    }
    for (size_t i = n / 2; i-- > 0;)
        sift_down(heads, n, i);
    while (n && heads[0].time <= until) {
        struct ring *ring = heads[0].ring;
        int r = fn(ctx, ring, heads[0].bytes, heads[0].len);
        ring_consume(ring);
        if (r)
            return r;
        if (!load_head(merge, ring, until, &heads[0]))
            heads[0] = heads[--n];
        sift_down(heads, n, 0);
    }
    return 0;
}

void merge_free(struct merge *merge)
{
    free(merge->heads);
    *merge = (struct merge){0};
}
