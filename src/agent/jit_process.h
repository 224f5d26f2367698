/* jit_process.h: what one process's JIT writes about its code, found and read: /tmp/perf-N.map in
 * its mount namespace under its number in its pid namespace, and the jitdump it maps. All of that
 * lies where the process pleases and is read as hostile. One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "agent/proc_status.h"
#include "symbol/jitdump.h"
#include "symbol/perf_map.h"

struct err;
struct jit_index;

struct jit_file {
    int fd; /* -1: not open */
    dev_t device;
    ino_t inode;
    uint64_t read_ns; /* all that was written before is known */
};

struct jit_process {
    pid_t pid;
    uint64_t start_ns; /* of the samples' clock; 0: unknown */
    int proc;          /* /proc/PID: stays the process's own when the number is another's */
    struct proc_status status;
    char *libjvm;   /* path of the JVM it maps, or NULL */
    bool is_openj9; /* the JVM is not HotSpot */
    struct jit_file map, dump;
    struct perf_map_cursor map_cursor;
    struct jitdump_cursor dump_cursor;
    uint64_t known_ns; /* all that its JIT told before is in the index */
};

/* -ESRCH if it is gone, or its number is another's by now. */
int jit_process_open(pid_t pid, uint64_t start_ns, struct jit_process **ret, struct err *err);
void jit_process_free(struct jit_process **process);

/* What it calls itself: its number in its own pid namespace. */
pid_t jit_process_number(const struct jit_process *process);

bool jit_process_is_there(const struct jit_process *process);

/* Looks at its status and at what it maps: a JVM? a jitdump? */
int jit_process_look(struct jit_process *process, struct err *err);

/* Its directory /tmp: a descriptor without the right to read, or -errno. */
int jit_process_open_tmp(const struct jit_process *process);

/* A file in its /tmp if it may be believed: a regular one, of that process's user or root, not
 * older than the process. -errno; -EPERM if it may not. */
int jit_process_open_map(const struct jit_process *process, int tmp, pid_t number, struct stat *ret,
                         struct err *err);

/* Whether the process has that file open for writing. *ret_appends: what stood in it before was
 * kept. */
bool jit_process_writes(const struct jit_process *process, const struct stat *file,
                        bool *ret_appends);

/* Takes into the index what has been written since the last call. `maps`: also perf maps. Gives how
 * many files there are. */
int jit_process_read(struct jit_process *process, bool maps, struct jit_index *index,
                     struct err *err);

/* Open files would keep file systems from being unmounted; the next reading opens them again. */
void jit_process_close_files(struct jit_process *process);
