/* test_unwind_self.c: this program's own stacks, taken in a signal handler wherever it was
 * interrupted, are what backtrace(3) sees: real registers, a real stack, the real files' CFI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <alloca.h>
#include <asm/perf_regs.h>
#include <cmocka.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "unwind/table.h"
#include "unwind/unwind.h"

#define SAMPLES     200
#define STACK_BYTES 16384u
#define FRAMES      128
#define CODE_MAX    64
#define DEPTH       40

struct sample {
    uint64_t regs[64];
    uint8_t stack[STACK_BYTES];
    size_t stack_len;
    void *frames[FRAMES];
    int frame_count;
};

static struct sample samples[SAMPLES];
static volatile sig_atomic_t sample_count;
static uintptr_t stack_end;

static struct code {
    uintptr_t start, end;
    uint64_t offset;
    struct unwind_table *table;
} code[CODE_MAX];
static size_t code_count;

#if defined(__x86_64__)
#define REGS_MASK (UINT64_C(0x1ff) | UINT64_C(0xff) << PERF_REG_X86_R8)
static uintptr_t load_registers(const ucontext_t *u, uint64_t *to)
{
    static const int order[] = {REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI,
                                REG_RBP, REG_RSP, REG_RIP, REG_R8,  REG_R9,  REG_R10,
                                REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    for (size_t i = 0; i < ARRAY_LEN(order); i++)
        to[i] = (uint64_t)u->uc_mcontext.gregs[order[i]];
    return (uintptr_t)u->uc_mcontext.gregs[REG_RSP];
}
#else
#define REGS_MASK ((UINT64_C(1) << 33) - 1)
static uintptr_t load_registers(const ucontext_t *u, uint64_t *to)
{
    for (size_t i = 0; i < 31; i++)
        to[i] = u->uc_mcontext.regs[i];
    to[31] = u->uc_mcontext.sp;
    to[32] = u->uc_mcontext.pc;
    return u->uc_mcontext.sp;
}
#endif

/* Bytes of a stack that a sanitizer has marked as no one's, too. */
__attribute__((no_sanitize("address"))) static void copy_stack(uint8_t *to, uintptr_t from,
                                                               size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = ((const volatile uint8_t *)from)[i];
}

static void take_sample(int number, siginfo_t *info, void *context)
{
    if (sample_count == SAMPLES)
        return;
    struct sample *s = &samples[sample_count];
    uintptr_t sp = load_registers(context, s->regs);
    s->stack_len = stack_end - sp < STACK_BYTES ? stack_end - sp : STACK_BYTES;
    copy_stack(s->stack, sp, s->stack_len);
    s->frame_count = backtrace(s->frames, FRAMES);
    sample_count++;
}

static int add_code(struct dl_phdr_info *info, size_t size, void *ctx)
{
    _cleanup_close_ int fd =
        open(info->dlpi_name[0] ? info->dlpi_name : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; fd >= 0 && i < info->dlpi_phnum && code_count < CODE_MAX; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
            continue;
        struct code *c = &code[code_count++];
        c->start = info->dlpi_addr + p->p_vaddr;
        c->end = c->start + p->p_filesz;
        c->offset = p->p_offset;
        int r = unwind_table_build(fd, NULL, &c->table, NULL);
        assert_true(r == 0 || r == -ENODATA);
    }
    return 0;
}

static bool find(void *ctx, uint64_t pc, struct unwind_place *ret)
{
    for (size_t i = 0; i < code_count; i++) {
        if (pc < code[i].start || pc >= code[i].end)
            continue;
        *ret = (struct unwind_place){.object = &code[i],
                                     .offset = pc - code[i].start + code[i].offset,
                                     .table = code[i].table};
        return true;
    }
    return false;
}

static int start(void **state)
{
    void *frame;
    backtrace(&frame, 1); /* loads libgcc, which no handler may */
    pthread_attr_t attr;
    void *stack;
    size_t size;
    if (pthread_getattr_np(pthread_self(), &attr) || pthread_attr_getstack(&attr, &stack, &size))
        return -1;
    pthread_attr_destroy(&attr);
    stack_end = (uintptr_t)stack + size;
    dl_iterate_phdr(add_code, NULL);
    struct sigaction action = {.sa_sigaction = take_sample, .sa_flags = SA_SIGINFO | SA_RESTART};
    return sigaction(SIGUSR1, &action, NULL) || sigaction(SIGPROF, &action, NULL);
}

static int end(void **state)
{
    for (size_t i = 0; i < code_count; i++)
        unwind_table_free(&code[i].table);
    return 0;
}

static int none_yet(void **state)
{
    sample_count = 0;
    return 0;
}

/* Gives the frames that both have: backtrace's from the interrupted one on. It stops where there is
 * no CFI, as in a PLT of aarch64. */
