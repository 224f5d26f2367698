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

/* The most bytes each part of the body can take. */
#define FRONT_MAX ((size_t)VARINT_MAX * 7)
#define SLOT_MAX  ((size_t)3)
#define TASK_MAX  ((size_t)5 + 5 + 5)
#define STACK_MAX ((size_t)5)
#define MARK_MAX  ((size_t)VARINT_MAX)
#define COUNT_MAX ((size_t)VARINT_MAX)
#define ROW_MAX   (SLOT_MAX + TASK_MAX + STACK_MAX + MARK_MAX + COUNT_MAX)
_Static_assert(FRONT_MAX + BLOB_MAX_ROWS * ROW_MAX <= BLOB_MAX_BODY, "a full blob can be read");

struct blob_codec {
    ZSTD_CCtx *compress;
    ZSTD_DCtx *expand;
    uint8_t *parts, *body, *packed;
    size_t parts_cap, body_cap, packed_cap;
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
    free(c->parts);
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

static inline uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static inline int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
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

/* The parts that have their lengths in front. Each grows in its own room within c->parts. */
struct parts {
    uint8_t *tasks, *stacks, *marks, *counts;
    size_t tasks_len, stacks_len, marks_len, counts_len;
    uint32_t task_count;
};

static int divide_room(struct blob_codec *c, size_t count, struct parts *ret, struct err *err)
{
    int r = grow(&c->parts, &c->parts_cap, count * ROW_MAX, 1, err);
    if (r < 0)
        return r;
    ret->tasks = c->parts;
    ret->stacks = ret->tasks + count * TASK_MAX;
    ret->marks = ret->stacks + count * STACK_MAX;
    ret->counts = ret->marks + count * MARK_MAX;
    return 0;
}

static void put_rows(const struct blob_codec *c, const struct blob_row *rows, size_t count,
                     uint32_t slots, struct parts *p)
{
    uint8_t *task = p->tasks, *stack = p->stacks, *mark = p->marks, *more = p->counts;
    uint32_t pid = 0;
    for (size_t i = 0; i < count;) {
        size_t first = i;
        uint32_t last = 0;
        for (; i < count && rows[i].pid == rows[first].pid && rows[i].thread == rows[first].thread;
             i++) {
            bool many = rows[i].count > 1;
            uint32_t slot = slot_number(c, slots, rows[i].slot_ms);
            stack = varint_put(stack, rows[i].stack - last);
            mark = varint_put(mark, ((uint64_t)rows[i].cpu * slots + slot) * 2 + many);
            if (many)
                more = varint_put(more, rows[i].count - 2);
            last = rows[i].stack;
        }
        task = varint_put(task, zigzag((int64_t)rows[first].pid - pid));
        task = varint_put(task, rows[first].thread);
        task = varint_put(task, i - first - 1);
        pid = rows[first].pid;
        p->task_count++;
    }
    p->tasks_len = (size_t)(task - p->tasks);
    p->stacks_len = (size_t)(stack - p->stacks);
    p->marks_len = (size_t)(mark - p->marks);
    p->counts_len = (size_t)(more - p->counts);
}

static uint8_t *put_bytes(uint8_t *at, const uint8_t *bytes, size_t len)
{
    memcpy(at, bytes, len);
    return at + len;
}

static size_t put_body(const struct blob_codec *c, const struct parts *p, size_t count,
                       uint32_t slots, int64_t period_ns)
{
    uint8_t *at = varint_put(c->body, (uint64_t)period_ns);
    at = varint_put(at, slots);
    at = varint_put(at, p->task_count);
    at = varint_put(at, count);
    at = varint_put(at, p->tasks_len);
    at = varint_put(at, p->stacks_len);
    at = varint_put(at, p->marks_len);
    for (uint32_t i = 0; i < slots; i++)
        at = varint_put(at, i ? c->slots[i] - c->slots[i - 1] : c->slots[i]);
    at = put_bytes(at, p->tasks, p->tasks_len);
    at = put_bytes(at, p->stacks, p->stacks_len);
    at = put_bytes(at, p->marks, p->marks_len);
    at = put_bytes(at, p->counts, p->counts_len);
    return (size_t)(at - c->body);
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
    struct parts parts = {0};
    uint32_t slots = collect_slots(c, rows, count);
    size_t len;
    int r = divide_room(c, count, &parts, err);
    if (r == 0)
        r = grow(&c->body, &c->body_cap, FRONT_MAX + count * ROW_MAX, 1, err);
    if (r < 0)
        return r;
    put_rows(c, rows, count, slots, &parts);
    len = put_body(c, &parts, count, slots, period_ns);
    r = pack(c, len, seed, &len, err);
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

struct part {
    const uint8_t *at, *end;
};

struct body {
    uint32_t slots, tasks, rows;
    struct part task, stack, mark, count;
};

static int read_slots(struct blob_codec *c, uint32_t slots, struct part *in, struct err *err)
{
    uint32_t ms = 0;
    for (uint32_t i = 0; i < slots; i++) {
        uint32_t step;
        if (!varint_get_u32(&in->at, in->end, &step) || step >= BLOB_MAX_SLOTS - ms || (i && !step))
            return damaged(err, "its slots");
        c->slots[i] = (uint16_t)(ms += step);
    }
    return 0;
}

/* Takes `len` bytes off the front of `in`. */
static bool cut(struct part *in, uint32_t len, struct part *ret)
{
    if (len > (size_t)(in->end - in->at))
        return false;
    *ret = (struct part){in->at, in->at + len};
    in->at += len;
    return true;
}

static int read_front(struct blob_codec *c, struct part in, struct body *b, int64_t *ret_period_ns,
                      struct err *err)
{
    uint64_t period;
    uint32_t tasks_len, stacks_len, marks_len;
    if (!varint_get(&in.at, in.end, &period) || period < 1 || period > WIRE_MAX_PERIOD_NS)
        return damaged(err, "its period");
    if (!varint_get_u32(&in.at, in.end, &b->slots) || b->slots < 1 || b->slots > BLOB_MAX_SLOTS ||
        !varint_get_u32(&in.at, in.end, &b->tasks) || !varint_get_u32(&in.at, in.end, &b->rows) ||
        b->rows < 1 || b->rows > BLOB_MAX_ROWS || b->tasks < 1 || b->tasks > b->rows)
        return damaged(err, "its numbers of slots, tasks and rows");
    if (!varint_get_u32(&in.at, in.end, &tasks_len) ||
        !varint_get_u32(&in.at, in.end, &stacks_len) || !varint_get_u32(&in.at, in.end, &marks_len))
        return damaged(err, "the lengths of its parts");
    int r = read_slots(c, b->slots, &in, err);
    if (r < 0)
        return r;
    if (!cut(&in, tasks_len, &b->task) || !cut(&in, stacks_len, &b->stack) ||
        !cut(&in, marks_len, &b->mark) || stacks_len < b->rows)
        return damaged(err, "the lengths of its parts");
    b->count = in;
    *ret_period_ns = (int64_t)period;
    return 0;
}

static bool read_mark(const struct blob_codec *c, struct body *b, struct blob_row *row)
{
    uint64_t mark, more = 0;
    if (!varint_get(&b->mark.at, b->mark.end, &mark))
        return false;
    if ((mark & 1) && (!varint_get(&b->count.at, b->count.end, &more) || more > INT64_MAX))
        return false;
    uint64_t place = mark >> 1;
    if (place / b->slots > UINT32_MAX)
        return false;
    row->cpu = (uint32_t)(place / b->slots);
    row->slot_ms = c->slots[place % b->slots];
    row->count = mark & 1 ? more + 2 : 1;
    return true;
}

static bool read_task(struct body *b, struct blob_row *task, uint32_t *ret_rows)
{
    uint64_t step;
    uint32_t rows;
    if (!varint_get(&b->task.at, b->task.end, &step) || step > 2 * (uint64_t)UINT32_MAX + 1 ||
        !varint_get_u32(&b->task.at, b->task.end, &task->thread) ||
        !varint_get_u32(&b->task.at, b->task.end, &rows))
        return false;
    int64_t pid = (int64_t)task->pid + unzigzag(step);
    if (pid < 0 || pid > UINT32_MAX)
        return false;
    task->pid = (uint32_t)pid;
    *ret_rows = rows;
    return true;
}

static bool read_rows(const struct blob_codec *c, struct body *b, bool stacks)
{
    struct blob_row row = {0};
    uint32_t done = 0;
    for (uint32_t t = 0; t < b->tasks; t++) {
        uint32_t more;
        if (!read_task(b, &row, &more) || more >= b->rows - done)
            return false;
        row.stack = 0;
        for (uint32_t last = done + more; done <= last; done++) {
            uint32_t step = 0;
            if (stacks && !varint_get_u32(&b->stack.at, b->stack.end, &step))
                return false;
            if (step > UINT32_MAX - row.stack || !read_mark(c, b, &row))
                return false;
            row.stack += step;
            c->rows[done] = row;
        }
    }
    return done == b->rows && b->task.at == b->task.end && b->mark.at == b->mark.end &&
           b->count.at == b->count.end && (!stacks || b->stack.at == b->stack.end);
}

int blob_decode(struct blob_codec *c, const void *bytes, size_t len, uint64_t seed, bool stacks,
                struct blob *ret, struct err *err)
{
    const uint8_t *raw = bytes, *body = NULL;
    struct body b = {0};
    int64_t period_ns = 0;
    int r = unpack(c, raw, len, &body, &len, err);
    if (r < 0)
        return r;
    if (blob_check(body, len, seed) != (raw[1] | raw[2] << 8))
        return damaged(err, "the check does not fit");
    r = read_front(c, (struct part){body, body + len}, &b, &period_ns, err);
    if (r == 0)
        r = grow(&c->rows, &c->rows_cap, b.rows, sizeof(*c->rows), err);
    if (r < 0)
        return r;
    if (!read_rows(c, &b, stacks))
        return damaged(err, "its rows");
    *ret = (struct blob){c->rows, b.rows, period_ns};
    return 0;
}
