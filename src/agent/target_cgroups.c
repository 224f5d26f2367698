/* target_cgroups.c: takes a target's cgroups as they come and go, leaves two events open on each
 * CPU for each of them, which write into the CPU's rings. See target_cgroups.h. */
#include "agent/target_cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroups.h"
#include "agent/cpu.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

/* A target that is there is looked after so often; one that is not at once when a cgroup was made,
 * but not more often than the tree can be walked for next to nothing; and where the kernel does not
 * tell of new cgroups, by the clock. */
#define CHECK_NS      NS_PER_SEC
#define WALK_NS       (NS_PER_SEC / 4)
#define EVENTS_OF_CPU 2

struct group {
    struct target_dir is;
    int dir;
    int *fds; /* of each CPU: sideband, sample; -1: not open */
};

struct target_cgroups {
    struct target target;
    struct event_config event;
    struct event_features features;
    struct cgroups *cgroups;
    struct group v[TARGET_DIRS_MAX];
    size_t count, cpu_count;
    char container_id[CGROUP_NAME_MAX];
    int64_t looked_ns; /* 0: never */
    uint64_t changes;
    bool waiting; /* said already */
};

int target_cgroups_new(const struct target *target, const struct event_config *event,
                       const struct event_features *features, struct cgroups *cgroups,
                       struct target_cgroups **ret, struct err *err)
{
    if (cgroups_hierarchy(cgroups, NULL) < 0)
        return err_set(err, -ENOENT,
                       "no cgroup hierarchy can be seen that perf uses (perf_event or unified): "
                       "only --pid can choose a target");
    struct target_cgroups *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(err, -ENOMEM, "the target");
    t->target = *target;
    t->event = *event;
    t->features = *features;
    t->cgroups = cgroups;
    *ret = t;
    return 0;
}

/* ---- events */

static void close_events(struct target_cgroups *t, struct group *g, size_t cpu)
{
    for (size_t i = cpu * EVENTS_OF_CPU; i < (cpu + 1) * EVENTS_OF_CPU && cpu < t->cpu_count; i++) {
        if (g->fds[i] >= 0)
            close(g->fds[i]);
        g->fds[i] = -1;
    }
}

static void close_group(struct target_cgroups *t, struct group *g)
{
    for (size_t cpu = 0; cpu < t->cpu_count && g->fds; cpu++)
        close_events(t, g, cpu);
    free(g->fds);
    if (g->dir >= 0)
        close(g->dir);
    *g = (struct group){.dir = -1};
}

static void close_groups(struct target_cgroups *t)
{
    while (t->count)
        close_group(t, &t->v[--t->count]);
}

void target_cgroups_free(struct target_cgroups **target)
{
    if (!*target)
        return;
    close_groups(*target);
    free(*target);
    *target = NULL;
}

void target_cgroups_close_cpu(struct target_cgroups *target, int cpu)
{
    for (size_t i = 0; i < target->count; i++)
        close_events(target, &target->v[i], (size_t)cpu);
}

void target_cgroups_set_stack_bytes(struct target_cgroups *target, uint32_t stack_bytes)
{
    target->event.stack_bytes = stack_bytes;
    for (size_t i = 0; i < target->count; i++) {
        for (size_t cpu = 0; cpu < target->cpu_count; cpu++) {
            int *sample = &target->v[i].fds[cpu * EVENTS_OF_CPU + 1];
            if (*sample >= 0)
                close(*sample);
            *sample = -1;
        }
    }
}

static int lead(int fd, int to)
{
    if (ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, to) == 0)
        return fd;
    int r = -errno;
    close(fd);
    return r;
}

/* News of processes first, so that no sample is of one that nothing told of. */
static int open_on_cpu(struct target_cgroups *t, struct group *g, const struct cpu *cpu,
                       struct err *err)
{
    int *fds = g->fds + (size_t)cpu->number * EVENTS_OF_CPU;
    for (size_t i = 0; i < EVENTS_OF_CPU; i++) {
        if (fds[i] >= 0)
            continue;
        int fd = i == 0 ? event_open_sideband(&t->event, &t->features, g->dir, cpu->number, err)
                        : event_open_sample(&t->event, &t->features, g->dir, cpu->number, err);
        if (fd == -ENODEV || fd == -ENOENT)
            return 0; /* the CPU went offline just now, or the cgroup was removed */
        if (fd >= 0 && (fd = lead(fd, i == 0 ? cpu->sideband_fd : cpu->sample_fd)) < 0)
            err_errno(err, fd, "leading an event of CPU %d to its ring", cpu->number);
        if (fd < 0)
            return err_wrap(err, fd, "the cgroup %s", g->is.path);
        fds[i] = fd;
    }
    return 0;
}

