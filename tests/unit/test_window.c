/* test_window.c: samples are added up, and past the caps none is lost from the sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/object.h"
#include "agent/process.h"
#include "agent/record.h"
#include "agent/window.h"
#include "base/cleanup.h"
#include "base/clock.h"

#define START 1700000000000000000

static struct objects *objects;
static struct object *libc, *program;

static int make_objects(void **state)
{
    assert_int_equal(objects_new(&objects, NULL), 0);
    assert_int_equal(objects_get(objects, &(struct record_mmap){.path = "/libc"}, &libc), 0);
    assert_int_equal(objects_get(objects, &(struct record_mmap){.path = "/program"}, &program), 0);
    return 0;
}

/* objects_free asserts that windows have given back what they took. */
static int free_objects(void **state)
{
    object_unref(objects, &libc);
    object_unref(objects, &program);
    objects_free(&objects);
    return 0;
}

static struct window *make_window(uint32_t max_stacks, uint32_t max_samples)
{
    struct window *w;
    struct window_limits limits = {max_stacks, max_samples};
    assert_int_equal(window_new(objects, &limits, &w, NULL), 0);
    w->start_ns = START;
    w->end_ns = START + 30 * NS_PER_SEC;
    w->slot_ns = 10 * NS_PER_SEC;
    return w;
}

static const struct process a_process = {
    .pid = 10, .ppid = 1, .serial = 5, .start_time = 99, .name = "program", .exe = "/program"};
static const struct window_key a_key = {.process = &a_process,
                                        .cgroup = 7,
                                        .cgroup_path = "/pod",
                                        .thread = "main",
                                        .cpu = 1,
                                        .time_ns = START + NS_PER_SEC};

/* For tests: a stack's callers are found by what its depth says. */
static uint32_t methods_of(size_t depth)
{
    return 1u << depth % 4;
}

/* As the collector does. What had no place even in [other] is dropped: -ENOSPC. */
static int add(struct window *w, const struct window_key *key, const uint64_t *offsets,
               size_t count)
{
    uint32_t node = 0;
    int r = window_make_room(w, (uint32_t)count + 2);
    for (size_t i = 0; i < count && r == 0; i++)
        r = window_add_frame(w, node, offsets[i] % 2 ? libc : program, offsets[i], FRAME_USER,
                             &node);
    if (r == 0)
        r = window_add_sample(w, key, node, methods_of(count));
    return r == -ENOSPC ? window_add_other(w, key, methods_of(count)) : r;
}

static const struct window_sample *sample_at(const struct window *w, uint32_t row)
{
    return table_row(&w->samples, row);
}

static const struct window_node *node_at(const struct window *w, uint32_t row)
{
    return table_row(&w->nodes, row);
}

static bool is_other(const struct window *w, uint32_t node)
{
    return node_at(w, node)->kind == FRAME_MARKER && node_at(w, node)->offset == MARKER_other;
}

/* The offsets from the leaf to the root, as text. */
static void write_stack(const struct window *w, uint32_t node, char *to, size_t size)
{
    size_t n = 0;
    to[0] = 0;
    for (; node; node = node_at(w, node)->parent)
        n += (size_t)snprintf(to + n, size - n, "%lx;", (unsigned long)node_at(w, node)->offset);
}

/* Where samples end are the methods of just those, elsewhere none. */
static void assert_methods(const struct window *w)
{
    _cleanup_free_ uint8_t *ends = calloc(w->nodes.count, 1);
    for (uint32_t i = 0; i < w->samples.count; i++)
        ends[sample_at(w, i)->stack] = 1;
    for (uint32_t i = 0; i < w->nodes.count; i++) {
        size_t depth = 0;
        for (uint32_t node = i; node; node = node_at(w, node)->parent)
            depth++;
        if (!ends[i])
            assert_int_equal(node_at(w, i)->methods, 0);
        else if (is_other(w, i))
            assert_int_not_equal(node_at(w, i)->methods, 0);
        else
            assert_int_equal(node_at(w, i)->methods, methods_of(depth));
    }
}

/* ---- within the caps */

