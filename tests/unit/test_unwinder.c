/* test_unwinder.c: registers and a copied stack become frames, by table, frame pointer and scan. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/perf_event.h>
#include <string.h>

#include "base/cleanup.h"
#include "cfi_elf.h"
#include "fake_stack.h"
#include "unwind/arch.h"
#include "unwind/table.h"

#define CODE(function) (CFI_ELF_ADDRESS + (function))
#define K(n)           (UINT64_C(0xffffffff81000000) + (n))

static struct unwind_stack stack; /* too large for a test's frame */
static struct unwinder *unwinder;
static struct fake fake;

static int make(void **state)
{
    fake = (struct fake){.table = fake_table(), .id = 1};
    return unwinder_new(&unwinder, NULL);
}

static int unmake(void **state)
{
    unwinder_free(&unwinder);
    unwind_table_free(&fake.table);
    return 0;
}

static void run_sample(const struct unwind_sample *sample)
{
    struct unwind_space space = fake_space(&fake);
    unwinder_run(unwinder, sample, &space, &stack);
}

static void run(void)
{
    struct unwind_sample sample = fake_sample(&fake);
    run_sample(&sample);
}

static void clear(void)
{
    fake.count = 0;
    memset(fake.words, 0, sizeof(fake.words));
}

static void expect_frames(enum unwind_end end, size_t count, const uint64_t *pcs)
{
    for (size_t i = 0; i < stack.count && i < count; i++) {
        if (stack.frames[i].pc != pcs[i])
            fail_msg("frame %zu is %#lx, not %#lx", i, (unsigned long)stack.frames[i].pc,
                     (unsigned long)pcs[i]);
    }
    if (stack.count != count || stack.end != end)
        fail_msg("%zu frames, end %d; not %zu, end %d", stack.count, stack.end, count, end);
}

#define EXPECT(end, ...)                                                                  \
    expect_frames(UNWIND_END_##end, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
                  (uint64_t[]){__VA_ARGS__})

/* F_16 called by F_32 called by F_FP called by F_START. */
static void push_four_frames(void)
{
    clear();
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_32 + 8);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 8 * 8); /* F_FP's fp, which F_32 has saved */
    fake_push_address(&fake, F_FP + 8);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0x1234);
    fake_push_address(&fake, F_START + 8);
}

static void frames_are_found_by_table_to_the_bottom(void **state)
{
    push_four_frames();
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_32) + 7, CODE(F_FP) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_table], 3);
    for (size_t i = 0; i < stack.count; i++) {
        assert_false(stack.frames[i].kernel);
        assert_ptr_equal(stack.frames[i].object, &fake);
        assert_int_equal(stack.frames[i].offset,
                         stack.frames[i].pc - CFI_ELF_ADDRESS + CFI_ELF_OFFSET);
    }
}

static void of_a_cut_dump_what_it_holds_is_kept_and_marked(void **state)
{
    push_four_frames();
    run();
    struct unwind_stack whole = stack;
    size_t words = fake.count;
    for (size_t bytes = 0; bytes < words * 8; bytes++) {
        struct unwind_sample sample = fake_sample(&fake);
        sample.stack_len = bytes;
        run_sample(&sample);
        assert_int_equal(stack.end, UNWIND_END_truncated);
        assert_true(stack.count >= 1 && stack.count < whole.count);
        for (size_t i = 0; i < stack.count; i++) {
            assert_int_equal(stack.frames[i].pc, whole.frames[i].pc);
            assert_int_equal(stack.frames[i].offset, whole.frames[i].offset);
        }
    }
}

static void a_return_address_belongs_to_the_call_before_it(void **state)
{
    fake_set(&fake, CODE(F_16), 0, 0); /* a leaf's pc is its own, on its first byte, too */
    fake_push(&fake, 0);
    fake_push_address(&fake, F_FP); /* a call that F_32 ends with: it does not return */
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_16); /* and of F_START */
    run();
    EXPECT(bottom, CODE(F_16), CODE(F_FP) - 1, CODE(F_16) - 1);
}

