/* test_parse.c: durations, sizes and numbers as people write them, hexadecimal ones; nothing else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

static void a_duration_is_a_number_and_a_unit(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {
        {"0", 0},
        {"30", 30000000000},
        {"7ns", 7},
        {"12us", 12000},
        {"250ms", 250000000},
        {"30s", 30000000000},
        {"5m", 300000000000},
        {"1h", 3600000000000},
        {"7d", 604800000000000},
        {"9223372036854775807ns", INT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t ns = -1;
        struct err err = {0};
        assert_int_equal(parse_duration(cases[i].text, &ns, &err), 0);
        assert_int_equal(ns, cases[i].ns);
    }
}

static void what_is_no_duration_is_refused_with_examples(void **state)
{
    static const char *const bad[] = {"",   "s",    "-5s",  "+5s", " 5s",  "5s ", "5 s",
                                      "5x", "1.5h", "0x10", "5S",  "5s5m", "1e3", "5\n"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ns = -7;
        assert_int_equal(parse_duration(bad[i], &ns, NULL), -EINVAL);
        assert_int_equal(ns, -7);
    }
    struct err err;
    int64_t ns;
    assert_int_equal(parse_duration("3x", &ns, &err), -EINVAL);
    assert_string_equal(err.text, "\"3x\" is not a duration such as 250ms, 30s, 5m, 1h or 7d");
}

static void a_duration_that_overflows_is_refused(void **state)
{
    static const char *const bad[] = {"9223372036854775808ns", "9223372037", "106752d",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t ns = -7;
        assert_int_equal(parse_duration(bad[i], &ns, NULL), -ERANGE);
        assert_int_equal(ns, -7);
    }
}

static void sizes_are_powers_of_1024(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},           {"4096", 4096},       {"10B", 10},
        {"64K", 65536},     {"64KiB", 65536},     {"1M", 1048576},
        {"3MiB", 3145728},  {"2G", 2147483648},   {"1GiB", 1073741824},
        {"1T", 1ULL << 40}, {"2TiB", 2ULL << 40}, {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t bytes = 1;
        struct err err = {0};
        assert_int_equal(parse_bytes(cases[i].text, &bytes, &err), 0);
        assert_int_equal(bytes, cases[i].bytes);
    }
    uint64_t bytes = 3;
    struct err err;
    assert_int_equal(parse_bytes("1KB", &bytes, &err), -EINVAL);
    assert_string_equal(err.text, "\"1KB\" is not a size such as 4096, 64KiB, 1MiB or 2GiB");
    assert_int_equal(parse_bytes("16777216T", &bytes, &err), -ERANGE);
    assert_int_equal(bytes, 3);
}

static void a_number_is_decimal_digits_alone(void **state)
{
    uint64_t value = 3;
    struct err err;
    assert_int_equal(parse_u64("18446744073709551615", &value, &err), 0);
    assert_true(value == UINT64_MAX);
    assert_int_equal(parse_u64("18446744073709551616", &value, &err), -ERANGE);
    assert_int_equal(parse_u64("-1", &value, &err), -EINVAL);
    assert_string_equal(err.text, "\"-1\" is not a whole number");
    assert_int_equal(parse_u64("1K", &value, &err), -EINVAL);
    assert_true(value == UINT64_MAX);
}

static void a_hexadecimal_number_has_as_many_digits_as_are_asked_for(void **state)
{
    static const char *const wrong[] = {"", "4", "4 ", " 4", "+4", "-4", "0x", "4g"};
    uint32_t value = 3;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(parse_hex(wrong[i], strlen(wrong[i]), 2, &value), -EINVAL);
    assert_int_equal(parse_hex("4fa", 1, 2, &value), -EINVAL);
    assert_int_equal(value, 3);
    assert_int_equal(parse_hex("4fa", 3, 2, &value), 0);
    assert_int_equal(value, 0x4f);
    assert_int_equal(parse_hex("FFFfffFe", 8, 8, &value), 0);
    assert_true(value == 0xfffffffe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_number_and_a_unit),
        cmocka_unit_test(what_is_no_duration_is_refused_with_examples),
        cmocka_unit_test(a_duration_that_overflows_is_refused),
        cmocka_unit_test(sizes_are_powers_of_1024),
        cmocka_unit_test(a_number_is_decimal_digits_alone),
        cmocka_unit_test(a_hexadecimal_number_has_as_many_digits_as_are_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
