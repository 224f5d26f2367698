/* worker.c: takes addresses, has another process find their functions. See worker.h. */
#include "symbol/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/worker_format.h"

/* What it may be late by: libdw looks at no clock while it reads one unit's lines. */
#define GRACE_NS   (400 * NS_PER_MS)
#define READ_BYTES ((size_t)64 << 10)

/* Killed ones that have not ended: a page fault may wait for a file system. */
#define DYING_MAX   4u
#define END_TRIES   20u /* of 1 ms */
#define END_WAIT_NS NS_PER_MS

struct worker {
    char *program;
    pid_t pid; /* 0: none */
    int fd;
    pid_t dying[DYING_MAX];
    size_t dying_count;
    uint64_t started, failed;
    int64_t ended_cpu_ns; /* what those took that have ended */
    struct buf answer;    /* what has come and was not read */
};

/* One question. */
struct question {
    const uint64_t *addresses;
    bool *answered;
    size_t count;
    int64_t until_ns;
    dwarf_chain_fn add;
    void *ctx;
};

int worker_new(const char *program, struct worker **ret, struct err *err)
{
    struct worker *w = calloc(1, sizeof(*w));
    if (w)
        w->program = strdup(program);
    if (!w || !w->program) {
        free(w);
        return err_errno(err, -ENOMEM, "making a symbol worker");
    }
    w->fd = -1;
    w->answer.max = WORKER_CHAIN_BYTES_MAX + sizeof(struct worker_chain) + READ_BYTES;
    *ret = w;
    return 0;
}

static bool has_ended(pid_t pid)
{
    pid_t r;
    do
        r = waitpid(pid, NULL, WNOHANG);
    while (r < 0 && errno == EINTR);
    return r != 0; /* with SIGCHLD ignored there is nothing to wait for */
}

static void reap_dying(struct worker *w)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->dying_count; i++)
        if (!has_ended(w->dying[i]))
            w->dying[kept++] = w->dying[i];
    w->dying_count = kept;
}

static int64_t running_cpu_ns(const struct worker *w)
{
    clockid_t clock;
    return w->pid && clock_getcpuclockid(w->pid, &clock) == 0 ? clock_ns(clock) : 0;
}

/* It has nothing to lose. Killed before its socket is closed: it is not to begin to end. */
void worker_rest(struct worker *w)
{
    reap_dying(w);
    buf_free(&w->answer);
    if (!w->pid)
        return;
    w->ended_cpu_ns += running_cpu_ns(w);
    kill(w->pid, SIGKILL);
    close(TAKE_FD(w->fd));
    bool ended = has_ended(w->pid);
    for (unsigned i = 0; i < END_TRIES && !ended; i++) {
        nanosleep(&(struct timespec){.tv_nsec = END_WAIT_NS}, NULL);
        ended = has_ended(w->pid);
    }
    if (!ended)
        w->dying[w->dying_count++] = w->pid;
    w->pid = 0;
}

void worker_free(struct worker **worker)
{
    if (!*worker)
        return;
    worker_rest(*worker);
    free((*worker)->program);
    free(*worker);
    *worker = NULL;
}

int64_t worker_cpu_ns(const struct worker *worker)
{
    return worker->ended_cpu_ns + running_cpu_ns(worker);
}

uint64_t worker_started(const struct worker *worker)
{
    return worker->started;
}

uint64_t worker_failed(const struct worker *worker)
{
    return worker->failed;
}

/* A signal that ends the asker's group is the asker's to obey. */
static void keep_signals_away(posix_spawnattr_t *attr)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    posix_spawnattr_setsigmask(attr, &set);
    posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK);
}