static void a_realigned_stack_is_known_by_a_register_at_the_leaf_and_by_memory_above(void **state)
{
    fake_set(&fake, CODE(F_REG) + 8, STACK_BASE, STACK_BASE + 32);
    for (int i = 0; i < 3; i++)
        fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_REG) + 8, CODE(F_START) + 7);
    /* Of a caller that register is lost. */
    clear();
    fake_set(&fake, CODE(F_16) + 8, 0, STACK_BASE + 32);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_REG + 8);
    fake.words[3] = CODE(F_START) + 8;
    fake.count = 4;
    fake.regs[6] = STACK_BASE - 8; /* nor does a frame pointer help */
    run();
    assert_int_equal(stack.count, 2);
    assert_int_not_equal(stack.end, UNWIND_END_truncated);
    /* Further on in the function it is in memory. */
    clear();
    fake_set(&fake, CODE(F_16) + 8, STACK_BASE + 32, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_DEREF + 8);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 64); /* at fp - 8 */
    fake_push(&fake, 0);               /* at fp: the caller's */
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_DEREF) + 7, CODE(F_START) + 7);
}

static void a_return_address_may_be_in_a_register_at_the_leaf_alone(void **state)
{
    fake_set(&fake, CODE(F_MOVED) + 8, 0, CODE(F_16) + 8);
    for (int i = 0; i < 3; i++)
        fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_MOVED) + 8, CODE(F_16) + 7, CODE(F_START) + 7);
    clear();
    fake_set(&fake, CODE(F_16) + 8, 0, CODE(F_16) + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_MOVED + 8);
    for (int i = 0; i < 8; i++)
        fake_push(&fake, 0);
    run();
    assert_int_equal(stack.count, 2);
    assert_int_not_equal(stack.end, UNWIND_END_bottom);
}

static void a_stack_that_does_not_grow_ends(void **state)
{
    static const uint64_t functions[] = {F_STILL, F_BACK};
    for (size_t i = 0; i < ARRAY_LEN(functions); i++) {
        clear();
        fake_set(&fake, CODE(F_16) + 8, 0, 0);
        for (int k = 0; k < 40; k++)
            fake_push_address(&fake, functions[i] + 8);
        run();
        expect_frames(UNWIND_END_stuck, 2, (uint64_t[]){CODE(F_16) + 8, CODE(functions[i]) + 7});
    }
}

static void a_frame_pointer_that_leads_back_ends_it(void **state)
{
    /* Each F_FP's fp is that of the frame before: a loop. */
    clear();
    fake_set(&fake, CODE(F_FP) + 8, STACK_BASE + 16, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 16);
    fake_push_address(&fake, F_FP + 8);
    for (int i = 0; i < 8; i++)
        fake_push(&fake, 0);
    run();
    EXPECT(stuck, CODE(F_FP) + 8, CODE(F_FP) + 7);
    /* The same in code without CFI. */
    fake.words[3] = NO_CFI + 8;
    fake.regs[0] = 0;
    fake_set(&fake, NO_CFI + 8, STACK_BASE + 16, 0);
    run();
    EXPECT(no_rule, NO_CFI + 8, NO_CFI + 7);
}

static void what_should_be_a_caller_but_is_no_code_ends_it(void **state)
{
    push_four_frames();
    for (size_t i = 0; i < fake.count; i++) {
        if (fake.words[i] == CODE(F_FP) + 8)
            fake.words[i] = 0x42;
    }
    run();
    EXPECT(unmapped, CODE(F_16) + 8, CODE(F_32) + 7);
}

static void a_return_address_of_zero_is_the_bottom(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    run();
    EXPECT(bottom, CODE(F_16) + 8);
}

#if defined(__aarch64__)
/* aarch64, pointer authentication: the signature stands above the address's bits. */
static void a_signed_return_address_is_taken_for_where_it_points(void **state)
{
    push_four_frames();
    for (size_t i = 0; i < fake.count; i++) {
        if (fake.words[i] - CFI_ELF_ADDRESS < F_END)
            fake.words[i] |= UINT64_C(0x5a) << 48;
    }
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_32) + 7, CODE(F_FP) + 7, CODE(F_START) + 7);
}
#endif

