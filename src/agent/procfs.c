/* procfs.c: takes a /proc directory, gives records. Formats: proc(5). See procfs.h. */
#include "agent/procfs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/maps.h"
#include "agent/record.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

#define MAPS_TEXT_MAX  (32u << 20)
#define SMALL_TEXT_MAX 4096u

struct scan {
    procfs_fn fn;
    void *ctx;
    struct buf text; /* reused from file to file */
    int64_t boot_to_monotonic;
};

/* What of a process's files being gone or forbidden is no error of the scan. */
static bool is_gone_or_forbidden(int r)
{
    return r == -ENOENT || r == -ESRCH || r == -EACCES || r == -EPERM || r == -EFBIG;
}

static int read_text(struct scan *s, int dir, const char *name, size_t max)
{
    s->text.len = 0;
    return fs_read_at(dir, name, max, &s->text, NULL);
}

/* The name stands in parentheses and may hold any byte, so the fields count from the last ")". */
static int read_stat(struct scan *s, int dir, uint32_t *ret_ppid, uint64_t *ret_start)
{
    int r = read_text(s, dir, "stat", SMALL_TEXT_MAX);
    if (r < 0)
        return r;
    const char *text = (const char *)s->text.data;
    const char *at = strrchr(text, ')');
    unsigned ppid;
    unsigned long long ticks;
    if (!at || sscanf(at + 1,
                      " %*c %u %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
                      "%llu",
                      &ppid, &ticks) != 2)
        return -EBADMSG;
    int64_t boot_ns = (int64_t)(ticks * (unsigned long long)(NS_PER_SEC / sysconf(_SC_CLK_TCK)));
    int64_t start = boot_ns + s->boot_to_monotonic;
    *ret_ppid = ppid;
    *ret_start = start > 0 ? (uint64_t)start : 1; /* 0 would mean unknown */
    return 0;
}

static int tell_comm(struct scan *s, int dir, uint32_t pid, uint32_t tid, bool exec)
{
    int r = read_text(s, dir, "comm", SMALL_TEXT_MAX);
    if (r < 0)
        return r;
    char *text = (char *)s->text.data;
    text[strcspn(text, "\n")] = 0;
    struct record record = {
        .kind = RECORD_COMM, .pid = pid, .tid = tid, .comm = {.name = text, .exec = exec}};
    return s->fn(s->ctx, &record);
}

static int tell_mapping(struct scan *s, uint32_t pid, const struct maps_line *line)
{
    struct record record = {
        .kind = RECORD_MMAP,
        .pid = pid,
        .tid = pid,
        .mmap = {.start = line->start,
                 .len = line->end - line->start,
                 .file_offset = line->path[0] ? line->file_offset : line->start,
                 .major = line->major,
                 .minor = line->minor,
                 .inode = line->inode,
                 .prot = PROT_READ | PROT_EXEC,
                 .path = line->path[0] ? line->path : "//anon"},
    };
    return s->fn(s->ctx, &record);
}

/* `only`: tells the mappings of that path; `but`: of all others. */
static int tell_maps(struct scan *s, uint32_t pid, const char *only, const char *but)
{
    struct maps_parser parser;
    struct maps_line line;
    maps_init(&parser, s->text.data, s->text.len);
    int r;
    while ((r = maps_next(&parser, &line)) != 0) {
        if (r < 0 || !line.executable || (only && strcmp(line.path, only) != 0) ||
            (but && strcmp(line.path, but) == 0))
            continue;
        r = tell_mapping(s, pid, &line);
        if (r)
            return r;
    }
    return 0;
}

static int tell_all_maps(struct scan *s, int dir, uint32_t pid)
{
    char exe[PATH_MAX];
    ssize_t n = readlinkat(dir, "exe", exe, sizeof(exe) - 1);
    exe[n > 0 ? n : 0] = 0;
    int r = read_text(s, dir, "maps", MAPS_TEXT_MAX);
    if (r < 0)
        return is_gone_or_forbidden(r) ? 0 : r;
    if (s->text.len == 0)
        return 0; /* a kernel thread */
    if (exe[0]) {
        r = tell_maps(s, pid, exe, NULL);
        if (r)
            return r;
    }
    return tell_maps(s, pid, NULL, exe[0] ? exe : NULL);
}

static int tell_fork(struct scan *s, uint32_t pid, uint32_t tid, uint32_t ppid, uint64_t time)
{
    struct record record = {
        .kind = RECORD_FORK, .time = time, .pid = pid, .tid = tid, .task = {ppid, ppid}};
    return s->fn(s->ctx, &record);
}

static bool parse_pid(const char *name, uint32_t *ret)
{
    uint64_t v = 0;
    for (const char *c = name; *c; c++) {
        if (!isdigit((unsigned char)*c) || (v = v * 10 + (uint64_t)(*c - '0')) > INT_MAX)
            return false;
    }
    *ret = (uint32_t)v;
    return v > 0;
}

