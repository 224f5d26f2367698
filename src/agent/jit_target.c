/* jit_target.c: takes visits, keeps a process's code known. See jit_target.h.
 *
 * A process's files are read when it is first seen (it may be gone before the window ends), each
 * second after, each quarter of one where addresses were seen to be used again, and when a window
 * ends: what is between two readings is in doubt. A JVM costs more: it writes all its methods anew,
 * so it is asked at once, after 1, 5 and 15 s and then each 10 s at most, at a window's end, and
 * never for more than a two hundredth of its time. */
#include "agent/jit_target.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/java.h"
#include "agent/jit_process.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "symbol/jit_index.h"

#define INDEX_BYTES    (32u << 20)
#define LOOKS          4u /* libraries and dumps are mapped when a JIT starts */
#define READ_EVERY_NS  NS_PER_SEC
#define REUSE_EVERY_NS (NS_PER_SEC / 4)

/* Windows for which addresses are told apart by time once they were seen to be used again: each
 * such window has more stacks. */
#define REUSE_WINDOWS 2u

#define CHILDREN_MAX   8u /* JVMs asked at once */
#define CHILD_EVERY_NS (10 * NS_PER_MS)

/* Between two questions to a JVM; the time one took it, times the share. */
#define JAVA_EVERY_NS (10 * NS_PER_SEC)
#define JAVA_SHARE    200

/* A JVM that died, or could not be asked, is taken to have kept its code for so long: it frees code
 * some collections of garbage after it was last run. */
#define JAVA_GRACE_NS (JAVA_EVERY_NS + 5 * NS_PER_SEC)

/* To find it ready, before it is left alone. */
#define JAVA_TRIES    40u
#define JAVA_RETRY_NS (NS_PER_SEC / 4)

/* One after the other, of a JVM that has answered before. */
#define JAVA_FAILURES 3u

/* Where another tool takes the map away that it wrote for us: another agent, which asks as well. */
#define JAVA_LOST_MAX 20u

enum java_state { JAVA_NEW, JAVA_WILLING, JAVA_LEFT_ALONE };

struct jit_target {
    pid_t pid;
    uint64_t start_ns;
    struct jit_process *process; /* NULL: not looked at yet, or not found */
    bool gone;
    bool due;     /* the window has ended, and its last names are not there yet */
    bool to_read; /* its files, for that */
    bool agent;   /* in a JVM, which writes a perf map */
    bool told;    /* that its map is refused */
    int64_t next_ns;
    unsigned reads;
    uint64_t reuses;
    uint32_t reuse_window;

    enum java_state java;
    unsigned java_tries, java_asked, java_failed, java_lost;
    int64_t java_next_ns;
    int64_t java_least_ns; /* before it the question would cost too much */
    int64_t java_question_ns;
    uint64_t java_known_ns;
    bool had_map; /* before it was asked */
    struct java_child child;

    pthread_mutex_t lock; /* of `index`; the others are read from another thread too */
    struct jit_index *index;
    _Atomic uint64_t known_ns;
    _Atomic bool java_named; /* known by asking */
    _Atomic bool is_java;
    _Atomic bool reused;
};

