/* test_unwind_more.c: where tables do not serve: libunwind goes on by CFI that no rule says, and a
 * cut stack by what memory holds now. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "cfi_elf.h"
#include "fake_stack.h"
#include "unwind/cfi_image.h"
#include "unwind/table.h"

#define CODE(function) (CFI_ELF_ADDRESS + (function))

static struct unwind_stack stack;
static struct unwinder *unwinder;
static struct fake fake;

static int make(void **state)
{
    fake = (struct fake){.table = fake_table(), .id = 1};
    _cleanup_close_ int fd = fake_file();
    assert_int_equal(cfi_image_read(fd, 1 << 20, &fake.image, NULL), 0);
    return unwinder_new(&unwinder, NULL);
}

static int unmake(void **state)
{
    unwinder_free(&unwinder);
    unwind_table_free(&fake.table);
    cfi_image_free(&fake.image);
    return 0;
}

static void run(void)
{
    struct unwind_space space = fake_space(&fake);
    struct unwind_sample sample = fake_sample(&fake);
    unwinder_run(unwinder, &sample, &space, &stack);
}

static void expect(enum unwind_end end, size_t count, const uint64_t *pcs)
{
    for (size_t i = 0; i < stack.count && i < count; i++)
        assert_int_equal(stack.frames[i].pc, pcs[i]);
    assert_int_equal(stack.count, count);
    assert_int_equal(stack.end, end);
}
#define EXPECT(end, ...)                                                           \
    expect(UNWIND_END_##end, sizeof((uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t), \
           (uint64_t[]){__VA_ARGS__})

/* A leaf that keeps the register, its caller whose CFA that register is, and what is above. */
static void push_kept(void)
{
    fake_set(&fake, CODE(F_KEEPS) + 4, 0xdead, 0xbad); /* libunwind ends at an fp of zero */
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 5 * 8 - 16); /* fake_kept: CFA of F_OTHER, less 16 */
    fake_push_address(&fake, F_OTHER + 8);
    fake_push_address(&fake, F_START + 8); /* at the CFA of F_OTHER, less 8 */
    fake_push(&fake, 0);
}

static void a_register_that_callers_keep_is_recovered_by_libunwind(void **state)
{
    push_kept();
    run();
    EXPECT(bottom, CODE(F_KEEPS) + 4, CODE(F_OTHER) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_table], 1);
    assert_int_equal(stack.methods[UNWIND_METHOD_libunwind], 1);
}

static void without_the_objects_cfi_such_a_stack_ends_there(void **state)
{
    cfi_image_free(&fake.image);
    push_kept();
    run();
    EXPECT(no_rule, CODE(F_KEEPS) + 4, CODE(F_OTHER) + 7);
}

static void cfi_that_no_rule_says_is_evaluated_by_libunwind(void **state)
{
    fake_set(&fake, CODE(F_SUM) + 4, 0xdead, 0);
    fake_push(&fake, 32); /* CFA = sp + *sp */
    fake_push(&fake, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_16 + 8);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_SUM) + 4, CODE(F_16) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_libunwind], 1);
}

static void an_expression_without_end_ends(void **state)
{
    fake_set(&fake, CODE(F_ENDLESS) + 4, 0xdead, 0);
    for (int i = 0; i < 64; i++)
        fake_push(&fake, 0);
    int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    run();
    assert_in_range(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start, 0, NS_PER_SEC);
    assert_int_equal(stack.count, 1);
    assert_in_range(stack.readings, 1000, 100000); /* and that is told */
}

/* Each goes up from the leaf again. */
static void a_stack_of_such_frames_alone_ends_soon(void **state)
{
    fake_set(&fake, CODE(F_SUM) + 4, 0xdead, 0);
    for (int i = 0; i < 400; i++) {
        fake_push(&fake, 16); /* CFA = sp + *sp */
        fake_push_address(&fake, F_SUM + 8);
    }
    run();
    assert_int_equal(stack.end, UNWIND_END_no_rule);
    assert_in_range(stack.count, 2, 20);
    assert_in_range(stack.readings, 1, 100000);
}

static void many_processes_share_few_of_libunwinds_spaces(void **state)
{
    push_kept();
    for (fake.id = 1; fake.id < 100; fake.id++) {
        run();
        assert_int_equal(stack.end, UNWIND_END_bottom);
    }
    for (fake.id = 99; fake.id > 0; fake.id--) {
        run();
        assert_int_equal(stack.end, UNWIND_END_bottom);
    }
}

/* ---- what a cut copy lacks */

static void push_cut(void)
{
    fake_set(&fake, CODE(F_16) + 4, 0, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_32 + 8);
    fake_push(&fake, 0);
}

