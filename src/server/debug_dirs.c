/* debug_dirs.c: takes a build-id, gives its debug file. See debug_dirs.h. */
#include "server/debug_dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/debug_file.h"
#include "symbol/elf.h"

#define DIRS_MAX 64

struct debug_dirs {
    char *paths[DIRS_MAX];
    bool is_cache[DIRS_MAX];
    size_t count;
};

static int add(struct debug_dirs *d, const char *path, size_t len, bool is_cache, struct err *err)
{
    if (d->count == DIRS_MAX)
        return err_set(err, -E2BIG, "more than %d directories of debug files", DIRS_MAX);
    char *copy = strndup(path, len);
    if (!copy)
        return err_errno(err, -ENOMEM, "looking for debug files");
    d->is_cache[d->count] = is_cache;
    d->paths[d->count++] = copy;
    return 0;
}

int debug_dirs_new(const char *list, struct debug_dirs **ret, struct err *err)
{
    _cleanup_(debug_dirs_free) struct debug_dirs *d = calloc(1, sizeof(*d));
    if (!d)
        return err_errno(err, -ENOMEM, "looking for debug files");
    for (const char *at = list ? list : ""; *at;) {
        size_t len = strcspn(at, ":");
        int r = len ? add(d, at, len, false, err) : 0;
        if (r < 0)
            return r;
        at += len + (at[len] == ':');
    }
    *ret = TAKE_PTR(d);
    return 0;
}

void debug_dirs_free(struct debug_dirs **dirs)
{
    if (!*dirs)
        return;
    for (size_t i = 0; i < (*dirs)->count; i++)
        free((*dirs)->paths[i]);
    free(TAKE_PTR(*dirs));
}

int debug_dirs_add_cache(struct debug_dirs *dirs, const char *dir, struct err *err)
{
    return add(dirs, dir, strlen(dir), true, err);
}

/* GDB's manual, "Separate Debug Files", of which distributions' packages have the links without
 * .debug too, to the program itself; then what debuginfod's clients keep (debuginfod-find(1)), and
 * what is quickly copied by hand. */
static const struct {
    const char *before;
    bool is_split; /* after the id's first byte */
    const char *behind;
} places[] = {
    {".build-id/", true, ".debug"}, {".build-id/", true, ""}, {"", false, "/debuginfo"},
    {"", false, "/executable"},     {"", false, ".debug"},
};

static int make_path(const char *dir, size_t place, const char *hex, char ret[PATH_MAX])
{
    bool split = places[place].is_split;
    int n = snprintf(ret, PATH_MAX, "%s/%s%.2s%s%s%s", dir, places[place].before, hex,
                     split ? "/" : "", hex + 2, places[place].behind);
    return n > 0 && n < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Of a file that is there twice neither need be good. */
static int try_file(const char *path, const uint8_t *id, size_t id_len, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno == ENOTDIR ? -ENOENT : err_errno(err, -errno, "opening %s", path);
    struct err why = {0};
    int r = debug_file_check(fd, id, id_len, &why);
    if (r < 0)
        return err_set(err, r, "%s is not used: %s", path, why.text);
    return TAKE_FD(fd);
}

static void mark_used(int fd)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    futimens(fd, times);
}

int debug_dirs_open(const struct debug_dirs *dirs, const uint8_t *id, size_t id_len,
                    struct err *err)
{
    char hex[2 * ELF_BUILD_ID_MAX + 1] = "", path[PATH_MAX];
    int result = -ENOENT;
    if (id_len < 2 || id_len > ELF_BUILD_ID_MAX)
        return -ENOENT;
    for (size_t i = 0; i < id_len; i++)
        snprintf(hex + 2 * i, 3, "%02x", id[i]);
    for (size_t i = 0; i < dirs->count; i++) {
        for (size_t k = 0; k < ARRAY_LEN(places); k++) {
            struct err why = {0};
            int fd = make_path(dirs->paths[i], k, hex, path);
            if (fd == 0)
                fd = try_file(path, id, id_len, &why);
            if (fd >= 0) {
                if (dirs->is_cache[i])
                    mark_used(fd);
                return fd;
            }
            if (fd != -ENOENT && result == -ENOENT)
                result = err_set(err, fd, "%s", why.text);
        }
    }
    return result;
}
