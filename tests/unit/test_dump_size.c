/* test_dump_size.c: samples hold more of a stack while too many are cut, less when none needs it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/dump_size.h"

#define RING (512u << 10)

static bool judge(struct dump_size *size, uint64_t stacks, uint64_t cut, uint64_t deep)
{
    return dump_size_judge(size, &(struct stacker_dumps){stacks, cut, deep});
}

static void cut_stacks_make_it_grow_up_to_the_maximum(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, RING);
    assert_true(judge(&size, 1000, 11, 0));
    assert_int_equal(size.bytes, 32768);
    assert_true(judge(&size, 1000, 11, 0));
    assert_int_equal(size.bytes, 65528);
    assert_false(judge(&size, 1000, 500, 0));
    assert_int_equal(size.bytes, 65528);
}

static void one_stack_in_a_hundred_may_be_cut(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, RING);
    for (unsigned i = 0; i < 100; i++)
        assert_false(judge(&size, 1000, 10, 0));
}

static void a_few_stacks_decide_nothing_by_themselves(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, RING);
    assert_false(judge(&size, 90, 90, 0));
    assert_false(judge(&size, 90, 0, 0));
    assert_true(judge(&size, 90, 0, 0));
    assert_int_equal(size.bytes, 32768);
}

static void it_shrinks_after_ten_calm_minutes(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, RING);
    judge(&size, 1000, 900, 0);
    for (unsigned i = 0; i < 19; i++)
        assert_false(judge(&size, 3000, 0, 2));
    assert_true(judge(&size, 3000, 0, 2));
    assert_int_equal(size.bytes, 16384);
    for (unsigned i = 0; i < 100; i++)
        assert_false(judge(&size, 3000, 0, 0));
}

static void a_deep_stack_now_and_then_keeps_it_large(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, RING);
    judge(&size, 1000, 900, 0);
    for (unsigned i = 0; i < 200; i++)
        assert_false(judge(&size, 1000, 0, i % 10 == 0 ? 5 : 0));
    assert_int_equal(size.bytes, 32768);
}

static void a_small_ring_bounds_it(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 65528, 256u << 10);
    assert_true(judge(&size, 1000, 1000, 0));
    assert_int_equal(size.bytes, 32768);
    assert_false(judge(&size, 1000, 1000, 0));
    dump_size_init(&size, 16384, 65528, 32u << 10);
    assert_false(judge(&size, 1000, 1000, 0));
    assert_int_equal(size.bytes, 16384);
}

static void a_maximum_below_leaves_it_as_it_is(void **state)
{
    struct dump_size size;
    dump_size_init(&size, 16384, 0, RING);
    for (unsigned i = 0; i < 50; i++)
        assert_false(judge(&size, 1000, i % 2 ? 1000 : 0, 0));
    assert_int_equal(size.bytes, 16384);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_stacks_make_it_grow_up_to_the_maximum),
        cmocka_unit_test(one_stack_in_a_hundred_may_be_cut),
        cmocka_unit_test(a_few_stacks_decide_nothing_by_themselves),
        cmocka_unit_test(it_shrinks_after_ten_calm_minutes),
        cmocka_unit_test(a_deep_stack_now_and_then_keeps_it_large),
        cmocka_unit_test(a_small_ring_bounds_it),
        cmocka_unit_test(a_maximum_below_leaves_it_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
