/* test_collector.c: records in their order become windows that keep to the wall clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ring.h"
#include "base/cleanup.h"
#include "collector_kit.h"
#include "record_bytes.h"

/* ---- windows */

static void the_first_window_is_early_and_the_others_keep_to_the_wall_clock(void **state)
{
    struct collector_kit *k = *state;
    start(k, 3, -1);
    tell_program(k, 10, "program");
    for (int64_t ms = 0; ms < 90000; ms += 500) {
        tell_sample(k, 10, ms);
        tick(k, ms);
    }
    collector_flush(k->collector, at(90000));
    assert_int_equal(k->window_count, 5);
    assert_window(k, 0, 3, 8, 10);
    assert_window(k, 1, 8, 30, 44);
    assert_window(k, 2, 30, 60, 60);
    assert_window(k, 3, 60, 90, 60);
    assert_window(k, 4, 90, 93, 6);
    assert_counter(k, windows, 5);
    assert_counter(k, samples, 180);
    for (size_t i = 0; i < k->window_count; i++)
        assert_int_equal(k->windows[i]->number, i + 1);
}

static void slots_are_of_the_clock_where_the_window_is(void **state)
{
    struct collector_kit *k = *state;
    start(k, 3, -1);
    tell_program(k, 10, "program");
    tell_sample(k, 10, 2500);  /* 5.5 s */
    tell_sample(k, 10, 8000);  /* 11 s */
    tell_sample(k, 10, 41000); /* 44 s */
    collector_flush(k->collector, at(42000));
    assert_int_equal(k->windows[0]->slot_ns, SEC);
    assert_int_equal(sample_of(k->windows[0], 0)->slot, 2);
    assert_int_equal(k->windows[1]->slot_ns, SEC);
    assert_int_equal(sample_of(k->windows[1], 0)->slot, 3);
    assert_window(k, 2, 30, 45, 1);
    assert_int_equal(k->windows[2]->slot_ns, 10 * SEC);
    assert_int_equal(sample_of(k->windows[2], 0)->slot, 1);
}

static void an_aligned_window_has_slots_of_ten_seconds(void **state)
{
    struct collector_kit *k = *state;
    start(k, 27, -1);
    tell_program(k, 10, "program");
    tell_sample(k, 10, 1000);
    tell_sample(k, 10, 15000); /* 42 s */
    collector_flush(k->collector, at(16000));
    assert_window(k, 0, 27, 30, 1); /* the first: its end comes before its five seconds */
    assert_window(k, 1, 30, 43, 1);
    assert_int_equal(k->windows[1]->slot_ns, 10 * SEC);
    assert_int_equal(sample_of(k->windows[1], 0)->slot, 1);
}

static void a_sample_behind_the_end_ends_the_window_without_a_tick(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell_sample(k, 10, 4999);
    tell_sample(k, 10, 5000);
    assert_int_equal(k->window_count, 1);
    assert_window(k, 0, 0, 5, 1);
    tell_sample(k, 10, 4998); /* it came late from another CPU: to the first slot of the next */
    collector_flush(k->collector, at(6000));
    assert_window(k, 1, 5, 6, 2);
    assert_int_equal(sample_of(k->windows[1], 0)->count, 2);
}

static void a_clock_set_forward_ends_the_window_in_the_old_time(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tick(k, 5000);
    tell_sample(k, 10, 8000);
    k->to_real_ns += 3600 * SEC;
    tick(k, 10000);
    tell_sample(k, 10, 11000);
    tick(k, 30000);
    assert_int_equal(k->window_count, 3);
    assert_window(k, 1, 5, 10, 1);
    assert_window(k, 2, 3610, 3630, 1);
}

static void a_clock_set_back_ends_the_window_in_the_old_time(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tick(k, 5000);
    tell_sample(k, 10, 8000);
    k->to_real_ns -= 3600 * SEC;
    tick(k, 10000);
    tell_sample(k, 10, 11000);
    tick(k, 30000);
    assert_int_equal(k->window_count, 3);
    assert_window(k, 1, 5, 10, 1);
    assert_window(k, 2, -3590, -3570, 1);
    tell_sample(k, 10, 31000);
    tick(k, 60000);
    assert_window(k, 3, -3570, -3540, 1);
}

