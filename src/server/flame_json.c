/* flame_json.c: takes a flame, gives JSON piece by piece: the head, the two tables of texts, then
 * the nodes column by column. See flame_json.h. */
#include "server/flame_json.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "server/flame.h"
#include "server/json.h"
#include "server/query.h"
#include "server/stream.h"

struct flame_json {
    struct stream stream;
    struct flame *flame;
    struct query query;
    unsigned part; /* of parts */
    uint32_t row;  /* of the part, the next to write */
};

static int put_head(struct flame_json *json, struct buf *out)
{
    const struct store_query *query = &json->query.store;
    uint64_t samples = json->flame->nodes[0].total, cpu_ns = json->flame->cpu_ns;
    int r = json_key_u64(out, "{", "start_ms", (uint64_t)query->start_ms);
    if (r == 0)
        r = json_key_u64(out, ",", "end_ms", (uint64_t)query->end_ms);
    if (r == 0)
        r = json_key(out, ",", "group");
    for (size_t i = 0; i < query->group_count && r == 0; i++) {
        r = buf_puts(out, i ? "," : "[");
        if (r == 0)
            r = json_string(out, query->groups[i]);
    }
    if (r == 0)
        r = buf_puts(out, query->group_count ? "]" : "[]");
    if (r == 0)
        r = json_key_u64(out, ",", "samples", samples);
    if (r == 0)
        r = json_key_u64(out, ",", "cpu_ms", cpu_ns / 1000000);
    if (r == 0)
        r = json_key_u64(out, ",", "period_ns", samples ? cpu_ns / samples : 0);
    if (r == 0)
        r = json_key_u64(out, ",", "folded_nodes", json->flame->folded_nodes);
    return r;
}

/* One row of a part, without what stands before it. */
static int put_name(const struct flame *flame, uint32_t row, struct buf *out)
{
    return json_string(out, flame->names.texts[row]);
}

static int put_object(const struct flame *flame, uint32_t row, struct buf *out)
{
    return json_string(out, flame->objects.texts[row]);
}

#define COLUMN(member)                                                                          \
    static int put_##member##_of_node(const struct flame *flame, uint32_t row, struct buf *out) \
    {                                                                                           \
        return json_u64(out, flame->nodes[row].member);                                         \
    }
COLUMN(depth)
COLUMN(name)
COLUMN(object)
COLUMN(kind)
COLUMN(self)
COLUMN(total)
#undef COLUMN

static const struct part {
    const char *open;
    int (*put)(const struct flame *flame, uint32_t row, struct buf *out);
} parts[] = {
    {",\"names\":[", put_name},
    {"],\"objects\":[", put_object},
    {"],\"nodes\":{\"depth\":[", put_depth_of_node},
    {"],\"name\":[", put_name_of_node},
    {"],\"object\":[", put_object_of_node},
    {"],\"kind\":[", put_kind_of_node},
    {"],\"self\":[", put_self_of_node},
    {"],\"total\":[", put_total_of_node},
};

static uint32_t rows_of(const struct flame_json *json)
{
    switch (json->part) {
    case 0:
        return json->flame->names.count;
    case 1:
        return json->flame->objects.count;
    default:
        return json->flame->node_count;
    }
}

/* Rows of the part until it ends or the piece is full. */
static int put_rows(struct flame_json *json, struct buf *out)
{
    const struct part *part = &parts[json->part];
    uint32_t rows = rows_of(json);
    int r = 0;
    if (json->row == 0)
        r = buf_puts(out, part->open);
    while (r == 0 && json->row < rows && out->len < STREAM_PIECE) {
        if (json->row > 0)
            r = buf_append(out, ",", 1);
        if (r == 0)
            r = part->put(json->flame, json->row++, out);
    }
    if (json->row == rows) {
        json->part++;
        json->row = 0;
    }
    return r;
}

static int flame_json_next(struct stream *stream, struct buf *out)
{
    struct flame_json *json = (struct flame_json *)stream;
    int r = 0;
    if (json->part == 0 && json->row == 0)
        r = put_head(json, out);
    while (r == 0 && json->part < ARRAY_LEN(parts) && out->len < STREAM_PIECE)
        r = put_rows(json, out);
    if (r < 0 || json->part < ARRAY_LEN(parts))
        return r < 0 ? r : 1;
    return buf_puts(out, "]}}\n");
}

static void flame_json_free(struct stream *stream)
{
    struct flame_json *json = (struct flame_json *)stream;
    flame_free(&json->flame);
    query_free(&json->query);
    free(json);
}

int flame_json_open(struct flame **flame, struct query *query, struct stream **ret)
{
    struct flame_json *json = malloc(sizeof(*json));
    if (!json)
        return -ENOMEM;
    *json = (struct flame_json){
        .stream = {flame_json_next, flame_json_free},
        .flame = TAKE_PTR(*flame),
        .query = *query,
    };
    *query = (struct query){0};
    *ret = &json->stream;
    return 0;
}
