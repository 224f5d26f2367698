/* sources.c: takes what is followed, gives how that goes. See sources.h. */
#include "server/sources.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/metrics.h"
#include "server/api_internal.h"
#include "server/cluster/client.h"
#include "server/cluster/cluster.h"
#include "server/json.h"

static int put_resource(struct api *api, enum kube_kind kind, struct buf *out)
{
    struct kube_status status;
    kube_client_read_status(api->kube, kind, &status);
    cluster_lock(api->cluster);
    uint64_t objects = cluster_count(api->cluster, kind);
    bool is_whole = cluster_is_whole(api->cluster, kind);
    cluster_unlock(api->cluster);
    int r = json_key_string(out, ",{", "name", "api_server");
    if (r == 0)
        r = json_key_string(out, ",", "resource", kube_kind_info(kind)->resource);
    if (r == 0)
        r = json_key_string(out, ",", "state", kube_state_text(status.state));
    if (r == 0)
        r = json_key_u64(out, ",", "since_ms", (uint64_t)status.since_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "objects", objects);
    if (r == 0)
        r = buf_printf(out, ",\"complete\":%s", is_whole ? "true" : "false");
    if (r == 0 && *status.error)
        r = json_key_string(out, ",", "error", status.error);
    return r < 0 ? r : buf_puts(out, "}");
}

int sources_put(struct api *api, bool agents, struct buf *out)
{
    int r = buf_puts(out, ",\"sources\":[{\"name\":\"samples\"}");
    if (r == 0 && agents)
        r = buf_puts(out, ",{\"name\":\"agents\"}");
    for (size_t kind = 0; r == 0 && api->kube && kind < KUBE_KIND_COUNT; kind++)
        r = put_resource(api, kind, out);
    return r < 0 ? r : buf_puts(out, "]");
}

/* ---- metrics */

enum value { UP, OBJECTS, LISTS, EVENTS, DROPPED };

static int put_family(struct api *api, enum value value, enum metrics_type type, const char *name,
                      const char *help, struct buf *out)
{
    int r = metrics_family(out, name, type, help);
    for (size_t kind = 0; r == 0 && kind < KUBE_KIND_COUNT; kind++) {
        struct kube_status status;
        kube_client_read_status(api->kube, kind, &status);
        cluster_lock(api->cluster);
        const uint64_t values[] = {
            [UP] = status.state == KUBE_OK, [OBJECTS] = cluster_count(api->cluster, kind),
            [LISTS] = status.lists,         [EVENTS] = status.events,
            [DROPPED] = status.dropped,
        };
        cluster_unlock(api->cluster);
        r = metrics_u64(out, name, METRICS_LABELS({"resource", kube_kind_info(kind)->resource}),
                        values[value]);
    }
    return r;
}

int sources_put_metrics(struct api *api, struct buf *out)
{
#define PREFIX "podflame_server_api_server_"
    static const struct {
        enum value value;
        enum metrics_type type;
        const char *name, *help;
    } families[] = {
        {UP, METRICS_GAUGE, PREFIX "up", "Whether the API server's objects are followed."},
        {OBJECTS, METRICS_GAUGE, PREFIX "objects", "Objects the API server is known to have."},
        {LISTS, METRICS_COUNTER, PREFIX "lists_total", "Times they were listed whole."},
        {EVENTS, METRICS_COUNTER, PREFIX "events_total", "Events of watches."},
        {DROPPED, METRICS_COUNTER, PREFIX "dropped_total", "Objects without a good name or uid."},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && api->kube && i < ARRAY_LEN(families); i++)
        r = put_family(api, families[i].value, families[i].type, families[i].name, families[i].help,
                       out);
    return r;
}
