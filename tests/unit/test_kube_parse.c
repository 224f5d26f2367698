/* test_kube_parse.c: what a real API server (1.20) answered is read, whole lists and watches; and
 * what is none of it is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "golden_file.h"
#include "server/cluster/parse.h"

#define OBJECTS_MAX 16

struct objects {
    struct kube_object *all[OBJECTS_MAX];
    size_t count;
    struct kube_page page;
};

static void objects_free(struct objects *objects)
{
    for (size_t i = 0; i < objects->count; i++)
        free(objects->all[i]);
}
#define _cleanup_objects_ _cleanup_(objects_free)

static int keep(void *ctx, const struct kube_object *object)
{
    struct objects *objects = ctx;
    assert_true(objects->count < OBJECTS_MAX);
    assert_int_equal(kube_object_copy(object, &objects->all[objects->count++]), 0);
    return 0;
}

static void read_text(const char *text, size_t len, enum kube_kind kind, struct objects *ret)
{
    struct err err = {0};
    if (kube_parse_list(text, len, kind, keep, ret, &ret->page, &err) != 0)
        fail_msg("%.80s: %s", text, err.text);
}

static void read_file(const char *name, enum kube_kind kind, struct objects *ret)
{
    _cleanup_(buf_free) struct buf text = golden_file(name);
    read_text((const char *)text.data, text.len, kind, ret);
}

static const struct kube_object *find(const struct objects *objects, const char *name)
{
    for (size_t i = 0; i < objects->count; i++)
        if (strcmp(objects->all[i]->name, name) == 0)
            return objects->all[i];
    fail_msg("no %s", name);
    return NULL;
}

static void a_pod_is_read_with_all_its_containers(void **state)
{
    _cleanup_objects_ struct objects pods = {0};
    read_file("k8s/api/pods.json", KUBE_POD, &pods);
    assert_int_equal(pods.count, 8);
    assert_int_equal(pods.page.objects, 8);
    assert_int_equal(pods.page.dropped, 0);
    assert_string_equal(pods.page.version, "548");
    assert_string_equal(pods.page.more, "");
    const struct kube_object *web = find(&pods, "web-6f9968b487-nf9wh");
    assert_string_equal(web->namespace, "shop");
    assert_string_equal(web->uid, "6d936c30-46fc-42f9-aaab-bdffa98e5c1f");
    assert_string_equal(web->node, "node-1");
    assert_string_equal(web->ip, "10.254.79.6");
    assert_string_equal(web->phase, "Running");
    assert_int_equal(web->started_ms, 1795339514000); /* 2026-11-22T09:25:14Z */
    assert_string_equal(web->owner_kind, "ReplicaSet");
    assert_string_equal(web->owner, "web-6f9968b487");
    assert_string_equal(web->owner_uid, "6f983f51-a5fe-42e0-9a82-49ebe35c35c5");
    assert_int_equal(web->label_count, 5);
    assert_string_equal(web->static_uid, "");
    assert_int_equal(web->container_count, 3); /* two and an init container */
    assert_int_equal(web->containers[0].kind, CONTAINER_APP);
    assert_string_equal(web->containers[0].id,
                        "7dd279f1690cbfaaece08e9eefdf0e681f888ead40ac71dc4e12714d3a4a2eac");
    assert_int_equal(web->containers[2].kind, CONTAINER_INIT);
    assert_int_equal(web->containers[2].state, CONTAINER_EXITED);
    assert_string_equal(web->containers[2].reason, "Completed");
}

static void a_restarted_container_has_two_ids_and_an_ephemeral_one_is_a_container(void **state)
{
    _cleanup_objects_ struct objects pods = {0};
    read_file("k8s/api/pods.json", KUBE_POD, &pods);
    const struct kube_object *bare = find(&pods, "bare");
    assert_string_equal(bare->owner_kind, "");
    assert_int_equal(bare->containers[0].restarts, 1);
    assert_int_equal(strlen(bare->containers[0].id), 64);
    assert_int_equal(strlen(bare->containers[0].last_id), 64);
    assert_string_not_equal(bare->containers[0].id, bare->containers[0].last_id);
    assert_int_equal(bare->container_count, 2);
    assert_int_equal(bare->containers[1].kind, CONTAINER_EPHEMERAL);
    assert_string_equal(bare->containers[1].name, "debugger");
}

static void a_static_pod_has_kubelets_uid_too_and_no_controller(void **state)
{
    _cleanup_objects_ struct objects pods = {0};
    read_file("k8s/api/pods.json", KUBE_POD, &pods);
    const struct kube_object *proxy = find(&pods, "proxy-node-1");
    assert_string_equal(proxy->uid, "0e6c0df6-5788-4694-933d-7d8aa26f7258");
    assert_string_equal(proxy->static_uid, "ac791484a78c8f4038eba8b0081dfcd4");
    assert_string_equal(proxy->owner_kind, "");
}

