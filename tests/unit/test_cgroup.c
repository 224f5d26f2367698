/* test_cgroup.c: every form of path seen in the field names its pod and container; hierarchies are
 * found and walked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "k8s/cgroup.h"

static struct cgroup_id parse(const char *path)
{
    struct cgroup_id id;
    memset(&id, 0xff, sizeof(id));
    cgroup_parse_path(path, strlen(path), &id);
    return id;
}

/* The golden file says "-" for nothing and, where no runtime is named, what the path is instead. */
static const char *golden_runtime(const char *word)
{
    static const char *const none[] = {"unknown", "none",         "systemd",       "session",
                                       "k8s-pod", "crio-monitor", "podman-monitor"};
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        if (strcmp(word, none[i]) == 0)
            return "";
    return word;
}

static void every_path_seen_in_the_field_is_read(void **state)
{
    char path[PATH_MAX];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof(path), "%s/tests/golden/cgroup_paths.tsv", top ? top : ".");
    _cleanup_fclose_ FILE *f = fopen(path, "r");
    assert_non_null(f);
    char line[4096];
    int rows = 0, wrong = 0;
    while (fgets(line, sizeof(line), f)) {
        char *rest = line, *form = strsep(&rest, "\t"), *pod = strsep(&rest, "\t");
        char *container = strsep(&rest, "\t"), *runtime = strsep(&rest, "\t");
        assert_non_null(runtime);
        if (rows++ == 0)
            continue;
        struct cgroup_id id = parse(form);
        if (strcmp(id.pod_uid, strcmp(pod, "-") ? pod : "") ||
            strcmp(id.container_id, strcmp(container, "-") ? container : "") ||
            strcmp(id.runtime, golden_runtime(runtime))) {
            print_error("%s\n  gives pod \"%s\" container \"%s\" runtime \"%s\"\n", form,
                        id.pod_uid, id.container_id, id.runtime);
            wrong++;
        }
    }
    assert_int_equal(rows - 1, 49);
    assert_int_equal(wrong, 0);
}

#define ID_A "17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1a"
#define ID_B "2327a2aec169e25cf05f2a901486b7463fdb513ae097fc0ae6a3ca94381ddc41"
#define POD  "9e1f0c7a-1111-4222-8333-44445555aaaa"

