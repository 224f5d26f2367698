/* cgroups.c: takes cgroup ids, gives paths. See cgroups.h. */
#include "agent/cgroups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/record.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "k8s/cgroup.h"

/* Nodes have some hundreds; job runners leave many behind. At the cap the table is built anew from
 * those that exist. */
#define CGROUPS_MAX     100000
#define WALK_EVERY_NS   (5 * NS_PER_SEC)
#define MOUNTINFO_MAX   (4u << 20)
#define PROC_CGROUP_MAX 65536u

struct entry {
    uint64_t id;
    UT_hash_handle hh;
    char path[];
};

struct cgroups {
    struct entry *by_id;
    int hierarchy; /* fd of its root; -1: none */
    char mount[CGROUP_PATH_MAX];
    int64_t walked_ns;
    uint64_t changes;
};

static void forget_all(struct cgroups *c)
{
    struct entry *e, *next;
    HASH_ITER (hh, c->by_id, e, next) {
        HASH_DEL(c->by_id, e);
        free(e);
    }
}

void cgroups_free(struct cgroups **cgroups)
{
    if (!*cgroups)
        return;
    forget_all(*cgroups);
    if ((*cgroups)->hierarchy >= 0)
        close((*cgroups)->hierarchy);
    free(*cgroups);
    *cgroups = NULL;
}

int cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path)
{
    struct entry *e;
    HASH_FIND(hh, cgroups->by_id, &id, sizeof(id), e);
    if (e && strcmp(e->path, path) == 0)
        return 0;
    if (e) {
        HASH_DEL(cgroups->by_id, e);
        free(e);
    }
    if (HASH_COUNT(cgroups->by_id) >= CGROUPS_MAX)
        forget_all(cgroups);
    size_t len = strnlen(path, CGROUP_PATH_MAX - 1);
    e = malloc(sizeof(*e) + len + 1);
    if (!e)
        return -ENOMEM;
    e->id = id;
    memcpy(e->path, path, len);
    e->path[len] = 0;
    cgroups->changes++;
    HASH_ADD(hh, cgroups->by_id, id, sizeof(e->id), e);
    return 0;
}

static int add_walked(void *ctx, uint64_t id, const char *path)
{
    return cgroups_add(ctx, id, path);
}

static void walk(struct cgroups *c, int64_t now_ns)
{
    c->walked_ns = now_ns;
    if (c->hierarchy < 0)
        return;
    struct err err = {0};
    if (cgroup_walk(c->hierarchy, CGROUPS_MAX - 1, add_walked, c, &err) < 0)
        log_warn("walking the cgroup hierarchy stopped error=\"%s\"", err.text);
}

static int open_hierarchy(char mount[CGROUP_PATH_MAX])
{
    _cleanup_(buf_free) struct buf text = {0};
    struct err err = {0};
    if (fs_read_at(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, &err) < 0) {
        log_warn("cgroups are read from /proc, not from samples error=\"%s\"", err.text);
        return -1;
    }
    if (cgroup_find_mount((const char *)text.data, text.len, mount) < 0) {
        log_warn(
            "cgroups are read from /proc, not from samples: neither a perf_event nor a unified "
            "hierarchy is mounted");
        return -1;
    }
    int fd = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        log_warn("cgroups are read from /proc, not from samples: opening %s: %s", mount,
                 strerrordesc_np(errno));
    return fd;
}

int cgroups_new(struct cgroups **ret, struct err *err)
{
    struct cgroups *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(err, -ENOMEM, "the table of cgroups");
    c->hierarchy = open_hierarchy(c->mount);
    walk(c, clock_ns(CLOCK_MONOTONIC));
    *ret = c;
    return 0;
}

const char *cgroups_path(struct cgroups *cgroups, uint64_t id, int64_t now_ns)
{
    struct entry *e;
    HASH_FIND(hh, cgroups->by_id, &id, sizeof(id), e);
    if (!e && id && now_ns - cgroups->walked_ns > WALK_EVERY_NS) {
        walk(cgroups, now_ns);
        HASH_FIND(hh, cgroups->by_id, &id, sizeof(id), e);
    }
    return e ? e->path : "";
}

uint64_t cgroups_of_process(struct cgroups *cgroups, int proc_fd, pid_t pid)
{
    char name[32], path[CGROUP_PATH_MAX];
    snprintf(name, sizeof(name), "%d/cgroup", pid);
    _cleanup_(buf_free) struct buf text = {0};
    if (fs_read_at(proc_fd, name, PROC_CGROUP_MAX, &text, NULL) < 0 ||
        cgroup_choose_path((const char *)text.data, text.len, path) < 0)
        return 0;
    /* The top bit keeps it apart from real ids, which are inode numbers. */
    uint64_t id = XXH3_64bits(path, strlen(path)) | 1ull << 63;
    return cgroups_add(cgroups, id, path) < 0 ? 0 : id;
}

int cgroups_each(struct cgroups *cgroups, int (*fn)(void *ctx, const struct record *record),
                 void *ctx)
{
    struct entry *e, *next;
    HASH_ITER (hh, cgroups->by_id, e, next) {
        struct record record = {.kind = RECORD_CGROUP, .cgroup = {.id = e->id, .path = e->path}};
        int r = fn(ctx, &record);
        if (r)
            return r;
    }
    return 0;
}

int cgroups_hierarchy(const struct cgroups *cgroups, const char **ret_mount)
{
    if (ret_mount)
        *ret_mount = cgroups->mount;
    return cgroups->hierarchy;
}

uint64_t cgroups_changes(const struct cgroups *cgroups)
{
    return cgroups->changes;
}
