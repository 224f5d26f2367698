/* table_dir.c: takes tables, leaves files, and back. See table_dir.h. */
#include "agent/table_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/log.h"
#include "unwind/table.h"
#include "unwind/table_file.h"

#define SUFFIX    ".table"
#define NAME_SIZE (TABLE_FILE_KEY_MAX * 2 + sizeof(SUFFIX))

#define SEED "seed"

struct table_dir {
    int fd; /* -1: nothing is kept */
    size_t max_bytes;
    uint64_t seed;
};

/* A file that is missing or odd is made anew: the tables are built once more. */
static int read_seed(struct table_dir *d, struct err *err)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    if (fs_read_at(d->fd, SEED, sizeof(d->seed), &bytes, NULL) == 0 &&
        bytes.len == sizeof(d->seed)) {
        memcpy(&d->seed, bytes.data, sizeof(d->seed));
        return 0;
    }
    if (getrandom(&d->seed, sizeof(d->seed), 0) != sizeof(d->seed))
        return err_errno(err, -errno, "getrandom");
    return fs_publish_at(d->fd, SEED, &d->seed, sizeof(d->seed), 0600, err);
}

int table_dir_open(const char *dir, size_t max_bytes, struct table_dir **ret, struct err *err)
{
    struct table_dir *d = calloc(1, sizeof(*d));
    if (!d)
        return err_errno(err, -ENOMEM, "the unwind tables' directory");
    d->fd = -1;
    d->max_bytes = max_bytes;
    int r = dir ? fs_mkdir_p(dir, 0700, err) : 0;
    if (r == 0 && dir && (d->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = err_errno(err, -errno, "opening %s", dir);
    if (r == 0 && dir)
        r = read_seed(d, err);
    if (r < 0) {
        table_dir_close(&d);
        return r;
    }
    *ret = d;
    return 0;
}

void table_dir_close(struct table_dir **dir)
{
    if (!*dir)
        return;
    if ((*dir)->fd >= 0)
        close((*dir)->fd);
    free(*dir);
    *dir = NULL;
}

static void name_of(const uint8_t *id, size_t len, char name[NAME_SIZE])
{
    for (size_t i = 0; i < len; i++)
        snprintf(name + 2 * i, 3, "%02x", id[i]);
    snprintf(name + 2 * len, NAME_SIZE - 2 * len, SUFFIX);
}

uint64_t table_dir_seed(const struct table_dir *dir)
{
    return dir->seed;
}

int table_dir_load(struct table_dir *dir, const uint8_t *id, size_t id_len,
                   struct unwind_table **ret)
{
    if (dir->fd < 0 || !id_len || id_len > TABLE_FILE_KEY_MAX)
        return -ENOENT;
    char name[NAME_SIZE];
    name_of(id, id_len, name);
    _cleanup_(buf_free) struct buf bytes = {0};
    struct err err = {0};
    int r = fs_read_at(dir->fd, name, TABLE_FILE_MAX, &bytes, &err);
    if (r == 0)
        r = table_file_read(bytes.data, bytes.len, id, id_len, ret, &err);
    if (r < 0) {
        if (r != -ENOENT)
            log_info("unwind table is built anew file=%s error=\"%s\"", name, err.text);
        return -ENOENT;
    }
    utimensat(dir->fd, name, NULL, 0); /* used now; only an order of age is lost if it fails */
    return 0;
}

struct oldest {
    char name[NAME_MAX + 1];
    struct timespec time;
    size_t bytes;
};

/* Sum of all sizes, and the file used longest ago. */
static size_t measure(int fd, struct oldest *ret)
{
    size_t sum = 0;
    ret->name[0] = 0;
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = copy < 0 ? NULL : fdopendir(copy);
    struct dirent *d;
    while (dir && (d = readdir(dir))) {
        struct stat st;
        size_t len = strlen(d->d_name);
        if (len < sizeof(SUFFIX) || strcmp(d->d_name + len - sizeof(SUFFIX) + 1, SUFFIX) != 0 ||
            fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        sum += (size_t)st.st_size;
        if (!ret->name[0] || st.st_mtim.tv_sec < ret->time.tv_sec ||
            (st.st_mtim.tv_sec == ret->time.tv_sec && st.st_mtim.tv_nsec < ret->time.tv_nsec)) {
            memcpy(ret->name, d->d_name, len + 1);
            ret->time = st.st_mtim;
            ret->bytes = (size_t)st.st_size;
        }
    }
    return sum;
}

void table_dir_save(struct table_dir *dir, const uint8_t *id, size_t id_len,
                    const struct unwind_table *table)
{
    if (dir->fd < 0 || !id_len || id_len > TABLE_FILE_KEY_MAX)
        return;
    char name[NAME_SIZE];
    name_of(id, id_len, name);
    _cleanup_(buf_free) struct buf bytes = {0};
    struct err err = {0};
    int r = table_file_write(table, id, id_len, &bytes);
    if (r < 0 || bytes.len > dir->max_bytes)
        return;
    struct oldest oldest;
    while (measure(dir->fd, &oldest) + bytes.len > dir->max_bytes && oldest.name[0]) {
        if (unlinkat(dir->fd, oldest.name, 0) < 0)
            break;
    }
    if (fs_publish_at(dir->fd, name, bytes.data, bytes.len, 0600, &err) < 0)
        log_warn("an unwind table is not kept error=\"%s\"", err.text);
}