static void code_without_cfi_is_passed_by_its_frame_pointer(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, STACK_BASE + 24, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + 0x10);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 48); /* at fp */
    fake_push(&fake, NO_CFI + 0x20);
    fake_push(&fake, 0);
    fake_push(&fake, 0x77);
    fake_push_address(&fake, F_16 + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_16) + 8, NO_CFI + 0xf, NO_CFI + 0x1f, CODE(F_16) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_frame_pointer], 2);
    assert_int_equal(stack.methods[UNWIND_METHOD_table], 2);
}

static void a_frame_pointer_of_zero_is_a_threads_first(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + 0x10);
    fake_push(&fake, 0);
    run();
    EXPECT(bottom, CODE(F_16) + 8, NO_CFI + 0xf);
}

static void a_leaf_without_cfi_is_scanned_and_a_caller_is_not(void **state)
{
    fake_set(&fake, NO_CFI + 8, 3, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0x1000);
    fake_push(&fake, NO_CFI + 0x40); /* a word that points at code, but not at code with CFI */
    fake_push_address(&fake, F_16 + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, NO_CFI + 8, CODE(F_16) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_scan], 1);

    clear();
    fake_set(&fake, CODE(F_16) + 8, 3, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_16 + 8);
    run();
    EXPECT(no_rule, CODE(F_16) + 8, NO_CFI + 7);
}

/* As musl's libc_start_main_stage2: it never returns to what called it. */
static void a_caller_without_cfi_is_scanned_for_what_starts_a_program(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 3, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + 8);
    fake_push_address(&fake, F_16 + 8);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_16) + 8, NO_CFI + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_scan], 1);
}

#if defined(__aarch64__)
/* aarch64: a PLT's entry has no CFI, no frame, and leaves fp to its caller. */
static void a_leaf_without_cfi_has_its_caller_in_the_link_register(void **state)
{
    fake_set(&fake, NO_CFI + 8, STACK_BASE + 16, 0);
    fake.regs[arch_registers->ra] = CODE(F_16) + 8;
    fake_push(&fake, 0);
    fake_push_address(&fake, F_32 + 8);
    fake_push(&fake, STACK_BASE + 32); /* at fp: a frame */
    fake_push_address(&fake, F_FP + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, NO_CFI + 8, CODE(F_16) + 7, CODE(F_32) + 7, CODE(F_START) + 7);
    /* One that has called since has its own address there. */
    fake.regs[arch_registers->ra] = NO_CFI + 4;
    run();
    EXPECT(bottom, NO_CFI + 8, CODE(F_FP) + 7, CODE(F_START) + 7);
}
#endif

static void nothing_is_scanned_for_far_up(void **state)
{
    fake_set(&fake, NO_CFI + 8, 3, 0);
    for (int i = 0; i < 100; i++)
        fake_push(&fake, 0x1000);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(no_rule, NO_CFI + 8);
}

/* ---- signals */

static void below_a_handler_lies_what_it_interrupted(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_SIGNAL + 1);
    size_t frame = fake.count;
    fake_push_signal_frame(&fake, 0, 0, 0);
    uint64_t sp = fake_top(&fake);
    fake.count = frame;
    /* Interrupted on F_FP's first byte: its rule is looked up there, not before. */
    fake_push_signal_frame(&fake, CODE(F_FP), sp, sp + 8);
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_SIGNAL), CODE(F_FP), CODE(F_START) + 7);
}

static void a_handler_on_a_stack_of_its_own_is_all_there_is(void **state)
{
    static const uint64_t elsewhere[] = {UINT64_C(0x7ffd00000000), UINT64_C(0x10000000)};
    for (size_t i = 0; i < ARRAY_LEN(elsewhere); i++) {
        clear();
        fake_set(&fake, CODE(F_16) + 8, 0, 0);
        fake_push(&fake, 0);
        fake_push_address(&fake, F_SIGNAL + 1);
        fake_push_signal_frame(&fake, CODE(F_16) + 4, elsewhere[i], 0);
        run();
        EXPECT(truncated, CODE(F_16) + 8, CODE(F_SIGNAL), CODE(F_16) + 4);
    }
}

