/* spool_dir.c: takes a directory, gives the batches that lie in it by age. */
#include "agent/spool_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

#define SEQ_DIGITS 19 /* of 2^63 - 1 */

void spool_batch_name(uint64_t seq, char ret_name[SPOOL_NAME_MAX])
{
    snprintf(ret_name, SPOOL_NAME_MAX, "%019" PRIu64 ".batch", seq);
}

void spool_bad_name(uint64_t seq, char ret_name[SPOOL_NAME_MAX])
{
    snprintf(ret_name, SPOOL_NAME_MAX, "bad-%019" PRIu64 ".batch", seq);
}

/* Reads PREFIX<19 digits>SUFFIX, nothing else. */
static bool parse_name(const char *name, const char *prefix, const char *suffix, uint64_t *ret_seq)
{
    size_t len = strlen(prefix);
    if (strncmp(name, prefix, len) != 0)
        return false;
    name += len;
    if (strspn(name, "0123456789") != SEQ_DIGITS || strcmp(name + SEQ_DIGITS, suffix) != 0)
        return false;
    uint64_t seq = strtoull(name, NULL, 10);
    if (seq == 0 || seq > INT64_MAX)
        return false;
    *ret_seq = seq;
    return true;
}

static int add_file(struct spool_files *to, uint64_t seq, uint64_t bytes)
{
    if (to->count == to->cap) {
        size_t cap = to->cap ? 2 * to->cap : 64;
        struct spool_file *files = reallocarray(to->files, cap, sizeof(*files));
        if (!files)
            return -ENOMEM;
        to->files = files;
        to->cap = cap;
    }
    to->files[to->count++] = (struct spool_file){.seq = seq, .bytes = bytes};
    return 0;
}

static int scan_name(int dir_fd, const char *name, struct spool_listing *listing)
{
    uint64_t seq;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || strcmp(name, "lock") == 0)
        return 0;
    if (parse_name(name, ".", ".batch.tmp", &seq)) {
        if (unlinkat(dir_fd, name, 0) < 0)
            log_warn("a half-written batch cannot be removed: %s file=\"%s\"", strerror(errno),
                     name);
        return 0;
    }
    bool is_batch = parse_name(name, "", ".batch", &seq);
    if (!is_batch && !parse_name(name, "bad-", ".batch", &seq)) {
        listing->foreign++;
        return 0;
    }
    struct stat st;
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    return add_file(is_batch ? &listing->batches : &listing->bad, seq, (uint64_t)st.st_size);
}

static int compare_seq(const void *a, const void *b)
{
    const struct spool_file *f = a, *g = b;
    return (f->seq > g->seq) - (f->seq < g->seq);
}

static void sort_files(struct spool_files *files)
{
    if (files->count > 1)
        qsort(files->files, files->count, sizeof(*files->files), compare_seq);
}

int spool_dir_scan(int dir_fd, struct spool_listing *listing, struct err *err)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int r = -errno;
        cleanup_close(&fd);
        return err_errno(err, r, "opening it");
    }
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(dir);
        if (!d && errno)
            return err_errno(err, -errno, "listing it");
        if (!d)
            break;
        int r = scan_name(dir_fd, d->d_name, listing);
        if (r < 0)
            return err_errno(err, r, "%s", d->d_name);
    }
    sort_files(&listing->batches);
    sort_files(&listing->bad);
    return 0;
}

void spool_listing_free(struct spool_listing *listing)
{
    free(listing->batches.files);
    free(listing->bad.files);
    *listing = (struct spool_listing){0};
}
