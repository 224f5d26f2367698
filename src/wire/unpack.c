/* unpack.c: takes a batch's bytes as they came, gives them to decode.c without header and zstd. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"

static int check_header(const uint8_t *b, size_t len, uint32_t *ret_body, struct err *err)
{
    if (len < WIRE_HEADER_SIZE)
        return err_set(err, -EBADMSG, "%zu bytes are no batch: its header alone has %d", len,
                       WIRE_HEADER_SIZE);
    if (memcmp(b, WIRE_MAGIC, 4) != 0)
        return err_set(err, -EBADMSG, "this is no batch: it does not start with " WIRE_MAGIC);
    if (b[4] != WIRE_VERSION)
        return err_set(err, -EPROTONOSUPPORT, "batch version %u, this program knows %d", b[4],
                       WIRE_VERSION);
    if (b[5] != WIRE_ZSTD)
        return err_set(err, -EPROTONOSUPPORT, "batch compression %u, this program knows %d (zstd)",
                       b[5], WIRE_ZSTD);
    if (b[6] || b[7])
        return err_set(err, -EBADMSG, "bytes 6 and 7 of the header must be zero");
    uint32_t body = b[8] | (uint32_t)b[9] << 8 | (uint32_t)b[10] << 16 | (uint32_t)b[11] << 24;
    if (body > WIRE_MAX_BODY)
        return err_set(err, -EFBIG, "a body of %u bytes is over WIRE_MAX_BODY (%u)", body,
                       WIRE_MAX_BODY);
    if (len > WIRE_MAX_COMPRESSED)
        return err_set(err, -EFBIG, "%zu bytes are over WIRE_MAX_COMPRESSED (%u)", len,
                       WIRE_MAX_COMPRESSED);
    *ret_body = body;
    return 0;
}

/* RFC 8878, 3.1.1: magic, then the frame header descriptor, whose bit 2 is the checksum flag. */
static bool frame_has_checksum(const uint8_t *frame, size_t len)
{
    static const uint8_t magic[4] = {0x28, 0xb5, 0x2f, 0xfd};
    return len > 4 && memcmp(frame, magic, 4) == 0 && frame[4] & 4;
}

static int check_frame(const uint8_t *frame, size_t len, uint32_t body, struct err *err)
{
    if (!frame_has_checksum(frame, len))
        return err_set(err, -EBADMSG, "the body is no zstd frame with a checksum");
    if (ZSTD_findFrameCompressedSize(frame, len) != len)
        return err_set(err, -EBADMSG, "the body is not exactly one whole zstd frame");
    if (ZSTD_getFrameContentSize(frame, len) != body)
        return err_set(err, -EBADMSG, "header and zstd frame differ about the body's length");
    return 0;
}

int batch_decode(const void *bytes, size_t len, struct batch **ret_batch, struct err *err)
{
    uint32_t body_len = 0;
    int r = check_header(bytes, len, &body_len, err);
    if (r < 0)
        return r;
    const uint8_t *frame = (const uint8_t *)bytes + WIRE_HEADER_SIZE;
    len -= WIRE_HEADER_SIZE;
    r = check_frame(frame, len, body_len, err);
    if (r < 0)
        return r;
    _cleanup_free_ uint8_t *body = malloc((size_t)body_len + 1);
    if (!body)
        return err_errno(err, -ENOMEM, "decompressing a batch of %u bytes", body_len);
    size_t n = ZSTD_decompress(body, body_len, frame, len);
    if (ZSTD_isError(n))
        return err_set(err, -EBADMSG, "decompressing: %s", ZSTD_getErrorName(n));
    return body_decode(body, n, ret_batch, err);
}
