/* procfs.h: what /proc knows of processes that run already, told as the records that the kernel
 * would have given had we listened from the start. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct err;
struct record;

/* Non-zero stops, and is returned. The record's pointers are valid during the call. */
typedef int (*procfs_fn)(void *ctx, const struct record *record);

/* Each process below `proc_fd` (of /proc): FORK with its start time, COMM as of an exec, a MMAP for
 * each executable mapping (the program's own file first), then FORK and COMM of further threads.
 * A process that may not be read or is gone meanwhile gives what could be had. -EMFILE and the like
 * are errors. */
int procfs_scan(int proc_fd, procfs_fn fn, void *ctx, struct err *err);

/* One process. -ENOENT if it is gone. */
int procfs_scan_process(int proc_fd, pid_t pid, procfs_fn fn, void *ctx, struct err *err);

/* Only its mappings: mprotect(2) makes memory executable without a record. */
int procfs_scan_maps(int proc_fd, pid_t pid, procfs_fn fn, void *ctx, struct err *err);
