/* follow.c: takes a target, leaves events open on it: by its cgroups, or thread by thread. See
 * follow.h. */
#include "agent/follow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/attach.h"
#include "agent/cgroups.h"
#include "agent/collector.h"
#include "agent/cpu.h"
#include "agent/sidecar.h"
#include "agent/target_cgroups.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* How often processes that came into the cgroups from outside are asked for; their samples would
 * make them known, too, but without what happened before. */
#define MEET_NS NS_PER_SEC

/* A process that was started just now may be too young to be opened. */
#define FIRST_LOOKS 10
#define FIRST_NS    (20 * NS_PER_MS)

struct follow {
    struct target target;
    int proc_fd;
    struct cgroups *cgroups;
    struct event_config event;
    struct event_features features;
    struct sidecar sidecar;
    char own_path[CGROUP_PATH_MAX]; /* of a sidecar's pod */
    struct attach *attach;
    struct target_cgroups *by_cgroup;
    struct follow_sink sink;
    int64_t met_ns;
    bool troubled;  /* said already */
    size_t refused; /* as it was said last */
    bool stale;
};

/* ---- how it can be sampled */

static void find_self(void *ctx, uint32_t pid)
{
    if (pid == (uint32_t)getpid())
        *(bool *)ctx = true;
}

/* Pods of one uid may be of several clusters on a machine, and a container's mount of its own
 * cgroup looks like a hierarchy: we must be in it. */
