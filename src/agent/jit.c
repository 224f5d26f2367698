/* jit.c: takes processes with JIT code, gives their code's names. See jit.h.
 *
 * A process's files are read when it is first seen (it may be gone before the window ends), each
 * second after, each quarter of one where addresses were seen to be used again, and when a window
 * ends: what is between two readings is in doubt. A JVM costs more: it writes all its methods anew,
 * so it is asked at once, after 1, 5 and 15 s and then each 10 s at most, at a window's end, and
 * never for more than a two hundredth of its time. */
#include "agent/jit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/java.h"
#include "agent/jit_process.h"
#include "agent/priority.h"
#include "agent/process.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "symbol/jit_index.h"

#define TARGETS_MAX    4096u
#define TARGET_BYTES   (32u << 20) /* names of one process */
#define ALL_BYTES      (128u << 20)
#define CHILDREN_MAX   8u /* JVMs asked at once */
#define CHILD_EVERY_NS (10 * NS_PER_MS)
#define READ_EVERY_NS  NS_PER_SEC
#define REUSE_EVERY_NS (NS_PER_SEC / 4)
#define IDLE_WINDOWS   10u /* without samples, after which a process's names are let go */

/* Between two questions to a JVM; the JVM's own time for one times the share. */
#define JAVA_EVERY_NS (10 * NS_PER_SEC)
#define JAVA_SHARE    200

/* A JVM that died, or could not be asked, is taken to have kept its code for so long: it frees code
 * some collections of garbage after it was last run. */
#define JAVA_GRACE_NS (JAVA_EVERY_NS + 5 * NS_PER_SEC)

/* To find it ready, before it is left alone. */
#define JAVA_TRIES    40u
#define JAVA_RETRY_NS (NS_PER_SEC / 4)

/* Windows for which addresses are told apart by time once they were seen to be used again: each
 * such window has more stacks. */
#define REUSE_WINDOWS 2u

enum java_state { JAVA_NEW, JAVA_WILLING, JAVA_LEFT_ALONE };

struct target {
    uint32_t serial;
    pid_t pid;
    uint64_t start_ns;
    uint32_t window; /* it was asked for last */
    /* The watcher's own: */
    struct jit_process *process; /* NULL: not looked at yet */
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
    unsigned java_tries, java_asked;
    int64_t java_next_ns, java_question_ns;
    uint64_t java_known_ns;
    bool had_map; /* before it was asked */
    struct java_child child;
    /* Under `lock`: */
    struct jit_index *index;
    pthread_mutex_t lock;
    _Atomic uint64_t known_ns;
    _Atomic bool java_named; /* known by asking */
    _Atomic bool is_java;
    _Atomic bool reused;
    unsigned users; /* under the jit's lock: jit_find() is at it */
};

struct jit {
    struct counters *counters;
    int wake;
    pthread_t thread;
    pthread_mutex_t lock; /* of what follows; held for moments only */
    pthread_cond_t caught_up;
    struct target *targets[TARGETS_MAX];
    uint32_t count;
    uint32_t window;        /* the newest that a process was asked for in */
    uint32_t wanted_window; /* jit_wait() */
    uint64_t wanted, done;
    uint32_t turn_window;
    uint64_t turn_before_ns;
    bool turn, stop;
    unsigned children; /* the watcher's */
    _Atomic size_t bytes;
};

/* ---- what others ask */

static void wake(struct jit *j)
{
    uint64_t one = 1;
    if (write(j->wake, &one, sizeof(one)) < 0)
        return; /* it is awake: the counter is full */
}

static struct target *find(const struct jit *j, uint32_t serial)
{
    for (uint32_t i = j->count; i-- > 0;) {
        if (j->targets[i]->serial == serial)
            return j->targets[i];
    }
    return NULL;
}

static struct target *add(struct jit *j, const struct process *p)
{
    struct target *t = j->count < TARGETS_MAX ? calloc(1, sizeof(*t)) : NULL;
    if (!t) {
        counter_add(j->counters, jit_processes_dropped, 1);
        return NULL;
    }
    t->serial = p->serial;
    t->pid = (pid_t)p->pid;
    t->start_ns = p->start_time;
    pthread_mutex_init(&t->lock, NULL);
    j->targets[j->count++] = t;
    return t;
}

