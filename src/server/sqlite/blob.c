/* blob.c: takes rows of samples, gives their packed bytes; and the way back, of bytes nobody
 * vouches for. The bytes are drawn in blob.h. */
#include "server/sqlite/blob.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/layout.h"
#include "server/sqlite/varint.h"
#include "wire/format.h"

enum { FORM_PLAIN = 1, FORM_ZSTD = 2 };

#define HEAD_SIZE 3
/* Below this zstd's own 9 bytes of framing eat what it wins (measured: equal at about 100). */
#define COMPRESS_FROM 96
#define ZSTD_LEVEL    3

#define USUAL_PERIOD_NS 10000000
#define USUAL_SLOT_MS   10000
#define USUAL_SLOTS     6

/* The most bytes each part of the body can take: three numbers in front; per row at most a slot of
 * three bytes, a task of three numbers, a stack, a mark and a count. */
#define FRONT_MAX ((size_t)VARINT_MAX * 3)
#define ROW_MAX   ((size_t)3 + 3 * 5 + 5 + 2 * VARINT_MAX)
_Static_assert(FRONT_MAX + BLOB_MAX_ROWS * ROW_MAX <= BLOB_MAX_BODY, "a full blob can be read");

struct blob_codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
    uint8_t *body, *packed;
    size_t body_cap, packed_cap;
    struct blob_row *rows;
    size_t rows_cap;
    uint16_t slots[BLOB_MAX_SLOTS]; /* milliseconds into the minute, rising */
    uint64_t seen[(BLOB_MAX_SLOTS + 63) / 64];
};