static void equal_samples_are_one_row_with_their_count(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    static const uint64_t one[] = {2, 4, 6}, two[] = {2, 4, 8};
    for (int i = 0; i < 5; i++)
        assert_int_equal(add(w, &a_key, one, 3), 0);
    assert_int_equal(add(w, &a_key, two, 3), 0);
    assert_int_equal(w->samples.count, 2);
    assert_int_equal(w->sample_count, 6);
    assert_int_equal(sample_at(w, 0)->count, 5);
    assert_int_equal(sample_at(w, 1)->count, 1);
    assert_int_equal(w->nodes.count, 1 + 4); /* the root, and a shared caller is there once */
    char text[64];
    write_stack(w, sample_at(w, 1)->stack, text, sizeof(text));
    assert_string_equal(text, "8;4;2;");
}

static void a_stack_has_the_methods_of_all_its_samples(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    uint32_t caller, leaf;
    assert_int_equal(window_add_frame(w, 0, libc, 16, FRAME_USER, &caller), 0);
    assert_int_equal(window_add_frame(w, caller, libc, 32, FRAME_USER, &leaf), 0);
    for (uint32_t bit = 0; bit < 32; bit += 31)
        assert_int_equal(window_add_sample(w, &a_key, leaf, 1u << bit), 0);
    assert_int_equal(node_at(w, leaf)->methods, 1u << 31 | 1);
    assert_int_equal(node_at(w, caller)->methods, 0);
}

static void code_made_at_run_time_is_a_processs_own_and_knows_its_times(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    struct window_object made = {.object = program, .process = 5};
    uint32_t node, again, other;
    int64_t time = START + 3 * NS_PER_US;
    assert_int_equal(window_add_made(w, 0, &made, 0x1000, time + 2 * NS_PER_US + 1, &node), 0);
    assert_int_equal(window_add_made(w, 0, &made, 0x1000, time, &again), 0);
    assert_int_equal(node, again);
    assert_int_equal(node_at(w, node)->first_us, 3);
    assert_int_equal(node_at(w, node)->last_us, 6);
    assert_int_equal(node_at(w, node)->kind, FRAME_JIT);
    made.process = 6;
    assert_int_equal(window_add_made(w, 0, &made, 0x1000, START - 1, &other), 0);
    assert_int_not_equal(other, node);
    assert_int_equal(node_at(w, other)->first_us, 0);
    assert_int_equal(node_at(w, other)->last_us, 1);
    made.epoch = 1;
    assert_int_equal(window_add_made(w, 0, &made, 0x1000, START, &again), 0);
    assert_int_not_equal(again, other);
}

static void samples_differ_by_slot_process_thread_and_cpu(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    static const uint64_t stack[] = {2};
    struct process other = a_process;
    other.serial++;
    struct window_key keys[] = {a_key, a_key, a_key, a_key, a_key};
    keys[0].time_ns += 10 * NS_PER_SEC;
    keys[1].process = &other;
    keys[2].thread = "worker";
    keys[3].cpu++;
    keys[4].cgroup++; /* a process that was moved counts apart */
    assert_int_equal(add(w, &a_key, stack, 1), 0);
    for (uint32_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_int_equal(add(w, &keys[i], stack, 1), 0);
        assert_int_equal(w->samples.count, i + 2);
    }
    assert_int_equal(w->processes.count, 3);
    assert_int_equal(w->threads.count, 2);
    assert_int_equal(sample_at(w, 1)->slot, 1);
    assert_int_equal(sample_at(w, 4)->cpu, 2);
}

static void a_process_keeps_its_words_after_it_is_gone(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    char name[] = "name", exe[] = "/exe", path[] = "/cgroup", thread[] = "a-long-thread-name-";
    struct process p = a_process;
    p.name = name;
    p.exe = exe;
    struct window_key key = a_key;
    key.process = &p;
    key.cgroup_path = path;
    key.thread = thread;
    assert_int_equal(add(w, &key, NULL, 0), 0);
    memset(name, 'x', 4);
    memset(exe, 'x', 4);
    memset(path, 'x', 4);
    memset(thread, 'x', 4);
    const struct window_process *row = table_row(&w->processes, 0);
    assert_string_equal(row->name, "name");
    assert_string_equal(row->exe, "/exe");
    assert_string_equal(row->cgroup_path, "/cgroup");
    assert_int_equal(row->pid, 10);
    assert_int_equal(row->ppid, 1);
    assert_int_equal(row->start_time, 99);
    assert_string_equal(((struct window_thread *)table_row(&w->threads, 0))->name,
                        "a-long-thread-n");
}

