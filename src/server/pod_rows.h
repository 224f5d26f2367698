/* pod_rows.h: what is known of pods in a range: what the API server says, what agents say, and what
 * samples say, side by side. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "server/label_rows.h"
#include "server/pod_facts.h"

struct api;
struct cluster;
struct err;
struct kube_object;
struct store_query;

/* What samples are grouped by. */
enum pod_group {
    GROUP_NAMESPACE,
    GROUP_POD,
    GROUP_UID,
    GROUP_WORKLOAD,
    GROUP_NODE,
    GROUP_CONTAINER, /* these two where one pod is asked for */
    GROUP_CONTAINER_ID,
    POD_GROUPS,
};

struct pod {
    const char *namespace, *name;     /* "": samples have only its uid */
    const struct kube_object *object; /* NULL: the API server has no such pod now */
    const struct told_pod *told;      /* what agents say of pods of that name, the last first */
    size_t told_count;
    const struct label_row *rows;
    size_t row_count;
};

struct pods {
    struct label_rows rows;
    struct pod_facts facts;
    struct pod *all; /* by namespace, name, and uid where they have none */
    size_t count, cap;
    const struct kube_object **services; /* by namespace */
    size_t service_count;
    struct cluster *locked; /* NULL: none is followed */
    struct buf sources; /* who was asked, as sources_put() writes it: it locks the cluster, too */
};

/* The samples of the query (its groups are set here) and what agents said, then, with the cluster
 * locked until pods_free(), the pods that the API server has in the namespaces it filters by, and
 * of its name, if it filters by one. With samples of containers if `containers`. `ret` is zeroed.
 * -E2BIG. */
int pods_read(struct api *api, struct store_query *query, bool containers, struct pods *ret,
              struct err *err);
void pods_free(struct pods *pods);

/* What agents say of the very pod there is, if the API server has one, or else of the last they
 * knew. NULL: nothing. */
const struct told_pod *pod_told(const struct pod *pod);

/* The members of one pod, from `"namespace"` on, without its end. */
int pods_put(const struct pods *pods, const struct pod *pod, struct buf *out);
