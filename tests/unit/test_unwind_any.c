/* test_unwind_any.c: whatever a stack, its registers, its code and its CFI's expressions hold,
 * unwinding ends, and each frame was found by a step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "cfi_elf.h"
#include "fake_stack.h"
#include "unwind/cfi_image.h"
#include "unwind/table.h"

#define CODE(function) (CFI_ELF_ADDRESS + (function))

static struct unwind_stack stack; /* too large for a test's frame */
static struct unwinder *unwinder;
static struct fake fake;
static size_t ends[UNWIND_END_COUNT], methods[UNWIND_METHOD_COUNT];

static int make(void **state)
{
    fake = (struct fake){.table = fake_table(), .id = 1};
    memset(ends, 0, sizeof(ends));
    memset(methods, 0, sizeof(methods));
    return unwinder_new(&unwinder, NULL);
}

static int unmake(void **state)
{
    unwinder_free(&unwinder);
    unwind_table_free(&fake.table);
    cfi_image_free(&fake.image);
    return 0;
}

static uint64_t random_state = 3;

static uint64_t random_number(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return random_state >> 33;
}

static uint64_t random_word(void)
{
    switch (random_number() % 5) {
    case 0:
        return CODE(random_number() % F_END);
    case 1:
        return STACK_BASE + (random_number() % 64) * 8;
    case 2:
        return NO_CFI + random_number() % 0x1000;
    case 3:
        return random_number() << 33 | random_number();
    default:
        return random_number() % 3;
    }
}

static void run_any(void)
{
    fake.count = 0;
    memset(fake.words, 0, sizeof(fake.words));
    fake_set(&fake, random_word(), random_word(), random_word());
    size_t words = random_number() % 64, steps = 0;
    for (size_t k = 0; k < words; k++)
        fake_push(&fake, random_word());
    struct unwind_space space = fake_space(&fake);
    struct unwind_sample sample = fake_sample(&fake);
    unwinder_run(unwinder, &sample, &space, &stack);
    assert_true(stack.count >= 1 && stack.count <= UNWIND_FRAMES_MAX);
    for (size_t k = 0; k < UNWIND_METHOD_COUNT; k++) {
        steps += stack.methods[k];
        methods[k] += stack.methods[k];
    }
    /* A step to what is no code, or has no room, gives no frame. */
    if (stack.end == UNWIND_END_unmapped || stack.count == UNWIND_FRAMES_MAX)
        steps--;
    assert_int_equal(steps + 1, stack.count);
    ends[stack.end]++;
}

static void any_stack_ends(void **state)
{
    for (int i = 0; i < 100000; i++)
        run_any();
    assert_true(ends[UNWIND_END_bottom] > 100 && ends[UNWIND_END_truncated] > 100 &&
                ends[UNWIND_END_no_rule] > 100 && ends[UNWIND_END_unmapped] > 100 &&
                ends[UNWIND_END_stuck] > 100);
}

/* Code that can be followed is rare among what is not code: returns are strewn in. */
static void make_code(uint8_t *code, size_t len)
{
    static const uint8_t returns[] = {0xc3, 0x5d, 0xc9, 0x58};
    for (size_t i = 0; i < len; i++)
        code[i] = random_number() % 3 ? (uint8_t)random_number() : returns[random_number() % 4];
}

static void any_stack_ends_by_whatever_way(void **state)
{
    static uint8_t code[0x1000];
    static uint64_t tail[64];
    _cleanup_close_ int fd = fake_file();
    assert_int_equal(cfi_image_read(fd, 1 << 20, &fake.image, NULL), 0);
    fake.code = code;
    fake.code_len = sizeof(code);
    for (int i = 0; i < 30000; i++) {
        if (i % 300 == 0) {
            make_code(code, sizeof(code));
            unwinder_forget(unwinder);
            unwinder_forget_code(unwinder);
        }
        for (size_t k = 0; k < 64; k++)
            tail[k] = random_word();
        fake.tail = i % 2 ? tail : NULL;
        fake.tail_words = random_number() % 64;
        fake.made = random_number() % 2;
        run_any();
    }
    assert_true(methods[UNWIND_METHOD_table] > 100 && methods[UNWIND_METHOD_live] > 100);
#if defined(__x86_64__) /* whose code this is; libunwind rarely comes to a caller by chance */
    assert_true(methods[UNWIND_METHOD_code] > 100 && methods[UNWIND_METHOD_libunwind] > 0);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_stack_ends, make, unmake),
        cmocka_unit_test_setup_teardown(any_stack_ends_by_whatever_way, make, unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
