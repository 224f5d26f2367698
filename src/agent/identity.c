/* identity.c: takes a window, gives it back without the samples that are not wanted, once the pods
 * in it are known as far as can be. See identity.h. */
#include "agent/identity.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "agent/counters.h"
#include "agent/window.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/strings.h"
#include "k8s/cgroup.h"
#include "k8s/pods.h"
#include "k8s/selector.h"
#include "k8s/sources.h"

#define GIVEN_UP_SIZE 4096u /* a power of two */

struct identity {
    struct identity_config config;
    struct counters *counters;
    /* Containers that stayed unknown once, by hash; a newer one takes an older one's place. Many
     * more of them than places would be waited for again. */
    uint64_t given_up[GIVEN_UP_SIZE];
};

int identity_new(const struct identity_config *config, struct counters *counters,
                 struct identity **ret, struct err *err)
{
    struct identity *i = calloc(1, sizeof(*i));
    if (!i)
        return err_errno(err, -ENOMEM, "telling pods apart");
    i->config = *config;
    i->counters = counters;
    *ret = i;
    return 0;
}

void identity_free(struct identity **identity)
{
    free(*identity);
    *identity = NULL;
}

static void read_cgroup(const struct window *w, uint32_t process, struct cgroup_id *ret)
{
    const struct window_process *p = table_row(&w->processes, process);
    cgroup_parse_path(p->cgroup_path, strlen(p->cgroup_path), ret);
}

/* What there is to say of a process is said of its cgroup, once a window. 1: the first process of
 * its path, whose number is `*ret`; 0: the path was there before. -ENOMEM. */
static int add_path(struct strings *paths, const char *path, uint32_t *ret)
{
    uint32_t before = paths->count;
    int r = strings_add(paths, path, ret);
    return r < 0 ? r : paths->count > before;
}

/* ---- waiting */

/* A process of each cgroup whose container is not known. */
struct missing {
    struct identity *identity;
    const struct window *window;
    uint32_t *processes;
    uint32_t count;
};

static uint64_t *given_up_place(struct identity *identity, const struct cgroup_id *id,
                                uint64_t *ret_hash)
{
    const char *what = id->container_id[0] ? id->container_id : id->pod_uid;
    *ret_hash = XXH3_64bits(what, strlen(what));
    return &identity->given_up[*ret_hash & (GIVEN_UP_SIZE - 1)];
}

static bool lacks(const struct identity *identity, const struct cgroup_id *id)
{
    return (id->container_id[0] || id->pod_uid[0]) &&
           pods_lacks(identity->config.pods, id->container_id, id->pod_uid);
}

static void find_missing(struct missing *m)
{
    _cleanup_(strings_free) struct strings paths = {0};
    for (uint32_t i = 0; i < m->window->processes.count; i++) {
        const struct window_process *p = table_row(&m->window->processes, i);
        struct cgroup_id id;
        uint64_t hash;
        uint32_t path;
        if (add_path(&paths, p->cgroup_path, &path) == 0)
            continue;
        read_cgroup(m->window, i, &id);
        if (lacks(m->identity, &id) && *given_up_place(m->identity, &id, &hash) != hash)
            m->processes[m->count++] = i;
    }
}

static bool are_known(void *ctx)
{
    const struct missing *m = ctx;
    for (uint32_t i = 0; i < m->count; i++) {
        struct cgroup_id id;
        read_cgroup(m->window, m->processes[i], &id);
        if (lacks(m->identity, &id))
            return false;
    }
    return true;
}

static void give_up(struct missing *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        struct cgroup_id id;
        uint64_t hash;
        read_cgroup(m->window, m->processes[i], &id);
        uint64_t *place = given_up_place(m->identity, &id, &hash);
        if (lacks(m->identity, &id))
            *place = hash;
    }
}

void identity_wait(struct identity *identity, const struct window *window, int64_t within_ns)
{
    if (!identity->config.sources || !window->processes.count)
        return;
    _cleanup_free_ uint32_t *processes = calloc(window->processes.count, sizeof(*processes));
    if (!processes)
        return;
    struct missing missing = {identity, window, processes, 0};
    find_missing(&missing);
    if (!missing.count)
        return;
    sources_wait(identity->config.sources, within_ns, are_known, &missing);
    give_up(&missing);
}

/* ---- selecting */

enum verdict { WANTED, EXCLUDED, UNIDENTIFIED };

static enum selectors_match match(const struct selectors *selectors, const struct pod_fact *pod)
{
    return selectors ? selectors_match(selectors, pod) : SELECTORS_NO;
}

