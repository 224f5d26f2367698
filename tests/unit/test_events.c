/* test_events.c: what the running kernel writes for this process and its children is read in the
 * order in which it happened. Needs perf_event_open(2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/cpu.h"
#include "agent/event.h"
#include "agent/merge.h"
#include "agent/ring.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

#define CPUS_MAX   256
#define RING_BYTES (512u << 10)
#define NOTES_MAX  20000

/* A record, with copies of what its pointers point at. */
struct note {
    struct record record;
    char text[256];
    size_t user_frames, kernel_frames;
};

struct events {
    struct event_features features;
    int fds[CPUS_MAX];
    struct ring rings[CPUS_MAX];
    struct ring *list[CPUS_MAX];
    size_t count;
    struct merge merge;
    struct note notes[NOTES_MAX];
    size_t note_count;
};

static const struct event_config config = {
    .period_ns = NS_PER_MS, .stack_bytes = 1024, .watermark = 4096};

static int open_events(struct events *e, struct err *err)
{
    int r = event_probe(&config, &e->features, err);
    if (r < 0)
        return r;
    e->features.all_cpus = false; /* this process and what it creates */
    _cleanup_(buf_free) struct buf text = {0};
    uint8_t online[CPUS_MAX];
    r = fs_read_at(AT_FDCWD, "/sys/devices/system/cpu/online", 4096, &text, err);
    if (r < 0 || (r = cpu_parse_list((const char *)text.data, online, CPUS_MAX)) < 0)
        return r;
    for (int cpu = 0; cpu < CPUS_MAX; cpu++) {
        if (!online[cpu])
            continue;
        struct ring *ring = &e->rings[e->count];
        int fd = event_open_sample(&config, &e->features, getpid(), cpu, err);
        if (fd < 0)
            return fd;
        e->fds[e->count] = fd;
        ring->format = e->features.format;
        e->list[e->count++] = ring;
        if ((r = ring_map(ring, fd, RING_BYTES, err)) < 0)
            return r;
    }
    return 0;
}

static int make_events(void **state)
{
    struct events *e = calloc(1, sizeof(*e));
    assert_non_null(e);
    *state = e;
    return 0;
}

static int free_events(void **state)
{
    struct events *e = *state;
    for (size_t i = 0; i < e->count; i++) {
        ring_unmap(&e->rings[i]);
        close(e->fds[i]);
    }
    merge_free(&e->merge);
    free(e);
    return 0;
}

/* False (and the test is skipped) where the kernel refuses. */
static void open_or_skip(struct events *e)
{
    struct err err = {0};
    int r = open_events(e, &err);
    if (r == -EACCES || r == -EPERM || r == -ENOSYS) {
        print_message("%s\n", err.text);
        skip();
    }
    if (r < 0)
        fail_msg("%s", err.text);
}

static int take_note(void *ctx, struct ring *ring, const void *bytes, size_t len)
{
    struct events *e = ctx;
    assert_true(e->note_count < NOTES_MAX);
    struct note *note = &e->notes[e->note_count++];
    struct err err = {0};
    if (record_parse(&ring->format, bytes, len, &note->record, &err) < 0)
        fail_msg("%s", err.text);
    const struct record *r = &note->record;
    if (r->kind == RECORD_COMM)
        snprintf(note->text, sizeof(note->text), "%s", r->comm.name);
    if (r->kind == RECORD_MMAP)
        snprintf(note->text, sizeof(note->text), "%s", r->mmap.path);
    bool kernel = false;
    for (size_t i = 0; r->kind == RECORD_SAMPLE && i < r->sample.chain_count; i++) {
        uint64_t entry = r->sample.chain[i];
        if (entry >= PERF_CONTEXT_MAX)
            kernel = entry == PERF_CONTEXT_KERNEL;
        else
            (*(kernel ? &note->kernel_frames : &note->user_frames))++;
    }
    return 0;
}

static void drain(struct events *e)
{
    for (size_t i = 0; i < e->count; i++)
        ring_refresh(&e->rings[i]);
    assert_int_equal(merge_drain(&e->merge, e->list, e->count, UINT64_MAX, take_note, e), 0);
    assert_int_equal(e->merge.garbled, 0);
}

/* Index, from `from` on, of the next record of the kind, process and thread (0: any) whose text
 * ends so; fails if there is none. */
