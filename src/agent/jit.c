/* jit.c: takes processes with JIT code, gives their code's names: a list of them, which its thread
 * visits. See jit.h; what is done with each is jit_target.c's. */
#include "agent/jit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/jit_target.h"
#include "agent/priority.h"
#include "agent/process.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"

#define TARGETS_MAX  4096u
#define BYTES_MAX    (128u << 20)
#define IDLE_WINDOWS 10u /* without samples, after which a process's names are let go */

struct entry {
    uint32_t serial; /* of struct process */
    uint32_t window; /* it was asked for last */
    unsigned users;  /* jit_find() is at it */
    struct jit_target *target;
};

struct jit {
    int wake;
    pthread_t thread;
    struct jit_budget budget; /* the thread's */
    _Atomic size_t bytes;
    pthread_mutex_t lock; /* of what follows; held for moments only */
    pthread_cond_t caught_up;
    struct entry entries[TARGETS_MAX];
    uint32_t count;
    uint32_t window;        /* the newest that a process was asked for in */
    uint32_t wanted_window; /* jit_wait() */
    uint64_t wanted, done;
    uint32_t turn_window;
    uint64_t turn_before_ns;
    bool turn, stop;
};

/* ---- what others ask */

static void wake(struct jit *j)
{
    uint64_t one = 1;
    if (write(j->wake, &one, sizeof(one)) < 0)
        return; /* it is awake: the counter is full */
}

static struct entry *find(struct jit *j, uint32_t serial)
{
    for (uint32_t i = j->count; i-- > 0;) {
        if (j->entries[i].serial == serial)
            return &j->entries[i];
    }
    return NULL;
}

static struct entry *add(struct jit *j, const struct process *p)
{
    struct jit_target *t =
        j->count < TARGETS_MAX ? jit_target_new((pid_t)p->pid, p->start_time) : NULL;
    if (!t) {
        counter_add(j->budget.counters, jit_processes_dropped, 1);
        return NULL;
    }
    j->entries[j->count] = (struct entry){.serial = p->serial, .target = t};
    return &j->entries[j->count++];
}

bool jit_ask(struct jit *jit, const struct process *process, uint32_t window)
{
    pthread_mutex_lock(&jit->lock);
    struct entry *e = find(jit, process->serial);
    if (!e)
        e = add(jit, process);
    bool news = e && e->window != window;
    bool reuses = e && jit_target_reuses(e->target);
    if (e)
        e->window = window;
    jit->window = window;
    pthread_mutex_unlock(&jit->lock);
    if (news)
        wake(jit);
    return reuses;
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

void jit_find(struct jit *jit, uint32_t serial, const struct jit_span *spans, size_t count,
              void (*found)(void *ctx, size_t span, const char *name, bool java), void *ctx)
{
    pthread_mutex_lock(&jit->lock);
    struct entry *e = find(jit, serial);
    struct jit_target *t = e ? e->target : NULL;
    if (e)
        e->users++;
    pthread_mutex_unlock(&jit->lock);
    if (!t)
        return;
    jit_target_find(t, spans, count, found, ctx);
    pthread_mutex_lock(&jit->lock);
    find(jit, serial)->users--; /* entries move, but one in use stays */
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

/* ---- the thread */

/* Takes an entry off the list if nobody needs it any more; its target is the caller's then. */
static struct jit_target *take_off(struct jit *j, uint32_t i, uint32_t window)
{
    struct jit_target *t = NULL;
    bool gone = jit_target_is_gone(j->entries[i].target);
    pthread_mutex_lock(&j->lock);
    struct entry *e = &j->entries[i];
    bool over = e->window + IDLE_WINDOWS < window || (gone && e->window <= window);
    if (over && !e->users) {
        t = e->target;
        *e = j->entries[--j->count];
    }
    pthread_mutex_unlock(&j->lock);
    return t;
}

static void turn(struct jit *j, uint32_t count, uint32_t window, uint64_t before_ns)
{
    size_t bytes = 0;
    for (uint32_t i = count; i-- > 0;) {
        struct jit_target *over = take_off(j, i, window);
        if (over) {
            jit_target_free(&over, &j->budget);
        } else {
            jit_target_turn(j->entries[i].target, before_ns);
            bytes += jit_target_bytes(j->entries[i].target);
        }
    }
    j->budget.full = bytes > BYTES_MAX;
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

static struct jit_target *target_at(struct jit *j, uint32_t i, uint32_t *ret_window)
{
    pthread_mutex_lock(&j->lock);
    struct entry *e = &j->entries[i]; /* only this thread takes any away */
    struct jit_target *t = e->target;
    *ret_window = e->window;
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
        struct jit_target *t = target_at(j, i, &window);
        if (ended && window >= o->wanted_window)
            jit_target_end_window(t);
        if (window + 1 < o->window && !jit_target_is_busy(t))
            continue; /* without samples nobody asks for its names */
        jit_target_visit(t, &j->budget, window);
        *ret_rest = *ret_rest && !jit_target_is_waited_for(t);
        int64_t at = jit_target_next(t);
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
            turn(j, o.count, o.turn_window, o.turn_before_ns);
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
    j->budget.counters = counters;
    j->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (j->wake < 0) {
        int r = -errno;
        free(j);
        return err_errno(err, r, "eventfd");
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    lock_init(&j->lock);
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
        jit_target_free(&j->entries[i].target, &j->budget);
    pthread_cond_destroy(&j->caught_up);
    pthread_mutex_destroy(&j->lock);
    close(j->wake);
    free(j);
    *jit = NULL;
}
