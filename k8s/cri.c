/* cri.c: finds the container runtimes of this machine and asks them. See cri.h. */
#include "k8s/cri.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/fetch.h"

#define TOTAL_NS           (4500 * NS_PER_MS)
#define IMAGES_GAP_NS      (60 * NS_PER_SEC) /* a list of images costs the runtime much */
#define GRPC_UNIMPLEMENTED 12

static const char *const places[] = {
    "/run/containerd/containerd.sock",
    "/run/crio/crio.sock",
    "/var/run/dockershim.sock",
    "/run/cri-dockerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
};

static const char *const versions[] = {"runtime.v1", "runtime.v1alpha2"};

/* One socket. */
struct runtime {
    char *path;
    struct fetch *fetch; /* NULL until it is asked */
    size_t version;      /* of the interface, that it knows as far as we know */
    char name[16];       /* "": not asked yet */
    struct buf images;   /* the last list of them */
    int64_t images_ns;   /* when it was asked for it; 0: never */
    bool fails;          /* and that has been logged */
};

struct cri {
    struct runtime runtimes[ARRAY_LEN(places)];
    size_t count;
    bool looks; /* no socket was given */
};

static void forget(struct runtime *t)
{
    fetch_free(&t->fetch);
    t->name[0] = 0;
    buf_free(&t->images);
    t->images_ns = 0;
}

static void cri_free(struct cri **cri)
{
    struct cri *c = *cri;
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        forget(&c->runtimes[i]);
        free(c->runtimes[i].path);
    }
    free(c);
    *cri = NULL;
}

static void free_self(void *self)
{
    struct cri *c = self;
    cri_free(&c);
}

/* ---- one runtime */

/* Each request has no fields, and so is an empty message: a frame of five zeros. -EOPNOTSUPP: the
 * runtime does not know the service. */
static int call(struct runtime *t, const char *method, int64_t until_ns, struct buf *answer,
                struct err *err)
{
    static const char empty[5];
    static const char *const headers[] = {"Content-Type: application/grpc", "TE: trailers", NULL};
    char path[96];
    snprintf(path, sizeof(path), "/%s.%s", versions[t->version], method);
    struct fetch_request request = {.path = path,
                                    .headers = headers,
                                    .body = empty,
                                    .body_len = sizeof(empty),
                                    .max_bytes = CRI_ANSWER_MAX};
    answer->len = 0;
    fetch_set_total(t->fetch, until_ns - clock_ns(CLOCK_MONOTONIC));
    int r = fetch_get(t->fetch, &request, answer, err);
    if (r < 0)
        return r;
    int status = fetch_grpc_status(t->fetch);
    if (status < 0)
        return err_set(err, -EPROTO,
                       "%s: an answer without grpc-status; is this a runtime's socket?", t->path);
    if (status > 0)
        return err_set(err, status == GRPC_UNIMPLEMENTED ? -EOPNOTSUPP : -EPROTO,
                       "%s%s: gRPC status %d: %s", t->path, path, status,
                       fetch_grpc_message(t->fetch));
    r = cri_unframe(answer->data, answer->len, &answer->len, err);
    return r < 0 ? err_wrap(err, r, "%s%s", t->path, path) : 0;
}

/* Which runtime it is, and by the way which version of the interface it has: the older one is
 * tried where the newer is unknown. */
static int greet(struct runtime *t, int64_t until_ns, struct err *err)
{
    _cleanup_(buf_free) struct buf answer = {0};
    int r = -EOPNOTSUPP;
    for (t->version = 0; t->version < ARRAY_LEN(versions); t->version++) {
        r = call(t, "RuntimeService/Version", until_ns, &answer, err);
        if (r != -EOPNOTSUPP)
            break;
    }
    if (r == 0)
        r = cri_parse_version(answer.data, answer.len, t->name, err);
    return r;
}

/* Images, another service, give names only: whatever is wrong with them, the rest is told. */
static void name_images(struct runtime *t, int64_t until_ns, struct cri_answers *answers)
{
    _cleanup_(buf_free) struct buf images = {0};
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    answers->images = (struct cri_bytes){t->images.data, t->images.len};
    if ((t->images_ns && now_ns - t->images_ns < IMAGES_GAP_NS) || !cri_lacks_images(answers))
        return;
    t->images_ns = now_ns;
    if (call(t, "ImageService/ListImages", until_ns, &images, NULL) < 0)
        return;
    struct buf before = t->images;
    t->images = images;
    images = before;
    answers->images = (struct cri_bytes){t->images.data, t->images.len};
}

