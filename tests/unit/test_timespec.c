/* test_timespec.c: the moments a URL may name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/timespec.h"

#define NOW_MS 1795363200123LL /* 2026-11-22T16:00:00.123Z */

static void each_way_to_write_a_time_is_read(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        {"now", NOW_MS},
        {"-30s", NOW_MS - 30000},
        {"-5m", NOW_MS - 300000},
        {"now-5m", NOW_MS - 300000},
        {"-1h", NOW_MS - 3600000},
        {"-1h30m", NOW_MS - 5400000},
        {"-2d", NOW_MS - 172800000},
        {"-1d2h3m4s", NOW_MS - 93784000},
        {"-0s", NOW_MS},
        {"0", 0},
        {"1795363200", 1795363200000},
        {"1795363200123", 1795363200123},
        {"99999999999", 99999999999000},
        {"100000000000", 100000000000},
        {"2026-11-22T16:00:00Z", 1795363200000},
        {"2026-11-22t16:00:00z", 1795363200000},
        {"2026-11-22 16:00:00Z", 1795363200000},
        {"2026-11-22T17:00:00+01:00", 1795363200000},
        {"2026-11-22T17:00:00 01:00", 1795363200000},
        {"2026-11-22T10:30:00-05:30", 1795363200000},
        {"2026-11-22T16:00:00.5Z", 1795363200500},
        {"2026-11-22T16:00:00.123456789Z", 1795363200123},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2000-02-29T23:59:60Z", 951868800000},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:00:00-01:00", 0},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        int64_t ms = -1;
        if (timespec_parse(cases[i].text, NOW_MS, &ms, &err) != 0 || ms != cases[i].ms)
            fail_msg("%s: %lld, %s", cases[i].text, (long long)ms, err.text);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "yesterday",
        "now ",
        " now",
        "nowish",
        "now5m",
        "now+5m",
        "-",
        "-5",
        "-5x",
        "-m",
        "--5m",
        "-5m30",
        "-30m1h",
        "-1m1m",
        "- 5m",
        "5m",
        "+5m",
        "1.5",
        "0x10",
        "1795363200s",

        "2026-11-22",
        "2026-11-22T16:00Z",
        "2026-11-22T16:00:00",
        "2026-11-22T16:00:00.Z",
        "2026-11-22T16:00:00+1",
        "2026-11-22T16:00:00+0100",
        "2026-11-22T16:00:00+24:00",
        "2026-11-22T16:00:00+01:60",
        "2026-11-22T24:00:00Z",
        "2026-11-22T16:60:00Z",
        "2026-11-22T16:00:61Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-00T00:00:00Z",
        "2026-11-22T16:00:00ZZ",
        "2026-11-22X16:00:00Z",
        "26-11-22T16:00:00Z",
        "2026-11-22T16:00:00.00000000000000000000000000000000000000000000000000000000Z",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        int64_t ms = -1;
        if (timespec_parse(cases[i], NOW_MS, &ms, &err) != -EINVAL || ms != -1)
            fail_msg("\"%s\" was taken as %lld", cases[i], (long long)ms);
        assert_non_null(strstr(err.text, "-1h30m"));
    }
}

static void a_time_outside_the_calendar_is_refused(void **state)
{
    static const char *const cases[] = {
        "-99999d",
        "-9999999999999d",
        "99999999999999999999",
        "253402300800000",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "-253402300799999d",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {0};
        int64_t ms = -1;
        if (timespec_parse(cases[i], NOW_MS, &ms, &err) != -ERANGE || ms != -1)
            fail_msg("\"%s\" was taken as %lld", cases[i], (long long)ms);
        assert_non_null(strstr(err.text, cases[i]));
    }
}

/* The C library's calendar is the oracle: every day of five centuries. */
static void every_day_is_where_gmtime_has_it(void **state)
{
    for (int64_t day = 0; day < 365 * 500; day++) {
        time_t t = day * 86400;
        struct tm tm;
        char text[64];
        int64_t ms;
        gmtime_r(&t, &tm);
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
        assert_int_equal(timespec_parse(text, 0, &ms, NULL), 0);
        assert_int_equal(ms, day * 86400000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_way_to_write_a_time_is_read),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(a_time_outside_the_calendar_is_refused),
        cmocka_unit_test(every_day_is_where_gmtime_has_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
