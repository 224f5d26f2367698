/* client.h: follows the Kubernetes API server, one thread for each kind of object, so that what is
 * forbidden or slow of one holds up no other. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/cluster/object.h"

struct cluster;
struct err;
struct kube_client;

struct kube_client_config {
    const char *server;     /* https://10.96.0.1:443 */
    const char *token_file; /* read anew for each request; NULL: none */
    const char *ca_file;    /* NULL: the system's */
    bool insecure;
};

/* Starts at once, also when the server does not answer. `cluster` must outlive it. */
int kube_client_start(const struct kube_client_config *config, struct cluster *cluster,
                      struct kube_client **ret, struct err *err);
/* Within about a second. */
void kube_client_stop(struct kube_client **client);

enum kube_state {
    KUBE_LISTING, /* for the first time, or again after a failure */
    KUBE_OK,
    KUBE_FAILING,
};
const char *kube_state_text(enum kube_state state); /* listing, ok, failing */

struct kube_status {
    enum kube_state state;
    int64_t since_ms; /* since 1970: when that began */
    uint64_t lists, events, dropped;
    char error[256]; /* of failing */
};

void kube_client_read_status(struct kube_client *client, enum kube_kind kind,
                             struct kube_status *ret);
