/* target.c: takes flags, gives what is to be sampled; takes the cgroup hierarchy, gives the
 * target's directories. See target.h. */
#include "agent/target.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/parse.h"

#define WALK_MAX    100000
#define SUBTREE_MAX 10000
#define PROCS_MAX   (1u << 20)

/* ---- the flags */

static int choose_process(const char *word, struct target *t, struct err *err)
{
    uint64_t pid;
    if (parse_u64(word, &pid, NULL) < 0 || pid == 0 || pid > INT_MAX)
        return err_set(err, -EINVAL, "--pid: \"%s\" is no process's number", word);
    t->kind = TARGET_PROCESS;
    t->pid = (pid_t)pid;
    return 0;
}

static bool leads_up(const char *path)
{
    for (const char *at = path; (at = strstr(at, "..")); at += 2) {
        if ((at == path || at[-1] == '/') && (at[2] == 0 || at[2] == '/'))
            return true;
    }
    return false;
}

static int choose_cgroup(const char *path, struct target *t, struct err *err)
{
    if (strlen(path) >= CGROUP_PATH_MAX || leads_up(path))
        return err_set(err, -EINVAL, "--cgroup: \"%s\" is no path below a cgroup hierarchy's root",
                       path);
    t->kind = TARGET_CGROUP;
    t->name = path;
    return 0;
}

static int choose_container(const char *id, struct target *t, struct err *err)
{
    /* As docker and crictl print it, and as Kubernetes has it: containerd://3f9a... */
    const char *scheme = strstr(id, "://");
    t->kind = TARGET_CONTAINER;
    t->name = scheme ? scheme + 3 : id;
    if (!t->name[0] || strlen(t->name) >= CGROUP_NAME_MAX || strchr(t->name, '/'))
        return err_set(err, -EINVAL, "--container: \"%s\" is no container's id", id);
    return 0;
}

/* As in cgroup paths, dashed or not. */
static bool is_uid(const char *word)
{
    return strspn(word, "0123456789abcdefABCDEF-") == strlen(word) && strlen(word) >= 32 &&
           strlen(word) < 40;
}

static int choose_pod(const char *pod, struct target *t, struct err *err)
{
    const char *slash = strchr(pod, '/');
    bool is_name = slash && slash > pod && slash[1] && !strchr(slash + 1, '/');
    if (!is_name && !is_uid(pod))
        return err_set(err, -EINVAL, "--pod: \"%s\" is neither NAMESPACE/NAME nor a pod's uid",
                       pod);
    t->kind = TARGET_POD;
    t->name = pod;
    return 0;
}

int target_choose(const struct target_words *words, struct target *ret, struct err *err)
{
    struct target t = {.kind = words->sidecar ? TARGET_SIDECAR : TARGET_NODE};
    int given = words->sidecar + !!words->pid + !!words->cgroup + !!words->container + !!words->pod;
    if (given > 1)
        return err_set(err, -EINVAL,
                       "pid, cgroup, container, pod and sidecar exclude each other: one target is "
                       "sampled, or without them the whole machine");
    int r = 0;
    if (words->pid)
        r = choose_process(words->pid, &t, err);
    else if (words->cgroup)
        r = choose_cgroup(words->cgroup, &t, err);
    else if (words->container)
        r = choose_container(words->container, &t, err);
    else if (words->pod)
        r = choose_pod(words->pod, &t, err);
    if (r == 0)
        *ret = t;
    return r;
}

const char *target_describe(const struct target *target, char *to, size_t size)
{
    static const char *const kinds[] = {
        [TARGET_NODE] = "node",           [TARGET_PROCESS] = "pid", [TARGET_CGROUP] = "cgroup",
        [TARGET_CONTAINER] = "container", [TARGET_POD] = "pod",     [TARGET_SIDECAR] = "sidecar"};
    if (target->kind == TARGET_PROCESS)
        snprintf(to, size, "pid=%d", target->pid);
    else if (target->name)
        snprintf(to, size, "%s=\"%s\"", kinds[target->kind], target->name);
    else
        snprintf(to, size, "%s", kinds[target->kind]);
    return to;
}

/* ---- among the cgroups */

static int add_dir(struct target_dirs *dirs, uint64_t id, const char *path, struct err *err)
{
    for (size_t i = 0; i < dirs->count; i++) {
        const char *above = dirs->v[i].path;
        size_t len = strlen(above);
        if (strncmp(path, above, len) == 0 && (path[len] == '/' || path[len] == 0))
            return 0;
    }
    if (dirs->count == TARGET_DIRS_MAX)
        return err_set(err, -E2BIG,
                       "the target is more than %d cgroups without a common parent, %s among them",
                       TARGET_DIRS_MAX, path);
    struct target_dir *d = &dirs->v[dirs->count++];
    d->id = id;
    snprintf(d->path, sizeof(d->path), "%s", path);
    return 0;
}

static bool is_same_uid(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += *a == '-';
        b += *b == '-';
        if (*a != *b && (*a | 0x20) != (*b | 0x20))
            return false;
        if (!*a)
            return true;
    }
}

