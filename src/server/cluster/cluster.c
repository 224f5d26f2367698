/* cluster.c: takes objects of the Kubernetes API as they come and go, gives them by name, uid or
 * container. See cluster.h. */
#include "server/cluster/cluster.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

#include "base/cleanup.h"
#include "base/err.h"

/* A container that falls over again and again has a new id each time; the last ones are kept. */
#define OLD_IDS_MAX 64u

#define KEY_MAX (2 * FACT_NAME_MAX + 2)

struct entry;

/* One of the ids of an object: in `ids`, and in the list of its entry, the newest first. */
struct id {
    UT_hash_handle hh;
    struct entry *entry;
    struct id *next;
    char *container; /* behind the key; "" if it is no container's */
    char key[];
};

struct entry {
    UT_hash_handle hh;         /* in `names`, unless it is gone */
    struct entry *prev, *next; /* in `gone` */
    struct kube_object *object;
    struct id *ids;
    uint64_t list; /* the last that had it */
    bool is_gone;
    char key[]; /* namespace/name */
};

struct kind {
    struct entry *names;
    uint64_t list; /* the number of the one under way, or the last */
    bool was_listed;
    bool left_out, leaves_out; /* some had no room: of what there is; of the list under way */
};

struct cluster {
    pthread_rwlock_t lock;
    struct kind kinds[KUBE_KIND_COUNT];
    struct id *ids;
    struct entry *gone; /* the longest first */
    uint32_t gone_count;
};

int cluster_new(struct cluster **ret, struct err *err)
{
    struct cluster *c = calloc(1, sizeof(*c));
    if (!c)
        return err_errno(err, -ENOMEM, "preparing to know the cluster");
    pthread_rwlock_init(&c->lock, NULL);
    *ret = c;
    return 0;
}

/* ---- ids */

static struct id *find_id(const struct cluster *c, const char *key)
{
    struct id *id = NULL;
    HASH_FIND_STR(c->ids, key, id);
    return id;
}

static void drop_id(struct cluster *c, struct id *id)
{
    HASH_DEL(c->ids, id);
    free(id);
}

static void unlink_id(struct id *id)
{
    struct id **at = &id->entry->ids;
    while (*at != id)
        at = &(*at)->next;
    *at = id->next;
}

static void link_id(struct id *id, struct entry *e)
{
    id->entry = e;
    id->next = e->ids;
    e->ids = id;
}

/* As the newest. What another object has is left to it, unless that is gone: a static pod's mirror
 * is made anew now and then, with the same containers. */
static int add_id(struct cluster *c, struct entry *e, const char *key, const char *container)
{
    size_t key_len = strlen(key) + 1, container_len = strlen(container) + 1;
    struct id *old = find_id(c, key);
    if (!*key || (old && old->entry != e && !old->entry->is_gone))
        return 0;
    if (old) {
        unlink_id(old);
        link_id(old, e);
        return 0;
    }
    struct id *id = calloc(1, sizeof(*id) + key_len + container_len);
    if (!id)
        return -ENOMEM;
    memcpy(id->key, key, key_len);
    id->container = memcpy(id->key + key_len, container, container_len);
    HASH_ADD_KEYPTR(hh, c->ids, id->key, key_len - 1, id);
    if (!id->hh.tbl) {
        free(id);
        return -ENOMEM;
    }
    link_id(id, e);
    return 0;
}

/* The oldest ones beyond what the object has now, twice over, and some of the past. */
static void trim_ids(struct cluster *c, struct entry *e)
{
    size_t keep = 2 + 2 * e->object->container_count + OLD_IDS_MAX;
    struct id **at = &e->ids;
    while (*at && keep-- > 0)
        at = &(*at)->next;
    while (*at) {
        struct id *id = *at;
        *at = id->next;
        drop_id(c, id);
    }
}

