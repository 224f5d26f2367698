/* test_usage_scan.c: hierarchies and a /proc made of files: which cgroups are told, and what they
 * used from one scan to the next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "k8s/cgroup.h"
#include "k8s/usage.h"
#include "temp_dir.h"

#define ID  "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"
#define ID2 "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41"

struct kit {
    struct usage_config config;
    struct usage_scanner *scanner;
    /* Of the last scan. */
    struct usage_reading readings[8];
    char paths[8][256], containers[8][CGROUP_NAME_MAX];
    struct usage_process processes[8];
    char commands[8][64];
    size_t count, process_count;
};

static void write_file(const struct temp_dir *dir, const char *path, const char *text)
{
    char whole[PATH_MAX + 512];
    snprintf(whole, sizeof(whole), "%s/%s", dir->path, path);
    char *slash = strrchr(whole, '/');
    *slash = 0;
    assert_int_equal(fs_mkdir_p(whole, 0755, NULL), 0);
    *slash = '/';
    _cleanup_fclose_ FILE *f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
}

static void remove_file(const struct temp_dir *dir, const char *path)
{
    assert_int_equal(unlinkat(dir->fd, path, 0), 0);
}

static int open_dir(const struct temp_dir *dir, const char *name)
{
    mkdirat(dir->fd, name, 0755);
    int fd = openat(dir->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void make_kit(struct kit *k, const struct temp_dir *dir)
{
    static const char *const names[] = {
        [USAGE_UNIFIED] = "unified", [USAGE_MEMORY] = "memory", [USAGE_CPUACCT] = "cpuacct",
        [USAGE_CPU] = "cpu",         [USAGE_BLKIO] = "blkio",   [USAGE_SYSTEMD] = "systemd"};
    memset(k, 0, sizeof(*k));
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++)
        k->config.hierarchies[i] = open_dir(dir, names[i]);
    k->config.proc = open_dir(dir, "proc");
    k->config.max_cgroups = 8;
    k->config.max_processes = 8;
    write_file(dir, "proc/1/net/dev", "");
    write_file(dir, "proc/self/io", "");
    assert_int_equal(usage_scanner_new(&k->config, &k->scanner, NULL), 0);
}

static void free_kit(struct kit *k)
{
    usage_scanner_free(&k->scanner);
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++)
        close(k->config.hierarchies[i]);
    close(k->config.proc);
}

static int take(void *ctx, const struct usage_reading *reading,
                const struct usage_process *processes, size_t count)
{
    struct kit *k = ctx;
    assert_in_range(k->count, 0, ARRAY_LEN(k->readings) - 1);
    k->readings[k->count] = *reading;
    snprintf(k->paths[k->count], sizeof(k->paths[0]), "%s", reading->path);
    snprintf(k->containers[k->count++], sizeof(k->containers[0]), "%s", reading->id->container_id);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(k->process_count, 0, ARRAY_LEN(k->processes) - 1);
        snprintf(k->commands[k->process_count], sizeof(k->commands[0]), "%s", processes[i].command);
        k->processes[k->process_count++] = processes[i];
    }
    return 0;
}

static void scan(struct kit *k)
{
    struct err err = {0};
    k->count = k->process_count = 0;
    if (usage_scan(k->scanner, take, k, &err) < 0)
        fail_msg("%s", err.text);
}

static const struct usage_reading *find(const struct kit *k, const char *path)
{
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->paths[i], path) == 0)
            return &k->readings[i];
    fail_msg("%s was not told", path);
    return NULL;
}

static bool has(const struct kit *k, const char *path)
{
    for (size_t i = 0; i < k->count; i++)
        if (strcmp(k->paths[i], path) == 0)
            return true;
    return false;
}

/* A process that began `start` ticks after the machine, with all its tallies at `n`. */
static void write_process(const struct temp_dir *dir, unsigned pid, unsigned ppid, uint64_t start,
                          unsigned n)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "proc/%u/stat", pid);
    snprintf(text, sizeof(text),
             "%u (job) S %u 0 0 0 -1 0 %u 0 %u 0 %u %u 0 0 20 0 2 0 %" PRIu64
             " 4096000 3 0 0 0 9 0\n",
             pid, ppid, n, n, n, n, start);
    write_file(dir, path, text);
    snprintf(path, sizeof(path), "proc/%u/io", pid);
    snprintf(text, sizeof(text), "rchar: %u\nwchar: %u\nread_bytes: %u\nwrite_bytes: %u\n", n, n, n,
             n);
    write_file(dir, path, text);
    snprintf(path, sizeof(path), "proc/%u/statm", pid);
    write_file(dir, path, "1000 10 1 1 0 1 0\n");
}

