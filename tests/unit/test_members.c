/* test_members.c: which of the processes in a /proc are of the tree, or the pod, that is sampled.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/members.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "temp_dir.h"

#define ID  "aaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00d"
#define ID2 "bbbb0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00daaaa0ffee0ddf00d"
#define POD "/kubepods/burstable/pod9e1f0c7a-1111-4222-8333-44445555aaaa"

static void who_shares_a_pod_is_read_from_cgroup_paths(void **state)
{
    (void)state;
    static const struct {
        const char *own, *other;
        bool share;
    } cases[] = {
        /* paths from the machine's root, as v1 has them */
        {POD "/" ID, POD "/" ID2, true},
        {POD "/" ID, POD, true},
        {POD "/" ID, "/kubepods/pod9e1f0c7a-1111-4222-8333-44445555bbbb/" ID2, false},
        {POD "/" ID, "/system.slice/sshd.service", false},
        {POD "/" ID, "/", false},
        /* a cgroup namespace of one's own */
        {"/", "/", true},
        {"/", "/below", true},
        {"/", "/../" ID2, true},
        {"/", "/../cri-containerd-" ID2 ".scope", true},
        {"/", "/../../crio-" ID2 ".scope/container", true},
        {"/", "/../../pod9e1f0c7a-1111-4222-8333-44445555bbbb/" ID2, false},
        {"/",
         "/../../kubepods-pod9e1f0c7a_1111_4222_8333_44445555bbbb.slice/cri-containerd-" ID2
         ".scope",
         false},
        {"/", "/../../../system.slice/sshd.service", false},
        {"/", "/../../../../init.scope", false},
        {"/..name", "/..other", true},
        /* plain containers that share a pid namespace */
        {"/docker/" ID, "/docker/" ID2, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (members_share_pod(cases[i].own, cases[i].other) != cases[i].share)
            fail_msg("%s and %s: not %d", cases[i].own, cases[i].other, cases[i].share);
    }
}

static void put_file(int root, const char *path, const char *text)
{
    _cleanup_close_ int fd = openat(root, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, strlen(text)), 0);
}

/* A process as far as it is looked at: its first thread's stat, its cgroup. */
static void put_process(int root, unsigned pid, unsigned ppid, const char *cgroup)
{
    char path[64], text[512];
    snprintf(path, sizeof(path), "%u", pid);
    assert_int_equal(mkdirat(root, path, 0700), 0);
    snprintf(path, sizeof(path), "%u/task", pid);
    assert_int_equal(mkdirat(root, path, 0700), 0);
    snprintf(path, sizeof(path), "%u/task/%u", pid, pid);
    assert_int_equal(mkdirat(root, path, 0700), 0);
    snprintf(path, sizeof(path), "%u/task/%u/stat", pid, pid);
    snprintf(text, sizeof(text),
             "%u (a) b)) S %u 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 1000 0 0 0 0 0 0 0 0\n", pid,
             ppid);
    put_file(root, path, text);
    snprintf(path, sizeof(path), "%u/cgroup", pid);
    put_file(root, path, cgroup);
}

static int make_proc(void **state)
{
    if (temp_dir_make(state) < 0)
        return -1;
    const struct temp_dir *proc = *state;
    put_process(proc->fd, 1, 0, "0::/../" ID2 "\n");
    put_process(proc->fd, 10, 1, "0::/\n");
    put_process(proc->fd, 11, 10, "0::/../../../init.scope\n");
    put_process(proc->fd, 12, 11, "0::/\n");
    put_process(proc->fd, 9, 12, "0::/\n"); /* its pid came around */
    put_process(proc->fd, 20, 1, "");
    /* Their parents' were read at different times. */
    put_process(proc->fd, 30, 31, "0::/\n");
    put_process(proc->fd, 31, 30, "0::/\n");
    assert_int_equal(mkdirat(proc->fd, "self", 0700), 0);
    put_file(proc->fd, "self/cgroup", "0::/\n");
    assert_int_equal(mkdirat(proc->fd, "40", 0700), 0); /* it ended just now */
    return 0;
}

static unsigned long list(void **state, enum members_whom whom, pid_t pid)
{
    const struct temp_dir *proc = *state;
    _cleanup_(members_free) struct members *m = NULL;
    struct err err = {0};
    if (members_new(whom, pid, proc->fd, &m, &err) < 0)
        fail_msg("%s", err.text);
    const uint32_t *pids;
    ssize_t n = members_list(m, &pids);
    assert_true(n >= 0);
    unsigned long bits = 0;
    for (ssize_t i = 0; i < n; i++)
        bits |= members_has(m, pids[i]) ? 1ul << pids[i] : 0;
    return bits;
}

#define P(pid) (1ul << (pid))

static void a_tree_is_a_process_and_all_below_it(void **state)
{
    assert_int_equal(list(state, MEMBERS_TREE, 10), P(10) | P(11) | P(12) | P(9));
    assert_int_equal(list(state, MEMBERS_TREE, 12), P(12) | P(9));
    assert_int_equal(list(state, MEMBERS_TREE, 1), P(1) | P(10) | P(11) | P(12) | P(9) | P(20));
    assert_int_equal(list(state, MEMBERS_TREE, 30), P(30) | P(31));
    assert_int_equal(list(state, MEMBERS_TREE, 5), 0);
}

static void a_pods_processes_are_those_in_its_cgroups(void **state)
{
    assert_int_equal(list(state, MEMBERS_POD, 0), P(1) | P(10) | P(12) | P(9) | P(30) | P(31));
}

static void ones_own_are_those_of_the_user(void **state)
{
    const struct temp_dir *proc = *state;
    if (geteuid() == 0)
        assert_int_equal(fchownat(proc->fd, "20", 65534, 65534, 0), 0);
    else
        skip();
    unsigned long all = P(1) | P(10) | P(11) | P(12) | P(9) | P(30) | P(31) | P(40);
    assert_int_equal(list(state, MEMBERS_OWN, 0), all);
}

#define IN_A_PROC(test) cmocka_unit_test_setup_teardown(test, make_proc, temp_dir_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_shares_a_pod_is_read_from_cgroup_paths),
        IN_A_PROC(a_tree_is_a_process_and_all_below_it),
        IN_A_PROC(a_pods_processes_are_those_in_its_cgroups),
        IN_A_PROC(ones_own_are_those_of_the_user),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
