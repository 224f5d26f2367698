/* test_log_dirs.c: names of log directories say which pod and container they are of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/log_dirs.h"
#include "k8s/log_names.h"
#include "k8s/pods.h"
#include "k8s/source.h"
#include "temp_dir.h"

#define UID  "ba499d38-f1a6-4631-998e-c484026413d9"
#define HASH "ac791484a78c8f4038eba8b0081dfcd4"
#define ID   "85595a1913700ea8e817fbc3994a2893c273e512e4b71402f38de5ccaebde2da"

static char *repeat(char c, size_t count)
{
    char *text = calloc(1, count + 1);
    assert_non_null(text);
    memset(text, c, count);
    return text;
}

static void a_pods_directory_says_its_namespace_name_and_uid(void **state)
{
    static const struct {
        const char *name, *namespace, *pod, *uid; /* NULL: it is none */
    } rows[] = {
        {"ops_bare_" UID, "ops", "bare", UID},
        {"kube-system_proxy-node-1_" HASH, "kube-system", "proxy-node-1", HASH},
        {"ops_kube-proxy-ip-10-0-0-1.ec2.internal_" UID, "ops",
         "kube-proxy-ip-10-0-0-1.ec2.internal", UID},
        {UID, NULL}, /* as kubelet had it before 1.14 */
        {"ops_" UID, NULL},
        {"ops__" UID, NULL},
        {"_bare_" UID, NULL},
        {"ops_bare_", NULL},
        {"ops_bare_" UID "0", NULL},
        {"ops_bare_ba499d38_f1a6_4631_998e_c484026413d9", NULL},
        {"ops_bare_xa499d38-f1a6-4631-998e-c484026413d9", NULL},
        {"ops_two_words_" UID, NULL},
        {"Ops_bare_" UID, NULL},
        {"ops_Bare_" UID, NULL},
        {"-ops_bare_" UID, NULL},
        {"o.ps_bare_" UID, NULL},
        {"ops_bare-_" UID, NULL},
        {"ops_ba\nre_" UID, NULL},
        {"", NULL},
        {".", NULL},
        {"..", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_pod pod = {.name = "untouched"};
        int r = log_name_read_pod(rows[i].name, strlen(rows[i].name), &pod);
        assert_int_equal(r, rows[i].namespace ? 0 : -EINVAL);
        assert_string_equal(pod.name, rows[i].namespace ? rows[i].pod : "untouched");
        assert_string_equal(pod.namespace, rows[i].namespace ? rows[i].namespace : "");
        assert_string_equal(pod.uid, rows[i].namespace ? rows[i].uid : "");
    }
}