static int open_missing(struct target_cgroups *t, struct cpu *cpus, size_t cpu_count,
                        struct err *err)
{
    for (size_t i = 0; i < t->count; i++) {
        for (size_t cpu = 0; cpu < cpu_count && cpu < t->cpu_count; cpu++) {
            int r = cpus[cpu].online ? open_on_cpu(t, &t->v[i], &cpus[cpu], err) : 0;
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- what is there */

static bool is_there(const struct target_cgroups *t, const struct group *g)
{
    struct stat st;
    const char *path = g->is.path + 1;
    return fstatat(cgroups_hierarchy(t->cgroups, NULL), path[0] ? path : ".", &st, 0) == 0 &&
           st.st_ino == g->is.id;
}

static bool are_there(const struct target_cgroups *t)
{
    for (size_t i = 0; i < t->count; i++) {
        if (!is_there(t, &t->v[i]))
            return false;
    }
    return t->count > 0;
}

static int add_group(struct target_cgroups *t, const struct target_dir *dir, struct err *err)
{
    struct group g = {.is = *dir, .dir = -1};
    const char *path = dir->path + 1;
    g.dir = openat(cgroups_hierarchy(t->cgroups, NULL), path[0] ? path : ".",
                   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (g.dir < 0)
        return errno == ENOENT ? 0 : err_errno(err, -errno, "opening the cgroup %s", dir->path);
    g.fds = malloc(t->cpu_count * EVENTS_OF_CPU * sizeof(*g.fds));
    if (!g.fds) {
        close(g.dir);
        return err_errno(err, -ENOMEM, "the target's events");
    }
    for (size_t i = 0; i < t->cpu_count * EVENTS_OF_CPU; i++)
        g.fds[i] = -1;
    t->v[t->count++] = g;
    log_info("target found cgroup=\"%s\"", dir->path);
    return 1;
}

static bool is_group(const struct target_cgroups *t, const struct target_dir *dir)
{
    for (size_t i = 0; i < t->count; i++) {
        if (t->v[i].is.id == dir->id && strcmp(t->v[i].is.path, dir->path) == 0)
            return true;
    }
    return false;
}

static bool is_found(const struct target_dirs *dirs, const struct group *g)
{
    for (size_t i = 0; i < dirs->count; i++) {
        if (dirs->v[i].id == g->is.id && strcmp(dirs->v[i].path, g->is.path) == 0)
            return true;
    }
    return false;
}

/* Takes over what was found: closes what is no more, keeps what is, adds what is new. */
static int take_over(struct target_cgroups *t, const struct target_dirs *dirs, struct err *err)
{
    int news = 0;
    for (size_t i = t->count; i-- > 0;) {
        if (is_found(dirs, &t->v[i]))
            continue;
        close_group(t, &t->v[i]);
        t->v[i] = t->v[--t->count];
    }
    for (size_t i = 0; i < dirs->count && t->count < TARGET_DIRS_MAX; i++) {
        int r = is_group(t, &dirs->v[i]) ? 0 : add_group(t, &dirs->v[i], err);
        if (r < 0)
            return r;
        news |= r;
    }
    if (dirs->container_id[0])
        memcpy(t->container_id, dirs->container_id, sizeof(t->container_id));
    return news;
}

static void say_state(struct target_cgroups *t, size_t before)
{
    char words[CGROUP_PATH_MAX + 32];
    target_describe(&t->target, words, sizeof(words));
    if (t->count)
        t->waiting = false;
    else if (before)
        log_info("the target is gone; it is sampled again when it comes again %s", words);
    else if (!t->waiting)
        log_info("the target is not there yet; waiting for it %s", words);
    if (!t->count)
        t->waiting = true;
}

static int find(struct target_cgroups *t, struct err *err)
{
    _cleanup_free_ struct target_dirs *dirs = malloc(sizeof(*dirs));
    if (!dirs)
        return err_errno(err, -ENOMEM, "looking for the target");
    const char *mount;
    int hierarchy = cgroups_hierarchy(t->cgroups, &mount);
    struct target target = t->target;
    if (t->container_id[0]) /* once it is known it is no other whose id begins so, too */
        target.name = t->container_id;
    bool first = !t->looked_ns;
    size_t before = t->count;
    int r = target_find(&target, hierarchy, mount, dirs, err);
    if (r == -ENOENT) { /* a name nobody knows (any more): a pod that still runs is sampled on */
        if (are_there(t))
            return 0;
        *dirs = (struct target_dirs){0};
        r = 0;
    }
    if (r == 0 && first && !dirs->count && target.kind == TARGET_CGROUP)
        return err_set(err, -ENOENT, "--cgroup: there is no cgroup %s below %s", target.name,
                       mount);
    if (r == 0)
        r = take_over(t, dirs, err);
    if (r >= 0)
        say_state(t, before);
    return r;
}

/* Whether to walk the tree: what is there is only looked at, unless a pod of that name may have
 * another uid by now. */
static bool is_due(struct target_cgroups *t, int64_t now_ns)
{
    if (!t->looked_ns)
        return true;
    int64_t since = now_ns - t->looked_ns;
    if (!t->count && cgroups_changes(t->cgroups) != t->changes)
        return since >= WALK_NS;
    if (since < CHECK_NS)
        return false;
    if (are_there(t) && !(t->target.kind == TARGET_POD && strchr(t->target.name, '/'))) {
        t->looked_ns = now_ns;
        return false;
    }
    return true;
}

int target_cgroups_look(struct target_cgroups *target, struct cpu *cpus, size_t cpu_count,
                        int64_t now_ns, struct err *err)
{
    struct target_cgroups *t = target;
    t->cpu_count = cpu_count; /* as many as there may ever be: it stays so */
    int news = 0;
    if (is_due(t, now_ns)) {
        t->changes = cgroups_changes(t->cgroups);
        news = find(t, err);
        t->looked_ns = now_ns;
    }
    int r = news < 0 ? news : open_missing(t, cpus, cpu_count, err);
    return r < 0 ? r : news;
}

void target_cgroups_each(struct target_cgroups *target, void (*fn)(void *ctx, uint32_t pid),
                         void *ctx)
{
    /* An error: it is gone just now. */
    for (size_t i = 0; i < target->count; i++)
        target_each_process(target->v[i].dir, fn, ctx);
}
