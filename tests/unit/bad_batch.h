/* bad_batch.h: batches that a decoder must refuse, and why. */
#pragma once

#include <stddef.h>

struct buf;

struct bad_batch {
    const char *name;   /* as a file name */
    const char *path;   /* what of a good batch's body is replaced (json_msgpack.h) ... */
    const char *value;  /* ... by what; NULL: it is removed */
    int code;           /* what decoding gives */
    const char *reason; /* and says */
};

extern const struct bad_batch bad_batches[];
extern const size_t bad_batch_count;

/* The body of a good, small batch with path replaced by value; path NULL: as it is. */
void make_body(const char *path, const char *value, struct buf *out);
/* Puts a header and zstd around a body. */
void wrap_body(const struct buf *body, struct buf *out);
