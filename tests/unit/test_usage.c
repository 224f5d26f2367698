/* test_usage.c: what the kernel's files say of a cgroup, a process and a network, as recorded in
 * tests/golden/usage, is read as it stands there; of command lines no secret is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "k8s/cgroup.h"
#include "k8s/usage_files.h"

#define TICK_NS 10000000

static int golden_fd = -1;

static const char *read_golden(struct buf *text, const char *name)
{
    text->len = 0;
    assert_int_equal(fs_read_at(golden_fd, name, 1 << 20, text, NULL), 0);
    return (const char *)text->data;
}

/* parse(text, length, ...) of a golden file. */
#define OF_GOLDEN(parse, name, ...)                            \
    ({                                                         \
        read_golden(&text, name);                              \
        parse((const char *)text.data, text.len, __VA_ARGS__); \
    })

/* ---- cgroups */

static void a_v2_cgroup_is_read(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    assert_int_equal(OF_GOLDEN(usage_parse_cpu_stat, "v2.cpu.stat", f), 0);
    assert_int_equal(f[USAGE_cpu_user_ns], 884138000);
    assert_int_equal(f[USAGE_cpu_system_ns], 136320000);
    assert_int_equal(f[USAGE_periods], 51);
    assert_int_equal(f[USAGE_throttled_periods], 50);
    assert_int_equal(f[USAGE_throttled_ns], 3961663000);
    assert_int_equal(OF_GOLDEN(usage_parse_number, "v2.memory.current", &f[USAGE_memory_bytes]), 0);
    assert_int_equal(OF_GOLDEN(usage_parse_memory_stat, "v2.memory.stat", f), 0);
    assert_int_equal(f[USAGE_memory_bytes], 8630272);
    assert_int_equal(f[USAGE_working_set_bytes], 8630272);
    assert_int_equal(f[USAGE_rss_bytes], 4096);
    assert_int_equal(f[USAGE_minor_faults], 369);
    assert_int_equal(f[USAGE_major_faults], 0);
}

static void without_the_cpu_controller_throttling_is_unknown(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    assert_int_equal(OF_GOLDEN(usage_parse_cpu_stat, "hybrid.cpu.stat", f), 0);
    assert_int_equal(f[USAGE_cpu_user_ns], 0);
    assert_true(f[USAGE_periods] == USAGE_UNKNOWN);
    assert_true(f[USAGE_throttled_ns] == USAGE_UNKNOWN);
}

static void a_v1_cgroup_is_read(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    assert_int_equal(OF_GOLDEN(usage_parse_cpu_stat_v1, "v1.cpu.stat", f), 0);
    assert_int_equal(f[USAGE_periods], 51);
    assert_int_equal(f[USAGE_throttled_periods], 51);
    assert_int_equal(f[USAGE_throttled_ns], 4000149799);
    assert_int_equal(OF_GOLDEN(usage_parse_cpuacct_stat, "v1.cpuacct.stat", f, TICK_NS), 0);
    assert_int_equal(f[USAGE_cpu_user_ns], 800000000);
    assert_int_equal(f[USAGE_cpu_system_ns], 60000000);
    assert_int_equal(
        OF_GOLDEN(usage_parse_number, "v1.memory.usage_in_bytes", &f[USAGE_memory_bytes]), 0);
    assert_int_equal(OF_GOLDEN(usage_parse_memory_stat, "v1.memory.stat", f), 0);
    assert_int_equal(f[USAGE_memory_bytes], 8540160);
    assert_int_equal(f[USAGE_working_set_bytes], 8540160);
    assert_int_equal(f[USAGE_rss_bytes], 135168);
    assert_int_equal(f[USAGE_minor_faults], 363);
}

static void a_v1_cgroups_memory_is_that_of_all_below_it(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    f[USAGE_memory_bytes] = 2000000000;
    assert_int_equal(OF_GOLDEN(usage_parse_memory_stat, "v1.memory.stat.parent", f), 0);
    assert_int_equal(f[USAGE_working_set_bytes], 2000000000 - 1132843008);
    assert_int_equal(f[USAGE_rss_bytes], 165425152);
    assert_int_equal(f[USAGE_minor_faults], 110562447 - 7507);
    assert_int_equal(f[USAGE_major_faults], 7507);
}

