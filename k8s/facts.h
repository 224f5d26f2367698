/* facts.h: what a source (kubelet, the container runtime, log directories ...) says of pods and
 * their containers. Sources differ in what they know: what one does not say is NULL or 0, and
 * another may add it. Texts are as the source has them, and belong to whoever calls; a taker
 * copies. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on outside texts; a source drops, and counts, what is longer. Kubernetes' own limits are
 * below: names 253, label values 63, label keys 317 bytes. */
#define FACT_NAME_MAX   253u
#define FACT_TEXT_MAX   1024u /* images, reasons */
#define FACT_LABELS_MAX 256u  /* of one pod */

struct fact_label {
    const char *key, *value;
};

struct pod_fact {
    const char *uid;       /* as in the cgroup path: dashed, or 32 hex digits for a static pod */
    const char *namespace; /* never NULL, nor is `name` */
    const char *name;
    const char *node;
    const char *ip;
    const char *phase;              /* Pending, Running, Succeeded, Failed, Unknown */
    const char *owner_kind, *owner; /* the controller: ReplicaSet web-6f9968b487 */
    int64_t started_ns;             /* wall clock */
    const struct fact_label *labels;
    size_t label_count;
};

enum container_kind {
    CONTAINER_APP,
    CONTAINER_INIT,
    CONTAINER_EPHEMERAL,
    CONTAINER_SANDBOX, /* the pause process that holds a pod's namespaces */
};

enum container_state {
    CONTAINER_STATE_UNKNOWN,
    CONTAINER_CREATED,
    CONTAINER_RUNNING,
    CONTAINER_WAITING,
    CONTAINER_EXITED,
};

struct container_fact {
    const char *id;      /* without "containerd://"; of docker or podman outside pods, too */
    const char *pod_uid; /* NULL: it is in no pod */
    const char *name;    /* in the pod; of a plain container its own */
    const char *image;
    const char *reason; /* CrashLoopBackOff, Completed ... */
    const char *runtime;
    enum container_kind kind;
    enum container_state state;
    uint32_t restarts;
    int64_t started_ns; /* wall clock */
};

/* Takes the facts of one answer. Each returns 0, or -errno to end the reading. */
struct facts_sink {
    int (*pod)(void *ctx, const struct pod_fact *pod);
    int (*container)(void *ctx, const struct container_fact *container);
    /* So many texts were left out, as beyond bounds or unprintable, since the last call. May be
     * NULL. */
    void (*dropped)(void *ctx, uint64_t texts);
    void *ctx;
};