static void a_time_outside_the_window_goes_to_its_edge(void **state)
{
    static const struct {
        int64_t seconds;
        uint32_t slot;
    } cases[] = {{-100, 0}, {0, 0}, {9, 0}, {10, 1}, {29, 2}, {30, 2}, {1000, 2}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(window_free) struct window *w = make_window(1000, 1000);
        struct window_key key = a_key;
        key.time_ns = START + cases[i].seconds * NS_PER_SEC;
        assert_int_equal(add(w, &key, NULL, 0), 0);
        assert_int_equal(sample_at(w, 0)->slot, cases[i].slot);
    }
}

static void a_marker_is_no_frame_of_that_offset(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    uint32_t marker, frame, again;
    assert_int_equal(window_add_marker(w, 0, MARKER_truncated, &marker), 0);
    assert_int_equal(window_add_frame(w, 0, libc, MARKER_truncated, FRAME_USER, &frame), 0);
    assert_int_not_equal(marker, frame);
    assert_int_equal(window_add_frame(w, 0, libc, MARKER_truncated, FRAME_JIT, &again), 0);
    assert_int_not_equal(frame, again);
    assert_int_equal(window_add_frame(w, 0, program, MARKER_truncated, FRAME_USER, &again), 0);
    assert_int_not_equal(frame, again);
}

static void an_object_lives_as_long_as_a_window_that_has_it(void **state)
{
    struct object *o;
    assert_int_equal(objects_get(objects, &(struct record_mmap){.path = "/gone"}, &o), 0);
    struct window *w = make_window(1000, 1000);
    uint32_t node;
    assert_int_equal(window_add_frame(w, 0, o, 16, FRAME_USER, &node), 0);
    assert_int_equal(window_add_frame(w, 0, o, 32, FRAME_USER, &node), 0);
    object_unref(objects, &o);
    o = ((struct window_object *)table_row(&w->objects, node_at(w, node)->object))->object;
    assert_string_equal(o->path, "/gone");
    window_free(&w);
    assert_null(w);
}

/* ---- past the caps */

static void the_rarest_stacks_go_to_other_and_are_counted(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(100, 10000);
    static const uint64_t hot[] = {2, 4, 6};
    for (int i = 0; i < 50; i++)
        assert_int_equal(add(w, &a_key, hot, 3), 0);
    for (uint64_t i = 0; i < 110; i++) {
        uint64_t rare[] = {2, 1000 + i};
        assert_int_equal(add(w, &a_key, rare, 2), 0);
    }
    uint64_t of_hot = 0, of_other = 0, sum = 0;
    for (uint32_t i = 0; i < w->samples.count; i++) {
        const struct window_sample *s = sample_at(w, i);
        char text[64];
        write_stack(w, s->stack, text, sizeof(text));
        sum += s->count;
        of_hot += strcmp(text, "6;4;2;") == 0 ? s->count : 0;
        of_other += is_other(w, s->stack) ? s->count : 0;
    }
    assert_int_equal(of_hot, 50);
    assert_true(of_other > 0);
    assert_int_equal(w->other_count, of_other);
    assert_int_equal(sum, 160);
    assert_int_equal(w->sample_count, 160);
    assert_true(w->nodes.count <= 101);
}

static void other_is_never_folded_itself(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(20, 10000);
    assert_int_equal(window_add_other(w, &a_key, 1), 0);
    for (uint64_t i = 0; i < 200; i++) { /* all are less rare than [other] */
        uint64_t stack[] = {1000 + i / 10};
        assert_int_equal(add(w, &a_key, stack, 1), 0);
    }
    uint64_t of_other = 0;
    for (uint32_t i = 0; i < w->samples.count; i++)
        of_other += is_other(w, sample_at(w, i)->stack) ? sample_at(w, i)->count : 0;
    assert_true(of_other > 1);
    assert_int_equal(w->other_count, of_other);
}

static void other_is_counted_apart_for_each_process_thread_cpu_and_slot(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(50, 10000);
    struct process processes[3] = {a_process, a_process, a_process};
    uint64_t expect[3] = {0}, is[3] = {0};
    for (uint64_t i = 0; i < 600; i++) {
        uint64_t rare[] = {1000 + i};
        struct window_key key = a_key;
        processes[i % 3].serial = (uint32_t)(1 + i % 3);
        key.process = &processes[i % 3];
        expect[i % 3]++;
        assert_int_equal(add(w, &key, rare, 1), 0);
    }
    for (uint32_t i = 0; i < w->samples.count; i++)
        is[sample_at(w, i)->process] += sample_at(w, i)->count;
    assert_memory_equal(is, expect, sizeof(is));
}

/* Random samples beside a plain list of them, under caps of all sizes: sums by whom, where and when
 * are exact; a stack that is still there has no more than it had. */