bool jit_ask(struct jit *jit, const struct process *process, uint32_t window)
{
    pthread_mutex_lock(&jit->lock);
    struct target *t = find(jit, process->serial);
    if (!t)
        t = add(jit, process);
    bool news = t && t->window != window;
    if (t)
        t->window = window;
    jit->window = window;
    bool reused = t && atomic_load(&t->reused);
    pthread_mutex_unlock(&jit->lock);
    if (news)
        wake(jit);
    return reused;
}

void jit_wait(struct jit *jit, uint32_t window, int64_t within_ns)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + within_ns;
    struct timespec deadline = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
    pthread_mutex_lock(&jit->lock);
    jit->wanted_window = window;
    uint64_t target = ++jit->wanted;
    wake(jit);
    int r = 0;
    while (jit->done < target && !jit->stop && r == 0)
        r = pthread_cond_timedwait(&jit->caught_up, &jit->lock, &deadline);
    pthread_mutex_unlock(&jit->lock);
}

static struct target *use(struct jit *j, uint32_t serial)
{
    pthread_mutex_lock(&j->lock);
    struct target *t = find(j, serial);
    if (t)
        t->users++;
    pthread_mutex_unlock(&j->lock);
    return t;
}

void jit_find(struct jit *jit, uint32_t serial, const struct jit_span *spans, size_t count,
              void (*found)(void *ctx, size_t span, const char *name, bool java), void *ctx)
{
    struct target *t = use(jit, serial);
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    uint64_t known = atomic_load(&t->known_ns);
    if (atomic_load(&t->java_named))
        known += JAVA_GRACE_NS;
    for (size_t i = 0; t->index && i < count; i++) {
        struct jit_code code;
        if (spans[i].last_ns <= known &&
            jit_index_find(t->index, spans[i].address, spans[i].first_ns, spans[i].last_ns, &code))
            found(ctx, i, code.name, atomic_load(&t->is_java));
    }
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_lock(&jit->lock);
    t->users--;
    pthread_mutex_unlock(&jit->lock);
}

void jit_turn(struct jit *jit, uint32_t window, uint64_t before_ns)
{
    pthread_mutex_lock(&jit->lock);
    jit->turn = true;
    jit->turn_window = window;
    jit->turn_before_ns = before_ns;
    pthread_mutex_unlock(&jit->lock);
    wake(jit);
}

size_t jit_bytes(struct jit *jit)
{
    return atomic_load(&jit->bytes);
}

/* ---- one process: files */