static void a_clock_being_slewed_moves_only_the_next_windows(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    for (int64_t ms = 0; ms <= 95000; ms += 100) {
        k->to_real_ns += NS_PER_MS / 2;
        tick(k, ms);
    }
    assert_int_equal(k->window_count, 4);
    assert_window(k, 0, 0, 5, 0);
    assert_window(k, 1, 5, 30, 0);
    assert_window(k, 2, 30, 60, 0);
    assert_window(k, 3, 60, 90, 0);
}

static void a_long_silence_has_no_windows(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell_sample(k, 10, 1000);
    tick(k, 1000000);
    tell_sample(k, 10, 1001000);
    collector_flush(k->collector, at(1002000));
    assert_int_equal(k->window_count, 2);
    assert_window(k, 0, 0, 5, 1);
    assert_window(k, 1, 1000, 1002, 1);
}

static void flushing_twice_gives_one_window_and_a_sample_opens_the_next(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    collector_flush(k->collector, at(0));
    collector_flush(k->collector, at(0));
    assert_int_equal(k->window_count, 1);
    assert_true(k->windows[0]->end_ns > k->windows[0]->start_ns);
    tell_sample(k, 10, 2000);
    collector_flush(k->collector, at(3000));
    assert_int_equal(k->window_count, 2);
    assert_window(k, 1, 2, 3, 1);
}

/* ---- whose a sample is */

static void a_sample_says_its_process_thread_and_cpu(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell(k, &(struct record){.kind = RECORD_COMM, .pid = 10, .tid = 10, .comm = {"main loop"}});
    tell_sample(k, 10, 100);
    collector_flush(k->collector, at(200));
    const struct window *w = k->windows[0];
    const struct window_process *p = process_of(w, 0);
    assert_int_equal(p->pid, 10);
    assert_string_equal(p->name, "program");
    assert_string_equal(p->exe, "/bin/program");
    assert_int_equal(p->start_time, at(0));
    assert_int_equal(sample_of(w, 0)->cpu, 1);
    const struct window_thread *t = table_row(&w->threads, sample_of(w, 0)->thread);
    assert_string_equal(t->name, "main loop");
    assert_true(collector_knows_thread(k->collector, 10));
    assert_false(collector_knows_thread(k->collector, 11));
    assert_int_equal(collector_processes(k->collector), 1);
}

static void what_ran_before_an_exec_keeps_its_name(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "shell");
    tell_sample(k, 10, 100);
    tell(k, &(struct record){.kind = RECORD_COMM, .pid = 10, .tid = 10, .comm = {"true", true}});
    tell_sample(k, 10, 200);
    collector_flush(k->collector, at(300));
    const struct window *w = k->windows[0];
    assert_string_equal(process_of(w, 0)->name, "shell");
    assert_string_equal(process_of(w, 1)->name, "true");
    assert_string_equal(stack_of(w, 0), "/bin/program+101f /bin/program+1010");
}

static void a_process_that_has_ended_still_names_its_late_samples(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell(k, &(struct record){.kind = RECORD_EXIT, .time = at(100), .pid = 10, .tid = 10});
    tick(k, 1900);
    tell_sample(k, 10, 110);
    tick(k, 4500);
    assert_int_equal(collector_processes(k->collector), 0);
    tell_sample(k, 10, 4600);
    collector_flush(k->collector, at(4700));
    assert_string_equal(process_of(k->windows[0], 0)->name, "program");
    assert_string_equal(process_of(k->windows[0], 1)->name, "");
    assert_counter(k, samples_no_process, 1);
}

static void an_unknown_process_is_counted_and_kept_by_its_pid(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_sample(k, 77, 100);
    tell_sample(k, UINT32_MAX, 100); /* a task that is dying has no pid any more */
    collector_flush(k->collector, at(200));
    assert_counter(k, samples_no_process, 2);
    assert_int_equal(process_of(k->windows[0], 0)->pid, 77);
    assert_string_equal(process_of(k->windows[0], 0)->name, "");
    assert_int_equal(process_of(k->windows[0], 1)->pid, UINT32_MAX);
    assert_int_equal(k->windows[0]->sample_count, 2);
}

