/* kubelet.h: the pods of this node, as kubelet knows them: GET /pods. It knows most: labels, the
 * controller, phase, address, and the state of each container; but no sandboxes, and a container
 * that has just been started only some seconds later. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "k8s/facts.h"
#include "k8s/source.h"

struct err;

#define KUBELET_ANSWER_MAX (64u << 20)

struct kubelet_config {
    const char *url;         /* NULL: looked for at `node_ip` and 127.0.0.1 */
    const char *port;        /* where it is looked for; NULL: 10250 */
    const char *node_ip;     /* as the downward API's status.hostIP gives it; may be NULL */
    const char *server_name; /* that the certificate must have; NULL: `node` where kubelet was
                                found by itself, the host of `url` otherwise */
    const char *node;        /* this node's name; may be NULL */
    const char *token_file;  /* NULL: the service account's, if it is there */
    const char *ca_file;     /* NULL: the service account's, if it is there, else the system's */
    const char *account_dir; /* the service account's files; NULL: where Kubernetes has them */
    bool insecure;           /* do not look at the certificate */
};

/* Copies what it is given. -EINVAL: `url` is none. */
int kubelet_source_new(const struct kubelet_config *config, struct source *ret, struct err *err);

/* The facts of an answer: each pod, then its containers, then, as exited ones, those they took the
 * place of. -EBADMSG: no PodList. */
int kubelet_parse_pods(const char *bytes, size_t len, const struct facts_sink *sink,
                       struct err *err);