static bool is_self_inside(int hierarchy, const char *path)
{
    int dir = openat(hierarchy, path[1] ? path + 1 : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool inside = false;
    if (dir >= 0 && target_each_process(dir, find_self, &inside) < 0)
        inside = false;
    if (dir >= 0)
        close(dir);
    return inside;
}

/* A sidecar's own pod, if the hierarchy is to be seen from its root. */
static bool find_own_pod(struct follow *f)
{
    const char *mount;
    int hierarchy = cgroups_hierarchy(f->cgroups, &mount);
    if (hierarchy < 0 || !f->sidecar.pod_uid[0])
        return false;
    const struct target pod = {.kind = TARGET_POD, .name = f->sidecar.pod_uid};
    struct target_dirs *dirs = calloc(1, sizeof(*dirs));
    bool found = false;
    if (dirs && target_find(&pod, hierarchy, mount, dirs, NULL) == 0) {
        for (size_t i = 0; i < dirs->count && !found; i++) {
            found = is_self_inside(hierarchy, dirs->v[i].path);
            memcpy(f->own_path, dirs->v[i].path, sizeof(f->own_path));
        }
    }
    free(dirs);
    return found;
}

static int probe_sidecar(struct follow *f, struct err *err)
{
    int r = sidecar_look(f->proc_fd, f->target.name, &f->sidecar, err);
    if (r < 0)
        return r;
    f->event.scope = EVENT_CGROUPS;
    if (find_own_pod(f) && event_probe(&f->event, &f->features, NULL) == 0) {
        log_info("sidecar samples its pod by its cgroup pod_uid=%s", f->sidecar.pod_uid);
    } else {
        f->event.scope = EVENT_THREADS;
        f->event.no_cgroup_ids = true;
        r = event_probe(&f->event, &f->features, err);
        if (r < 0)
            return sidecar_explain(&f->sidecar, r, err);
        log_info("sidecar samples the processes in /proc one by one, and what they create");
    }
    sidecar_report(&f->sidecar, &f->features);
    return 0;
}

static int probe(struct follow *f, struct err *err)
{
    if (f->target.kind == TARGET_SIDECAR)
        return probe_sidecar(f, err);
    f->event.scope = f->target.kind == TARGET_NODE      ? EVENT_ALL
                     : f->target.kind == TARGET_PROCESS ? EVENT_THREADS
                                                        : EVENT_CGROUPS;
    return event_probe(&f->event, &f->features, err);
}

int follow_new(const struct target *target, int proc_fd, struct cgroups *cgroups,
               struct event_config *event, struct event_features *ret_features, struct follow **ret,
               struct err *err)
{
    struct follow *f = calloc(1, sizeof(*f));
    if (!f)
        return err_errno(err, -ENOMEM, "the target");
    f->target = *target;
    f->proc_fd = proc_fd;
    f->cgroups = cgroups;
    f->event = *event;
    /* Ids of a hierarchy that is not seen name nothing. */
    f->event.no_cgroup_ids = cgroups_hierarchy(cgroups, NULL) < 0;
    int r = probe(f, err);
    if (r < 0) {
        free(f);
        return r;
    }
    *event = f->event;
    *ret_features = f->features;
    *ret = f;
    return 0;
}

void follow_free(struct follow **follow)
{
    struct follow *f = *follow;
    if (!f)
        return;
    attach_free(&f->attach);
    target_cgroups_free(&f->by_cgroup);
    free(f);
    *follow = NULL;
}

bool follow_is_whole(const struct follow *follow)
{
    return follow->event.scope == EVENT_ALL && follow->features.all_cpus;
}

/* ---- by cgroup */

static void meet(void *ctx, uint32_t pid)
{
    struct follow *f = ctx;
    /* Gone or not readable: samples have what the kernel's records tell. */
    if (f->stale || !collector_knows_thread(f->sink.collector, pid))
        procfs_scan_process(f->proc_fd, (pid_t)pid, f->sink.known, f->sink.ctx, NULL);
}

static void look_at_cgroups(struct follow *f, struct cpu *cpus, size_t count, bool stale)
{
    struct err err = {0};
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    int r = target_cgroups_look(f->by_cgroup, cpus, count, now, &err);
    if (r < 0 && !f->troubled)
        log_warn("the target is not sampled, or not all of it error=\"%s\"", err.text);
    f->troubled = r < 0;
    if (r <= 0 && !stale && now - f->met_ns < MEET_NS)
        return;
    f->stale = stale;
    f->met_ns = now;
    target_cgroups_each(f->by_cgroup, meet, f);
}

static int start_cgroups(struct follow *f, struct cpu *cpus, size_t count, struct err *err)
{
    struct target target = f->target;
    if (target.kind == TARGET_SIDECAR)
        target = (struct target){.kind = TARGET_CGROUP, .name = f->own_path};
    int r = target_cgroups_new(&target, &f->event, &f->features, f->cgroups, &f->by_cgroup, err);
    if (r == 0)
        r = target_cgroups_look(f->by_cgroup, cpus, count, clock_ns(CLOCK_MONOTONIC), err);
    if (r < 0)
        return r;
    target_cgroups_each(f->by_cgroup, meet, f);
    return 0;
}

/* ---- thread by thread */

static void report_refused(struct follow *f)
{
    struct attach_counts counts = attach_last_counts(f->attach);
    if (f->target.kind == TARGET_SIDECAR && counts.refused > f->refused)
        sidecar_report_processes(&f->sidecar, &counts);
    else if (f->target.kind == TARGET_PROCESS && counts.refused > f->refused)
        log_warn("some processes that the target created are not sampled count=%zu example_pid=%d: "
                 "%s",
                 counts.refused, counts.example, strerrordesc_np(-counts.error));
    if (counts.refused > f->refused)
        f->refused = counts.refused;
}

/* Of all there is below the process it may be that only it itself is refused. */
static int open_root(struct follow *f, const struct cpu *cpus, struct err *err)
{
    if (collector_knows_thread(f->sink.collector, (uint32_t)f->target.pid))
        return 0;
    int fd = event_open_sample(&f->event, &f->features, f->target.pid, cpus[0].number, err);
    if (fd < 0)
        return err_wrap(err, fd, "--pid: process %d", f->target.pid);
    close(fd);
    return -EAGAIN;
}

static int look_first(struct follow *f, struct cpu *cpus, size_t count, struct err *err)
{
    for (int i = 0; i < FIRST_LOOKS; i++) {
        attach_look(f->attach, cpus, count, (uint64_t)clock_ns(CLOCK_MONOTONIC), true);
        if (!attach_last_counts(f->attach).processes)
            break;
        int r = open_root(f, cpus, err);
        if (r != -EAGAIN)
            return r;
        nanosleep(&(struct timespec){.tv_nsec = FIRST_NS}, NULL);
    }
    return err_set(err, -ESRCH, "--pid: there is no process %d", f->target.pid);
}

static int start_threads(struct follow *f, struct cpu *cpus, size_t count, struct err *err)
{
    struct attach_config config = {
        .event = f->event,
        .features = f->features,
        .whom = f->target.kind == TARGET_PROCESS   ? MEMBERS_TREE
                : f->target.kind == TARGET_SIDECAR ? MEMBERS_POD
                                                   : MEMBERS_OWN,
        .pid = f->target.pid,
        .proc_fd = f->proc_fd,
        .collector = f->sink.collector,
        .known = f->sink.known,
        .known_ctx = f->sink.ctx,
    };
    int r = attach_new(&config, &f->attach, err);
    if (r == 0 && f->target.kind == TARGET_PROCESS)
        r = look_first(f, cpus, count, err);
    if (r < 0 || f->target.kind != TARGET_SIDECAR)
        return r;
    attach_look(f->attach, cpus, count, (uint64_t)clock_ns(CLOCK_MONOTONIC), false);
    struct attach_counts counts = attach_last_counts(f->attach);
    f->refused = counts.refused;
    sidecar_report_processes(&f->sidecar, &counts);
    return 0;
}

/* ---- both */

int follow_start(struct follow *follow, const struct follow_sink *sink, struct cpu *cpus,
                 size_t count, struct err *err)
{
    struct follow *f = follow;
    f->sink = *sink;
    char words[CGROUP_PATH_MAX + 32];
    if (f->target.kind != TARGET_NODE)
        log_info("only the target is sampled %s",
                 target_describe(&f->target, words, sizeof(words)));
    return f->event.scope == EVENT_CGROUPS ? start_cgroups(f, cpus, count, err)
                                           : start_threads(f, cpus, count, err);
}

void follow_turn(struct follow *follow, struct cpu *cpus, size_t count, uint64_t drained,
                 bool stale)
{
    struct follow *f = follow;
    if (f->by_cgroup)
        look_at_cgroups(f, cpus, count, stale);
    else if (attach_look(f->attach, cpus, count, drained, stale))
        report_refused(f);
}

bool follow_is_over(const struct follow *follow)
{
    return follow->target.kind == TARGET_PROCESS && attach_is_over(follow->attach);
}

void follow_close_cpu(struct follow *follow, int cpu)
{
    if (follow->by_cgroup)
        target_cgroups_close_cpu(follow->by_cgroup, cpu);
}

/* Of cgroups what is missing is opened with the next turn. */
void follow_open_cpu(struct follow *follow, const struct cpu *cpu)
{
    size_t left_out = follow->attach ? attach_lead_cpu(follow->attach, cpu) : 0;
    if (left_out)
        log_warn("threads that were opened before the CPU came are not sampled on it, nor is what "
                 "they create, until podflamed is started again cpu=%d count=%zu",
                 cpu->number, left_out);
}

bool follow_set_stack_bytes(struct follow *follow, uint32_t stack_bytes, struct cpu *cpus,
                            size_t count)
{
    if (!follow->by_cgroup)
        return false;
    struct err err = {0};
    follow->event.stack_bytes = stack_bytes;
    target_cgroups_set_stack_bytes(follow->by_cgroup, stack_bytes);
    if (target_cgroups_look(follow->by_cgroup, cpus, count, clock_ns(CLOCK_MONOTONIC), &err) < 0)
        log_warn("the target is not sampled, or not all of it error=\"%s\"", err.text);
    return true;
}