static size_t find(const struct events *e, size_t from, enum record_kind kind, pid_t pid, pid_t tid,
                   const char *tail)
{
    for (size_t i = from; i < e->note_count; i++) {
        const struct note *n = &e->notes[i];
        size_t len = strlen(n->text);
        if (n->record.kind == kind && n->record.pid == (uint32_t)pid &&
            (!tid || n->record.tid == (uint32_t)tid) && len >= strlen(tail) &&
            strcmp(n->text + len - strlen(tail), tail) == 0)
            return i;
    }
    fail_msg("no record kind=%d pid=%d tid=%d of \"%s\" among %zu from %zu on", kind, pid, tid,
             tail, e->note_count, from);
    return 0;
}

static void a_childs_life_is_told_in_order(void **state)
{
    struct events *e = *state;
    open_or_skip(e);
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", NULL);
        _exit(127);
    }
    assert_true(child > 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    drain(e);
    size_t forked = find(e, 0, RECORD_FORK, child, child, "");
    assert_int_equal(e->notes[forked].record.task.ppid, getpid());
    size_t execed = find(e, forked, RECORD_COMM, child, child, "true");
    assert_true(e->notes[execed].record.comm.exec);
    size_t mapped = find(e, execed, RECORD_MMAP, child, child, "/true");
    const struct record_mmap *m = &e->notes[mapped].record.mmap;
    assert_true(m->prot & PROT_EXEC);
    assert_true(m->inode || m->build_id_len);
    find(e, mapped, RECORD_MMAP, child, child, "[vdso]");
    find(e, mapped, RECORD_EXIT, child, child, "");
    for (size_t i = 1; i < e->note_count; i++)
        assert_true(e->notes[i - 1].record.time <= e->notes[i].record.time ||
                    e->notes[i].record.cpu == e->notes[i - 1].record.cpu);
}

static void *name_myself(void *arg)
{
    pid_t *tid = arg;
    *tid = (pid_t)syscall(SYS_gettid);
    pthread_setname_np(pthread_self(), "a-named-thread");
    return NULL;
}

static void a_thread_is_told_with_its_name_and_end(void **state)
{
    struct events *e = *state;
    open_or_skip(e);
    pthread_t thread;
    pid_t tid = 0;
    assert_int_equal(pthread_create(&thread, NULL, name_myself, &tid), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    /* Joined means that it has cleared its tid, a little before it is gone. */
    char task[64];
    snprintf(task, sizeof(task), "/proc/self/task/%d", tid);
    while (access(task, F_OK) == 0)
        sched_yield();
    drain(e);
    size_t forked = find(e, 0, RECORD_FORK, getpid(), tid, "");
    size_t named = find(e, forked, RECORD_COMM, getpid(), tid, "a-named-thread");
    assert_false(e->notes[named].record.comm.exec);
    find(e, named, RECORD_EXIT, getpid(), tid, "");
}

static void an_executable_mapping_is_told_with_its_place_in_the_file(void **state)
{
    struct events *e = *state;
    open_or_skip(e);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    void *at = mmap(NULL, page, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, (off_t)page);
    assert_ptr_not_equal(at, MAP_FAILED);
    munmap(at, page);
    drain(e);
    const struct record_mmap *m =
        &e->notes[find(e, 0, RECORD_MMAP, getpid(), 0, "/test_events")].record.mmap;
    assert_int_equal(m->start, (uintptr_t)at);
    assert_int_equal(m->len, page);
    assert_int_equal(m->file_offset, page);
}

static void work_is_sampled_with_its_callers(void **state)
{
    struct events *e = *state;
    open_or_skip(e);
    volatile uint64_t x = 0;
    int64_t until = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + 100 * NS_PER_MS;
    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < until)
        x += x * 3 + 1;
    drain(e);
    size_t samples = 0, user = 0, stacks = 0;
    for (size_t i = 0; i < e->note_count; i++) {
        const struct note *n = &e->notes[i];
        if (n->record.kind != RECORD_SAMPLE)
            continue;
        samples++;
        assert_int_equal(n->record.pid, getpid());
        assert_true(n->user_frames + n->kernel_frames > 0);
        user += n->user_frames > 0;
        stacks += n->record.sample.stack_len > 0;
    }
    assert_true(samples > 0);
    assert_true(user > 0);
    if (e->features.user_stack)
        assert_true(stacks > 0);
}

#define WITH_EVENTS(test) cmocka_unit_test_setup_teardown(test, make_events, free_events)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EVENTS(a_childs_life_is_told_in_order),
        WITH_EVENTS(a_thread_is_told_with_its_name_and_end),
        WITH_EVENTS(an_executable_mapping_is_told_with_its_place_in_the_file),
        WITH_EVENTS(work_is_sampled_with_its_callers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