static int open_target(struct jit *j, struct target *t, struct err *err)
{
    struct jit_index *index = NULL;
    int r = jit_process_open(t->pid, t->start_ns, &t->process, err);
    if (r == 0 && atomic_load(&j->bytes) > ALL_BYTES)
        r = err_set(err, -ENOSPC, "names of JIT code take %u MiB already", ALL_BYTES >> 20);
    if (r == 0)
        r = jit_index_new(TARGET_BYTES, &index, err);
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
static bool is_written_by_agent(struct target *t)
{
    struct stat st;
    bool appends;
    pid_t number = t->process->status.pids[t->process->status.pid_count - 1];
    _cleanup_close_ int tmp = jit_process_open_tmp(t->process);
    _cleanup_close_ int fd =
        tmp < 0 ? -1 : jit_process_open_map(t->process, tmp, number, &st, NULL);
    return fd >= 0 && jit_process_writes(t->process, &st, &appends);
}

static void look(struct target *t)
{
    if (jit_process_look(t->process, NULL) < 0)
        return; /* it is gone; what is open can still be read */
    atomic_store(&t->is_java, t->process->libjvm != NULL);
    t->agent = t->agent || (t->process->libjvm && is_written_by_agent(t));
}

static void note_reuse(struct target *t, uint64_t reuses, uint32_t window)
{
    if (reuses > t->reuses)
        t->reuse_window = window;
    t->reuses = reuses;
    atomic_store(&t->reused, t->reuse_window && window <= t->reuse_window + REUSE_WINDOWS);
}

static void read_files(struct jit *j, struct target *t, uint32_t window)
{
    struct err err = {0};
    bool maps = !t->process->libjvm || t->agent;
    pthread_mutex_lock(&t->lock);
    int r = jit_process_read(t->process, maps, t->index, &err);
    uint64_t reuses = jit_index_reuses(t->index);
    pthread_mutex_unlock(&t->lock);
    if (r > 0) {
        counter_add(j->counters, jit_files_read, r);
        atomic_store(&t->known_ns, t->process->known_ns);
        note_reuse(t, reuses, window);
        if (t->process->libjvm)
            t->java = JAVA_LEFT_ALONE; /* its agent says it all */
    } else if ((r == -EPERM || r == -EBADMSG || r == -EFBIG) && !t->told) {
        counter_add(j->counters, jit_files_refused, 1);
        log_info("JIT code stays without names pid=%d error=\"%s\"", t->pid, err.text);
        t->told = true;
    }
}

/* ---- one process: a JVM */

static void leave_alone(struct jit *j, struct target *t, const char *why, const char *helps)
{
    t->java = JAVA_LEFT_ALONE;
    counter_add(j->counters, java_refused, 1);
    log_info("a JVM's methods stay without names pid=%d why=\"%s\"%s%s%s", t->pid, why,
             helps ? " helps=\"" : "", helps ? helps : "", helps ? "\"" : "");
}

static void ask_java(struct jit *j, struct target *t)
{
    const char *why, *helps;
    struct stat st;
    struct err err = {0};
    enum java_willing willing = java_may_ask(t->process, &why, &helps);
    if (willing == JAVA_NOT_YET && ++t->java_tries < JAVA_TRIES)
        return;
    if (willing != JAVA_MAY_BE_ASKED) {
        leave_alone(j, t, why, helps);
        return;
    }
    t->java = JAVA_WILLING;
    /* The JVM is about to write a file under that name: what is in the way is looked at first. */
    char name[32];
    snprintf(name, sizeof(name), "perf-%d.map",
             t->process->status.pids[t->process->status.pid_count - 1]);
    _cleanup_close_ int tmp = jit_process_open_tmp(t->process);
    int r = tmp < 0 ? tmp : fstatat(tmp, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    t->had_map = r == 0;
    if (r == 0 &&
        (!S_ISREG(st.st_mode) || st.st_nlink > 1 || st.st_uid != t->process->status.euid)) {
        leave_alone(j, t, "something else has its map's name in its /tmp", NULL);
        return;
    }
    t->java_question_ns = clock_ns(CLOCK_MONOTONIC);
    if (r == 0 || r == -ENOENT)
        r = java_child_start(t->process, tmp, &t->child, &err);
    if (r < 0)
        leave_alone(j, t, err.code ? err.text : strerrordesc_np(-r), NULL);
    else
        j->children++;
}

/* The map that it has just written is all the code there is. */
static int read_answer(struct target *t, struct err *err)
{
    struct jit_process *p = t->process;
    struct stat st;
    pid_t number = p->status.pids[p->status.pid_count - 1];
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

static void take_answer(struct jit *j, struct target *t)
{
    struct java_result result;
    struct err err = {0};
    enum java_outcome outcome = java_child_check(&t->child, &result);
    if (outcome == JAVA_RUNNING)
        return;
    j->children--;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (outcome == JAVA_DONE && read_answer(t, &err) == 0) {
        counter_add(j->counters, java_asked, 1);
        t->java_known_ns = (uint64_t)t->java_question_ns;
        atomic_store(&t->java_named, true);
        atomic_store(&t->known_ns, t->java_known_ns);
        static const int64_t pauses[] = {NS_PER_SEC, 4 * NS_PER_SEC, 10 * NS_PER_SEC};
        int64_t pause = t->java_asked < ARRAY_LEN(pauses) ? pauses[t->java_asked] : JAVA_EVERY_NS;
        t->java_asked++;
        int64_t least = result.took_ns * JAVA_SHARE;
        t->java_next_ns = now + (pause > least ? pause : least);
        log_debug("a JVM told its methods pid=%d pieces=%zu took_ms=%lld", t->pid,
                  jit_index_count(t->index), (long long)(result.took_ns / NS_PER_MS));
    } else if (!jit_process_is_there(t->process)) {
        t->gone = true;
    } else {
        if (outcome == JAVA_TIMED_OUT)
            counter_add(j->counters, java_timeouts, 1);
        leave_alone(j, t, err.code ? err.text : result.text, NULL);
    }
}

static bool java_is_due(const struct target *t, int64_t now)
{
    return t->process && t->process->libjvm && t->java != JAVA_LEFT_ALONE && !t->child.pid &&
           !t->gone &&
           (now >= t->java_next_ns ||
            (t->due && t->java == JAVA_WILLING && now - t->java_question_ns > NS_PER_SEC));
}

/* ---- the round */

static void visit(struct jit *j, struct target *t, uint32_t window)
{
    struct err err = {0};
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (t->gone && !t->process)
        return;
    if (!t->process && open_target(j, t, &err) < 0) {
        log_debug("a process with JIT code was not found again error=\"%s\"", err.text);
        return;
    }
    if (t->child.pid)
        take_answer(j, t);
    if (now >= t->next_ns || t->to_read) {
        /* Libraries and dumps are mapped when a JIT starts: later it is only looked now and then.
         */
        if (t->reads < 4 || t->to_read)
            look(t);
        read_files(j, t, window);
        t->reads++;
        t->to_read = false;
        t->next_ns = now + (atomic_load(&t->reused) ? REUSE_EVERY_NS : READ_EVERY_NS);
    }
    if (java_is_due(t, now) && j->children < CHILDREN_MAX) {
        ask_java(j, t);
        if (!t->child.pid)
            t->java_next_ns = now + JAVA_RETRY_NS;
    }
}

/* When a process is to be visited again. */
static int64_t next_visit(const struct target *t)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    if (t->gone && !t->process)
        return INT64_MAX;
    if (t->child.pid)
        return now + CHILD_EVERY_NS;
    bool java = t->process && t->process->libjvm && t->java != JAVA_LEFT_ALONE && !t->gone;
    int64_t next = java && t->java_next_ns < t->next_ns ? t->java_next_ns : t->next_ns;
    return next > now ? next : now + CHILD_EVERY_NS; /* it waits for other JVMs */
}

/* A window has ended: its processes are read once more, and come to rest when their JVMs have
 * answered. */
static bool is_settled(const struct jit *j, const struct target *t)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    return !t->child.pid && !(java_is_due(t, now) && j->children >= CHILDREN_MAX);
}

static void drop(struct target *t)
{
    java_child_end(&t->child);
    jit_process_free(&t->process);
    jit_index_free(&t->index);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

static void turn_target(struct target *t, uint64_t before_ns)
{
    if (t->process)
        jit_process_close_files(t->process);
    if (!t->index)
        return;
    pthread_mutex_lock(&t->lock);
    jit_index_forget(t->index, before_ns);
    pthread_mutex_unlock(&t->lock);
}

static bool is_over(const struct target *t, uint32_t window)
{
    if (t->window + IDLE_WINDOWS < window)
        return true;
    return t->window <= window && (!t->process || !jit_process_is_there(t->process));
}

static void turn(struct jit *j, uint32_t window, uint64_t before_ns)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < j->count; i++)
        turn_target(j->targets[i], before_ns);
    for (uint32_t i = j->count; i-- > 0;) {
        struct target *t = j->targets[i];
        bool over = is_over(t, window);
        pthread_mutex_lock(&j->lock);
        over = over && !t->users && t->window <= window;
        if (over)
            j->targets[i] = j->targets[--j->count];
        pthread_mutex_unlock(&j->lock);
        if (over) {
            j->children -= t->child.pid != 0;
            drop(t);
        } else if (t->index) {
            bytes += jit_index_bytes(t->index);
        }
    }
    atomic_store(&j->bytes, bytes);
}