static void the_innermost_unit_that_is_no_containers_scope_is_named(void **state)
{
    static const struct {
        const char *path, *unit;
    } rows[] = {
        {"/system.slice/nginx.service", "nginx.service"},
        {"/user.slice/user-1000.slice/session-3.scope", "session-3.scope"},
        {"/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service", "foo.service"},
        {"/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service"},
        {"/system.slice/docker-" ID_A ".scope", ""},
        {"/system.slice/docker-" ID_A ".scope/system.slice/cron.service", "cron.service"},
        {"/system.slice/quad3.service/libpod-payload-" ID_A, "quad3.service"},
        {"/system.slice/k3s.service/kubepods.slice/kubepods-pod" POD ".slice/" ID_B, "k3s.service"},
        {"/kubepods.slice/kubepods-burstable.slice", ""},
        {"/init.scope", "init.scope"},
        {"/system.slice/dbus.socket", "dbus.socket"},
        {"/.service", ""},
        {"/", ""},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_string_equal(parse(rows[i].path).unit, rows[i].unit);
}

static void a_container_above_a_pod_is_the_nodes_and_not_the_pods(void **state)
{
    struct cgroup_id id = parse("/docker/" ID_A "/kubepods/besteffort/pod" POD);
    assert_string_equal(id.pod_uid, POD);
    assert_string_equal(id.container_id, "");
    assert_string_equal(id.runtime, "");
}

static void a_container_inside_a_pods_container_is_of_that_pod(void **state)
{
    struct cgroup_id id = parse("/kubepods/pod" POD "/" ID_A "/docker/" ID_B);
    assert_string_equal(id.pod_uid, POD);
    assert_string_equal(id.container_id, ID_B);
    assert_string_equal(id.runtime, "docker");
}

static void what_a_container_makes_below_itself_keeps_its_name(void **state)
{
    struct cgroup_id id = parse("/kubepods/pod" POD "/" ID_A "/kube-proxy");
    assert_string_equal(id.container_id, ID_A);
    id = parse("/lxc.payload.web/system.slice/nginx.service");
    assert_string_equal(id.container_id, "web");
    assert_string_equal(id.runtime, "lxc");
    assert_string_equal(id.unit, "nginx.service");
}

static void machines_are_read_without_systemds_escapes(void **state)
{
    struct cgroup_id id = parse("/machine.slice/machine-deb\\x2d12.scope/payload");
    assert_string_equal(id.container_id, "deb-12");
    assert_string_equal(id.runtime, "nspawn");
    id = parse("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator");
    assert_string_equal(id.container_id, "qemu-1-vm");
    assert_string_equal(id.runtime, "qemu");
    id = parse("/machine.slice/systemd-nspawn@deb.service/payload");
    assert_string_equal(id.container_id, "deb");
    assert_string_equal(parse("/machine.slice/machine-a\\x00b.scope").container_id, "a\\x00b");
}

static void names_that_almost_fit_are_not_taken(void **state)
{
    static const char *const paths[] = {
        "/kubepods/pod9e1f0c7a-1111-4222-8333-44445555aaa",
        "/kubepods/pod9e1f0c7a-1111-4222-8333-44445555aaag",
        "/kubepods/pod9e1f0c7a.1111.4222.8333.44445555aaaa",
        "/docker/17db96a24ae1e9dd57143e62b1cb0d2d35e693c65c774c7470e87b0572e07c1",
        "/system.slice/docker-.scope",
        "/system.slice/libpod-conmon-" ID_A ".scope",
        "/system.slice/crio-conmon-" ID_A ".scope",
        "/lxc.monitor.web",
        "/garden/6f265890-5165-7fab-6b52-18d",
        "/podruntime/pod",
    };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct cgroup_id id = parse(paths[i]);
        assert_string_equal(id.pod_uid, "");
        assert_string_equal(id.container_id, "");
        assert_string_equal(id.runtime, "");
    }
}

static void a_name_too_long_is_left_out_and_not_cut(void **state)
{
    char path[600] = "/lxc/";
    memset(path + 5, 'n', 200);
    assert_string_equal(parse(path).container_id, "");
    strcpy(path + 205, ".service");
    assert_string_equal(parse(path).unit, "");
}

