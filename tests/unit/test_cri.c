/* test_cri.c: pods and containers as a container runtime tells them, by gRPC on its socket; and
 * what is said when none does. Messages and HTTP/2 connections are a real containerd's, as
 * recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "facts_kit.h"
#include "http_server.h"
#include "k8s/cri.h"
#include "k8s/cri.pb-c.h"
#include "k8s/pods.h"
#include "raw_server.h"
#include "temp_dir.h"

/* ---- messages */

static void a_real_runtimes_lists_give_pods_sandboxes_and_containers(void **state)
{
    static const char *const versions[] = {"v1", "v1alpha2"};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        _cleanup_(buf_free) struct buf version = {0}, sandboxes = {0}, containers = {0};
        _cleanup_(facts_kit_free) struct facts_kit kit;
        char name[64], runtime[16];
        snprintf(name, sizeof(name), "cri-version.%s.pb", versions[i]);
        golden_read(name, &version);
        snprintf(name, sizeof(name), "cri-sandboxes.%s.pb", versions[i]);
        golden_read(name, &sandboxes);
        snprintf(name, sizeof(name), "cri-containers.%s.pb", versions[i]);
        golden_read(name, &containers);
        assert_int_equal(cri_parse_version(version.data, version.len, runtime, NULL), 0);
        assert_string_equal(runtime, "containerd");
        facts_kit_init(&kit);
        struct cri_answers answers = {.sandboxes = {sandboxes.data, sandboxes.len},
                                      .containers = {containers.data, containers.len},
                                      .runtime = runtime};
        assert_int_equal(cri_parse(&answers, &kit.sink, NULL), 0);
        assert_int_equal(kit.pods, 8);
        assert_int_equal(kit.dropped, 0);
        facts_kit_equals(&kit, "cri.facts");
    }
}

/* Lists as a runtime might make them, each of one entry. */
static void pack(Cri__PodSandbox *sandbox, Cri__Container *container, Cri__Image *image,
                 uint8_t *bytes, size_t size, struct cri_answers *ret)
{
    Cri__ListPodSandboxResponse sandboxes = CRI__LIST_POD_SANDBOX_RESPONSE__INIT;
    Cri__ListContainersResponse containers = CRI__LIST_CONTAINERS_RESPONSE__INIT;
    Cri__ListImagesResponse images = CRI__LIST_IMAGES_RESPONSE__INIT;
    sandboxes.n_items = sandbox != NULL;
    sandboxes.items = &sandbox;
    containers.n_containers = container != NULL;
    containers.containers = &container;
    images.n_images = image != NULL;
    images.images = &image;
    size_t a = cri__list_pod_sandbox_response__pack(&sandboxes, bytes);
    size_t b = cri__list_containers_response__pack(&containers, bytes + a);
    size_t c = cri__list_images_response__pack(&images, bytes + a + b);
    assert_true(a + b + c <= size);
    *ret = (struct cri_answers){{bytes, a}, {bytes + a, b}, {bytes + a + b, c}, "crio"};
}

#define UID "01234567-0123-0123-0123-0123456789ab"

static void a_container_without_kubelets_labels_is_joined_by_its_sandbox(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    uint8_t bytes[512];
    struct cri_answers answers;
    Cri__PodSandboxMetadata pod = CRI__POD_SANDBOX_METADATA__INIT;
    Cri__PodSandbox sandbox = CRI__POD_SANDBOX__INIT;
    Cri__ContainerMetadata metadata = CRI__CONTAINER_METADATA__INIT;
    Cri__Container container = CRI__CONTAINER__INIT;
    pod.name = (char *)"p";
    pod.namespace_ = (char *)"n";
    pod.uid = (char *)UID;
    sandbox.id = (char *)"aa";
    sandbox.metadata = &pod;
    sandbox.state = 1;
    metadata.name = (char *)"c";
    metadata.attempt = 2;
    container.id = (char *)"bb";
    container.pod_sandbox_id = (char *)"aa";
    container.metadata = &metadata;
    container.state = 0;
    container.created_at = 5000000000;
    facts_kit_init(&kit);
    pack(&sandbox, &container, NULL, bytes, sizeof(bytes), &answers);
    assert_int_equal(cri_parse(&answers, &kit.sink, NULL), 0);
    facts_kit_has(&kit, "pod " UID " n/p");
    facts_kit_has(&kit, "container aa pod=" UID " sandbox exited restarts=0 runtime=crio");
    facts_kit_has(&kit, "container bb pod=" UID " name=c app created restarts=2 runtime=crio");
}

