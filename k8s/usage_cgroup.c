/* usage_cgroup.c: takes the files of a cgroup, v1 or v2, gives its figures. See usage_files.h; the
 * files: Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
 *
 * On v1 and hybrid hosts each controller is its own hierarchy, and any may be mounted as v2's; so
 * each figure is looked for in the v1 controller's directory first, then in v2's. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "k8s/cgroup.h"
#include "k8s/usage_files.h"
#include "k8s/usage_text.h"

#define BLKIO           "blkio.throttle.io_service_bytes"
#define BLKIO_RECURSIVE BLKIO "_recursive"
#define FILE_MAX        (256u << 10) /* io.stat of a machine with many disks */
#define PROCS_MAX       (4u << 20)

void usage_clear(uint64_t figures[USAGE_FIGURE_COUNT])
{
    memset(figures, 0xff, USAGE_FIGURE_COUNT * sizeof(*figures));
}

/* ---- parsers */

int usage_parse_number(const char *text, size_t len, uint64_t *ret)
{
    struct usage_text rest = {text, len}, line;
    return text_next(&rest, '\n', &line) && rest.len == 0 && text_number(line, ret) ? 0 : -EBADMSG;
}

/* A line "key value", to be multiplied by `factor`. */
struct key {
    const char *name;
    uint64_t factor;
    uint64_t *into;
};

static int parse_keyed(const char *text, size_t len, const struct key *keys, size_t count)
{
    struct usage_text rest = {text, len}, line, name;
    int found = 0;
    while (text_next(&rest, '\n', &line)) {
        uint64_t value;
        if (!text_next(&line, ' ', &name) || !text_number(line, &value))
            continue;
        for (size_t i = 0; i < count; i++)
            if (text_is(name, keys[i].name) && value < UINT64_MAX / keys[i].factor) {
                *keys[i].into = value * keys[i].factor;
                found++;
            }
    }
    return found ? 0 : -EBADMSG;
}

/* usage_usec alone is exact; the others are made to add up to it (cputime_adjust()). The last three
 * lines are there with the cpu controller only. */
int usage_parse_cpu_stat(const char *text, size_t len, uint64_t *figures)
{
    const struct key keys[] = {
        {"user_usec", 1000, &figures[USAGE_cpu_user_ns]},
        {"system_usec", 1000, &figures[USAGE_cpu_system_ns]},
        {"nr_periods", 1, &figures[USAGE_periods]},
        {"nr_throttled", 1, &figures[USAGE_throttled_periods]},
        {"throttled_usec", 1000, &figures[USAGE_throttled_ns]},
    };
    return parse_keyed(text, len, keys, ARRAY_LEN(keys));
}

int usage_parse_cpu_stat_v1(const char *text, size_t len, uint64_t *figures)
{
    const struct key keys[] = {
        {"nr_periods", 1, &figures[USAGE_periods]},
        {"nr_throttled", 1, &figures[USAGE_throttled_periods]},
        {"throttled_time", 1, &figures[USAGE_throttled_ns]},
    };
    return parse_keyed(text, len, keys, ARRAY_LEN(keys));
}

int usage_parse_cpuacct_stat(const char *text, size_t len, uint64_t *figures, int64_t tick_ns)
{
    const struct key keys[] = {
        {"user", (uint64_t)tick_ns, &figures[USAGE_cpu_user_ns]},
        {"system", (uint64_t)tick_ns, &figures[USAGE_cpu_system_ns]},
    };
    return parse_keyed(text, len, keys, ARRAY_LEN(keys));
}

/* v1's lines that begin with total_ count what is below, too, as v2's always do. */
int usage_parse_memory_stat(const char *text, size_t len, uint64_t *figures)
{
    uint64_t inactive = USAGE_UNKNOWN, total_inactive = USAGE_UNKNOWN, faults = USAGE_UNKNOWN,
             major = USAGE_UNKNOWN;
    const struct key keys[] = {
        {"inactive_file", 1, &inactive},
        {"total_inactive_file", 1, &total_inactive},
        {"anon", 1, &figures[USAGE_rss_bytes]},
        {"total_rss", 1, &figures[USAGE_rss_bytes]},
        {"pgfault", 1, &faults},
        {"pgmajfault", 1, &major},
    };
    const struct key totals[] = {{"total_pgfault", 1, &faults}, {"total_pgmajfault", 1, &major}};
    int r = parse_keyed(text, len, keys, ARRAY_LEN(keys));
    (void)parse_keyed(text, len, totals, ARRAY_LEN(totals));
    if (total_inactive != USAGE_UNKNOWN)
        inactive = total_inactive;
    uint64_t charged = figures[USAGE_memory_bytes];
    if (inactive != USAGE_UNKNOWN && charged != USAGE_UNKNOWN)
        figures[USAGE_working_set_bytes] = charged > inactive ? charged - inactive : 0;
    if (faults != USAGE_UNKNOWN && major != USAGE_UNKNOWN) {
        figures[USAGE_minor_faults] = faults > major ? faults - major : 0;
        figures[USAGE_major_faults] = major;
    }
    return r;
}

