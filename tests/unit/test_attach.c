/* test_attach.c: threads of a process made here are opened each once, and looked for no longer than
 * needed. Needs perf_event_open(2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/cpu.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "collector_kit.h"

/* Between looks: longer than any pause that is made between them. */
#define PACE_NS (2 * (uint64_t)SEC)

struct kit {
    struct collector_kit *collector;
    struct attach *attach;
    struct cpu cpu;
    int proc_fd;
    pid_t child;
    int tell[2], answer[2];
    uint64_t drained; /* in the future: nothing is too young */
};

/* ---- a process that does as it is told */

static void *wait_forever(void *arg)
{
    for (;;)
        pause();
    return arg;
}

static void obey(int commands, int answers)
{
    char c;
    while (read(commands, &c, 1) == 1) {
        pthread_t thread;
        if (c == 't' && pthread_create(&thread, NULL, wait_forever, NULL) != 0)
            _exit(1);
        pid_t pid = c == 'z' ? fork() : 1;
        if (pid == 0)
            _exit(0);
        /* It stays a zombie: nobody reaps it. */
        siginfo_t info;
        if (pid < 0 || (c == 'z' && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0) ||
            write(answers, &c, 1) != 1)
            _exit(1);
    }
    _exit(0);
}

static void command(struct kit *k, char c)
{
    char answer = 0;
    assert_int_equal(write(k->tell[1], &c, 1), 1);
    assert_int_equal(read(k->answer[0], &answer, 1), 1);
    assert_int_equal(answer, c);
}

/* ---- what looks at it */

static int know(void *ctx, const struct record *record)
{
    struct kit *k = ctx;
    return collector_take_record(k->collector->collector, record);
}

static int start_child(struct kit *k)
{
    if (pipe2(k->tell, O_CLOEXEC) < 0 || pipe2(k->answer, O_CLOEXEC) < 0)
        return -1;
    k->child = fork();
    if (k->child == 0) {
        close(k->tell[1]);
        obey(k->tell[0], k->answer[1]);
    }
    close(k->tell[0]);
    close(k->answer[1]);
    return k->child < 0 ? -1 : 0;
}

