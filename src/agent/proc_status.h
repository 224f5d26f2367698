/* proc_status.h: /proc/PID/status: what a process is called in its own pid namespace, whose it is,
 * and which signals it catches (proc(5)). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_STATUS_DEPTH 32u /* of pid namespaces: the kernel's MAX_PID_NS_LEVEL */

struct proc_status {
    pid_t pids[PROC_STATUS_DEPTH]; /* outermost first; the last one is what it calls itself */
    size_t pid_count;              /* 0: before Linux 4.1 */
    uid_t euid;
    gid_t egid;
    uint64_t caught; /* bit N - 1: signal N */
    char state;      /* R, S, D, T, t, Z, X */
};

/* -EBADMSG if a line is missing. `text` is of `len` bytes. */
int proc_status_parse(const char *text, size_t len, struct proc_status *ret);

/* Of the directory /proc/PID. */
int proc_status_read(int proc_pid_fd, struct proc_status *ret);