static void a_signal_frame_that_is_cut_is_truncated(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_SIGNAL + 1);
    fake_push_signal_frame(&fake, CODE(F_16), STACK_BASE, 0);
    for (size_t count = fake.count - 1; count >= 2; count--) {
        fake.count = count;
        run();
        EXPECT(truncated, CODE(F_16) + 8, CODE(F_SIGNAL));
    }
}

static void signal_frames_that_lead_to_themselves_end(void **state)
{
    fake_set(&fake, CODE(F_SIGNAL), 0, 0);
    fake_push_signal_frame(&fake, CODE(F_SIGNAL), STACK_BASE, 0);
    run();
    assert_true(stack.count >= 1 && stack.count <= UNWIND_FRAMES_MAX);
    assert_int_not_equal(stack.end, UNWIND_END_bottom);
}

/* ---- the kernel's part */

static void below_the_kernels_frames_come_ours_once_each(void **state)
{
    push_four_frames();
    const uint64_t chain[] = {PERF_CONTEXT_KERNEL, K(1), K(9),           PERF_CONTEXT_USER,
                              CODE(F_16) + 8,      0x42, CODE(F_32) + 8, 0x99};
    struct unwind_sample sample = fake_sample(&fake);
    sample.ip = K(1);
    sample.chain = chain;
    sample.chain_count = ARRAY_LEN(chain);
    sample.chain_max = 127;
    run_sample(&sample);
    EXPECT(bottom, K(1), K(9) - 1, CODE(F_16) + 8, CODE(F_32) + 7, CODE(F_FP) + 7,
           CODE(F_START) + 7);
    assert_true(stack.frames[0].kernel && stack.frames[1].kernel && !stack.frames[2].kernel);
    assert_int_equal(stack.methods[UNWIND_METHOD_chain], 0);
}

static void without_registers_or_for_other_abis_the_kernels_chain_serves(void **state)
{
    push_four_frames();
    const uint64_t chain[] = {PERF_CONTEXT_KERNEL, K(1), PERF_CONTEXT_USER, CODE(F_16) + 8,
                              CODE(F_32) + 8,      0x42, CODE(F_FP) + 8};
    struct unwind_sample with = fake_sample(&fake);
    with.chain = chain;
    with.chain_count = ARRAY_LEN(chain);
    for (int i = 0; i < 4; i++) {
        struct unwind_sample sample = with;
        if (i == 0)
            sample.regs = NULL;
        else if (i == 1)
            sample.stack = NULL;
        else if (i == 2)
            sample.regs_abi = PERF_SAMPLE_REGS_ABI_32;
        else
            sample.regs_mask = fake_regs_mask & ~UINT64_C(0x40000080); /* no sp or no ra */
        run_sample(&sample);
        EXPECT(unmapped, K(1), CODE(F_16) + 8, CODE(F_32) + 7);
        assert_int_equal(stack.methods[UNWIND_METHOD_chain], 2);
    }
}

static void a_process_in_execve_has_no_user_part(void **state)
{
    const uint64_t chain[] = {PERF_CONTEXT_KERNEL, K(1), K(9)};
    fake_set(&fake, 0x42, 0, 0);
    fake_push(&fake, 0);
    struct unwind_sample sample = fake_sample(&fake);
    sample.chain = chain;
    sample.chain_count = ARRAY_LEN(chain);
    run_sample(&sample);
    EXPECT(kernel_only, K(1), K(9) - 1);
}

static void more_frames_than_a_stack_holds_are_cut_at_the_root(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    for (int i = 0; i < 1000; i++) {
        fake_push(&fake, 0);
        fake_push_address(&fake, F_16 + 8);
    }
    run();
    assert_int_equal(stack.count, UNWIND_FRAMES_MAX);
    assert_int_equal(stack.end, UNWIND_END_truncated);
}

