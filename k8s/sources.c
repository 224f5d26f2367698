/* sources.c: takes sources, asks each from time to time, leaves their answers in the table of pods.
 * See sources.h. */
#include "k8s/sources.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/source.h"

#define SECOND_LOOK_NS NS_PER_SEC
#define STOP_WAIT_NS   NS_PER_SEC
#define WAKE_COST      20 /* an answer on demand may take a twentieth of the time */

struct asked { /* one source */
    struct sources *all;
    struct source source;
    enum pods_rank rank;
    int wake_fd; /* eventfd */
    pthread_t thread;
    /* Under the lock: */
    uint64_t started, finished; /* how often it has been asked; the last of these that ended */
    bool commits;               /* the table is taking its answer in */
    bool ended;                 /* the thread does nothing more */
    enum source_state state;
    int64_t state_ns, answer_ns; /* since when; 0: never */
    struct pods_counts counts;
    uint64_t answers, failures;
    char error[ERR_TEXT_MAX];
    int64_t due_ns, earliest_ns; /* when it is asked by itself; when somebody may have it asked */
    int64_t second_look_ns;      /* 0: none */
    uint32_t failed;             /* times in a row */
};

/* Lives as long as its owner and each thread: one that hangs outlives the rest. */
struct sources {
    struct sources_config config;
    struct pods *pods;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool stop;
    uint32_t users;
    /* Set once, while there is no other reader of that rank. */
    _Atomic(struct asked *) ranks[PODS_RANKS];
};

const char *source_state_word(enum source_state state)
{
    static const char *const words[] = {[SOURCE_STARTING] = "starting",
                                        [SOURCE_OK] = "ok",
                                        [SOURCE_FAILING] = "failing",
                                        [SOURCE_NOT_FOUND] = "not-found"};
    return words[state];
}

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* ---- life and death */

static int64_t or_else(int64_t value, int64_t otherwise)
{
    return value ? value : otherwise;
}

int sources_new(const struct sources_config *config, struct pods *pods, struct sources **ret,
                struct err *err)
{
    static const struct sources_config none;
    const struct sources_config *c = config ? config : &none;
    struct sources *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "the sources of pods");
    s->config = (struct sources_config){
        .interval_ns = or_else(c->interval_ns, 30 * NS_PER_SEC),
        .retry_ns = or_else(c->retry_ns, 5 * NS_PER_SEC),
        .retry_max_ns = or_else(c->retry_max_ns, 300 * NS_PER_SEC),
        .wake_gap_ns = or_else(c->wake_gap_ns, NS_PER_SEC / 4),
    };
    s->pods = pods;
    s->users = 1;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    *ret = s;
    return 0;
}

static void free_asked(struct asked *a)
{
    if (!a)
        return;
    source_free(&a->source);
    if (a->wake_fd >= 0)
        close(a->wake_fd);
    free(a);
}

/* Gives the lock back. The last user frees all. */
static void leave(struct sources *s)
{
    bool last = --s->users == 0;
    pthread_mutex_unlock(&s->lock);
    if (!last)
        return;
    for (size_t i = 0; i < PODS_RANKS; i++)
        free_asked(atomic_load(&s->ranks[i]));
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void wake(struct asked *a)
{
    uint64_t one = 1;
    /* It can fail only where it is woken already. */
    ssize_t n = write(a->wake_fd, &one, sizeof(one));
    (void)n;
}

void sources_wake(struct sources *sources)
{
    for (size_t i = 0; i < PODS_RANKS; i++) {
        struct asked *a = atomic_load(&sources->ranks[i]);
        if (a)
            wake(a);
    }
}

/* ---- asking */

/* The log tells of changes only. */
static void tell_state(const struct asked *a, enum source_state before)
{
    const char *name = a->source.ops->name;
    if (a->state == before)
        return;
    if (a->state == SOURCE_OK)
        log_info("pods are known source=%s pods=%u containers=%u", name, a->counts.pods,
                 a->counts.containers);
    else if (a->state == SOURCE_NOT_FOUND)
        log_info("no such source of pods source=%s looked=\"%s\"", name, a->error);
    else
        log_warn("a source of pods fails source=%s error=\"%s\"", name, a->error);
}

/* Under the lock. */
static void note_answer(struct asked *a, int result, const struct err *err, int64_t now)
{
    enum source_state before = a->state;
    a->state = result == 0 ? SOURCE_OK : result == -ENOENT ? SOURCE_NOT_FOUND : SOURCE_FAILING;
    snprintf(a->error, sizeof(a->error), "%s", result == 0 ? "" : err->text);
    if (a->state != before)
        a->state_ns = now;
    if (result == 0) {
        a->answers++;
        a->answer_ns = now;
    } else if (result != -ENOENT) {
        a->failures++;
    }
    a->finished = a->started;
    pthread_cond_broadcast(&a->all->changed);
    tell_state(a, before);
}

/* A tenth more or less, by chance. */
static int64_t spread(int64_t ns)
{
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) < 0)
        chance = (uint32_t)now_ns();
    return ns - ns / 10 + ns / 5 * (int64_t)(chance % 1000) / 1000;
}

