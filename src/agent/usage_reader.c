/* usage_reader.c: takes a node's cgroups, gives what they use, scan by scan. See usage_reader.h.
 *
 * Scans lie in the middle of the clock's intervals, so that all of a window's are there when it
 * ends. */
#include "agent/usage_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/usage_log.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/lock.h"
#include "base/log.h"
#include "k8s/cgroup.h"
#include "k8s/usage.h"

/* A node has 250 pods at most, by Kubernetes' own advice 110, and some hundred units. */
#define CGROUPS_MAX   2000u
#define PROCESSES_MAX 20000u
#define LOGS_MAX      64u
#define MOUNTINFO_MAX (4u << 20)

struct usage_reader {
    int64_t interval_ns;
    struct usage_config config;
    struct usage_scanner *scanner;
    struct counters *counters;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stop, complained;
    struct usage_log *first; /* oldest first */
    unsigned logs;
};

/* ---- the thread */

static void put_log(struct usage_reader *u, struct usage_log *log)
{
    pthread_mutex_lock(&u->lock);
    struct usage_log **end = &u->first;
    while (*end)
        end = &(*end)->next;
    *end = log;
    if (++u->logs > LOGS_MAX) {
        struct usage_log *oldest = u->first;
        u->first = oldest->next;
        u->logs--;
        counter_add(u->counters, usage_dropped, oldest->count - oldest->told);
        usage_log_free(&oldest);
    }
    pthread_mutex_unlock(&u->lock);
}

static int scan(struct usage_reader *u, struct err *err)
{
    _cleanup_(usage_log_free) struct usage_log *log = NULL;
    int r = usage_log_new(&log);
    if (r < 0)
        return err_errno(err, r, "reading what containers use");
    r = usage_scan(u->scanner, usage_log_add, log, err);
    counter_add(u->counters, usage_dropped, usage_scan_dropped(u->scanner));
    if (r < 0)
        return r;
    counter_add(u->counters, usage_readings, log->count);
    log_debug("usage read cgroups=%zu processes=%zu", log->count, log->process_count);
    if (log->count)
        put_log(u, TAKE_PTR(log));
    return 0;
}

static void scan_once(struct usage_reader *u)
{
    struct err err = {0};
    int64_t before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    if (scan(u, &err) < 0) {
        counter_add(u->counters, usage_failed, 1);
        if (!u->complained)
            log_warn("what containers use could not be read error=\"%s\"", err.text);
        u->complained = true;
    }
    counter_add(u->counters, usage_cpu_us,
                (clock_ns(CLOCK_THREAD_CPUTIME_ID) - before) / NS_PER_US);
}

static struct timespec next_scan(const struct usage_reader *u)
{
    int64_t real = clock_ns(CLOCK_REALTIME), half = u->interval_ns / 2;
    int64_t wait = u->interval_ns - (real + half) % u->interval_ns;
    int64_t at = clock_ns(CLOCK_MONOTONIC) + wait;
    return (struct timespec){.tv_sec = at / NS_PER_SEC, .tv_nsec = at % NS_PER_SEC};
}

static void *run(void *arg)
{
    struct usage_reader *u = arg;
    pthread_setname_np(pthread_self(), "usage");
    pthread_mutex_lock(&u->lock);
    while (!u->stop) {
        pthread_mutex_unlock(&u->lock);
        scan_once(u);
        struct timespec until = next_scan(u);
        pthread_mutex_lock(&u->lock);
        while (!u->stop && pthread_cond_timedwait(&u->stopped, &u->lock, &until) != ETIMEDOUT)
            ;
    }
    pthread_mutex_unlock(&u->lock);
    return NULL;
}

/* ---- starting */

static int open_hierarchies(struct usage_config *config, struct err *err)
{
    static const char *const controllers[USAGE_HIERARCHY_COUNT] = {
        [USAGE_UNIFIED] = NULL, [USAGE_MEMORY] = "memory", [USAGE_CPUACCT] = "cpuacct",
        [USAGE_CPU] = "cpu",    [USAGE_BLKIO] = "blkio",   [USAGE_SYSTEMD] = "name=systemd",
    };
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);
    if (r < 0)
        return r;
    unsigned found = 0;
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++) {
        char path[CGROUP_PATH_MAX];
        if (cgroup_find_hierarchy((char *)text.data, text.len, controllers[i], path) < 0)
            continue;
        config->hierarchies[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        found += config->hierarchies[i] >= 0;
    }
    return found ? 0 : err_set(err, -ENOENT, "no cgroup hierarchy is mounted");
}

static void close_config(struct usage_config *config)
{
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++)
        if (config->hierarchies[i] >= 0)
            close(config->hierarchies[i]);
    if (config->proc >= 0)
        close(config->proc);
}

static int open_all(struct usage_reader *u, struct err *err)
{
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++)
        u->config.hierarchies[i] = -1;
    u->config.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (u->config.proc < 0)
        return err_errno(err, -errno, "opening /proc");
    int r = open_hierarchies(&u->config, err);
    return r < 0 ? r : usage_scanner_new(&u->config, &u->scanner, err);
}

static void free_reader(struct usage_reader *u)
{
    for (struct usage_log *log = u->first, *next; log; log = next) {
        next = log->next;
        usage_log_free(&log);
    }
    usage_scanner_free(&u->scanner);
    close_config(&u->config);
    free(u);
}

int usage_reader_start(const struct usage_reader_config *config, struct counters *counters,
                       struct usage_reader **ret, struct err *err)
{
    struct usage_reader *u = calloc(1, sizeof(*u));
    if (!u)
        return err_errno(err, -ENOMEM, "reading what containers use");
    u->interval_ns = config->interval_ns;
    u->counters = counters;
    u->config.full_commands = config->full_commands;
    u->config.max_cgroups = CGROUPS_MAX;
    u->config.max_processes = PROCESSES_MAX;
    int r = open_all(u, err);
    if (r < 0) {
        free_reader(u);
        return r;
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    lock_init(&u->lock);
    pthread_cond_init(&u->stopped, &attr);
    pthread_condattr_destroy(&attr);
    r = pthread_create(&u->thread, NULL, run, u);
    if (r) {
        free_reader(u);
        return err_errno(err, -r, "starting the thread that reads what containers use");
    }
    *ret = u;
    return 0;
}

void usage_reader_stop(struct usage_reader **reader)
{
    struct usage_reader *u = *reader;
    if (!u)
        return;
    pthread_mutex_lock(&u->lock);
    u->stop = true;
    pthread_cond_signal(&u->stopped);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->thread, NULL);
    pthread_cond_destroy(&u->stopped);
    pthread_mutex_destroy(&u->lock);
    free_reader(u);
    *reader = NULL;
}

int usage_reader_take(struct usage_reader *reader, int64_t end_ns, usage_reader_fn fn, void *ctx)
{
    struct usage_reader *u = reader;
    int r = 0;
    pthread_mutex_lock(&u->lock);
    while (u->first) {
        struct usage_log *log = u->first;
        size_t first = log->told;
        while (log->told < log->count && log->readings[log->told].time_ns < end_ns)
            log->told++;
        if (r == 0 && log->told > first)
            r = fn(ctx, log, first, log->told);
        if (log->told < log->count)
            break;
        u->first = log->next;
        u->logs--;
        usage_log_free(&log);
    }
    pthread_mutex_unlock(&u->lock);
    return r;
}