int blob_codec_new(struct blob_codec **ret, struct err *err)
{
    _cleanup_(blob_codec_free) struct blob_codec *c = calloc(1, sizeof(*c));
    if (c) {
        c->compress = ZSTD_createCCtx();
        c->expand = ZSTD_createDCtx();
    }
    if (!c || !c->compress || !c->expand)
        return err_errno(err, -ENOMEM, "making a blob codec");
    ZSTD_CCtx_setParameter(c->compress, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(c->compress, ZSTD_c_contentSizeFlag, 0);
    ZSTD_CCtx_setParameter(c->compress, ZSTD_c_checksumFlag, 0);
    *ret = TAKE_PTR(c);
    return 0;
}

void blob_codec_free(struct blob_codec **codec)
{
    struct blob_codec *c = *codec;
    if (!c)
        return;
    ZSTD_freeCCtx(c->compress);
    ZSTD_freeDCtx(c->expand);
    free(c->body);
    free(c->packed);
    free(c->rows);
    free(c);
    *codec = NULL;
}

static int grow(void *member, size_t *cap, size_t want, size_t size, struct err *err)
{
    void **p = member;
    if (want <= *cap)
        return 0;
    want += want / 2;
    void *more = realloc(*p, want * size);
    if (!more)
        return err_errno(err, -ENOMEM, "making room for %zu bytes of a blob", want * size);
    *p = more;
    *cap = want;
    return 0;
}

static inline uint64_t pair(uint32_t high, uint32_t low)
{
    return (uint64_t)high << 32 | low;
}

static inline int three_way(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_rows(const void *left, const void *right)
{
    const struct blob_row *a = left, *b = right;
    int r = three_way(pair(a->pid, a->thread), pair(b->pid, b->thread));
    if (r == 0)
        r = three_way(pair(a->stack, a->slot_ms), pair(b->stack, b->slot_ms));
    return r ? r : three_way(a->cpu, b->cpu);
}

size_t blob_sort(struct blob_row *rows, size_t count)
{
    if (count == 0)
        return 0;
    qsort(rows, count, sizeof(*rows), compare_rows);
    size_t last = 0;
    for (size_t i = 1; i < count; i++) {
        if (compare_rows(&rows[last], &rows[i]) == 0)
            rows[last].count += rows[i].count;
        else
            rows[++last] = rows[i];
    }
    return last + 1;
}

uint16_t blob_check(const void *body, size_t len, uint64_t seed)
{
    return (uint16_t)XXH3_64bits_withSeed(body, len, seed);
}

/* ---- encoding */

/* The milliseconds that occur, in their order, into c->slots. */
static uint32_t collect_slots(struct blob_codec *c, const struct blob_row *rows, size_t count)
{
    uint32_t low = UINT32_MAX, high = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t word = rows[i].slot_ms / 64;
        c->seen[word] |= 1ull << rows[i].slot_ms % 64;
        low = word < low ? word : low;
        high = word > high ? word : high;
    }
    for (uint32_t word = low; word <= high; word++) {
        for (; c->seen[word]; c->seen[word] &= c->seen[word] - 1)
            c->slots[found++] = (uint16_t)(word * 64 + (uint32_t)__builtin_ctzll(c->seen[word]));
    }
    return found;
}

static uint32_t slot_number(const struct blob_codec *c, uint32_t slots, uint32_t slot_ms)
{
    uint32_t low = 0;
    while (slots > 1) {
        uint32_t half = slots / 2;
        low += c->slots[low + half] <= slot_ms ? half : 0;
        slots -= half;
    }
    return low;
}

/* The slots as bits, if all of them are usual ones; 0: some are not. */
static uint32_t usual_slots(const struct blob_codec *c, uint32_t slots)
{
    uint32_t bits = 0;
    for (uint32_t i = 0; i < slots; i++) {
        if (c->slots[i] % USUAL_SLOT_MS != 0)
            return 0;
        bits |= 1u << c->slots[i] / USUAL_SLOT_MS;
    }
    return bits;
}

static uint8_t *put_slots(const struct blob_codec *c, uint32_t slots, uint8_t *at)
{
    uint32_t bits = usual_slots(c, slots);
    if (bits)
        return varint_put(at, bits * 2);
    at = varint_put(at, slots * 2 + 1);
    for (uint32_t i = 0; i < slots; i++)
        at = varint_put(at, i ? c->slots[i] - c->slots[i - 1] : c->slots[i]);
    return at;
}

static inline bool same_task(const struct blob_row *a, const struct blob_row *b)
{
    return a->pid == b->pid && a->thread == b->thread;
}

static uint8_t *put_tasks(const struct blob_row *rows, size_t count, uint8_t *at)
{
    uint32_t pid = 0, thread = 0;
    for (size_t first = 0, i = 0; i < count; first = i) {
        const struct blob_row *row = &rows[first];
        while (i < count && same_task(row, &rows[i]))
            i++;
        at = varint_put(at, (i - first - 1) * 2 + (row->pid != pid));
        if (row->pid != pid)
            at = varint_put(at, varint_zigzag((uint64_t)row->pid - pid));
        at = varint_put(at, varint_zigzag((uint64_t)row->thread - thread));
        pid = row->pid;
        thread = row->thread;
    }
    return at;
}

static uint8_t *put_stacks(const struct blob_row *rows, size_t count, uint8_t *at)
{
    for (size_t i = 0; i < count; i++) {
        bool follows = i > 0 && same_task(&rows[i - 1], &rows[i]);
        at = varint_put(at, rows[i].stack - (follows ? rows[i - 1].stack : 0));
    }
    return at;
}

static uint8_t *put_marks(const struct blob_codec *c, const struct blob_row *rows, size_t count,
                          uint32_t slots, uint8_t *at)
{
    for (const struct blob_row *row = rows; row < rows + count; row++) {
        uint32_t slot = slot_number(c, slots, row->slot_ms);
        at = varint_put(at, ((uint64_t)row->cpu * slots + slot) * 2 + (row->count > 1));
        if (row->count > 1)
            at = varint_put(at, row->count - 2);
    }
    return at;
}

static int pack(struct blob_codec *c, size_t len, uint64_t seed, size_t *ret_len, struct err *err)
{
    size_t front = HEAD_SIZE + VARINT_MAX;
    int r = grow(&c->packed, &c->packed_cap, front + ZSTD_compressBound(len), 1, err);
    if (r < 0)
        return r;
    uint16_t check = blob_check(c->body, len, seed);
    c->packed[1] = (uint8_t)check;
    c->packed[2] = (uint8_t)(check >> 8);
    if (len >= COMPRESS_FROM) {
        uint8_t *at = varint_put(c->packed + HEAD_SIZE, len);
        size_t room = c->packed_cap - (size_t)(at - c->packed);
        size_t got = ZSTD_compress2(c->compress, at, room, c->body, len);
        if (ZSTD_isError(got))
            return err_set(err, -EIO, "zstd: %s", ZSTD_getErrorName(got));
        *ret_len = (size_t)(at - c->packed) + got;
        c->packed[0] = FORM_ZSTD;
        if (*ret_len < HEAD_SIZE + len)
            return 0;
    }
    c->packed[0] = FORM_PLAIN;
    memcpy(c->packed + HEAD_SIZE, c->body, len);
    *ret_len = HEAD_SIZE + len;
    return 0;
}

int blob_encode(struct blob_codec *c, const struct blob_row *rows, size_t count, int64_t period_ns,
                uint64_t seed, const uint8_t **ret_bytes, size_t *ret_len, struct err *err)
{
    assert(count > 0 && count <= BLOB_MAX_ROWS);
    int r = grow(&c->body, &c->body_cap, FRONT_MAX + count * ROW_MAX, 1, err);
    if (r < 0)
        return r;
    uint32_t slots = collect_slots(c, rows, count);
    uint8_t *at = varint_put(c->body, period_ns == USUAL_PERIOD_NS ? 0 : (uint64_t)period_ns);
    at = put_slots(c, slots, at);
    at = varint_put(at, count);
    at = put_tasks(rows, count, at);
    at = put_stacks(rows, count, at);
    at = put_marks(c, rows, count, slots, at);
    size_t len = 0;
    r = pack(c, (size_t)(at - c->body), seed, &len, err);
    if (r < 0)
        return r;
    *ret_bytes = c->packed;
    *ret_len = len;
    return 0;
}

/* ---- decoding */

static int damaged(struct err *err, const char *what)
{
    err_set(err, -EUCLEAN, "damaged samples: %s", what);
    return -EUCLEAN;
}

/* The body, as it lies in the blob or expanded. */
static int unpack(struct blob_codec *c, const uint8_t *bytes, size_t len, const uint8_t **ret_body,
                  size_t *ret_len, struct err *err)
{
    if (len < HEAD_SIZE)
        return damaged(err, "no head");
    const uint8_t *at = bytes + HEAD_SIZE, *end = bytes + len;
    if (bytes[0] == FORM_PLAIN) {
        *ret_body = at;
        *ret_len = (size_t)(end - at);
        return 0;
    }
    uint64_t want;
    if (bytes[0] != FORM_ZSTD)
        return damaged(err, "a form that is not known");
    if (!varint_get(&at, end, &want) || want > BLOB_MAX_BODY)
        return damaged(err, "the body's length");
    int r = grow(&c->body, &c->body_cap, want, 1, err);
    if (r < 0)
        return r;
    size_t got = ZSTD_decompressDCtx(c->expand, c->body, want, at, (size_t)(end - at));
    if (ZSTD_isError(got) || got != want)
        return damaged(err, "it does not expand");
    *ret_body = c->body;
    *ret_len = want;
    return 0;
}

/* What of the body is still to be read. */
struct input {
    const uint8_t *at, *end;
};

static inline bool get(struct input *in, uint64_t max, uint64_t *ret)
{
    if (in->at < in->end && *in->at < 0x80)
        *ret = *in->at++;
    else if (!varint_get(&in->at, in->end, ret))
        return false;
    return *ret <= max;
}

/* Adds a number given as its distance from *value. */
static bool get_step(struct input *in, uint32_t *value)
{
    uint64_t step;
    if (!get(in, 2 * (uint64_t)UINT32_MAX + 1, &step))
        return false;
    int64_t sum = (int64_t)*value + (int64_t)varint_unzigzag(step);
    *value = (uint32_t)sum;
    return sum >= 0 && sum <= UINT32_MAX;
}

static bool get_slots(struct blob_codec *c, struct input *in, uint32_t *ret_count)
{
    uint64_t v, step;
    uint32_t count = 0, ms = 0;
    if (!get(in, 2 * BLOB_MAX_SLOTS + 1, &v))
        return false;
    if (v % 2 == 0) {
        for (uint32_t i = 0; i < USUAL_SLOTS; i++)
            if (v >> 1 & 1u << i)
                c->slots[count++] = (uint16_t)(i * USUAL_SLOT_MS);
        *ret_count = count;
        return count > 0 && v >> (USUAL_SLOTS + 1) == 0;
    }
    for (; count < v / 2; count++) {
        if (!get(in, BLOB_MAX_SLOTS - 1 - ms, &step) || (count && !step))
            return false;
        c->slots[count] = (uint16_t)(ms += (uint32_t)step);
    }
    *ret_count = count;
    return count > 0;
}

static bool get_tasks(struct input *in, struct blob_row *rows, uint32_t count)
{
    struct blob_row row = {0};
    for (uint32_t done = 0; done < count;) {
        uint64_t head;
        if (!get(in, 2ull * (count - done - 1) + 1, &head))
            return false;
        if ((head & 1) && !get_step(in, &row.pid))
            return false;
        if (!get_step(in, &row.thread))
            return false;
        for (uint64_t more = head / 2 + 1; more > 0; more--)
            rows[done++] = row;
    }
    return true;
}

/* When stacks are not wanted their numbers are stepped over. */
static bool get_stacks(struct input *in, struct blob_row *rows, uint32_t count, bool wanted)
{
    for (uint32_t i = 0; i < count; i++) {
        bool follows = wanted && i > 0 && same_task(&rows[i - 1], &rows[i]);
        uint32_t last = follows ? rows[i - 1].stack : 0;
        uint64_t step;
        if (!get(in, UINT32_MAX - last, &step))
            return false;
        rows[i].stack = wanted ? last + (uint32_t)step : 0;
    }
    return true;
}

static bool get_marks(const struct blob_codec *c, struct input *in, struct blob_row *rows,
                      uint32_t count, uint32_t slots)
{
    for (struct blob_row *row = rows; row < rows + count; row++) {
        uint64_t mark, more = 0;
        if (!get(in, ((uint64_t)UINT32_MAX + 1) * slots * 2 - 1, &mark))
            return false;
        if ((mark & 1) && !get(in, INT64_MAX, &more))
            return false;
        row->cpu = (uint32_t)((mark >> 1) / slots);
        row->slot_ms = c->slots[(mark >> 1) % slots];
        row->count = mark & 1 ? more + 2 : 1;
    }
    return true;
}

static int read_body(struct blob_codec *c, struct input in, bool stacks, struct blob *ret,
                     struct err *err)
{
    uint64_t period, count;
    uint32_t slots = 0;
    if (!get(&in, WIRE_MAX_PERIOD_NS, &period))
        return damaged(err, "its period");
    if (!get_slots(c, &in, &slots))
        return damaged(err, "its slots");
    if (!get(&in, BLOB_MAX_ROWS, &count) || count < 1)
        return damaged(err, "its number of rows");
    int r = grow(&c->rows, &c->rows_cap, count, sizeof(*c->rows), err);
    if (r < 0)
        return r;
    if (!get_tasks(&in, c->rows, (uint32_t)count))
        return damaged(err, "its tasks");
    if (!get_stacks(&in, c->rows, (uint32_t)count, stacks))
        return damaged(err, "its stacks");
    if (!get_marks(c, &in, c->rows, (uint32_t)count, slots) || in.at != in.end)
        return damaged(err, "its marks");
    *ret = (struct blob){c->rows, count, period ? (int64_t)period : USUAL_PERIOD_NS};
    return 0;
}

int blob_decode(struct blob_codec *c, const void *bytes, size_t len, uint64_t seed, bool stacks,
                struct blob *ret, struct err *err)
{
    const uint8_t *raw = bytes, *body = NULL;
    int r = unpack(c, raw, len, &body, &len, err);
    if (r < 0)
        return r;
    if (blob_check(body, len, seed) != (raw[1] | raw[2] << 8))
        return damaged(err, "the check does not fit");
    return read_body(c, (struct input){body, body + len}, stacks, ret, err);
}
