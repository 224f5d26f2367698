/* stacks.c: takes a range and nodes, gives how whole their stacks were and how they were got:
 * /api/v1/stacks. What the agents count by names that begin with stacks_ and frames_ is told as it
 * is, so that a newer agent's reasons need no newer server. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "server/api_internal.h"
#include "server/counter_sums.h"
#include "server/exchange.h"
#include "server/json.h"
#include "server/query.h"

/* Counts stacks that have an end besides. */
#define PENDING "pending"

/* The counters whose names begin with `prefix`, without it. */
static int put_group(struct buf *out, const struct counter_sums *sums, const char *key,
                     const char *prefix, uint64_t *ret_pending)
{
    int r = json_key(out, ",", key);
    const char *before = "";
    if (r == 0)
        r = buf_puts(out, "{");
    for (uint32_t i = 0; r == 0 && i < sums->names.count; i++) {
        const char *name = sums->names.texts[i];
        if (strncmp(name, prefix, strlen(prefix)) != 0)
            continue;
        name += strlen(prefix);
        if (ret_pending && strcmp(name, PENDING) == 0) {
            *ret_pending = sums->values[i];
            continue;
        }
        r = json_key_u64(out, before, name, sums->values[i]);
        before = ",";
    }
    return r < 0 ? r : buf_puts(out, "}");
}

static int put_stacks(struct buf *out, const struct store_query *query,
                      const struct counter_sums *sums)
{
    uint64_t pending = 0;
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = put_group(out, sums, "ends", "stacks_", &pending);
    if (r == 0)
        r = put_group(out, sums, "methods", "frames_", NULL);
    if (r == 0)
        r = json_key_u64(out, ",", PENDING, pending);
    return r < 0 ? r : buf_puts(out, "}\n");
}

void api_get_stacks(struct api *api, const struct request *request, struct reply *reply)
{
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(counter_sums_free) struct counter_sums sums = {0};
    struct err err = {0};
    if (api_read_query(request, QUERY_NODES, &query, reply) < 0)
        return;
    int r = counter_sums_read(api->store, &query.store, &sums, &err);
    if (r < 0) {
        if (!err.text[0])
            err_errno(&err, r, "adding up the agents' counters");
        log_err("the stacks' quality was not told: %s", err.text);
        reply_failure(reply, r, &err);
        return;
    }
    api_reply_json(reply, put_stacks(&reply->body, &query.store, &sums));
}
