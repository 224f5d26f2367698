/* test_downward.c: what the downward API says of our own pod. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "k8s/downward.h"
#include "k8s/pods.h"
#include "k8s/source.h"
#include "temp_dir.h"

#define UID  "5b2f8a2e-6c3d-4a0e-9a57-0c1de1f0aa01"
#define HASH "ac791484a78c8f4038eba8b0081dfcd4"

static void a_line_is_a_key_and_a_value_as_go_quotes_it(void **state)
{
    static const struct {
        const char *line, *key, *value; /* NULL: it is none */
    } rows[] = {
        {"app=\"web\"", "app", "web"},
        {"app=\"\"", "app", ""},
        {"app.kubernetes.io/name=\"a=b\"", "app.kubernetes.io/name", "a=b"},
        {"k=\"\\\"\\\\\\n\\t\\r\\a\\b\\f\\v\"", "k", "\"\\\n\t\r\a\b\f\v"},
        {"k=\"\\u00e4\\u20ac\\U0001f600\\x41\\xff\"", "k",
         "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"
         "A\xff"},
        {"k=\"\xc3\xa4\"", "k", "\xc3\xa4"},
        {"app", NULL, NULL},
        {"=\"web\"", NULL, NULL},
        {"app=web", NULL, NULL},
        {"app=\"web", NULL, NULL},
        {"app=\"", NULL, NULL},
        {"app=\"web\" ", NULL, NULL},
        {"app=\"we\"b\"", NULL, NULL},
        {"app=\"web\\\"", NULL, NULL},
        {"app=\"web\\", NULL, NULL},
        {"app=\"\\q\"", NULL, NULL},
        {"app=\"\\x4\"", NULL, NULL},
        {"app=\"\\x00\"", NULL, NULL},
        {"app=\"\\u0000\"", NULL, NULL},
        {"app=\"\\U00110000\"", NULL, NULL},
        {"app=\"\\u12", NULL, NULL},
        {"", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char text[200], room[100];
        struct downward_line line = {0};
        const char *at = text;
        strcpy(text, rows[i].line);
        strcat(text, "\n");
        size_t len = strlen(text);
        assert_int_equal(downward_next(&at, &len, room, sizeof(room), &line),
                         rows[i].key ? 1 : -EBADMSG);
        assert_int_equal(len, 0);
        if (rows[i].key) {
            assert_string_equal(line.key, rows[i].key);
            assert_string_equal(line.value, rows[i].value);
        }
        assert_int_equal(downward_next(&at, &len, room, sizeof(room), &line), 0);
    }
}

static void a_line_longer_than_there_is_room_for_is_passed_over(void **state)
{
    const char *text = "app=\"much too long\"\nb=\"x\"";
    size_t len = strlen(text);
    char room[8];
    struct downward_line line;
    assert_int_equal(downward_next(&text, &len, room, sizeof(room), &line), -ENOSPC);
    assert_int_equal(downward_next(&text, &len, room, sizeof(room), &line), 1);
    assert_string_equal(line.key, "b");
    assert_int_equal(downward_next(&text, &len, room, sizeof(room), &line), 0);
}

struct kit {
    struct pods *pods;
    struct temp_dir *dir;
};

static void set_variables(const char *uid, const char *namespace, const char *name)
{
    setenv("PODFLAME_POD_UID", uid, 1);
    setenv("PODFLAME_NAMESPACE", namespace, 1);
    setenv("PODFLAME_POD_NAME", name, 1);
    setenv("PODFLAME_NODE_NAME", "node-1", 1);
}

static int make_kit(void **state)
{
    static struct kit k;
    void *dir;
    assert_int_equal(temp_dir_make(&dir), 0);
    k = (struct kit){.dir = dir};
    *state = &k;
    set_variables(UID, "shop", "web-1");
    return pods_new(NULL, &k.pods, NULL);
}

static int free_kit(void **state)
{
    struct kit *k = *state;
    void *dir = k->dir;
    pods_free(&k->pods);
    return temp_dir_remove(&dir);
}

