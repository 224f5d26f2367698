/* flame_json.c: takes a flame, gives JSON piece by piece: the head, the tables of texts, then the
 * nodes column by column. See flame_json.h. */
#include "server/flame_json.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "server/display_name.h"
#include "server/flame.h"
#include "server/json.h"
#include "server/query.h"
#include "server/stream.h"

struct flame_json {
    struct stream stream;
    struct flame *flame;
    struct query query;
    uint8_t *kinds; /* by name: of a node that has it */
    unsigned part;  /* of parts */
    uint32_t row;   /* of the part, the next to write */
    bool has_rows;  /* one was written */
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
            r = json_text(out, query->groups[i]);
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

/* One row of a part, behind the comma if one was written before. What is the same as another row,
 * or has nothing to say, may be left out. */
static int put_text(struct flame_json *json, const char *text, struct buf *out)
{
    int r = json->has_rows ? buf_append(out, ",", 1) : 0;
    json->has_rows = true;
    return r < 0 ? r : json_text(out, text);
}

static int put_number(struct flame_json *json, uint64_t number, struct buf *out)
{
    int r = json->has_rows ? buf_append(out, ",", 1) : 0;
    json->has_rows = true;
    return r < 0 ? r : json_u64(out, number);
}

static int put_name(struct flame_json *json, uint32_t row, struct buf *out)
{
    return put_text(json, json->flame->names.texts[row], out);
}

static int put_object(struct flame_json *json, uint32_t row, struct buf *out)
{
    return put_text(json, json->flame->objects.texts[row], out);
}

static int put_file(struct flame_json *json, uint32_t row, struct buf *out)
{
    return put_text(json, json->flame->files.texts[row], out);
}

/* Names that have a short form, and those, as two columns. */
static int put_short_row(struct flame_json *json, uint32_t row, struct buf *out)
{
    char shown[SHORT_NAME_MAX];
    bool is_shorter = display_name(json->flame->names.texts[row], json->kinds[row], shown);
    return is_shorter ? put_number(json, row, out) : 0;
}

static int put_short_text(struct flame_json *json, uint32_t row, struct buf *out)
{
    char shown[SHORT_NAME_MAX];
    bool is_shorter = display_name(json->flame->names.texts[row], json->kinds[row], shown);
    return is_shorter ? put_text(json, shown, out) : 0;
}

#define COLUMN(member)                                                                        \
    static int put_##member##_of_node(struct flame_json *json, uint32_t row, struct buf *out) \
    {                                                                                         \
        return put_number(json, json->flame->nodes[row].member, out);                         \
    }
COLUMN(depth)
COLUMN(name)
COLUMN(object)
COLUMN(file)
COLUMN(line)
COLUMN(kind)
COLUMN(self)
COLUMN(total)
#undef COLUMN

static uint32_t count_names(const struct flame_json *json)
{
    return json->flame->names.count;
}

static uint32_t count_objects(const struct flame_json *json)
{
    return json->flame->objects.count;
}

static uint32_t count_files(const struct flame_json *json)
{
    return json->flame->files.count;
}

static uint32_t count_nodes(const struct flame_json *json)
{
    return json->flame->node_count;
}

static bool has_files(const struct flame_json *json)
{
    return json->flame->files.count > 1;
}

static bool has_lines(const struct flame_json *json)
{
    return json->query.by_line;
}

static const struct part {
    const char *open, *close;
    uint32_t (*count)(const struct flame_json *json);
    int (*put)(struct flame_json *json, uint32_t row, struct buf *out);
    bool (*is_there)(const struct flame_json *json); /* NULL: always */
} parts[] = {
    {",\"names\":[", "]", count_names, put_name},
    {",\"short\":{\"name\":[", "]", count_names, put_short_row},
    {",\"text\":[", "]}", count_names, put_short_text},
    {",\"objects\":[", "]", count_objects, put_object},
    {",\"files\":[", "]", count_files, put_file, has_files},
    {",\"nodes\":{\"depth\":[", "]", count_nodes, put_depth_of_node},
    {",\"name\":[", "]", count_nodes, put_name_of_node},
    {",\"object\":[", "]", count_nodes, put_object_of_node},
    {",\"file\":[", "]", count_nodes, put_file_of_node, has_files},
    {",\"line\":[", "]", count_nodes, put_line_of_node, has_lines},
    {",\"kind\":[", "]", count_nodes, put_kind_of_node},
    {",\"self\":[", "]", count_nodes, put_self_of_node},
    {",\"total\":[", "]}}\n", count_nodes, put_total_of_node},
};

/* Rows of the part until it ends or the piece is full. */
static int put_rows(struct flame_json *json, struct buf *out)
{
    const struct part *part = &parts[json->part];
    uint32_t rows = part->is_there && !part->is_there(json) ? 0 : part->count(json);
    int r = 0;
    if (json->row == 0 && rows > 0)
        r = buf_puts(out, part->open);
    while (r == 0 && json->row < rows && out->len < STREAM_PIECE)
        r = part->put(json, json->row++, out);
    if (r < 0 || json->row < rows)
        return r;
    json->part++;
    json->row = 0;
    json->has_rows = false;
    return rows > 0 ? buf_puts(out, part->close) : 0;
}

static int flame_json_next(struct stream *stream, struct buf *out)
{
    struct flame_json *json = (struct flame_json *)stream;
    int r = 0;
    if (json->part == 0 && json->row == 0)
        r = put_head(json, out);
    while (r == 0 && json->part < ARRAY_LEN(parts) && out->len < STREAM_PIECE)
        r = put_rows(json, out);
    return r < 0 ? r : json->part < ARRAY_LEN(parts);
}

static void flame_json_free(struct stream *stream)
{
    struct flame_json *json = (struct flame_json *)stream;
    flame_free(&json->flame);
    query_free(&json->query);
    free(json->kinds);
    free(json);
}

/* A name that code of several kinds has, has one short form: of the first but those without any. */
static uint8_t *kinds_of_names(const struct flame *flame)
{
    uint8_t *kinds = calloc(flame->names.count + 1, 1);
    for (uint32_t i = 0; kinds && i < flame->node_count; i++)
        if (kinds[flame->nodes[i].name] == FLAME_META)
            kinds[flame->nodes[i].name] = flame->nodes[i].kind;
    return kinds;
}

int flame_json_open(struct flame **flame, struct query *query, struct stream **ret)
{
    struct flame_json *json = malloc(sizeof(*json));
    uint8_t *kinds = kinds_of_names(*flame);
    if (!json || !kinds) {
        free(json);
        free(kinds);
        return -ENOMEM;
    }
    *json = (struct flame_json){
        .stream = {flame_json_next, flame_json_free},
        .flame = TAKE_PTR(*flame),
        .query = *query,
        .kinds = kinds,
    };
    *query = (struct query){0};
    *ret = &json->stream;
    return 0;
}