static bool add(uint64_t *sum, uint64_t value)
{
    return !__builtin_add_overflow(*sum, value, sum) && *sum != USAGE_UNKNOWN;
}

static int set_block(uint64_t *figures, bool sound, uint64_t read, uint64_t written)
{
    if (!sound)
        return -EBADMSG;
    figures[USAGE_block_read_bytes] = read;
    figures[USAGE_block_write_bytes] = written;
    return 0;
}

/* "254:0 rbytes=4096 wbytes=0 rios=1 ...", a line for each device that was ever used; a line
 * without any word behind the device is a device that was not. */
int usage_parse_io_stat(const char *text, size_t len, uint64_t *figures)
{
    struct usage_text rest = {text, len}, line, word, name;
    uint64_t read = 0, written = 0, value;
    bool sound = true;
    while (text_next(&rest, '\n', &line)) {
        while (text_word(&line, &word)) {
            if (!text_next(&word, '=', &name))
                continue;
            uint64_t *into = text_is(name, "rbytes")   ? &read
                             : text_is(name, "wbytes") ? &written
                                                       : NULL;
            if (into)
                sound = text_number(word, &value) && add(into, value) && sound;
        }
    }
    return set_block(figures, sound, read, written);
}

/* "254:0 Read 4096", also Write, Sync, Async, Discard, Total; at the end "Total N". Without any
 * device nothing is known: since Linux 6.10 they are counted only where a limit was ever set. */
int usage_parse_blkio(const char *text, size_t len, uint64_t *figures)
{
    struct usage_text rest = {text, len}, line, device, what;
    uint64_t read = 0, written = 0, value;
    bool sound = true, found = false;
    while (text_next(&rest, '\n', &line)) {
        if (!text_next(&line, ' ', &device) || !text_next(&line, ' ', &what))
            continue;
        uint64_t *into = text_is(what, "Read") ? &read : text_is(what, "Write") ? &written : NULL;
        if (into)
            sound = text_number(line, &value) && add(into, value) && sound;
        found = found || into;
    }
    return set_block(figures, sound && found, read, written);
}

size_t usage_parse_pids(const char *text, size_t len, uint32_t *pids, size_t max, bool *ret_more)
{
    struct usage_text rest = {text, len}, line;
    size_t count = 0;
    *ret_more = false;
    while (text_next(&rest, '\n', &line)) {
        uint64_t pid;
        /* 0: a process that this pid namespace does not see */
        if (!text_number(line, &pid) || pid == 0 || pid > INT32_MAX)
            continue;
        if (count == max) {
            *ret_more = true;
            break;
        }
        pids[count++] = (uint32_t)pid;
    }
    return count;
}

/* Time by the tick is a sample; the total is measured at each switch of tasks. */
void usage_split_cpu(uint64_t total, uint64_t user, uint64_t system, uint64_t *figures)
{
    uint64_t share = total;
    if (user != USAGE_UNKNOWN && system != USAGE_UNKNOWN && system > 0)
        share = (uint64_t)((unsigned __int128)total * user / ((unsigned __int128)user + system));
    figures[USAGE_cpu_user_ns] = share;
    figures[USAGE_cpu_system_ns] = total - share;
}

/* ---- files */

