/* pods.c: takes a range and namespaces, gives their pods. */
#include <errno.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/api_internal.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/pod_rows.h"

static int put_list(const struct store_query *query, const struct pods *pods, struct buf *out)
{
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = buf_append(out, pods->sources.data, pods->sources.len);
    if (r == 0)
        r = buf_puts(out, ",\"pods\":[");
    for (size_t i = 0; r == 0 && i < pods->count; i++) {
        r = buf_puts(out, i ? ",{" : "{");
        if (r == 0)
            r = pods_put(pods, &pods->all[i], out);
        if (r == 0)
            r = buf_puts(out, "}");
    }
    return r < 0 ? r : buf_puts(out, "]}\n");
}

void api_get_pods(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(pods_free) struct pods pods = {0};
    struct err err = {0};
    if (api_read_query(request, QUERY_PODS, &query, reply) < 0)
        return;
    int r = pods_read(api, &query.store, false, &pods, &err);
    if (r < 0)
        api_reply_failure(reply, "pods not listed", r, &err);
    else
        api_reply_json(reply, put_list(&query.store, &pods, &reply->body));
}
