/* java.c: takes a JVM's process, gives what became of the question for its methods' names. See
 * java.h. */
#include "agent/java.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/java_child.h"
#include "agent/jit_process.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"

#define ARGS_MAX      (4u << 20)
#define RELEASE_MAX   (64u << 10)
#define RELEASE_UP    5 /* directories above libjvm.so's that may be the JDK's */
#define PERFMAP_SINCE 17u
#define THREADS_MAX   1000 /* it is one of the first dozen */

/* The child's own waits come to less. */
#define CHILD_MAX_NS (20 * NS_PER_SEC)

/* ---- may it be asked? */

static const char *flag_against(const struct jit_process *p)
{
    static const char *const files[] = {"cmdline", "environ"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        _cleanup_(buf_free) struct buf text = {0};
        if (fs_read_at(p->proc, files[i], ARGS_MAX, &text, NULL) < 0)
            return "its command line cannot be read";
        const char *flag = java_args_against((const char *)text.data, text.len);
        if (flag)
            return flag;
    }
    return NULL;
}

static int read_below(int root, const char *path, size_t max, struct buf *text)
{
    char self[32];
    _cleanup_close_ int fd = fs_open_in_root(root, path, O_RDONLY | O_NOFOLLOW);
    struct stat st;
    if (fd < 0)
        return fd;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return -EINVAL;
    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    return fs_read_at(AT_FDCWD, self, max, text, NULL);
}

