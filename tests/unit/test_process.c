/* test_process.c: records of forks, execs and exits say who runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/object.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "process_kit.h"

/* ---- names */

static void a_fork_is_its_parent_until_it_executes_something(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    process(t, 10)->cgroup = 55;
    comm(t, 10, 10, "renamed", false);
    fork_of(t, 10, 11, 2000);
    const struct process *p = process(t, 11);
    assert_int_equal(p->pid, 11);
    assert_int_equal(p->ppid, 10);
    assert_int_equal(p->start_time, 2000);
    assert_int_equal(p->cgroup, 55);
    assert_true(p->known);
    assert_string_equal(p->name, "program");
    assert_string_equal(p->exe, "/bin/program");
    assert_string_equal(processes_thread_name(t->processes, 11), "renamed");
    assert_string_equal(at(t, 11, 0x400010), "/bin/program+2010");
    assert_int_not_equal(p->serial, process(t, 10)->serial);
}

static void an_exec_clears_the_mappings_and_names_the_process(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    fork_of(t, 10, 11, 2000);
    uint32_t serial = process(t, 11)->serial;
    comm(t, 11, 11, "true", true);
    const struct process *p = process(t, 11);
    assert_string_equal(p->name, "true");
    assert_string_equal(p->exe, "");
    assert_string_equal(at(t, 11, 0x400010), "");
    assert_int_not_equal(p->serial, serial);
    assert_int_equal(p->start_time, 2000);
    map(t, 11, 0x500000, 0x1000, 0, "/bin/true");
    assert_string_equal(process(t, 11)->exe, "/bin/true");
    assert_string_equal(at(t, 10, 0x400010), "/bin/program+2010");
}

static void a_kept_process_stays_as_it_was(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    process(t, 10)->cgroup = 55;
    uint32_t maps_id = process_maps_id(process(t, 10));
    struct process *kept = processes_keep(t->processes, process(t, 10));
    assert_non_null(kept);
    /* It maps something else there, executes, ends, and is forgotten. */
    map(t, 10, 0x400000, 0x4000, 0, "/lib/other.so");
    assert_string_equal(at(t, 10, 0x400010), "/lib/other.so+10");
    comm(t, 10, 10, "true", true);
    exit_of(t, 10, 10, 2000);
    processes_expire(t->processes, UINT64_MAX / 2);
    assert_false(is_alive(t, 10));
    assert_int_equal(kept->pid, 10);
    assert_int_equal(kept->cgroup, 55);
    assert_string_equal(kept->name, "program");
    assert_string_equal(kept->exe, "/bin/program");
    assert_int_equal(process_maps_id(kept), maps_id);
    const struct mapping *m = process_find_mapping(kept, 0x400010);
    assert_non_null(m);
    assert_string_equal(m->object->path, "/bin/program");
    processes_let_go(t->processes, &kept);
    assert_null(kept);
    processes_let_go(t->processes, &kept);
}

static void a_threads_name_is_not_the_processs(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    uint32_t serial = process(t, 10)->serial;
    thread_of(t, 10, 12);
    assert_string_equal(processes_thread_name(t->processes, 12), "program");
    comm(t, 10, 12, "worker", false);
    comm(t, 10, 10, "main loop", false);
    assert_string_equal(processes_thread_name(t->processes, 12), "worker");
    assert_string_equal(processes_thread_name(t->processes, 10), "main loop");
    assert_string_equal(process(t, 10)->name, "program");
    assert_int_equal(process(t, 10)->serial, serial);
    assert_string_equal(processes_thread_name(t->processes, 99), "");
}

static void a_name_cut_by_the_kernel_is_completed_from_the_program(void **state)
{
    struct tables *t = *state;
    static const struct {
        const char *comm, *path, *name;
    } cases[] = {
        {"gnome-terminal-", "/usr/libexec/gnome-terminal-server", "gnome-terminal-server"},
        {"short", "/bin/short-but-longer", "short"},
        {"fifteen-letters", "/bin/fifteen-letters", "fifteen-letters"},
        {"a-script-of-som", "/usr/bin/python3.11", "a-script-of-som"},
        {"fourteen-bytes", "/bin/fourteen-bytes-and-more", "fourteen-bytes"},
        {"this-one-is-far", "/bin/this-one-is-far-longer-than-what-a-name-may-have-of-bytes-in-all",
         "this-one-is-far"},
    };
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t pid = 100 + i;
        fork_of(t, 1, pid, 1000);
        comm(t, pid, pid, cases[i].comm, true);
        uint32_t serial = process(t, pid)->serial;
        map(t, pid, 0x400000, 0x1000, 0, cases[i].path);
        assert_string_equal(process(t, pid)->name, cases[i].name);
        assert_string_equal(process(t, pid)->exe, cases[i].path);
        /* A serial stands for one process under one name. */
        assert_int_equal(process(t, pid)->serial != serial,
                         strcmp(cases[i].comm, cases[i].name) != 0);
        map(t, pid, 0x500000, 0x1000, 0, "/lib/ld.so");
        assert_string_equal(process(t, pid)->exe, cases[i].path);
    }
}

