/* attach.c: takes the processes in /proc, leaves an event open on each thread and CPU of those that
 * are wanted. See attach.h.
 *
 * An event is inherited by whatever its thread creates, and the event tells of that by a FORK
 * record. So each thread must be opened once: not at all, and it is not sampled; once more although
 * it inherits an event, and it is sampled twice. Therefore
 * - a thread that a record told of is left alone;
 * - a thread younger than what was drained is left to the next pass: its record may be on its way;
 * - a process all of whose threads were known, or dead, in one pass is settled: what it creates
 * from then on inherits, whether or not a record of it is lost. */
#include "agent/attach.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/collector.h"
#include "agent/cpu.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* /proc of a whole machine takes its time; a pod's has little in it. */
#define LOOK_NODE_NS NS_PER_SEC
#define LOOK_POD_NS  (NS_PER_SEC / 4)

/* starttime in /proc is in clock ticks, cut off. */
#define TICK_NS (2 * (uint64_t)NS_PER_SEC / 100)

/* By then a record has come or is lost. */
#define RECORD_LATE_NS (uint64_t) NS_PER_SEC

struct attached {
    int fd, cpu;
};

struct settled {
    uint32_t pid;
    uint64_t time; /* of the records' clock */
};

struct attach {
    struct attach_config config;
    struct members *members;
    struct attached *v;
    size_t count, room;
    size_t alive;            /* of these, on CPUs that are there */
    bool full;               /* said already that descriptors ran out */
    struct settled *settled; /* by pid */
    size_t settled_count;
    bool all_settled;
    struct attach_counts counts;
    uint64_t looked;
    uint32_t *tids;
    size_t tid_room;
};

/* What one pass works with. */
struct pass {
    struct attach *attach;
    struct cpu *cpus;
    size_t cpu_count;
    uint64_t drained;
    bool stale;
    struct settled *settled; /* as of this pass */
    size_t settled_count, settled_room;
    bool all_settled;
    const uint32_t *opened; /* threads of the process at hand */
    size_t opened_count;
    bool tell_all;
    struct attach_counts counts;
};

int attach_new(const struct attach_config *config, struct attach **ret, struct err *err)
{
    struct attach *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(err, -ENOMEM, "the table of attached threads");
    a->config = *config;
    int r = members_new(config->whom, config->pid, config->proc_fd, &a->members, err);
    if (r < 0) {
        free(a);
        return r;
    }
    *ret = a;
    return 0;
}

void attach_free(struct attach **attach)
{
    struct attach *a = *attach;
    if (!a)
        return;
    for (size_t i = 0; i < a->count; i++)
        close(a->v[i].fd);
    members_free(&a->members);
    free(a->v);
    free(a->settled);
    free(a->tids);
    free(a);
    *attach = NULL;
}

/* ---- events */

static int keep(struct attach *a, int fd, int cpu)
{
    if (a->count == a->room) {
        size_t room = a->room * 2 + 64;
        struct attached *v = realloc(a->v, room * sizeof(*v));
        if (!v)
            return -ENOMEM;
        a->v = v;
        a->room = room;
    }
    a->v[a->count++] = (struct attached){fd, cpu};
    a->alive++;
    return 0;
}

/* An event hangs up when its thread and all that it created are gone (is_event_hup() in
 * kernel/events/core.c). Until then closing it would end the children's sampling too. It also does
 * so without a ring to write into, while its CPU is away: then it says nothing. */
static void drop_gone(struct attach *a, const struct cpu *cpus, size_t cpu_count)
{
    struct pollfd polls[256];
    size_t kept = 0;
    a->alive = 0;
    for (size_t i = 0; i < a->count; i += ARRAY_LEN(polls)) {
        size_t n = a->count - i < ARRAY_LEN(polls) ? a->count - i : ARRAY_LEN(polls);
        for (size_t k = 0; k < n; k++)
            polls[k] = (struct pollfd){.fd = a->v[i + k].fd};
        if (poll(polls, n, 0) < 0)
            memset(polls, 0, sizeof(polls)); /* no news: all stay */
        for (size_t k = 0; k < n; k++) {
            struct attached at = a->v[i + k];
            bool is_away = (size_t)at.cpu >= cpu_count || !cpus[at.cpu].online;
            if (!is_away && polls[k].revents & POLLHUP) {
                close(at.fd);
                continue;
            }
            a->alive += !is_away;
            a->v[kept++] = at;
        }
    }
    a->count = kept;
}