static void a_cut_stack_says_how_much_more_it_needed(void **state)
{
    push_cut();
    run();
    EXPECT(truncated, CODE(F_16) + 4, CODE(F_32) + 7);
    assert_int_equal(stack.stack_used, 16 + 32);
}

static void a_whole_stack_says_how_much_it_needed(void **state)
{
    fake_set(&fake, CODE(F_16) + 4, 0, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    for (int i = 0; i < 100; i++)
        fake_push(&fake, 0);
    run();
    assert_int_equal(stack.end, UNWIND_END_bottom);
    assert_int_equal(stack.stack_used, 16);
}

static void a_cut_stack_goes_on_in_memory_and_says_so(void **state)
{
    /* F_32's frame pointer, its return address, then F_16's frame. */
    const uint64_t tail[] = {0, 0, CODE(F_16) + 8, 0, CODE(F_START) + 8};
    push_cut();
    fake.tail = tail;
    fake.tail_words = 5;
    run();
    EXPECT(bottom, CODE(F_16) + 4, CODE(F_32) + 7, CODE(F_16) + 7, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_table], 1);
    assert_int_equal(stack.methods[UNWIND_METHOD_live], 2);
    /* The frame that is cut and the return address below it. */
    assert_int_equal(fake.tail_checked, 3 * 8);
}

static void memory_that_ends_too_early_leaves_it_cut(void **state)
{
    const uint64_t tail[] = {0, 0, CODE(F_16) + 8, 0};
    push_cut();
    fake.tail = tail;
    fake.tail_words = 4;
    run();
    EXPECT(truncated, CODE(F_16) + 4, CODE(F_32) + 7, CODE(F_16) + 7);
    fake.tail_words = 0;
    run();
    EXPECT(truncated, CODE(F_16) + 4, CODE(F_32) + 7);
}

/* ---- code without CFI, which can be read */

static void a_handler_of_a_libc_without_cfi_leads_to_what_it_interrupted(void **state)
{
#if defined(__x86_64__)
    static const uint8_t code[] = {0x90, 0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05};
    const uint64_t return_to = NO_CFI + 1;
#else
    static const uint8_t code[] = {0x1f, 0x20, 0x03, 0xd5, 0x68, 0x11, 0x80, 0xd2, 1, 0, 0, 0xd4};
    const uint64_t return_to = NO_CFI + 4;
#endif
    fake.code = code;
    fake.code_len = sizeof(code);
    fake_set(&fake, CODE(F_16) + 8, 0, 0);
    fake_push(&fake, 0);
    fake_push(&fake, return_to);
    size_t frame = fake.count;
    fake_push_signal_frame(&fake, CODE(F_16) + 0x20, 0, 0);
    uint64_t sp = fake_top(&fake);
    fake.count = frame;
    fake_push_signal_frame(&fake, CODE(F_16) + 0x20, sp, 0);
    fake_push(&fake, 0);
    fake_push_address(&fake, F_START + 8);
    run();
    EXPECT(bottom, CODE(F_16) + 8, return_to - 1, CODE(F_16) + 0x20, CODE(F_START) + 7);
    assert_int_equal(stack.methods[UNWIND_METHOD_code], 1);
    run();
    assert_int_equal(stack.end, UNWIND_END_bottom);
    assert_int_equal(fake.code_read, 1);
}

/* push rbx; sub rsp, 16; call rax; nop; add rsp, 16; pop rbx; ret; on aarch64 likewise. Where the
 * call returns to is FRAME_RETURN. */
#if defined(__x86_64__)
static const uint8_t frame_code[] = {0x53, 0x48, 0x83, 0xec, 0x10, 0xff, 0xd0,
                                     0x90, 0x48, 0x83, 0xc4, 0x10, 0x5b, 0xc3};
enum { FRAME_RETURN = 7, FRAME_WORDS = 4, FRAME_RA = 3 };
#else
static const uint8_t frame_code[] = {0xff, 0x83, 0x00, 0xd1, 0xfe, 0x0b, 0x00, 0xf9,
                                     0x00, 0x00, 0x3f, 0xd6, 0xfe, 0x0b, 0x40, 0xf9,
                                     0xff, 0x83, 0x00, 0x91, 0xc0, 0x03, 0x5f, 0xd6};
enum { FRAME_RETURN = 12, FRAME_WORDS = 4, FRAME_RA = 2 };
#endif

static void push_frame(uint64_t return_address)
{
    for (int i = 0; i < FRAME_WORDS; i++)
        fake_push(&fake, i == FRAME_RA ? return_address : 0);
}