/* What the tick saw is a sample: on this kernel 868 of 1022 ms. */
static void time_that_ticks_missed_is_shared_out(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t total, user, system, f[USAGE_FIGURE_COUNT];
    OF_GOLDEN(usage_parse_number, "v1.cpuacct.usage", &total);
    OF_GOLDEN(usage_parse_number, "v1.cpuacct.usage_user", &user);
    OF_GOLDEN(usage_parse_number, "v1.cpuacct.usage_sys", &system);
    usage_split_cpu(total, user, system, f);
    assert_int_equal(f[USAGE_cpu_user_ns] + f[USAGE_cpu_system_ns], 1022259776);
    assert_int_equal(f[USAGE_cpu_user_ns], 946885783);
    usage_split_cpu(1000, 0, 0, f);
    assert_int_equal(f[USAGE_cpu_user_ns], 1000);
    usage_split_cpu(UINT64_MAX - 1, UINT64_MAX - 1, UINT64_MAX - 1, f);
    assert_int_equal(f[USAGE_cpu_user_ns], (UINT64_MAX - 1) / 2);
}

static void disks_are_added_up(void **state)
{
    uint64_t f[USAGE_FIGURE_COUNT];
    static const char v2[] = "254:0 rbytes=4096 wbytes=100 rios=1 wios=2 dbytes=7 dios=0\n"
                             "7:0\n"
                             "8:16 rbytes=1 wbytes=2 rios=0 wios=0 dbytes=0 dios=0 cost.usage=9\n";
    usage_clear(f);
    assert_int_equal(usage_parse_io_stat(v2, sizeof(v2) - 1, f), 0);
    assert_int_equal(f[USAGE_block_read_bytes], 4097);
    assert_int_equal(f[USAGE_block_write_bytes], 102);
    static const char v1[] =
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 3\n"
        "8:0 Total 12291\n8:16 Read 1\n8:16 Write 0\nTotal 12292\n";
    assert_int_equal(usage_parse_blkio(v1, sizeof(v1) - 1, f), 0);
    assert_int_equal(f[USAGE_block_read_bytes], 4097);
    assert_int_equal(f[USAGE_block_write_bytes], 8192);
}

static void a_v2_cgroup_without_disks_has_read_nothing(void **state)
{
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    assert_int_equal(usage_parse_io_stat("", 0, f), 0);
    assert_int_equal(f[USAGE_block_read_bytes], 0);
}

/* The kernel counts there only where a limit was set. */
static void of_a_v1_cgroup_without_disks_nothing_is_known(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t f[USAGE_FIGURE_COUNT];
    usage_clear(f);
    assert_int_equal(
        OF_GOLDEN(usage_parse_blkio, "v1.blkio.throttle.io_service_bytes_recursive", f), -EBADMSG);
    assert_true(f[USAGE_block_read_bytes] == USAGE_UNKNOWN);
}

static void what_makes_no_sense_changes_nothing(void **state)
{
    static const char *const texts[] = {
        "",       "\n",   "18446744073709551616\n", "18446744073709551615\n", "-1\n", "12x\n",
        "1\n2\n", " 1\n",
    };
    uint64_t value = 7;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_int_equal(usage_parse_number(texts[i], strlen(texts[i]), &value), -EBADMSG);
    assert_int_equal(value, 7);
    uint64_t f[USAGE_FIGURE_COUNT], none[USAGE_FIGURE_COUNT];
    usage_clear(f);
    usage_clear(none);
    static const char stat[] = "user_usec 18446744073709551\nuser_usec\nuser_usec x\n usage_usec 1";
    assert_int_equal(usage_parse_cpu_stat(stat, sizeof(stat) - 1, f), -EBADMSG);
    static const char io[] = "8:0 rbytes=18446744073709551614\n8:1 rbytes=1\n";
    assert_int_equal(usage_parse_io_stat(io, sizeof(io) - 1, f), -EBADMSG);
    static const char blkio[] = "8:0 Read x\n";
    assert_int_equal(usage_parse_blkio(blkio, sizeof(blkio) - 1, f), -EBADMSG);
    assert_memory_equal(f, none, sizeof(f));
}

static void pids_of_other_namespaces_are_left_out(void **state)
{
    static const char text[] = "12\n0\n4711\nx\n99999999999\n13\n";
    uint32_t pids[2];
    bool more;
    assert_int_equal(usage_parse_pids(text, sizeof(text) - 1, pids, 2, &more), 2);
    assert_int_equal(pids[0], 12);
    assert_int_equal(pids[1], 4711);
    assert_true(more);
    assert_int_equal(usage_parse_pids(text, 5, pids, 2, &more), 1);
    assert_false(more);
}

/* ---- processes */