static void a_page_says_where_the_next_begins(void **state)
{
    _cleanup_objects_ struct objects pods = {0};
    read_file("k8s/api/pods-page1.json", KUBE_POD, &pods);
    assert_int_equal(pods.count, 3);
    assert_string_equal(pods.page.version, "489");
    assert_int_equal(strncmp(pods.page.more, "eyJ2IjoibWV0YS5rOHMuaW8vdjEi", 28), 0);
}

static void metadata_lists_have_owners_and_labels(void **state)
{
    static const char *const owners[] = {
        "StatefulSet", "", "DaemonSet", "", "Job", "Job", "ReplicaSet", "ReplicaSet",
    };
    _cleanup_objects_ struct objects replicas = {0}, whole = {0};
    _cleanup_(buf_free) struct buf text = golden_file("k8s/api/pods-metadata.json");
    /* The recorded one is of pods; the kind is what was asked for. */
    read_text((const char *)text.data, text.len, KUBE_REPLICASET, &replicas);
    assert_int_equal(replicas.count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_string_equal(replicas.all[i]->owner_kind, owners[i]);
    assert_int_equal(find(&replicas, "db-0")->label_count, 3);
    assert_int_equal(find(&replicas, "db-0")->container_count, 0);
    /* A server that does not know metadata lists sends the objects themselves. */
    read_file("k8s/api/replicasets.json", KUBE_REPLICASET, &whole);
    assert_string_equal(find(&whole, "web-6f9968b487")->owner_kind, "Deployment");
    assert_string_equal(find(&whole, "web-6f9968b487")->owner, "web");
}

static void services_have_selectors(void **state)
{
    _cleanup_objects_ struct objects services = {0}, pods = {0};
    read_file("k8s/api/services.json", KUBE_SERVICE, &services);
    read_file("k8s/api/pods.json", KUBE_POD, &pods);
    assert_int_equal(find(&services, "kubernetes")->selector_count, 0);
    assert_string_equal(find(&services, "db")->selector[0].key, "app");
    assert_true(kube_selects(find(&services, "db"), find(&pods, "db-0")));
    assert_false(kube_selects(find(&services, "db"), find(&pods, "web-6f9968b487-nf9wh")));
    for (size_t i = 0; i < pods.count; i++)
        assert_false(kube_selects(find(&services, "kubernetes"), pods.all[i]));
}

/* ---- watches */

struct events {
    char text[4096];
    size_t len;
};

static int keep_event(void *ctx, const struct kube_event *event)
{
    static const char *const types[] = {"put", "removed", "bookmark", "error", "dropped"};
    struct events *events = ctx;
    events->len += (size_t)snprintf(events->text + events->len, sizeof(events->text) - events->len,
                                    "%s %s %s %u %s\n", types[event->type],
                                    event->object ? event->object->name : "-", event->version,
                                    event->code, event->message);
    return 0;
}

static void a_watch_is_read_event_by_event(void **state)
{
    _cleanup_(buf_free) struct buf text = golden_file("k8s/api/pods-watch.jsonl");
    struct events events = {0};
    char *line = (char *)text.data;
    for (char *end; (end = strchr(line, '\n')); line = end + 1) {
        struct err err = {0};
        if (kube_parse_event(line, (size_t)(end - line), KUBE_POD, keep_event, &events, &err) != 0)
            fail_msg("%s", err.text);
    }
    assert_string_equal(events.text, "put web-6f9968b487-6fpt5 491 0 \n"
                                     "put web-6f9968b487-thw2p 494 0 \n"
                                     "put web-6f9968b487-thw2p 497 0 \n"
                                     "put web-6f9968b487-thw2p 505 0 \n"
                                     "put bare 508 0 \n"
                                     "put bare 514 0 \n"
                                     "put web-6f9968b487-thw2p 515 0 \n"
                                     "put web-6f9968b487-6fpt5 519 0 \n"
                                     "put web-6f9968b487-thw2p 521 0 \n"
                                     "put web-6f9968b487-thw2p 527 0 \n"
                                     "put web-6f9968b487-6fpt5 533 0 \n"
                                     "removed web-6f9968b487-6fpt5 534 0 \n"
                                     "bookmark - 534 0 \n");
}

static void an_error_event_has_its_code_and_message(void **state)
{
    _cleanup_(buf_free) struct buf text = golden_file("k8s/api/pods-watch-too-old.jsonl");
    struct events events = {0};
    assert_int_equal(
        kube_parse_event((const char *)text.data, text.len, KUBE_POD, keep_event, &events, NULL),
        0);
    assert_string_equal(events.text, "error -  410 too old resource version: 1 (550)\n");
}

/* ---- what is no good */

static int list_code(const char *text, struct kube_page *ret)
{
    struct objects objects = {0};
    struct err err = {0};
    int r = kube_parse_list(text, strlen(text), KUBE_POD, keep, &objects, ret, &err);
    if (r < 0)
        assert_true(err.text[0]);
    objects_free(&objects);
    return r;
}

static void what_is_no_list_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"kind\":\"Status\",\"code\":200}",
        "{\"kind\":\"ServiceList\",\"items\":[]}",
        "{\"kind\":\"PodListing\",\"items\":[]}",
        "{\"kind\":\"PodList\",\"items\":{}}",
        "{\"kind\":\"PodList\",\"items\":[]}}",
        "{\"kind\":\"PodList\",\"items\":[\"\xff\"]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kube_page page = {.objects = 77};
        if (list_code(bad[i], &page) != -EBADMSG)
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(page.objects, 77);
    }
}

