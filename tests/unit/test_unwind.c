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

static bool everything_is_mapped(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    ret->offset = pc;
    return true;
}

static void run(const struct unwind_sample *sample)
{
    struct unwinder *u;
    assert_int_equal(unwinder_new(&u, NULL), 0);
    struct unwind_space space = {.id = 1, .find = everything_is_mapped};
    unwinder_run(u, sample, &space, &stack);
    unwinder_free(&u);
}

static void every_context_gives_its_frames_leaf_first(void **state)
{
    static const struct {
        const char *what;
        uint64_t chain[MAX];
        size_t frames;
        struct unwind_frame expect[MAX];
    } cases[] = {
        {"user only",
         {USER, 1, 2, 3},
         3,
         {{1}, {.pc = 2 - 1, .kernel = false}, {.pc = 3 - 1, .kernel = false}}},
        {"kernel only",
         {KERNEL, K(1), K(2)},
         2,
         {{.pc = K(1), .kernel = true}, {.pc = K(2) - 1, .kernel = true}}},
        {"a system call",
         {KERNEL, K(1), K(2), USER, 7, 8},
         4,
         {{.pc = K(1), .kernel = true},
          {.pc = K(2) - 1, .kernel = true},
          {7},
          {.pc = 8 - 1, .kernel = false}}},
        {"no contexts", {1, 2}, 2, {{1}, {.pc = 2 - 1, .kernel = false}}},
        {"a hypervisor in between", {PERF_CONTEXT_HV, 5, 6, USER, 7}, 1, {{7}}},
        {"guests have frames of another machine",
         {PERF_CONTEXT_GUEST, 4, PERF_CONTEXT_GUEST_KERNEL, 5, PERF_CONTEXT_GUEST_USER, 6},
         0,
         {{0}}},
        {"a guest before the host",
         {PERF_CONTEXT_GUEST_KERNEL, 5, KERNEL, K(1), USER, 2},
         2,
         {{.pc = K(1), .kernel = true}, {2}}},
        {"a context of a later kernel", {(uint64_t)-640, 5, USER, 7}, 1, {{7}}},
        {"a zero is no frame", {USER, 1, 0, 2}, 2, {{1}, {.pc = 2 - 1, .kernel = false}}},
        {"contexts without frames", {KERNEL, USER}, 0, {{0}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t count = MAX;
        while (count && !cases[i].chain[count - 1])
            count--;
        struct unwind_sample sample = {.chain = cases[i].chain, .chain_count = count};
        run(&sample);
        if (stack.count != cases[i].frames)
            fail_msg("%s: %zu frames", cases[i].what, stack.count);
        for (size_t k = 0; k < stack.count; k++) {
            const struct unwind_frame *is = &stack.frames[k], *expect = &cases[i].expect[k];
            if (is->pc != expect->pc || is->kernel != expect->kernel)
                fail_msg("%s: frame %zu is pc=%#lx kernel=%d", cases[i].what, k,
                         (unsigned long)is->pc, is->kernel);
        }
    }
}

static void an_empty_chain_gives_the_interrupted_pc(void **state)
{
    run(&(struct unwind_sample){.ip = 0x401000});
    assert_int_equal(stack.count, 1);
    assert_int_equal(stack.frames[0].pc, 0x401000);
}

static void nothing_at_all_gives_no_frame(void **state)
{
    stack.count = 5;
    run(&(struct unwind_sample){0});
    assert_int_equal(stack.count, 0);
}

static void a_chain_as_long_as_the_kernel_goes_was_cut(void **state)
{
    static const struct {
        size_t frames, max;
        enum unwind_end end;
    } cases[] = {
        {126, 127, UNWIND_END_bottom},
        {127, 127, UNWIND_END_truncated},
        {1, 0, UNWIND_END_bottom},
        {UNWIND_FRAMES_MAX, 0, UNWIND_END_bottom},
    };
    static uint64_t chain[UNWIND_FRAMES_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        chain[0] = USER; /* markers are not counted by the kernel's limit */
        for (size_t k = 1; k <= cases[i].frames; k++)
            chain[k] = k;
        struct unwind_sample sample = {
            .chain = chain, .chain_count = cases[i].frames + 1, .chain_max = cases[i].max};
        run(&sample);
        assert_int_equal(stack.count, cases[i].frames);
        assert_int_equal(stack.end, cases[i].end);
    }
}

static void a_chain_longer_than_a_stack_is_cut_at_its_root(void **state)
{
    static uint64_t chain[UNWIND_FRAMES_MAX + 100];
    for (size_t k = 0; k < ARRAY_LEN(chain); k++)
        chain[k] = k + 1;
    run(&(struct unwind_sample){.chain = chain, .chain_count = ARRAY_LEN(chain)});
    assert_int_equal(stack.count, UNWIND_FRAMES_MAX);
    assert_int_equal(stack.frames[0].pc, 1);
    assert_int_equal(stack.frames[UNWIND_FRAMES_MAX - 1].pc, UNWIND_FRAMES_MAX - 1);
    assert_int_equal(stack.end, UNWIND_END_truncated);
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