/* What inherited an event writes where that does (perf_output_begin() in
 * kernel/events/ring_buffer.c). */
size_t attach_lead_cpu(struct attach *attach, const struct cpu *cpu)
{
    size_t threads = 0, led = 0;
    for (size_t i = 0; i < attach->count; i++) {
        const struct attached *at = &attach->v[i];
        /* A thread's events lie in the order of their CPUs. */
        threads += i == 0 || at->cpu <= at[-1].cpu;
        if (at->cpu != cpu->number)
            continue;
        if (ioctl(at->fd, PERF_EVENT_IOC_SET_OUTPUT, cpu->sideband_fd) == 0)
            led++;
        else
            log_warn("a thread is not sampled on CPU %d: %s", at->cpu, strerrordesc_np(errno));
    }
    return threads - led;
}

static int open_thread_on(struct pass *p, uint32_t tid, const struct cpu *cpu)
{
    struct attach *a = p->attach;
    int fd =
        event_open_sample(&a->config.event, &a->config.features, (pid_t)tid, cpu->number, NULL);
    if (fd == -ENODEV)
        return 0; /* it went offline just now */
    if (fd < 0) {
        if ((fd == -EMFILE || fd == -ENFILE) && !a->full) {
            a->full = true;
            log_warn("not all threads are sampled: %s; raise RLIMIT_NOFILE", strerrordesc_np(-fd));
        }
        return fd;
    }
    int r = ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, cpu->sideband_fd) < 0 ? -errno : 0;
    if (r == 0)
        r = keep(a, fd, cpu->number);
    if (r < 0) {
        close(fd);
        log_warn("a thread is not sampled tid=%u: %s", tid, strerrordesc_np(-r));
    }
    return r;
}

/* On all CPUs or on none: what is not open in whole is opened again by the next pass. */
static int open_thread(struct pass *p, uint32_t tid)
{
    struct attach *a = p->attach;
    size_t before = a->count;
    int r = 0;
    for (size_t i = 0; i < p->cpu_count && r == 0; i++)
        r = p->cpus[i].online ? open_thread_on(p, tid, &p->cpus[i]) : 0;
    for (; r < 0 && a->count > before; a->alive--)
        close(a->v[--a->count].fd);
    return r;
}

/* ---- settled processes */

