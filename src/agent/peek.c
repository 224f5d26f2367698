/* peek.c: takes an address in a process, gives the bytes there, if they come at once. See peek.h.
 */
#include "agent/peek.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "agent/counters.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"

#define WAIT_NS (5 * NS_PER_MS)

/* Readers that have not come back; past it nobody reads until one does. */
#define LOST_MAX 4u

#define PAGE_BYTES 4096u /* the smallest there is */
#define PIECES_MAX (PEEK_MAX / PAGE_BYTES + 1)

/* Shared with the readers that were left behind, and freed by the last of all. */
struct crowd {
    atomic_uint refs, lost;
};

static void crowd_unref(struct crowd *crowd)
{
    if (atomic_fetch_sub(&crowd->refs, 1) == 1)
        free(crowd);
}

enum state { STATE_IDLE, STATE_ASKED, STATE_ANSWERED, STATE_LOST, STATE_END };

/* Of its thread, where that was left behind; else of struct peek. */
struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked, answered;
    enum state state;
    pid_t pid;
    uint64_t address;
    size_t len, got;
    struct crowd *crowd; /* a reference, where it was left behind */
    uint8_t bytes[PEEK_MAX];
};

struct peek {
    struct counters *counters;
    struct reader *reader; /* NULL: none yet, or the last one was left behind */
    struct crowd *crowd;
};

/* ---- the reading thread */

/* What process_vm_readv(2) cannot read ends it only between pieces: so a piece a page. */
static size_t read_memory(struct reader *r)
{
    struct iovec remote[PIECES_MAX];
    unsigned long pieces = 0;
    for (size_t at = 0; at < r->len; pieces++) {
        size_t len = PAGE_BYTES - (r->address + at) % PAGE_BYTES;
        if (len > r->len - at)
            len = r->len - at;
        remote[pieces] = (struct iovec){
            (void *)(uintptr_t)(r->address + at), // NOLINT(performance-no-int-to-ptr): not ours
            len};
        at += len;
    }
    struct iovec local = {r->bytes, r->len};
    ssize_t n = process_vm_readv(r->pid, &local, 1, remote, pieces, 0);
    return n < 0 ? 0 : (size_t)n;
}

static void free_reader(struct reader *r)
{
    pthread_cond_destroy(&r->asked);
    pthread_cond_destroy(&r->answered);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void *run(void *arg)
{
    struct reader *r = arg;
    pthread_setname_np(pthread_self(), "peek"); /* its priority is that of who started it */
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->state == STATE_IDLE || r->state == STATE_ANSWERED)
            pthread_cond_wait(&r->asked, &r->lock);
        if (r->state == STATE_END)
            break;
        pthread_mutex_unlock(&r->lock);
        size_t got = read_memory(r);
        pthread_mutex_lock(&r->lock);
        if (r->state != STATE_ASKED)
            break;
        r->got = got;
        r->state = STATE_ANSWERED;
        pthread_cond_signal(&r->answered);
    }
    bool lost = r->state == STATE_LOST;
    pthread_mutex_unlock(&r->lock);
    if (lost) {
        atomic_fetch_sub(&r->crowd->lost, 1);
        crowd_unref(r->crowd);
        free_reader(r);
    }
    return NULL;
}

/* ---- the thread that asks */

static struct reader *start_reader(struct peek *p)
{
    struct reader *r = malloc(sizeof(*r));
    if (!r)
        return NULL;
    r->state = STATE_IDLE;
    r->crowd = p->crowd;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    lock_init(&r->lock);
    pthread_cond_init(&r->asked, NULL);
    pthread_cond_init(&r->answered, &attr);
    pthread_condattr_destroy(&attr);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        free_reader(r);
        return NULL;
    }
    return r;
}

int peek_start(struct counters *counters, struct peek **ret, struct err *err)
{
    struct peek *p = calloc(1, sizeof(*p));
    if (!p || !(p->crowd = calloc(1, sizeof(*p->crowd)))) {
        free(p);
        return err_errno(err, -ENOMEM, "a reader of memory");
    }
    p->crowd->refs = 1;
    p->counters = counters;
    *ret = p;
    return 0;
}

void peek_stop(struct peek **peek)
{
    struct peek *p = *peek;
    if (!p)
        return;
    struct reader *r = p->reader;
    if (r) {
        pthread_mutex_lock(&r->lock);
        r->state = STATE_END;
        pthread_cond_signal(&r->asked);
        pthread_mutex_unlock(&r->lock);
        pthread_join(r->thread, NULL);
        free_reader(r);
    }
    crowd_unref(p->crowd);
    free(p);
    *peek = NULL;
}

/* False: the reader has not come back in time, and is its own from now on. */
static bool wait_for(struct reader *r)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + WAIT_NS;
    struct timespec deadline = {.tv_sec = until / NS_PER_SEC, .tv_nsec = until % NS_PER_SEC};
    int late = 0;
    while (r->state == STATE_ASKED && late == 0)
        late = pthread_cond_timedwait(&r->answered, &r->lock, &deadline);
    if (r->state == STATE_ANSWERED)
        return true;
    r->state = STATE_LOST;
    return false;
}

size_t peek_read(struct peek *peek, pid_t pid, uint64_t address, void *to, size_t len)
{
    assert(len <= PEEK_MAX);
    struct peek *p = peek;
    if (atomic_load(&p->crowd->lost) >= LOST_MAX)
        return 0;
    if (!p->reader && !(p->reader = start_reader(p)))
        return 0;
    struct reader *r = p->reader;
    counter_add(p->counters, peeks, 1);
    pthread_mutex_lock(&r->lock);
    r->pid = pid;
    r->address = address;
    r->len = len;
    r->state = STATE_ASKED;
    pthread_cond_signal(&r->asked);
    bool there = wait_for(r);
    size_t got = there ? r->got : 0;
    if (there) {
        memcpy(to, r->bytes, got);
    } else {
        atomic_fetch_add(&p->crowd->refs, 1);
        atomic_fetch_add(&p->crowd->lost, 1);
    }
    pthread_t thread = r->thread;
    pthread_mutex_unlock(&r->lock);
    if (!there) {
        pthread_detach(thread);
        p->reader = NULL;
        counter_add(p->counters, peeks_late, 1);
    }
    return got;
}
