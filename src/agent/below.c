/* below.c: takes a root directory and a path, gives a descriptor. See below.h. */
#include "agent/below.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ALWAYS (O_CLOEXEC | O_NOFOLLOW)

static int open_step(int dir, const char *name, size_t len, int flags)
{
    char step[NAME_MAX + 1];
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(step, name, len);
    step[len] = 0;
    if (strcmp(step, "..") == 0)
        return -EXDEV;
    int fd = openat(dir, step, flags | ALWAYS);
    return fd < 0 ? -errno : fd;
}

/* One component after the other, none of which may be a link. */
static int open_by_steps(int root, const char *path, int flags)
{
    _cleanup_close_ int dir = openat(root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    for (;;) {
        path += strspn(path, "/");
        size_t len = strcspn(path, "/");
        const char *next = path + len + strspn(path + len, "/");
        if (!*next)
            return open_step(dir, len ? path : ".", len ? len : 1, flags);
        int fd = open_step(dir, path, len, O_PATH | O_DIRECTORY);
        if (fd < 0)
            return fd;
        close(dir);
        dir = fd;
        path = next;
    }
}

int below_open(int root, const char *path, int flags)
{
    /* O_PATH does not go with them, and does not wait. */
    int quiet = flags & O_PATH ? 0 : O_NONBLOCK | O_NOCTTY;
    struct open_how how = {.flags = (uint64_t)(unsigned)(flags | quiet | ALWAYS),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (fd >= 0)
        return fd;
    return errno == ENOSYS || errno == EPERM ? open_by_steps(root, path, flags | quiet) : -errno;
}
