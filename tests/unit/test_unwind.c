/* test_unwind.c: the kernel's callchain becomes a stack of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/perf_event.h>

#include "base/cleanup.h"
#include "unwind/unwind.h"

#define KERNEL PERF_CONTEXT_KERNEL
#define USER   PERF_CONTEXT_USER
#define K(n)   (0xffffffff81000000 + (n))
#define MAX    8

static struct unwind_stack stack; /* too large for a test's frame */

static void every_context_gives_its_frames_leaf_first(void **state)
{
    static const struct {
        const char *what;
        uint64_t chain[MAX];
        size_t frames;
        struct unwind_frame expect[MAX];
    } cases[] = {
        {"user only", {USER, 1, 2, 3}, 3, {{1}, {2, false, true}, {3, false, true}}},
        {"kernel only", {KERNEL, K(1), K(2)}, 2, {{K(1), true}, {K(2), true, true}}},
        {"a system call",
         {KERNEL, K(1), K(2), USER, 7, 8},
         4,
         {{K(1), true}, {K(2), true, true}, {7}, {8, false, true}}},
        {"no contexts", {1, 2}, 2, {{1}, {2, false, true}}},
        {"a hypervisor in between", {PERF_CONTEXT_HV, 5, 6, USER, 7}, 1, {{7}}},
        {"guests have frames of another machine",
         {PERF_CONTEXT_GUEST, 4, PERF_CONTEXT_GUEST_KERNEL, 5, PERF_CONTEXT_GUEST_USER, 6},
         0,
         {{0}}},
        {"a guest before the host",
         {PERF_CONTEXT_GUEST_KERNEL, 5, KERNEL, K(1), USER, 2},
         2,
         {{K(1), true}, {2}}},
        {"a context of a later kernel", {(uint64_t)-640, 5, USER, 7}, 1, {{7}}},
        {"a zero is no frame", {USER, 1, 0, 2}, 2, {{1}, {2, false, true}}},
        {"contexts without frames", {KERNEL, USER}, 0, {{0}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t count = MAX;
        while (count && !cases[i].chain[count - 1])
            count--;
        struct unwind_input input = {.chain = cases[i].chain, .chain_count = count};
        unwind_sample(&input, &stack);
        if (stack.count != cases[i].frames || stack.end != UNWIND_BOTTOM)
            fail_msg("%s: %zu frames, end %d", cases[i].what, stack.count, stack.end);
        for (size_t k = 0; k < stack.count; k++) {
            const struct unwind_frame *is = &stack.frames[k], *expect = &cases[i].expect[k];
            if (is->pc != expect->pc || is->kernel != expect->kernel ||
                is->caller != expect->caller)
                fail_msg("%s: frame %zu is pc=%#lx kernel=%d caller=%d", cases[i].what, k,
                         (unsigned long)is->pc, is->kernel, is->caller);
        }
    }
}

static void an_empty_chain_gives_the_interrupted_pc(void **state)
{
    unwind_sample(&(struct unwind_input){.ip = 0x401000}, &stack);
    assert_int_equal(stack.count, 1);
    assert_int_equal(stack.frames[0].pc, 0x401000);
    assert_false(stack.frames[0].caller);
    assert_int_equal(stack.end, UNWIND_BOTTOM);
}

static void nothing_at_all_gives_no_frame(void **state)
{
    stack.count = 5;
    unwind_sample(&(struct unwind_input){0}, &stack);
    assert_int_equal(stack.count, 0);
}

static void a_chain_as_long_as_the_kernel_goes_was_cut(void **state)
{
    static const struct {
        size_t frames, max;
        enum unwind_end end;
    } cases[] = {
        {126, 127, UNWIND_BOTTOM},
        {127, 127, UNWIND_TRUNCATED},
        {1, 0, UNWIND_BOTTOM},
        {UNWIND_FRAMES_MAX, 0, UNWIND_BOTTOM},
    };
    static uint64_t chain[UNWIND_FRAMES_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        chain[0] = USER; /* markers are not counted by the kernel's limit */
        for (size_t k = 1; k <= cases[i].frames; k++)
            chain[k] = k;
        struct unwind_input input = {
            .chain = chain, .chain_count = cases[i].frames + 1, .chain_max = cases[i].max};
        unwind_sample(&input, &stack);
        assert_int_equal(stack.count, cases[i].frames);
        assert_int_equal(stack.end, cases[i].end);
    }
}

static void a_chain_longer_than_a_stack_is_cut_at_its_root(void **state)
{
    static uint64_t chain[UNWIND_FRAMES_MAX + 100];
    for (size_t k = 0; k < ARRAY_LEN(chain); k++)
        chain[k] = k + 1;
    unwind_sample(&(struct unwind_input){.chain = chain, .chain_count = ARRAY_LEN(chain)}, &stack);
    assert_int_equal(stack.count, UNWIND_FRAMES_MAX);
    assert_int_equal(stack.frames[0].pc, 1);
    assert_int_equal(stack.frames[UNWIND_FRAMES_MAX - 1].pc, UNWIND_FRAMES_MAX);
    assert_int_equal(stack.end, UNWIND_TRUNCATED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_context_gives_its_frames_leaf_first),
        cmocka_unit_test(an_empty_chain_gives_the_interrupted_pc),
        cmocka_unit_test(nothing_at_all_gives_no_frame),
        cmocka_unit_test(a_chain_as_long_as_the_kernel_goes_was_cut),
        cmocka_unit_test(a_chain_longer_than_a_stack_is_cut_at_its_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
