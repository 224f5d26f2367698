/* reader.c: takes msgpack bytes that nobody vouches for, gives item after item. Why msgpack-c's
 * unpacker does not do this stands in reader.h. */
#include "wire/reader.h"

#include <string.h>

static int refuse(struct reader *r, const char *why)
{
    r->why = why;
    return -EBADMSG;
}

static uint64_t load_be(const uint8_t *at, unsigned width)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < width; i++)
        v = v << 8 | at[i];
    return v;
}

static void set_int(struct item *it, int64_t v)
{
    it->type = v < 0 ? ITEM_NINT : ITEM_UINT;
    it->i = v;
}

/* What the first byte says: the type, and how many bytes of length or value follow it. */
struct form {
    uint8_t type;  /* enum item_type */
    uint8_t width; /* of the length, count or number behind the first byte */
    uint8_t fixed; /* ext: bytes of data when there is no length */
};

/* 0xc0 ... 0xdf; the rest of the first bytes carry their value within (see head_of). */
static const struct form forms[32] = {
    [0x00] = {ITEM_NIL},       [0x02] = {ITEM_BOOL},      [0x03] = {ITEM_BOOL},
    [0x04] = {ITEM_BIN, 1},    [0x05] = {ITEM_BIN, 2},    [0x06] = {ITEM_BIN, 4},
    [0x07] = {ITEM_EXT, 1},    [0x08] = {ITEM_EXT, 2},    [0x09] = {ITEM_EXT, 4},
    [0x0a] = {ITEM_FLOAT, 4},  [0x0b] = {ITEM_FLOAT, 8},  [0x0c] = {ITEM_UINT, 1},
    [0x0d] = {ITEM_UINT, 2},   [0x0e] = {ITEM_UINT, 4},   [0x0f] = {ITEM_UINT, 8},
    [0x10] = {ITEM_NINT, 1},   [0x11] = {ITEM_NINT, 2},   [0x12] = {ITEM_NINT, 4},
    [0x13] = {ITEM_NINT, 8},   [0x14] = {ITEM_EXT, 0, 1}, [0x15] = {ITEM_EXT, 0, 2},
    [0x16] = {ITEM_EXT, 0, 4}, [0x17] = {ITEM_EXT, 0, 8}, [0x18] = {ITEM_EXT, 0, 16},
    [0x19] = {ITEM_STR, 1},    [0x1a] = {ITEM_STR, 2},    [0x1b] = {ITEM_STR, 4},
    [0x1c] = {ITEM_ARRAY, 2},  [0x1d] = {ITEM_ARRAY, 4},  [0x1e] = {ITEM_MAP, 2},
    [0x1f] = {ITEM_MAP, 4},
};

static int64_t sign_extend(uint64_t v, unsigned width)
{
    unsigned shift = 64 - 8 * width;
    return (int64_t)(v << shift) >> shift;
}