/* What was asked for meanwhile. */
struct orders {
    uint64_t wanted;
    uint32_t window, wanted_window, count;
    uint32_t turn_window;
    uint64_t turn_before_ns;
    bool turn, stop;
};

static struct orders take_orders(struct jit *j)
{
    pthread_mutex_lock(&j->lock);
    struct orders o = {.wanted = j->wanted,
                       .wanted_window = j->wanted_window,
                       .window = j->window,
                       .count = j->count,
                       .turn_window = j->turn_window,
                       .turn_before_ns = j->turn_before_ns,
                       .turn = j->turn,
                       .stop = j->stop};
    j->turn = false;
    pthread_mutex_unlock(&j->lock);
    return o;
}

static struct target *target_at(struct jit *j, uint32_t i, uint32_t *ret_window)
{
    pthread_mutex_lock(&j->lock);
    struct target *t = j->targets[i]; /* only this thread takes any away */
    *ret_window = t->window;
    pthread_mutex_unlock(&j->lock);
    return t;
}

/* Visits all once; gives when to do so again, and whether the window that is waited for has come to
 * rest. `ended`: that one has ended just now. */
static int64_t visit_all(struct jit *j, const struct orders *o, bool ended, bool *ret_rest)
{
    int64_t next = INT64_MAX;
    *ret_rest = true;
    for (uint32_t i = 0; i < o->count; i++) {
        uint32_t window;
        struct target *t = target_at(j, i, &window);
        if (ended && window >= o->wanted_window)
            t->due = t->to_read = true;
        if (window + 1 < o->window && !t->due && !t->child.pid)
            continue; /* without samples nobody asks for its names */
        visit(j, t, window);
        t->due = t->due && !is_settled(j, t);
        *ret_rest = *ret_rest && !t->due;
        int64_t at = next_visit(t);
        next = at < next ? at : next;
    }
    return next;
}