static int note_start(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    *(int64_t *)ctx = pod ? pod->started_ns : -1;
    return 0;
}

/* A sandbox was made anew, as after a reboot; and a pod of a StatefulSet, under the name of the one
 * before. */
static void of_two_sandboxes_the_one_that_is_there_counts(void **state)
{
    static const char *const uids[] = {UID, "01234567-0123-0123-0123-000000000002"};
    for (int order = 0; order < 2; order++) {
        struct pods *pods = NULL;
        struct pods_update *update = NULL;
        uint8_t bytes[512];
        char uid[40];
        int64_t started_ns = 0;
        Cri__ListPodSandboxResponse list = CRI__LIST_POD_SANDBOX_RESPONSE__INIT;
        Cri__PodSandboxMetadata pod[2] = {CRI__POD_SANDBOX_METADATA__INIT,
                                          CRI__POD_SANDBOX_METADATA__INIT};
        Cri__PodSandbox sandbox[3] = {CRI__POD_SANDBOX__INIT, CRI__POD_SANDBOX__INIT,
                                      CRI__POD_SANDBOX__INIT};
        Cri__PodSandbox *items[3];
        for (size_t i = 0; i < 2; i++) {
            pod[i].name = (char *)"db-0";
            pod[i].namespace_ = (char *)"data";
            pod[i].uid = (char *)(uintptr_t)uids[i];
        }
        for (size_t i = 0; i < 3; i++) { /* the old pod's, then both of the one that is there */
            sandbox[i].id = (char *)(uintptr_t) & "aa\0bb\0cc"[3 * i];
            sandbox[i].metadata = &pod[i != 0];
            sandbox[i].state = i < 2;
            sandbox[i].created_at = (int64_t)(i + 1) * NS_PER_SEC;
            items[order ? 2 - i : i] = &sandbox[i];
        }
        list.n_items = 3;
        list.items = items;
        struct cri_answers answers = {
            .sandboxes = {bytes, cri__list_pod_sandbox_response__pack(&list, bytes)}};
        assert_int_equal(pods_new(NULL, &pods, NULL), 0);
        assert_int_equal(pods_begin(pods, PODS_CRI, &update), 0);
        struct facts_sink sink = pods_update_sink(update);
        assert_int_equal(cri_parse(&answers, &sink, NULL), 0);
        assert_int_equal(pods_commit(&update, 1, NULL), 0);
        assert_int_equal(pods_find_uid(pods, "data", "db-0", uid), 0);
        assert_string_equal(uid, uids[1]);
        pods_visit(pods, "", uids[1], note_start, &started_ns);
        assert_int_equal(started_ns, 3 * NS_PER_SEC);
        pods_free(&pods);
    }
}