static void plan_next(struct asked *a, int result, int64_t began, int64_t ended)
{
    const struct sources_config *c = &a->all->config;
    int64_t gap = (ended - began) * WAKE_COST;
    a->earliest_ns = ended + (gap > c->wake_gap_ns ? gap : c->wake_gap_ns);
    a->due_ns = ended + spread(c->interval_ns);
    if (result == 0) {
        a->failed = 0;
        return;
    }
    a->second_look_ns = 0;
    a->earliest_ns = a->due_ns; /* to be asked more often would not help it */
    if (result == -ENOENT)      /* it may come yet, and to look costs nothing */
        return;
    int64_t wait = c->retry_ns;
    for (uint32_t i = 0; i < a->failed && wait < c->retry_max_ns; i++)
        wait *= 2;
    a->failed++;
    a->due_ns = ended + spread(wait < c->retry_max_ns ? wait : c->retry_max_ns);
    a->earliest_ns = a->due_ns;
}

/* Has the lock, gives it back while the source is asked and while the table takes the answer in:
 * both take their time with many pods. */
static void ask_once(struct asked *a)
{
    struct sources *s = a->all;
    struct pods_update *update = NULL;
    struct pods_counts counts = a->counts;
    struct err err = {0};
    int64_t began = now_ns();
    a->started++;
    int r = pods_begin(s->pods, a->rank, &update);
    if (r == 0) {
        struct facts_sink sink = pods_update_sink(update);
        pthread_mutex_unlock(&s->lock);
        r = a->source.ops->refresh(a->source.self, &sink, &err);
        pthread_mutex_lock(&s->lock);
    }
    int64_t ended = now_ns();
    /* Once stopped, the table may be gone: nothing may reach it. */
    a->commits = r == 0 && !s->stop;
    pthread_mutex_unlock(&s->lock);
    if (a->commits)
        r = pods_commit(&update, ended, &counts);
    pods_update_free(&update);
    pthread_mutex_lock(&s->lock);
    a->commits = false;
    if (s->stop)
        return;
    a->counts = counts;
    if (r == -ENOMEM)
        err_errno(&err, r, "the answer");
    note_answer(a, r, &err, ended);
    plan_next(a, r, began, ended);
}

/* Until it is time, or the source is woken; true in the latter case. */
static bool sleep_until(struct asked *a, int64_t until)
{
    struct pollfd fd = {.fd = a->wake_fd, .events = POLLIN};
    int64_t left = until - now_ns();
    struct timespec t = {.tv_sec = left / NS_PER_SEC, .tv_nsec = left % NS_PER_SEC};
    uint64_t times;
    return left > 0 && ppoll(&fd, 1, &t, NULL) > 0 &&
           read(a->wake_fd, &times, sizeof(times)) == sizeof(times);
}

/* Under the lock: when it is asked next. */
static int64_t next_ns(const struct asked *a, bool woken)
{
    int64_t at = a->due_ns;
    if (a->second_look_ns && a->second_look_ns < at)
        at = a->second_look_ns;
    return woken && a->earliest_ns < at ? a->earliest_ns : at;
}

