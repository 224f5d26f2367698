/* log_dirs.c: takes the directory that kubelet's logs are in, gives facts. See log_dirs.h. */
#include "k8s/log_dirs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/facts.h"
#include "k8s/log_names.h"
#include "k8s/source.h"

/* Links to logs long gone may pile up; far above what a node holds. */
#define NAMES_MAX 100000u

struct entry {
    int64_t changed_ns;
    char name[NAME_MAX + 1];
};

/* What one directory holds. */
struct entries {
    struct entry *all;
    size_t count, room;
};

static void free_entries(struct entries *entries)
{
    free(entries->all);
}

static int add_entry(struct entries *entries, int fd, const char *name)
{
    struct stat st;
    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* gone since */
    if (entries->count == entries->room) {
        size_t room = entries->room * 2 + 64;
        struct entry *all = reallocarray(entries->all, room, sizeof(*all));
        if (!all)
            return -ENOMEM;
        entries->all = all;
        entries->room = room;
    }
    struct entry *entry = &entries->all[entries->count++];
    entry->changed_ns = st.st_mtim.tv_sec * NS_PER_SEC + st.st_mtim.tv_nsec;
    snprintf(entry->name, sizeof(entry->name), "%s", name);
    return 0;
}

static int compare_age(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    return (right->changed_ns > left->changed_ns) - (right->changed_ns < left->changed_ns);
}

typedef int (*name_fn)(int dirfd, const char *name, const struct facts_sink *sink);

/* The youngest first: of two pods of one name, as StatefulSets have them, the first that is told
 * counts, and what has ended leaves its logs behind. */
static int give_names(struct entries *entries, int fd, name_fn fn, const struct facts_sink *sink)
{
    int r = 0;
    if (entries->count)
        qsort(entries->all, entries->count, sizeof(*entries->all), compare_age);
    for (size_t i = 0; r == 0 && i < entries->count; i++)
        r = fn(fd, entries->all[i].name, sink);
    return r;
}

static int list(int dirfd, const char *dir, name_fn fn, const struct facts_sink *sink,
                struct err *err)
{
    _cleanup_(free_entries) struct entries entries = {0};
    _cleanup_close_ int fd = openat(dirfd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "opening %s", dir);
    _cleanup_closedir_ DIR *d = fdopendir(fd);
    if (!d)
        return err_errno(err, -errno, "listing %s", dir);
    int own = TAKE_FD(fd), r = 0;
    for (uint32_t n = 0; n < NAMES_MAX && r == 0; n++) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry && errno)
            return err_errno(err, -errno, "listing %s", dir);
        if (!entry) {
            r = give_names(&entries, own, fn, sink);
            return r < 0 ? err_errno(err, r, "taking in names of %s", dir) : 0;
        }
        r = add_entry(&entries, own, entry->d_name);
    }
    return r < 0 ? err_errno(err, r, "listing %s", dir)
                 : err_set(err, -E2BIG, "more than %u names in %s", NAMES_MAX, dir);
}

static int take_pod(int dirfd, const char *name, const struct facts_sink *sink)
{
    struct log_pod pod;
    if (log_name_read_pod(name, strlen(name), &pod) < 0)
        return 0;
    struct pod_fact fact = {.uid = pod.uid, .namespace = pod.namespace, .name = pod.name};
    return sink->pod(sink->ctx, &fact);
}

/* The link's own name has no pod uid, and pods of one name follow each other: only where it leads
 * to tells them apart. */
static int take_container(int dirfd, const char *name, const struct facts_sink *sink)
{
    struct log_container c;
    struct log_target t;
    char path[PATH_MAX];
    if (log_name_read_container(name, strlen(name), &c) < 0)
        return 0;
    ssize_t len = readlinkat(dirfd, name, path, sizeof(path));
    if (len < 0 || log_name_read_target(path, (size_t)len, &t) < 0 ||
        strcmp(t.pod.namespace, c.namespace) != 0 || strcmp(t.pod.name, c.pod) != 0 ||
        strcmp(t.container, c.name) != 0)
        return 0;
    struct pod_fact pod = {.uid = t.pod.uid, .namespace = t.pod.namespace, .name = t.pod.name};
    struct container_fact fact = {
        .id = c.id, .pod_uid = t.pod.uid, .name = c.name, .restarts = t.restarts};
    int r = sink->pod(sink->ctx, &pod);
    return r == 0 ? sink->container(sink->ctx, &fact) : r;
}

int log_dirs_list(int dirfd, const struct facts_sink *sink, struct err *err)
{
    struct err no_pods = {0};
    int pods = list(dirfd, "pods", take_pod, sink, &no_pods);
    if (pods < 0 && pods != -ENOENT)
        return err_set(err, pods, "%s", no_pods.text);
    int r = list(dirfd, "containers", take_container, sink, err);
    if (r == -ENOENT && pods == -ENOENT)
        return err_set(err, r, "neither pods nor containers is there");
    return r == -ENOENT ? 0 : r;
}

/* ---- the source */

struct log_dirs {
    bool is_usual;
    char dir[];
};

static int refresh_below(const char *dir, const struct facts_sink *sink, struct err *err)
{
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "opening %s", dir);
    int r = log_dirs_list(fd, sink, err);
    return r < 0 ? err_wrap(err, r, "log directories in %s", dir) : 0;
}

static int refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    const struct log_dirs *l = self;
    int r = refresh_below(l->dir, sink, err);
    /* To a source, -ENOENT is the word for "not configured". */
    return r == -ENOENT && !l->is_usual ? -ENOTDIR : r;
}

static const struct source_ops ops = {"log-dirs", refresh, free};

int log_dirs_source_new(const char *dir, struct source *ret, struct err *err)
{
    const char *from = dir ? dir : LOG_DIRS_USUAL;
    struct log_dirs *l = malloc(sizeof(*l) + strlen(from) + 1);
    if (!l)
        return err_errno(err, -ENOMEM, "the log directories");
    l->is_usual = !dir;
    strcpy(l->dir, from);
    *ret = (struct source){&ops, l};
    return 0;
}