/* This very process, whom no record told of. */
static void an_unknown_process_is_read_from_proc(void **state)
{
    struct collector_kit *k = *state;
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    start(k, 0, proc);
    const uint64_t pc = (uintptr_t)an_unknown_process_is_read_from_proc;
    TELL_STACK(k, (uint32_t)getpid(), 100, PERF_CONTEXT_USER, pc);
    collector_flush(k->collector, at(200));
    assert_counter(k, samples_no_process, 0);
    assert_string_equal(process_of(k->windows[0], 0)->name, "test_collector");
    assert_non_null(strstr(stack_of(k->windows[0], 0), "/test_collector+"));
    assert_int_equal(k->opens, 1);
}

/* mprotect(2) makes memory executable without a record. */
static void code_that_no_record_told_of_is_looked_for_in_proc(void **state)
{
    struct collector_kit *k = *state;
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    start(k, 0, proc);
    void *jit = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(jit, MAP_FAILED);
    uint32_t pid = (uint32_t)getpid();
    tell_program(k, pid, "this");
    assert_int_equal(mprotect(jit, 4096, PROT_READ | PROT_EXEC), 0);
    TELL_STACK(k, pid, 100, PERF_CONTEXT_USER, (uintptr_t)jit + 16);
    TELL_STACK(k, pid, 110, PERF_CONTEXT_USER, 0x10); /* nothing can be there: not again at once */
    collector_flush(k->collector, at(200));
    munmap(jit, 4096);
    char expect[64];
    snprintf(expect, sizeof(expect), "J:[anon]+%lx", (unsigned long)jit + 16);
    assert_string_equal(stack_of(k->windows[0], 0), expect);
    assert_counter(k, maps_rescans, 1);
}

static void the_idle_task_is_dropped_and_counted(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    TELL_STACK(k, 0, 100, PERF_CONTEXT_KERNEL, K(1));
    collector_flush(k->collector, at(200));
    assert_counter(k, samples_idle, 1);
    assert_counter(k, samples, 0);
    assert_int_equal(k->windows[0]->sample_count, 0);
}

static void a_sidecar_drops_and_counts_who_is_outside_its_pid_namespace(void **state)
{
    struct collector_kit *k = *state;
    k->outsiders = true;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    TELL_STACK(k, 0, 100, CODE + 1);
    TELL_STACK(k, 0, 110, PERF_CONTEXT_KERNEL, K(1));
    tell_sample(k, 10, 120);
    collector_flush(k->collector, at(200));
    assert_counter(k, samples_outsiders, 2);
    assert_counter(k, samples_idle, 0);
    assert_counter(k, samples, 1);
    assert_int_equal(k->windows[0]->sample_count, 1);
    assert_string_equal(process_of(k->windows[0], 0)->name, "program");
}

static void a_thread_is_known_from_its_fork_on_whatever_its_name(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    assert_false(collector_knows_thread(k->collector, 11));
    struct record fork = {
        .kind = RECORD_FORK, .time = at(1), .pid = 10, .tid = 11, .task = {10, 10}};
    tell(k, &fork);
    assert_true(collector_knows_thread(k->collector, 11));
    struct record comm = {
        .kind = RECORD_COMM, .time = at(2), .pid = 10, .tid = 12, .comm = {.name = ""}};
    tell(k, &comm);
    assert_true(collector_knows_thread(k->collector, 12));
    fork.kind = RECORD_EXIT;
    fork.time = at(3);
    tell(k, &fork);
    assert_false(collector_knows_thread(k->collector, 11));
}

static void a_sample_has_the_path_of_its_cgroup(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell(k, &(struct record){.kind = RECORD_CGROUP, .cgroup = {1ull << 60, "/kubepods/pod1"}});
    struct record r = {.kind = RECORD_SAMPLE,
                       .time = at(1),
                       .pid = 10,
                       .tid = 10,
                       .sample = {.ip = K(1), .has_cgroup = true, .cgroup = 1ull << 60}};
    tell(k, &r);
    r.sample.cgroup = (1ull << 60) + 1; /* of one that nobody told of */
    tell(k, &r);
    collector_flush(k->collector, at(2));
    assert_string_equal(process_of(k->windows[0], 0)->cgroup_path, "/kubepods/pod1");
    assert_string_equal(process_of(k->windows[0], 1)->cgroup_path, "");
}

/* ---- stacks */

