/* kubelet.c: asks kubelet, finds it if need be, and says what to set when it refuses. See
 * kubelet.h. */
#include "k8s/kubelet.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/fetch.h"

#define ACCOUNT_DIR  "/var/run/secrets/kubernetes.io/serviceaccount"
#define KUBELET_PORT "10250"
#define TOTAL_NS     (4500 * NS_PER_MS)
#define CONNECT_NS   (1500 * NS_PER_MS)
#define PLACES_MAX   2

struct kubelet {
    char *urls[PLACES_MAX];
    size_t url_count, last; /* `last` answered */
    bool looks;             /* kubelet's place was not given */
    bool insecure;
    char *server_name, *token_file, *ca_file; /* as given */
    char *account_token, *account_ca;         /* as Kubernetes has them */
    struct fetch *fetch;                      /* of urls[last]; NULL until it is asked */
};

static void kubelet_free(struct kubelet **kubelet)
{
    struct kubelet *k = *kubelet;
    if (!k)
        return;
    for (size_t i = 0; i < PLACES_MAX; i++)
        free(k->urls[i]);
    free(k->server_name);
    free(k->token_file);
    free(k->ca_file);
    free(k->account_token);
    free(k->account_ca);
    fetch_free(&k->fetch);
    free(k);
    *kubelet = NULL;
}

static void free_self(void *self)
{
    struct kubelet *k = self;
    kubelet_free(&k);
}

/* Given, or the service account's as long as it is there; NULL: none. */
static const char *token_of(const struct kubelet *k)
{
    return k->token_file                         ? k->token_file
           : access(k->account_token, F_OK) == 0 ? k->account_token
                                                 : NULL;
}

static const char *ca_of(const struct kubelet *k)
{
    return k->ca_file ? k->ca_file : access(k->account_ca, F_OK) == 0 ? k->account_ca : NULL;
}

/* Behind what went wrong, what to set. */
static int advise(const struct kubelet *k, int code, struct err *err)
{
    const char *token = token_of(k), *advice = NULL;
    long status = fetch_status(k->fetch);
    switch (fetch_failure(k->fetch)) {
    case FETCH_TOKEN:
        advice = "name a token with --kubelet-token FILE";
        break;
    case FETCH_AUTHORITY:
    case FETCH_CA_FILE:
        advice = "name kubelet's authority with --kubelet-ca FILE, or do without: "
                 "--kubelet-insecure";
        break;
    case FETCH_NAME:
        advice = "say whose it is with --kubelet-server-name NAME, mostly the node's name, or do "
                 "without: --kubelet-insecure";
        break;
    case FETCH_CONNECT:
        advice = k->looks ? "say where it is with --kubelet-url URL, or in a pod set NODE_IP "
                            "to status.hostIP"
                          : NULL;
        break;
    case FETCH_STATUS:
        advice = status == 401 && !token ? "no token was sent: --kubelet-token FILE"
                 : status == 401         ? "kubelet does not take this token: is it expired, or of "
                                           "another cluster?"
                 : status == 403 ? "its service account needs the right to get nodes/proxy, or "
                                   "nodes/pods where kubelet knows that"
                 : status == 400 ? "this port may want https"
                                 : NULL;
        break;
    default:
        break;
    }
    if (!advice || !err)
        return code;
    size_t used = strlen(err->text);
    snprintf(err->text + used, sizeof(err->text) - used, "; %s", advice);
    return code;
}

static int open_fetch(struct kubelet *k, size_t which, struct err *err)
{
    struct fetch_config config = {
        .server = k->urls[which],
        .server_name = k->server_name,
        .ca_file = ca_of(k),
        .token_file = token_of(k),
        .user_agent = "podflamed/" PACKAGE_VERSION,
        .insecure = k->insecure,
        .connect_ns = CONNECT_NS,
    };
    fetch_free(&k->fetch);
    k->last = which;
    return fetch_new(&config, &k->fetch, err);
}

/* What failed is asked over a new connection next time, with the files as they are then. */
static int ask(struct kubelet *k, size_t which, int64_t until_ns, struct buf *answer,
               struct err *err)
{
    static const char *const headers[] = {"Accept: application/json", NULL};
    static const struct fetch_request request = {
        .path = "/pods", .headers = headers, .max_bytes = KUBELET_ANSWER_MAX};
    int r = k->fetch && k->last == which ? 0 : open_fetch(k, which, err);
    if (r < 0)
        return r;
    fetch_set_total(k->fetch, until_ns - clock_ns(CLOCK_MONOTONIC));
    return fetch_get(k->fetch, &request, answer, err);
}

