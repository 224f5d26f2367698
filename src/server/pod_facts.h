/* pod_facts.h: what agents said of pods in a range, in the words the API server's objects have. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strings.h"
#include "server/cluster/object.h"

struct api;
struct err;
struct store_query;

struct told_pod {
    struct kube_object object; /* its node is the agent's; without owners: see workload */
    const char *workload;      /* Deployment/web, or "" */
    int64_t last_ms;
    size_t first_label; /* the rest is pod_facts.c's own */
};

struct told_container {
    struct kube_container container;
    const char *pod_uid;
    int64_t last_ms;
};

struct pod_facts {
    struct told_pod *pods; /* by namespace and name; what was told last goes first */
    size_t count, cap;
    struct told_container *told_containers;
    struct kube_container *containers;
    size_t container_count, container_cap;
    struct fact_label *labels;
    size_t label_count, label_cap;
    struct strings texts;
    bool whole; /* with labels and containers */
};

/* Of pods that the query's filters (node, namespace, pod) mean, each uid as it was told last; if
 * `whole`, with its labels and containers. `ret` is zeroed, and to be freed also after a failure.
 */
int pod_facts_read(struct api *api, const struct store_query *query, bool whole,
                   struct pod_facts *ret, struct err *err);
void pod_facts_free(struct pod_facts *facts);
