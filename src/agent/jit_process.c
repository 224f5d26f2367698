/* jit_process.c: takes a process, gives the pieces of code its JIT tells of. See jit_process.h. */
#include "agent/jit_process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/maps.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/jit_index.h"

#define MAPS_TEXT_MAX (32u << 20)
#define FDS_MAX       4096 /* open files of a process that are looked at */

/* Between the clock of a start and that of a file system, which goes by the kernel's ticks. */
#define TIME_SLACK_NS NS_PER_SEC

/* ---- the process */

/* Two sources tell the same start to a clock tick; a number is used again much later. */
#define START_TOLERANCE_NS 50000000u

static int read_start(int proc, uint64_t *ret)
{
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(proc, "stat", 4096, &text, NULL);
    if (r < 0)
        return r;
    const char *at = strrchr((const char *)text.data, ')');
    unsigned long long ticks;
    if (!at ||
        sscanf(at + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d "
               "%llu",
               &ticks) != 1)
        return -EBADMSG;
    int64_t boot = clock_ns(CLOCK_MONOTONIC) - clock_ns(CLOCK_BOOTTIME);
    int64_t ns = (int64_t)ticks * (NS_PER_SEC / sysconf(_SC_CLK_TCK)) + boot;
    *ret = ns > 0 ? (uint64_t)ns : 1;
    return 0;
}

int jit_process_open(pid_t pid, uint64_t start_ns, struct jit_process **ret, struct err *err)
{
    struct jit_process *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(err, -ENOMEM, "a process with JIT code");
    char path[32];
    snprintf(path, sizeof(path), "/proc/%d", pid);
    p->pid = pid;
    p->map.fd = p->dump.fd = -1;
    p->proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = p->proc < 0 ? -errno : read_start(p->proc, &p->start_ns);
    uint64_t apart = p->start_ns > start_ns ? p->start_ns - start_ns : start_ns - p->start_ns;
    if (r == 0 && start_ns && apart > START_TOLERANCE_NS)
        r = -ESRCH;
    if (r < 0) {
        jit_process_free(&p);
        return err_errno(err, r, "process %d", pid);
    }
    *ret = p;
    return 0;
}

