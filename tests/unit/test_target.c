/* test_target.c: what is to be sampled is chosen by flags and found among cgroups: of a tree made
 * here, since a walk takes any directories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/target.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "temp_dir.h"

#define ID_A  "aaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00d"
#define ID_B  "aaaabffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00d"
#define ID_C  "cccc0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00d"
#define UID_1 "9e1f0c7a-1111-4222-8333-44445555aaaa"
#define UID_2 "9e1f0c7a-1111-4222-8333-44445555bbbb"
#define POD_1 "kubepods/burstable/pod" UID_1
#define POD_2 "kubepods.slice/kubepods-pod9e1f0c7a_1111_4222_8333_44445555bbbb.slice"

/* ---- flags */

static void the_one_target_is_chosen(void **state)
{
    (void)state;
    static const struct {
        struct target_words words;
        enum target_kind kind;
        const char *name;
    } cases[] = {
        {{0}, TARGET_NODE, NULL},
        {{.sidecar = true}, TARGET_SIDECAR, NULL},
        {{.cgroup = "/a/b"}, TARGET_CGROUP, "/a/b"},
        {{.cgroup = "/"}, TARGET_CGROUP, "/"},
        {{.cgroup = "a..b"}, TARGET_CGROUP, "a..b"},
        {{.container = ID_A}, TARGET_CONTAINER, ID_A},
        {{.container = "aa"}, TARGET_CONTAINER, "aa"},
        {{.container = "containerd://" ID_A}, TARGET_CONTAINER, ID_A},
        {{.pod = "shop/web-1"}, TARGET_POD, "shop/web-1"},
        {{.pod = UID_1}, TARGET_POD, UID_1},
        {{.pod = "f1f0b4a4d5e6f7a8b9c0d1e2f3a4b5c6"},
         TARGET_POD,
         "f1f0b4a4d5e6f7a8b9c0d1e2f3a4b5c6"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct target t;
        struct err err = {0};
        if (target_choose(&cases[i].words, &t, &err) != 0)
            fail_msg("case %zu: %s", i, err.text);
        assert_int_equal(t.kind, cases[i].kind);
        if (cases[i].name)
            assert_string_equal(t.name, cases[i].name);
        else
            assert_null(t.name);
    }
    struct target t;
    assert_int_equal(target_choose(&(struct target_words){.pid = "4194304"}, &t, NULL), 0);
    assert_int_equal(t.kind, TARGET_PROCESS);
    assert_int_equal(t.pid, 4194304);
}

static void what_cannot_be_a_target_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct target_words words;
        const char *says;
    } cases[] = {
        {{.pid = "1", .cgroup = "/a"}, "exclude each other"},
        {{.container = "a", .pod = UID_1}, "exclude each other"},
        {{.sidecar = true, .pid = "1"}, "exclude each other"},
        {{.pid = "0"}, "no process"},
        {{.pid = "-1"}, "no process"},
        {{.pid = ""}, "no process"},
        {{.pid = "2147483648"}, "no process"},
        {{.pid = "12x"}, "no process"},
        {{.cgroup = ".."}, "no path"},
        {{.cgroup = "/a/../b"}, "no path"},
        {{.cgroup = "/a/.."}, "no path"},
        {{.container = ""}, "no container"},
        {{.container = "docker://"}, "no container"},
        {{.container = "a/b"}, "no container"},
        {{.pod = ""}, "neither"},
        {{.pod = "web-1"}, "neither"},
        {{.pod = "/web-1"}, "neither"},
        {{.pod = "shop/"}, "neither"},
        {{.pod = "shop/web/1"}, "neither"},
        {{.pod = UID_1 "aaaa"}, "neither"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct target t = {.kind = TARGET_SIDECAR, .pid = 7};
        struct err err = {0};
        if (target_choose(&cases[i].words, &t, &err) != -EINVAL)
            fail_msg("case %zu is not refused", i);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
        assert_int_equal(t.pid, 7);
    }
}

/* ---- cgroups */

static void make_cgroup(const struct temp_dir *tree, const char *path, const char *procs)
{
    char whole[PATH_MAX + 64];
    struct err err = {0};
    snprintf(whole, sizeof(whole), "%s/%s", tree->path, path);
    if (fs_mkdir_p(whole, 0700, &err) < 0)
        fail_msg("%s", err.text);
    snprintf(whole, sizeof(whole), "%s/cgroup.procs", path);
    _cleanup_close_ int fd = openat(tree->fd, whole, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, procs, strlen(procs)), 0);
}