/* ---- what is remembered */

static void pcs_are_remembered_until_the_space_changes(void **state)
{
    push_four_frames();
    run();
    unsigned asked = fake.asked;
    assert_int_equal(asked, 4);
    run();
    assert_int_equal(fake.asked, asked);
    /* The process maps other code there: a new id. */
    fake.id = 2;
    fake.moved = F_16;
    run();
    assert_true(fake.asked > asked);
    assert_int_equal(stack.frames[0].offset, CFI_ELF_OFFSET + F_32 + 8);
    /* And back: what was remembered of the first is still right. */
    fake.id = 1;
    fake.moved = 0;
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_32) + 7, CODE(F_FP) + 7, CODE(F_START) + 7);
    asked = fake.asked;
    unwinder_forget(unwinder);
    run();
    assert_int_equal(fake.asked, asked + 4);
}

static void ids_never_mix(void **state)
{
    push_four_frames();
    for (uint32_t i = 0; i < 20000; i++) {
        fake.id = i;
        fake.moved = (i & 1) * 0x100;
        run();
        assert_int_equal(stack.frames[0].offset, CFI_ELF_OFFSET + F_16 + 8 + fake.moved);
    }
}

static void what_is_pending_is_not_remembered(void **state)
{
    push_four_frames();
    fake.pending = true;
    run();
    /* Nor is a caller guessed meanwhile. */
    assert_int_equal(stack.count, 1);
    assert_int_equal(stack.end, UNWIND_END_no_rule);
    fake.pending = false;
    run();
    EXPECT(bottom, CODE(F_16) + 8, CODE(F_32) + 7, CODE(F_FP) + 7, CODE(F_START) + 7);
}

static void addresses_that_are_nowhere_are_remembered_too(void **state)
{
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push(&fake, 0x4242);
    run();
    unsigned asked = fake.asked;
    run();
    assert_int_equal(fake.asked, asked);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(frames_are_found_by_table_to_the_bottom),
        TEST(of_a_cut_dump_what_it_holds_is_kept_and_marked),
        TEST(a_return_address_belongs_to_the_call_before_it),
        TEST(a_realigned_stack_is_known_by_a_register_at_the_leaf_and_by_memory_above),
        TEST(a_return_address_may_be_in_a_register_at_the_leaf_alone),
        TEST(a_stack_that_does_not_grow_ends),
        TEST(a_frame_pointer_that_leads_back_ends_it),
        TEST(what_should_be_a_caller_but_is_no_code_ends_it),
        TEST(a_return_address_of_zero_is_the_bottom),
#if defined(__aarch64__)
        TEST(a_signed_return_address_is_taken_for_where_it_points),
#endif
        TEST(code_without_cfi_is_passed_by_its_frame_pointer),
        TEST(a_frame_pointer_of_zero_is_a_threads_first),
        TEST(a_leaf_without_cfi_is_scanned_and_a_caller_is_not),
        TEST(a_caller_without_cfi_is_scanned_for_what_starts_a_program),
#if defined(__aarch64__)
        TEST(a_leaf_without_cfi_has_its_caller_in_the_link_register),
#endif
        TEST(nothing_is_scanned_for_far_up),
        TEST(below_a_handler_lies_what_it_interrupted),
        TEST(a_handler_on_a_stack_of_its_own_is_all_there_is),
        TEST(a_signal_frame_that_is_cut_is_truncated),
        TEST(signal_frames_that_lead_to_themselves_end),
        TEST(below_the_kernels_frames_come_ours_once_each),
        TEST(without_registers_or_for_other_abis_the_kernels_chain_serves),
        TEST(a_process_in_execve_has_no_user_part),
        TEST(more_frames_than_a_stack_holds_are_cut_at_the_root),
        TEST(pcs_are_remembered_until_the_space_changes),
        TEST(ids_never_mix),
        TEST(what_is_pending_is_not_remembered),
        TEST(addresses_that_are_nowhere_are_remembered_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
