/* members.c: takes /proc, gives the processes that are to be sampled. See members.h. */
#include "agent/members.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/procfs.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "k8s/cgroup.h"

#define PROC_CGROUP_MAX 65536u
#define ANCESTORS_MAX   10000

/* PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h, since 3.8. */
#define HOST_PID_NS "pid:[4026531836]"

struct kin {
    uint32_t pid, ppid;
};

struct members {
    enum members_whom whom;
    uint32_t root; /* of a tree */
    int proc_fd;
    bool host;
    char own_path[CGROUP_PATH_MAX];
    uint32_t *pids;
    size_t room;
    struct kin *kin; /* by pid */
    size_t kin_room;
};

static int read_cgroup(int proc_fd, const char *process, char ret_path[CGROUP_PATH_MAX])
{
    char name[32];
    snprintf(name, sizeof(name), "%s/cgroup", process);
    _cleanup_(buf_free) struct buf text = {0};
    int r = fs_read_at(proc_fd, name, PROC_CGROUP_MAX, &text, NULL);
    return r < 0 ? r : cgroup_choose_path((const char *)text.data, text.len, ret_path);
}

bool members_see_host(int proc_fd)
{
    char link[64];
    ssize_t n = readlinkat(proc_fd, "self/ns/pid", link, sizeof(link) - 1);
    link[n > 0 ? n : 0] = 0;
    return strcmp(link, HOST_PID_NS) == 0;
}

int members_new(enum members_whom whom, pid_t pid, int proc_fd, struct members **ret,
                struct err *err)
{
    struct members *m = calloc(1, sizeof(*m));
    if (!m)
        return err_errno(err, -ENOMEM, "the list of processes");
    m->whom = whom;
    m->root = (uint32_t)pid;
    m->proc_fd = proc_fd;
    m->host = members_see_host(proc_fd);
    if (whom == MEMBERS_POD && read_cgroup(proc_fd, "self", m->own_path) < 0)
        m->own_path[0] = 0;
    *ret = m;
    return 0;
}

void members_free(struct members **members)
{
    struct members *m = *members;
    if (!m)
        return;
    free(m->pids);
    free(m->kin);
    free(m);
    *members = NULL;
}

bool members_are_few(const struct members *members)
{
    /* A tree is looked through until it is known, which is soon. */
    return members->whom == MEMBERS_TREE || (members->whom == MEMBERS_POD && !members->host);
}

/* ---- a tree */

static int compare_kin(const void *a, const void *b)
{
    const struct kin *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool is_below(const struct members *m, size_t count, uint32_t pid)
{
    /* /proc is no snapshot: what was read of it may even have a ring. */
    for (size_t steps = 0; pid && steps < ANCESTORS_MAX; steps++) {
        if (pid == m->root)
            return true;
        const struct kin key = {.pid = pid},
                         *k = bsearch(&key, m->kin, count, sizeof(key), compare_kin);
        pid = k ? k->ppid : 0;
    }
    return false;
}

static ssize_t keep_tree(struct members *m, size_t count)
{
    if (count > m->kin_room) {
        struct kin *v = reallocarray(m->kin, count, sizeof(*v));
        if (!v)
            return -ENOMEM;
        m->kin = v;
        m->kin_room = count;
    }
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t ppid;
        uint64_t start;
        pid_t pid = (pid_t)m->pids[i];
        if (procfs_read_start(m->proc_fd, pid, pid, &ppid, &start) == 0)
            m->kin[n++] = (struct kin){m->pids[i], ppid};
    }
    qsort(m->kin, n, sizeof(*m->kin), compare_kin);
    for (size_t i = 0; i < n; i++) {
        if (is_below(m, n, m->kin[i].pid))
            m->pids[kept++] = m->kin[i].pid;
    }
    return (ssize_t)kept;
}

/* ---- a pod */

static unsigned count_ups(const char *path)
{
    unsigned ups = 0;
    for (; strncmp(path, "/..", 3) == 0 && (path[3] == '/' || path[3] == 0); path += 3)
        ups++;
    return ups;
}

bool members_share_pod(const char *own, const char *other)
{
    struct cgroup_id mine, others;
    cgroup_parse_path(own, strlen(own), &mine);
    cgroup_parse_path(other, strlen(other), &others);
    if (mine.pod_uid[0])
        return strcmp(mine.pod_uid, others.pod_uid) == 0;
    /* crun keeps a cgroup of its own in the container's: another's is two up from there. What is of
     * the machine is further away: kubepods lies between. */
    return !others.pod_uid[0] && count_ups(other) <= 2;
}

static bool is_in_pod(struct members *m, uint32_t pid)
{
    char process[16], path[CGROUP_PATH_MAX];
    snprintf(process, sizeof(process), "%u", pid);
    if (read_cgroup(m->proc_fd, process, path) < 0)
        return false;
    return members_share_pod(m->own_path, path);
}

/* ---- all */

static bool is_own(struct members *m, uint32_t pid)
{
    char name[16];
    struct stat st;
    snprintf(name, sizeof(name), "%u", pid);
    return fstatat(m->proc_fd, name, &st, 0) == 0 && st.st_uid == geteuid();
}

ssize_t members_list(struct members *members, const uint32_t **ret_pids)
{
    ssize_t count = procfs_list(members->proc_fd, ".", &members->pids, &members->room);
    if (count > 0 && members->whom == MEMBERS_TREE)
        count = keep_tree(members, (size_t)count);
    *ret_pids = members->pids;
    return count;
}

bool members_has(struct members *members, uint32_t pid)
{
    switch (members->whom) {
    case MEMBERS_OWN:
        return is_own(members, pid);
    case MEMBERS_POD:
        return is_in_pod(members, pid);
    default:
        return true; /* the list has no others */
    }
}