static void code_without_cfi_is_followed_to_where_it_returns(void **state)
{
    fake.code = frame_code;
    fake.code_len = sizeof(frame_code);
    fake_set(&fake, CODE(F_16) + 8, 0xdead, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + FRAME_RETURN);
    push_frame(NO_CFI + FRAME_RETURN);
    push_frame(CODE(F_START) + 8);
    for (int i = 0; i < 3; i++) {
        run();
        EXPECT(bottom, CODE(F_16) + 8, NO_CFI + FRAME_RETURN - 1, NO_CFI + FRAME_RETURN - 1,
               CODE(F_START) + 7);
        assert_int_equal(stack.methods[UNWIND_METHOD_code], 2);
        assert_int_equal(stack.methods[UNWIND_METHOD_table], 1);
    }
    assert_int_equal(fake.code_read, 1);
    /* Code made at run time may be another by the next window. */
    unwinder_forget(unwinder);
    run();
    assert_int_equal(fake.code_read, 1);
    unwinder_forget(unwinder);
    unwinder_forget_code(unwinder);
    run();
    assert_int_equal(fake.code_read, 2);
}

static void what_following_code_leads_to_must_be_code(void **state)
{
    fake.code = frame_code;
    fake.code_len = sizeof(frame_code);
    fake_set(&fake, CODE(F_16) + 8, 0xdead, 0);
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + FRAME_RETURN);
    push_frame(0x1234);
    run();
    EXPECT(no_rule, CODE(F_16) + 8, NO_CFI + FRAME_RETURN - 1);
    assert_int_equal(stack.methods[UNWIND_METHOD_code], 0);
}

/* Of a call from a compiled method to an interpreted one HotSpot lays the arguments down between.
 */
static void behind_an_interpreters_frame_lie_its_callers_arguments(void **state)
{
    fake.code = frame_code;
    fake.code_len = sizeof(frame_code);
    fake.made = true;
    /* At +0x100 nothing can be read: the interpreter, with a frame pointer. */
    fake_set(&fake, NO_CFI + 0x100, STACK_BASE + 2 * 8, 0);
    fake_push(&fake, 0);
    fake_push(&fake, STACK_BASE + 7 * 8); /* where the caller's stack begins */
    fake_push(&fake, 0);
    fake_push(&fake, NO_CFI + FRAME_RETURN);
    for (int i = 0; i < 3; i++)
        fake_push(&fake, 0x77); /* arguments */
    push_frame(CODE(F_START) + 8);
    run();
    EXPECT(bottom, NO_CFI + 0x100, NO_CFI + FRAME_RETURN - 1, CODE(F_START) + 7);
}

/* ---- images */

static void an_image_knows_its_addresses(void **state)
{
    uint64_t address, word;
    assert_true(cfi_image_address(fake.image, CFI_ELF_OFFSET + 0x123, &address));
    assert_int_equal(address, CODE(0x123));
    assert_false(cfi_image_address(fake.image, CFI_ELF_OFFSET + F_END, &address));
    assert_true(cfi_image_word(fake.image, CODE(0), &word)); /* loaded, and no CFI */
    assert_int_equal(word, 0);
    assert_false(cfi_image_word(fake.image, 0x10, &word));
    assert_int_equal(cfi_image_index(fake.image).count, 14);
    assert_true(cfi_image_bytes(fake.image) > 14 * 24);
}

static void an_image_too_large_or_without_index_is_refused(void **state)
{
    struct cfi_image *image = NULL;
    _cleanup_close_ int fd = fake_file();
    assert_int_equal(cfi_image_read(fd, 64, &image, NULL), -EFBIG);
    _cleanup_close_ int bare = cfi_elf_open(&(struct cfi_elf){.machine = 62, .code_bytes = 16});
    assert_int_equal(cfi_image_read(bare, 1 << 20, &image, NULL), -ENODATA);
    assert_null(image);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_register_that_callers_keep_is_recovered_by_libunwind),
        TEST(without_the_objects_cfi_such_a_stack_ends_there),
        TEST(cfi_that_no_rule_says_is_evaluated_by_libunwind),
        TEST(an_expression_without_end_ends),
        TEST(a_stack_of_such_frames_alone_ends_soon),
        TEST(many_processes_share_few_of_libunwinds_spaces),
        TEST(a_cut_stack_says_how_much_more_it_needed),
        TEST(a_whole_stack_says_how_much_it_needed),
        TEST(a_cut_stack_goes_on_in_memory_and_says_so),
        TEST(memory_that_ends_too_early_leaves_it_cut),
        TEST(a_handler_of_a_libc_without_cfi_leads_to_what_it_interrupted),
        TEST(code_without_cfi_is_followed_to_where_it_returns),
        TEST(what_following_code_leads_to_must_be_code),
        TEST(behind_an_interpreters_frame_lie_its_callers_arguments),
        TEST(an_image_knows_its_addresses),
        TEST(an_image_too_large_or_without_index_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