static int read_pod(struct kit *k, int dirfd, struct err *err)
{
    struct pods_update *update;
    assert_int_equal(pods_begin(k->pods, PODS_DOWNWARD, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    int r = downward_read(dirfd, &sink, err);
    if (r == 0)
        assert_int_equal(pods_commit(&update, 1, NULL), 0);
    pods_update_free(&update);
    return r;
}

static void put(struct kit *k, const char *name, const char *text)
{
    assert_int_equal(fs_publish_at(k->dir->fd, name, text, strlen(text), 0644, NULL), 0);
}

static int note_labels(void *ctx, const struct pod_fact *pod,
                       const struct container_fact *container)
{
    char *text = ctx;
    assert_non_null(pod);
    strcpy(text, pod->labels ? "" : "not known");
    for (size_t i = 0; i < pod->label_count; i++) {
        strcat(text, pod->labels[i].key);
        strcat(text, "=");
        strcat(text, pod->labels[i].value);
        strcat(text, " ");
    }
    assert_string_equal(pod->node, "node-1");
    return 0;
}

static void the_environment_alone_names_the_pod_but_not_its_labels(void **state)
{
    struct kit *k = *state;
    struct pod_names names;
    char text[200];
    assert_int_equal(read_pod(k, -1, NULL), 0);
    assert_int_equal(pods_find(k->pods, "", UID, &names), 0);
    assert_string_equal(names.namespace, "shop");
    assert_string_equal(names.pod, "web-1");
    pods_visit(k->pods, "", UID, note_labels, text);
    assert_string_equal(text, "not known");
    assert_int_equal(read_pod(k, k->dir->fd, NULL), 0); /* an empty directory */
    pods_visit(k->pods, "", UID, note_labels, text);
    assert_string_equal(text, "not known");
}

static void the_volume_tells_the_labels_as_they_are_now(void **state)
{
    struct kit *k = *state;
    char text[200];
    put(k, "labels", "app=\"web\"\nbroken\ntier=\"a \\\"b\\\"\"");
    assert_int_equal(read_pod(k, k->dir->fd, NULL), 0);
    pods_visit(k->pods, "", UID, note_labels, text);
    assert_string_equal(text, "app=web tier=a \"b\" ");
    put(k, "labels", "app=\"shop\"\n");
    assert_int_equal(read_pod(k, k->dir->fd, NULL), 0);
    pods_visit(k->pods, "", UID, note_labels, text);
    assert_string_equal(text, "app=shop ");
    put(k, "labels", "");
    assert_int_equal(read_pod(k, k->dir->fd, NULL), 0);
    pods_visit(k->pods, "", UID, note_labels, text);
    assert_string_equal(text, "");
}

/* pods_set_own_pod goes by the variable, and whoever writes manifests writes annotations. */
static void no_annotation_says_that_the_pod_is_another(void **state)
{
    struct kit *k = *state;
    struct pod_names names;
    put(k, "annotations", "kubernetes.io/config.hash=\"" HASH "\"\nx=\"y\"\n");
    assert_int_equal(read_pod(k, k->dir->fd, NULL), 0);
    assert_int_equal(pods_find(k->pods, "", UID, &names), 0);
    assert_string_equal(names.pod, "web-1");
    assert_int_equal(pods_find(k->pods, "", HASH, &names), -ENOENT);
}

static void part_of_the_variables_is_an_error_and_none_is_not(void **state)
{
    struct kit *k = *state;
    struct err err = {0};
    set_variables(UID, "", "web-1");
    assert_int_equal(read_pod(k, -1, &err), -EINVAL);
    assert_non_null(strstr(err.text, "PODFLAME_NAMESPACE"));
    set_variables("", "", "");
    assert_int_equal(read_pod(k, -1, &err), -ENOENT);
}

static void a_directory_that_was_configured_must_be_there(void **state)
{
    struct kit *k = *state;
    struct source source;
    struct err err = {0};
    char path[5000];
    struct pods_update *update;
    snprintf(path, sizeof(path), "%s/none", k->dir->path);
    assert_int_equal(pods_begin(k->pods, PODS_DOWNWARD, &update), 0);
    struct facts_sink sink = pods_update_sink(update);
    assert_int_equal(downward_source_new(path, &source, NULL), 0);
    assert_int_equal(source.ops->refresh(source.self, &sink, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(source.ops->refresh(source.self, &sink, &err), 0);
    source_free(&source);
    pods_update_free(&update);
}

#define WITH_KIT(test) cmocka_unit_test_setup_teardown(test, make_kit, free_kit)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_a_key_and_a_value_as_go_quotes_it),
        cmocka_unit_test(a_line_longer_than_there_is_room_for_is_passed_over),
        WITH_KIT(the_environment_alone_names_the_pod_but_not_its_labels),
        WITH_KIT(the_volume_tells_the_labels_as_they_are_now),
        WITH_KIT(no_annotation_says_that_the_pod_is_another),
        WITH_KIT(part_of_the_variables_is_an_error_and_none_is_not),
        WITH_KIT(a_directory_that_was_configured_must_be_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