static void a_process_is_read(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    struct usage_stat stat;
    assert_int_equal(OF_GOLDEN(usage_parse_stat, "proc.stat", &stat), 0);
    assert_string_equal(stat.name, "sh");
    assert_int_equal(stat.ppid, 154);
    assert_int_equal(stat.threads, 1);
    assert_int_equal(stat.start, 299);
    assert_int_equal(stat.image, 140729273844992);
    assert_int_equal(stat.user, 88);
    assert_int_equal(stat.system, 1);
    assert_int_equal(stat.rss, 395);
    assert_int_equal(stat.virtual_bytes, 2314240);
    assert_int_equal(stat.tally[TALLY_USER], 88);
    assert_int_equal(stat.tally[TALLY_SYSTEM], 13);
    assert_int_equal(stat.tally[TALLY_MINOR], 84 + 351);
    assert_true(stat.tally[TALLY_CHAR_READ] == USAGE_UNKNOWN);
    assert_int_equal(OF_GOLDEN(usage_parse_io, "proc.io", stat.tally), 0);
    assert_int_equal(stat.tally[TALLY_CHAR_READ], 16778848);
    assert_int_equal(stat.tally[TALLY_CHAR_WRITE], 16777251);
    assert_int_equal(stat.tally[TALLY_BLOCK_WRITE], 0);
}

static void a_name_may_hold_anything(void **state)
{
    static const char text[] =
        "7 (a) R 1 (b)\n) S 154 0 0 0 -1 4194304 84 351 0 0 88 1 0 12 20 0 3 "
        "0 299 2314240 395 1 1 1 77 0";
    struct usage_stat stat;
    assert_int_equal(usage_parse_stat(text, sizeof(text) - 1, &stat), 0);
    assert_string_equal(stat.name, "a) R 1 (b)?");
    assert_int_equal(stat.ppid, 154);
    assert_int_equal(stat.threads, 3);
    assert_int_equal(stat.image, 77);
    for (size_t len = 0; len < sizeof(text) - 5; len++)
        assert_int_equal(usage_parse_stat(text, len, &stat), -EBADMSG);
}

static void resident_memory_is_the_second_number(void **state)
{
    uint64_t pages = 0;
    assert_int_equal(usage_parse_statm("905 424 340 5 0 119 0\n", 22, &pages), 0);
    assert_int_equal(pages, 424);
    assert_int_equal(usage_parse_statm("905", 3, &pages), -EBADMSG);
    assert_int_equal(usage_parse_statm("905 -1 2", 8, &pages), -EBADMSG);
    assert_int_equal(pages, 424);
}

static void half_of_what_a_process_read_is_not_believed(void **state)
{
    uint64_t tally[TALLY_COUNT];
    static const char text[] = "rchar: 1\nwchar: 2\nread_bytes: 3\n";
    assert_int_equal(usage_parse_io(text, sizeof(text) - 1, tally), -EBADMSG);
}

/* ---- networks */

static void all_interfaces_but_lo_are_added_up(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    uint64_t rx, tx, eth_rx, eth_tx;
    const char *at = strstr(read_golden(&text, "proc.net.dev"), "eth0:");
    assert_non_null(at);
    assert_int_equal(
        sscanf(at, "eth0: %" SCNu64 " %*u %*u %*u %*u %*u %*u %*u %" SCNu64, &eth_rx, &eth_tx), 2);
    assert_int_equal(OF_GOLDEN(usage_parse_net_dev, "proc.net.dev", &rx, &tx), 0);
    assert_int_equal(rx, eth_rx); /* the others are idle */
    assert_int_equal(tx, eth_tx);
    static const char two[] =
        "a|\nb|\n lo:1 1 1 1 1 1 1 1 1 1\neth0:1:10 0 0 0 0 0 0 0 20 0\n  e:5 0 "
        "0 0 0 0 0 0 6";
    assert_int_equal(usage_parse_net_dev(two, sizeof(two) - 1, &rx, &tx), 0);
    assert_int_equal(rx, 15);
    assert_int_equal(tx, 26);
    static const char short_line[] = "a|\nb|\n e0: 1 2 3\n";
    assert_int_equal(usage_parse_net_dev(short_line, sizeof(short_line) - 1, &rx, &tx), -EBADMSG);
    assert_int_equal(rx, 15);
}

/* ---- command lines */