static int add_ids(struct cluster *c, struct entry *e, const struct kube_object *o)
{
    int r = add_id(c, e, o->uid, "");
    if (r == 0)
        r = add_id(c, e, o->static_uid, "");
    for (size_t i = 0; i < o->container_count && r == 0; i++) {
        r = add_id(c, e, o->containers[i].last_id, o->containers[i].name);
        if (r == 0)
            r = add_id(c, e, o->containers[i].id, o->containers[i].name);
    }
    return r;
}

/* ---- entries */

static void make_key(char key[KEY_MAX], const char *namespace, const char *name)
{
    snprintf(key, KEY_MAX, "%s/%s", namespace, name);
}

static struct entry *find_name(const struct cluster *c, enum kube_kind kind, const char *namespace,
                               const char *name)
{
    struct entry *e = NULL;
    char key[KEY_MAX];
    make_key(key, namespace, name);
    HASH_FIND_STR(c->kinds[kind].names, key, e);
    return e;
}

/* It is in no table. */
static void free_entry(struct cluster *c, struct entry *e)
{
    while (e->ids) {
        struct id *id = e->ids;
        e->ids = id->next;
        drop_id(c, id);
    }
    free(e->object);
    free(e);
}

static void let_go(struct cluster *c, struct entry *e)
{
    HASH_DEL(c->kinds[e->object->kind].names, e);
    e->is_gone = true;
    DL_APPEND(c->gone, e);
    if (++c->gone_count <= CLUSTER_GONE_MAX)
        return;
    struct entry *oldest = c->gone;
    DL_DELETE(c->gone, oldest);
    c->gone_count--;
    free_entry(c, oldest);
}

/* The entry has what it had before on failure, and some of the object's ids. */
static int renew(struct cluster *c, struct entry *e, const struct kube_object *o)
{
    struct kube_object *copy;
    int r = add_ids(c, e, o);
    if (r == 0)
        r = kube_object_copy(o, &copy);
    if (r < 0)
        return r;
    free(e->object);
    e->object = copy;
    e->list = c->kinds[o->kind].list;
    trim_ids(c, e);
    return 0;
}

static int add(struct cluster *c, const struct kube_object *o)
{
    struct kind *kind = &c->kinds[o->kind];
    char key[KEY_MAX];
    if (HASH_COUNT(kind->names) >= CLUSTER_OBJECTS_MAX) {
        kind->left_out = kind->leaves_out = true;
        return 0;
    }
    make_key(key, o->namespace, o->name);
    struct entry *e = calloc(1, sizeof(*e) + strlen(key) + 1);
    if (!e)
        return -ENOMEM;
    strcpy(e->key, key);
    int r = renew(c, e, o);
    if (r == 0)
        HASH_ADD_KEYPTR(hh, kind->names, e->key, strlen(e->key), e);
    if (r == 0 && e->hh.tbl)
        return 0;
    free_entry(c, e);
    return -ENOMEM;
}

void cluster_free(struct cluster **cluster)
{
    struct cluster *c = *cluster;
    struct entry *e, *next;
    if (!c)
        return;
    for (size_t kind = 0; kind < KUBE_KIND_COUNT; kind++)
        HASH_ITER (hh, c->kinds[kind].names, e, next) {
            HASH_DEL(c->kinds[kind].names, e);
            free_entry(c, e);
        }
    DL_FOREACH_SAFE(c->gone, e, next)
    free_entry(c, e);
    pthread_rwlock_destroy(&c->lock);
    free(TAKE_PTR(*cluster));
}

/* ---- writing */

void cluster_begin_list(struct cluster *c, enum kube_kind kind)
{
    pthread_rwlock_wrlock(&c->lock);
    c->kinds[kind].list++;
    c->kinds[kind].leaves_out = false;
    pthread_rwlock_unlock(&c->lock);
}

void cluster_end_list(struct cluster *c, enum kube_kind kind)
{
    struct entry *e, *next;
    pthread_rwlock_wrlock(&c->lock);
    struct kind *k = &c->kinds[kind];
    HASH_ITER (hh, k->names, e, next)
        if (e->list != k->list)
            let_go(c, e);
    k->was_listed = true;
    k->left_out = k->leaves_out;
    pthread_rwlock_unlock(&c->lock);
}

