/* docker.h: containers as dockerd, or podman behind the same API, knows them: plain ones, and those
 * kubelet had it run before Kubernetes 1.24, or by cri-dockerd. */
#pragma once

#include <stddef.h>

#include "k8s/facts.h"
#include "k8s/source.h"

struct err;

#define DOCKER_ANSWER_MAX (32u << 20)

struct docker_config {
    const char *socket; /* path, with or without unix://; NULL: /var/run/docker.sock, if there */
    const char *root;   /* in front of the usual place; NULL: "" */
};

/* Copies what it is given. */
int docker_source_new(const struct docker_config *config, struct source *ret, struct err *err);

/* The facts of an answer to GET /containers/json. -EBADMSG: no list of containers. */
int docker_parse_containers(const char *bytes, size_t len, const struct facts_sink *sink,
                            struct err *err);
