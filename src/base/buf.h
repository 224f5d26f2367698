/* buf.h: bytes that grow up to a limit the owner sets. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

/* Zero-initialised is a valid empty buffer without a limit. */
struct buf {
    uint8_t *data;
    size_t len; /* bytes used */
    size_t cap; /* bytes allocated */
    size_t max; /* bytes it may grow to; 0: no limit */
};

/* Makes room for `more` bytes behind len. -ENOMEM, or -EFBIG when that would pass max. */
int buf_reserve(struct buf *buf, size_t more);
int buf_append(struct buf *buf, const void *bytes, size_t len);
int buf_puts(struct buf *buf, const char *text);
int buf_printf(struct buf *buf, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Frees the bytes and leaves an empty buffer with the same limit. */
void buf_free(struct buf *buf);
