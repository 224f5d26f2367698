/* discover.h: from a program's settings, the sources that are asked over the network or a socket:
 * kubelet, the container runtime, docker. Each by itself looks in its usual place again and again,
 * so that one that comes later is found, too. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "k8s/source.h"

struct err;

#define DISCOVER_SOURCES_MAX 3

/* As in podflamed's options of the same names. Of the first three NULL means: look for it, and an
 * empty text: do without. */
struct discover_config {
    const char *kubelet_url, *cri_socket, *docker_socket;
    const char *kubelet_token, *kubelet_ca, *kubelet_server_name;
    bool kubelet_insecure;
    const char *node;    /* this node's name, as Kubernetes has it */
    const char *node_ip; /* its address; NULL: the environment's NODE_IP, if set */
};

/* Puts the sources into `ret`, at most DISCOVER_SOURCES_MAX, which the caller frees. On failure
 * there are none, and the error names the setting. */
int discover_sources(const struct discover_config *config, struct source ret[DISCOVER_SOURCES_MAX],
                     size_t *ret_count, struct err *err);