int cluster_put(struct cluster *c, const struct kube_object *o)
{
    pthread_rwlock_wrlock(&c->lock);
    struct entry *e = find_name(c, o->kind, o->namespace, o->name);
    if (e && strcmp(e->object->uid, o->uid) != 0) {
        let_go(c, e);
        e = NULL;
    }
    int r = e ? renew(c, e, o) : add(c, o);
    pthread_rwlock_unlock(&c->lock);
    return r;
}

void cluster_remove(struct cluster *c, const struct kube_object *o)
{
    pthread_rwlock_wrlock(&c->lock);
    struct entry *e = find_name(c, o->kind, o->namespace, o->name);
    if (e && strcmp(e->object->uid, o->uid) == 0)
        let_go(c, e);
    pthread_rwlock_unlock(&c->lock);
}

/* ---- reading */

void cluster_lock(struct cluster *c)
{
    pthread_rwlock_rdlock(&c->lock);
}

void cluster_unlock(struct cluster *c)
{
    pthread_rwlock_unlock(&c->lock);
}

bool cluster_is_whole(const struct cluster *c, enum kube_kind kind)
{
    return c->kinds[kind].was_listed && !c->kinds[kind].left_out;
}

size_t cluster_count(const struct cluster *c, enum kube_kind kind)
{
    return HASH_COUNT(c->kinds[kind].names);
}

const struct kube_object *cluster_find(const struct cluster *c, enum kube_kind kind,
                                       const char *namespace, const char *name)
{
    if (strlen(namespace) > FACT_NAME_MAX || strlen(name) > FACT_NAME_MAX)
        return NULL;
    const struct entry *e = find_name(c, kind, namespace, name);
    return e ? e->object : NULL;
}

const struct kube_object *cluster_find_id(const struct cluster *c, const char *key,
                                          const char **ret_container)
{
    const struct id *id = find_id(c, key);
    if (!id)
        return NULL;
    *ret_container = id->container;
    return id->entry->object;
}

void cluster_each(const struct cluster *c, enum kube_kind kind, cluster_fn fn, void *ctx)
{
    for (const struct entry *e = c->kinds[kind].names; e; e = e->hh.next)
        if (!fn(ctx, e->object))
            return;
}

/* Of a ReplicaSet that is unknown (we may not list them, say), the Deployment is that whose name
 * and the label pod-template-hash make the ReplicaSet's: the label is the Deployment controller's
 * alone. */
static size_t deployment_len(const struct kube_object *pod)
{
    size_t len = strlen(pod->owner);
    for (size_t i = 0; i < pod->label_count; i++) {
        const struct fact_label *l = &pod->labels[i];
        size_t hash_len = strlen(l->value);
        if (strcmp(l->key, "pod-template-hash") == 0 && hash_len > 0 && hash_len + 1 < len &&
            strcmp(pod->owner + len - hash_len, l->value) == 0 &&
            pod->owner[len - hash_len - 1] == '-')
            return len - hash_len - 1;
    }
    return 0;
}

void cluster_workload(const struct cluster *c, const struct kube_object *pod,
                      char ret[CLUSTER_WORKLOAD_MAX])
{
    const char *kind = pod->owner_kind, *name = pod->owner, *unused;
    size_t name_len = strlen(name);
    *ret = 0;
    if (!*kind)
        return;
    const struct kube_object *owner =
        *pod->owner_uid ? cluster_find_id(c, pod->owner_uid, &unused) : NULL;
    bool is_between = strcmp(kind, "ReplicaSet") == 0 || strcmp(kind, "Job") == 0;
    if (is_between && owner && *owner->owner_kind) {
        kind = owner->owner_kind;
        name = owner->owner;
        name_len = strlen(name);
    } else if (!owner && strcmp(kind, "ReplicaSet") == 0 && deployment_len(pod) > 0) {
        kind = "Deployment";
        name_len = deployment_len(pod);
    }
    snprintf(ret, CLUSTER_WORKLOAD_MAX, "%s/%.*s", kind, (int)name_len, name);
}
