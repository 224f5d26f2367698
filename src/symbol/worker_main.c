/* worker_main.c: takes questions from a socket, gives what libdw finds: the process of worker.h. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "symbol/confine.h"
#include "symbol/dwarf.h"
#include "symbol/worker.h"
#include "symbol/worker_format.h"

#define HEAP_BYTES (128 << 20)
#define CPU_NS_MAX (3600 * NS_PER_SEC)
#define SEND_BYTES ((size_t)16 << 10) /* that gather before they are sent */

struct job {
    int fds[2]; /* the file, and its alternative one; -1 */
    struct worker_request request;
    uint64_t *addresses;
    struct buf answer;
};

static void job_close(struct job *job)
{
    for (size_t i = 0; i < ARRAY_LEN(job->fds); i++)
        if (job->fds[i] >= 0)
            close(job->fds[i]);
    free(job->addresses);
    buf_free(&job->answer);
}

/* Exactly `len` bytes, or -EPIPE. */
static int receive(void *to, size_t len)
{
    for (char *p = to; len;) {
        ssize_t n = recv(WORKER_FD, p, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -EPIPE;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static void take_descriptors(struct msghdr *message, struct job *job)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(message);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return;
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(job->fds, CMSG_DATA(c), (count < 2 ? count : 2) * sizeof(int));
}

static int receive_job(struct job *job)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
    struct worker_request *request = &job->request;
    struct iovec part = {request, sizeof(*request)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(WORKER_FD, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return -EPIPE;
    take_descriptors(&message, job);
    if (n != sizeof(*request) || request->magic != WORKER_MAGIC || job->fds[0] < 0 ||
        request->count > DWARF_ADDRESSES_MAX || request->cpu_ns < 0 ||
        request->cpu_ns > CPU_NS_MAX || request->has_alt != (job->fds[1] >= 0))
        return -EBADMSG;
    job->addresses = calloc(request->count + 1, sizeof(*job->addresses));
    if (!job->addresses)
        return -ENOMEM;
    return receive(job->addresses, request->count * sizeof(*job->addresses));
}

static int send_answer(struct job *job)
{
    const uint8_t *bytes = job->answer.data;
    for (size_t left = job->answer.len; left;) {
        ssize_t n = send(WORKER_FD, bytes, left, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        left -= (size_t)n;
    }
    job->answer.len = 0;
    return 0;
}

static int add_chain(void *ctx, uint64_t address, uint64_t start, const struct symbol_frame *frames,
                     size_t count)
{
    struct job *job = ctx;
    int r = worker_write_chain(&job->answer, address, start, frames, count);
    return r == 0 && job->answer.len >= SEND_BYTES ? send_answer(job) : r;
}

static int do_job(void)
{
    _cleanup_(job_close) struct job job = {.fds = {-1, -1}};
    int r = receive_job(&job);
    if (r < 0)
        return r;
    int found =
        dwarf_find_chains(job.fds[0], job.fds[1], job.addresses, job.request.count,
                          clock_ns(DWARF_CLOCK) + job.request.cpu_ns, add_chain, &job, NULL);
    r = worker_write_end(&job.answer, found);
    return r < 0 ? r : send_answer(&job);
}

int worker_main(void)
{
    prctl(PR_SET_NAME, "symbol-worker"); /* it was started as /proc/self/exe */
    confine_process();
    /* Large blocks come and go with each unit: kept, they need not be cleared by the kernel again.
     */
    mallopt(M_MMAP_THRESHOLD, HEAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, HEAP_BYTES);
    int r;
    do
        r = do_job();
    while (r == 0);
    return r == -EPIPE ? EXIT_SUCCESS : EXIT_FAILURE;
}
