/* test_chains.c: functions of single addresses, kept and found again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "symbol/chains.h"

static struct chains *make(void)
{
    struct chains *c = NULL;
    assert_int_equal(chains_new(&c), 0);
    return c;
}

static void an_address_has_its_functions_the_outermost_first(void **state)
{
    _cleanup_(chains_free) struct chains *c = make();
    const struct symbol_frame frames[] = {{"outer", "a.c", 10}, {"inner", "a.h", 3}};
    const struct symbol_frame *got;
    uint64_t start;
    uint32_t count;
    assert_int_equal(chains_add(c, 0x1004, 0x1000, frames, 2), 0);
    assert_true(chains_find(c, 0x1004, &start, &got, &count));
    assert_int_equal(start, 0x1000);
    assert_int_equal(count, 2);
    assert_string_equal(got[0].name, "outer");
    assert_string_equal(got[1].name, "inner");
    assert_string_equal(got[1].file, "a.h");
    assert_int_equal(got[1].line, 3);
    assert_false(chains_find(c, 0x1005, &start, &got, &count));
}

static void that_nothing_is_known_is_remembered_too(void **state)
{
    _cleanup_(chains_free) struct chains *c = make();
    const struct symbol_frame *got;
    uint64_t start;
    uint32_t count = 77;
    assert_int_equal(chains_add(c, 0x1004, 0, NULL, 0), 0);
    assert_true(chains_find(c, 0x1004, &start, &got, &count));
    assert_int_equal(count, 0);
}

static void what_is_known_stays(void **state)
{
    _cleanup_(chains_free) struct chains *c = make();
    const struct symbol_frame first = {"first", NULL, 0}, second = {"second", NULL, 0};
    const struct symbol_frame *got;
    uint64_t start;
    uint32_t count;
    assert_int_equal(chains_add(c, 1, 1, &first, 1), 0);
    assert_int_equal(chains_add(c, 1, 1, &second, 1), 0);
    assert_true(chains_find(c, 1, &start, &got, &count));
    assert_int_equal(count, 1);
    assert_string_equal(got->name, "first");
}

static void of_a_long_chain_the_outermost_are_kept(void **state)
{
    _cleanup_(chains_free) struct chains *c = make();
    struct symbol_frame frames[CHAIN_FRAMES_MAX + 5] = {{NULL, NULL, 1}};
    const struct symbol_frame *got;
    uint64_t start;
    uint32_t count;
    for (uint32_t i = 1; i < ARRAY_LEN(frames); i++)
        frames[i] = (struct symbol_frame){"f", "f.c", i + 1};
    assert_int_equal(chains_add(c, 1, 0, frames, ARRAY_LEN(frames)), 0);
    assert_true(chains_find(c, 1, &start, &got, &count));
    assert_int_equal(count, CHAIN_FRAMES_MAX);
    assert_null(got[0].name);
    assert_int_equal(got[CHAIN_FRAMES_MAX - 1].line, CHAIN_FRAMES_MAX);
}

static void many_addresses_of_few_functions_take_little(void **state)
{
    _cleanup_(chains_free) struct chains *c = make();
    const uint32_t addresses = 10000;
    char name[32];
    for (uint32_t i = 0; i < addresses; i++) {
        snprintf(name, sizeof(name), "function %u", i % 50);
        const struct symbol_frame frame = {name, "/usr/src/a/rather/long/path/to/a/file.c", i};
        assert_int_equal(chains_add(c, i, i, &frame, 1), 0);
    }
    assert_true(chains_bytes(c) < addresses * 128);
    for (uint32_t i = 0; i < addresses; i++) {
        const struct symbol_frame *got;
        uint64_t start;
        uint32_t count;
        snprintf(name, sizeof(name), "function %u", i % 50);
        assert_true(chains_find(c, i, &start, &got, &count));
        assert_string_equal(got->name, name);
        assert_int_equal(got->line, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_has_its_functions_the_outermost_first),
        cmocka_unit_test(that_nothing_is_known_is_remembered_too),
        cmocka_unit_test(what_is_known_stays),
        cmocka_unit_test(of_a_long_chain_the_outermost_are_kept),
        cmocka_unit_test(many_addresses_of_few_functions_take_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