struct search {
    const char *container; /* an id, or how it begins */
    const char *uid;       /* or a pod's */
    struct target_dirs *dirs;
    struct err *err;
    char other[CGROUP_NAME_MAX]; /* another container whose id begins so */
};

static int look_at(void *ctx, uint64_t id, const char *path)
{
    struct search *s = ctx;
    struct cgroup_id is;
    cgroup_parse_path(path, strlen(path), &is);
    if (s->uid)
        return is.pod_uid[0] && is_same_uid(is.pod_uid, s->uid) ? add_dir(s->dirs, id, path, s->err)
                                                                : 0;
    if (!is.container_id[0] || strncmp(is.container_id, s->container, strlen(s->container)) != 0)
        return 0;
    char *found = s->dirs->container_id;
    if (found[0] && strcmp(found, is.container_id) != 0) {
        /* A whole id is not ambiguous because another, longer one begins so. */
        if (strcmp(found, s->container) == 0)
            return 0;
        if (strcmp(is.container_id, s->container) != 0) {
            memcpy(s->other, is.container_id, sizeof(s->other));
            return 0;
        }
        s->dirs->count = 0;
    }
    memcpy(found, is.container_id, CGROUP_NAME_MAX);
    return add_dir(s->dirs, id, path, s->err);
}

static int find_cgroup(const char *path, int hierarchy, const char *mount, struct target_dirs *dirs,
                       struct err *err)
{
    size_t len = strlen(mount);
    if (strncmp(path, mount, len) == 0 && (path[len] == '/' || path[len] == 0))
        path += len;
    path += strspn(path, "/");
    struct stat st;
    if (fstatat(hierarchy, path[0] ? path : ".", &st, 0) < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == ENODEV
                   ? 0
                   : err_errno(err, -errno, "looking at the cgroup %s", path);
    char whole[CGROUP_PATH_MAX + 1];
    snprintf(whole, sizeof(whole), "/%s", path);
    for (size_t n = strlen(whole); n > 1 && whole[n - 1] == '/';)
        whole[--n] = 0;
    return add_dir(dirs, st.st_ino, whole, err);
}

static int find_uid(const struct target *t, char ret_uid[static 40], struct err *err)
{
    const char *slash = strchr(t->name, '/');
    if (!slash) {
        snprintf(ret_uid, 40, "%s", t->name);
        return 0;
    }
    if (!t->resolve)
        return err_set(err, -ENOTSUP,
                       "nothing here tells pods' names: give the pod's uid instead of \"%s\"",
                       t->name);
    char namespace[254];
    snprintf(namespace, sizeof(namespace), "%.*s", (int)(slash - t->name), t->name);
    return t->resolve(t->resolve_ctx, namespace, slash + 1, ret_uid);
}

int target_find(const struct target *target, int hierarchy, const char *mount,
                struct target_dirs *ret, struct err *err)
{
    _cleanup_free_ struct target_dirs *dirs = calloc(1, sizeof(*dirs));
    if (!dirs)
        return err_errno(err, -ENOMEM, "looking for the target");
    struct search search = {.dirs = dirs, .err = err};
    char uid[40];
    int r = 0;
    if (target->kind == TARGET_CGROUP) {
        r = find_cgroup(target->name, hierarchy, mount, dirs, err);
    } else if (target->kind == TARGET_CONTAINER) {
        search.container = target->name;
    } else if ((r = find_uid(target, uid, err)) == 0) {
        search.uid = uid;
    }
    if (search.container || search.uid)
        r = cgroup_walk(hierarchy, WALK_MAX, look_at, &search, err);
    if (r < 0)
        return r;
    if (search.other[0] && strcmp(dirs->container_id, target->name) != 0)
        return err_set(err, -ENOTUNIQ,
                       "several containers' ids begin with %s: %.16s and %.16s among them",
                       target->name, dirs->container_id, search.other);
    memcpy(ret, dirs, sizeof(*ret));
    return 0;
}

/* ---- who is in one */

struct visit {
    int dir;
    struct buf text;
    void (*fn)(void *ctx, uint32_t pid);
    void *ctx;
};

static int visit_dir(void *ctx, uint64_t id, const char *path)
{
    struct visit *v = ctx;
    char name[CGROUP_PATH_MAX + 16];
    (void)id;
    snprintf(name, sizeof(name), "%s%scgroup.procs", path + 1, path[1] ? "/" : "");
    v->text.len = 0;
    /* Gone meanwhile, or a threaded cgroup, whose processes are in one above. */
    if (fs_read_at(v->dir, name, PROCS_MAX, &v->text, NULL) < 0)
        return 0;
    const char *at = (const char *)v->text.data;
    char *end;
    for (unsigned long pid; (pid = strtoul(at, &end, 10)), end != at; at = end) {
        if (pid && pid <= INT32_MAX) /* 0: outside our pid namespace */
            v->fn(v->ctx, (uint32_t)pid);
    }
    return 0;
}

int target_each_process(int dir, void (*fn)(void *ctx, uint32_t pid), void *ctx)
{
    struct visit v = {.dir = dir, .fn = fn, .ctx = ctx};
    int r = cgroup_walk(dir, SUBTREE_MAX, visit_dir, &v, NULL);
    buf_free(&v.text);
    return r;
}