static void the_line_that_says_most_is_chosen(void **state)
{
    static const struct {
        const char *text, *path; /* NULL: none */
    } rows[] = {
        {"0::/system.slice/nginx.service\n", "/system.slice/nginx.service"},
        {"0::/system.slice/nginx.service", "/system.slice/nginx.service"},
        /* hybrid, v2 knows more */
        {"4:memory:/\n1:name=systemd:/init.scope\n0::/kubepods/pod" POD "/" ID_A "\n",
         "/kubepods/pod" POD "/" ID_A},
        /* docker on v1: the unified line stays at the service */
        {"4:memory:/docker/" ID_A "\n0::/system.slice/docker.service\n", "/docker/" ID_A},
        /* a container without its pod says less than one with it */
        {"5:cpu:/" ID_A "\n4:memory:/kubepods/pod" POD "/" ID_A "\n0::/../" ID_A "\n",
         "/kubepods/pod" POD "/" ID_A},
        {"3:cpu,cpuacct:/x:y:z\n", "/x:y:z"},
        {"4:memory:/a\n0::/b\n", "/b"},
        {"4:memory:/\n0::/\n", "/"},
        {"", NULL},
        {"\n\n", NULL},
        {"0:/a\n", NULL},
        {"0::a\n", NULL},
        {"0::\n", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char path[CGROUP_PATH_MAX] = "untouched";
        int r = cgroup_choose_path(rows[i].text, strlen(rows[i].text), path);
        assert_int_equal(r, rows[i].path ? 0 : -ENOENT);
        assert_string_equal(path, rows[i].path ? rows[i].path : "untouched");
    }
}

static void a_path_too_long_keeps_its_head_with_pod_and_container(void **state)
{
    static const char head[] = "/kubepods/pod" POD "/" ID_A;
    char text[3000] = "0::", path[CGROUP_PATH_MAX];
    strcat(text, head);
    while (strlen(text) < 2500)
        strcat(text, "/deeper");
    assert_int_equal(cgroup_choose_path(text, strlen(text), path), 0);
    assert_true(strlen(path) > CGROUP_PATH_MAX - 10);
    assert_memory_equal(path, head, strlen(head));
    assert_string_equal(path + strlen(path) - 7, "/deeper");
    struct cgroup_id id = parse(path);
    assert_string_equal(id.pod_uid, POD);
    assert_string_equal(id.container_id, ID_A);
}

static void the_perf_hierarchy_is_found_before_the_unified_one(void **state)
{
    static const char v2[] =
        "22 1 8:1 / / rw shared:1 - ext4 /dev/sda rw\n"
        "35 22 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
    static const char hybrid[] =
        "33 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        "34 31 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:31 / /sys/fs/cgroup/perf\\040event rw shared:1 master:2 - cgroup cgroup "
        "rw,perf_event\n";
    static const char in_container[] =
        "50 31 0:31 /docker/x /sys/fs/cgroup/perf_event ro - cgroup cgroup rw,perf_event\n"
        "51 31 0:31 / /host/cgroup/perf_event ro - cgroup cgroup rw,perf_event\n";
    char path[CGROUP_PATH_MAX] = "untouched";
    assert_int_equal(cgroup_find_mount(v2, strlen(v2), path), 0);
    assert_string_equal(path, "/sys/fs/cgroup");
    assert_int_equal(cgroup_find_mount(hybrid, strlen(hybrid), path), 0);
    assert_string_equal(path, "/sys/fs/cgroup/perf event");
    assert_int_equal(cgroup_find_mount(in_container, strlen(in_container), path), 0);
    assert_string_equal(path, "/host/cgroup/perf_event");
}

static void mounts_that_are_no_cgroups_or_are_cut_short_are_passed_over(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "35 22 0:30 / /x rw",
        "35 22 0:30 / /x rw -",
        "35 22 0:30 / /x rw - cgroup2",
        "35 22 0:30 / /x rw - cgroup2 cgroup2",
        "34 31 0:30 / /x rw - cgroup cgroup rw,cpu",
        "34 31 0:30 / /x rw - cgroup cgroup rw,noperf_event",
        "34 31 0:30 / /x\\0z0 rw - cgroup2 cgroup2 rw",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        char path[CGROUP_PATH_MAX] = "untouched";
        assert_int_equal(cgroup_find_mount(texts[i], strlen(texts[i]), path), -ENOENT);
        assert_string_equal(path, "untouched");
    }
}

struct tree {
    char path[PATH_MAX];
    int fd;
};

