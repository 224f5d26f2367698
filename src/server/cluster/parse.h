/* parse.h: the Kubernetes API's JSON: a page of a list, one event of a watch. Bytes of a server
 * that we asked, but not to be trusted: whoever may make objects chooses what is in them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "server/cluster/object.h"

struct err;

/* etcd keeps objects of 1.5 MiB at most; as JSON with escapes they may be longer. */
#define KUBE_EVENT_MAX ((size_t)4 << 20)
#define KUBE_PAGE_MAX  ((size_t)16 << 20)

#define KUBE_VERSION_MAX  64u
#define KUBE_CONTINUE_MAX 4096u

/* Returns 0, or -errno to end the reading. The object lives during the call. */
typedef int (*kube_object_fn)(void *ctx, const struct kube_object *object);

struct kube_page {
    char version[KUBE_VERSION_MAX]; /* metadata.resourceVersion */
    char more[KUBE_CONTINUE_MAX];   /* metadata.continue; "": the last page */
    uint32_t objects, dropped;      /* given; without a name, or with one that cannot be */
};

/* -EBADMSG: no list of the kind; -EFBIG; -ENOMEM; or what `fn` returned. Metadata lists are of any
 * kind, by what was asked. */
int kube_parse_list(const char *bytes, size_t len, enum kube_kind kind, kube_object_fn fn,
                    void *ctx, struct kube_page *ret, struct err *err);

enum kube_event_type {
    KUBE_EVENT_PUT,      /* ADDED or MODIFIED */
    KUBE_EVENT_REMOVED,  /* DELETED */
    KUBE_EVENT_BOOKMARK, /* only the version */
    KUBE_EVENT_ERROR,    /* only code and message; 410: the version is too old, list again */
    KUBE_EVENT_DROPPED,  /* an object that is no good; only the version */
};

struct kube_event {
    enum kube_event_type type;
    char version[KUBE_VERSION_MAX];   /* of the object; where a watch goes on */
    const struct kube_object *object; /* NULL of the last three types */
    unsigned code;
    const char *message;
};

typedef int (*kube_event_fn)(void *ctx, const struct kube_event *event);

/* One line of a watch. -EBADMSG; -EFBIG; -ENOMEM; or what `fn` returned. */
int kube_parse_event(const char *bytes, size_t len, enum kube_kind kind, kube_event_fn fn,
                     void *ctx, struct err *err);