static void stacks_are_told_apart_by_where_their_frames_lie(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell(k, &(struct record){.kind = RECORD_MMAP,
                             .pid = 10,
                             .mmap = {.start = 0x800000,
                                      .len = 0x1000,
                                      .file_offset = 0x800000,
                                      .prot = PROT_EXEC,
                                      .path = "//anon"}});
    TELL_STACK(k, 10, 1, PERF_CONTEXT_USER, CODE + 0x10, CODE + 0x20);
    TELL_STACK(k, 10, 2, PERF_CONTEXT_KERNEL, K(0x10), K(0x20), PERF_CONTEXT_USER, CODE + 0x30,
               CODE + 0x40);
    TELL_STACK(k, 10, 3, PERF_CONTEXT_USER, 0x800010, CODE + 0x20);
    TELL_STACK(k, 10, 4, PERF_CONTEXT_USER, CODE + 0x50, 0x12345, CODE + 0x20);
    TELL_STACK(k, 10, 5, PERF_CONTEXT_USER, 0x12345);
    TELL_STACK(k, 10, 6, PERF_CONTEXT_KERNEL, K(0x30));
    tell_stack(k, 10, 7, NULL, 0);
    collector_flush(k->collector, at(8));
    static const char *const expect[] = {
        "/bin/program+101f /bin/program+1010",
        "/bin/program+103f /bin/program+1030 K+1f K+10",
        "/bin/program+101f J:[anon]+800010",
        "[caller is no code] /bin/program+1050",
        "[unknown]",
        "K+30",
        "[unknown]",
    };
    for (uint32_t i = 0; i < ARRAY_LEN(expect) - 1; i++)
        assert_string_equal(stack_of(k->windows[0], i), expect[i]);
    assert_counter(k, samples_kernel, 3);
    assert_counter(k, stacks_unmapped, 1);
    assert_counter(k, samples_no_stack, 1);
}

static void a_chain_at_the_kernels_limit_is_marked_as_truncated(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    uint64_t chain[128] = {PERF_CONTEXT_USER};
    for (size_t i = 1; i < ARRAY_LEN(chain); i++)
        chain[i] = CODE + i * 16;
    tell_stack(k, 10, 1, chain, 128);
    tell_stack(k, 10, 2, chain, 127);
    collector_flush(k->collector, at(3));
    assert_memory_equal(stack_of(k->windows[0], 0), "[truncated] ", 12);
    assert_memory_equal(stack_of(k->windows[0], 1), "/bin/program+", 13);
    assert_counter(k, stacks_truncated, 1);
}

static void a_file_is_asked_for_once_a_window_and_process(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    tell_program(k, 11, "program");
    for (int64_t ms = 0; ms < 100; ms++)
        tell_sample(k, 10 + (uint32_t)ms / 50, ms);
    assert_int_equal(k->opens, 2);
    tell_sample(k, 10, 5001);
    assert_int_equal(k->opens, 3);
}

static void samples_past_the_cap_are_in_other_and_counted(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    for (uint64_t i = 0; i < 3000; i++)
        TELL_STACK(k, 10, (int64_t)i, PERF_CONTEXT_USER, CODE + i);
    collector_flush(k->collector, at(3001));
    assert_counter(k, samples, 3000);
    assert_counter(k, samples_dropped, 0);
    assert_int_equal(k->windows[0]->sample_count, 3000);
    assert_true(k->windows[0]->other_count > 1000);
    assert_counter(k, samples_other, k->windows[0]->other_count);
}

/* ---- what the kernel says of itself */

static void lost_records_make_what_is_known_stale_once(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    assert_false(collector_take_stale(k->collector));
    tell(k, &(struct record){.kind = RECORD_LOST_SAMPLES, .lost = 7});
    tell(k, &(struct record){.kind = RECORD_THROTTLE});
    tell(k, &(struct record){.kind = RECORD_UNTHROTTLE});
    assert_false(collector_take_stale(k->collector));
    tell(k, &(struct record){.kind = RECORD_LOST, .lost = 5});
    tell(k, &(struct record){.kind = RECORD_LOST, .lost = 6});
    assert_true(collector_take_stale(k->collector));
    assert_false(collector_take_stale(k->collector));
    assert_counter(k, lost_records, 11);
    assert_counter(k, lost_samples, 7);
    assert_counter(k, throttles, 1);
    assert_counter(k, rescans, 1);
}

