/* cluster.h: what the API server says of the whole cluster: pods, what they belong to, the services
 * that select them. Any thread may write, and read between cluster_lock() and cluster_unlock().
 *
 * Objects that are gone are found by their uid (pods by their containers' ids, too) until many
 * others have gone after them: samples of theirs are asked for later. They are not counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/cluster/object.h"

struct cluster;
struct err;

/* Objects of one kind that are kept; further ones are left out, which cluster_is_whole() tells. */
#define CLUSTER_OBJECTS_MAX 300000u
#define CLUSTER_GONE_MAX    20000u

int cluster_new(struct cluster **ret, struct err *err);
void cluster_free(struct cluster **cluster);

/* ---- writing. -ENOMEM: nothing has changed. */

/* Between the two all objects of the kind are put again; those that are not are gone. A list that
 * is broken off takes none away: begin again. One at a time for each kind. */
void cluster_begin_list(struct cluster *cluster, enum kube_kind kind);
void cluster_end_list(struct cluster *cluster, enum kube_kind kind);

int cluster_put(struct cluster *cluster, const struct kube_object *object);
void cluster_remove(struct cluster *cluster, const struct kube_object *object);

/* ---- reading. What is given lives until cluster_unlock(). */

void cluster_lock(struct cluster *cluster);
void cluster_unlock(struct cluster *cluster);

/* Whether all objects of the kind are there: a list has ended, and none was left out. */
bool cluster_is_whole(const struct cluster *cluster, enum kube_kind kind);
size_t cluster_count(const struct cluster *cluster, enum kube_kind kind);

/* By name; `namespace` is "" for nodes and namespaces. NULL: there is none, or it is gone. */
const struct kube_object *cluster_find(const struct cluster *cluster, enum kube_kind kind,
                                       const char *namespace, const char *name);

/* By uid, by kubelet's uid of a static pod, or by the id of a container that the pod has or had:
 * its name is then *ret_container, otherwise "". Also what is gone. NULL: unknown. */
const struct kube_object *cluster_find_id(const struct cluster *cluster, const char *id,
                                          const char **ret_container);

/* Each object of the kind that is not gone, in any order; false stops. */
typedef bool (*cluster_fn)(void *ctx, const struct kube_object *object);
void cluster_each(const struct cluster *cluster, enum kube_kind kind, cluster_fn fn, void *ctx);

#define CLUSTER_WORKLOAD_MAX (2 * FACT_NAME_MAX + 2)

/* What the pod belongs to, "Deployment/web": the controller, or that of its ReplicaSet or Job. ""
 * if it stands alone. */
void cluster_workload(const struct cluster *cluster, const struct kube_object *pod,
                      char ret[CLUSTER_WORKLOAD_MAX]);
