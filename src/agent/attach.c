/* attach.c: takes one's own processes in /proc, leaves an event open on each of their threads and
 * CPUs. See attach.h. */
#include "agent/attach.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/collector.h"
#include "agent/cpu.h"
#include "agent/procfs.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

struct attach {
    struct event_config config;
    struct event_features features;
    int *fds;
    size_t count, room;
    bool full; /* said already that descriptors ran out */
};

/* What one pass works with. */
struct pass {
    struct attach *attach;
    struct cpu *cpus;
    size_t cpu_count;
    uint64_t drained;
    struct collector *collector;
    bool skip; /* the process at hand */
};

int attach_new(const struct event_config *config, const struct event_features *features,
               struct attach **ret, struct err *err)
{
    struct attach *a = calloc(1, sizeof(*a));
    if (!a)
        return err_errno(err, -ENOMEM, "the table of attached threads");
    a->config = *config;
    a->features = *features;
    /* A descriptor for each thread and CPU: as many as there may be. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_warn("raising RLIMIT_NOFILE: %s", strerrordesc_np(errno));
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
        close(a->fds[i]);
    free(a->fds);
    free(a);
    *attach = NULL;
}

static int keep(struct attach *a, int fd)
{
    if (a->count == a->room) {
        size_t room = a->room * 2 + 64;
        int *fds = realloc(a->fds, room * sizeof(*fds));
        if (!fds)
            return -ENOMEM;
        a->fds = fds;
        a->room = room;
    }
    a->fds[a->count++] = fd;
    return 0;
}

/* An event hangs up when its thread and all that it created are gone (is_event_hup() in
 * kernel/events/core.c). Until then closing it would end the children's sampling too. */
static void drop_gone(struct attach *a)
{
    struct pollfd polls[256];
    size_t kept = 0;
    for (size_t i = 0; i < a->count; i += ARRAY_LEN(polls)) {
        size_t n = a->count - i < ARRAY_LEN(polls) ? a->count - i : ARRAY_LEN(polls);
        for (size_t k = 0; k < n; k++)
            polls[k] = (struct pollfd){.fd = a->fds[i + k]};
        if (poll(polls, n, 0) < 0)
            memset(polls, 0, sizeof(polls)); /* no news: all stay */
        for (size_t k = 0; k < n; k++) {
            int fd = a->fds[i + k];
            if (polls[k].revents & POLLHUP)
                close(fd);
            else
                a->fds[kept++] = fd;
        }
    }
    a->count = kept;
}

static int open_thread(struct pass *p, uint32_t tid)
{
    for (size_t i = 0; i < p->cpu_count; i++) {
        struct cpu *cpu = &p->cpus[i];
        if (!cpu->online)
            continue;
        struct err err = {0};
        int fd = event_open_sample(&p->attach->config, &p->attach->features, (pid_t)tid,
                                   cpu->number, &err);
        if (fd < 0) {
            if ((fd == -EMFILE || fd == -ENFILE) && !p->attach->full) {
                p->attach->full = true;
                log_warn("not all threads are sampled error=\"%s\"", err.text);
            }
            return fd;
        }
        int r = ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, cpu->sideband_fd) < 0 ? -errno : 0;
        if (r == 0)
            r = keep(p->attach, fd);
        if (r < 0) {
            close(fd);
            log_warn("a thread is not sampled tid=%u: %s", tid, strerrordesc_np(-r));
            return r;
        }
    }
    return 0;
}

/* A process's records, in the order of procfs_scan: the thread's FORK comes first. */
static int take(void *ctx, const struct record *record)
{
    struct pass *p = ctx;
    bool known = collector_knows_thread(p->collector, record->tid);
    if (record->kind == RECORD_FORK && record->pid == record->tid)
        p->skip = known || record->time > p->drained;
    if (p->skip || (record->kind == RECORD_FORK && known))
        return 0;
    if (record->kind == RECORD_FORK && open_thread(p, record->tid) < 0) {
        p->skip = record->pid == record->tid;
        return 0;
    }
    return collector_take_record(p->collector, record);
}

static bool is_own(int proc_fd, const char *name)
{
    struct stat st;
    return isdigit((unsigned char)name[0]) && fstatat(proc_fd, name, &st, 0) == 0 &&
           st.st_uid == geteuid();
}

void attach_scan(struct attach *attach, struct cpu *cpus, size_t count, uint64_t drained,
                 struct collector *collector, int proc_fd)
{
    drop_gone(attach);
    struct pass pass = {attach, cpus, count, drained, collector, false};
    int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *proc = fd < 0 ? NULL : fdopendir(fd);
    if (!proc) {
        log_warn("listing /proc: %s", strerrordesc_np(errno));
        if (fd >= 0)
            close(fd);
        return;
    }
    struct dirent *d;
    while ((d = readdir(proc))) {
        uint32_t pid = (uint32_t)strtoul(d->d_name, NULL, 10);
        if (!is_own(fd, d->d_name) || collector_knows_thread(collector, pid))
            continue;
        /* Gone or not readable (a set-user-id program): the next one. */
        procfs_scan_process(proc_fd, (pid_t)pid, take, &pass, NULL);
    }
}