static int make_tree(void **state)
{
    if (temp_dir_make(state) < 0)
        return -1;
    make_cgroup(*state, POD_1, "");
    make_cgroup(*state, POD_1 "/" ID_A, "11\n12\n");
    make_cgroup(*state, POD_1 "/" ID_A "/below", "13\n0\n");
    make_cgroup(*state, POD_1 "/" ID_B, "21\n");
    make_cgroup(*state, POD_2 "/cri-containerd-" ID_C ".scope", "31\n");
    make_cgroup(*state, "system.slice/cron.service", "41\n");
    return 0;
}

#define IN_A_TREE(test) cmocka_unit_test_setup_teardown(test, make_tree, temp_dir_remove)

static int find(void **state, const struct target *t, struct target_dirs *ret, struct err *err)
{
    const struct temp_dir *tree = *state;
    return target_find(t, tree->fd, tree->path, ret, err);
}

static void assert_found(void **state, const struct target *t, const char *path)
{
    const struct temp_dir *tree = *state;
    static struct target_dirs dirs;
    struct err err = {0};
    if (find(state, t, &dirs, &err) != 0)
        fail_msg("%s: %s", t->name, err.text);
    assert_int_equal(dirs.count, path ? 1 : 0);
    if (!path)
        return;
    assert_string_equal(dirs.v[0].path, path);
    struct stat st;
    assert_int_equal(fstatat(tree->fd, path[1] ? path + 1 : ".", &st, 0), 0);
    assert_int_equal(dirs.v[0].id, st.st_ino);
}

