/* test_strings.c: each distinct text has one number, within the owner's limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strings.h"

static void equal_texts_share_a_number_and_others_do_not(void **state)
{
    static const char *const texts[] = {"", "a", "ab", "abc", "b", " a", "a ", "\xff\xfe"};
    _cleanup_(strings_free) struct strings strings = {0};
    uint32_t n;
    for (int turn = 0; turn < 2; turn++) {
        for (uint32_t i = 0; i < ARRAY_LEN(texts); i++) {
            assert_int_equal(strings_add(&strings, texts[i], &n), 0);
            assert_int_equal(n, i);
        }
    }
    assert_int_equal(strings.count, ARRAY_LEN(texts));
}

static void a_text_ends_where_its_length_says(void **state)
{
    _cleanup_(strings_free) struct strings strings = {0};
    uint32_t whole, part, again;
    assert_int_equal(strings_intern(&strings, "abcdef", 6, &whole), 0);
    assert_int_equal(strings_intern(&strings, "abcdef", 3, &part), 0);
    assert_int_equal(strings_add(&strings, "abc", &again), 0);
    assert_int_equal(part, again);
    assert_string_equal(strings.texts[whole], "abcdef");
    assert_string_equal(strings.texts[part], "abc");
}

static void texts_stay_where_they_are_while_many_others_come(void **state)
{
    _cleanup_(strings_free) struct strings strings = {0};
    const char *first_text = NULL;
    char text[32];
    uint32_t n;
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "text %u", i);
        assert_int_equal(strings_add(&strings, text, &n), 0);
        assert_int_equal(n, i);
        if (i == 0)
            first_text = strings.texts[0];
    }
    assert_ptr_equal(strings.texts[0], first_text);
    for (uint32_t i = 0; i < 100000; i++) {
        snprintf(text, sizeof(text), "text %u", i);
        assert_string_equal(strings.texts[i], text);
        assert_int_equal(strings_add(&strings, text, &n), 0);
        assert_int_equal(n, i);
    }
}

static void a_text_longer_than_a_block_is_kept_whole(void **state)
{
    _cleanup_(strings_free) struct strings strings = {0};
    static char text[300000];
    memset(text, 'x', sizeof(text));
    uint32_t small, large, n;
    assert_int_equal(strings_add(&strings, "before", &small), 0);
    assert_int_equal(strings_intern(&strings, text, sizeof(text), &large), 0);
    assert_int_equal(strings_intern(&strings, text, sizeof(text) - 1, &n), 0);
    assert_int_equal(strlen(strings.texts[large]), sizeof(text));
    assert_memory_equal(strings.texts[large], text, sizeof(text));
    assert_int_equal(strlen(strings.texts[n]), sizeof(text) - 1);
    assert_string_equal(strings.texts[small], "before");
}

static void bytes_past_the_limit_are_refused_but_known_texts_are_not(void **state)
{
    _cleanup_(strings_free) struct strings strings = {.max_bytes = 8};
    uint32_t a, b, n = 77;
    assert_int_equal(strings_intern(&strings, "abc", 3, &a), 0);
    assert_int_equal(strings_intern(&strings, "abd", 3, &b), 0);
    assert_int_equal(strings.bytes, 8);
    assert_int_equal(strings_intern(&strings, "", 0, &n), -EFBIG);
    assert_int_equal(n, 77);
    assert_int_equal(strings_intern(&strings, "abcx", 3, &n), 0);
    assert_int_equal(n, a);
    assert_int_not_equal(a, b);
}

static void more_texts_than_the_limit_are_refused_but_known_ones_are_not(void **state)
{
    _cleanup_(strings_free) struct strings strings = {.max_count = 2};
    uint32_t n = 77;
    assert_int_equal(strings_add(&strings, "one", &n), 0);
    assert_int_equal(strings_add(&strings, "two", &n), 0);
    n = 77;
    assert_int_equal(strings_add(&strings, "three", &n), -ENOSPC);
    assert_int_equal(n, 77);
    assert_int_equal(strings.count, 2);
    assert_int_equal(strings_add(&strings, "one", &n), 0);
    assert_int_equal(n, 0);
}

static void clearing_forgets_the_texts_and_freeing_keeps_the_limits(void **state)
{
    struct strings strings = {.max_count = 3, .max_bytes = 100};
    uint32_t n;
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(strings_add(&strings, turn % 2 ? "odd" : "even", &n), 0);
        assert_int_equal(n, 0);
        assert_int_equal(strings_add(&strings, "", &n), 0);
        assert_int_equal(n, 1);
        assert_string_equal(strings.texts[0], turn % 2 ? "odd" : "even");
        strings_clear(&strings);
        assert_int_equal(strings.count, 0);
        assert_int_equal(strings.bytes, 0);
    }
    strings_free(&strings);
    assert_int_equal(strings.max_count, 3);
    assert_int_equal(strings.max_bytes, 100);
    strings_free(&strings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_texts_share_a_number_and_others_do_not),
        cmocka_unit_test(a_text_ends_where_its_length_says),
        cmocka_unit_test(texts_stay_where_they_are_while_many_others_come),
        cmocka_unit_test(a_text_longer_than_a_block_is_kept_whole),
        cmocka_unit_test(bytes_past_the_limit_are_refused_but_known_texts_are_not),
        cmocka_unit_test(more_texts_than_the_limit_are_refused_but_known_ones_are_not),
        cmocka_unit_test(clearing_forgets_the_texts_and_freeing_keeps_the_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
