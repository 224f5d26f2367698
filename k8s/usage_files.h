/* usage_files.h: the files that usage.h's figures come from: parsers of their text, each pure, and
 * what reads them. For usage*.c and their tests. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "k8s/usage.h"

struct buf;

/* All unknown. */
void usage_clear(uint64_t figures[USAGE_FIGURE_COUNT]);

/* ---- usage_cgroup.c: each adds what the text says and leaves the rest as it was. -EBADMSG if it
 * says nothing that was looked for. */

int usage_parse_number(const char *text, size_t len, uint64_t *ret);
int usage_parse_cpu_stat(const char *text, size_t len, uint64_t *figures);    /* v2 */
int usage_parse_cpu_stat_v1(const char *text, size_t len, uint64_t *figures); /* cpu.stat */
int usage_parse_cpuacct_stat(const char *text, size_t len, uint64_t *figures, int64_t tick_ns);
/* v1 and v2; memory_bytes must be there, from its own file, for the working set. */
int usage_parse_memory_stat(const char *text, size_t len, uint64_t *figures);
int usage_parse_io_stat(const char *text, size_t len, uint64_t *figures); /* v2 */
int usage_parse_blkio(const char *text, size_t len, uint64_t *figures);   /* ..._recursive, v1 */

/* Which share of exactly `total` was the user's, by counts taken at the clock's ticks. */
void usage_split_cpu(uint64_t total, uint64_t user, uint64_t system, uint64_t *figures);

/* Adds what the cgroup's own files say. `text` is room to read in. */
void usage_read_cgroup(const int hierarchies[USAGE_HIERARCHY_COUNT], const char *path,
                       int64_t tick_ns, struct buf *text, uint64_t *figures);

/* Pids of cgroup.procs from the first hierarchy that has some there; at most `max`. */
size_t usage_read_pids(const int hierarchies[USAGE_HIERARCHY_COUNT], const char *path,
                       struct buf *text, uint32_t *pids, size_t max, bool *ret_more);
size_t usage_parse_pids(const char *text, size_t len, uint32_t *pids, size_t max, bool *ret_more);

/* ---- usage_proc.c */

/* What a process counts since it began, its dead and waited-for children's included. */
enum usage_tally {
    TALLY_USER, /* clock ticks */
    TALLY_SYSTEM,
    TALLY_MINOR,
    TALLY_MAJOR,
    TALLY_BLOCK_READ,
    TALLY_BLOCK_WRITE,
    TALLY_CHAR_READ,
    TALLY_CHAR_WRITE,
    TALLY_COUNT
};

struct usage_stat {
    uint32_t ppid, threads;
    uint64_t start;              /* clock ticks since the machine's start */
    uint64_t image;              /* changes when it executes another program; 0: not told */
    uint64_t user, system;       /* clock ticks, its own */
    uint64_t rss, virtual_bytes; /* rss in pages; of stat alone it is approximate */
    uint64_t tally[TALLY_COUNT]; /* TALLY_BLOCK_READ and on: unknown */
    char name[64];
};

int usage_parse_stat(const char *text, size_t len, struct usage_stat *ret); /* /proc/PID/stat */
int usage_parse_io(const char *text, size_t len, uint64_t tally[TALLY_COUNT]);
int usage_parse_statm(const char *text, size_t len, uint64_t *ret_resident); /* pages */

/* Reads all three; io that may not be read stays unknown. -ENOENT, -ESRCH: it is gone. */
int usage_read_process(int proc, uint32_t pid, struct buf *text, struct usage_stat *ret);

#define USAGE_EXE_MAX     1024
#define USAGE_COMMAND_MAX 4096

/* ---- usage_command.c */

/* What of a command line (/proc/PID/cmdline) is shown. Arguments may be secrets: unless `full`, of
 * an interpreter (by the name of `exe`) its script or main class, of others only the executable.
 * `exe` stands for the first argument, which a process can overwrite. */
void usage_show_command(const char *exe, const char *line, size_t len, bool full,
                        char ret[USAGE_COMMAND_MAX]);

/* ---- usage_net.c */

int usage_parse_net_dev(const char *text, size_t len, uint64_t *ret_rx, uint64_t *ret_tx);

/* A number that a process's network namespace alone has while it is there. */
int usage_read_network(int proc, const char *pid, uint64_t *ret);
int usage_read_net_dev(int proc, uint32_t pid, struct buf *text, uint64_t *ret_rx,
                       uint64_t *ret_tx);