static int make_kit(void **state)
{
    static struct kit k;
    void *collector;
    k = (struct kit){.drained = (uint64_t)clock_ns(CLOCK_MONOTONIC)};
    if (collector_kit_make(&collector) < 0 || start_child(&k) < 0)
        return -1;
    k.collector = collector;
    start(k.collector, 0, -1);
    k.proc_fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct cpu_config cpu = {.event = {.period_ns = 10 * NS_PER_MS,
                                       .watermark = 4096,
                                       .scope = EVENT_THREADS,
                                       .no_cgroup_ids = true},
                             .ring_bytes = 64 << 10};
    struct event_features features;
    struct err err = {0};
    *state = &k;
    if (event_probe(&cpu.event, &features, &err) < 0) {
        print_message("%s\n", err.text);
        return 0;
    }
    struct attach_config config = {.event = cpu.event,
                                   .features = features,
                                   .whom = MEMBERS_TREE,
                                   .pid = k.child,
                                   .proc_fd = k.proc_fd,
                                   .collector = k.collector->collector,
                                   .known = know,
                                   .known_ctx = &k};
    if (cpu_open(&k.cpu, 0, &cpu, &features, &err) < 0 ||
        attach_new(&config, &k.attach, &err) < 0) {
        print_message("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    void *collector = k->collector;
    attach_free(&k->attach);
    if (k->cpu.online)
        cpu_close(&k->cpu);
    close(k->tell[1]);
    close(k->answer[0]);
    waitpid(k->child, NULL, 0);
    close(k->proc_fd);
    return collector_kit_free(&collector);
}

static struct kit *kit_of(void **state)
{
    struct kit *k = *state;
    if (!k->attach)
        skip();
    return k;
}

static bool look_at(struct kit *k, struct cpu *cpus, size_t count, uint64_t later_ns)
{
    k->drained += later_ns;
    return attach_look(k->attach, cpus, count, k->drained, false);
}

static bool look(struct kit *k)
{
    return look_at(k, &k->cpu, 1, PACE_NS);
}

/* ---- tests */

/* Nobody drains the ring, as if the thread's record were lost. */
static void a_thread_that_is_opened_late_leaves_its_process_as_it_was(void **state)
{
    struct kit *k = kit_of(state);
    uint32_t pid = (uint32_t)k->child;
    assert_true(look(k));
    assert_true(collector_knows_thread(k->collector->collector, pid));
    tell_sample(k->collector, pid, 10);
    command(k, 't');
    assert_true(look(k));
    tell_sample(k->collector, pid, 20);
    assert_true(look(k));  /* all threads are known: it is settled */
    assert_false(look(k)); /* and need not be looked for */
    collector_flush(k->collector->collector, at(100));
    assert_int_equal(k->collector->window_count, 1);
    assert_int_equal(k->collector->windows[0]->processes.count, 1);
}

static void a_zombie_is_not_looked_for_for_ever(void **state)
{
    struct kit *k = kit_of(state);
    command(k, 'z');
    assert_true(look(k));
    assert_true(look(k));
    assert_false(look(k));
}

static void what_is_refused_is_asked_for_more_rarely(void **state)
{
    struct kit *k = kit_of(state);
    struct cpu bad = {.number = 0, .online = true, .sideband_fd = k->proc_fd};
    assert_true(look_at(k, &bad, 1, PACE_NS));
    assert_int_equal(attach_last_counts(k->attach).refused, 1);
    assert_int_equal(attach_last_counts(k->attach).example, k->child);
    assert_false(look_at(k, &bad, 1, SEC / 2));
    assert_true(look_at(k, &bad, 1, SEC));
    assert_true(look(k));
    assert_int_equal(attach_last_counts(k->attach).refused, 0);
    assert_true(look_at(k, &k->cpu, 1, SEC / 2));
}

/* What it has open at CPU 0 would be opened once more in the next pass. */
static void a_thread_is_opened_on_all_cpus_or_none(void **state)
{
    struct kit *k = kit_of(state);
    struct cpu cpus[] = {k->cpu, {.number = 0, .online = true, .sideband_fd = k->proc_fd}};
    assert_true(look_at(k, cpus, ARRAY_LEN(cpus), PACE_NS));
    assert_int_equal(attach_last_counts(k->attach).refused, 1);
    assert_true(attach_is_over(k->attach));
    assert_true(look(k));
    assert_false(attach_is_over(k->attach));
}

static void a_cpu_that_comes_later_has_none_of_the_threads(void **state)
{
    struct kit *k = kit_of(state);
    command(k, 't');
    assert_true(look(k));
    struct cpu later = {.number = 1, .online = true, .sideband_fd = k->cpu.sideband_fd};
    assert_int_equal(attach_lead_cpu(k->attach, &later), 2);
}

static void a_cpu_that_is_back_has_the_threads_of_before(void **state)
{
    struct kit *k = kit_of(state);
    command(k, 't');
    assert_true(look(k));
    assert_int_equal(attach_lead_cpu(k->attach, &k->cpu), 0);
}

#define WITH_A_CHILD(test) cmocka_unit_test_setup_teardown(test, make_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_A_CHILD(a_thread_that_is_opened_late_leaves_its_process_as_it_was),
        WITH_A_CHILD(a_zombie_is_not_looked_for_for_ever),
        WITH_A_CHILD(what_is_refused_is_asked_for_more_rarely),
        WITH_A_CHILD(a_thread_is_opened_on_all_cpus_or_none),
        WITH_A_CHILD(a_cpu_that_comes_later_has_none_of_the_threads),
        WITH_A_CHILD(a_cpu_that_is_back_has_the_threads_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
