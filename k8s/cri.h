/* cri.h: pods and containers as the container runtime knows them: containerd, CRI-O, and dockerd by
 * cri-dockerd, through the Container Runtime Interface (gRPC on a socket of the machine). Knows
 * sandboxes, and each container from the moment it is made; but neither controller, phase nor
 * address. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "k8s/facts.h"
#include "k8s/source.h"

struct err;

#define CRI_ANSWER_MAX (32u << 20) /* kubelet's own limit is 16 MiB */

struct cri_config {
    const char *socket; /* path, with or without unix://; NULL: looked for in the usual places */
    const char *root;   /* in front of the usual places; NULL: "" */
};

/* Copies what it is given. Where it looks by itself it asks every runtime that is there and speaks
 * the interface; a dockerd's own containerd does not. One that fails is a fault if none answers. */
int cri_source_new(const struct cri_config *config, struct source *ret, struct err *err);

struct cri_bytes {
    const uint8_t *data;
    size_t len;
};

/* Each a protobuf message without gRPC's frame. */
struct cri_answers {
    struct cri_bytes sandboxes, containers;
    struct cri_bytes images; /* names for their hashes; what is no list of them is left out */
    const char *runtime;     /* may be NULL */
};

/* Whether a container tells its image by a hash only, which is not in `images`. */
bool cri_lacks_images(const struct cri_answers *answers);

/* The facts of the answers. Sandboxes give pods, and a container each. What kind a container is the
 * interface does not say: none is CONTAINER_INIT. -EBADMSG: no such messages. */
int cri_parse(const struct cri_answers *answers, const struct facts_sink *sink, struct err *err);

/* The runtime's name of an answer to Version, as cgroup.h has it. */
int cri_parse_version(const uint8_t *version, size_t len, char ret[16], struct err *err);

/* Moves out of a gRPC body: joins the messages' frames to one message at the front of `body` and
 * gives its length. -EBADMSG: cut off, or compressed, which was not asked for. */
int cri_unframe(uint8_t *body, size_t len, size_t *ret_len, struct err *err);