struct jit_target *jit_target_new(pid_t pid, uint64_t start_ns)
{
    struct jit_target *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->pid = pid;
    t->start_ns = start_ns;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void jit_target_free(struct jit_target **target, struct jit_budget *budget)
{
    struct jit_target *t = *target;
    if (!t)
        return;
    budget->children -= t->child.pid != 0;
    java_child_end(&t->child);
    jit_process_free(&t->process);
    jit_index_free(&t->index);
    pthread_mutex_destroy(&t->lock);
    free(t);
    *target = NULL;
}

/* ---- files */

static int open_process(struct jit_target *t, const struct jit_budget *b, struct err *err)
{
    struct jit_index *index = NULL;
    int r = jit_process_open(t->pid, t->start_ns, &t->process, err);
    if (r == 0 && b->full)
        r = err_set(err, -ENOSPC, "names of JIT code take as much memory as they may");
    if (r == 0)
        r = jit_index_new(INDEX_BYTES, &index, err);
    if (r < 0) {
        jit_process_free(&t->process);
        t->gone = true;
        return r;
    }
    pthread_mutex_lock(&t->lock);
    t->index = index;
    pthread_mutex_unlock(&t->lock);
    return 0;
}

/* A map that a JVM wrote because it was asked once is as old as that question: only one that an
 * agent in it keeps writing is of use. */
static bool is_written_by_agent(struct jit_target *t)
{
    struct stat st;
    bool appends;
    pid_t number = jit_process_number(t->process);
    _cleanup_close_ int tmp = jit_process_open_tmp(t->process);
    _cleanup_close_ int fd =
        tmp < 0 ? -1 : jit_process_open_map(t->process, tmp, number, &st, NULL);
    return fd >= 0 && jit_process_writes(t->process, &st, &appends);
}

static void look(struct jit_target *t)
{
    if (jit_process_look(t->process, NULL) < 0)
        return; /* it is gone; what is open can still be read */
    atomic_store(&t->is_java, t->process->libjvm != NULL);
    t->agent = t->agent || (t->process->libjvm && is_written_by_agent(t));
}

static void note_reuse(struct jit_target *t, uint64_t reuses, uint32_t window)
{
    if (reuses > t->reuses)
        t->reuse_window = window;
    t->reuses = reuses;
    atomic_store(&t->reused, t->reuse_window && window <= t->reuse_window + REUSE_WINDOWS);
}

static void read_files(struct jit_budget *b, struct jit_target *t, uint32_t window)
{
    struct err err = {0};
    bool maps = !t->process->libjvm || t->agent;
    pthread_mutex_lock(&t->lock);
    int r = jit_process_read(t->process, maps, t->index, &err);
    uint64_t reuses = jit_index_reuses(t->index);
    pthread_mutex_unlock(&t->lock);
    if (r > 0) {
        counter_add(b->counters, jit_files_read, r);
        atomic_store(&t->known_ns, t->process->known_ns);
        note_reuse(t, reuses, window);
        if (t->process->libjvm)
            t->java = JAVA_LEFT_ALONE; /* its agent says it all */
    } else if ((r == -EPERM || r == -EBADMSG || r == -EFBIG) && !t->told) {
        counter_add(b->counters, jit_files_refused, 1);
        log_info("JIT code stays without names pid=%d error=\"%s\"", t->pid, err.text);
        t->told = true;
    }
}

/* ---- a JVM */

static void leave_alone(struct jit_budget *b, struct jit_target *t, const char *why,
                        const char *helps)
{
    t->java = JAVA_LEFT_ALONE;
    counter_add(b->counters, java_refused, 1);
    log_info("a JVM's methods stay without names pid=%d why=\"%s\"%s%s%s", t->pid, why,
             helps ? " helps=\"" : "", helps ? helps : "", helps ? "\"" : "");
}

static void ask_java(struct jit_budget *b, struct jit_target *t)
{
    const char *why, *helps;
    struct stat st;
    struct err err = {0};
    if (proc_status_read(t->process->proc, &t->process->status) < 0 ||
        strchr("ZX", t->process->status.state)) {
        t->gone = true;
        return;
    }
    enum java_willing willing = java_may_ask(t->process, &why, &helps);
    if (willing == JAVA_NOT_YET && ++t->java_tries < JAVA_TRIES)
        return;
    if (willing != JAVA_MAY_BE_ASKED) {
        leave_alone(b, t, why, helps);
        return;
    }
    t->java = JAVA_WILLING;
    /* The JVM is about to write a file under that name: what is in the way is looked at first. */
    char name[32];
    snprintf(name, sizeof(name), "perf-%d.map", jit_process_number(t->process));
    _cleanup_close_ int tmp = jit_process_open_tmp(t->process);
    int r = tmp < 0 ? tmp : fstatat(tmp, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    t->had_map = r == 0;
    if (r == 0 &&
        (!S_ISREG(st.st_mode) || st.st_nlink > 1 || st.st_uid != t->process->status.euid)) {
        leave_alone(b, t, "something else has its map's name in its /tmp", NULL);
        return;
    }
    t->java_question_ns = clock_ns(CLOCK_MONOTONIC);
    if (r == 0 || r == -ENOENT)
        r = java_child_start(t->process, tmp, &t->child, &err);
    if (r < 0)
        leave_alone(b, t, err.code ? err.text : strerrordesc_np(-r), NULL);
    else
        b->children++;
}

/* The map that it has just written is all the code there is. */
static int read_answer(struct jit_target *t, struct err *err)
{
    struct jit_process *p = t->process;
    struct stat st;
    pid_t number = jit_process_number(p);
    _cleanup_close_ int tmp = jit_process_open_tmp(p);
    if (tmp < 0)
        return err_errno(err, tmp, "its /tmp");
    _cleanup_close_ int fd = jit_process_open_map(p, tmp, number, &st, err);
    if (fd < 0)
        return fd;
    struct perf_map_cursor cursor = {0};
    struct jit_time when = {t->java_known_ns, (uint64_t)clock_ns(CLOCK_MONOTONIC)};
    pthread_mutex_lock(&t->lock);
    jit_index_begin_all(t->index);
    int r = perf_map_read(fd, (uint64_t)st.st_size, &cursor, t->index, &when, err);
    if (r == 0)
        jit_index_end_all(t->index, &when);
    pthread_mutex_unlock(&t->lock);
    if (!t->had_map) {
        char name[32];
        snprintf(name, sizeof(name), "perf-%d.map", number);
        unlinkat(tmp, name, 0);
    }
    return r;
}

static void note_answer(struct jit_target *t, int64_t took_ns)
{
    static const int64_t pauses[] = {NS_PER_SEC, 4 * NS_PER_SEC, 10 * NS_PER_SEC};
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    int64_t pause = t->java_asked < ARRAY_LEN(pauses) ? pauses[t->java_asked] : JAVA_EVERY_NS;
    t->java_asked++;
    t->java_tries = t->java_failed = 0;
    t->java_known_ns = (uint64_t)t->java_question_ns;
    t->java_least_ns = now + took_ns * JAVA_SHARE;
    t->java_next_ns = now + pause;
    atomic_store(&t->java_named, true);
    atomic_store(&t->known_ns, t->java_known_ns);
    log_debug("a JVM told its methods pid=%d pieces=%zu took_us=%lld", t->pid,
              jit_index_count(t->index), (long long)(took_ns / NS_PER_US));
}

/* Two that ask in step would take each other's answers for ever. */
static int64_t lost_pause_ns(void)
{
    uint32_t random = 0;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = (uint32_t)clock_ns(CLOCK_MONOTONIC);
    return NS_PER_SEC / 4 + (int64_t)(random % 1000) * NS_PER_MS;
}

static void take_answer(struct jit_budget *b, struct jit_target *t)
{
    struct java_result result;
    struct err err = {0};
    enum java_outcome outcome = java_child_check(&t->child, &result);
    if (outcome == JAVA_RUNNING)
        return;
    b->children--;
    int r = outcome == JAVA_DONE ? read_answer(t, &err) : -EIO;
    if (r == 0) {
        counter_add(b->counters, java_asked, 1);
        note_answer(t, result.took_ns);
        return;
    }
    if (r == -ENOENT && jit_process_is_there(t->process) && ++t->java_lost < JAVA_LOST_MAX) {
        t->java_next_ns = clock_ns(CLOCK_MONOTONIC) + lost_pause_ns();
        return;
    }
    counter_add(b->counters, java_timeouts, outcome == JAVA_TIMED_OUT);
    if (!jit_process_is_there(t->process))
        t->gone = true;
    else if (t->java_asked && ++t->java_failed < JAVA_FAILURES) /* it may be about to end */
        t->java_next_ns = clock_ns(CLOCK_MONOTONIC) + JAVA_EVERY_NS;
    else
        leave_alone(b, t, err.code ? err.text : result.text, NULL);
}

static bool can_be_asked(const struct jit_target *t)
{
    return t->process && t->process->libjvm && t->java != JAVA_LEFT_ALONE && !t->gone;
}

static bool is_to_be_asked(const struct jit_target *t)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    bool ended = t->due && t->java_asked && now - t->java_question_ns > NS_PER_SEC;
    return can_be_asked(t) && !t->child.pid && now >= t->java_least_ns &&
           (now >= t->java_next_ns || ended);
}

/* ---- visits */

void jit_target_visit(struct jit_target *t, struct jit_budget *b, uint32_t window)
{
    struct err err = {0};
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (!t->process && !t->gone && open_process(t, b, &err) < 0)
        log_debug("a process with JIT code was not found again error=\"%s\"", err.text);
    if (!t->process) {
        t->due = false;
        return;
    }
    if (t->child.pid)
        take_answer(b, t);
    if (now >= t->next_ns || t->to_read) {
        if (t->reads < LOOKS || t->to_read)
            look(t);
        read_files(b, t, window);
        t->reads++;
        t->to_read = false;
        t->next_ns = now + (atomic_load(&t->reused) ? REUSE_EVERY_NS : READ_EVERY_NS);
    }
    if (is_to_be_asked(t) && b->children < CHILDREN_MAX) {
        ask_java(b, t);
        if (!t->child.pid)
            t->java_next_ns = now + JAVA_RETRY_NS;
    }
    /* Else it waits for the answer, or until fewer JVMs are being asked. */
    t->due = t->due && (t->child.pid || is_to_be_asked(t));
}

int64_t jit_target_next(const struct jit_target *t)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), next = t->next_ns;
    if (t->gone && !t->process)
        return INT64_MAX;
    if (t->child.pid)
        return now + CHILD_EVERY_NS;
    if (can_be_asked(t)) {
        int64_t ask = t->java_next_ns > t->java_least_ns ? t->java_next_ns : t->java_least_ns;
        next = ask < next ? ask : next;
    }
    return next > now ? next : now + CHILD_EVERY_NS;
}