/* Nobody listens at any of the usual places: on a machine without Kubernetes that is as it should
 * be, in a pod it is not. */
static int nowhere(const struct kubelet *k, int code, struct err *err)
{
    if (!k->looks || fetch_failure(k->fetch) != FETCH_CONNECT)
        return advise(k, code, err);
    const char *other = k->urls[1] ? k->urls[1] : "";
    if (!token_of(k))
        return err_set(err, -ENOENT, "no kubelet at %s%s%s, and no service account's token",
                       k->urls[0], *other ? ", " : "", other);
    code = err_set(err, code, "no kubelet at %s%s%s", k->urls[0], *other ? ", " : "", other);
    return advise(k, code, err);
}

static int refresh(void *self, const struct facts_sink *sink, struct err *err)
{
    struct kubelet *k = self;
    _cleanup_(buf_free) struct buf answer = {0};
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + TOTAL_NS;
    size_t first = k->last;
    int r = -ENOENT;
    for (size_t i = 0; i < k->url_count; i++) {
        r = ask(k, (first + i) % k->url_count, until_ns, &answer, err);
        if (r == 0 || !k->fetch || fetch_failure(k->fetch) != FETCH_CONNECT)
            break;
    }
    if (r == 0) {
        r = kubelet_parse_pods((const char *)answer.data, answer.len, sink, err);
        return r < 0 ? err_wrap(err, r, "%s/pods", k->urls[k->last]) : 0;
    }
    if (k->fetch)
        r = nowhere(k, r, err);
    fetch_free(&k->fetch);
    return r;
}

static const struct source_ops kubelet_ops = {
    .name = "kubelet", .refresh = refresh, .free = free_self};

static int copy(char **to, const char *from)
{
    *to = from ? strdup(from) : NULL;
    return from && !*to ? -ENOMEM : 0;
}

static int join(char **to, const char *head, const char *middle, const char *tail, const char *end)
{
    if (asprintf(to, "%s%s%s%s", head, middle, tail, end) >= 0)
        return 0;
    *to = NULL;
    return -ENOMEM;
}

/* An IPv6 address stands in brackets in a URL. */
static int set_places(struct kubelet *k, const struct kubelet_config *c)
{
    bool v6 = c->node_ip && strchr(c->node_ip, ':');
    const char *port = c->port ? c->port : KUBELET_PORT;
    int r = 0;
    if (c->url) {
        r = copy(&k->urls[k->url_count++], c->url);
        return r < 0 ? r : copy(&k->server_name, c->server_name);
    }
    k->looks = true;
    if (c->node_ip && *c->node_ip && strcmp(c->node_ip, "127.0.0.1") != 0)
        r = join(&k->urls[k->url_count++], v6 ? "https://[" : "https://", c->node_ip,
                 v6 ? "]:" : ":", port);
    if (r == 0)
        r = join(&k->urls[k->url_count++], "https://", "127.0.0.1", ":", port);
    return r < 0 ? r : copy(&k->server_name, c->server_name ? c->server_name : c->node);
}

int kubelet_source_new(const struct kubelet_config *config, struct source *ret, struct err *err)
{
    _cleanup_(kubelet_free) struct kubelet *k = calloc(1, sizeof(*k));
    const char *dir = config->account_dir ? config->account_dir : ACCOUNT_DIR;
    int r = k ? set_places(k, config) : -ENOMEM;
    if (r == 0)
        r = copy(&k->token_file, config->token_file);
    if (r == 0)
        r = copy(&k->ca_file, config->ca_file);
    if (r == 0)
        r = join(&k->account_token, dir, "/token", "", "");
    if (r == 0)
        r = join(&k->account_ca, dir, "/ca.crt", "", "");
    if (r < 0)
        return err_errno(err, r, "preparing to ask kubelet");
    k->insecure = config->insecure;
    r = open_fetch(k, 0, err);
    if (r < 0)
        return err_wrap(err, r, "kubelet-url");
    *ret = (struct source){&kubelet_ops, TAKE_PTR(k)};
    return 0;
}
