/* pod_labels.c: takes a cgroup's path, gives labels. See pod_labels.h. */
#include "agent/pod_labels.h"

#include <string.h>

static void add(struct pod_labels *l, const char *key, const char *value)
{
    if (!value[0])
        return;
    l->v[l->count].key = key;
    l->v[l->count++].value = value;
}

void pod_labels_read(struct pods *pods, const char *cgroup_path, struct pod_labels *ret)
{
    struct pod_labels *l = ret;
    memset(l, 0, sizeof(*l));
    cgroup_parse_path(cgroup_path, strlen(cgroup_path), &l->id);
    if (pods)
        pods_find(pods, l->id.container_id, l->id.pod_uid, &l->names);
    add(l, "namespace", l->names.namespace);
    add(l, "pod", l->names.pod);
    add(l, "container", l->names.container);
    add(l, "workload", l->names.workload);
    add(l, "pod_uid", l->id.pod_uid[0] ? l->id.pod_uid : l->names.pod_uid);
    add(l, "container_id", l->id.container_id);
    add(l, "runtime", l->id.runtime[0] ? l->id.runtime : l->names.runtime);
    add(l, "unit", l->id.unit);
}