static void a_cgroup_is_found_by_its_path_or_directory(void **state)
{
    const struct temp_dir *tree = *state;
    char whole[PATH_MAX + 64];
    snprintf(whole, sizeof(whole), "%s/system.slice/cron.service/", tree->path);
    static const char *const same[] = {"/system.slice/cron.service", "system.slice/cron.service",
                                       "//system.slice/cron.service/"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_found(state, &(struct target){TARGET_CGROUP, .name = same[i]},
                     "/system.slice/cron.service");
    assert_found(state, &(struct target){TARGET_CGROUP, .name = whole},
                 "/system.slice/cron.service");
    assert_found(state, &(struct target){TARGET_CGROUP, .name = "/"}, "/");
    assert_found(state, &(struct target){TARGET_CGROUP, .name = "/nowhere"}, NULL);
}

static void a_container_is_found_by_its_id_or_how_it_begins(void **state)
{
    static const char *const same[] = {ID_A, "aaaa0", "aaaa0ffee0ddf00d"};
    for (size_t i = 0; i < ARRAY_LEN(same); i++)
        assert_found(state, &(struct target){TARGET_CONTAINER, .name = same[i]},
                     "/" POD_1 "/" ID_A);
    assert_found(state, &(struct target){TARGET_CONTAINER, .name = "cc"},
                 "/" POD_2 "/cri-containerd-" ID_C ".scope");
    assert_found(state, &(struct target){TARGET_CONTAINER, .name = "dddd"}, NULL);
    static struct target_dirs dirs;
    assert_int_equal(find(state, &(struct target){TARGET_CONTAINER, .name = "cc"}, &dirs, NULL), 0);
    assert_string_equal(dirs.container_id, ID_C);
}

static void an_id_that_may_be_two_containers_is_refused(void **state)
{
    static struct target_dirs dirs;
    struct err err = {0};
    dirs.count = 99;
    assert_int_equal(find(state, &(struct target){TARGET_CONTAINER, .name = "aaaa"}, &dirs, &err),
                     -ENOTUNIQ);
    assert_non_null(strstr(err.text, "several containers' ids begin with aaaa"));
    assert_int_equal(dirs.count, 99);
}

static void an_id_in_full_is_not_ambiguous_because_a_longer_one_begins_so(void **state)
{
    make_cgroup(*state, POD_1 "/" ID_A "0000", "");
    make_cgroup(*state, "docker/" ID_C "00", "");
    assert_found(state, &(struct target){TARGET_CONTAINER, .name = ID_A}, "/" POD_1 "/" ID_A);
}

static int know_names(void *ctx, const char *namespace, const char *name, char ret_uid[static 40])
{
    size_t *calls = ctx;
    (*calls)++;
    if (strcmp(namespace, "shop") != 0 || strcmp(name, "web-1") != 0)
        return -ENOENT;
    memcpy(ret_uid, UID_1, sizeof(UID_1));
    return 0;
}

static void a_pod_is_found_by_its_uid_or_name_with_all_its_containers_below(void **state)
{
    assert_found(state, &(struct target){TARGET_POD, .name = UID_1}, "/" POD_1);
    assert_found(state, &(struct target){TARGET_POD, .name = UID_2}, "/" POD_2);
    assert_found(state, &(struct target){TARGET_POD, .name = "9e1f0c7a11114222833344445555aaaa"},
                 "/" POD_1);
    assert_found(
        state, &(struct target){TARGET_POD, .name = "9e1f0c7a-1111-4222-8333-44445555cccc"}, NULL);
    size_t calls = 0;
    struct target t = {TARGET_POD, .name = "shop/web-1", .resolve = know_names,
                       .resolve_ctx = &calls};
    assert_found(state, &t, "/" POD_1);
    static struct target_dirs dirs;
    t.name = "shop/web-2";
    assert_int_equal(find(state, &t, &dirs, NULL), -ENOENT);
    assert_int_equal(calls, 2);
}

static void without_names_a_pods_name_is_refused(void **state)
{
    static struct target_dirs dirs;
    struct err err = {0};
    assert_int_equal(find(state, &(struct target){TARGET_POD, .name = "shop/web-1"}, &dirs, &err),
                     -ENOTSUP);
    assert_non_null(strstr(err.text, "give the pod's uid"));
}

static void a_pods_directories_without_a_common_parent_are_all_found(void **state)
{
    static struct target_dirs dirs;
    struct target t = {TARGET_POD, .name = UID_1};
    make_cgroup(*state, "elsewhere/pod" UID_1 "/" ID_C, "");
    assert_int_equal(find(state, &t, &dirs, NULL), 0);
    assert_int_equal(dirs.count, 2);
    bool first = strcmp(dirs.v[0].path, "/" POD_1) == 0;
    assert_string_equal(dirs.v[!first].path, "/" POD_1);
    assert_string_equal(dirs.v[first].path, "/elsewhere/pod" UID_1);
}

static void more_directories_than_may_be_are_refused(void **state)
{
    static struct target_dirs dirs;
    struct target t = {TARGET_POD, .name = UID_1};
    struct err err = {0};
    char path[128];
    for (int i = 1; i < TARGET_DIRS_MAX; i++) { /* one is there */
        snprintf(path, sizeof(path), "elsewhere-%d/pod" UID_1, i);
        make_cgroup(*state, path, "");
    }
    assert_int_equal(find(state, &t, &dirs, NULL), 0);
    assert_int_equal(dirs.count, TARGET_DIRS_MAX);
    make_cgroup(*state, "one-more/pod" UID_1, "");
    assert_int_equal(find(state, &t, &dirs, &err), -E2BIG);
    assert_non_null(strstr(err.text, "more than 16 cgroups without a common parent"));
    assert_int_equal(dirs.count, TARGET_DIRS_MAX);
}

static void add_pid(void *ctx, uint32_t pid)
{
    *(uint64_t *)ctx = *(uint64_t *)ctx * 100 + pid;
}

static void the_processes_of_a_cgroup_are_those_below_it_too(void **state)
{
    const struct temp_dir *tree = *state;
    _cleanup_close_ int dir = openat(tree->fd, POD_1 "/" ID_A, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    uint64_t pids = 0; /* 0 in the file is a process outside our pid namespace */
    assert_int_equal(target_each_process(dir, add_pid, &pids), 0);
    assert_int_equal(pids, 111213);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_target_is_chosen),
        cmocka_unit_test(what_cannot_be_a_target_is_refused),
        IN_A_TREE(a_cgroup_is_found_by_its_path_or_directory),
        IN_A_TREE(a_container_is_found_by_its_id_or_how_it_begins),
        IN_A_TREE(an_id_that_may_be_two_containers_is_refused),
        IN_A_TREE(an_id_in_full_is_not_ambiguous_because_a_longer_one_begins_so),
        IN_A_TREE(a_pod_is_found_by_its_uid_or_name_with_all_its_containers_below),
        IN_A_TREE(a_pods_directories_without_a_common_parent_are_all_found),
        IN_A_TREE(more_directories_than_may_be_are_refused),
        IN_A_TREE(without_names_a_pods_name_is_refused),
        IN_A_TREE(the_processes_of_a_cgroup_are_those_below_it_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