static int tell_threads(struct scan *s, int dir, uint32_t pid, uint64_t start)
{
    int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return is_gone_or_forbidden(-errno) ? 0 : -errno;
    _cleanup_closedir_ DIR *tasks = fdopendir(fd);
    if (!tasks) {
        close(fd);
        return -ENOMEM;
    }
    struct dirent *d;
    while ((d = readdir(tasks))) {
        uint32_t tid;
        if (!parse_pid(d->d_name, &tid) || tid == pid)
            continue;
        _cleanup_close_ int task = openat(fd, d->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (task < 0)
            continue;
        int r = tell_fork(s, pid, tid, pid, start);
        if (!r)
            r = tell_comm(s, task, pid, tid, false);
        if (r && !is_gone_or_forbidden(r))
            return r;
    }
    return 0;
}

static int scan_process(struct scan *s, int dir, uint32_t pid)
{
    uint32_t ppid;
    uint64_t start;
    int r = read_stat(s, dir, &ppid, &start);
    if (!r)
        r = tell_fork(s, pid, pid, ppid, start);
    if (!r)
        r = tell_comm(s, dir, pid, pid, true);
    if (!r)
        r = tell_all_maps(s, dir, pid);
    if (!r)
        r = tell_threads(s, dir, pid, start);
    return r;
}

static void scan_free(struct scan *s)
{
    buf_free(&s->text);
}

static void scan_init(struct scan *s, procfs_fn fn, void *ctx)
{
    *s = (struct scan){.fn = fn, .ctx = ctx};
    s->boot_to_monotonic = clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_BOOTTIME);
}

int procfs_scan(int proc_fd, procfs_fn fn, void *ctx, struct err *err)
{
    _cleanup_(scan_free) struct scan scan;
    scan_init(&scan, fn, ctx);
    int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "opening /proc");
    _cleanup_closedir_ DIR *proc = fdopendir(fd);
    if (!proc) {
        close(fd);
        return err_errno(err, -ENOMEM, "listing /proc");
    }
    struct dirent *d;
    while ((d = readdir(proc))) {
        uint32_t pid;
        if (!parse_pid(d->d_name, &pid))
            continue;
        _cleanup_close_ int dir = openat(fd, d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
            continue;
        int r = scan_process(&scan, dir, pid);
        if (r > 0)
            return r;
        if (r < 0 && r != -EBADMSG && !is_gone_or_forbidden(r))
            return err_errno(err, r, "reading /proc/%u", pid);
    }
    return 0;
}

static int scan_one(int proc_fd, pid_t pid, bool maps_only, procfs_fn fn, void *ctx,
                    struct err *err)
{
    _cleanup_(scan_free) struct scan scan;
    scan_init(&scan, fn, ctx);
    char name[16];
    snprintf(name, sizeof(name), "%d", pid);
    _cleanup_close_ int dir = openat(proc_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return err_errno(err, -errno, "opening /proc/%d", pid);
    int r = maps_only ? tell_all_maps(&scan, dir, (uint32_t)pid)
                      : scan_process(&scan, dir, (uint32_t)pid);
    return r < 0 ? err_errno(err, r, "reading /proc/%d", pid) : r;
}

int procfs_scan_process(int proc_fd, pid_t pid, procfs_fn fn, void *ctx, struct err *err)
{
    return scan_one(proc_fd, pid, false, fn, ctx, err);
}

int procfs_scan_maps(int proc_fd, pid_t pid, procfs_fn fn, void *ctx, struct err *err)
{
    return scan_one(proc_fd, pid, true, fn, ctx, err);
}

int procfs_read_start(int proc_fd, pid_t pid, pid_t tid, uint32_t *ret_ppid, uint64_t *ret_start)
{
    _cleanup_(scan_free) struct scan scan;
    scan_init(&scan, NULL, NULL);
    char name[40];
    snprintf(name, sizeof(name), "%d/task/%d", pid, tid);
    _cleanup_close_ int dir = openat(proc_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -errno : read_stat(&scan, dir, ret_ppid, ret_start);
}

static int put_number(uint32_t **numbers, size_t *room, size_t count, uint32_t number)
{
    if (count == *room) {
        size_t more = *room * 2 + 64;
        uint32_t *v = realloc(*numbers, more * sizeof(*v));
        if (!v)
            return -ENOMEM;
        *numbers = v;
        *room = more;
    }
    (*numbers)[count] = number;
    return 0;
}

ssize_t procfs_list(int dirfd, const char *path, uint32_t **numbers, size_t *room)
{
    int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    _cleanup_closedir_ DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    size_t count = 0;
    struct dirent *d;
    while ((d = readdir(dir))) {
        uint32_t number;
        int r = parse_pid(d->d_name, &number) ? put_number(numbers, room, count++, number) : 0;
        if (r < 0)
            return r;
    }
    return (ssize_t)count;
}
