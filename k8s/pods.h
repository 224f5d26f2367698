/* pods.h: what all sources together know of pods and containers. Any thread.
 *
 * Each source's answer replaces what that source said before, all at once; what is no longer in it
 * is still known for some minutes, since a window names what has just ended. A question is answered
 * field by field: what one source does not say comes from the next in the order of enum pods_rank,
 * and what has just gone comes after all that is there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "k8s/facts.h"

struct err;
struct pods;
struct pods_update;

/* Whose word goes first. */
enum pods_rank {
    PODS_KUBELET,
    PODS_CRI,
    PODS_DOCKER,
    PODS_DOWNWARD,
    PODS_LOG_DIRS,
    PODS_RANKS,
};

/* Of each source; what is more is left out and counted. 0: the default. */
struct pods_limits {
    uint32_t pods, containers;
    size_t text_bytes;
    int64_t keep_ns; /* how long what has gone is still known */
};

int pods_new(const struct pods_limits *limits, struct pods **ret, struct err *err);
void pods_free(struct pods **pods);

/* ---- what a source says */

/* One answer of a source; not two at once of the same. Nothing of it counts before commit, and
 * pods_update_free() drops it. The sink never stops the reading but without memory: facts without
 * an id, or past a limit, are left out and counted. */
int pods_begin(struct pods *pods, enum pods_rank rank, struct pods_update **ret);
struct facts_sink pods_update_sink(struct pods_update *update);
void pods_update_free(struct pods_update **update);

struct pods_counts {
    uint32_t pods, containers; /* without those that have gone */
    uint32_t left_out;
};

/* The update is gone afterwards, also on failure (-ENOMEM; then the old facts stay). `now_ns`: of
 * CLOCK_MONOTONIC. `ret` may be NULL. */
int pods_commit(struct pods_update **update, int64_t now_ns, struct pods_counts *ret);

/* ---- what is asked */

/* Whatever is asked for without a pod uid is in this pod: for a sidecar, which sees nothing else,
 * and whose cgroup namespace may hide the pod's part of each path. "": not so any more. */
void pods_set_own_pod(struct pods *pods, const char *uid);

/* The uid of the pod that has that name now, or had it last. -ENOENT. */
int pods_find_uid(struct pods *pods, const char *namespace, const char *name,
                  char ret_uid[static 40]);

/* The container of that id and its pod; of no such container, or of an empty id, the pod of that
 * uid. NULL for what is not known. The pod's labels are NULL unless a source has told them. Called
 * under the table's lock, once; what it returns is returned. */
typedef int (*pods_visit_fn)(void *ctx, const struct pod_fact *pod,
                             const struct container_fact *container);
int pods_visit(struct pods *pods, const char *container_id, const char *pod_uid, pods_visit_fn fn,
               void *ctx);

#define PODS_WORKLOAD_SIZE (2 * FACT_NAME_MAX + 2)
#define PODS_SANDBOX_NAME  "POD" /* as cAdvisor calls it */

/* Deployment/web, Job/report-1 ...: "" if it is not known. */
void pods_workload(const struct pod_fact *pod, char ret[static PODS_WORKLOAD_SIZE]);

/* Empty strings for what is not known. */
struct pod_names {
    char pod_uid[40];
    char namespace[FACT_NAME_MAX + 1];
    char pod[FACT_NAME_MAX + 1];
    char container[FACT_NAME_MAX + 1]; /* of a sandbox PODS_SANDBOX_NAME */
    char workload[PODS_WORKLOAD_SIZE];
    char runtime[16];
};

/* -ENOENT if neither is known. */
int pods_find(struct pods *pods, const char *container_id, const char *pod_uid,
              struct pod_names *ret);

/* Whether a source could tell more: the container is not known, or, of an empty id, the pod is not.
 */
bool pods_lacks(struct pods *pods, const char *container_id, const char *pod_uid);