static void what_is_no_file_is_not_taken_for_the_program(void **state)
{
    struct tables *t = *state;
    fork_of(t, 1, 10, 1000);
    comm(t, 10, 10, "program", true);
    map(t, 10, 0x1000, 0x1000, 0, "[vdso]");
    map(t, 10, 0x3000, 0x1000, 0x3000, "//anon");
    assert_string_equal(process(t, 10)->exe, "");
    map(t, 10, 0x5000, 0x1000, 0, "/bin/program");
    assert_string_equal(process(t, 10)->exe, "/bin/program");
}

/* ---- coming and going */

static void a_process_lingers_after_its_last_thread_has_gone(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    thread_of(t, 10, 12);
    exit_of(t, 10, 10, 5000); /* the main thread may go first */
    processes_expire(t->processes, 5000 + 10 * LINGER);
    assert_true(is_alive(t, 10));
    exit_of(t, 10, 12, 90000);
    processes_expire(t->processes, 90000 + LINGER);
    assert_true(is_alive(t, 10));
    assert_string_equal(at(t, 10, 0x400010), "/bin/program+2010");
    processes_expire(t->processes, 90001 + LINGER);
    assert_false(is_alive(t, 10));
    assert_int_equal(processes_count(t->processes), 0);
    assert_string_equal(processes_thread_name(t->processes, 12), "");
}

static void a_pid_that_comes_again_is_another_process(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    uint32_t serial = process(t, 10)->serial;
    thread_of(t, 10, 12);
    fork_of(t, 1, 10, 1000 + 60000000000); /* its exit was lost */
    assert_int_not_equal(process(t, 10)->serial, serial);
    assert_string_equal(process(t, 10)->name, "");
    assert_string_equal(at(t, 10, 0x400010), "");
    exit_of(t, 10, 12, 70000000000); /* of the old one: late, or lost */
    processes_expire(t->processes, 90000000000);
    assert_true(is_alive(t, 10));
    exit_of(t, 10, 10, 100000000000);
    processes_expire(t->processes, 200000000000);
    assert_false(is_alive(t, 10));
}

static void a_process_told_of_twice_is_one(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    uint32_t serial = process(t, 10)->serial;
    fork_of(t, 7, 10, 1000 + 10000000); /* by /proc, whose clock ticks are coarse */
    assert_int_equal(process(t, 10)->serial, serial);
    assert_int_equal(process(t, 10)->start_time, 1000);
    assert_int_equal(process(t, 10)->ppid, 7);
    assert_string_equal(at(t, 10, 0x400010), "/bin/program+2010");
}

/* As /proc tells when it is read again: nobody's samples may fall apart by that. */
static void a_process_told_of_twice_stays_as_it_was(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    uint32_t serial = process(t, 10)->serial, maps = process_maps_id(process(t, 10));
    fork_of(t, 1, 10, 1000);
    comm(t, 10, 10, "program", true);
    map(t, 10, 0x400000, 0x1000, 0x2000, "/bin/program");
    map(t, 10, 0x700000, 0x1000, 0, "/lib/libc.so");
    assert_int_equal(process(t, 10)->serial, serial);
    assert_int_equal(process_maps_id(process(t, 10)), maps);
    assert_string_equal(at(t, 10, 0x700010), "/lib/libc.so+10");
    comm(t, 10, 10, "program", true); /* it executes itself */
    assert_int_not_equal(process(t, 10)->serial, serial);
    assert_string_equal(at(t, 10, 0x700010), "");
}

static void a_process_told_of_again_under_another_name_has_executed_something(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    uint32_t serial = process(t, 10)->serial;
    fork_of(t, 1, 10, 1000);
    comm(t, 10, 10, "other", true);
    assert_int_not_equal(process(t, 10)->serial, serial);
    assert_string_equal(process(t, 10)->name, "other");
    assert_string_equal(at(t, 10, 0x400010), "");
}

static void a_mapping_told_of_again_without_its_build_id_is_the_same(void **state)
{
    struct tables *t = *state;
    struct record r = {.kind = RECORD_MMAP,
                       .pid = 10,
                       .tid = 10,
                       .mmap = {.start = 0x400000,
                                .len = 0x1000,
                                .prot = PROT_READ | PROT_EXEC,
                                .build_id_len = 4,
                                .build_id = {1, 2, 3, 4},
                                .path = "/bin/program"}};
    apply(t, &r);
    uint32_t maps = process_maps_id(process(t, 10));
    r.mmap.build_id_len = 0;
    r.mmap.inode = 5;
    apply(t, &r);
    assert_int_equal(process_maps_id(process(t, 10)), maps);
    r.mmap.path = "/bin/another";
    apply(t, &r);
    assert_int_not_equal(process_maps_id(process(t, 10)), maps);
    maps = process_maps_id(process(t, 10));
    r.mmap.inode = 6; /* the file was replaced */
    apply(t, &r);
    assert_int_not_equal(process_maps_id(process(t, 10)), maps);
}

