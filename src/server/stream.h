/* stream.h: an answer that is written while it is read, so that a large one is never in memory
 * whole. */
#pragma once

#include <stddef.h>

struct buf;

struct stream {
    /* Appends the next piece, of STREAM_PIECE bytes or somewhat more. 1: there may be more. 0: that
     * was all. Or -ENOMEM. */
    int (*next)(struct stream *stream, struct buf *out);
    void (*free)(struct stream *stream);
};

#define STREAM_PIECE 65536u

static inline void stream_free(struct stream **stream)
{
    if (*stream)
        (*stream)->free(*stream);
    *stream = NULL;
}