static void close_file(struct jit_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

void jit_process_close_files(struct jit_process *p)
{
    close_file(&p->map);
    close_file(&p->dump);
}

void jit_process_free(struct jit_process **process)
{
    struct jit_process *p = *process;
    if (!p)
        return;
    jit_process_close_files(p);
    if (p->proc >= 0)
        close(p->proc);
    free(p->libjvm);
    free(p);
    *process = NULL;
}

pid_t jit_process_number(const struct jit_process *p)
{
    return p->status.pids[p->status.pid_count - 1];
}

bool jit_process_is_there(const struct jit_process *p)
{
    uint64_t start;
    return read_start(p->proc, &start) == 0;
}

/* ---- what it maps */

static bool is_dump(const char *path)
{
    const char *name = strrchr(path, '/');
    size_t len = name ? strlen(name) : 0;
    return len > 10 && strncmp(name, "/jit-", 5) == 0 && isdigit((unsigned char)name[5]) &&
           (strcmp(name + len - 5, ".dump") == 0 || strstr(name, ".dump (deleted)"));
}

/* Only what is mapped executable is one: that is how a jitdump shows itself (jitdump
 * specification, "perf record"). map_files leads to the very file. */
static int open_dump(const struct jit_process *p, const struct maps_line *line)
{
    char name[64];
    snprintf(name, sizeof(name), "map_files/%llx-%llx", (unsigned long long)line->start,
             (unsigned long long)line->end);
    int fd = openat(p->proc, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd >= 0)
        return fd;
    _cleanup_close_ int root = openat(p->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -errno : fs_open_in_root(root, line->path, O_RDONLY | O_NOFOLLOW);
}

static void find_dump(struct jit_process *p, const struct maps_line *line)
{
    struct stat st;
    _cleanup_close_ int fd = open_dump(p, line);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != line->inode)
        return;
    if (st.st_dev != p->dump.device || st.st_ino != p->dump.inode)
        p->dump_cursor = (struct jitdump_cursor){0};
    p->dump.device = st.st_dev;
    p->dump.inode = st.st_ino;
    close_file(&p->dump);
    p->dump.fd = TAKE_FD(fd);
}

static bool has_name(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    return slash && strncmp(slash + 1, name, strlen(name)) == 0;
}

int jit_process_look(struct jit_process *p, struct err *err)
{
    _cleanup_(buf_free) struct buf text = {0};
    int r = proc_status_read(p->proc, &p->status);
    if (r == 0)
        r = fs_read_at(p->proc, "maps", MAPS_TEXT_MAX, &text, NULL);
    if (r < 0)
        return err_errno(err, r, "process %d", p->pid);
    if (!p->status.pid_count)
        p->status.pids[p->status.pid_count++] = p->pid;
    struct maps_parser parser;
    struct maps_line line;
    bool dump = p->dump.fd >= 0;
    maps_init(&parser, text.data, text.len);
    while ((r = maps_next(&parser, &line)) != 0) {
        if (r < 0 || !line.executable || !line.inode)
            continue;
        if (!p->libjvm && has_name(line.path, "libjvm.so"))
            p->libjvm = strdup(line.path);
        p->is_openj9 = p->is_openj9 || has_name(line.path, "libj9vm");
        if (!dump && is_dump(line.path)) {
            find_dump(p, &line);
            dump = true;
        }
    }
    return 0;
}

/* ---- perf maps */

int jit_process_open_tmp(const struct jit_process *p)
{
    _cleanup_close_ int root = openat(p->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return -errno;
    /* /tmp itself may be a link: not as the last component. */
    return fs_open_in_root(root, "tmp/.", O_PATH | O_DIRECTORY | O_NOFOLLOW);
}

static bool read_flags(int proc, const char *fd_name, unsigned *ret)
{
    char path[64];
    _cleanup_(buf_free) struct buf text = {0};
    snprintf(path, sizeof(path), "fdinfo/%.20s", fd_name);
    if (fs_read_at(proc, path, 4096, &text, NULL) < 0)
        return false;
    const char *flags = strstr((const char *)text.data, "flags:\t");
    return flags && sscanf(flags, "flags:\t%o", ret) == 1;
}

bool jit_process_writes(const struct jit_process *p, const struct stat *file, bool *ret_appends)
{
    int fd = openat(p->proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct dirent *d;
    for (int i = 0; i < FDS_MAX && (d = readdir(dir)); i++) {
        struct stat st;
        unsigned flags;
        if (fstatat(fd, d->d_name, &st, 0) < 0 || st.st_ino != file->st_ino ||
            st.st_dev != file->st_dev || !read_flags(p->proc, d->d_name, &flags) ||
            (flags & O_ACCMODE) == O_RDONLY)
            continue;
        *ret_appends = flags & O_APPEND;
        return true;
    }
    return false;
}

static int64_t time_ns(int64_t sec, uint32_t nsec)
{
    return sec * NS_PER_SEC + nsec;
}

/* What a process of the same number left behind tells of other code. A file that is older than the
 * process but is being written by it has been emptied by it, unless it appends. */
static bool is_of_now(const struct jit_process *p, int fd, const struct stat *st)
{
    int64_t start = (int64_t)p->start_ns + clock_monotonic_to_real() - TIME_SLACK_NS;
    struct statx x;
    bool appends;
    if (time_ns(st->st_mtim.tv_sec, (uint32_t)st->st_mtim.tv_nsec) < start)
        return false;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &x) < 0 || !(x.stx_mask & STATX_BTIME) ||
        time_ns(x.stx_btime.tv_sec, x.stx_btime.tv_nsec) >= start)
        return true;
    return jit_process_writes(p, st, &appends) && !appends;
}

int jit_process_open_map(const struct jit_process *p, int tmp, pid_t number, struct stat *ret,
                         struct err *err)
{
    char name[32];
    struct stat st;
    snprintf(name, sizeof(name), "perf-%d.map", number);
    _cleanup_close_ int fd = fs_open_in_root(tmp, name, O_RDONLY | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, fd, "/tmp/%s of process %d", name, p->pid);
    if (fstat(fd, &st) < 0)
        return err_errno(err, -errno, "/tmp/%s of process %d", name, p->pid);
    if (!S_ISREG(st.st_mode) || st.st_nlink > 1 || (st.st_uid != p->status.euid && st.st_uid != 0))
        return err_set(err, -EPERM, "/tmp/%s of process %d is not that process's own", name,
                       p->pid);
    if (!is_of_now(p, fd, &st))
        return err_set(err, -EPERM, "/tmp/%s may be of an earlier process than %d", name, p->pid);
    *ret = st;
    return TAKE_FD(fd);
}

/* The innermost number is what a process knows of itself; a JIT in a sandbox of its own may go by
 * one further out. */
static int find_map(struct jit_process *p, struct err *err)
{
    struct stat st;
    _cleanup_close_ int tmp = jit_process_open_tmp(p);
    if (tmp < 0)
        return err_errno(err, tmp, "/tmp of process %d", p->pid);
    int fd = -ENOENT;
    for (size_t i = p->status.pid_count; i-- > 0 && fd == -ENOENT;)
        fd = jit_process_open_map(p, tmp, p->status.pids[i], &st, err);
    if (fd < 0)
        return fd;
    if (st.st_dev != p->map.device || st.st_ino != p->map.inode)
        p->map_cursor = (struct perf_map_cursor){0};
    p->map.device = st.st_dev;
    p->map.inode = st.st_ino;
    p->map.fd = fd;
    return 0;
}

/* ---- reading */

/* Reads a file from the cursor on, or all of it if it has been made anew: then what it does not
 * tell of is not there any more. `by` is after its size was looked up, so that nothing in it is
 * younger. */
static int read_map(struct jit_process *p, struct jit_index *index, struct err *err)
{
    struct stat st;
    uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    if (fstat(p->map.fd, &st) < 0)
        return err_errno(err, -errno, "a perf map");
    struct jit_time when = {p->map.read_ns, (uint64_t)clock_ns(CLOCK_MONOTONIC)};
    bool anew = p->map.read_ns && !p->map_cursor.offset;
    int r = anew
                ? -ESTALE
                : perf_map_read(p->map.fd, (uint64_t)st.st_size, &p->map_cursor, index, &when, err);
    if (r == -ESTALE) {
        p->map_cursor = (struct perf_map_cursor){0};
        jit_index_begin_all(index);
        r = perf_map_read(p->map.fd, (uint64_t)st.st_size, &p->map_cursor, index, &when, err);
        jit_index_end_all(index, &when);
    }
    if (r == 0)
        p->map.read_ns = now;
    return r;
}

static int read_dump(struct jit_process *p, struct jit_index *index, struct err *err)
{
    struct stat st;
    uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    if (fstat(p->dump.fd, &st) < 0)
        return err_errno(err, -errno, "a jitdump");
    struct jit_time when = {p->dump.read_ns, (uint64_t)clock_ns(CLOCK_MONOTONIC)};
    int r = jitdump_read(p->dump.fd, (uint64_t)st.st_size, &p->dump_cursor, index, p->start_ns,
                         &when, err);
    if (r == 0)
        p->dump.read_ns = now;
    return r;
}

int jit_process_read(struct jit_process *p, bool maps, struct jit_index *index, struct err *err)
{
    int files = 0, r = 0;
    uint64_t now = (uint64_t)clock_ns(CLOCK_MONOTONIC);
    /* The dump knows times; both would tell of the same code by two names. */
    maps = maps && p->dump.fd < 0;
    if (maps && p->map.fd < 0)
        r = find_map(p, err);
    if (maps && p->map.fd >= 0) {
        r = read_map(p, index, err);
        files++;
    }
    if (p->dump.fd >= 0 && (r == 0 || r == -ENOENT)) {
        r = read_dump(p, index, err);
        files++;
    }
    if (r < 0 && r != -ENOENT)
        return r;
    if (files)
        p->known_ns = now;
    return files;
}
