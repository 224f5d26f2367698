/* cgroup_walk.c: takes a hierarchy's root, gives each directory's id and path. See cgroup.h.
 *
 * The hierarchy changes while it is walked, and a container may make it as deep as it likes: no
 * recursion, one directory open at a time, and what has vanished is passed over. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/cgroup.h"

/* Paths still to be looked at, each its own allocation. */
struct todo {
    char **paths;
    size_t count, cap;
};

static void todo_free(struct todo *todo)
{
    for (size_t i = 0; i < todo->count; i++)
        free(todo->paths[i]);
    free(todo->paths);
}

static int todo_push(struct todo *todo, const char *parent, const char *name)
{
    size_t parent_len = strcmp(parent, "/") == 0 ? 0 : strlen(parent), name_len = strlen(name);
    /* Deeper than a path can name; its processes are still known by /proc/PID/cgroup. */
    if (parent_len + 1 + name_len >= PATH_MAX)
        return 0;
    if (todo->count == todo->cap) {
        size_t cap = todo->cap ? todo->cap * 2 : 64;
        char **paths = reallocarray(todo->paths, cap, sizeof(*paths));
        if (!paths)
            return -ENOMEM;
        todo->paths = paths;
        todo->cap = cap;
    }
    char *path = malloc(parent_len + name_len + 2);
    if (!path)
        return -ENOMEM;
    memcpy(path, parent, parent_len);
    path[parent_len] = '/';
    memcpy(path + parent_len + 1, name, name_len + 1);
    todo->paths[todo->count++] = path;
    return 0;
}

static int push_children(struct todo *todo, DIR *dir, const char *path, size_t max)
{
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.' &&
            (entry->d_name[1] == 0 || (entry->d_name[1] == '.' && entry->d_name[2] == 0)))
            continue;
        if (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
            continue;
        if (todo->count >= max)
            return -E2BIG;
        int r = todo_push(todo, path, entry->d_name);
        if (r < 0)
            return r;
    }
    return 0;
}

static int push_all(struct todo *todo, int *fd, const char *path, size_t max)
{
    _cleanup_closedir_ DIR *dir = fdopendir(*fd);
    if (!dir)
        return -errno;
    (void)TAKE_FD(*fd);
    return push_children(todo, dir, path, max);
}

/* A path longer than a cgroup's may be here is cut at a slash, as cgroup_choose_path() does. */
static void cut_path(char *path)
{
    if (strlen(path) < CGROUP_PATH_MAX)
        return;
    char *slash = memrchr(path, '/', CGROUP_PATH_MAX);
    if (slash && slash > path)
        *slash = 0;
    else
        path[CGROUP_PATH_MAX - 1] = 0;
}

static int is_vanished(int error)
{
    return error == ENOENT || error == ENODEV || error == ENOTDIR || error == ELOOP ||
           error == EACCES;
}

int cgroup_walk(int dirfd, size_t max_dirs, cgroup_walk_fn fn, void *ctx, struct err *err)
{
    _cleanup_(todo_free) struct todo todo = {0};
    struct stat root, st;
    if (fstat(dirfd, &root) < 0)
        return err_errno(err, -errno, "looking at the cgroup hierarchy");
    int r = todo_push(&todo, "/", "");
    for (size_t seen = 0; r == 0 && todo.count;) {
        _cleanup_free_ char *path = todo.paths[--todo.count];
        const char *below = path[1] ? path + 1 : ".";
        _cleanup_close_ int fd =
            openat(dirfd, below, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && is_vanished(errno) && path[1])
            continue;
        if (fd < 0 || fstat(fd, &st) < 0)
            return err_errno(err, -errno, "opening the cgroup %s", path);
        if (st.st_dev != root.st_dev)
            continue;
        if (seen++ == max_dirs)
            return err_set(err, -E2BIG, "more than %zu cgroups", max_dirs);
        /* A directory's links are its name, its own "." and each child's "..": most have no child,
         * and some 40 files. Where links are not counted so, the number is another. */
        if (st.st_nlink != 2)
            r = push_all(&todo, &fd, path, max_dirs);
        if (r < 0)
            return err_errno(err, r, "reading the cgroup %s", path);
        cut_path(path);
        r = fn(ctx, st.st_ino, path);
    }
    return r;
}
