/* java_child.c: takes a JVM's /tmp and its user, leaves its answer in a pipe. Runs as a child
 * process with no more than three descriptors. See java_child.h.
 *
 * A JVM opens its socket when it gets a SIGQUIT and finds .attach_pidN of its own user in its
 * working directory or in /tmp (OpenJDK, AttachListener::is_init_trigger()); it takes whoever has
 * its own effective user and group (SO_PEERCRED), also root, but root outside of a user namespace
 * is nobody inside. Its file system is reached by descriptors and its pid by /proc/PID, so that no
 * namespace has to be entered. */
#include "agent/java_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "symbol/java_attach.h"

#define SOCKET_WAIT_NS                                                         \
    (8 * NS_PER_SEC) /* a JVM in the midst of a long safepoint, a busy machine \
                      */
#define TALK_WAIT_SEC 5
#define PAUSE_NS      (10 * NS_PER_MS)

#define TRIGGER_MAX_SEC 15 /* older ones are nobody's any more */

enum { FD_PROC = 3, FD_TMP, FD_ANSWER, FD_SOCKET_FILE, FD_COUNT };
#define SOCKET_PATH "/proc/self/fd/6"
_Static_assert(FD_SOCKET_FILE == 6, "the path says so");

/* Descriptors of the agent's must not be seen by the JVM's user: its rings, its spool. */
static void keep_only(struct java_request *q)
{
    const int high = 64;
    int proc = fcntl(q->proc, F_DUPFD, high), tmp = fcntl(q->tmp, F_DUPFD, high),
        answer = fcntl(q->answer, F_DUPFD, high);
    dup2(proc, FD_PROC);
    dup2(tmp, FD_TMP);
    dup2(answer, FD_ANSWER);
    if (syscall(SYS_close_range, FD_SOCKET_FILE, ~0u, 0) < 0) {
        for (int fd = FD_SOCKET_FILE; fd < 65536; fd++) /* before Linux 5.9 */
            close(fd);
    }
    q->proc = FD_PROC;
    q->tmp = FD_TMP;
    q->answer = FD_ANSWER;
}

/* By the kernel's calls, since the C library's would tell threads that a child does not have. */
static int become(uid_t uid, gid_t gid)
{
    if (syscall(SYS_geteuid) == uid && syscall(SYS_getegid) == gid)
        return 0;
    if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, gid, gid, gid) < 0 ||
        syscall(SYS_setresuid, uid, uid, uid) < 0)
        return -errno;
    return 0;
}

static void pause_a_little(void)
{
    struct timespec t = {.tv_nsec = PAUSE_NS};
    nanosleep(&t, NULL);
}

/* ENOENT, ECONNREFUSED: nobody listens (yet). The file is opened first, without following a link,
 * and connected to by its descriptor: a name could lead anywhere. */
static int connect_to_jvm(const struct java_request *q)
{
    struct stat st;
    struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = SOCKET_PATH};
    int file = openat(q->tmp, q->socket_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (file < 0)
        return -errno;
    int r = dup2(file, FD_SOCKET_FILE) < 0 || fstat(file, &st) < 0 ? -errno
            : !S_ISSOCK(st.st_mode) || st.st_uid != q->uid         ? -EPERM
                                                                   : 0;
    if (file != FD_SOCKET_FILE)
        close(file);
    int fd = r < 0 ? r : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (r == 0 && fd < 0)
        r = -errno;
    struct timeval limit = {.tv_sec = TALK_WAIT_SEC};
    if (r == 0 && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0 ||
                   setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
                   connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0))
        r = -errno;
    close(FD_SOCKET_FILE);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

static bool nobody_listens(int r)
{
    return r == -ENOENT || r == -ECONNREFUSED;
}

/* pidfd_send_signal(2) takes the directory: no other process can have come under the number. Before
 * Linux 5.1 there is none, and nothing is sent. */
static int send_quit(const struct java_request *q)
{
    return syscall(SYS_pidfd_send_signal, q->proc, SIGQUIT, NULL, 0) < 0 ? -errno : 0;
}

/* 1: it is ours. 0: another has put one there just now and sends the signal itself: a second one
 * would make the JVM print its threads. One that has been left behind is as good as ours. */
static int make_trigger(const struct java_request *q)
{
    struct stat st;
    int fd = openat(q->tmp, q->attach_name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
    if (fd >= 0) {
        close(fd);
        return 1;
    }
    if (errno != EEXIST)
        return -errno;
    if (fstatat(q->tmp, q->attach_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    bool left_behind = clock_ns(CLOCK_REALTIME) / NS_PER_SEC - st.st_ctim.tv_sec > TRIGGER_MAX_SEC;
    return left_behind && st.st_uid == q->uid;
}

static int open_socket(const struct java_request *q, enum java_step *step)
{
    *step = JAVA_STEP_SOCKET;
    int fd = connect_to_jvm(q);
    if (!nobody_listens(fd))
        return fd;
    *step = JAVA_STEP_TRIGGER;
    int trigger = make_trigger(q);
    if (trigger < 0)
        return trigger;
    /* Another may have had it opened meanwhile. */
    *step = JAVA_STEP_SOCKET;
    fd = connect_to_jvm(q);
    int r = 0;
    if (nobody_listens(fd) && trigger) {
        *step = JAVA_STEP_SIGNAL;
        r = send_quit(q);
    }
    if (r == 0) {
        *step = JAVA_STEP_SOCKET;
        int64_t until = clock_ns(CLOCK_MONOTONIC) + SOCKET_WAIT_NS;
        for (; nobody_listens(fd) && clock_ns(CLOCK_MONOTONIC) < until; fd = connect_to_jvm(q))
            pause_a_little();
        r = nobody_listens(fd) ? -ETIMEDOUT : fd;
    }
    if (trigger)
        unlinkat(q->tmp, q->attach_name, 0);
    return r;
}

static int talk(int fd, char text[JAVA_CHILD_TEXT_MAX], uint32_t *ret_len)
{
    size_t sent = 0;
    while (sent < java_attach_perfmap_len) {
        ssize_t n =
            send(fd, java_attach_perfmap + sent, java_attach_perfmap_len - sent, MSG_NOSIGNAL);
        if (n < 0)
            return -errno;
        sent += (size_t)n;
    }
    uint32_t len = 0;
    while (len < JAVA_CHILD_TEXT_MAX) {
        ssize_t n = recv(fd, text + len, JAVA_CHILD_TEXT_MAX - len, 0);
        if (n < 0)
            return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (n == 0)
            break;
        len += (uint32_t)n;
    }
    *ret_len = len;
    return 0;
}

void java_child_run(const struct java_request *request)
{
    struct java_request q = *request;
    static char text[JAVA_CHILD_TEXT_MAX];
    struct java_reply reply = {.step = JAVA_STEP_USER};
    enum java_step step = JAVA_STEP_USER;
    keep_only(&q);
    int r = become(q.uid, q.gid);
    /* Who changes its user loses it: so behind that. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int fd = r < 0 ? r : open_socket(&q, &step);
    r = fd < 0 ? fd : 0;
    if (r == 0) {
        int64_t before = clock_ns(CLOCK_MONOTONIC);
        step = JAVA_STEP_TALK;
        r = talk(fd, text, &reply.len);
        reply.took_ns = clock_ns(CLOCK_MONOTONIC) - before;
    }
    reply.error = -r;
    reply.step = step;
    if (write(q.answer, &reply, sizeof(reply)) == sizeof(reply) && reply.len)
        r = write(q.answer, text, reply.len) < 0 ? -errno : r;
    _exit(r < 0);
}