static enum verdict judge_pod(const struct identity *i, const struct pod_fact *pod)
{
    enum selectors_match in =
        selectors_are_empty(i->config.include) ? SELECTORS_YES : match(i->config.include, pod);
    enum selectors_match out = match(i->config.exclude, pod);
    if (in == SELECTORS_NO || out == SELECTORS_YES)
        return EXCLUDED;
    return in == SELECTORS_UNKNOWN || out == SELECTORS_UNKNOWN ? UNIDENTIFIED : WANTED;
}

static enum verdict judge_outsider(const struct identity *i)
{
    return selectors_are_empty(i->config.include) ? WANTED : EXCLUDED;
}

/* A container whose cgroup names no pod: as pods' runtimes do where the agent sees only a part of
 * the hierarchy, and as others always do. */
static bool may_be_in_pod(const struct cgroup_id *id)
{
    return !id->runtime[0] || strcmp(id->runtime, "containerd") == 0 ||
           strcmp(id->runtime, "crio") == 0;
}

struct question {
    const struct identity *identity;
    const struct cgroup_id *id;
};

static int judge(void *ctx, const struct pod_fact *pod, const struct container_fact *container)
{
    const struct question *q = ctx;
    bool in_pod = pod || q->id->pod_uid[0] || (container && container->pod_uid);
    if (!in_pod && (container || !q->id->container_id[0] || !may_be_in_pod(q->id)))
        return judge_outsider(q->identity);
    return judge_pod(q->identity, pod);
}

static enum verdict judge_path(const struct identity *i, const char *cgroup_path)
{
    struct cgroup_id id;
    if (selectors_are_empty(i->config.include) && selectors_are_empty(i->config.exclude))
        return WANTED;
    if (!cgroup_path[0]) /* it is not known */
        return judge_pod(i, NULL);
    cgroup_parse_path(cgroup_path, strlen(cgroup_path), &id);
    struct question q = {i, &id};
    return (enum verdict)pods_visit(i->config.pods, id.container_id, id.pod_uid, judge, &q);
}

bool identity_wants(const struct identity *identity, const char *cgroup_path)
{
    return judge_path(identity, cgroup_path) == WANTED;
}

static void count_left_out(struct identity *i, const struct window *w, const uint8_t *verdicts)
{
    for (uint32_t k = 0; k < w->samples.count; k++) {
        const struct window_sample *s = table_row(&w->samples, k);
        if (verdicts[s->process] == EXCLUDED)
            counter_add(i->counters, samples_excluded, s->count);
        else if (verdicts[s->process] == UNIDENTIFIED)
            counter_add(i->counters, samples_unidentified, s->count);
    }
}

/* Gives how many are not wanted, or -ENOMEM. */
static int64_t judge_all(const struct identity *i, const struct window *w, uint8_t *verdicts)
{
    _cleanup_(strings_free) struct strings paths = {0};
    _cleanup_free_ uint8_t *of_path = calloc(w->processes.count + 1, 1);
    int64_t left_out = 0;
    if (!of_path)
        return -ENOMEM;
    for (uint32_t k = 0; k < w->processes.count; k++) {
        const struct window_process *p = table_row(&w->processes, k);
        uint32_t path;
        int r = add_path(&paths, p->cgroup_path, &path);
        if (r < 0)
            return r;
        if (r)
            of_path[path] = (uint8_t)judge_path(i, p->cgroup_path);
        verdicts[k] = of_path[path];
        left_out += verdicts[k] != WANTED;
    }
    return left_out;
}

int identity_select(struct identity *identity, struct window *window, struct err *err)
{
    const struct identity_config *c = &identity->config;
    uint32_t count = window->processes.count;
    if (selectors_are_empty(c->include) && selectors_are_empty(c->exclude))
        return 0;
    _cleanup_free_ uint8_t *verdicts = calloc(count + 1, 1);
    _cleanup_free_ uint8_t *wanted = calloc(count + 1, 1);
    if (!verdicts || !wanted)
        return err_errno(err, -ENOMEM, "selecting pods");
    int64_t left_out = judge_all(identity, window, verdicts);
    if (left_out < 0)
        return err_errno(err, (int)left_out, "selecting pods");
    if (!left_out)
        return 0;
    for (uint32_t i = 0; i < count; i++)
        wanted[i] = verdicts[i] == WANTED;
    count_left_out(identity, window, verdicts);
    int r = window_keep_processes(window, wanted);
    return r < 0 ? err_errno(err, r, "selecting pods") : 0;
}