static void an_image_is_called_as_the_user_did_if_anybody_knows(void **state)
{
    static const struct {
        const char *spec, *user, *tag, *digest, *words;
    } cases[] = {
        {"sha256:12", "", NULL, NULL, " image=sha256:12 "},
        {"sha256:12", "", "nginx:1.25", "nginx@sha256:34", " image=nginx:1.25 "},
        {"sha256:12", "", NULL, "nginx@sha256:34", " image=nginx@sha256:34 "},
        {"sha256:12", "docker.io/nginx", "nginx:1.25", NULL, " image=docker.io/nginx "},
        {"sha256:99", "", "nginx:1.25", NULL, " image=sha256:99 "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(facts_kit_free) struct facts_kit kit;
        uint8_t bytes[512];
        struct cri_answers answers;
        Cri__ImageSpec spec = CRI__IMAGE_SPEC__INIT;
        Cri__Container container = CRI__CONTAINER__INIT;
        Cri__Image image = CRI__IMAGE__INIT;
        char *tag = (char *)cases[i].tag, *digest = (char *)cases[i].digest;
        spec.image = (char *)cases[i].spec;
        spec.user_specified_image = (char *)cases[i].user;
        container.id = (char *)"bb";
        container.image = &spec;
        image.id = (char *)"sha256:12";
        image.n_repo_tags = tag != NULL;
        image.repo_tags = &tag;
        image.n_repo_digests = digest != NULL;
        image.repo_digests = &digest;
        facts_kit_init(&kit);
        pack(NULL, &container, &image, bytes, sizeof(bytes), &answers);
        assert_int_equal(cri_parse(&answers, &kit.sink, NULL), 0);
        assert_non_null(strstr((char *)kit.text.data, cases[i].words));
    }
}

static void what_is_no_message_is_refused(void **state)
{
    static const uint8_t bad[][4] = {
        {0x0a, 0x7f}, /* a length beyond the end */
        {0x0a, 0x02, 0x0a, 0x05},
        {0xff, 0xff, 0xff, 0xff},
        {0x08, 0x80, 0x80, 0x80},
        {0x0b, 0x00}, /* a group, which there is no more */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(facts_kit_free) struct facts_kit kit;
        struct err err = {0};
        facts_kit_init(&kit);
        struct cri_answers sandboxes = {.sandboxes = {bad[i], 4}};
        struct cri_answers containers = {.containers = {bad[i], 4}};
        assert_int_equal(cri_parse(&sandboxes, &kit.sink, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "sandboxes"));
        assert_int_equal(cri_parse(&containers, &kit.sink, &err), -EBADMSG);
        assert_non_null(strstr(err.text, "containers"));
        assert_int_equal(kit.pods + kit.containers, 0);
    }
    char runtime[16];
    assert_int_equal(cri_parse_version(bad[0], 4, runtime, NULL), -EBADMSG);
}

static void a_list_of_images_that_is_none_costs_their_names_only(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    uint8_t bytes[512];
    struct cri_answers answers;
    Cri__ImageSpec spec = CRI__IMAGE_SPEC__INIT;
    Cri__Container container = CRI__CONTAINER__INIT;
    spec.image = (char *)"sha256:12";
    container.id = (char *)"bb";
    container.image = &spec;
    facts_kit_init(&kit);
    pack(NULL, &container, NULL, bytes, sizeof(bytes), &answers);
    answers.images = (struct cri_bytes){(const uint8_t *)"\x0a\x7f", 2};
    assert_int_equal(cri_parse(&answers, &kit.sink, NULL), 0);
    facts_kit_has(&kit, "container bb app created restarts=0 image=sha256:12 runtime=crio");
}

static void images_are_lacked_where_a_container_tells_an_unknown_hash(void **state)
{
    static const char bare[] = "242a926854557ae98c8ef965afcb6b84c180c66803d422d18c688ed159839b49";
    static const struct {
        const char *spec, *user, *known;
        bool lacks;
    } cases[] = {
        {"sha256:12", "", NULL, true},
        {"sha256:12", "", "sha256:34", true},
        {"sha256:12", "", "sha256:12", false},
        {"sha256:12", "nginx", NULL, false},
        {"nginx:1.25", "", NULL, false},
        {"", "", NULL, false},
        {bare, "", NULL, true},
        {bare, "", bare, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t bytes[512];
        struct cri_answers answers;
        Cri__ImageSpec spec = CRI__IMAGE_SPEC__INIT;
        Cri__Container container = CRI__CONTAINER__INIT;
        Cri__Image image = CRI__IMAGE__INIT;
        spec.image = (char *)(uintptr_t)cases[i].spec;
        spec.user_specified_image = (char *)(uintptr_t)cases[i].user;
        container.id = (char *)"bb";
        container.image = &spec;
        image.id = (char *)(uintptr_t)cases[i].known;
        pack(NULL, &container, cases[i].known ? &image : NULL, bytes, sizeof(bytes), &answers);
        assert_int_equal(cri_lacks_images(&answers), cases[i].lacks);
    }
}

/* An empty sandbox takes two bytes of the message and eighty of memory. */
static void a_message_that_would_fill_the_memory_is_refused(void **state)
{
    _cleanup_(facts_kit_free) struct facts_kit kit;
    size_t len = 4u << 20;
    _cleanup_free_ uint8_t *bytes = calloc(1, len);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i += 2)
        bytes[i] = 0x0a;
    facts_kit_init(&kit);
    struct cri_answers answers = {.sandboxes = {bytes, len}};
    assert_int_equal(cri_parse(&answers, &kit.sink, NULL), -EBADMSG);
}

static void a_body_of_frames_is_joined_to_one_message(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        int r;
        const char *message; /* or the error's words */
    } cases[] = {
        {"\0\0\0\0\3abc", 8, 0, "abc"},
        {"\0\0\0\0\0", 5, 0, ""},
        {"\0\0\0\0\1a\0\0\0\0\2bc", 13, 0, "abc"},
        {"\0\0\0\0\0\0\0\0\0\2bc", 12, 0, "bc"},
        {"", 0, -EBADMSG, "without a message"},
        {"\0\0\0\0", 4, -EBADMSG, "within a frame's head"},
        {"\0\0\0\0\3ab", 7, -EBADMSG, "a message of 3 bytes of which 2 came"},
        {"\0\xff\xff\xff\xff", 5, -EBADMSG, "a message of 4294967295 bytes"},
        {"\1\0\0\0\3abc", 8, -EBADMSG, "compressed"},
        {"\0\0\0\0\1a\0", 7, -EBADMSG, "within a frame's head"},
        {"HTTP/1.1 400", 12, -EBADMSG, "no gRPC"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t body[16];
        size_t len = 99;
        struct err err = {0};
        memcpy(body, cases[i].body, cases[i].len);
        assert_int_equal(cri_unframe(body, cases[i].len, &len, &err), cases[i].r);
        if (cases[i].r < 0) {
            assert_int_equal(len, 99);
            assert_non_null(strstr(err.text, cases[i].message));
        } else {
            assert_int_equal(len, strlen(cases[i].message));
            assert_memory_equal(body, cases[i].message, len);
        }
    }
}

/* ---- asking */

struct kit {
    struct temp_dir *dir;
    char socket[PATH_MAX + 64];
    struct cri_config config;
    struct source source;
    struct facts_kit facts;
    struct err err;
    /* for replay: what each connection is answered with */
    const char *const *recordings;
    atomic_size_t connections;
};

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    void *dir = NULL;
    assert_non_null(kit);
    assert_int_equal(temp_dir_make(&dir), 0);
    kit->dir = dir;
    facts_kit_init(&kit->facts);
    snprintf(kit->socket, sizeof(kit->socket), "%s/run/containerd/containerd.sock", kit->dir->path);
    char run[PATH_MAX + 64];
    snprintf(run, sizeof(run), "%s/run/containerd", kit->dir->path);
    assert_int_equal(fs_mkdir_p(run, 0755, NULL), 0);
    kit->config.socket = kit->socket;
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    void *dir = kit->dir;
    source_free(&kit->source);
    facts_kit_free(&kit->facts);
    free(kit);
    return temp_dir_remove(&dir);
}

