/* worker_format.c: takes chains, gives bytes; takes bytes, gives chains. See worker_format.h. */
#include "symbol/worker_format.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"

#define ERRNO_MAX 4095u /* the kernel's MAX_ERRNO */

/* Of a longer string the end is left out. */
static uint32_t text_len(const char *text)
{
    return text ? (uint32_t)strnlen(text, WORKER_TEXT_MAX - 1) + 1 : WORKER_TEXT_NULL;
}

static int write_text(struct buf *to, const char *text, uint32_t len)
{
    if (len == WORKER_TEXT_NULL)
        return 0;
    int r = buf_append(to, text, len - 1);
    return r < 0 ? r : buf_append(to, "", 1);
}

static int write_body(struct buf *to, const struct symbol_frame *frames, size_t count)
{
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        struct worker_frame frame = {text_len(frames[i].name), text_len(frames[i].file),
                                     frames[i].line};
        r = buf_append(to, &frame, sizeof(frame));
    }
    for (size_t i = 0; i < count && r == 0; i++) {
        r = write_text(to, frames[i].name, text_len(frames[i].name));
        if (r == 0)
            r = write_text(to, frames[i].file, text_len(frames[i].file));
    }
    return r;
}

int worker_write_chain(struct buf *to, uint64_t address, uint64_t start,
                       const struct symbol_frame *frames, size_t count)
{
    if (count > CHAIN_FRAMES_MAX)
        count = CHAIN_FRAMES_MAX;
    struct worker_chain chain = {
        .address = address, .start = start, .frame_count = (uint32_t)count};
    size_t at = to->len;
    int r = buf_append(to, &chain, sizeof(chain));
    if (r == 0)
        r = write_body(to, frames, count);
    if (r < 0) {
        to->len = at;
        return r;
    }
    chain.bytes = (uint32_t)(to->len - at - sizeof(chain));
    memcpy(to->data + at, &chain, sizeof(chain));
    return 0;
}

int worker_write_end(struct buf *to, int error)
{
    struct worker_chain end = {.start = (uint64_t) - (int64_t)error, .frame_count = WORKER_END};
    return buf_append(to, &end, sizeof(end));
}

/* Takes a string off the front. */
static int read_text(const uint8_t **at, size_t *left, uint32_t len, const char **ret)
{
    *ret = NULL;
    if (len == WORKER_TEXT_NULL)
        return 0;
    if (len == 0 || len > WORKER_TEXT_MAX || len > *left ||
        strnlen((const char *)*at, len) != len - 1)
        return -EBADMSG;
    *ret = (const char *)*at;
    *at += len;
    *left -= len;
    return 0;
}

static int read_body(const uint8_t *bytes, size_t len, struct worker_answer *ret)
{
    size_t heads = ret->count * sizeof(struct worker_frame);
    if (len < heads)
        return -EBADMSG;
    const uint8_t *text = bytes + heads;
    size_t left = len - heads;
    for (uint32_t i = 0; i < ret->count; i++) {
        struct worker_frame frame;
        memcpy(&frame, bytes + i * sizeof(frame), sizeof(frame));
        struct symbol_frame *to = &ret->frames[i];
        to->line = frame.line;
        int r = read_text(&text, &left, frame.name_len, &to->name);
        if (r == 0)
            r = read_text(&text, &left, frame.file_len, &to->file);
        if (r < 0)
            return r;
        /* Only the outermost may be the symbol table's to name. */
        if ((i > 0 && !to->name) || (to->name && !*to->name))
            return -EBADMSG;
    }
    return left == 0 ? 0 : -EBADMSG;
}

int worker_read(const uint8_t *bytes, size_t len, struct worker_answer *ret, size_t *ret_used)
{
    struct worker_chain chain;
    *ret_used = 0;
    if (len < sizeof(chain))
        return 0;
    memcpy(&chain, bytes, sizeof(chain));
    ret->address = chain.address;
    ret->start = chain.start;
    ret->is_end = chain.frame_count == WORKER_END;
    ret->count = ret->is_end ? 0 : chain.frame_count;
    ret->error = 0;
    if (ret->count > CHAIN_FRAMES_MAX || chain.bytes > WORKER_CHAIN_BYTES_MAX)
        return -EBADMSG;
    if (ret->is_end) {
        if (chain.bytes || chain.address || chain.start > ERRNO_MAX)
            return -EBADMSG;
        ret->error = -(int)chain.start;
    } else {
        if (len - sizeof(chain) < chain.bytes)
            return 0;
        int r = read_body(bytes + sizeof(chain), chain.bytes, ret);
        if (r < 0)
            return r;
    }
    *ret_used = sizeof(chain) + chain.bytes;
    return 0;
}
