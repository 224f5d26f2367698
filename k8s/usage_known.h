/* usage_known.h: the processes that usage.c knows from scan to scan, and what each did in between.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "k8s/usage_files.h"

struct buf;
struct usage_cgroup;

struct usage_known {
    uint32_t pid;
    uint32_t scan;    /* that saw it last */
    int64_t start_ns; /* usage.c's: wall clock; 0: not worked out yet */
    struct usage_stat stat;
    /* Since the scan before; unknown where nothing can be said. What children did that have died is
     * in `grown`, and not in the other two (ticks). */
    uint64_t grown[TALLY_COUNT], grown_user, grown_system;
    char *exe, *command;
    struct usage_known *next; /* of its cgroup, or of those whose pid is another's now */
    UT_hash_handle hh;
};

struct usage_processes {
    struct usage_known *by_pid;
    struct usage_known *replaced;
    uint32_t scan;        /* from 1 */
    uint64_t since_ticks; /* when the scan before began, as usage_stat.start */
    bool full_commands;
    int proc;
};

/* Reads the process for the scan at hand. -ESRCH: it has gone; -EEXIST: it was read already. */
int usage_process_read(struct usage_processes *processes, uint32_t pid, struct buf *text,
                       struct usage_known **ret);

/* After all have been read: takes out of parents what their dead children had been counted with
 * before, and forgets those. */
void usage_processes_settle(struct usage_processes *processes);

void usage_processes_free(struct usage_processes *processes);