/* Containers before sandboxes: those of each are then there. */
static int call_all(struct runtime *t, int64_t until_ns, const struct facts_sink *sink,
                    struct err *err)
{
    _cleanup_(buf_free) struct buf sandboxes = {0}, containers = {0};
    int r = call(t, "RuntimeService/ListContainers", until_ns, &containers, err);
    if (r == 0)
        r = call(t, "RuntimeService/ListPodSandbox", until_ns, &sandboxes, err);
    if (r < 0)
        return r;
    struct cri_answers answers = {.sandboxes = {sandboxes.data, sandboxes.len},
                                  .containers = {containers.data, containers.len},
                                  .runtime = t->name};
    name_images(t, until_ns, &answers);
    r = cri_parse(&answers, sink, err);
    return r < 0 ? err_wrap(err, r, "%s", t->path) : 0;
}

static int ask(struct runtime *t, int64_t until_ns, const struct facts_sink *sink, struct err *err)
{
    struct fetch_config config = {.server = "http://localhost",
                                  .unix_socket = t->path,
                                  .user_agent = "podflamed/" PACKAGE_VERSION,
                                  .http2 = true};
    int r = t->fetch ? 0 : fetch_new(&config, &t->fetch, err);
    if (r == 0 && !*t->name)
        r = greet(t, until_ns, err);
    if (r == 0)
        r = call_all(t, until_ns, sink, err);
    if (r < 0)
        forget(t); /* another may stand there next time */
    return r;
}

/* ---- all of them */

static bool is_socket(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A runtime that is gone left its socket behind; one that does not speak the interface is dockerd's
 * own. Neither is a fault where nobody named it. */
static bool is_none(int r)
{
    return r == -EOPNOTSUPP || r == -ECONNREFUSED;
}

static bool is_fault(int r)
{
    return r < 0 && !is_none(r);
}

/* Where another answers, nobody else tells of it. */
static void log_fault(struct runtime *t, const struct err *why)
{
    bool fails = is_fault(why->code);
    if (fails && !t->fails)
        log_warn("a container runtime fails, others answer error=\"%s\"", why->text);
    t->fails = fails;
}

/* Each has its share of the time that is left, and none keeps away what another tells. */
static int ask_all(struct runtime *const *there, size_t count, int64_t until_ns,
                   const struct facts_sink *sink, struct err *err)
{
    struct err why[ARRAY_LEN(places)] = {0};
    const struct err *worst = NULL;
    size_t answered = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        int r = ask(there[i], now_ns + (until_ns - now_ns) / (int64_t)(count - i), sink, &why[i]);
        if (r == -ENOMEM) /* the sink may have half of it */
            return err_set(err, r, "%s", why[i].text);
        answered += r == 0;
        why[i].code = r;
        if (r < 0 && (!worst || (is_fault(r) && is_none(worst->code))))
            worst = &why[i];
    }
    for (size_t i = 0; answered && i < count; i++)
        log_fault(there[i], &why[i]);
    if (answered)
        return 0;
    return is_none(worst->code) ? err_set(err, -ENOENT, "no container runtime: %s", worst->text)
                                : err_set(err, worst->code, "%s", worst->text);
}

static int refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    struct cri *c = self;
    struct runtime *there[ARRAY_LEN(places)];
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + TOTAL_NS;
    size_t count = 0;
    if (!c->looks)
        return ask(&c->runtimes[0], until_ns, sink, err);
    for (size_t i = 0; i < c->count; i++)
        if (is_socket(c->runtimes[i].path))
            there[count++] = &c->runtimes[i];
    return count ? ask_all(there, count, until_ns, sink, err)
                 : err_set(err, -ENOENT,
                           "no container runtime's socket in any of the usual places, as %s",
                           c->runtimes[0].path);
}

static const struct source_ops cri_ops = {.name = "cri", .refresh = refresh, .free = free_self};

static int add(struct cri *c, const char *root, const char *path)
{
    struct runtime *t = &c->runtimes[c->count];
    if (asprintf(&t->path, "%s%s", root ? root : "", path) < 0) {
        t->path = NULL;
        return -ENOMEM;
    }
    c->count++;
    return 0;
}

int cri_source_new(const struct cri_config *config, struct source *ret, struct err *err)
{
    _cleanup_(cri_free) struct cri *c = calloc(1, sizeof(*c));
    const char *socket = config->socket;
    if (!c)
        return err_errno(err, -ENOMEM, "preparing to ask the container runtime");
    if (socket && strncmp(socket, "unix://", 7) == 0)
        socket += 7;
    if (socket && socket[0] != '/')
        return err_set(err, -EINVAL, "cri-socket is \"%s\"; it must be a socket's path, as %s",
                       config->socket, places[0]);
    c->looks = !socket;
    int r = 0;
    if (socket)
        r = add(c, NULL, socket);
    for (size_t i = 0; r == 0 && !socket && i < ARRAY_LEN(places); i++)
        r = add(c, config->root, places[i]);
    if (r < 0)
        return err_errno(err, r, "preparing to ask the container runtime");
    *ret = (struct source){&cri_ops, TAKE_PTR(c)};
    return 0;
}
