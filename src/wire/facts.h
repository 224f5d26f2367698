/* facts.h: what a batch says of pods and containers beyond the labels of their processes: three
 * tables of format.h, which is to be read first.
 *
 *   pods        columns: uid (string, as the label pod_uid), namespace, name, ip, phase, workload
 *               (string; as Deployment/web), started_ns (wall clock, 0: unknown)
 *   pod_labels  columns: pod (row in pods), key, value (string): Kubernetes' own labels of it
 *   containers  columns: id (string, as the label container_id), pod_uid (string, 0: it is in no
 *               pod), name, image, reason (string; CrashLoopBackOff ...), kind, state (enums
 *               below), restarts (uint), started_ns (as pods')
 *
 * A string that is 0 is not known. A pod and a container are in a batch once, and only if it has
 * samples of them or what they used. They are told again when something of them has changed, in the
 * first batch of each day (UTC, by the window's start), and otherwise every WIRE_FACTS_NS: what is
 * missing in a batch is as it was said before. A container's pod need not be told with it. */
#pragma once

#include <stdint.h>

/* What was said in a window is to be taken for true so long behind its end. */
#define WIRE_FACTS_NS 600000000000ll

#define WIRE_MAX_PODS       10000u
#define WIRE_MAX_POD_LABELS 200000u
#define WIRE_MAX_CONTAINERS 50000u

/* As k8s/facts.h calls them; new ones come last. */
#define WIRE_CONTAINER_KINDS(X)  X(APP) X(INIT) X(EPHEMERAL) X(SANDBOX)
#define WIRE_CONTAINER_STATES(X) X(STATE_UNKNOWN) X(CREATED) X(RUNNING) X(WAITING) X(EXITED)

#define X(name) WIRE_CONTAINER_##name,
enum wire_container_kind { WIRE_CONTAINER_KINDS(X) WIRE_CONTAINER_KIND_COUNT };
enum wire_container_state { WIRE_CONTAINER_STATES(X) WIRE_CONTAINER_STATE_COUNT };
#undef X

/* In memory, as batch.h has the others. */

struct batch_pod {
    uint32_t uid; /* string, as all here */
    uint32_t namespace, name, ip, phase, workload;
    int64_t started_ns;
};

struct batch_pod_label {
    uint32_t pod;
    uint32_t key, value; /* string */
};

struct batch_container {
    uint32_t id, pod_uid, name, image, reason; /* string */
    uint32_t restarts;
    int64_t started_ns;
    uint8_t kind;  /* enum wire_container_kind */
    uint8_t state; /* enum wire_container_state */
};