static uint64_t widen_float(uint64_t bits, unsigned width)
{
    if (width == 8)
        return bits;
    uint32_t narrow = (uint32_t)bits;
    float f;
    memcpy(&f, &narrow, sizeof(f));
    double d = f;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

/* The item's head: type, value, and for what has content its length in count. Moves *at behind it.
 */
static int read_head(struct reader *r, const uint8_t **at, struct item *it)
{
    if (*at >= r->end)
        return refuse(r, "is missing: the bytes end before it");
    uint8_t first = *(*at)++;
    *it = (struct item){0};
    if (first < 0x80 || first >= 0xe0) {
        set_int(it, (int8_t)first);
        return 0;
    }
    if (first < 0xc0) {
        it->type = first < 0x90 ? ITEM_MAP : first < 0xa0 ? ITEM_ARRAY : ITEM_STR;
        it->count = first & (first < 0xa0 ? 0x0f : 0x1f);
        return 0;
    }
    if (first == 0xc1)
        return refuse(r, "has the type byte 0xc1, which msgpack never uses");
    const struct form *form = &forms[first - 0xc0];
    if (form->width > r->end - *at)
        return refuse(r, "is cut: the bytes end within it");
    uint64_t v = load_be(*at, form->width);
    *at += form->width;
    it->type = form->type;
    if (form->type == ITEM_BOOL)
        it->u = first & 1;
    else if (form->type == ITEM_UINT)
        it->u = v;
    else if (form->type == ITEM_NINT)
        set_int(it, sign_extend(v, form->width));
    else if (form->type == ITEM_FLOAT)
        it->u = widen_float(v, form->width);
    else
        it->count = form->fixed ? form->fixed : (uint32_t)v;
    return 0;
}

/* Checks that what the head announces can be there, and steps over the bytes of str, bin and ext.
 */
static int read_content(struct reader *r, const uint8_t **at, struct item *it)
{
    size_t left = (size_t)(r->end - *at);
    switch (it->type) {
    case ITEM_ARRAY:
        return it->count > left ? refuse(r, "is an array of more items than bytes are left") : 0;
    case ITEM_MAP:
        return it->count > left / 2 ? refuse(r, "is a map of more pairs than bytes are left") : 0;
    case ITEM_EXT:
        if (left < 1)
            return refuse(r, "is cut: the bytes end within it");
        it->u = *(*at)++;
        left--;
        break;
    case ITEM_STR:
    case ITEM_BIN:
        break;
    default:
        return 0;
    }
    if (it->count > left)
        return refuse(r, "is cut: it is longer than the bytes left");
    it->bytes = *at;
    *at += it->count;
    return 0;
}

int reader_next(struct reader *r, struct item *ret)
{
    const uint8_t *at = r->at;
    struct item it;
    int err = read_head(r, &at, &it);
    if (err == 0)
        err = read_content(r, &at, &it);
    if (err < 0)
        return err;
    r->at = at;
    *ret = it;
    return 0;
}

int reader_skip(struct reader *r)
{
    const uint8_t *start = r->at;
    uint64_t left[READER_MAX_NESTING + 1] = {1}; /* items to come, per level */
    unsigned level = 0;
    while (left[level] > 0 || level > 0) {
        if (left[level] == 0) {
            level--;
            continue;
        }
        left[level]--;
        if (r->at < r->end && *r->at < 0x80) { /* most of a batch */
            r->at++;
            continue;
        }
        struct item it;
        int err = reader_next(r, &it);
        if (err == 0 && (it.type == ITEM_ARRAY || it.type == ITEM_MAP)) {
            if (level == READER_MAX_NESTING)
                err = refuse(r, "nests deeper than READER_MAX_NESTING (16)");
            else
                left[++level] = it.type == ITEM_MAP ? 2 * (uint64_t)it.count : it.count;
        }
        if (err < 0) {
            r->at = start;
            return err;
        }
    }
    return 0;
}

static int read_typed(struct reader *r, enum item_type type, const char *why, struct item *ret)
{
    const uint8_t *start = r->at;
    int err = reader_next(r, ret);
    if (err == 0 && ret->type != type) {
        r->at = start;
        err = refuse(r, why);
    }
    return err;
}

int reader_read_uint_any(struct reader *r, uint64_t *ret)
{
    struct item it;
    int err = read_typed(r, ITEM_UINT, "is not an unsigned integer", &it);
    if (err == 0)
        *ret = it.u;
    return err;
}

int reader_read_str(struct reader *r, const char **ret, uint32_t *ret_len)
{
    struct item it;
    int err = read_typed(r, ITEM_STR, "is not a str", &it);
    if (err == 0) {
        *ret = (const char *)it.bytes;
        *ret_len = it.count;
    }
    return err;
}

int reader_read_bin(struct reader *r, const uint8_t **ret, uint32_t *ret_len)
{
    struct item it;
    int err = read_typed(r, ITEM_BIN, "is not a bin", &it);
    if (err == 0) {
        *ret = it.bytes;
        *ret_len = it.count;
    }
    return err;
}

int reader_read_array(struct reader *r, uint32_t *ret_count)
{
    struct item it;
    int err = read_typed(r, ITEM_ARRAY, "is not an array", &it);
    if (err == 0)
        *ret_count = it.count;
    return err;
}

int reader_read_map(struct reader *r, uint32_t *ret_count)
{
    struct item it;
    int err = read_typed(r, ITEM_MAP, "is not a map", &it);
    if (err == 0)
        *ret_count = it.count;
    return err;
}
