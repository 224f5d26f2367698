/* pods.c: takes each source's answers, gives for a container id or pod uid what all of them know.
 * See pods.h.
 *
 * Each source's facts lie in a view of their own, which is never changed once it is committed; a
 * question looks into each of them. Nodes have some hundreds of pods and a window asks for some
 * hundreds of processes: nothing is merged beforehand. */
#include "k8s/pods.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/lock.h"
#include "k8s/pods_view.h"

/* A kubelet starts at most some hundreds of pods; job runners leave many behind. */
#define DEFAULT_PODS       10000u
#define DEFAULT_CONTAINERS 50000u
#define DEFAULT_TEXT_BYTES (16u << 20)
#define DEFAULT_KEEP_NS    (5 * 60 * NS_PER_SEC)

struct pods {
    struct pods_limits limits;
    pthread_mutex_t lock;
    struct pods_view *views[PODS_RANKS]; /* NULL: has not said anything yet */
    char own_pod[POD_UID_SIZE];
};

struct pods_update {
    struct pods *pods;
    enum pods_rank rank;
    struct pods_view *view;
};

int pods_new(const struct pods_limits *limits, struct pods **ret, struct err *err)
{
    struct pods *p = calloc(1, sizeof(*p));
    if (!p)
        return err_errno(err, -ENOMEM, "the table of pods");
    p->limits = (struct pods_limits){
        .pods = limits && limits->pods ? limits->pods : DEFAULT_PODS,
        .containers = limits && limits->containers ? limits->containers : DEFAULT_CONTAINERS,
        .text_bytes = limits && limits->text_bytes ? limits->text_bytes : DEFAULT_TEXT_BYTES,
        .keep_ns = limits && limits->keep_ns ? limits->keep_ns : DEFAULT_KEEP_NS,
    };
    lock_init(&p->lock); /* the sampling thread asks for its target */
    *ret = p;
    return 0;
}

void pods_free(struct pods **pods)
{
    struct pods *p = *pods;
    if (!p)
        return;
    for (size_t i = 0; i < PODS_RANKS; i++)
        pods_view_free(&p->views[i]);
    pthread_mutex_destroy(&p->lock);
    free(p);
    *pods = NULL;
}

/* ---- what a source says */

int pods_begin(struct pods *pods, enum pods_rank rank, struct pods_update **ret)
{
    struct pods_update *u = calloc(1, sizeof(*u));
    if (!u)
        return -ENOMEM;
    u->pods = pods;
    u->rank = rank;
    int r = pods_view_new(&pods->limits, &u->view);
    if (r < 0) {
        free(u);
        return r;
    }
    *ret = u;
    return 0;
}

static int take_pod(void *ctx, const struct pod_fact *pod)
{
    return pods_view_add_pod(((struct pods_update *)ctx)->view, pod, 0);
}

static int take_container(void *ctx, const struct container_fact *container)
{
    return pods_view_add_container(((struct pods_update *)ctx)->view, container, 0);
}

static void count_dropped(void *ctx, uint64_t texts)
{
    ((struct pods_update *)ctx)->view->left_out += (uint32_t)texts;
}

struct facts_sink pods_update_sink(struct pods_update *update)
{
    return (struct facts_sink){take_pod, take_container, count_dropped, update};
}

void pods_update_free(struct pods_update **update)
{
    if (!*update)
        return;
    pods_view_free(&(*update)->view);
    free(*update);
    *update = NULL;
}

int pods_commit(struct pods_update **update, int64_t now_ns, struct pods_counts *ret)
{
    struct pods_update *u = *update;
    struct pods *p = u->pods;
    /* Only this source's updates replace its view, so that it can be read without the lock. */
    int r = pods_view_keep_gone(u->view, p->views[u->rank], now_ns, p->limits.keep_ns);
    if (r == 0) {
        if (ret)
            *ret = (struct pods_counts){u->view->pods.count - u->view->gone_pods,
                                        u->view->containers.count - u->view->gone_containers,
                                        u->view->left_out};
        pthread_mutex_lock(&p->lock);
        struct pods_view *old = p->views[u->rank];
        p->views[u->rank] = u->view;
        pthread_mutex_unlock(&p->lock);
        u->view = old;
    }
    pods_update_free(update);
    return r;
}

/* ---- what is asked */

/* What is there, in the order of ranks, then what has gone. */
static bool merge_container(const struct pods *p, const char *id, struct container_fact *ret)
{
    for (int gone = 0; gone < 2; gone++) {
        for (size_t i = 0; i < PODS_RANKS; i++) {
            const struct container_row *row = pods_view_container(p->views[i], id);
            if (row && (row->gone_ns != 0) == gone)
                pods_view_tell_container(p->views[i], row, ret);
        }
    }
    return ret->id;
}

static bool merge_pod(const struct pods *p, const char *uid, struct pod_fact *ret,
                      struct fact_label *labels)
{
    for (int gone = 0; gone < 2; gone++) {
        for (size_t i = 0; i < PODS_RANKS; i++) {
            const struct pod_row *row = pods_view_pod(p->views[i], uid);
            if (row && (row->gone_ns != 0) == gone)
                pods_view_tell_pod(p->views[i], row, ret, labels);
        }
    }
    return ret->uid;
}

