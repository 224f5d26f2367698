/* reader.h: a pull cursor over msgpack: (bytes, length) in, the next item out.
 *
 * msgpack-c's own unpacker is not used on bytes from outside: it allocates by the lengths they
 * declare (an array of 2^32 - 1 in five bytes asks for 96 GiB) and builds a tree of objects where
 * we want columns. This one allocates nothing and never believes a length it cannot see: an array's
 * count is refused when fewer bytes than items remain, a string's when it does not lie within the
 * input.
 *
 * Encodings are those of the msgpack specification; longer forms than needed are accepted, ext and
 * timestamp items can only be skipped. */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nested arrays and maps that are followed, also in what is skipped. */
#define READER_MAX_NESTING 16

/* Open because callers keep it on their stack and the integer path below is inlined: a batch is
 * some millions of integers and little else. */
struct reader {
    const uint8_t *at, *end;
    const char *why; /* after a failure: what was wrong, to stand behind "samples.cpu[7] " */
};

static inline void reader_init(struct reader *r, const void *bytes, size_t len)
{
    *r = (struct reader){.at = bytes, .end = (const uint8_t *)bytes + len};
}

enum item_type {
    ITEM_NIL,
    ITEM_BOOL,  /* u is 0 or 1 */
    ITEM_UINT,  /* u; every integer that is not negative, however it was encoded */
    ITEM_NINT,  /* i: a negative integer */
    ITEM_FLOAT, /* u holds the bits of a double; float 32 is widened */
    ITEM_STR,   /* bytes, count */
    ITEM_BIN,   /* bytes, count */
    ITEM_EXT,   /* bytes, count; u is the type byte */
    ITEM_ARRAY, /* count items follow */
    ITEM_MAP,   /* count pairs follow */
};

struct item {
    enum item_type type;
    uint32_t count;
    union {
        uint64_t u;
        int64_t i;
    };
    const uint8_t *bytes; /* within the input */
};

/* All return 0 or -EBADMSG with `why` set; the cursor then stays where it was. */

/* The next item; of an array or map only its head. */
int reader_next(struct reader *r, struct item *ret);
/* Steps over one whole item with all that is in it. */
int reader_skip(struct reader *r);

int reader_read_uint_any(struct reader *r, uint64_t *ret);
int reader_read_str(struct reader *r, const char **ret, uint32_t *ret_len);
int reader_read_bin(struct reader *r, const uint8_t **ret, uint32_t *ret_len);
int reader_read_array(struct reader *r, uint32_t *ret_count);
int reader_read_map(struct reader *r, uint32_t *ret_count);

/* Steps over a nil, if one is next. */
static inline bool reader_take_nil(struct reader *r)
{
    if (r->at == r->end || *r->at != 0xc0)
        return false;
    r->at++;
    return true;
}

static inline int reader_read_uint(struct reader *r, uint64_t *ret)
{
    if (r->at < r->end && *r->at < 0x80) {
        *ret = *r->at++;
        return 0;
    }
    return reader_read_uint_any(r, ret);
}