static void a_tid_that_comes_again_as_a_process_was_a_thread_that_ended(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    thread_of(t, 10, 12);
    fork_of(t, 1, 12, 2000000000); /* the thread's exit was lost */
    exit_of(t, 10, 10, 3000000000);
    processes_expire(t->processes, 4000000000);
    assert_false(is_alive(t, 10));
    assert_true(is_alive(t, 12));
    exit_of(t, 12, 12, 5000000000);
    processes_expire(t->processes, 6000000000);
    assert_false(is_alive(t, 12));
}

static void a_process_known_from_a_sample_only_goes_after_lingering(void **state)
{
    struct tables *t = *state;
    struct process *p = processes_get(t->processes, 33, 5000);
    assert_non_null(p);
    assert_false(p->known);
    assert_string_equal(p->name, "");
    assert_ptr_equal(processes_get(t->processes, 33, 9000), p);
    assert_null(process_find_mapping(p, 0x1000));
    processes_expire(t->processes, 5000 + LINGER);
    assert_true(is_alive(t, 33));
    processes_expire(t->processes, 5001 + LINGER);
    assert_false(is_alive(t, 33));
    processes_get(t->processes, 34, 5000);
    thread_of(t, 34, 35);
    processes_get(t->processes, 36, 5000);
    comm(t, 36, 36, "named", false);
    processes_expire(t->processes, 100 * LINGER);
    assert_true(is_alive(t, 34)); /* something was heard of them */
    assert_true(is_alive(t, 36));
    assert_true(process(t, 36)->known);
    assert_string_equal(process(t, 36)->name, "named");
}

static void records_of_unknown_processes_make_them(void **state)
{
    struct tables *t = *state;
    exit_of(t, 20, 20, 1000);
    assert_false(is_alive(t, 20));
    map(t, 21, 0x1000, 0x1000, 0, "/bin/x");
    assert_string_equal(at(t, 21, 0x1800), "/bin/x+800");
    assert_int_equal(process(t, 21)->start_time, 0);
    comm(t, 22, 23, "thread", false);
    assert_string_equal(process(t, 22)->name, "");
    map(t, UINT32_MAX, 0xffffffff81000000, 0x1000, 0, "[kernel.kallsyms]_text");
    assert_false(is_alive(t, UINT32_MAX));
}

/* Many processes with random lives: the table is empty when all have ended. */
static void nothing_is_left_of_processes_that_have_ended(void **state)
{
    struct tables *t = *state;
    srandom(3);
    for (uint32_t i = 0; i < 5000; i++) {
        uint32_t pid = 2 + (uint32_t)random() % 300;
        uint64_t now = 1000000000ull * i;
        switch (random() % 5) {
        case 0:
            fork_of(t, 2 + (uint32_t)random() % 300, pid, now);
            break;
        case 1:
            comm(t, pid, pid, "again", true);
            break;
        case 2:
            map(t, pid, (uint64_t)random() % 64 * 0x1000, 0x3000, 0, random() % 2 ? "/a" : "/b");
            break;
        case 3:
            thread_of(t, pid, 1000 + (uint32_t)random() % 300);
            break;
        default:
            exit_of(t, pid, random() % 2 ? pid : 1000 + (uint32_t)random() % 300, now);
        }
        processes_expire(t->processes, now);
    }
    for (uint32_t pid = 2; pid < 302; pid++) {
        for (uint32_t tid = 1000; tid < 1300; tid++)
            exit_of(t, pid, tid, 1);
        exit_of(t, pid, pid, 1);
    }
    processes_expire(t->processes, UINT64_MAX);
    assert_int_equal(processes_count(t->processes), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TABLES(a_fork_is_its_parent_until_it_executes_something),
        ON_TABLES(an_exec_clears_the_mappings_and_names_the_process),
        ON_TABLES(a_kept_process_stays_as_it_was),
        ON_TABLES(a_threads_name_is_not_the_processs),
        ON_TABLES(a_name_cut_by_the_kernel_is_completed_from_the_program),
        ON_TABLES(what_is_no_file_is_not_taken_for_the_program),
        ON_TABLES(a_process_lingers_after_its_last_thread_has_gone),
        ON_TABLES(a_pid_that_comes_again_is_another_process),
        ON_TABLES(a_process_told_of_twice_is_one),
        ON_TABLES(a_process_told_of_twice_stays_as_it_was),
        ON_TABLES(a_process_told_of_again_under_another_name_has_executed_something),
        ON_TABLES(a_mapping_told_of_again_without_its_build_id_is_the_same),
        ON_TABLES(a_tid_that_comes_again_as_a_process_was_a_thread_that_ended),
        ON_TABLES(a_process_known_from_a_sample_only_goes_after_lingering),
        ON_TABLES(records_of_unknown_processes_make_them),
        ON_TABLES(nothing_is_left_of_processes_that_have_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
