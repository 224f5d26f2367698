/* usage_known.c: takes pids, gives what each process did since the scan before. See usage_known.h.
 */
#include "k8s/usage_known.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"

#define LINE_MAX_BYTES 16384
#define ANCESTORS_MAX  64

/* ---- names */

/* Of a long command line the head is enough, which fs_read_at() would refuse. */
static size_t read_head(int proc, const char *path, char *to, size_t size)
{
    _cleanup_close_ int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, to, size);
    return n < 0 ? 0 : (size_t)n;
}

static void read_exe(const struct usage_processes *t, const struct usage_known *p,
                     char exe[USAGE_EXE_MAX])
{
    static const char deleted[] = " (deleted)";
    char path[32];
    snprintf(path, sizeof(path), "%u/exe", p->pid);
    ssize_t n = readlinkat(t->proc, path, exe, USAGE_EXE_MAX - 1);
    if (n <= 0) {
        snprintf(exe, USAGE_EXE_MAX, "[%s]", p->stat.name);
        return;
    }
    exe[n] = 0;
    size_t tail = sizeof(deleted) - 1;
    if ((size_t)n > tail && strcmp(exe + n - tail, deleted) == 0)
        exe[(size_t)n - tail] = 0;
}

static int name_process(const struct usage_processes *t, struct usage_known *p)
{
    char exe[USAGE_EXE_MAX], path[32], line[LINE_MAX_BYTES], command[USAGE_COMMAND_MAX];
    read_exe(t, p, exe);
    snprintf(path, sizeof(path), "%u/cmdline", p->pid);
    size_t len = read_head(t->proc, path, line, sizeof(line));
    usage_show_command(exe, line, len, t->full_commands, command);
    free(p->exe);
    free(p->command);
    p->exe = strdup(exe);
    p->command = strdup(command);
    return p->exe && p->command ? 0 : -ENOMEM;
}

static void known_free(struct usage_known *p)
{
    if (!p)
        return;
    free(p->exe);
    free(p->command);
    free(p);
}

/* ---- growth */

static uint64_t growth(uint64_t now, uint64_t before)
{
    if (now == USAGE_UNKNOWN || before == USAGE_UNKNOWN)
        return USAGE_UNKNOWN;
    return now > before ? now - before : 0;
}

/* Of one that is met for the first time: all it did if it began since the scan before, else nothing
 * is known of this stretch of time, and nothing is counted. */
static void first_growth(const struct usage_processes *t, struct usage_known *p,
                         const struct usage_stat *now)
{
    bool all = t->scan > 1 && now->start >= t->since_ticks;
    for (unsigned i = 0; i < TALLY_COUNT; i++)
        p->grown[i] = all || now->tally[i] == USAGE_UNKNOWN ? now->tally[i] : 0;
    p->grown_user = all ? now->user : 0;
    p->grown_system = all ? now->system : 0;
}

static void next_growth(struct usage_known *p, const struct usage_stat *now)
{
    for (unsigned i = 0; i < TALLY_COUNT; i++)
        p->grown[i] = growth(now->tally[i], p->stat.tally[i]);
    p->grown_user = growth(now->user, p->stat.user);
    p->grown_system = growth(now->system, p->stat.system);
}

int usage_process_read(struct usage_processes *processes, uint32_t pid, struct buf *text,
                       struct usage_known **ret)
{
    struct usage_processes *t = processes;
    struct usage_known *p;
    struct usage_stat now;
    HASH_FIND(hh, t->by_pid, &pid, sizeof(pid), p);
    if (p && p->scan == t->scan)
        return -EEXIST; /* it was moved to another cgroup meanwhile */
    if (usage_read_process(t->proc, pid, text, &now) < 0)
        return -ESRCH;
    if (p && p->stat.start != now.start) {
        HASH_DEL(t->by_pid, p);
        p->next = t->replaced;
        t->replaced = p;
        p = NULL;
    }
    bool named = p && p->stat.image == now.image && strcmp(p->stat.name, now.name) == 0;
    if (p) {
        next_growth(p, &now);
    } else {
        p = calloc(1, sizeof(*p));
        if (!p)
            return -ENOMEM;
        p->pid = pid;
        HASH_ADD(hh, t->by_pid, pid, sizeof(pid), p);
        first_growth(t, p, &now);
    }
    p->stat = now;
    p->scan = t->scan;
    if (!named && name_process(t, p) < 0)
        return -ENOMEM;
    *ret = p;
    return 0;
}

/* ---- the dead */

/* Who may have waited for it: the nearest ancestor that lives. */
static struct usage_known *find_heir(const struct usage_processes *t,
                                     const struct usage_known *dead)
{
    struct usage_known *p = NULL;
    uint32_t ppid = dead->stat.ppid;
    for (unsigned i = 0; i < ANCESTORS_MAX; i++, ppid = p->stat.ppid) {
        HASH_FIND(hh, t->by_pid, &ppid, sizeof(ppid), p);
        if (!p || p->scan == t->scan)
            return p;
    }
    return NULL;
}

/* wait(2) adds what a child did to its parent's counts (wait_task_zombie(), kernel/exit.c); what of
 * it has been counted before must not be counted again. If the parent's counts did not grow by so
 * much it was not waited for. */
static void take_back(const struct usage_processes *t, const struct usage_known *dead)
{
    struct usage_known *heir = find_heir(t, dead);
    if (!heir)
        return;
    for (unsigned i = 0; i < TALLY_COUNT; i++)
        if (heir->grown[i] != USAGE_UNKNOWN && dead->stat.tally[i] != USAGE_UNKNOWN &&
            heir->grown[i] < dead->stat.tally[i])
            return;
    for (unsigned i = 0; i < TALLY_COUNT; i++)
        if (heir->grown[i] != USAGE_UNKNOWN && dead->stat.tally[i] != USAGE_UNKNOWN)
            heir->grown[i] -= dead->stat.tally[i];
}

void usage_processes_settle(struct usage_processes *processes)
{
    struct usage_processes *t = processes;
    struct usage_known *p, *next;
    for (p = t->replaced; p; p = p->next)
        take_back(t, p);
    HASH_ITER (hh, t->by_pid, p, next)
        if (p->scan != t->scan)
            take_back(t, p);
    HASH_ITER (hh, t->by_pid, p, next)
        if (p->scan != t->scan) {
            HASH_DEL(t->by_pid, p);
            known_free(p);
        }
    while ((p = t->replaced)) {
        t->replaced = p->next;
        known_free(p);
    }
}

void usage_processes_free(struct usage_processes *processes)
{
    struct usage_known *p, *next;
    HASH_ITER (hh, processes->by_pid, p, next) {
        HASH_DEL(processes->by_pid, p);
        known_free(p);
    }
    while ((p = processes->replaced)) {
        processes->replaced = p->next;
        known_free(p);
    }
}