static int refresh(struct kit *kit)
{
    if (!kit->source.ops)
        assert_int_equal(cri_source_new(&kit->config, &kit->source, &kit->err), 0);
    assert_string_equal(kit->source.ops->name, "cri");
    return kit->source.ops->refresh(kit->source.self, &kit->facts.sink, &kit->err);
}

/* Whether these bytes, behind the client's preface, have the end of its request: a DATA frame (type
 * 0) with END_STREAM (flag 1). RFC 9113, 4.1. */
static bool has_request(const uint8_t *bytes, size_t len)
{
    for (size_t at = 24; at + 9 <= len;) {
        size_t size = (size_t)bytes[at] << 16 | (size_t)bytes[at + 1] << 8 | bytes[at + 2];
        if (bytes[at + 3] == 0 && (bytes[at + 4] & 1))
            return true;
        at += 9 + size;
    }
    return false;
}

/* What containerd sent on one connection, once the whole request is there. */
static void replay(void *ctx, int fd)
{
    struct kit *kit = ctx;
    uint8_t asked[4096];
    size_t len = 0;
    while (!has_request(asked, len)) {
        ssize_t n = read(fd, asked + len, sizeof(asked) - len);
        if (n <= 0)
            return;
        len += (size_t)n;
    }
    const char *name = kit->recordings[atomic_fetch_add(&kit->connections, 1)];
    _cleanup_(buf_free) struct buf bytes = {0};
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/tests/golden/k8s/cri-http2-%s", getenv("top_srcdir"), name);
    if (!name || fs_read_at(AT_FDCWD, path, 65536, &bytes, NULL) < 0)
        return;
    if (fs_write_all(fd, bytes.data, bytes.len) == 0)
        raw_say_nothing(NULL, fd);
}

