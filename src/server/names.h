/* names.h: gives a query's series the names they had not yet when they were stored: of a pod by its
 * uid or its container's id, from the API server, other series of the range, and what agents said
 * of pods. A Job or ReplicaSet that another object controls becomes that object (CronJob,
 * Deployment). */
#pragma once

#include "server/store.h"

struct cluster;
struct err;
struct names;

/* If the query filters or groups by a label that may be renamed (namespace, pod, container,
 * workload), and some series of its range lacks it, sets query->renames; `ret` must outlive the
 * query then. Otherwise *ret is NULL. `cluster` may be NULL. */
int names_for_query(struct store *store, struct cluster *cluster, struct store_query *query,
                    struct names **ret, struct err *err);
void names_free(struct names **names);
