/* buf.c: takes bytes, keeps them in one growing block. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int buf_reserve(struct buf *buf, size_t more)
{
    if (more > SIZE_MAX - buf->len)
        return -EFBIG;
    size_t need = buf->len + more;
    if (buf->max && need > buf->max)
        return -EFBIG;
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap ? buf->cap : 256;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *data = realloc(buf->data, cap);
    if (!data)
        return -ENOMEM;
    buf->data = data;
    buf->cap = cap;
    return 0;
}

int buf_append(struct buf *buf, const void *bytes, size_t len)
{
    int r = buf_reserve(buf, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    return 0;
}

int buf_puts(struct buf *buf, const char *text)
{
    return buf_append(buf, text, strlen(text));
}

int buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int want = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (want < 0)
        return -EINVAL;
    int r = buf_reserve(buf, (size_t)want + 1);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    vsnprintf((char *)buf->data + buf->len, (size_t)want + 1, fmt, ap);
    va_end(ap);
    buf->len += (size_t)want;
    return 0;
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.max = buf->max};
}