static void an_object_without_a_good_name_is_dropped_and_counted(void **state)
{
    char text[2048], name[300];
    memset(name, 'x', sizeof(name));
    snprintf(text, sizeof(text),
             "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"5\"},\"items\":["
             "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\",\"uid\":\"u\"}},"
             "{\"metadata\":{\"name\":\"a\",\"namespace\":\"n\"}},"
             "{\"metadata\":{\"name\":\"a\",\"uid\":\"u\"}},"
             "{\"metadata\":{\"name\":7,\"namespace\":\"n\",\"uid\":\"u\"}},"
             "{\"metadata\":{\"name\":\"%.254s\",\"namespace\":\"n\",\"uid\":\"u\"}},"
             "{\"metadata\":[]},{},null,3]}",
             name);
    struct kube_page page;
    assert_int_equal(list_code(text, &page), 0);
    assert_int_equal(page.objects, 1);
    assert_int_equal(page.dropped, 8);
    assert_string_equal(page.version, "5");
}

static void an_empty_list_may_have_null_for_items(void **state)
{
    struct kube_page page;
    assert_int_equal(list_code("{\"kind\":\"PodList\",\"items\":null}", &page), 0);
    assert_int_equal(page.objects, 0);
}

static void versions_and_tokens_that_are_too_long_are_refused(void **state)
{
    char text[KUBE_CONTINUE_MAX + 100], word[KUBE_CONTINUE_MAX + 1];
    struct kube_page page;
    memset(word, 'x', sizeof(word));
    word[KUBE_CONTINUE_MAX] = 0;
    snprintf(text, sizeof(text), "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"%s\"}}", word);
    assert_int_equal(list_code(text, &page), -EBADMSG);
    word[KUBE_CONTINUE_MAX - 1] = 0;
    snprintf(text, sizeof(text), "{\"kind\":\"PodList\",\"metadata\":{\"continue\":\"%s\"}}", word);
    assert_int_equal(list_code(text, &page), 0);
    assert_string_equal(page.more, word);
}

static void a_selector_that_is_too_large_selects_nothing_rather_than_too_much(void **state)
{
    char text[8192];
    size_t len = (size_t)snprintf(text, sizeof(text),
                                  "{\"kind\":\"ServiceList\",\"items\":[{\"metadata\":{\"name\":"
                                  "\"s\",\"namespace\":\"n\",\"uid\":\"u\"},\"spec\":{"
                                  "\"selector\":{");
    for (unsigned i = 0; i <= KUBE_SELECTOR_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s\"k%u\":\"v\"", i ? "," : "", i);
    snprintf(text + len, sizeof(text) - len, "}}}]}");
    _cleanup_objects_ struct objects services = {0};
    read_text(text, strlen(text), KUBE_SERVICE, &services);
    assert_int_equal(services.count, 1);
    assert_int_equal(services.all[0]->selector_count, 0);
}

static void what_is_no_event_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "{\"type\":\"ADDED\"}",
        "{\"type\":\"RENAMED\",\"object\":{}}",
        "{\"type\":\"ADDED\",\"object\":[]}",
        "{\"type\":\"ADDED\",\"object\":{}} x",
    };
    struct events events = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        int r = kube_parse_event(bad[i], strlen(bad[i]), KUBE_POD, keep_event, &events, &err);
        if (r != -EBADMSG)
            fail_msg("%s was taken", bad[i]);
        assert_true(err.text[0]);
    }
    assert_string_equal(events.text, "");
    const char nameless[] = "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"resourceVersion\":"
                            "\"9\"}}}";
    assert_int_equal(
        kube_parse_event(nameless, strlen(nameless), KUBE_POD, keep_event, &events, NULL), 0);
    assert_string_equal(events.text, "dropped - 9 0 \n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pod_is_read_with_all_its_containers),
        cmocka_unit_test(a_restarted_container_has_two_ids_and_an_ephemeral_one_is_a_container),
        cmocka_unit_test(a_static_pod_has_kubelets_uid_too_and_no_controller),
        cmocka_unit_test(a_page_says_where_the_next_begins),
        cmocka_unit_test(metadata_lists_have_owners_and_labels),
        cmocka_unit_test(services_have_selectors),
        cmocka_unit_test(a_watch_is_read_event_by_event),
        cmocka_unit_test(an_error_event_has_its_code_and_message),
        cmocka_unit_test(what_is_no_list_is_refused),
        cmocka_unit_test(an_object_without_a_good_name_is_dropped_and_counted),
        cmocka_unit_test(an_empty_list_may_have_null_for_items),
        cmocka_unit_test(versions_and_tokens_that_are_too_long_are_refused),
        cmocka_unit_test(a_selector_that_is_too_large_selects_nothing_rather_than_too_much),
        cmocka_unit_test(what_is_no_event_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
