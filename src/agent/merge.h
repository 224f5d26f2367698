/* merge.h: the records of many rings, in the order of their time. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct ring;

/* Called with each record in its turn; its bytes are valid during the call. Non-zero stops. */
typedef int (*merge_fn)(void *ctx, struct ring *ring, const void *bytes, size_t len);

struct merge {
    struct merge_head *heads; /* a heap, earliest record first */
    size_t room;
    uint64_t garbled; /* rings' contents and records that were given up */
};

/* Takes every record up to and including time `until` out of the rings; later ones stay, since an
 * earlier one of another CPU may still be on its way. One of more than a minute later is given up.
 * Rings must have been refreshed. 0, -ENOMEM, or what `fn` returned. */
int merge_drain(struct merge *merge, struct ring *const *rings, size_t count, uint64_t until,
                merge_fn fn, void *ctx);

void merge_free(struct merge *merge);