static int make_tree(void **state)
{
    static struct tree tree;
    const char *tmp = getenv("TMPDIR");
    snprintf(tree.path, sizeof(tree.path), "%s/podflame-cgroup.XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(tree.path));
    tree.fd = open(tree.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(tree.fd >= 0);
    assert_int_equal(mkdirat(tree.fd, "a", 0755), 0);
    assert_int_equal(mkdirat(tree.fd, "a/b", 0755), 0);
    assert_int_equal(mkdirat(tree.fd, "c", 0755), 0);
    assert_int_equal(symlinkat("a", tree.fd, "link"), 0);
    int fd = openat(tree.fd, "a/cgroup.procs", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    *state = &tree;
    return 0;
}

static int remove_tree(void **state)
{
    struct tree *tree = *state;
    unlinkat(tree->fd, "link", 0);
    unlinkat(tree->fd, "a/cgroup.procs", 0);
    unlinkat(tree->fd, "a/b", AT_REMOVEDIR);
    unlinkat(tree->fd, "a", AT_REMOVEDIR);
    unlinkat(tree->fd, "c", AT_REMOVEDIR);
    close(tree->fd);
    return rmdir(tree->path);
}

struct seen {
    int fd; /* the hierarchy's root */
    char paths[1024];
    size_t count;
    int stop_after;
};

static int note(void *ctx, uint64_t id, const char *path)
{
    struct seen *seen = ctx;
    struct stat st;
    assert_int_equal(fstatat(seen->fd, path[1] ? path + 1 : ".", &st, 0), 0);
    assert_int_equal(st.st_ino, id);
    if (strlen(seen->paths) + strlen(path) + 2 < sizeof(seen->paths)) {
        strcat(seen->paths, path);
        strcat(seen->paths, " ");
    }
    return ++seen->count == (size_t)seen->stop_after ? 42 : 0;
}

static void a_walk_gives_each_directory_its_inode_and_path(void **state)
{
    struct tree *tree = *state;
    struct seen seen = {.fd = tree->fd};
    assert_int_equal(cgroup_walk(tree->fd, 4, note, &seen, NULL), 0);
    assert_int_equal(seen.count, 4);
    assert_memory_equal(seen.paths, "/ ", 2);
    assert_non_null(strstr(seen.paths, " /a "));
    assert_non_null(strstr(seen.paths, " /a/b "));
    assert_non_null(strstr(seen.paths, " /c "));
}

static void a_walk_stops_at_its_limit_and_when_told(void **state)
{
    struct tree *tree = *state;
    struct err err;
    struct seen seen = {.fd = tree->fd};
    assert_int_equal(cgroup_walk(tree->fd, 3, note, &seen, &err), -E2BIG);
    assert_int_equal(seen.count, 3);
    assert_string_equal(err.text, "more than 3 cgroups");
    seen = (struct seen){.fd = tree->fd, .stop_after = 2};
    assert_int_equal(cgroup_walk(tree->fd, 100, note, &seen, &err), 42);
    assert_int_equal(seen.count, 2);
}

/* Other processes make and remove cgroups meanwhile, so an id is not looked up again. */
static int note_live(void *ctx, uint64_t id, const char *path)
{
    struct seen *seen = ctx;
    assert_true(id != 0);
    assert_int_equal(path[0], '/');
    seen->count++;
    return 0;
}

static void this_machines_hierarchy_is_found_and_walked(void **state)
{
    _cleanup_(buf_free) struct buf text = {0};
    char path[CGROUP_PATH_MAX];
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/mountinfo", 1u << 20, &text, NULL), 0);
    if (cgroup_find_mount((char *)text.data, text.len, path) == -ENOENT) {
        print_message("no cgroup hierarchy is mounted here\n");
        skip();
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    struct seen seen = {.fd = fd};
    struct err err;
    assert_int_equal(cgroup_walk(fd, 100000, note_live, &seen, &err), 0);
    assert_true(seen.count >= 1);

    text.len = 0;
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/cgroup", 1u << 16, &text, NULL), 0);
    assert_int_equal(cgroup_choose_path((char *)text.data, text.len, path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_seen_in_the_field_is_read),
        cmocka_unit_test(the_innermost_unit_that_is_no_containers_scope_is_named),
        cmocka_unit_test(a_container_above_a_pod_is_the_nodes_and_not_the_pods),
        cmocka_unit_test(a_container_inside_a_pods_container_is_of_that_pod),
        cmocka_unit_test(what_a_container_makes_below_itself_keeps_its_name),
        cmocka_unit_test(machines_are_read_without_systemds_escapes),
        cmocka_unit_test(names_that_almost_fit_are_not_taken),
        cmocka_unit_test(a_name_too_long_is_left_out_and_not_cut),
        cmocka_unit_test(the_line_that_says_most_is_chosen),
        cmocka_unit_test(a_path_too_long_keeps_its_head_with_pod_and_container),
        cmocka_unit_test(the_perf_hierarchy_is_found_before_the_unified_one),
        cmocka_unit_test(mounts_that_are_no_cgroups_or_are_cut_short_are_passed_over),
        cmocka_unit_test_setup_teardown(a_walk_gives_each_directory_its_inode_and_path, make_tree,
                                        remove_tree),
        cmocka_unit_test_setup_teardown(a_walk_stops_at_its_limit_and_when_told, make_tree,
                                        remove_tree),
        cmocka_unit_test(this_machines_hierarchy_is_found_and_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