static void a_containers_link_says_its_pod_and_id(void **state)
{
    static const struct {
        const char *name, *pod, *namespace, *container; /* NULL: it is none */
    } rows[] = {
        {"bare_ops_debugger-" ID ".log", "bare", "ops", "debugger"},
        {"web-6f9968b487-nf9wh_shop_side-car-" ID ".log", "web-6f9968b487-nf9wh", "shop",
         "side-car"},
        {"bare_ops_debugger-" ID, NULL},
        {"bare_ops_debugger-" ID ".log.1", NULL},
        {"bare_ops_debugger-85595a1913700ea8.log", NULL}, /* cut at 255 bytes */
        {"bare_ops_debugger" ID ".log", NULL},
        {"bare_ops_-" ID ".log", NULL},
        {"bare_ops-" ID ".log", NULL},
        {"bare_ops_two_words-" ID ".log", NULL},
        {"_ops_main-" ID ".log", NULL},
        {".log", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_container c = {.name = "untouched"};
        int r = log_name_read_container(rows[i].name, strlen(rows[i].name), &c);
        assert_int_equal(r, rows[i].pod ? 0 : -EINVAL);
        assert_string_equal(c.name, rows[i].pod ? rows[i].container : "untouched");
        assert_string_equal(c.pod, rows[i].pod ? rows[i].pod : "");
        assert_string_equal(c.namespace, rows[i].pod ? rows[i].namespace : "");
        assert_string_equal(c.id, rows[i].pod ? ID : "");
    }
}

static void where_a_link_leads_to_says_the_uid_and_restarts(void **state)
{
    static const struct {
        const char *path, *container; /* NULL: it is none */
        uint32_t restarts;
    } rows[] = {
        {"/var/log/pods/ops_bare_" UID "/main/0.log", "main", 0},
        {"/mnt/disk/pods/ops_bare_" UID "/main/17.log", "main", 17},
        {"ops_bare_" UID "/main/1.log", "main", 1},
        {"/ops_bare_" UID "/main/999999999.log", "main", 999999999},
        {"/ops_bare_" UID "/main/1000000000.log", NULL, 0},
        {"/ops_bare_" UID "/main/.log", NULL, 0},
        {"/ops_bare_" UID "/main/-1.log", NULL, 0},
        {"/ops_bare_" UID "/main/1", NULL, 0},
        {"/ops_bare_" UID "//1.log", NULL, 0},
        {"/bare_" UID "/main/1.log", NULL, 0},
        {"main/1.log", NULL, 0},
        {"1.log", NULL, 0},
        {"/var/lib/docker/containers/" ID "/" ID "-json.log", NULL, 0},
        {"", NULL, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct log_target t = {.container = "untouched"};
        int r = log_name_read_target(rows[i].path, strlen(rows[i].path), &t);
        assert_int_equal(r, rows[i].container ? 0 : -EINVAL);
        assert_string_equal(t.container, rows[i].container ? rows[i].container : "untouched");
        assert_string_equal(t.pod.uid, rows[i].container ? UID : "");
        assert_int_equal(t.restarts, rows[i].restarts);
    }
}

static void names_are_as_long_as_kubernetes_has_them_and_not_longer(void **state)
{
    static const struct {
        size_t namespace, pod;
        int result;
    } rows[] = {{63, 253, 0}, {64, 10, -EINVAL}, {10, 254, -EINVAL}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_free_ char *namespace = repeat('n', rows[i].namespace);
        _cleanup_free_ char *pod = repeat('p', rows[i].pod);
        char name[600];
        struct log_pod ret;
        snprintf(name, sizeof(name), "%s_%s_%s", namespace, pod, UID);
        assert_int_equal(log_name_read_pod(name, strlen(name), &ret), rows[i].result);
        if (rows[i].result == 0)
            assert_string_equal(ret.name, pod);
    }
}

/* ---- directories */

struct kit {
    struct pods *pods;
    struct temp_dir *dir;
};

static int make_kit(void **state)
{
    static struct kit k;
    void *dir;
    assert_int_equal(temp_dir_make(&dir), 0);
    k = (struct kit){.dir = dir};
    *state = &k;
    return pods_new(NULL, &k.pods, NULL);
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    void *dir = k->dir;
    pods_free(&k->pods);
    return temp_dir_remove(&dir);
}

static void make_dir(struct kit *k, const char *name)
{
    assert_true(mkdirat(k->dir->fd, name, 0755) == 0 || errno == EEXIST);
}

static void make_link(struct kit *k, const char *name, const char *target)
{
    make_dir(k, "containers");
    assert_int_equal(symlinkat(target, k->dir->fd, name), 0);
}

static int list(struct kit *k, struct pods_counts *ret, struct err *err)
{
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_LOG_DIRS, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    int r = log_dirs_list(k->dir->fd, &sink, err);
    if (r == 0)
        assert_int_equal(pods_commit(&update, 1, ret), 0);
    pods_update_free(&update);
    return r;
}

/* Lays the directories out as the recorded node had them. */
static void lay_out(struct kit *k)
{
    char path[4096], line[1024];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof(path), "%s/tests/golden/log_dirs.txt", top ? top : ".");
    _cleanup_fclose_ FILE *f = fopen(path, "r");
    assert_non_null(f);
    make_dir(k, "pods");
    while (fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = 0;
        char *arrow = strstr(line, " -> ");
        if (line[0] == '#')
            continue;
        if (!arrow) {
            make_dir(k, line);
            continue;
        }
        *arrow = 0;
        make_link(k, line, arrow + 4);
    }
}

static void the_directories_of_a_real_node_name_all_its_pods_and_containers(void **state)
{
    static const struct {
        const char *id, *uid, *namespace, *pod, *container;
    } rows[] = {
        {"34b1596cf1d0033a444699eef39de8efbc4c4adbd47d2afba79e62afe53787a5", UID, "ops", "bare",
         "main"},
        {"a78d97c676af48ae31d3a254be01e7e0c55c016227302601f55bac48746acf37", UID, "ops", "bare",
         "main"},                             /* before its restart */
        {ID, UID, "ops", "bare", "debugger"}, /* an ephemeral container */
        {"09b1e9bf56d3414e4cd842bccac7206474d1fc22b6fb1ed7d335db68f7a14067",
         "6d936c30-46fc-42f9-aaab-bdffa98e5c1f", "shop", "web-6f9968b487-nf9wh", "migrate"},
        {"e50d7fa650fccf24650f555cb174fdee8f2c6114f212b0031625efd31bbd2b95", HASH, "kube-system",
         "proxy-node-1", "proxy"}, /* a static pod */
        /* a pod whose containers have gone */
        {"", "125c6c0a-788e-44ef-bd09-7534652f01f8", "shop", "web-6f9968b487-6fpt5", ""},
    };
    struct kit *k = *state;
    struct pods_counts counts;
    struct err err = {0};
    lay_out(k);
    if (list(k, &counts, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(counts.pods, 9);
    assert_int_equal(counts.containers, 14);
    assert_int_equal(counts.left_out, 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pod_names names;
        assert_int_equal(pods_find(k->pods, rows[i].id, rows[i].id[0] ? "" : rows[i].uid, &names),
                         0);
        assert_string_equal(names.pod_uid, rows[i].uid);
        assert_string_equal(names.namespace, rows[i].namespace);
        assert_string_equal(names.pod, rows[i].pod);
        assert_string_equal(names.container, rows[i].container);
    }
}

static void a_link_that_contradicts_its_name_says_nothing(void **state)
{
    struct kit *k = *state;
    struct pods_counts counts;
    static const char *const targets[] = {
        "/var/log/pods/ops_other_" UID "/main/0.log", "/var/log/pods/shop_bare_" UID "/main/0.log",
        "/var/log/pods/ops_bare_" UID "/other/0.log", "/etc/passwd"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char name[200];
        snprintf(name, sizeof(name), "containers/bare_ops_main-%064zx.log", i);
        make_link(k, name, targets[i]);
    }
    assert_int_equal(list(k, &counts, NULL), 0);
    assert_int_equal(counts.pods, 0);
    assert_int_equal(counts.containers, 0);
}

static void one_of_both_directories_is_enough(void **state)
{
    struct kit *k = *state;
    struct pods_counts counts;
    struct err err = {0};
    assert_int_equal(list(k, &counts, &err), -ENOENT);
    make_dir(k, "pods");
    make_dir(k, "pods/ops_bare_" UID);
    assert_int_equal(list(k, &counts, &err), 0);
    assert_int_equal(counts.pods, 1);
    unlinkat(k->dir->fd, "pods/ops_bare_" UID, AT_REMOVEDIR);
    unlinkat(k->dir->fd, "pods", AT_REMOVEDIR);
    make_link(k, "containers/bare_ops_main-" ID ".log", "/x/ops_bare_" UID "/main/0.log");
    int fd =
        openat(k->dir->fd, "containers/bare_ops_debugger-" ID ".log", O_CREAT | O_WRONLY, 0644);
    close(fd); /* no link: passed over */
    assert_int_equal(list(k, &counts, &err), 0);
    assert_int_equal(counts.pods, 1);
    assert_int_equal(counts.containers, 1);
}

/* In whatever order the directory lists them. */
static void of_two_pods_of_one_name_the_younger_is_found(void **state)
{
    static const char *const uids[] = {UID, "125c6c0a-788e-44ef-bd09-7534652f01f8"};
    struct kit *k = *state;
    make_dir(k, "pods");
    for (size_t young = 0; young < 2; young++) {
        char uid[40];
        for (size_t i = 0; i < 2; i++) {
            struct timespec at = {.tv_sec = i == young ? 2000 : 1000};
            char name[100], link[200], target[200];
            snprintf(name, sizeof(name), "pods/data_db-0_%s", uids[i]);
            make_dir(k, name);
            assert_int_equal(utimensat(k->dir->fd, name, (struct timespec[]){at, at}, 0), 0);
            snprintf(link, sizeof(link), "containers/db-0_data_main-%064zx.log", i);
            snprintf(target, sizeof(target), "/x/data_db-0_%s/main/0.log", uids[i]);
            if (young == 0)
                make_link(k, link, target);
            assert_int_equal(
                utimensat(k->dir->fd, link, (struct timespec[]){at, at}, AT_SYMLINK_NOFOLLOW), 0);
        }
        pods_free(&k->pods);
        assert_int_equal(pods_new(NULL, &k->pods, NULL), 0);
        assert_int_equal(list(k, NULL, NULL), 0);
        assert_int_equal(pods_find_uid(k->pods, "data", "db-0", uid), 0);
        assert_string_equal(uid, uids[young]);
    }
}

static void a_source_tells_what_is_missing_from_what_was_never_there(void **state)
{
    struct kit *k = *state;
    struct source source;
    struct err err = {0};
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_LOG_DIRS, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    assert_int_equal(log_dirs_source_new(k->dir->path, &source, NULL), 0);
    assert_string_equal(source.ops->name, "log-dirs");
    int r = source.ops->refresh(source.self, &sink, &err);
    assert_true(r < 0 && r != -ENOENT);
    assert_non_null(strstr(err.text, k->dir->path));
    make_dir(k, "pods");
    assert_int_equal(source.ops->refresh(source.self, &sink, &err), 0);
    source_free(&source);
    pods_update_free(&update);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, make_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pods_directory_says_its_namespace_name_and_uid),
        cmocka_unit_test(a_containers_link_says_its_pod_and_id),
        cmocka_unit_test(where_a_link_leads_to_says_the_uid_and_restarts),
        cmocka_unit_test(names_are_as_long_as_kubernetes_has_them_and_not_longer),
        WITH_KIT(the_directories_of_a_real_node_name_all_its_pods_and_containers),
        WITH_KIT(a_link_that_contradicts_its_name_says_nothing),
        WITH_KIT(one_of_both_directories_is_enough),
        WITH_KIT(of_two_pods_of_one_name_the_younger_is_found),
        WITH_KIT(a_source_tells_what_is_missing_from_what_was_never_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