struct naive {
    struct window_sample key; /* its stack: a number of ours */
    uint64_t offsets[8];
    size_t depth;
};

static void sums_are_exact_whatever_the_caps(void **state)
{
    static const struct window_limits caps[] = {
        {1 << 20, 1 << 20}, {200, 1 << 20}, {1 << 20, 300}, {100, 200}, {12, 150}};
    static struct naive naive[6000];
    srandom(5);
    for (size_t c = 0; c < ARRAY_LEN(caps); c++) {
        _cleanup_(window_free) struct window *w =
            make_window(caps[c].max_stacks, caps[c].max_samples);
        uint64_t by_key[3][4][2] = {0}, sum = 0, other = 0;
        for (size_t i = 0; i < ARRAY_LEN(naive); i++) {
            struct naive *n = &naive[i];
            struct process p = a_process;
            struct window_key key = a_key;
            n->depth = 1 + (size_t)random() % 8;
            for (size_t k = 0; k < n->depth; k++)
                n->offsets[k] = 1 + (uint64_t)(random() % (random() % 4 ? 3 : 40));
            n->key.slot = (uint32_t)random() % 3;
            n->key.process = (uint32_t)random() % 4;
            n->key.cpu = (uint32_t)random() % 2;
            key.time_ns = START + 10 * NS_PER_SEC * n->key.slot;
            key.cpu = n->key.cpu;
            p.serial = p.pid = n->key.process + 1;
            key.process = &p;
            assert_int_equal(add(w, &key, n->offsets, n->depth), 0);
            by_key[n->key.slot][n->key.process][n->key.cpu]++;
        }
        for (uint32_t i = 0; i < w->samples.count; i++) {
            const struct window_sample *s = sample_at(w, i);
            const struct window_process *p = table_row(&w->processes, s->process);
            assert_true(s->count > 0);
            sum += s->count;
            by_key[s->slot][p->pid - 1][s->cpu] -= s->count;
            if (is_other(w, s->stack)) {
                other += s->count;
                continue;
            }
            char is[256], was[256];
            write_stack(w, s->stack, is, sizeof(is));
            uint32_t had = 0;
            for (size_t k = 0; k < ARRAY_LEN(naive); k++) {
                const struct naive *n = &naive[k];
                if (n->key.slot != s->slot || n->key.process != p->pid - 1 || n->key.cpu != s->cpu)
                    continue;
                size_t at = 0;
                for (size_t d = n->depth; d-- > 0;)
                    at += (size_t)snprintf(was + at, sizeof(was) - at, "%lx;",
                                           (unsigned long)n->offsets[d]);
                had += strcmp(is, was) == 0;
            }
            assert_true(s->count <= had);
            if (caps[c].max_stacks == 1 << 20 && caps[c].max_samples == 1 << 20)
                assert_int_equal(s->count, had);
        }
        assert_int_equal(sum, ARRAY_LEN(naive));
        assert_int_equal(w->sample_count, ARRAY_LEN(naive));
        assert_int_equal(w->other_count, other);
        assert_true(w->nodes.count <= caps[c].max_stacks + 1);
        assert_true(w->samples.count <= caps[c].max_samples);
        for (size_t i = 0; i < sizeof(by_key) / 8; i++)
            assert_int_equal(((uint64_t *)by_key)[i], 0);
        assert_methods(w);
    }
}

static void a_stack_that_is_there_is_counted_also_when_no_other_fits(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(40, 1 << 20);
    static const uint64_t deep[] = {2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32};
    assert_int_equal(add(w, &a_key, deep, 10), 0);
    assert_int_equal(add(w, &a_key, deep, 10), 0);
    w->fold_after = UINT64_MAX;
    for (uint64_t i = 0; i < 40; i++) {
        uint64_t another[] = {1000 + i};
        assert_int_equal(add(w, &a_key, another, 1), 0);
    }
    assert_true(w->other_count > 0);
    uint64_t other = w->other_count;
    assert_int_equal(add(w, &a_key, deep, 10), 0);
    assert_int_equal(w->other_count, other);
    assert_int_equal(sample_at(w, 0)->count, 3);
    assert_int_equal(add(w, &a_key, deep, 16), 0); /* but not what it would grow to */
    assert_int_equal(w->other_count, other + 1);
}