static int compare_settled(const void *a, const void *b)
{
    const struct settled *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

/* Of the pass before. */
static const struct settled *find_settled(const struct attach *a, uint32_t pid)
{
    const struct settled key = {.pid = pid};
    return a->settled_count
               ? bsearch(&key, a->settled, a->settled_count, sizeof(key), compare_settled)
               : NULL;
}

static void settle(struct pass *p, uint32_t pid, uint64_t time)
{
    if (p->settled_count == p->settled_room) {
        size_t room = p->settled_room * 2 + 64;
        struct settled *v = realloc(p->settled, room * sizeof(*v));
        if (!v)
            return; /* it is looked at again in the next pass */
        p->settled = v;
        p->settled_room = room;
    }
    p->settled[p->settled_count++] = (struct settled){pid, time};
}

/* ---- processes */

static bool is_opened(const struct pass *p, uint32_t tid)
{
    for (size_t i = 0; i < p->opened_count; i++) {
        if (p->opened[i] == tid)
            return true;
    }
    return false;
}

/* Of what /proc says only that which concerns the threads that were opened just now: whom the
 * collector knows is taken for sampled. What a known process is called it has been told, and once
 * more would be an exec. */
static int take(void *ctx, const struct record *record)
{
    struct pass *p = ctx;
    const struct attach_config *c = &p->attach->config;
    if (record->kind != RECORD_MMAP && !p->tell_all && !is_opened(p, record->tid))
        return 0;
    return c->known(c->known_ctx, record);
}

static void tell(struct pass *p, uint32_t pid, const uint32_t *opened, size_t count, bool all)
{
    p->opened = opened;
    p->opened_count = count;
    p->tell_all = all;
    /* Gone or not readable: samples have what the kernel's records tell. */
    procfs_scan_process(p->attach->config.proc_fd, (pid_t)pid, take, p, NULL);
}

/* Opens the threads that are there now, but for those that records told of or may yet tell of.
 * True: all were known, or are dead: a zombie is in /proc for as long as its parent likes, and no
 * event can be opened on it. Other threads leave /proc when they die. */
static bool open_process(struct pass *p, uint32_t pid, bool *ret_dead)
{
    struct attach *a = p->attach;
    char path[32];
    snprintf(path, sizeof(path), "%u/task", pid);
    ssize_t count = procfs_list(a->config.proc_fd, path, &a->tids, &a->tid_room);
    size_t opened = 0, known = 0;
    int error = 0;
    for (ssize_t i = 0; i < count; i++) {
        uint32_t tid = a->tids[i], ppid;
        uint64_t start;
        if (collector_knows_thread(a->config.collector, tid)) {
            known++;
            continue;
        }
        if (procfs_read_start(a->config.proc_fd, (pid_t)pid, (pid_t)tid, &ppid, &start) < 0 ||
            start + TICK_NS > p->drained)
            continue;
        int r = open_thread(p, tid);
        if (r == 0)
            a->tids[opened++] = tid; /* in the place of one that has been looked at */
        else if (r != -ESRCH)
            error = r;
        else if (tid == pid)
            *ret_dead = true;
    }
    if (opened)
        tell(p, pid, a->tids, opened, false);
    if (error && !opened) {
        p->counts.refused++;
        p->counts.example = (pid_t)pid;
        p->counts.error = error;
    }
    return count > 0 && known + *ret_dead == (size_t)count;
}

/* What a settled process has created inherits its events. If no record has told so for long, it was
 * lost. */
static bool is_inherited(struct pass *p, uint32_t pid, bool *ret_lost)
{
    uint32_t ppid;
    uint64_t start;
    if (procfs_read_start(p->attach->config.proc_fd, (pid_t)pid, (pid_t)pid, &ppid, &start) < 0)
        return false;
    const struct settled *parent = find_settled(p->attach, ppid);
    *ret_lost = start + RECORD_LATE_NS < p->drained;
    return parent && start > parent->time;
}

static void look_at(struct pass *p, uint32_t pid)
{
    bool known = collector_knows_thread(p->attach->config.collector, pid);
    const struct settled *settled = known ? find_settled(p->attach, pid) : NULL;
    bool lost = false, dead = false;
    if (!settled && !members_has(p->attach->members, pid))
        return;
    p->counts.processes++;
    if (settled) {
        settle(p, pid, settled->time);
        if (p->stale)
            tell(p, pid, NULL, 0, true);
    } else if (!known && is_inherited(p, pid, &lost)) {
        if (lost) {
            tell(p, pid, NULL, 0, true);
            settle(p, pid, p->drained);
        } else {
            p->all_settled = false;
        }
    } else if (open_process(p, pid, &dead)) {
        /* What it created before it died may have come after the list of processes. */
        if (dead && !find_settled(p->attach, pid))
            p->all_settled = false;
        settle(p, pid, p->drained);
    } else {
        p->all_settled = false;
    }
}

static bool is_due(const struct attach *a, uint64_t drained, bool stale)
{
    /* A tree of which some is refused is never known in whole. */
    bool is_refused = a->config.whom == MEMBERS_TREE && a->counts.refused;
    int64_t every = members_are_few(a->members) && !is_refused ? LOOK_POD_NS : LOOK_NODE_NS;
    return !a->looked || stale || drained > a->looked + (uint64_t)every;
}

bool attach_look(struct attach *attach, struct cpu *cpus, size_t count, uint64_t drained,
                 bool stale)
{
    struct attach *a = attach;
    if (!is_due(a, drained, stale))
        return false;
    a->looked = drained;
    drop_gone(a, cpus, count);
    /* Nothing comes to a tree but what inherits. */
    if (a->config.whom == MEMBERS_TREE && a->all_settled && !stale)
        return false;
    struct pass p = {.attach = a,
                     .cpus = cpus,
                     .cpu_count = count,
                     .drained = drained,
                     .stale = stale,
                     .all_settled = true};
    const uint32_t *pids;
    ssize_t n = members_list(a->members, &pids);
    if (n < 0)
        log_warn("listing /proc: %s", strerrordesc_np((int)-n));
    for (ssize_t i = 0; i < n; i++)
        look_at(&p, pids[i]);
    if (p.settled_count)
        qsort(p.settled, p.settled_count, sizeof(*p.settled), compare_settled);
    free(a->settled);
    a->settled = p.settled;
    a->settled_count = p.settled_count;
    a->all_settled = p.all_settled && p.counts.processes > 0;
    a->counts = p.counts;
    return true;
}

struct attach_counts attach_last_counts(const struct attach *attach)
{
    return attach->counts;
}

bool attach_is_over(const struct attach *attach)
{
    return attach->alive == 0;
}