static void facts_come_from_a_runtimes_socket(void **state)
{
    static const char *const all[] = {"version",    "containers", "sandboxes",
                                      "containers", "sandboxes",  NULL};
    struct kit *kit = *state;
    kit->recordings = all;
    struct raw_server *server = raw_server_new(kit->socket, replay, kit);
    if (refresh(kit) != 0)
        fail_msg("%s", kit->err.text);
    facts_kit_equals(&kit->facts, "cri-http2.facts");
    assert_int_equal(kit->connections, 3);
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 4);
    assert_int_equal(kit->connections, 5);
    raw_server_free(&server);
}

/* The recording's containers, with an image's id where its name was, as where kubelet asked for it
 * by that. */
static void images_are_asked_for_once_where_only_they_tell_the_name(void **state)
{
    static const char *const all[] = {"version",          "containers-by-id", "sandboxes", "images",
                                      "containers-by-id", "sandboxes",        NULL};
    struct kit *kit = *state;
    kit->recordings = all;
    struct raw_server *server = raw_server_new(kit->socket, replay, kit);
    for (size_t i = 0; i < 2; i++) {
        kit->facts.text.len = 0;
        assert_int_equal(refresh(kit), 0);
        facts_kit_equals(&kit->facts, "cri-http2.facts");
        assert_int_equal(kit->connections, 4 + 2 * i);
    }
    raw_server_free(&server);
}

static void an_older_runtime_is_asked_by_the_older_service(void **state)
{
    static const char *const all[] = {"unknown-service", "version-v1alpha2", "containers",
                                      "sandboxes", NULL};
    struct kit *kit = *state;
    kit->recordings = all;
    struct raw_server *server = raw_server_new(kit->socket, replay, kit);
    assert_int_equal(refresh(kit), 0);
    facts_kit_equals(&kit->facts, "cri-http2.facts");
    assert_int_equal(kit->connections, 4);
    raw_server_free(&server);
}

static void a_runtime_that_serves_no_images_or_fails_to_gives_all_the_rest(void **state)
{
    static const char *const all[][5] = {
        {"version", "containers-by-id", "sandboxes", "unknown-service", NULL},
        {"version", "containers-by-id", "sandboxes", NULL}, /* breaks off */
    };
    struct kit *kit = *state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        kit->recordings = all[i];
        kit->connections = 0;
        struct raw_server *server = raw_server_new(kit->socket, replay, kit);
        assert_int_equal(refresh(kit), 0);
        assert_int_equal(kit->connections, 4);
        assert_int_equal(kit->facts.containers, 4 * (i + 1));
        assert_non_null(strstr((char *)kit->facts.text.data, " image=sha256:242a926854557ae9"));
        source_free(&kit->source);
        raw_server_free(&server);
        assert_int_equal(unlink(kit->socket), 0);
    }
}

static void a_runtime_that_does_not_speak_the_interface_is_a_fault_only_where_it_was_named(
    void **state)
{
    static const char *const all[] = {"unknown-service", "unknown-service", "unknown-service",
                                      "unknown-service", NULL};
    struct kit *kit = *state;
    kit->recordings = all;
    struct raw_server *server = raw_server_new(kit->socket, replay, kit);
    assert_int_equal(refresh(kit), -EOPNOTSUPP);
    assert_words(&kit->err, "gRPC status 12: unknown service");
    source_free(&kit->source);
    kit->config = (struct cri_config){.root = kit->dir->path};
    assert_int_equal(refresh(kit), -ENOENT);
    assert_words(&kit->err, "no container runtime: ");
    assert_words(&kit->err, kit->socket);
    raw_server_free(&server);
}

static void a_runtime_is_found_where_it_usually_stands_also_later(void **state)
{
    static const char *const all[] = {"version", "containers", "sandboxes", NULL};
    struct kit *kit = *state;
    kit->config = (struct cri_config){.root = kit->dir->path};
    kit->recordings = all;
    assert_int_equal(refresh(kit), -ENOENT);
    assert_words(&kit->err, "no container runtime's socket in any of the usual places");
    struct raw_server *server = raw_server_new(kit->socket, replay, kit);
    assert_int_equal(refresh(kit), 0);
    assert_int_equal(kit->facts.pods, 2);
    raw_server_free(&server);
    /* Its socket stays behind. */
    assert_int_equal(refresh(kit), -ENOENT);
    assert_words(&kit->err, "Connection refused");
}