void jit_target_end_window(struct jit_target *t)
{
    t->due = t->to_read = true;
}

bool jit_target_is_waited_for(const struct jit_target *t)
{
    return t->due;
}

bool jit_target_is_busy(const struct jit_target *t)
{
    return t->due || t->child.pid;
}

void jit_target_turn(struct jit_target *t, uint64_t before_ns)
{
    if (t->process)
        jit_process_close_files(t->process);
    if (!t->index)
        return;
    pthread_mutex_lock(&t->lock);
    jit_index_forget(t->index, before_ns);
    pthread_mutex_unlock(&t->lock);
}

bool jit_target_is_gone(const struct jit_target *t)
{
    return t->process ? !jit_process_is_there(t->process) : t->gone;
}

bool jit_target_reuses(const struct jit_target *t)
{
    return atomic_load(&t->reused);
}

size_t jit_target_bytes(const struct jit_target *t)
{
    return t->index ? jit_index_bytes(t->index) : 0;
}

void jit_target_find(struct jit_target *t, const struct jit_span *spans, size_t count,
                     void (*found)(void *ctx, size_t span, const char *name, bool java), void *ctx)
{
    pthread_mutex_lock(&t->lock);
    uint64_t known = atomic_load(&t->known_ns) + (atomic_load(&t->java_named) ? JAVA_GRACE_NS : 0);
    for (size_t i = 0; t->index && i < count; i++) {
        const struct jit_span *s = &spans[i];
        struct jit_code code;
        if (s->last_ns <= known &&
            jit_index_find(t->index, s->address, s->first_ns, s->last_ns, &code))
            found(ctx, i, code.name, atomic_load(&t->is_java));
    }
    pthread_mutex_unlock(&t->lock);
}
