/* static.c: takes a path out of a URL, gives a file below one directory. Untrusted text: the kernel
 * resolves it with RESOLVE_BENEATH (Linux 5.6), or we do, a component at a time. See static.h. */
#include "server/static.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "server/exchange.h"

#define PATH_BYTES 1024

static const char *type_of(const char *path)
{
    static const struct {
        const char *end, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".json", "application/json"},
        {".map", "application/json"},
        {".webmanifest", "application/manifest+json"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".ico", "image/x-icon"},
        {".woff2", "font/woff2"},
        {".txt", "text/plain; charset=utf-8"},
    };
    size_t len = strlen(path);
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        size_t end = strlen(types[i].end);
        if (len > end && strcmp(path + len - end, types[i].end) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

/* Each component without following a link, so that none can lead out. */
static int open_step_by_step(int dir, const char *path)
{
    _cleanup_close_ int at = dup(dir);
    while (at >= 0) {
        char name[PATH_BYTES];
        size_t len = strcspn(path, "/");
        bool is_last = path[len] == 0;
        memcpy(name, path, len);
        name[len] = 0;
        if (len == 0 || strcmp(name, "..") == 0)
            return -ENOENT;
        int flags =
            O_CLOEXEC | O_NOFOLLOW | (is_last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY);
        int next = openat(at, name, flags);
        if (next < 0 || is_last)
            return next < 0 ? -errno : next;
        close(at);
        at = next;
        path += len + 1;
    }
    return -errno;
}

static int open_beneath(int dir, const char *path)
{
    struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd >= 0)
        return (int)fd;
    /* Older kernels do not have it; older seccomp filters answer EPERM for what they do not know.
     */
    if (errno == ENOSYS || errno == EPERM)
        return open_step_by_step(dir, path);
    return -errno;
}

/* Does the name carry a hash of what is in it, as esbuild writes them: name-ABCD2345.js? */
static bool is_hashed(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dash = strrchr(slash ? slash : path, '-');
    return dash && strspn(dash + 1, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == 8 && dash[9] == '.';
}

static void set_validators(const char *path, const struct stat *st, struct reply *reply)
{
    snprintf(reply->etag, sizeof(reply->etag), "\"%" PRIx64 "-%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec, (uint64_t)st->st_size);
    reply->cache_control = is_hashed(path) ? "public, max-age=31536000, immutable" : "no-cache";
}

/* RFC 9110, 13.1.2: a list of tags or `*`. */
static bool reader_has(const struct request *request, const char *etag)
{
    const char *have = request->if_none_match;
    return have && (strcmp(have, "*") == 0 || strstr(have, etag));
}

static int open_regular(const char *dir, const char *path, struct stat *st)
{
    /* By name each time: an upgrade may put a new directory in the old one's place. */
    _cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return -errno;
    _cleanup_close_ int fd = open_beneath(dir_fd, path);
    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0)
        return -errno;
    return S_ISREG(st->st_mode) ? TAKE_FD(fd) : -ENOENT;
}

void static_answer(const char *dir, const struct request *request, struct reply *reply)
{
    char path[PATH_BYTES];
    struct stat st;
    const char *wanted = request->path + strspn(request->path, "/");
    size_t len = strlen(wanted);
    bool is_index = len == 0 || wanted[len - 1] == '/';
    int n = snprintf(path, sizeof(path), "%s%s", wanted, is_index ? "index.html" : "");
    int fd = n < 0 || (size_t)n >= sizeof(path) ? -ENAMETOOLONG : open_regular(dir, path, &st);
    if (fd < 0) {
        if (len == 0)
            reply_error(reply, 404, "the web page is not there: %s has no index.html; see --ui-dir",
                        dir);
        else
            reply_error(reply, 404, "nothing is served at %.200s", request->path);
        return;
    }
    set_validators(path, &st, reply);
    reply->type = type_of(path);
    if (reader_has(request, reply->etag)) {
        reply->status = 304;
        close(fd);
        return;
    }
    reply->status = 200;
    reply->fd = fd;
    reply->fd_bytes = (uint64_t)st.st_size;
}
