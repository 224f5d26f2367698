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

/* When a thread (`tid`; the process itself: its pid) was created, of the records' clock and to a
 * clock tick, and the pid of its process's parent. -ENOENT if it is gone. */
int procfs_read_start(int proc_fd, pid_t pid, pid_t tid, uint32_t *ret_ppid, uint64_t *ret_start);

/* The numbers in a directory such as /proc or /proc/PID/task, in its order; `*numbers`, grown with
 * realloc(3), has room for `*room`. How many there are, or -errno. */
ssize_t procfs_list(int dirfd, const char *path, uint32_t **numbers, size_t *room);
