/* pod_labels.h: what a cgroup's path, and those who know pods, say of whatever is in it: as labels.
 */
#pragma once

#include <stddef.h>

#include "k8s/cgroup.h"
#include "k8s/pods.h"

#define POD_LABELS_MAX 8

struct pod_labels {
    struct {
        const char *key, *value;
    } v[POD_LABELS_MAX];
    size_t count;
    /* where the values lie */
    struct cgroup_id id;
    struct pod_names names;
};

/* Those that are known. `pods` may be NULL: then only the path says something. */
void pod_labels_read(struct pods *pods, const char *cgroup_path, struct pod_labels *ret);
