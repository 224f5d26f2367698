/* test_stacker.c: what it may cost to look at the code of a process that is out for trouble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/process.h"
#include "agent/record.h"
#include "agent/stacker.h"
#include "agent/tables.h"
#include "base/clock.h"
#include "fake_stack.h"

#define PID  10u
#define CODE UINT64_C(0x500000000)

static struct objects *objects;
static struct processes *processes;
static struct tables *tables;
static struct counters counters;
static struct stacker *stacker;
static struct fake fake;
static uint64_t peeked;

static void open_nothing(void *ctx, struct object *object, const struct object_place *place)
{
}

static bool rescan_nothing(void *ctx, struct process *process, uint64_t now)
{
    return false;
}

/* Code that says nothing: traps. */
static size_t peek(void *ctx, const struct process *process, uint64_t address, void *to, size_t len)
{
    peeked++;
    memset(to, 0xcc, len);
    return len;
}

static int make(void **state)
{
    struct tables_config none = {.max_bytes = 1 << 20};
    struct stacker_config config = {
        .regs_mask = fake_regs_mask, .open = open_nothing, .rescan = rescan_nothing, .peek = peek};
    memset(&counters, 0, sizeof(counters));
    peeked = 0;
    if (objects_new(&objects, NULL) < 0 ||
        processes_new(objects, (uint64_t)NS_PER_SEC, &processes, NULL) < 0 ||
        tables_start(&none, objects, &counters, &tables, NULL) < 0)
        return -1;
    config.tables = tables;
    struct record code = {.kind = RECORD_MMAP,
                          .pid = PID,
                          .tid = PID,
                          .mmap = {.start = CODE,
                                   .len = UINT64_C(1) << 32,
                                   .prot = PROT_READ | PROT_EXEC,
                                   .path = "//anon"}};
    return processes_apply(processes, &code) < 0 ||
           stacker_new(&config, objects, &counters, &stacker, NULL) < 0;
}

static int unmake(void **state)
{
    stacker_free(&stacker);
    tables_stop(&tables);
    processes_free(&processes);
    objects_free(&objects);
    return 0;
}

/* A stack of frame pointers, no pc of which was ever seen before. */
static const struct unwind_stack *run_at(uint64_t time)
{
    static uint64_t pc = CODE;
    fake.count = 0;
    fake_set(&fake, pc += 64, STACK_BASE, 0);
    while (fake.count < 1000) {
        fake_push(&fake, fake_top(&fake) + 16);
        fake_push(&fake, pc += 64);
    }
    struct unwind_sample from = fake_sample(&fake);
    struct record_sample sample = {.ip = from.ip,
                                   .regs = from.regs,
                                   .regs_abi = from.regs_abi,
                                   .stack = from.stack,
                                   .stack_len = from.stack_len,
                                   .stack_room = from.stack_len};
    return stacker_run(stacker, processes_find(processes, PID), time, &sample);
}

static void frames_without_end_cost_no_more_than_is_granted(void **state)
{
    uint64_t now = 1000 * (uint64_t)NS_PER_SEC;
    for (unsigned i = 0; i < 100; i++)
        assert_true(run_at(now)->count > 400);
    assert_in_range(peeked, 3000, 4000);
    assert_true(counters.peeks_refused > 10000);
    /* What is refused is not counted as read, and is granted again with time. */
    uint64_t before = peeked;
    for (unsigned i = 0; i < 100; i++)
        run_at(now + (uint64_t)NS_PER_SEC * i / 100);
    assert_in_range(peeked - before, 400, 500);
    before = peeked;
    run_at(now - (uint64_t)NS_PER_SEC); /* a sample that waited */
    assert_in_range(peeked - before, 0, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_without_end_cost_no_more_than_is_granted, make,
                                        unmake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
