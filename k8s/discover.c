/* discover.c: takes settings, gives sources. See discover.h. */
#include "k8s/discover.h"

#include <stdlib.h>

#include "k8s/cri.h"
#include "k8s/docker.h"
#include "k8s/kubelet.h"

static const char *or_null(const char *text)
{
    return text && *text ? text : NULL;
}

/* Not asked for at all: the empty text. */
static bool is_off(const char *setting)
{
    return setting && !*setting;
}

static int add_kubelet(const struct discover_config *c, struct source *ret, struct err *err)
{
    struct kubelet_config config = {
        .url = c->kubelet_url,
        .node_ip = or_null(c->node_ip ? c->node_ip : getenv("NODE_IP")),
        .server_name = or_null(c->kubelet_server_name),
        .node = or_null(c->node),
        .token_file = or_null(c->kubelet_token),
        .ca_file = or_null(c->kubelet_ca),
        .insecure = c->kubelet_insecure,
    };
    return kubelet_source_new(&config, ret, err);
}

int discover_sources(const struct discover_config *config, struct source ret[DISCOVER_SOURCES_MAX],
                     size_t *ret_count, struct err *err)
{
    struct cri_config cri = {.socket = config->cri_socket};
    struct docker_config docker = {.socket = config->docker_socket};
    struct source found[DISCOVER_SOURCES_MAX] = {0};
    size_t count = 0;
    int r = 0;
    if (!is_off(config->kubelet_url))
        r = add_kubelet(config, &found[count++], err);
    if (r == 0 && !is_off(config->cri_socket))
        r = cri_source_new(&cri, &found[count++], err);
    if (r == 0 && !is_off(config->docker_socket))
        r = docker_source_new(&docker, &found[count++], err);
    for (size_t i = 0; i < count && r < 0; i++)
        source_free(&found[i]);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        ret[i] = found[i];
    *ret_count = count;
    return 0;
}