static void remove_process(const struct temp_dir *dir, unsigned pid)
{
    char path[64];
    snprintf(path, sizeof(path), "proc/%u/stat", pid);
    remove_file(dir, path);
}

static uint64_t now_ticks(void)
{
    return (uint64_t)(clock_ns(CLOCK_BOOTTIME) / (NS_PER_SEC / sysconf(_SC_CLK_TCK)));
}

static void counters_are_what_was_used_since_the_scan_before(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.usage", "1000\n");
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.stat", "user 10\nsystem 10\n");
    write_file(*state, "memory/docker/" ID "/memory.usage_in_bytes", "5000\n");
    write_file(*state, "memory/docker/" ID "/memory.stat",
               "total_rss 100\ntotal_inactive_file 1000\ntotal_pgfault 30\ntotal_pgmajfault 3\n");
    scan(&k);
    assert_int_equal(k.count, 1);
    const struct usage_reading *r = find(&k, "/docker/" ID);
    assert_string_equal(k.containers[0], ID);
    assert_int_equal(r->span_ns, 0);
    assert_true(r->figures[USAGE_cpu_user_ns] == USAGE_UNKNOWN);
    assert_int_equal(r->figures[USAGE_memory_bytes], 5000);
    assert_int_equal(r->figures[USAGE_working_set_bytes], 4000);
    assert_int_equal(r->figures[USAGE_rss_bytes], 100);

    write_file(*state, "cpuacct/docker/" ID "/cpuacct.usage", "4000\n");
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.stat", "user 30\nsystem 10\n");
    write_file(*state, "memory/docker/" ID "/memory.stat",
               "total_rss 100\ntotal_inactive_file 6000\ntotal_pgfault 45\ntotal_pgmajfault 5\n");
    scan(&k);
    assert_true(k.readings[0].span_ns > 0);
    assert_int_equal(k.readings[0].figures[USAGE_cpu_user_ns], 2500);
    assert_int_equal(k.readings[0].figures[USAGE_cpu_system_ns], 500);
    assert_int_equal(k.readings[0].figures[USAGE_minor_faults], 13);
    assert_int_equal(k.readings[0].figures[USAGE_major_faults], 2);
    assert_int_equal(k.readings[0].figures[USAGE_working_set_bytes], 0);
    assert_true(k.readings[0].figures[USAGE_periods] == USAGE_UNKNOWN);
    assert_true(k.readings[0].figures[USAGE_net_rx_bytes] == USAGE_UNKNOWN);
    assert_false(k.readings[0].summed & 1u << USAGE_cpu_user_ns);
    free_kit(&k);
}

static void shares_that_shrink_leave_the_whole_exact(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.usage", "1000\n");
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.stat", "user 1\nsystem 1\n");
    scan(&k);
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.usage", "1100\n");
    write_file(*state, "cpuacct/docker/" ID "/cpuacct.stat", "user 1\nsystem 9\n");
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_cpu_user_ns], 0);
    assert_int_equal(k.readings[0].figures[USAGE_cpu_system_ns], 100);
    free_kit(&k);
}

static void a_container_that_is_new_counts_from_its_beginning(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    scan(&k);
    assert_int_equal(k.count, 0);
    write_file(*state, "unified/system.slice/docker-" ID ".scope/cpu.stat",
               "usage_usec 7\nuser_usec 5\nsystem_usec 2\n");
    scan(&k);
    const struct usage_reading *r = find(&k, "/system.slice/docker-" ID ".scope");
    assert_true(r->span_ns > 0);
    assert_int_equal(r->figures[USAGE_cpu_user_ns], 5000);
    free_kit(&k);
}

static void what_lies_below_a_container_is_part_of_it(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "memory/lxc.payload.web/system.slice/nginx.service/cgroup.procs", "100\n");
    write_file(*state, "memory/lxc.payload.web/cgroup.procs", "99\n");
    write_process(*state, 99, 1, 5, 1);
    write_process(*state, 100, 99, 5, 1);
    scan(&k);
    assert_int_equal(k.count, 1);
    assert_string_equal(k.containers[0], "web");
    assert_int_equal(k.process_count, 2);
    assert_int_equal(k.readings[0].figures[USAGE_processes], 2);
    assert_int_equal(k.readings[0].figures[USAGE_threads], 4);
    free_kit(&k);
}