static void a_process_whose_exit_was_lost_goes_when_that_is_known(void **state)
{
    struct collector_kit *k = *state;
    _cleanup_close_ int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    start(k, 0, proc);
    tell_program(k, (uint32_t)gone, "gone");
    tell_program(k, (uint32_t)getpid(), "alive");
    tick(k, 60000);
    assert_int_equal(collector_processes(k->collector), 2);
    tell(k, &(struct record){.kind = RECORD_LOST, .lost = 1});
    assert_true(collector_take_stale(k->collector));
    tick(k, 61500);
    assert_int_equal(collector_processes(k->collector), 2); /* late samples may come */
    tick(k, 63500);
    assert_int_equal(collector_processes(k->collector), 1);
    assert_true(collector_knows_thread(k->collector, (uint32_t)getpid()));
    assert_false(collector_knows_thread(k->collector, (uint32_t)gone));
}

static void bytes_that_are_no_record_are_counted(void **state)
{
    struct collector_kit *k = *state;
    start(k, 0, -1);
    tell_program(k, 10, "program");
    _cleanup_(buf_free) struct buf buf = {0};
    struct ring ring = {.format = record_format_plain};
    struct bytes_sample s = {.id = {.pid = 10, .tid = 10, .time = UINT64_MAX / 2}};
    bytes_sample(&buf, &record_format_plain, &s); /* a time that no clock has */
    assert_int_equal(collector_take(k->collector, &ring, buf.data, buf.len), 0);
    assert_int_equal(collector_take(k->collector, &ring, buf.data, buf.len - 8), 0);
    assert_counter(k, records_garbled, 2);
    assert_counter(k, samples, 0);
    buf.len = 0;
    s.id.time = at(1);
    bytes_sample(&buf, &record_format_plain, &s);
    assert_int_equal(collector_take(k->collector, &ring, buf.data, buf.len), 0);
    assert_counter(k, records_garbled, 2);
    assert_counter(k, samples, 1);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, collector_kit_make, collector_kit_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KIT(the_first_window_is_early_and_the_others_keep_to_the_wall_clock),
        WITH_KIT(slots_are_of_the_clock_where_the_window_is),
        WITH_KIT(an_aligned_window_has_slots_of_ten_seconds),
        WITH_KIT(a_sample_behind_the_end_ends_the_window_without_a_tick),
        WITH_KIT(a_clock_set_forward_ends_the_window_in_the_old_time),
        WITH_KIT(a_clock_set_back_ends_the_window_in_the_old_time),
        WITH_KIT(a_clock_being_slewed_moves_only_the_next_windows),
        WITH_KIT(a_long_silence_has_no_windows),
        WITH_KIT(flushing_twice_gives_one_window_and_a_sample_opens_the_next),
        WITH_KIT(a_sample_says_its_process_thread_and_cpu),
        WITH_KIT(what_ran_before_an_exec_keeps_its_name),
        WITH_KIT(a_process_that_has_ended_still_names_its_late_samples),
        WITH_KIT(an_unknown_process_is_counted_and_kept_by_its_pid),
        WITH_KIT(an_unknown_process_is_read_from_proc),
        WITH_KIT(code_that_no_record_told_of_is_looked_for_in_proc),
        WITH_KIT(the_idle_task_is_dropped_and_counted),
        WITH_KIT(a_sidecar_drops_and_counts_who_is_outside_its_pid_namespace),
        WITH_KIT(a_thread_is_known_from_its_fork_on_whatever_its_name),
        WITH_KIT(a_sample_has_the_path_of_its_cgroup),
        WITH_KIT(stacks_are_told_apart_by_where_their_frames_lie),
        WITH_KIT(a_chain_at_the_kernels_limit_is_marked_as_truncated),
        WITH_KIT(a_file_is_asked_for_once_a_window_and_process),
        WITH_KIT(samples_past_the_cap_are_in_other_and_counted),
        WITH_KIT(lost_records_make_what_is_known_stale_once),
        WITH_KIT(a_process_whose_exit_was_lost_goes_when_that_is_known),
        WITH_KIT(bytes_that_are_no_record_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