static size_t compare(struct unwinder *u, const struct sample *s, size_t least_frames)
{
    static struct unwind_stack stack;
    struct unwind_sample in = {.regs_mask = REGS_MASK,
                               .regs = s->regs,
                               .regs_abi = PERF_SAMPLE_REGS_ABI_64,
                               .stack = s->stack,
                               .stack_len = s->stack_len};
    struct unwind_space space = {.id = 1, .find = find};
    unwinder_run(u, &in, &space, &stack);
    assert_true(stack.count > 0);
    int leaf = 0;
    while (leaf < s->frame_count && (uint64_t)(uintptr_t)s->frames[leaf] != stack.frames[0].pc)
        leaf++;
    size_t both = (size_t)(s->frame_count - leaf);
    if (both > stack.count)
        fail_msg("%zu frames, end %d, not %zu; the last at %#lx", stack.count, stack.end, both,
                 (unsigned long)stack.frames[stack.count - 1].pc);
    for (size_t i = 1; i < both; i++) {
        uint64_t expect = (uint64_t)(uintptr_t)s->frames[leaf + (int)i] - 1;
        if (stack.frames[i].pc != expect)
            fail_msg("frame %zu is %#lx, not %#lx", i, (unsigned long)stack.frames[i].pc,
                     (unsigned long)expect);
    }
    if (stack.end != UNWIND_END_bottom || stack.count < least_frames)
        fail_msg("end %d at %#lx, after %zu frames; interrupted at %#lx", stack.end,
                 (unsigned long)stack.frames[stack.count - 1].pc, stack.count,
                 (unsigned long)stack.frames[0].pc);
    return both;
}

static void compare_all(size_t least_samples, size_t least_frames)
{
    struct unwinder *u;
    assert_int_equal(unwinder_new(&u, NULL), 0);
    assert_true((size_t)sample_count >= least_samples);
    int whole = 0;
    for (int i = 0; i < sample_count; i++)
        whole += compare(u, &samples[i], least_frames) >= least_frames;
    assert_true(whole * 4 >= sample_count * 3);
    unwinder_free(&u);
}

#define LINK __attribute__((noinline))

static volatile unsigned sink;

LINK static unsigned go_down(int depth)
{
    if (depth == 0)
        raise(SIGUSR1);
    else
        sink += go_down(depth - 1);
    return sink + 1;
}

static void a_recursion_is_seen_to_its_bottom(void **state)
{
    go_down(DEPTH);
    compare_all(1, DEPTH + 3);
}

static int calls, raise_every;

LINK static int compare_and_raise(const void *a, const void *b)
{
    if (raise_every && calls++ % raise_every == 0)
        raise(SIGUSR1);
    return *(const int *)a - *(const int *)b;
}

static void a_callback_of_libcs_is_seen_with_its_caller(void **state)
{
    int numbers[100];
    for (int i = 0; i < 100; i++)
        numbers[i] = i * 37 % 100;
    raise_every = 7;
    qsort(numbers, 100, sizeof(*numbers), compare_and_raise);
    compare_all(20, 6);
}

/* Memory of a size not known before: it has a frame pointer, and a realigned stack. */
LINK static unsigned fill(int n, int depth)
{
    _Alignas(64) volatile char aligned[64];
    volatile char *more = alloca((size_t)n);
    more[0] = aligned[0] = (char)depth;
    if (depth == 0)
        raise(SIGUSR1);
    else
        sink += fill(n + 3, depth - 1);
    return (unsigned)(more[0] + aligned[0]);
}

static void realigned_and_variable_frames_are_passed(void **state)
{
    fill(5, 8);
    compare_all(1, 11);
}

LINK static unsigned go_round(int depth)
{
    return depth ? go_round(depth - 1) + sink : sink;
}

static void wherever_it_is_interrupted_it_is_the_same(void **state)
{
    raise_every = 0;
    struct itimerval every = {.it_interval.tv_usec = 1000, .it_value.tv_usec = 1000}, never = {0};
    setitimer(ITIMER_PROF, &every, NULL);
    char text[64];
    for (int i = 0; sample_count < SAMPLES && i < 100000000; i++) {
        int numbers[16];
        for (int k = 0; k < 16; k++)
            numbers[k] = (i * 31 + k * 7) % 97;
        qsort(numbers, 5, sizeof(*numbers), compare_and_raise);
        snprintf(text, sizeof(text), "%d %f", numbers[0], i / 3.0);
        sink += (unsigned)strtod(text, NULL) + go_round(i % 5);
    }
    setitimer(ITIMER_PROF, &never, NULL);
    compare_all(SAMPLES / 2, 3);
}

#define TEST(test) cmocka_unit_test_setup(test, none_yet)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_recursion_is_seen_to_its_bottom),
        TEST(a_callback_of_libcs_is_seen_with_its_caller),
        TEST(realigned_and_variable_frames_are_passed),
        TEST(wherever_it_is_interrupted_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, start, end);
}