static int open_cgroup(const int *hierarchies, enum usage_hierarchy which, const char *path)
{
    /* "/" first, which openat(2) would take for the machine's root */
    return hierarchies[which] < 0 ? -1
                                  : openat(hierarchies[which], path[1] ? path + 1 : ".",
                                           O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int read_file(int dir, const char *name, struct buf *text)
{
    text->len = 0;
    return fs_read_at(dir, name, FILE_MAX, text, NULL);
}

static bool read_number(int dir, const char *name, struct buf *text, uint64_t *ret)
{
    return read_file(dir, name, text) == 0 &&
           usage_parse_number((char *)text->data, text->len, ret) == 0;
}

typedef int (*parse_fn)(const char *text, size_t len, uint64_t *figures);

static bool read_figures(int dir, const char *name, struct buf *text, parse_fn parse,
                         uint64_t *figures)
{
    return read_file(dir, name, text) == 0 && parse((char *)text->data, text->len, figures) == 0;
}

static void read_cpuacct(int dir, int64_t tick_ns, struct buf *text, uint64_t *figures)
{
    uint64_t total, by_ticks[USAGE_FIGURE_COUNT];
    if (!read_number(dir, "cpuacct.usage", text, &total))
        return;
    /* cpuacct.usage_user and _sys are no more than this by nanoseconds, and cost a file more. */
    usage_clear(by_ticks);
    if (read_file(dir, "cpuacct.stat", text) == 0)
        (void)usage_parse_cpuacct_stat((char *)text->data, text->len, by_ticks, tick_ns);
    usage_split_cpu(total, by_ticks[USAGE_cpu_user_ns], by_ticks[USAGE_cpu_system_ns], figures);
}

static void read_memory(int dir, const char *charged, struct buf *text, uint64_t *figures)
{
    if (read_number(dir, charged, text, &figures[USAGE_memory_bytes]))
        read_figures(dir, "memory.stat", text, usage_parse_memory_stat, figures);
}

static void read_v1(const int *hierarchies, const char *path, int64_t tick_ns, struct buf *text,
                    uint64_t *figures)
{
    _cleanup_close_ int cpuacct = open_cgroup(hierarchies, USAGE_CPUACCT, path);
    _cleanup_close_ int cpu = open_cgroup(hierarchies, USAGE_CPU, path);
    _cleanup_close_ int memory = open_cgroup(hierarchies, USAGE_MEMORY, path);
    _cleanup_close_ int blkio = open_cgroup(hierarchies, USAGE_BLKIO, path);
    if (cpuacct >= 0)
        read_cpuacct(cpuacct, tick_ns, text, figures);
    if (cpu >= 0)
        read_figures(cpu, "cpu.stat", text, usage_parse_cpu_stat_v1, figures);
    if (memory >= 0)
        read_memory(memory, "memory.usage_in_bytes", text, figures);
    /* Since Linux 5.0; before, what is below is missing. */
    if (blkio >= 0)
        read_figures(blkio,
                     faccessat(blkio, BLKIO_RECURSIVE, F_OK, 0) == 0 ? BLKIO_RECURSIVE : BLKIO,
                     text, usage_parse_blkio, figures);
}

static bool has_all(const uint64_t *figures)
{
    return figures[USAGE_cpu_user_ns] != USAGE_UNKNOWN && figures[USAGE_periods] != USAGE_UNKNOWN &&
           figures[USAGE_memory_bytes] != USAGE_UNKNOWN &&
           figures[USAGE_block_read_bytes] != USAGE_UNKNOWN;
}

void usage_read_cgroup(const int hierarchies[USAGE_HIERARCHY_COUNT], const char *path,
                       int64_t tick_ns, struct buf *text, uint64_t *figures)
{
    read_v1(hierarchies, path, tick_ns, text, figures);
    if (has_all(figures))
        return;
    _cleanup_close_ int dir = open_cgroup(hierarchies, USAGE_UNIFIED, path);
    if (dir < 0)
        return;
    if (figures[USAGE_cpu_user_ns] == USAGE_UNKNOWN || figures[USAGE_periods] == USAGE_UNKNOWN) {
        uint64_t v2[USAGE_FIGURE_COUNT];
        usage_clear(v2);
        read_figures(dir, "cpu.stat", text, usage_parse_cpu_stat, v2);
        for (unsigned i = USAGE_cpu_user_ns; i <= USAGE_throttled_ns; i++)
            figures[i] = figures[i] == USAGE_UNKNOWN ? v2[i] : figures[i];
    }
    if (figures[USAGE_memory_bytes] == USAGE_UNKNOWN)
        read_memory(dir, "memory.current", text, figures);
    if (figures[USAGE_block_read_bytes] == USAGE_UNKNOWN)
        read_figures(dir, "io.stat", text, usage_parse_io_stat, figures);
}

size_t usage_read_pids(const int hierarchies[USAGE_HIERARCHY_COUNT], const char *path,
                       struct buf *text, uint32_t *pids, size_t max, bool *ret_more)
{
    size_t count = 0;
    *ret_more = false;
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT && count == 0; i++) {
        _cleanup_close_ int dir = open_cgroup(hierarchies, i, path);
        text->len = 0;
        if (dir >= 0 && fs_read_at(dir, "cgroup.procs", PROCS_MAX, text, NULL) == 0)
            count = usage_parse_pids((char *)text->data, text->len, pids, max, ret_more);
    }
    return count;
}
