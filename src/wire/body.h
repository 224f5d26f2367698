/* body.h: the batch's body, before compression; for encode.c, decode.c and their tests. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct batch;
struct buf;
struct err;

/* The rules of format.h on a batch in memory: counts within the limits, row numbers within their
 * tables, depths, times. The encoder asks before, the decoder after; so neither can let through
 * what the other refuses. -EFBIG or -EBADMSG, naming the field and row. */
int batch_check(const struct batch *batch, struct err *err);

/* As batch_encode and batch_decode, without header and compression. */
int body_encode(const struct batch *batch, struct buf *out, struct err *err);
int body_decode(const uint8_t *bytes, size_t len, struct batch **ret_batch, struct err *err);
