/* debugdata.c: takes xz-compressed bytes, gives what they were. See debugdata.h. */
#include "unwind/debugdata.h"

#include <errno.h>
#include <lzma.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* For the dictionary, which the bytes choose: xz -9 takes 64 MiB. */
#define MEMORY_MAX (UINT64_C(96) << 20)
#define STEP_BYTES ((size_t)256 << 10)

static int to_errno(lzma_ret r)
{
    return r == LZMA_MEM_ERROR ? -ENOMEM : r == LZMA_MEMLIMIT_ERROR ? -EFBIG : -EBADMSG;
}

static int unpack(lzma_stream *s, struct buf *out)
{
    for (;;) {
        /* Of the last step there may be less than a step's bytes to go. */
        size_t room =
            out->max && out->max - out->len < STEP_BYTES ? out->max - out->len : STEP_BYTES;
        int r = buf_reserve(out, room ? room : 1);
        if (r < 0)
            return r;
        s->next_out = out->data + out->len;
        s->avail_out = room;
        lzma_ret got = lzma_code(s, LZMA_FINISH);
        out->len += room - s->avail_out;
        if (got == LZMA_STREAM_END)
            return 0;
        if (got != LZMA_OK)
            return to_errno(got);
    }
}

int debugdata_unpack(const void *bytes, size_t len, struct buf *out, struct err *err)
{
    _cleanup_(lzma_end) lzma_stream s = LZMA_STREAM_INIT;
    lzma_ret started = lzma_stream_decoder(&s, MEMORY_MAX, 0);
    s.next_in = bytes;
    s.avail_in = len;
    int r = started == LZMA_OK ? unpack(&s, out) : to_errno(started);
    return r < 0 ? err_errno(err, r, "unpacking .gnu_debugdata") : 0;
}
