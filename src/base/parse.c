/* parse.c: takes a number as people write it, gives it in our unit. See parse.h. */
#include "base/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

struct unit {
    const char *word;
    uint64_t factor;
};

/* The digits at the head of `text`; *ret_tail is what follows them. Unlike strtoull it takes no
 * blank, sign or hexadecimal, so that "-1" is refused and not a very large number. */
static int take_digits(const char *text, uint64_t *ret, const char **ret_tail)
{
    uint64_t value = 0;
    const char *p = text;
    if (*p < '0' || *p > '9')
        return -EINVAL;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value))
            return -ERANGE;
    }
    *ret = value;
    *ret_tail = p;
    return 0;
}

static int parse_scaled(const char *text, const struct unit *units, size_t count, uint64_t max,
                        uint64_t *ret)
{
    uint64_t value;
    const char *tail;
    int r = take_digits(text, &value, &tail);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tail, units[i].word) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value) || value > max)
            return -ERANGE;
        *ret = value;
        return 0;
    }
    return -EINVAL;
}

int parse_duration(const char *text, int64_t *ret_ns, struct err *err)
{
    static const struct unit units[] = {
        {"", NS_PER_SEC},
        {"ns", 1},
        {"us", 1000},
        {"ms", NS_PER_MS},
        {"s", NS_PER_SEC},
        {"m", 60 * NS_PER_SEC},
        {"h", 3600 * NS_PER_SEC},
        {"d", 86400 * NS_PER_SEC},
    };
    uint64_t ns;
    int r = parse_scaled(text, units, ARRAY_LEN(units), INT64_MAX, &ns);
    if (r == -ERANGE)
        return err_set(err, r, "\"%s\" is longer than 292 years", text);
    if (r < 0)
        return err_set(err, r, "\"%s\" is not a duration such as 250ms, 30s, 5m, 1h or 7d", text);
    *ret_ns = (int64_t)ns;
    return 0;
}

int parse_bytes(const char *text, uint64_t *ret_bytes, struct err *err)
{
    static const struct unit units[] = {
        {"", 1},           {"B", 1},
        {"K", 1ULL << 10}, {"KiB", 1ULL << 10},
        {"M", 1ULL << 20}, {"MiB", 1ULL << 20},
        {"G", 1ULL << 30}, {"GiB", 1ULL << 30},
        {"T", 1ULL << 40}, {"TiB", 1ULL << 40},
    };
    uint64_t bytes;
    int r = parse_scaled(text, units, ARRAY_LEN(units), UINT64_MAX, &bytes);
    if (r == -ERANGE)
        return err_set(err, r, "\"%s\" is more than 16 EiB", text);
    if (r < 0)
        return err_set(err, r, "\"%s\" is not a size such as 4096, 64KiB, 1MiB or 2GiB", text);
    *ret_bytes = bytes;
    return 0;
}

int parse_u64(const char *text, uint64_t *ret, struct err *err)
{
    static const struct unit units[] = {{"", 1}};
    uint64_t value;
    int r = parse_scaled(text, units, ARRAY_LEN(units), UINT64_MAX, &value);
    if (r == -ERANGE)
        return err_set(err, r, "\"%s\" does not fit 64 bits", text);
    if (r < 0)
        return err_set(err, r, "\"%s\" is not a whole number", text);
    *ret = value;
    return 0;
}

int parse_hex(const char *text, size_t len, size_t digits, uint32_t *ret)
{
    uint32_t value = 0;
    if (len < digits)
        return -EINVAL;
    for (size_t i = 0; i < digits; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!isxdigit(c))
            return -EINVAL;
        value = value << 4 | (uint32_t)(isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *ret = value;
    return 0;
}
