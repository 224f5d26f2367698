/* bounds.h: stands before a sink and lets through only what facts.h allows, whatever the source
 * said: printable ASCII of bounded length. */
#pragma once

#include <stdint.h>

#include "k8s/facts.h"

struct bounds {
    const struct facts_sink *to;
    uint64_t dropped; /* texts, or whole facts that lacked what they must have */
};

/* A text that is too long becomes NULL, a label that is goes; a pod without a good uid, namespace
 * and name is left out, as is a container without a good id. What the sink said, or 0. */
int bounds_give_pod(struct bounds *bounds, const struct pod_fact *pod);
int bounds_give_container(struct bounds *bounds, const struct container_fact *container);

/* At the end of an answer: tells the sink how many were dropped. */
void bounds_end(struct bounds *bounds);

/* "containerd://0123": points behind the scheme and gives the runtime's name as cgroup.h has it;
 * NULL where there is no scheme. `runtime` has 16 bytes. */
const char *bounds_split_id(const char *id, char runtime[16]);
