/* pod_sources.c: takes settings, gives the table of pods with its sources. See pod_sources.h. */
#include "agent/pod_sources.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "agent/identity.h"
#include "agent/options.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/discover.h"
#include "k8s/downward.h"
#include "k8s/log_dirs.h"
#include "k8s/pods.h"
#include "k8s/selector.h"
#include "k8s/source.h"
#include "k8s/sources.h"

static bool is_off(const char *setting)
{
    return setting && !setting[0];
}

static int add_log_dirs(struct sources *sources, const char *dir, struct err *err)
{
    struct source source;
    int r = log_dirs_source_new(dir, &source, err);
    return r < 0 ? r : sources_add(sources, PODS_LOG_DIRS, source, err);
}

static int add_downward(struct sources *sources, const char *dir, struct err *err)
{
    struct source source;
    int r = downward_source_new(dir, &source, err);
    return r < 0 ? r : sources_add(sources, PODS_DOWNWARD, source, err);
}

const char *pod_sources_node(const struct agent_options *options)
{
    const char *set = options->node && options->node[0] ? options->node : NULL;
    return set ? set : getenv("PODFLAME_NODE_NAME");
}

static enum pods_rank rank_of(const struct source *source)
{
    static const char *const names[] = {
        [PODS_KUBELET] = "kubelet", [PODS_CRI] = "cri", [PODS_DOCKER] = "docker"};
    size_t rank = 0;
    while (rank < ARRAY_LEN(names) && strcmp(names[rank], source->ops->name) != 0)
        rank++;
    assert(rank < ARRAY_LEN(names));
    return (enum pods_rank)rank;
}

static int add_asked(struct sources *sources, const struct agent_options *o, struct err *err)
{
    struct source found[DISCOVER_SOURCES_MAX];
    size_t count;
    const struct discover_config config = {
        .kubelet_url = o->kubelet_url,
        .cri_socket = o->cri_socket,
        .docker_socket = o->docker_socket,
        .kubelet_token = o->kubelet_token,
        .kubelet_ca = o->kubelet_ca,
        .kubelet_server_name = o->kubelet_server_name,
        .kubelet_insecure = o->kubelet_insecure,
        .node = pod_sources_node(o),
    };
    int r = discover_sources(&config, found, &count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        if (r == 0)
            r = sources_add(sources, rank_of(&found[i]), found[i], err);
        else
            source_free(&found[i]);
    }
    return r;
}

static int add_all(struct sources *sources, const struct agent_options *o, struct err *err)
{
    int r = add_asked(sources, o, err);
    if (r == 0)
        r = is_off(o->pod_logs) ? 0 : add_log_dirs(sources, o->pod_logs, err);
    if (r == 0)
        r = is_off(o->pod_info) ? 0 : add_downward(sources, o->pod_info, err);
    return r;
}

int pod_sources_start(const struct agent_options *options, struct counters *counters,
                      struct pod_sources *ret, struct err *err)
{
    struct pod_sources *p = ret;
    p->own_pod = is_off(options->pod_info) ? NULL : downward_own_uid();
    int r = pods_new(NULL, &p->pods, err);
    if (r == 0 && options->include)
        r = selectors_parse(options->include, &p->include, err);
    if (r == 0 && options->exclude)
        r = selectors_parse(options->exclude, &p->exclude, err);
    if (r == 0)
        r = sources_new(NULL, p->pods, &p->sources, err);
    if (r == 0)
        r = add_all(p->sources, options, err);
    if (r < 0)
        return r;
    struct identity_config config = {p->pods, p->sources, p->include, p->exclude};
    return identity_new(&config, counters, &p->identity, err);
}

void pod_sources_stop(struct pod_sources *pod_sources)
{
    sources_stop(&pod_sources->sources);
    identity_free(&pod_sources->identity);
    pods_free(&pod_sources->pods);
    selectors_free(&pod_sources->include);
    selectors_free(&pod_sources->exclude);
}