static void answer_wait(struct jit *j, uint64_t wanted)
{
    pthread_mutex_lock(&j->lock);
    if (j->done < wanted)
        j->done = wanted;
    pthread_cond_broadcast(&j->caught_up);
    pthread_mutex_unlock(&j->lock);
}

static void sleep_until(struct jit *j, int64_t next)
{
    int64_t left_ms = (next - clock_ns(CLOCK_MONOTONIC)) / NS_PER_MS;
    struct pollfd p = {.fd = j->wake, .events = POLLIN};
    int timeout = next == INT64_MAX ? -1 : left_ms < 0 ? 0 : left_ms > 60000 ? 60000 : (int)left_ms;
    uint64_t count;
    if (poll(&p, 1, timeout) > 0 && read(j->wake, &count, sizeof(count)) < 0)
        return; /* the next poll says so again */
}

static void *run(void *arg)
{
    struct jit *j = arg;
    pthread_setname_np(pthread_self(), "jit");
    priority_raise_helper();
    uint64_t begun = 0, answered = 0;
    for (;;) {
        struct orders o = take_orders(j);
        if (o.stop)
            break;
        if (o.turn) {
            turn(j, o.turn_window, o.turn_before_ns);
            o = take_orders(j);
        }
        bool rest;
        int64_t next = visit_all(j, &o, o.wanted > begun, &rest);
        begun = o.wanted;
        if (answered < begun && rest) {
            answer_wait(j, begun);
            answered = begun;
        }
        sleep_until(j, next);
    }
    return NULL;
}

/* ---- starting and stopping */

int jit_start(struct counters *counters, struct jit **ret, struct err *err)
{
    struct jit *j = calloc(1, sizeof(*j));
    if (!j)
        return err_errno(err, -ENOMEM, "names of JIT code");
    j->counters = counters;
    j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->wake < 0) {
        int r = -errno;
        free(j);
        return err_errno(err, r, "eventfd");
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    priority_init_lock(&j->lock);
    pthread_cond_init(&j->caught_up, &attr);
    pthread_condattr_destroy(&attr);
    int r = pthread_create(&j->thread, NULL, run, j);
    if (r) {
        close(j->wake);
        free(j);
        return err_errno(err, -r, "starting the thread that names JIT code");
    }
    *ret = j;
    return 0;
}

void jit_stop(struct jit **jit)
{
    struct jit *j = *jit;
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->stop = true;
    pthread_cond_broadcast(&j->caught_up);
    pthread_mutex_unlock(&j->lock);
    wake(j);
    pthread_join(j->thread, NULL);
    for (uint32_t i = 0; i < j->count; i++)
        drop(j->targets[i]);
    pthread_cond_destroy(&j->caught_up);
    pthread_mutex_destroy(&j->lock);
    close(j->wake);
    free(j);
    *jit = NULL;
}
