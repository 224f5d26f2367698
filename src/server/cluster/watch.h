/* watch.h: how one kind of object is followed: list it page by page, then watch from the list's
 * version on, and list it again when the server has forgotten that version. Without I/O: it says
 * what to ask, and is told the answer. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/cluster/object.h"

struct cluster;
struct err;
struct kube_watch;

/* Objects asked for at once; fewer when a page would be too large. */
#define KUBE_PAGE_OBJECTS 250u

/* After which the server ends a watch; it is then asked for again. */
#define KUBE_WATCH_SECONDS 120u

struct kube_request {
    char path[8192];    /* with its query, quoted */
    const char *accept; /* the header's value */
    bool is_stream; /* a watch: its bytes to kube_watch_feed(); else to kube_watch_take_page() */
};

int kube_watch_new(enum kube_kind kind, struct cluster *cluster, struct kube_watch **ret,
                   struct err *err);
void kube_watch_free(struct kube_watch **watch);

/* What to ask next. A watch that has ended, or was cut, goes on from its last event. */
void kube_watch_next(struct kube_watch *watch, struct kube_request *ret);

/* The body of an answer of status 200; KUBE_PAGE_MAX bytes at most. */
int kube_watch_take_page(struct kube_watch *watch, const char *bytes, size_t len, struct err *err);

/* Bytes of a watch as they come, split anywhere. A failure ends it: -ESTALE: its version is too old
 * for the server. */
int kube_watch_feed(struct kube_watch *watch, const char *bytes, size_t len, struct err *err);

/* To be called when a request has come to nothing: `status` is HTTP's (0: no answer), `code` what
 * one of the two above returned, or -EFBIG for a page that was too large. All is listed again then:
 * a version that is too old, or an event that cannot be read, would be met again. Gives whether
 * that may do better at once (by smaller pages, or another path); otherwise it is for later. */
bool kube_watch_failed(struct kube_watch *watch, unsigned status, int code);

/* Whether a list has ended since the last one was begun, that is, events are followed. */
bool kube_watch_is_live(const struct kube_watch *watch);

struct kube_watch_counts {
    uint64_t lists, events, dropped;
};
void kube_watch_read_counts(const struct kube_watch *watch, struct kube_watch_counts *ret);
