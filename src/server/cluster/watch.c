/* watch.c: takes pages and the bytes of watches, gives their objects to the cluster, and the next
 * request. See watch.h. */
#include "server/cluster/watch.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "server/cluster/cluster.h"
#include "server/cluster/parse.h"

#define ACCEPT_OBJECTS "application/json"
#define ACCEPT_METADATA(word) \
    "application/json;as=PartialObjectMetadata" word ";g=meta.k8s.io;v=v1,application/json"

struct kube_watch {
    enum kube_kind kind;
    struct cluster *cluster;
    bool old_path;         /* the server does not know the new one */
    bool is_live;          /* a list has ended: `version` is where to go on */
    unsigned page_size;    /* objects a page */
    struct kube_page page; /* the last; its `more` is where the list goes on */
    char version[KUBE_VERSION_MAX];
    struct buf line; /* of the watch: what has come of an event */
    struct kube_watch_counts counts;
};

int kube_watch_new(enum kube_kind kind, struct cluster *cluster, struct kube_watch **ret,
                   struct err *err)
{
    struct kube_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return err_errno(err, -ENOMEM, "preparing to watch");
    w->kind = kind;
    w->cluster = cluster;
    w->page_size = KUBE_PAGE_OBJECTS;
    w->line.max = KUBE_EVENT_MAX;
    *ret = w;
    return 0;
}

void kube_watch_free(struct kube_watch **watch)
{
    if (!*watch)
        return;
    buf_free(&(*watch)->line);
    free(TAKE_PTR(*watch));
}

/* ---- requests */

/* The token is the server's own, and as opaque as a name. */
static void quote(char *to, size_t size, const char *text)
{
    char *end = to + size - 4;
    for (; *text && to < end; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || c == '-' || c == '_' || c == '.')
            *to++ = (char)c;
        else
            to += snprintf(to, 4, "%%%02X", c);
    }
    *to = 0;
}

void kube_watch_next(struct kube_watch *w, struct kube_request *ret)
{
    const struct kube_kind_info *info = kube_kind_info(w->kind);
    const char *path = w->old_path ? info->old_path : info->path;
    char token[sizeof(ret->path) - 256];
    w->line.len = 0; /* what a cut has left */
    ret->is_stream = w->is_live;
    if (w->is_live) {
        quote(token, sizeof(token), w->version);
        snprintf(ret->path, sizeof(ret->path),
                 "%s?watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&resourceVersion=%s", path,
                 KUBE_WATCH_SECONDS, token);
        ret->accept = info->metadata ? ACCEPT_METADATA("") : ACCEPT_OBJECTS;
    } else {
        quote(token, sizeof(token), w->page.more);
        snprintf(ret->path, sizeof(ret->path), "%s?limit=%u%s%s", path, w->page_size,
                 *token ? "&continue=" : "", token);
        ret->accept = info->metadata ? ACCEPT_METADATA("List") : ACCEPT_OBJECTS;
    }
}

bool kube_watch_failed(struct kube_watch *w, unsigned status, int code)
{
    const struct kube_kind_info *info = kube_kind_info(w->kind);
    if (code == -EFBIG && !w->is_live && w->page_size > 1) {
        w->page_size = (w->page_size + 4) / 5;
        return true;
    }
    w->is_live = false;
    w->page.more[0] = 0;
    if (status != 404 || !*info->old_path)
        return false;
    w->old_path = !w->old_path;
    return w->old_path;
}

/* ---- answers */

static int put_object(void *ctx, const struct kube_object *object)
{
    struct kube_watch *w = ctx;
    return cluster_put(w->cluster, object);
}

int kube_watch_take_page(struct kube_watch *w, const char *bytes, size_t len, struct err *err)
{
    if (!*w->page.more)
        cluster_begin_list(w->cluster, w->kind);
    w->page.more[0] = 0;
    int r = kube_parse_list(bytes, len, w->kind, put_object, w, &w->page, err);
    if (r == -ENOMEM)
        err_errno(err, r, "keeping what a list says");
    if (r < 0)
        return r;
    w->counts.dropped += w->page.dropped;
    if (*w->page.more)
        return 0;
    if (!*w->page.version) /* a watch without one would begin anywhere */
        return err_set(err, -EBADMSG, "a list without resourceVersion");
    cluster_end_list(w->cluster, w->kind);
    memcpy(w->version, w->page.version, sizeof(w->version));
    w->is_live = true;
    w->counts.lists++;
    return 0;
}

struct eventing {
    struct kube_watch *watch;
    struct err *err;
};

static int take_event(void *ctx, const struct kube_event *event)
{
    struct eventing *eventing = ctx;
    struct kube_watch *w = eventing->watch;
    int r = 0;
    switch (event->type) {
    case KUBE_EVENT_PUT:
        r = cluster_put(w->cluster, event->object);
        break;
    case KUBE_EVENT_REMOVED:
        cluster_remove(w->cluster, event->object);
        break;
    case KUBE_EVENT_DROPPED:
        w->counts.dropped++;
        break;
    case KUBE_EVENT_BOOKMARK:
        break;
    case KUBE_EVENT_ERROR:
        return err_set(eventing->err, event->code == 410 ? -ESTALE : -EREMOTEIO,
                       "the watch ended with code %u: %s", event->code, event->message);
    }
    if (r < 0)
        return err_errno(eventing->err, r, "keeping what a watch says");
    w->counts.events++;
    if (*event->version)
        memcpy(w->version, event->version, sizeof(w->version));
    return 0;
}

static int take_line(struct kube_watch *w, struct err *err)
{
    struct eventing eventing = {w, err};
    int r = 0;
    if (w->line.len > 0)
        r = kube_parse_event((const char *)w->line.data, w->line.len, w->kind, take_event,
                             &eventing, err);
    w->line.len = 0;
    return r;
}

int kube_watch_feed(struct kube_watch *w, const char *bytes, size_t len, struct err *err)
{
    while (len > 0) {
        const char *end = memchr(bytes, '\n', len);
        size_t part = end ? (size_t)(end - bytes) : len;
        int r = buf_append(&w->line, bytes, part);
        if (r == -EFBIG)
            return err_set(err, r, "an event of more than %zu MiB", KUBE_EVENT_MAX >> 20);
        if (r < 0)
            return err_errno(err, r, "reading a watch");
        if (!end)
            return 0;
        r = take_line(w, err);
        if (r < 0)
            return r;
        bytes = end + 1;
        len -= part + 1;
    }
    return 0;
}

bool kube_watch_is_live(const struct kube_watch *w)
{
    return w->is_live;
}

void kube_watch_read_counts(const struct kube_watch *w, struct kube_watch_counts *ret)
{
    *ret = w->counts;
}
