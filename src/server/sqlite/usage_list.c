/* usage_list.c: takes the processes of a cgroup, gives bytes; and back. See usage_list.h. */
#include "server/sqlite/usage_list.h"

#include <errno.h>
#include <stdbool.h>

#include "base/err.h"
#include "server/sqlite/usage_blob.h"
#include "server/sqlite/varint.h"

#define CHECK_BYTES 2
#define MINUTE_MS   60000u
#define ROW_NUMBERS 9

size_t usage_list_encode(const struct usage_list *list, uint64_t seed, uint8_t *to)
{
    uint8_t *at = to + CHECK_BYTES;
    at = varint_put(varint_put(varint_put(at, list->time_ms), list->span_us), list->count);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct usage_list_row *r = &list->rows[i];
        const uint64_t numbers[ROW_NUMBERS] = {r->pid,
                                               r->threads,
                                               r->start_ms,
                                               r->exe,
                                               r->command,
                                               usage_figure_code(r->cpu_user_ns),
                                               usage_figure_code(r->cpu_system_ns),
                                               usage_figure_code(r->rss_bytes),
                                               usage_figure_code(r->virtual_bytes)};
        for (unsigned n = 0; n < ROW_NUMBERS; n++)
            at = varint_put(at, numbers[n]);
    }
    uint16_t check = usage_blob_check(to + CHECK_BYTES, (size_t)(at - to) - CHECK_BYTES, seed);
    to[0] = (uint8_t)check;
    to[1] = (uint8_t)(check >> 8);
    return (size_t)(at - to);
}

static bool get_figure(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    uint64_t code;
    return varint_get(at, end, &code) && usage_figure_of_code(code, ret);
}

static bool get_row(const uint8_t **at, const uint8_t *end, struct usage_list_row *r)
{
    return varint_get_u32(at, end, &r->pid) && varint_get_u32(at, end, &r->threads) &&
           varint_get(at, end, &r->start_ms) && r->start_ms <= INT64_MAX &&
           varint_get_u32(at, end, &r->exe) && varint_get_u32(at, end, &r->command) &&
           get_figure(at, end, &r->cpu_user_ns) && get_figure(at, end, &r->cpu_system_ns) &&
           get_figure(at, end, &r->rss_bytes) && get_figure(at, end, &r->virtual_bytes);
}

struct head {
    uint32_t time_ms, count;
    uint64_t span_us;
};

/* Moves behind it. */
static int get_head(const uint8_t **at, size_t len, uint64_t seed, struct head *ret,
                    struct err *err)
{
    const uint8_t *bytes = *at, *end = bytes + len;
    if (len < CHECK_BYTES)
        return err_set(err, -EUCLEAN, "a list of processes of %zu bytes", len);
    uint16_t check = (uint16_t)(bytes[0] | bytes[1] << 8);
    *at += CHECK_BYTES;
    if (usage_blob_check(*at, len - CHECK_BYTES, seed) != check)
        return err_set(err, -EUCLEAN, "a list of processes whose check is wrong");
    if (!varint_get_u32(at, end, &ret->time_ms) || ret->time_ms >= MINUTE_MS ||
        !varint_get(at, end, &ret->span_us) || ret->span_us > INT64_MAX / 1000 ||
        !varint_get_u32(at, end, &ret->count) || ret->count > USAGE_LIST_MAX)
        return err_set(err, -EUCLEAN, "a list of processes that makes no sense");
    return 0;
}

int usage_list_decode(const void *bytes, size_t len, uint64_t seed, struct usage_list *ret,
                      struct err *err)
{
    const uint8_t *at = bytes, *end = at + len;
    struct head head;
    int r = get_head(&at, len, seed, &head, err);
    if (r < 0)
        return r;
    ret->time_ms = head.time_ms;
    ret->span_us = head.span_us;
    ret->count = head.count;
    for (uint32_t i = 0; i < ret->count; i++)
        if (!get_row(&at, end, &ret->rows[i]))
            return err_set(err, -EUCLEAN, "a list of processes that makes no sense in row %u", i);
    if (at != end)
        return err_set(err, -EUCLEAN, "a list of processes with %zu bytes too many",
                       (size_t)(end - at));
    return 0;
}

int usage_list_time(const void *bytes, size_t len, uint64_t seed, uint32_t *ret_ms, struct err *err)
{
    const uint8_t *at = bytes;
    struct head head;
    int r = get_head(&at, len, seed, &head, err);
    if (r == 0)
        *ret_ms = head.time_ms;
    return r;
}