static int spawn(const char *program, int socket, pid_t *ret)
{
    char *const argv[] = {(char *)"symbol-worker", (char *)WORKER_ARGUMENT, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    keep_signals_away(&attr);
    int r = posix_spawn_file_actions_adddup2(&actions, socket, WORKER_FD);
    if (r == 0)
        r = posix_spawn_file_actions_addclosefrom_np(&actions, WORKER_FD + 1);
    if (r == 0)
        r = posix_spawn(ret, program, &actions, &attr, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return -r;
}

static int start(struct worker *w, struct err *err)
{
    reap_dying(w);
    if (w->pid)
        return 0;
    if (w->dying_count == DYING_MAX)
        return err_set(err, -EAGAIN, "killed symbol workers do not end");
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
        return err_errno(err, -errno, "a symbol worker's socket");
    int r = spawn(w->program, sockets[1], &w->pid);
    close(sockets[1]);
    if (r < 0) {
        w->pid = 0;
        close(sockets[0]);
        return err_errno(err, r, "starting %s as a symbol worker", w->program);
    }
    w->fd = sockets[0];
    w->started++;
    return 0;
}

/* Waits until it can be read from or written to. */
static int wait_for(const struct worker *w, short events, int64_t until_ns)
{
    for (;;) {
        int64_t left = until_ns - clock_ns(CLOCK_MONOTONIC);
        if (left <= 0)
            return -ETIMEDOUT;
        struct timespec ts = {.tv_sec = left / NS_PER_SEC, .tv_nsec = left % NS_PER_SEC};
        struct pollfd p = {.fd = w->fd, .events = events};
        int r = ppoll(&p, 1, &ts, NULL);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return -errno;
    }
}

static int send_some(const struct worker *w, const struct msghdr *message, int64_t until_ns,
                     size_t *ret)
{
    for (;;) {
        ssize_t n = sendmsg(w->fd, message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            *ret = (size_t)n;
            return 0;
        }
        if (errno != EAGAIN && errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
        int r = wait_for(w, POLLOUT, until_ns);
        if (r < 0)
            return r;
    }
}

static int send_question(const struct worker *w, const struct question *q, int fd, int alt_fd,
                         int64_t cpu_ns)
{
    struct worker_request request = {
        .magic = WORKER_MAGIC,
        .count = (uint32_t)q->count,
        .cpu_ns = cpu_ns,
        .has_alt = alt_fd >= 0,
    };
    int fds[2] = {fd, alt_fd};
    size_t fds_bytes = (alt_fd >= 0 ? 2 : 1) * sizeof(int);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {0};
    struct iovec part = {&request, sizeof(request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = CMSG_SPACE(fds_bytes)};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds_bytes);
    memcpy(CMSG_DATA(rights), fds, fds_bytes);
    size_t sent;
    int r = send_some(w, &message, q->until_ns, &sent);
    if (r == 0 && sent != sizeof(request))
        r = -EPIPE; /* its buffer is empty, so that so little fits whole */
    const char *bytes = (const char *)q->addresses;
    size_t left = q->count * sizeof(*q->addresses);
    while (r == 0 && left) {
        part = (struct iovec){(void *)bytes, left};
        message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
        r = send_some(w, &message, q->until_ns, &sent);
        if (r == 0) {
            bytes += sent;
            left -= sent;
        }
    }
    return r;
}

static int compare_addresses(const void *va, const void *vb)
{
    const uint64_t *a = va, *b = vb;
    return *a < *b ? -1 : *a > *b;
}

/* Only what was asked, and once. */
static int take_chain(const struct question *q, const struct worker_answer *answer)
{
    const uint64_t *asked =
        bsearch(&answer->address, q->addresses, q->count, sizeof(*asked), compare_addresses);
    if (!asked || q->answered[asked - q->addresses])
        return -EBADMSG;
    q->answered[asked - q->addresses] = true;
    return q->add(q->ctx, answer->address, answer->start, answer->frames, answer->count);
}

/* All of what has come that can be read. 1 at the end of the answer. */
static int take_answer(struct worker *w, const struct question *q, int *ret_error)
{
    struct worker_answer answer;
    size_t done = 0, used;
    int r;
    while ((r = worker_read(w->answer.data + done, w->answer.len - done, &answer, &used)) == 0 &&
           used) {
        done += used;
        if (answer.is_end) {
            *ret_error = answer.error;
            return done == w->answer.len ? 1 : -EBADMSG;
        }
        r = take_chain(q, &answer);
        if (r < 0)
            break;
    }
    memmove(w->answer.data, w->answer.data + done, w->answer.len - done);
    w->answer.len -= done;
    return r;
}

static int receive(struct worker *w, int64_t until_ns)
{
    int r = wait_for(w, POLLIN, until_ns);
    if (r == 0)
        r = buf_reserve(&w->answer, READ_BYTES);
    if (r < 0)
        return r;
    ssize_t n = recv(w->fd, w->answer.data + w->answer.len, READ_BYTES, MSG_DONTWAIT);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : errno == ECONNRESET ? -EPIPE : -errno;
    w->answer.len += (size_t)n;
    return n == 0 ? -EPIPE : 0;
}

static int ask(struct worker *w, const struct question *q, int fd, int alt_fd, int64_t cpu_ns,
               int *ret_error)
{
    w->answer.len = 0;
    int r = send_question(w, q, fd, alt_fd, cpu_ns);
    while (r == 0) {
        r = receive(w, q->until_ns);
        if (r == 0 && w->answer.len)
            r = take_answer(w, q, ret_error);
    }
    return r < 0 ? r : 0;
}

int worker_find_chains(struct worker *w, int fd, int alt_fd, const uint64_t *addresses,
                       size_t count, int64_t cpu_ns, int64_t until_ns, dwarf_chain_fn add,
                       void *ctx, struct err *err)
{
    if (count > DWARF_ADDRESSES_MAX)
        return err_errno(err, -EFBIG, "asking for %zu addresses", count);
    int r = start(w, err);
    if (r < 0)
        return r;
    _cleanup_free_ bool *answered = calloc(count + 1, sizeof(*answered));
    if (!answered)
        return err_errno(err, -ENOMEM, "asking for %zu addresses", count);
    struct question q = {addresses, answered, count, until_ns + GRACE_NS, add, ctx};
    int error = 0;
    r = ask(w, &q, fd, alt_fd, cpu_ns, &error);
    if (r < 0) {
        w->failed++;
        worker_rest(w);
        return err_errno(err, r, "a symbol worker that read DWARF");
    }
    return error < 0 ? err_errno(err, error, "reading DWARF") : 0;
}