int pods_visit(struct pods *pods, const char *container_id, const char *pod_uid, pods_visit_fn fn,
               void *ctx)
{
    struct fact_label labels[FACT_LABELS_MAX];
    struct container_fact container = {0};
    struct pod_fact pod = {0};
    pthread_mutex_lock(&pods->lock);
    if (!pod_uid || !pod_uid[0])
        pod_uid = pods->own_pod;
    bool has_container = merge_container(pods, container_id, &container);
    bool has_pod = container.pod_uid && merge_pod(pods, container.pod_uid, &pod, labels);
    if (!has_pod)
        has_pod = merge_pod(pods, pod_uid, &pod, labels);
    int r = fn(ctx, has_pod ? &pod : NULL, has_container ? &container : NULL);
    pthread_mutex_unlock(&pods->lock);
    return r;
}

void pods_set_own_pod(struct pods *pods, const char *uid)
{
    pthread_mutex_lock(&pods->lock);
    snprintf(pods->own_pod, sizeof(pods->own_pod), "%s", uid);
    pthread_mutex_unlock(&pods->lock);
}

static bool find_uid(const struct pods_view *view, const char *namespace, const char *name,
                     bool gone, char ret_uid[static 40])
{
    for (uint32_t i = 0; view && i < view->pods.count; i++) {
        const struct pod_row *row = table_row(&view->pods, i);
        if ((row->gone_ns != 0) != gone || strcmp(view->texts.texts[row->name], name) != 0 ||
            strcmp(view->texts.texts[row->namespace], namespace) != 0)
            continue;
        memcpy(ret_uid, row->uid, POD_UID_SIZE);
        return true;
    }
    return false;
}

int pods_find_uid(struct pods *pods, const char *namespace, const char *name,
                  char ret_uid[static 40])
{
    bool found = false;
    pthread_mutex_lock(&pods->lock);
    for (int gone = 0; gone < 2 && !found; gone++)
        for (size_t i = 0; i < PODS_RANKS && !found; i++)
            found = find_uid(pods->views[i], namespace, name, gone, ret_uid);
    pthread_mutex_unlock(&pods->lock);
    return found ? 0 : -ENOENT;
}

static void copy(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text ? text : "");
}

static const char *find_label(const struct pod_fact *pod, const char *key)
{
    for (size_t i = 0; i < pod->label_count; i++)
        if (strcmp(pod->labels[i].key, key) == 0)
            return pod->labels[i].value;
    return NULL;
}

/* A ReplicaSet that a Deployment made is called like it, with the label's hash behind; nothing else
 * sets that label (the deployment controller's pod-template-hash). */
void pods_workload(const struct pod_fact *pod, char ret[static PODS_WORKLOAD_SIZE])
{
    ret[0] = 0;
    if (!pod->owner || !pod->owner_kind)
        return;
    const char *hash = find_label(pod, "pod-template-hash");
    size_t len = strlen(pod->owner), tail = hash ? strlen(hash) : 0;
    if (strcmp(pod->owner_kind, "ReplicaSet") == 0 && tail && len > tail + 1 &&
        pod->owner[len - tail - 1] == '-' && strcmp(pod->owner + len - tail, hash) == 0)
        snprintf(ret, PODS_WORKLOAD_SIZE, "Deployment/%.*s", (int)(len - tail - 1), pod->owner);
    else
        snprintf(ret, PODS_WORKLOAD_SIZE, "%s/%s", pod->owner_kind, pod->owner);
}

static int copy_names(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    struct pod_names *names = ctx;
    if (!pod && !container)
        return -ENOENT;
    *names = (struct pod_names){0};
    if (container) {
        bool is_sandbox = container->kind == CONTAINER_SANDBOX;
        copy(names->container, sizeof(names->container),
             is_sandbox ? PODS_SANDBOX_NAME : container->name);
        copy(names->pod_uid, sizeof(names->pod_uid), container->pod_uid);
        copy(names->runtime, sizeof(names->runtime), container->runtime);
    }
    if (pod) {
        copy(names->pod_uid, sizeof(names->pod_uid), pod->uid);
        copy(names->namespace, sizeof(names->namespace), pod->namespace);
        copy(names->pod, sizeof(names->pod), pod->name);
        pods_workload(pod, names->workload);
    }
    return 0;
}

int pods_find(struct pods *pods, const char *container_id, const char *pod_uid,
              struct pod_names *ret)
{
    return pods_visit(pods, container_id, pod_uid, copy_names, ret);
}

struct lack {
    bool has_id, lacks;
};

static int find_lack(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    struct lack *lack = ctx;
    lack->lacks = lack->has_id ? !container || (container->pod_uid && !pod) : !pod;
    return 0;
}

bool pods_lacks(struct pods *pods, const char *container_id, const char *pod_uid)
{
    struct lack lack = {.has_id = container_id && container_id[0]};
    pods_visit(pods, container_id, pod_uid, find_lack, &lack);
    return lack.lacks;
}