/* JDK_HOME/lib/server/libjvm.so; before 9 JDK_HOME/jre/lib/amd64/server. 0: not known. */
static unsigned jdk_version(const struct jit_process *p)
{
    _cleanup_close_ int root = openat(p->proc, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    char path[PATH_MAX];
    if (root < 0 || strlen(p->libjvm) + sizeof("/release") > sizeof(path))
        return 0;
    snprintf(path, sizeof(path), "%s", p->libjvm);
    for (int i = 0; i < RELEASE_UP; i++) {
        _cleanup_(buf_free) struct buf text = {0};
        char *slash = strrchr(path, '/');
        if (!slash)
            return 0;
        memcpy(slash, "/release", sizeof("/release"));
        if (read_below(root, path, RELEASE_MAX, &text) == 0)
            return java_release_version((const char *)text.data, text.len);
        *slash = 0;
    }
    return 0;
}

/* The thread that takes signals to the JVM's Java side; it is there once the JVM has started, and
 * in no program that only has libjvm.so loaded. */
static bool has_dispatcher(const struct jit_process *p)
{
    int fd = openat(p->proc, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    struct dirent *d;
    for (int i = 0; i < THREADS_MAX && (d = readdir(dir)); i++) {
        char path[64];
        _cleanup_(buf_free) struct buf comm = {0};
        snprintf(path, sizeof(path), "task/%.20s/comm", d->d_name);
        if (d->d_name[0] != '.' && fs_read_at(p->proc, path, 64, &comm, NULL) == 0 &&
            strcmp((const char *)comm.data, "Signal Dispatch\n") == 0)
            return true;
    }
    return false;
}

enum java_willing java_may_ask(const struct jit_process *p, const char **ret_why,
                               const char **ret_helps)
{
    *ret_helps = NULL;
    if (p->is_openj9) {
        *ret_why = "it is OpenJ9, which takes the signal for something else";
        return JAVA_NEVER;
    }
    *ret_why = "it does not catch SIGQUIT (yet), or is stopped";
    if (!(p->status.caught >> (SIGQUIT - 1) & 1) || !strchr("RSD", p->status.state) ||
        !has_dispatcher(p))
        return JAVA_NOT_YET;
    const char *flag = flag_against(p);
    if (flag) {
        *ret_why = flag;
        *ret_helps = "starting it without that, or with an agent that writes /tmp/perf-PID.map";
        return JAVA_NEVER;
    }
    unsigned version = jdk_version(p);
    if (version && version < PERFMAP_SINCE) {
        *ret_why = "its JDK is older than 17, and cannot tell";
        *ret_helps = "JDK 17, or an agent that writes /tmp/perf-PID.map";
        return JAVA_NEVER;
    }
    return JAVA_MAY_BE_ASKED;
}

/* ---- asking */

int java_child_start(const struct jit_process *p, int tmp, struct java_child *ret, struct err *err)
{
    int pipe[2];
    if (pipe2(pipe, O_CLOEXEC) < 0)
        return err_errno(err, -errno, "a pipe");
    struct java_request q = {.proc = p->proc,
                             .tmp = tmp,
                             .answer = pipe[1],
                             .uid = p->status.euid,
                             .gid = p->status.egid};
    pid_t number = jit_process_number(p);
    snprintf(q.attach_name, sizeof(q.attach_name), ".attach_pid%d", number);
    snprintf(q.socket_name, sizeof(q.socket_name), ".java_pid%d", number);
    pid_t pid = fork();
    if (pid == 0)
        java_child_run(&q);
    int r = pid < 0 ? -errno : 0;
    close(pipe[1]);
    if (r < 0) {
        close(pipe[0]);
        return err_errno(err, r, "a process that asks a JVM");
    }
    fcntl(pipe[0], F_SETFL, O_NONBLOCK);
    *ret = (struct java_child){.pid = pid,
                               .answer = pipe[0],
                               .tmp = fcntl(tmp, F_DUPFD_CLOEXEC, 0),
                               .started_ns = clock_ns(CLOCK_MONOTONIC)};
    memcpy(ret->trigger, q.attach_name, sizeof(ret->trigger));
    return 0;
}

static void forget(struct java_child *c)
{
    close(c->answer);
    if (c->tmp >= 0)
        close(c->tmp);
    *c = (struct java_child){0};
}

void java_child_end(struct java_child *c)
{
    if (!c->pid)
        return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (c->tmp >= 0)
        unlinkat(c->tmp, c->trigger, 0);
    forget(c);
}

static enum java_outcome judge(const struct java_reply *reply, const char *text, size_t len,
                               struct java_result *ret)
{
    static const char *const steps[] = {[JAVA_STEP_USER] = "taking its user",
                                        [JAVA_STEP_TRIGGER] = "a file in its /tmp",
                                        [JAVA_STEP_SIGNAL] = "a signal to it",
                                        [JAVA_STEP_SOCKET] = "its socket",
                                        [JAVA_STEP_TALK] = "talking at its socket"};
    ret->took_ns = reply->took_ns;
    if (reply->error) {
        snprintf(ret->text, sizeof(ret->text), "%s: %s",
                 reply->step < ARRAY_LEN(steps) ? steps[reply->step] : "?",
                 strerrordesc_np(reply->error) ? strerrordesc_np(reply->error) : "?");
        return reply->error == ETIMEDOUT ? JAVA_TIMED_OUT : JAVA_REFUSED;
    }
    const char *message;
    size_t message_len;
    enum java_answer answer = java_answer_read(text, len, &message, &message_len);
    if (answer == JAVA_ANSWER_DONE)
        return JAVA_DONE;
    if (answer == JAVA_ANSWER_UNKNOWN_COMMAND)
        snprintf(ret->text, sizeof(ret->text),
                 "it has no Compiler.perfmap, which came with JDK 17; an agent that writes "
                 "/tmp/perf-PID.map would name them");
    else if (answer == JAVA_ANSWER_GARBLED)
        snprintf(ret->text, sizeof(ret->text), "it answered what is no answer");
    else
        snprintf(ret->text, sizeof(ret->text), "it answered: %.*s",
                 (int)(message_len < 200 ? message_len : 200), message);
    return JAVA_REFUSED;
}

enum java_outcome java_child_check(struct java_child *c, struct java_result *ret)
{
    int status;
    *ret = (struct java_result){0};
    pid_t gone = waitpid(c->pid, &status, WNOHANG);
    if (gone == 0 && clock_ns(CLOCK_MONOTONIC) - c->started_ns < CHILD_MAX_NS)
        return JAVA_RUNNING;
    if (gone == 0) {
        java_child_end(c);
        snprintf(ret->text, sizeof(ret->text), "it took too long");
        return JAVA_TIMED_OUT;
    }
    struct java_reply reply;
    char text[JAVA_CHILD_TEXT_MAX];
    ssize_t n = read(c->answer, &reply, sizeof(reply));
    ssize_t len = n == sizeof(reply) && reply.len ? read(c->answer, text, sizeof(text)) : 0;
    forget(c);
    if (n == sizeof(reply))
        return judge(&reply, text, len > 0 ? (size_t)len : 0, ret);
    snprintf(ret->text, sizeof(ret->text), "the process that asked it has ended");
    return JAVA_TIMED_OUT;
}
