/* debug_cache.c: takes fetched debug files, keeps the newest and most used. See debug_cache.h. */
#include "server/debug_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"

#define UNFINISHED  ".unfinished"
#define HEX_MAX     (2 * ELF_BUILD_ID_MAX)
#define BLOCK_BYTES 512 /* what st_blocks counts in, whatever the file system (stat(3type)) */

struct debug_cache {
    int dir;
    uint64_t max_bytes, bytes;
};

struct kept_file {
    char hex[HEX_MAX + 1];
    uint64_t bytes;
    int64_t used_ns;
};

struct kept_files {
    struct kept_file *all;
    size_t count, room;
    uint64_t bytes;
};

static void kept_files_free(struct kept_files *files)
{
    free(files->all);
}

static int add_file(struct kept_files *files, const char *hex, const struct stat *st)
{
    if (files->count == files->room) {
        size_t room = files->room * 2 + 64;
        struct kept_file *all = reallocarray(files->all, room, sizeof(*all));
        if (!all)
            return -ENOMEM;
        files->all = all;
        files->room = room;
    }
    struct kept_file *f = &files->all[files->count++];
    *f = (struct kept_file){.bytes = (uint64_t)st->st_blocks * BLOCK_BYTES,
                            .used_ns =
                                (int64_t)st->st_atim.tv_sec * NS_PER_SEC + st->st_atim.tv_nsec};
    memcpy(f->hex, hex, strlen(hex) + 1);
    files->bytes += f->bytes;
    return 0;
}

static void file_path(const char *hex, char ret[HEX_MAX + 16])
{
    snprintf(ret, HEX_MAX + 16, "%.*s/debuginfo", HEX_MAX, hex);
}

static int list_files(const struct debug_cache *c, struct kept_files *ret)
{
    int fd = openat(c->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        cleanup_close(&fd);
        return r;
    }
    for (const struct dirent *e; (e = readdir(dir));) {
        char path[HEX_MAX + 16];
        struct stat st;
        size_t len = strlen(e->d_name);
        if (len > HEX_MAX || strspn(e->d_name, "0123456789abcdef") != len)
            continue;
        file_path(e->d_name, path);
        int r =
            fstatat(c->dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : add_file(ret, e->d_name, &st);
        if (r < 0)
            return r;
    }
    return 0;
}

static int compare_use(const void *va, const void *vb)
{
    const struct kept_file *a = va, *b = vb;
    return (a->used_ns > b->used_ns) - (a->used_ns < b->used_ns);
}

/* Readers that have a dropped file open read on. */
static int make_room(struct debug_cache *c, uint64_t bytes)
{
    _cleanup_(kept_files_free) struct kept_files files = {0};
    int r = list_files(c, &files);
    if (r < 0)
        return r;
    if (files.count)
        qsort(files.all, files.count, sizeof(*files.all), compare_use);
    for (size_t i = 0; i < files.count && files.bytes + bytes > c->max_bytes; i++) {
        char path[HEX_MAX + 16];
        file_path(files.all[i].hex, path);
        if (unlinkat(c->dir, path, 0) < 0)
            return -errno;
        unlinkat(c->dir, files.all[i].hex, AT_REMOVEDIR);
        files.bytes -= files.all[i].bytes;
    }
    c->bytes = files.bytes;
    return 0;
}

int debug_cache_open(const char *dir, uint64_t max_bytes, struct debug_cache **ret, struct err *err)
{
    _cleanup_(debug_cache_close) struct debug_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(err, -ENOMEM, "keeping debug files");
    c->max_bytes = max_bytes;
    c->dir = -1;
    int r = fs_mkdir_p(dir, 0750, err);
    if (r < 0)
        return r;
    c->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir < 0)
        return err_errno(err, -errno, "opening %s", dir);
    unlinkat(c->dir, UNFINISHED, 0);
    r = make_room(c, 0);
    if (r < 0)
        return err_errno(err, r, "keeping %s within its size", dir);
    *ret = TAKE_PTR(c);
    return 0;
}

void debug_cache_close(struct debug_cache **cache)
{
    if (!*cache)
        return;
    cleanup_close(&(*cache)->dir);
    free(TAKE_PTR(*cache));
}

uint64_t debug_cache_file_max(const struct debug_cache *c)
{
    return c->max_bytes / 2;
}

uint64_t debug_cache_bytes(const struct debug_cache *c)
{
    return c->bytes;
}

int debug_cache_make_file(struct debug_cache *c, int *ret_fd, struct err *err)
{
    unlinkat(c->dir, UNFINISHED, 0);
    int fd = openat(c->dir, UNFINISHED, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (fd < 0)
        return err_errno(err, -errno, "making a file for debug information");
    *ret_fd = fd;
    return 0;
}

/* On disk before it has its name: a file cut short would pass for whole. */
int debug_cache_keep_file(struct debug_cache *c, int fd, const uint8_t *build_id, size_t len,
                          struct err *err)
{
    char hex[HEX_MAX + 1] = "", path[HEX_MAX + 16];
    struct stat st;
    for (size_t i = 0; i < len && i < ELF_BUILD_ID_MAX; i++)
        snprintf(hex + 2 * i, 3, "%02x", build_id[i]);
    file_path(hex, path);
    int r = fdatasync(fd) < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    uint64_t bytes = r == 0 ? (uint64_t)st.st_blocks * BLOCK_BYTES : 0;
    if (r == 0)
        r = make_room(c, bytes);
    if (r == 0 && mkdirat(c->dir, hex, 0750) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0 && renameat(c->dir, UNFINISHED, c->dir, path) < 0)
        r = -errno;
    if (r < 0)
        return err_errno(err, r, "keeping the debug file %s", hex);
    c->bytes += bytes;
    return 0;
}