static void a_unit_has_what_its_containers_use(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/k3s.service/kubepods/pod1/" ID "/cgroup.procs",
               "100\n");
    write_file(*state, "systemd/system.slice/k3s.service/cgroup.procs", "99\n");
    write_process(*state, 99, 1, 5, 1);
    write_process(*state, 100, 99, 5, 1);
    scan(&k);
    const struct usage_reading *unit = find(&k, "/system.slice/k3s.service");
    assert_int_equal(k.count, 2);
    assert_int_equal(unit->figures[USAGE_virtual_bytes], 2 * 4096000);
    assert_int_equal(
        find(&k, "/system.slice/k3s.service/kubepods/pod1/" ID)->figures[USAGE_virtual_bytes],
        4096000);
    assert_int_equal(k.process_count, 2); /* each is told once */
    free_kit(&k);
}

static void slices_and_the_root_are_not_told(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "unified/cpu.stat", "user_usec 5\n");
    write_file(*state, "unified/system.slice/cpu.stat", "user_usec 5\n");
    write_file(*state, "unified/kubepods/burstable/cpu.stat", "user_usec 5\n");
    write_file(*state, "unified/system.slice/cron.service/cpu.stat", "user_usec 5\n");
    scan(&k);
    assert_int_equal(k.count, 1);
    assert_true(has(&k, "/system.slice/cron.service"));
    free_kit(&k);
}

static void processes_serve_where_a_controller_is_missing(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "50\n51\n");
    write_process(*state, 50, 1, 5, 100);
    write_process(*state, 51, 1, 5, 100);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_rss_bytes], 20 * sysconf(_SC_PAGESIZE));
    assert_true(k.readings[0].figures[USAGE_char_read_bytes] == USAGE_UNKNOWN);
    write_process(*state, 50, 1, 5, 130);
    write_process(*state, 51, 1, 5, 101);
    scan(&k);
    const uint64_t *f = k.readings[0].figures;
    assert_int_equal(f[USAGE_cpu_user_ns], 31 * (NS_PER_SEC / sysconf(_SC_CLK_TCK)));
    assert_int_equal(f[USAGE_minor_faults], 31);
    assert_int_equal(f[USAGE_block_write_bytes], 31);
    assert_int_equal(f[USAGE_char_read_bytes], 31);
    assert_true(f[USAGE_memory_bytes] == USAGE_UNKNOWN);
    assert_true(f[USAGE_throttled_ns] == USAGE_UNKNOWN);
    assert_true(k.readings[0].summed & 1u << USAGE_cpu_user_ns);
    assert_true(k.readings[0].summed & 1u << USAGE_rss_bytes);
    assert_false(k.readings[0].summed & 1u << USAGE_memory_bytes);
    free_kit(&k);
}

/* wait(2) hands a child's counts to its parent: 40 of them were counted before. */
static void what_a_dead_child_did_is_counted_once(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "50\n51\n");
    write_process(*state, 50, 1, 5, 100);
    write_process(*state, 51, 50, 5, 40);
    scan(&k);
    remove_process(*state, 51);
    write_process(*state, 50, 1, 5, 100 + 45 + 2);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_char_write_bytes], 5 + 2);
    free_kit(&k);
}

static void a_child_that_was_not_waited_for_takes_nothing_away(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "50\n51\n");
    write_process(*state, 50, 1, 5, 100);
    write_process(*state, 51, 50, 5, 40);
    scan(&k);
    remove_process(*state, 51);
    write_process(*state, 50, 1, 5, 139);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_char_write_bytes], 39);
    free_kit(&k);
}

static void a_grandchild_goes_to_the_nearest_that_lives(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "50\n51\n52\n");
    write_process(*state, 50, 1, 5, 100);
    write_process(*state, 51, 50, 5, 40);
    write_process(*state, 52, 51, 5, 20);
    scan(&k);
    remove_process(*state, 51);
    remove_process(*state, 52);
    write_process(*state, 50, 1, 5, 100 + 40 + 20 + 3);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_char_read_bytes], 3);
    free_kit(&k);
}

static void a_process_counts_from_its_start_or_not_before_it_was_seen(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "");
    scan(&k);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "60\n61\n");
    write_process(*state, 60, 1, 5, 1000);            /* moved in from elsewhere */
    write_process(*state, 61, 1, now_ticks() + 1, 7); /* began just now */
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_char_write_bytes], 7);
    /* Its pid is another's now. */
    write_process(*state, 60, 1, now_ticks() + 1, 2);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_char_write_bytes], 2);
    free_kit(&k);
}

