/* object.h: an object of the Kubernetes API, as far as it says which pod is whose. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "k8s/facts.h"

/* kind, resource, path, the path it had before (""), whether its metadata are enough. In the order
 * they are asked for. CronJobs are of batch/v1 since Kubernetes 1.21. */
#define KUBE_KINDS(X)                                                                            \
    X(NAMESPACE, "Namespace", "namespaces", "/api/v1/namespaces", "", false)                     \
    X(NODE, "Node", "nodes", "/api/v1/nodes", "", false)                                         \
    X(REPLICASET, "ReplicaSet", "replicasets", "/apis/apps/v1/replicasets", "", true)            \
    X(DEPLOYMENT, "Deployment", "deployments", "/apis/apps/v1/deployments", "", true)            \
    X(STATEFULSET, "StatefulSet", "statefulsets", "/apis/apps/v1/statefulsets", "", true)        \
    X(DAEMONSET, "DaemonSet", "daemonsets", "/apis/apps/v1/daemonsets", "", true)                \
    X(JOB, "Job", "jobs", "/apis/batch/v1/jobs", "", true)                                       \
    X(CRONJOB, "CronJob", "cronjobs", "/apis/batch/v1/cronjobs", "/apis/batch/v1beta1/cronjobs", \
      true)                                                                                      \
    X(SERVICE, "Service", "services", "/api/v1/services", "", false)                             \
    X(POD, "Pod", "pods", "/api/v1/pods", "", false)

enum kube_kind {
#define X(id, name, resource, path, old_path, metadata) KUBE_##id,
    KUBE_KINDS(X)
#undef X
        KUBE_KIND_COUNT,
};

struct kube_kind_info {
    const char *name;     /* ReplicaSet */
    const char *resource; /* replicasets */
    const char *path, *old_path;
    bool metadata;
};

const struct kube_kind_info *kube_kind_info(enum kube_kind kind);

#define KUBE_CONTAINERS_MAX 256u /* of one pod */
#define KUBE_SELECTOR_MAX   64u

struct kube_container {
    const char *name, *image, *reason; /* "" if unknown, as all texts here */
    const char *id;                    /* without containerd:// */
    const char *last_id;               /* the one before it was restarted */
    enum container_kind kind;
    enum container_state state;
    uint32_t restarts;
    int64_t started_ms; /* since 1970; 0: not yet, or unknown */
};

struct kube_object {
    enum kube_kind kind;
    const char *uid, *namespace, *name;
    const char *owner_kind, *owner, *owner_uid; /* its controller, or only owner */
    const struct fact_label *labels;
    size_t label_count;
    /* of a service; without a selector it selects none */
    const struct fact_label *selector;
    size_t selector_count;
    /* of a pod */
    const char *node, *ip, *phase;
    const char *static_uid; /* kubelet's uid of a static pod, 32 hex digits */
    int64_t started_ms;     /* since 1970; 0: not yet */
    const struct kube_container *containers;
    size_t container_count;
};

/* A copy of its own in one piece, for free(). -ENOMEM. */
int kube_object_copy(const struct kube_object *object, struct kube_object **ret);

/* Whether the service selects the pod. One without a selector, or of another namespace, does not.
 */
bool kube_selects(const struct kube_object *service, const struct kube_object *pod);