static void arguments_are_not_shown(void **state)
{
    static const struct {
        const char *exe, *line, *shown;
    } rows[] = {
        {"/usr/bin/mysqld", "mysqld\0--password=geheim\0", "/usr/bin/mysqld"},
        {"/usr/bin/mysqld", "", "/usr/bin/mysqld"},
        /* What a process calls itself is its own affair. */
        {"/usr/bin/postgres", "postgres: admin secret 10.0.0.1\0", "/usr/bin/postgres"},
        {"/usr/bin/python3.11", "python3\0-u\0-W\0ignore\0/app/main.py\0--token\0geheim\0",
         "/usr/bin/python3.11 /app/main.py"},
        {"/usr/bin/python3.11", "python3\0-Wignore\0-m\0http.server\0geheim\0",
         "/usr/bin/python3.11 http.server"},
        {"/usr/bin/python3.11", "python3\0-c\0print('geheim')\0", "/usr/bin/python3.11"},
        {"/usr/bin/python3.11", "python3\0-uc\0print('geheim')\0", "/usr/bin/python3.11"},
        {"/usr/bin/python3.11", "gunicorn: worker [geheim]\0\0\0\0", "/usr/bin/python3.11"},
        {"/usr/bin/node", "node\0--max-old-space-size=512\0--require\0geheim\0server\0x\0",
         "/usr/bin/node server"},
        /* It might be the value of an option that is not known. */
        {"/usr/bin/node", "node\0--new-option\0geheim\0server.js\0", "/usr/bin/node"},
        {"/usr/bin/node", "node\0--new-option\0server.js\0", "/usr/bin/node server.js"},
        {"/usr/bin/node", "node\0-pe\0geheim\0", "/usr/bin/node"},
        {"/usr/bin/node", "node\0--eval=geheim\0x.js\0", "/usr/bin/node"},
        {"/usr/bin/java",
         "java\0-Xmx1g\0-Dpassword=geheim\0-cp\0/a.jar:/b.jar\0-server\0com.example.Main\0geheim\0",
         "/usr/bin/java com.example.Main"},
        {"/usr/bin/java", "java\0-javaagent:/x.jar=geheim\0-jar\0/app.jar\0geheim\0",
         "/usr/bin/java /app.jar"},
        {"/usr/bin/java", "java\0--add-opens\0java.base/java.lang=ALL-UNNAMED\0-m\0m/c\0",
         "/usr/bin/java m/c"},
        {"/usr/bin/ruby2.7", "ruby\0-W0\0-Ilib\0-r\0geheim\0/usr/bin/puma\0-C\0x\0",
         "/usr/bin/ruby2.7 /usr/bin/puma"},
        {"/usr/bin/perl", "perl\0-wT\0-Mstrict\0job.pl\0geheim\0", "/usr/bin/perl job.pl"},
        {"/usr/bin/perl", "perl\0-ne\0geheim\0", "/usr/bin/perl"},
        {"/usr/bin/php8.2", "php\0-d\0memory_limit=1\0-f\0artisan\0geheim\0",
         "/usr/bin/php8.2 artisan"},
        {"/usr/bin/perl", "perl\0-pi\0-e\0s/geheim//\0f\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-pi.bak\0-e\0s/geheim//\0f\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-lne\0geheim\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-0777ne\0geheim\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-0xFFne\0geheim\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-de\0geheim\0", "/usr/bin/perl"},
        {"/usr/bin/perl", "perl\0-l\0job.pl\0geheim\0", "/usr/bin/perl job.pl"},
        {"/usr/bin/perl", "perl\0-C\0job.pl\0geheim\0", "/usr/bin/perl job.pl"},
        {"/usr/bin/perl", "perl\0-d:NYTProf\0job\0geheim\0", "/usr/bin/perl job"},
        {"/usr/bin/perl", "perl\0-I\0lib\0job\0geheim\0", "/usr/bin/perl job"},
        {"/usr/bin/ruby", "ruby\0-W\0app.rb\0geheim\0", "/usr/bin/ruby app.rb"},
        {"/usr/bin/ruby", "ruby\0-W:no-deprecated\0app\0geheim\0", "/usr/bin/ruby app"},
        {"/usr/bin/ruby", "ruby\0-W0e\0geheim\0", "/usr/bin/ruby"},
        {"/usr/bin/ruby", "ruby\0-i\0app.rb\0geheim\0", "/usr/bin/ruby app.rb"},
        {"/usr/bin/ruby", "ruby\0-pi\0-e\0geheim\0", "/usr/bin/ruby"},
        {"/usr/bin/ruby", "ruby\0-Kue\0geheim\0", "/usr/bin/ruby"},
        {"/usr/bin/ruby", "ruby\0-Ku\0app.rb\0geheim\0", "/usr/bin/ruby app.rb"},
        {"/usr/bin/php8.2", "php\0--file=x.php\0geheim\0", "/usr/bin/php8.2 x.php"},
        {"/usr/bin/php8.2", "php\0--file=\0geheim\0", "/usr/bin/php8.2"},
        {"/usr/bin/java", "java\0--module=m/c\0geheim\0", "/usr/bin/java m/c"},
        {"/bin/bash", "-bash\0", "/bin/bash"},
        {"/bin/bash", "bash\0-eo\0pipefail\0/run.sh\0geheim\0", "/bin/bash /run.sh"},
        {"/bin/dash", "sh\0-c\0curl -u geheim\0", "/bin/dash"},
        {"/bin/dash", "sh\0-ec\0curl -u geheim\0", "/bin/dash"},
        {"/bin/sh", "sh\0--\0/x\0geheim\0", "/bin/sh /x"},
        {"/bin/bash", "bash\0-\0geheim\0", "/bin/bash"},
        {"/usr/bin/pythonic", "pythonic\0geheim\0", "/usr/bin/pythonic"},
        {"[kthreadd]", "", "[kthreadd]"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char shown[USAGE_COMMAND_MAX];
        size_t len = 0;
        while (rows[i].line[len] || (len && rows[i].line[len - 1] && rows[i].line[len + 1]))
            len += strlen(rows[i].line + len) + 1;
        usage_show_command(rows[i].exe, rows[i].line, len, false, shown);
        assert_string_equal(shown, rows[i].shown);
        assert_null(strstr(shown, "geheim"));
    }
}

static void all_arguments_are_kept_where_that_is_asked_for(void **state)
{
    static const char line[] = "sh\0-c\0a\nb\0";
    char shown[USAGE_COMMAND_MAX], *long_line = malloc(20000);
    usage_show_command("/bin/sh", line, sizeof(line) - 1, true, shown);
    assert_string_equal(shown, "/bin/sh -c a b");
    assert_non_null(long_line);
    memset(long_line, 'a', 20000);
    long_line[2] = 0;
    usage_show_command("/bin/sh", long_line, 20000, true, shown);
    assert_int_equal(strlen(shown), USAGE_COMMAND_MAX - 1);
    free(long_line);
}

/* ---- mounts */

static void each_controllers_hierarchy_is_found(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    char path[CGROUP_PATH_MAX];
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "hybrid.mountinfo", NULL, path), 0);
    assert_string_equal(path, "/sys/fs/cgroup/unified");
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "hybrid.mountinfo", "cpu", path), 0);
    assert_string_equal(path, "/sys/fs/cgroup/cpu");
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "hybrid.mountinfo", "name=systemd", path), 0);
    assert_string_equal(path, "/sys/fs/cgroup/systemd");
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "hybrid.mountinfo", "perf_event", path),
                     -ENOENT);
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "v1.mountinfo", NULL, path), -ENOENT);
    assert_int_equal(OF_GOLDEN(cgroup_find_hierarchy, "v1.mountinfo", "memory", path), 0);
    static const char joint[] =
        "36 33 0:31 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
    assert_int_equal(cgroup_find_hierarchy(joint, sizeof(joint) - 1, "cpuacct", path), 0);
    assert_string_equal(path, "/sys/fs/cgroup/cpu,cpuacct");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_v2_cgroup_is_read),
        cmocka_unit_test(without_the_cpu_controller_throttling_is_unknown),
        cmocka_unit_test(a_v1_cgroup_is_read),
        cmocka_unit_test(a_v1_cgroups_memory_is_that_of_all_below_it),
        cmocka_unit_test(time_that_ticks_missed_is_shared_out),
        cmocka_unit_test(disks_are_added_up),
        cmocka_unit_test(a_v2_cgroup_without_disks_has_read_nothing),
        cmocka_unit_test(of_a_v1_cgroup_without_disks_nothing_is_known),
        cmocka_unit_test(what_makes_no_sense_changes_nothing),
        cmocka_unit_test(pids_of_other_namespaces_are_left_out),
        cmocka_unit_test(a_process_is_read),
        cmocka_unit_test(a_name_may_hold_anything),
        cmocka_unit_test(resident_memory_is_the_second_number),
        cmocka_unit_test(half_of_what_a_process_read_is_not_believed),
        cmocka_unit_test(all_interfaces_but_lo_are_added_up),
        cmocka_unit_test(arguments_are_not_shown),
        cmocka_unit_test(all_arguments_are_kept_where_that_is_asked_for),
        cmocka_unit_test(each_controllers_hierarchy_is_found),
    };
    const char *top = getenv("top_srcdir");
    char dir[4096];
    snprintf(dir, sizeof(dir), "%s/tests/golden/usage", top ? top : ".");
    golden_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (golden_fd < 0) {
        perror(dir);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
