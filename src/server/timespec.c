/* timespec.c: takes a moment as people write it and the present, gives milliseconds since 1970. See
 * timespec.h. */
#include "server/timespec.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"

#define MS_PER_S    1000LL
#define MS_PER_M    (60 * MS_PER_S)
#define MS_PER_H    (60 * MS_PER_M)
#define MS_PER_D    (24 * MS_PER_H)
#define LAST_MS     253402300799999LL /* 9999-12-31T23:59:59.999Z, the last RFC 3339 can write */
#define FIRST_AS_MS 100000000000LL    /* as seconds it would be the year 5138 */
#define ALLOWED                                                                                 \
    "write now, -30s, -5m, -1h30m, -2d, 2026-11-22T16:00:00Z or seconds or milliseconds since " \
    "1970"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number of any length; -ERANGE past LAST_MS, which no unit of ours makes smaller. */
static int take_number(const char **text, int64_t *ret)
{
    const char *p = *text;
    int64_t value = 0;
    if (!is_digit(*p))
        return -EINVAL;
    for (; is_digit(*p); p++) {
        value = value * 10 + (*p - '0');
        if (value > LAST_MS)
            return -ERANGE;
    }
    *text = p;
    *ret = value;
    return 0;
}

/* Exactly `digits` of them, as RFC 3339 wants each of its numbers. */
static int take_fixed(const char **text, int digits, int *ret)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        char c = (*text)[i];
        if (!is_digit(c))
            return -EINVAL;
        value = value * 10 + (c - '0');
    }
    *text += digits;
    *ret = value;
    return 0;
}

static bool take_char(const char **text, const char *any_of)
{
    if (**text == 0 || !strchr(any_of, **text))
        return false;
    (*text)++;
    return true;
}

/* "30s", "1h30m": what stands behind the minus. */
static int parse_age(const char *text, int64_t *ret_ms)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'d', MS_PER_D}, {'h', MS_PER_H}, {'m', MS_PER_M}, {'s', MS_PER_S}};
    int64_t age_ms = 0;
    size_t next = 0; /* of units */
    do {
        int64_t value;
        int r = take_number(&text, &value);
        if (r < 0)
            return r;
        while (next < ARRAY_LEN(units) && units[next].letter != *text)
            next++;
        if (next == ARRAY_LEN(units))
            return -EINVAL;
        if (__builtin_mul_overflow(value, units[next].ms, &value) ||
            __builtin_add_overflow(age_ms, value, &age_ms))
            return -ERANGE;
        next++;
        text++;
    } while (*text);
    *ret_ms = age_ms;
    return 0;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01; timegm() would take month 13 and day 40 as well. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t before = year - 1;
    int64_t days = before * 365 + before / 4 - before / 100 + before / 400 - 719162;
    for (int m = 1; m < month; m++)
        days += days_in_month(year, m);
    return days + day - 1;
}

/* "16:00:00.25" as milliseconds of its day. A leap second, :60, is the first moment of the next
 * minute, as POSIX counts. */
static int take_clock(const char **text, int64_t *ret_ms)
{
    int hour, minute, second, fraction_ms = 0;
    if (take_fixed(text, 2, &hour) < 0 || !take_char(text, ":") ||
        take_fixed(text, 2, &minute) < 0 || !take_char(text, ":") ||
        take_fixed(text, 2, &second) < 0 || hour > 23 || minute > 59 || second > 60)
        return -EINVAL;
    if (take_char(text, ".")) {
        if (!is_digit(**text))
            return -EINVAL;
        for (int weight = 100; is_digit(**text); weight /= 10, (*text)++)
            fraction_ms += (**text - '0') * weight;
    }
    *ret_ms = hour * MS_PER_H + minute * MS_PER_M + second * MS_PER_S + fraction_ms;
    return 0;
}

/* "Z" or "+01:00". In a URL's query a plus sign that was not escaped arrives as a blank; nothing
 * else can be meant by one here. */
static int take_zone(const char **text, int64_t *ret_offset_ms)
{
    int hour, minute;
    if (take_char(text, "Zz")) {
        *ret_offset_ms = 0;
        return 0;
    }
    bool west = **text == '-';
    if (!take_char(text, "+- ") || take_fixed(text, 2, &hour) < 0 || !take_char(text, ":") ||
        take_fixed(text, 2, &minute) < 0 || hour > 23 || minute > 59)
        return -EINVAL;
    int64_t offset_ms = hour * MS_PER_H + minute * MS_PER_M;
    *ret_offset_ms = west ? -offset_ms : offset_ms;
    return 0;
}

static int parse_rfc3339(const char *text, int64_t *ret_ms)
{
    int year, month, day;
    int64_t clock_ms, offset_ms;
    if (take_fixed(&text, 4, &year) < 0 || !take_char(&text, "-") ||
        take_fixed(&text, 2, &month) < 0 || !take_char(&text, "-") ||
        take_fixed(&text, 2, &day) < 0 || !take_char(&text, "Tt "))
        return -EINVAL;
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
        return -EINVAL;
    int r = take_clock(&text, &clock_ms);
    if (r < 0)
        return r;
    r = take_zone(&text, &offset_ms);
    if (r < 0)
        return r;
    if (*text)
        return -EINVAL;
    *ret_ms = days_since_1970(year, month, day) * MS_PER_D + clock_ms - offset_ms;
    return 0;
}

static int parse_epoch(const char *text, int64_t *ret_ms)
{
    int64_t value;
    int r = take_number(&text, &value);
    if (r < 0)
        return r;
    if (*text)
        return -EINVAL;
    *ret_ms = value < FIRST_AS_MS ? value * MS_PER_S : value;
    return 0;
}

static int parse_any(const char *text, int64_t now_ms, int64_t *ret_ms)
{
    size_t len = strlen(text);
    if (len == 0 || len > TIMESPEC_MAX)
        return -EINVAL;
    bool from_now = strncmp(text, "now", 3) == 0;
    if (from_now)
        text += 3;
    if (from_now && *text == 0) {
        *ret_ms = now_ms;
        return 0;
    }
    if (*text == '-') {
        int64_t age_ms;
        int r = parse_age(text + 1, &age_ms);
        if (r == 0)
            *ret_ms = now_ms - age_ms;
        return r;
    }
    if (from_now)
        return -EINVAL;
    return len > 4 && text[4] == '-' ? parse_rfc3339(text, ret_ms) : parse_epoch(text, ret_ms);
}

int timespec_parse(const char *text, int64_t now_ms, int64_t *ret_ms, struct err *err)
{
    int64_t ms = 0;
    int r = parse_any(text, now_ms, &ms);
    if (r == 0 && (ms < 0 || ms > LAST_MS))
        r = -ERANGE;
    if (r == -ERANGE)
        return err_set(err, r, "'%.*s' lies outside the years 1970 to 9999", TIMESPEC_MAX, text);
    if (r < 0)
        return err_set(err, r, "'%.*s' is no time; " ALLOWED, TIMESPEC_MAX, text);
    *ret_ms = ms;
    return 0;
}