static void *run(void *arg)
{
    struct asked *a = arg;
    struct sources *s = a->all;
    bool woken = false;
    pthread_setname_np(pthread_self(), "pods");
    pthread_mutex_lock(&s->lock);
    while (!s->stop) {
        int64_t at = next_ns(a, woken);
        if (now_ns() >= at) {
            a->second_look_ns = woken ? now_ns() + SECOND_LOOK_NS : 0;
            woken = false;
            ask_once(a);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        woken |= sleep_until(a, at);
        pthread_mutex_lock(&s->lock);
    }
    a->ended = true;
    pthread_cond_broadcast(&s->changed);
    leave(s);
    return NULL;
}

int sources_add(struct sources *sources, enum pods_rank rank, struct source source, struct err *err)
{
    struct asked *a = calloc(1, sizeof(*a));
    if (!a) {
        source_free(&source);
        return err_errno(err, -ENOMEM, "a source of pods");
    }
    *a = (struct asked){.all = sources, .source = source, .rank = rank};
    a->state_ns = now_ns();
    a->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int r = a->wake_fd < 0 ? -errno : 0;
    pthread_mutex_lock(&sources->lock);
    if (r == 0)
        r = -pthread_create(&a->thread, NULL, run, a);
    if (r == 0) {
        sources->users++;
        atomic_store(&sources->ranks[rank], a);
    }
    pthread_mutex_unlock(&sources->lock);
    if (r < 0) {
        err_errno(err, r, "starting to ask %s", source.ops->name);
        free_asked(a);
    }
    return r;
}

/* ---- stopping, waiting */

static struct timespec to_timespec(int64_t ns)
{
    return (struct timespec){.tv_sec = ns / NS_PER_SEC, .tv_nsec = ns % NS_PER_SEC};
}

/* Under the lock. Joins the threads that have ended by then, lets go of the others; of none that is
 * at the table, which depends on nobody outside. */
static void end_threads(struct sources *s)
{
    struct timespec deadline = to_timespec(now_ns() + STOP_WAIT_NS);
    for (size_t i = 0; i < PODS_RANKS; i++) {
        struct asked *a = atomic_load(&s->ranks[i]);
        if (!a)
            continue;
        int r = 0;
        while (!a->ended && (a->commits || r == 0))
            r = a->commits ? -pthread_cond_wait(&s->changed, &s->lock)
                           : -pthread_cond_timedwait(&s->changed, &s->lock, &deadline);
        if (!a->ended) {
            log_warn("a source of pods hangs and is left alone source=%s", a->source.ops->name);
            pthread_detach(a->thread);
            continue;
        }
        pthread_mutex_unlock(&s->lock);
        pthread_join(a->thread, NULL);
        pthread_mutex_lock(&s->lock);
    }
}

void sources_stop(struct sources **sources)
{
    struct sources *s = *sources;
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    sources_wake(s);
    end_threads(s);
    leave(s);
    *sources = NULL;
}

/* Under the lock: whether it will answer by then, and has not since it was asked `asked` times. */
static bool is_awaited(const struct asked *a, uint64_t asked, int64_t until_ns)
{
    return a && asked && a->finished < asked &&
           (a->state == SOURCE_OK || a->state == SOURCE_STARTING) &&
           (a->finished < a->started || next_ns(a, true) <= until_ns);
}

void sources_wait(struct sources *sources, int64_t within_ns, bool (*is_enough)(void *ctx),
                  void *ctx)
{
    int64_t until_ns = now_ns() + within_ns;
    struct timespec deadline = to_timespec(until_ns);
    uint64_t targets[PODS_RANKS] = {0};
    pthread_mutex_lock(&sources->lock);
    for (size_t i = 0; i < PODS_RANKS; i++) {
        const struct asked *a = atomic_load(&sources->ranks[i]);
        if (a)
            targets[i] = a->started + 1;
    }
    sources_wake(sources);
    int r = 0;
    while (r == 0 && !sources->stop) {
        bool awaited = false;
        for (size_t i = 0; i < PODS_RANKS; i++)
            awaited |= is_awaited(atomic_load(&sources->ranks[i]), targets[i], until_ns);
        if (!awaited || is_enough(ctx))
            break;
        r = pthread_cond_timedwait(&sources->changed, &sources->lock, &deadline);
    }
    pthread_mutex_unlock(&sources->lock);
}

/* ---- how they are */

bool sources_status(struct sources *sources, enum pods_rank rank, struct source_status *ret)
{
    pthread_mutex_lock(&sources->lock);
    const struct asked *a = atomic_load(&sources->ranks[rank]);
    if (a) {
        int64_t now = now_ns();
        *ret = (struct source_status){
            .name = a->source.ops->name,
            .state = a->state,
            .age_ns = a->answer_ns ? now - a->answer_ns : -1,
            .since_ns = now - a->state_ns,
            .counts = a->counts,
            .answers = a->answers,
            .failures = a->failures,
        };
        memcpy(ret->error, a->error, sizeof(ret->error));
    }
    pthread_mutex_unlock(&sources->lock);
    return a;
}