static void a_socket_that_was_named_and_is_not_there_is_a_fault(void **state)
{
    struct kit *kit = *state;
    assert_int_equal(refresh(kit), -ECONNREFUSED);
    assert_words(&kit->err, kit->socket);
    assert_words(&kit->err, "No such file");
}

static void a_runtime_that_hangs_is_given_up(void **state)
{
    struct kit *kit = *state;
    struct raw_server *server = raw_server_new(kit->socket, raw_say_nothing, NULL);
    assert_int_equal(refresh(kit), -ETIMEDOUT);
    assert_words(&kit->err, kit->socket);
    assert_int_equal(kit->facts.pods + kit->facts.containers, 0);
    raw_server_free(&server);
}

static void a_runtime_that_hangs_keeps_no_other_from_being_heard(void **state)
{
    static const char *const all[] = {"version", "containers", "sandboxes", NULL};
    struct kit *kit = *state;
    char other[PATH_MAX + 64];
    snprintf(other, sizeof(other), "%s/run/cri-dockerd.sock", kit->dir->path);
    kit->config = (struct cri_config){.root = kit->dir->path};
    kit->recordings = all;
    struct raw_server *hangs = raw_server_new(kit->socket, raw_say_nothing, NULL);
    struct raw_server *server = raw_server_new(other, replay, kit);
    assert_int_equal(refresh(kit), 0);
    facts_kit_equals(&kit->facts, "cri-http2.facts");
    raw_server_free(&server);
    assert_int_equal(refresh(kit), -ETIMEDOUT); /* now nobody answers */
    assert_words(&kit->err, kit->socket);
    raw_server_free(&hangs);
}

static void what_is_no_runtime_gives_an_error(void **state)
{
    static const char garbage[] = "\0\0\1\4\0\0\0\0\0\xffgarbage that is no HTTP/2 at all .....";
    static const char http1[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";
    const struct raw_bytes cases[] = {{garbage, sizeof(garbage)}, {http1, sizeof(http1) - 1}};
    struct kit *kit = *state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct raw_bytes bytes = cases[i];
        struct raw_server *server = raw_server_new(kit->socket, raw_send_bytes, &bytes);
        int r = refresh(kit);
        assert_true(r < 0 && r != -ENOENT && r != -EOPNOTSUPP);
        assert_words(&kit->err, kit->socket);
        raw_server_free(&server);
        assert_int_equal(unlink(kit->socket), 0);
    }
}

static void a_setting_that_is_no_path_is_refused_at_once(void **state)
{
    struct kit *kit = *state;
    kit->config.socket = "containerd.sock";
    assert_int_equal(cri_source_new(&kit->config, &kit->source, &kit->err), -EINVAL);
    assert_words(&kit->err, "cri-socket is \"containerd.sock\"; it must be a socket's path");
    assert_null(kit->source.ops);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_real_runtimes_lists_give_pods_sandboxes_and_containers),
        cmocka_unit_test(a_container_without_kubelets_labels_is_joined_by_its_sandbox),
        cmocka_unit_test(of_two_sandboxes_the_one_that_is_there_counts),
        cmocka_unit_test(an_image_is_called_as_the_user_did_if_anybody_knows),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(a_list_of_images_that_is_none_costs_their_names_only),
        cmocka_unit_test(images_are_lacked_where_a_container_tells_an_unknown_hash),
        cmocka_unit_test(a_message_that_would_fill_the_memory_is_refused),
        cmocka_unit_test(a_body_of_frames_is_joined_to_one_message),
        TEST(facts_come_from_a_runtimes_socket),
        TEST(images_are_asked_for_once_where_only_they_tell_the_name),
        TEST(an_older_runtime_is_asked_by_the_older_service),
        TEST(a_runtime_that_serves_no_images_or_fails_to_gives_all_the_rest),
        TEST(a_runtime_that_does_not_speak_the_interface_is_a_fault_only_where_it_was_named),
        TEST(a_runtime_is_found_where_it_usually_stands_also_later),
        TEST(a_socket_that_was_named_and_is_not_there_is_a_fault),
        TEST(a_runtime_that_hangs_is_given_up),
        TEST(a_runtime_that_hangs_keeps_no_other_from_being_heard),
        TEST(what_is_no_runtime_gives_an_error),
        TEST(a_setting_that_is_no_path_is_refused_at_once),
    };
    return cmocka_run_group_tests_name("cri", tests, NULL, NULL);
}