static void what_may_not_be_read_is_unknown_and_not_0(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "systemd/system.slice/a.service/cgroup.procs", "50\n51\n");
    write_process(*state, 50, 1, 5, 1);
    write_process(*state, 51, 1, 5, 1);
    write_file(*state, "proc/51/io", "refused\n");
    scan(&k);
    write_process(*state, 50, 1, 5, 3);
    scan(&k);
    assert_true(k.readings[0].figures[USAGE_char_write_bytes] == USAGE_UNKNOWN);
    assert_true(k.readings[0].figures[USAGE_block_read_bytes] == USAGE_UNKNOWN);
    assert_int_equal(k.readings[0].figures[USAGE_minor_faults], 2);
    free_kit(&k);
}

#define NET_DEV "a|\nb|\n lo: 9 0 0 0 0 0 0 0 9 0\neth0: %u 0 0 0 0 0 0 0 %u 0\n"

static void a_pods_traffic_is_that_of_its_own_network(void **state)
{
    struct kit k;
    char text[256];
    make_kit(&k, *state);
    write_file(*state, "memory/docker/" ID "/cgroup.procs", "50\n");
    write_file(*state, "memory/docker/" ID2 "/cgroup.procs", "51\n");
    write_process(*state, 50, 1, 5, 1);
    write_process(*state, 51, 1, 5, 1);
    /* 51 is in the node's own network: what makes a namespace is its inode. */
    struct temp_dir *dir = *state;
    snprintf(text, sizeof(text), NET_DEV, 1000, 2000);
    write_file(dir, "proc/50/net/dev", text);
    assert_int_equal(mkdirat(dir->fd, "proc/51/net", 0755), 0);
    assert_int_equal(linkat(dir->fd, "proc/1/net/dev", dir->fd, "proc/51/net/dev", 0), 0);
    write_file(dir, "proc/51/net/dev", text);
    scan(&k);
    snprintf(text, sizeof(text), NET_DEV, 1010, 2500);
    write_file(dir, "proc/50/net/dev", text);
    write_file(dir, "proc/51/net/dev", text);
    scan(&k);
    const struct usage_reading *own = find(&k, "/docker/" ID), *host = find(&k, "/docker/" ID2);
    assert_int_equal(own->figures[USAGE_net_rx_bytes], 10);
    assert_int_equal(own->figures[USAGE_net_tx_bytes], 500);
    assert_true(own->network != 0);
    assert_true(host->figures[USAGE_net_rx_bytes] == USAGE_UNKNOWN);
    assert_int_equal(host->network, 0);
    free_kit(&k);
}

static void write_network(const struct temp_dir *dir, unsigned pid, unsigned rx, unsigned tx)
{
    char path[64], text[256];
    snprintf(path, sizeof(path), "proc/%u/net/dev", pid);
    snprintf(text, sizeof(text), NET_DEV, rx, tx);
    write_file(dir, path, text);
}

static void a_network_that_is_met_late_counts_from_then_on(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "memory/docker/" ID "/cgroup.procs", "50\n");
    write_process(*state, 50, 1, 5, 1);
    scan(&k);
    write_network(*state, 50, 1000, 2000); /* it could not be read before */
    scan(&k);
    assert_true(k.readings[0].network != 0);
    assert_true(k.readings[0].figures[USAGE_net_rx_bytes] == USAGE_UNKNOWN);
    assert_true(k.readings[0].figures[USAGE_net_tx_bytes] == USAGE_UNKNOWN);
    write_network(*state, 50, 1007, 2009);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_net_rx_bytes], 7);
    assert_int_equal(k.readings[0].figures[USAGE_net_tx_bytes], 9);
    free_kit(&k);
}

static void a_network_that_is_new_counts_from_its_beginning(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    scan(&k);
    write_file(*state, "memory/docker/" ID "/cgroup.procs", "50\n");
    write_process(*state, 50, 1, now_ticks() + 1, 1);
    write_network(*state, 50, 1000, 2000);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_net_rx_bytes], 1000);
    assert_int_equal(k.readings[0].figures[USAGE_net_tx_bytes], 2000);
    free_kit(&k);
}

static void another_process_tells_the_network_when_the_first_has_gone(void **state)
{
    struct kit k;
    make_kit(&k, *state);
    write_file(*state, "memory/docker/" ID "/cgroup.procs", "50\n51\n");
    write_process(*state, 50, 1, 5, 1);
    write_process(*state, 51, 1, 5, 1);
    write_network(*state, 51, 1000, 2000);
    scan(&k);
    assert_true(k.readings[0].network != 0);
    write_network(*state, 51, 1001, 2002);
    scan(&k);
    assert_int_equal(k.readings[0].figures[USAGE_net_rx_bytes], 1);
    assert_int_equal(k.readings[0].figures[USAGE_net_tx_bytes], 2);
    free_kit(&k);
}

