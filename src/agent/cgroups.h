/* cgroups.h: cgroup ids, as PERF_SAMPLE_CGROUP stamps them on samples, to paths. The id outlives
 * the process, so a dead one still has its pod. One thread uses a table. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct cgroups;
struct err;
struct record;

/* Finds the hierarchy that perf uses and walks it. A machine without one has an empty table. */
int cgroups_new(struct cgroups **ret, struct err *err);
void cgroups_free(struct cgroups **cgroups);

/* From a PERF_RECORD_CGROUP. */
int cgroups_add(struct cgroups *cgroups, uint64_t id, const char *path);

/* The path below the hierarchy's root, "" if unknown even after walking again, which is done at
 * most every few seconds. Valid until the next call. */
const char *cgroups_path(struct cgroups *cgroups, uint64_t id, int64_t now_ns);

/* Where the kernel stamps no ids: an id for the path in /proc/PID/cgroup below `proc_fd`, 0 if it
 * cannot be read. */
uint64_t cgroups_of_process(struct cgroups *cgroups, int proc_fd, pid_t pid);

/* Tells each known cgroup as the record that made it known; for recordings. */
int cgroups_each(struct cgroups *cgroups, int (*fn)(void *ctx, const struct record *record),
                 void *ctx);

/* A descriptor of the root of the hierarchy that perf uses, which stays the table's, and where it
 * is mounted; -1: there is none. */
int cgroups_hierarchy(const struct cgroups *cgroups, const char **ret_mount);

/* Grows whenever a cgroup becomes known. */
uint64_t cgroups_changes(const struct cgroups *cgroups);
