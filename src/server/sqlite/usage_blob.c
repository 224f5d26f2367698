/* usage_blob.c: takes what a cgroup used in a minute, gives bytes; and back. See usage_blob.h. */
#include "server/sqlite/usage_blob.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/err.h"
#include "server/sqlite/varint.h"

#define CHECK_BYTES  2
#define MINUTE_MS    60000u
#define MARK_SUMMED  1ull
#define MARK_NETWORK 2ull
#define MARK(figure) (4ull << (figure))
#define MARKS_ALL    (MARK(WIRE_USAGE_COUNT) - 1)

static const struct usage_row before_first = {
#define X(name) .figures[WIRE_USAGE_##name] = WIRE_UNKNOWN,
    WIRE_USAGE_GAUGES(X)
#undef X
};

static uint64_t expected(const struct usage_row *before, unsigned figure)
{
    if (figure >= WIRE_USAGE_COUNTER_COUNT || before->figures[figure] == WIRE_UNKNOWN)
        return before->figures[figure];
    return 0;
}

uint16_t usage_blob_check(const void *bytes, size_t len, uint64_t seed)
{
    return (uint16_t)XXH3_64bits_withSeed(bytes, len, seed);
}

static uint8_t *put_row(const struct usage_row *row, const struct usage_row *before, uint8_t *at)
{
    uint64_t marks = (row->summed != before->summed ? MARK_SUMMED : 0) |
                     (row->network != before->network ? MARK_NETWORK : 0);
    for (unsigned i = 0; i < WIRE_USAGE_COUNT; i++)
        if (row->figures[i] != expected(before, i))
            marks |= MARK(i);
    at = varint_put(at, row->time_ms - before->time_ms);
    at = varint_put(at, varint_zigzag(row->span_us - before->span_us));
    at = varint_put(at, marks);
    for (unsigned i = 0; i < WIRE_USAGE_COUNT; i++) {
        uint64_t code = usage_figure_code(row->figures[i]);
        if (!(marks & MARK(i)))
            continue;
        if (i >= WIRE_USAGE_COUNTER_COUNT)
            code = varint_zigzag(code - usage_figure_code(before->figures[i]));
        at = varint_put(at, code);
    }
    if (marks & MARK_SUMMED)
        at = varint_put(at, row->summed);
    return marks & MARK_NETWORK ? varint_put(at, row->network) : at;
}

size_t usage_blob_encode(const struct usage_row *rows, size_t count, uint64_t seed, uint8_t *to)
{
    uint8_t *at = to + CHECK_BYTES;
    for (size_t i = 0; i < count; i++)
        at = put_row(&rows[i], i ? &rows[i - 1] : &before_first, at);
    uint16_t check = usage_blob_check(to + CHECK_BYTES, (size_t)(at - to) - CHECK_BYTES, seed);
    to[0] = (uint8_t)check;
    to[1] = (uint8_t)(check >> 8);
    return (size_t)(at - to);
}

static bool get_figure(const uint8_t **at, const uint8_t *end, const struct usage_row *before,
                       unsigned figure, uint64_t *ret)
{
    uint64_t code;
    if (!varint_get(at, end, &code))
        return false;
    if (figure >= WIRE_USAGE_COUNTER_COUNT)
        code = varint_unzigzag(code) + usage_figure_code(before->figures[figure]);
    return usage_figure_of_code(code, ret);
}

static bool get_row(const uint8_t **at, const uint8_t *end, const struct usage_row *before,
                    struct usage_row *row)
{
    uint32_t time_ms;
    uint64_t span, marks;
    *row = *before;
    if (!varint_get_u32(at, end, &time_ms) || time_ms >= MINUTE_MS - before->time_ms ||
        !varint_get(at, end, &span) || !varint_get(at, end, &marks) || marks > MARKS_ALL)
        return false;
    row->time_ms += time_ms;
    row->span_us += varint_unzigzag(span);
    if (row->span_us > INT64_MAX / 1000)
        return false;
    for (unsigned i = 0; i < WIRE_USAGE_COUNT; i++) {
        row->figures[i] = expected(before, i);
        if (marks & MARK(i) && !get_figure(at, end, before, i, &row->figures[i]))
            return false;
    }
    if (marks & MARK_SUMMED && !varint_get_u32(at, end, &row->summed))
        return false;
    return !(marks & MARK_NETWORK) || varint_get(at, end, &row->network);
}

int usage_blob_decode(const void *bytes, size_t len, uint64_t seed, struct usage_row *rows,
                      size_t *ret_count, struct err *err)
{
    const uint8_t *at = bytes, *end = at + len;
    if (len < CHECK_BYTES)
        return err_set(err, -EUCLEAN, "usage of %zu bytes", len);
    uint16_t check = (uint16_t)(at[0] | at[1] << 8);
    at += CHECK_BYTES;
    if (usage_blob_check(at, len - CHECK_BYTES, seed) != check)
        return err_set(err, -EUCLEAN, "usage whose check is wrong");
    size_t count = 0;
    for (; at < end; count++) {
        if (count == USAGE_BLOB_MAX_ROWS)
            return err_set(err, -EUCLEAN, "usage of more than %u rows", USAGE_BLOB_MAX_ROWS);
        if (!get_row(&at, end, count ? &rows[count - 1] : &before_first, &rows[count]))
            return err_set(err, -EUCLEAN, "usage that makes no sense in row %zu", count);
    }
    *ret_count = count;
    return 0;
}
