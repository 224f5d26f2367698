/* members.h: which of the processes in /proc are to be sampled, where each is opened by itself. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct members;

enum members_whom {
    MEMBERS_OWN,  /* processes of this user */
    MEMBERS_TREE, /* one process, what it has created and what that has */
    MEMBERS_POD,  /* processes of the pod we are in */
};

/* `pid`: of a tree. `proc_fd`, of a /proc, must stay open. */
int members_new(enum members_whom whom, pid_t pid, int proc_fd, struct members **ret,
                struct err *err);
void members_free(struct members **members);

/* Processes that may be members, as of now; valid until the next call. How many, or -errno. */
ssize_t members_list(struct members *members, const uint32_t **ret_pids);

/* Whether one of these is. */
bool members_has(struct members *members, uint32_t pid);

/* Whether /proc can be looked through often: it has only a pod's processes in it. */
bool members_are_few(const struct members *members);

/* Whether the process whose path in /proc/PID/cgroup is `other` is in the pod of the one whose is
 * `own`. In a cgroup namespace of one's own, paths count from one's own container's cgroup:
 * "/../CONTAINER" is beside it, "/../../podUID/CONTAINER" in another pod. */
bool members_share_pod(const char *own, const char *other);

/* Whether our pid namespace is the machine's own: a pod with hostPID. */
bool members_see_host(int proc_fd);