static void remove_unit(const struct temp_dir *dir, unsigned unit)
{
    char path[64], procs[96];
    snprintf(path, sizeof(path), "unified/system.slice/u%u.service", unit);
    snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
    remove_file(dir, procs);
    assert_int_equal(unlinkat(dir->fd, path, AT_REMOVEDIR), 0);
}

static void beyond_the_limits_it_is_counted(void **state)
{
    struct kit k;
    char path[64], text[128] = "";
    make_kit(&k, *state);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(path, sizeof(path), "unified/system.slice/u%u.service/cgroup.procs", i);
        write_file(*state, path, "");
    }
    scan(&k);
    assert_int_equal(k.count, 8);
    assert_int_equal(usage_scan_dropped(k.scanner), 2);
    free_kit(&k);

    make_kit(&k, *state);
    for (unsigned i = 1; i < 10; i++)
        remove_unit(*state, i);
    for (unsigned i = 0; i < 9; i++) {
        write_process(*state, 70 + i, 1, 5, 1);
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%u\n", 70 + i);
    }
    write_file(*state, "unified/system.slice/u0.service/cgroup.procs", text);
    scan(&k);
    assert_int_equal(k.process_count, 8);
    assert_int_equal(usage_scan_dropped(k.scanner), 1);
    assert_true(k.readings[0].figures[USAGE_rss_bytes] == USAGE_UNKNOWN);
    free_kit(&k);
}

static unsigned unit_of(const char *path)
{
    unsigned unit = 99;
    assert_int_equal(sscanf(path, "/system.slice/u%u.service", &unit), 1);
    assert_in_range(unit, 0, 9);
    return unit;
}

/* What it counts is of all its life. */
static void what_the_limits_hid_before_is_not_new(void **state)
{
    struct kit k;
    char path[64];
    bool told[10] = {false};
    make_kit(&k, *state);
    for (unsigned i = 0; i < 10; i++) {
        snprintf(path, sizeof(path), "unified/system.slice/u%u.service/cgroup.procs", i);
        write_file(*state, path, "");
    }
    scan(&k);
    for (unsigned i = 0; i < 8; i++)
        told[unit_of(k.paths[i])] = true;
    remove_unit(*state, unit_of(k.paths[0]));
    remove_unit(*state, unit_of(k.paths[1]));
    scan(&k);
    assert_int_equal(k.count, 8);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(k.readings[i].span_ns > 0, told[unit_of(k.paths[i])]);
    scan(&k);
    for (unsigned i = 0; i < 8; i++)
        assert_true(k.readings[i].span_ns > 0);
    free_kit(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_TEMP_DIR(counters_are_what_was_used_since_the_scan_before),
        IN_A_TEMP_DIR(shares_that_shrink_leave_the_whole_exact),
        IN_A_TEMP_DIR(a_container_that_is_new_counts_from_its_beginning),
        IN_A_TEMP_DIR(what_lies_below_a_container_is_part_of_it),
        IN_A_TEMP_DIR(a_unit_has_what_its_containers_use),
        IN_A_TEMP_DIR(slices_and_the_root_are_not_told),
        IN_A_TEMP_DIR(processes_serve_where_a_controller_is_missing),
        IN_A_TEMP_DIR(what_a_dead_child_did_is_counted_once),
        IN_A_TEMP_DIR(a_child_that_was_not_waited_for_takes_nothing_away),
        IN_A_TEMP_DIR(a_grandchild_goes_to_the_nearest_that_lives),
        IN_A_TEMP_DIR(a_process_counts_from_its_start_or_not_before_it_was_seen),
        IN_A_TEMP_DIR(what_may_not_be_read_is_unknown_and_not_0),
        IN_A_TEMP_DIR(a_pods_traffic_is_that_of_its_own_network),
        IN_A_TEMP_DIR(a_network_that_is_met_late_counts_from_then_on),
        IN_A_TEMP_DIR(a_network_that_is_new_counts_from_its_beginning),
        IN_A_TEMP_DIR(another_process_tells_the_network_when_the_first_has_gone),
        IN_A_TEMP_DIR(beyond_the_limits_it_is_counted),
        IN_A_TEMP_DIR(what_the_limits_hid_before_is_not_new),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
