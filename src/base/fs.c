/* fs.c: takes a path, gives its bytes; takes bytes, gives a file that is there whole. See fs.h. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

static int read_all(int fd, size_t max, struct buf *buf)
{
    size_t start = buf->len;
    for (;;) {
        /* One byte past the limit is asked for: to get it is how a file that is too big shows. */
        size_t room = max - (buf->len - start) + 1;
        size_t chunk = room < 16384 ? room : 16384;
        int r = buf_reserve(buf, chunk + 1);
        if (r < 0)
            return r;
        ssize_t n = read(fd, buf->data + buf->len, chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        buf->len += (size_t)n;
        if (buf->len - start > max)
            return -EFBIG;
    }
    buf->data[buf->len] = 0;
    return 0;
}

int fs_read_at(int dirfd, const char *path, size_t max, struct buf *buf, struct err *err)
{
    /* O_NONBLOCK: a FIFO somebody put at this place must not hold us. */
    _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_errno(err, -errno, "opening %s", path);
    size_t before = buf->len;
    int r = read_all(fd, max, buf);
    if (r < 0) {
        buf->len = before;
        if (r == -EFBIG)
            return err_set(err, r, "%s is larger than %zu bytes", path, max);
        return err_errno(err, r, "reading %s", path);
    }
    return 0;
}

int fs_mkdir_p(const char *path, mode_t mode, struct err *err)
{
    char head[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(head))
        return err_set(err, -EINVAL, "\"%s\" cannot be a directory's path", path);
    for (size_t end = 1; end <= len; end++) {
        if (path[end] != '/' && path[end] != 0)
            continue;
        memcpy(head, path, end);
        head[end] = 0;
        if (mkdir(head, mode) < 0 && errno != EEXIST)
            return err_errno(err, -errno, "making the directory %s", head);
    }
    struct stat st;
    if (stat(path, &st) < 0)
        return err_errno(err, -errno, "looking at %s", path);
    if (!S_ISDIR(st.st_mode))
        return err_errno(err, -ENOTDIR, "making the directory %s", path);
    return 0;
}

int fs_write_all(int fd, const void *bytes, size_t len)
{
    const char *p = bytes;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_synced(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode)
{
    _cleanup_close_ int fd =
        openat(dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return -errno;
    int r = fs_write_all(fd, bytes, len);
    if (r < 0)
        return r;
    if (fsync(fd) < 0)
        return -errno;
    /* Some file systems (NFS) tell of a failed write only here. */
    return close(TAKE_FD(fd)) < 0 ? -errno : 0;
}

int fs_publish_at(int dirfd, const char *name, const void *bytes, size_t len, mode_t mode,
                  struct err *err)
{
    char tmp[NAME_MAX + 1];
    int n = snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
    if (n < 0 || (size_t)n >= sizeof(tmp))
        return err_errno(err, -ENAMETOOLONG, "writing %s", name);
    int r = write_synced(dirfd, tmp, bytes, len, mode);
    if (r == 0 && renameat(dirfd, tmp, dirfd, name) < 0)
        r = -errno;
    if (r < 0) {
        unlinkat(dirfd, tmp, 0);
        return err_errno(err, r, "writing %s", name);
    }
    if (fsync(dirfd) < 0)
        return err_errno(err, -errno, "syncing the directory of %s", name);
    return 0;
}

/* Directory by directory, through no link and not up again. */
static int open_without_links(int root, const char *path, int flags)
{
    _cleanup_close_ int dir = -1;
    for (path += strspn(path, "/"); *path;) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        if (len >= sizeof(name))
            return -ENAMETOOLONG;
        memcpy(name, path, len);
        name[len] = 0;
        path += len;
        path += strspn(path, "/");
        if (strcmp(name, "..") == 0)
            return -EXDEV;
        int step = *path ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags;
        int fd = openat(dir < 0 ? root : dir, name, step | O_NOFOLLOW);
        if (fd < 0)
            return -errno;
        if (!*path)
            return fd;
        if (dir >= 0)
            close(dir);
        dir = fd;
    }
    return -EISDIR;
}

int fs_open_in_root(int root, const char *path, int flags)
{
    /* O_PATH does not go with the others, and does not wait. */
    flags |= O_CLOEXEC | (flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY);
    struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (fd >= 0)
        return fd;
    /* EPERM: container runtimes' filters that do not know the call. */
    return errno == ENOSYS || errno == EPERM ? open_without_links(root, path, flags) : -errno;
}