static void samples_that_differ_by_more_than_stacks_are_refused_past_their_cap(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 16);
    static const uint64_t stack[] = {2};
    for (uint32_t cpu = 0; cpu < 100; cpu++) {
        struct window_key key = a_key;
        key.cpu = cpu;
        int r = add(w, &key, stack, 1);
        assert_int_equal(r, cpu < 16 ? 0 : -ENOSPC);
    }
    assert_int_equal(w->sample_count, 16);
    assert_int_equal(w->samples.count, 16);
}

/* ---- what is not wanted */

static void what_is_of_unwanted_processes_is_taken_out_whole(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    static const uint64_t shared[] = {2, 4}, first[] = {2, 4, 6, 7}, second[] = {2, 4, 8};
    static const struct process another = {.pid = 20, .serial = 6, .name = "other", .exe = "/o"};
    struct window_key other_key = a_key;
    other_key.process = &another;
    char text[100];
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(add(w, &a_key, shared, 2), 0);
        assert_int_equal(add(w, &a_key, first, 4), 0);
        assert_int_equal(add(w, &other_key, shared, 2), 0);
        assert_int_equal(add(w, &other_key, second, 3), 0);
        assert_int_equal(window_add_other(w, &a_key, 1), 0);
    }
    assert_int_equal(window_add_other(w, &other_key, 1), 0);
    assert_int_equal(window_keep_processes(w, (const uint8_t[]){0, 1}), 0);
    assert_int_equal(w->processes.count, 1);
    const struct window_process *p = table_row(&w->processes, 0);
    assert_int_equal(p->pid, 20);
    assert_string_equal(p->name, "other");
    assert_string_equal(p->cgroup_path, "/pod");
    assert_int_equal(w->sample_count, 7);
    assert_int_equal(w->other_count, 1);
    assert_int_equal(w->nodes.count, 5); /* the root, 2, 4, 8, [other] */
    assert_int_equal(w->samples.count, 3);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(sample_at(w, i)->process, 0);
    write_stack(w, sample_at(w, 0)->stack, text, sizeof(text));
    assert_string_equal(text, "4;2;");
    assert_int_equal(sample_at(w, 0)->count, 3);
    write_stack(w, sample_at(w, 1)->stack, text, sizeof(text));
    assert_string_equal(text, "8;4;2;");
    assert_true(is_other(w, sample_at(w, 2)->stack));
    assert_methods(w);
    /* It can be gone on with. */
    assert_int_equal(add(w, &other_key, second, 3), 0);
    assert_int_equal(sample_at(w, 1)->count, 4);
}

static void a_window_of_nobody_wanted_is_empty(void **state)
{
    _cleanup_(window_free) struct window *w = make_window(1000, 1000);
    static const uint64_t stack[] = {2, 4};
    assert_int_equal(add(w, &a_key, stack, 2), 0);
    assert_int_equal(window_keep_processes(w, (const uint8_t[]){0}), 0);
    assert_int_equal(w->processes.count, 0);
    assert_int_equal(w->samples.count, 0);
    assert_int_equal(w->nodes.count, 1);
    assert_int_equal(w->sample_count, 0);
}

#define WITH_OBJECTS(test) cmocka_unit_test_setup_teardown(test, make_objects, free_objects)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_OBJECTS(equal_samples_are_one_row_with_their_count),
        WITH_OBJECTS(a_stack_has_the_methods_of_all_its_samples),
        WITH_OBJECTS(code_made_at_run_time_is_a_processs_own_and_knows_its_times),
        WITH_OBJECTS(samples_differ_by_slot_process_thread_and_cpu),
        WITH_OBJECTS(a_process_keeps_its_words_after_it_is_gone),
        WITH_OBJECTS(a_time_outside_the_window_goes_to_its_edge),
        WITH_OBJECTS(a_marker_is_no_frame_of_that_offset),
        WITH_OBJECTS(an_object_lives_as_long_as_a_window_that_has_it),
        WITH_OBJECTS(the_rarest_stacks_go_to_other_and_are_counted),
        WITH_OBJECTS(other_is_never_folded_itself),
        WITH_OBJECTS(other_is_counted_apart_for_each_process_thread_cpu_and_slot),
        WITH_OBJECTS(sums_are_exact_whatever_the_caps),
        WITH_OBJECTS(a_stack_that_is_there_is_counted_also_when_no_other_fits),
        WITH_OBJECTS(samples_that_differ_by_more_than_stacks_are_refused_past_their_cap),
        WITH_OBJECTS(what_is_of_unwanted_processes_is_taken_out_whole),
        WITH_OBJECTS(a_window_of_nobody_wanted_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
