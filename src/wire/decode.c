/* decode.c: takes a batch's bytes, which nobody vouches for, gives a checked struct batch.
 *
 * First every section is found and measured, nothing kept; then one block is allocated that holds
 * all of it exactly; then the block is filled, column by column. What a length in the input says
 * is believed only after that many bytes have been seen behind it. */
#include <errno.h>
#include <inttypes.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/reader.h"
#include "wire/schema.h"
#include "wire/utf8.h"

enum { KEY_NODE, KEY_SEQ, KEY_WINDOW, KEY_STRINGS, KEY_COUNTERS, KEY_TABLES };
enum { NODE_NAME, NODE_BOOT_ID, NODE_KERNEL, NODE_ARCH, NODE_AGENT, NODE_CPUS, NODE_KEYS };
enum { WINDOW_START, WINDOW_END, WINDOW_SLOT, WINDOW_PERIOD, WINDOW_KEYS };
#define MAP_MAX_KEYS (KEY_TABLES + TABLE_COUNT)

static const char *const node_keys[NODE_KEYS] = {"name", "boot_id", "kernel",
                                                 "arch", "agent",   "cpus"};
static const char *const window_keys[WINDOW_KEYS] = {"start_ns", "end_ns", "slot_ns", "period_ns"};

/* The found sections of a body: cursors that stand at each value, and how much each holds. */
struct sections {
    struct reader node[NODE_KEYS], window[WINDOW_KEYS], seq;
    struct reader strings, counters;
    struct reader columns[TABLE_COUNT][SCHEMA_MAX_COLUMNS];
    uint32_t string_count, counter_count, rows[TABLE_COUNT];
    size_t text_bytes; /* of all strings, node fields and counter names, with their NULs */
};

static int refuse(struct err *err, const struct reader *r, const char *where, const char *key)
{
    return err_set(err, -EBADMSG, "%s%s%s %s", where, *where ? "." : "", key, r->why);
}

static int refuse_row(struct err *err, const struct reader *r, const char *where, const char *key,
                      uint32_t row)
{
    return err_set(err, -EBADMSG, "%s%s%s[%u] %s", where, *where ? "." : "", key, row, r->why);
}

/* Walks the map at `r` and leaves in values[i] a cursor at the value of keys[i]. Each must be there
 * once, but the last `may_lack` may be missing: their cursors are NULL then. Keys that are not
 * asked for are skipped. */
static int find_some(struct reader *r, const char *where, const char *const *keys, unsigned count,
                     unsigned may_lack, struct reader *values, struct err *err)
{
    uint32_t pairs;
    if (reader_read_map(r, &pairs) < 0)
        return refuse(err, r, "", *where ? where : "the body");
    for (unsigned i = 0; i < count; i++)
        values[i].at = NULL;
    for (uint32_t n = 0; n < pairs; n++) {
        const char *key;
        uint32_t len;
        if (reader_read_str(r, &key, &len) < 0)
            return refuse(err, r, where, "a key");
        unsigned i = 0;
        while (i < count && (strlen(keys[i]) != len || memcmp(keys[i], key, len) != 0))
            i++;
        if (i < count && values[i].at)
            return err_set(err, -EBADMSG, "%s%s%s is there twice", where, *where ? "." : "",
                           keys[i]);
        const uint8_t *start = r->at;
        if (reader_skip(r) < 0)
            return refuse(err, r, where, i < count ? keys[i] : "the value of an unknown key");
        if (i < count)
            reader_init(&values[i], start, (size_t)(r->at - start));
    }
    for (unsigned i = 0; i < count - may_lack; i++)
        if (!values[i].at)
            return err_set(err, -EBADMSG, "%s%s%s is missing", where, *where ? "." : "", keys[i]);
    return 0;
}

static int find_keys(struct reader *r, const char *where, const char *const *keys, unsigned count,
                     struct reader *values, struct err *err)
{
    return find_some(r, where, keys, count, 0, values, err);
}

/* Reads the str at `r` if it may be a C string of ours. */
static int read_text(struct reader *r, const char **ret, uint32_t *ret_len)
{
    const char *text;
    uint32_t len;
    int e = reader_read_str(r, &text, &len);
    if (e < 0)
        return e;
    if (len > WIRE_MAX_STRING) {
        r->why = "is longer than WIRE_MAX_STRING (16384 bytes)";
        return -EFBIG;
    }
    if (memchr(text, 0, len)) {
        r->why = "has a NUL byte in it";
        return -EBADMSG;
    }
    if (utf8_valid_prefix(text, len) != len) {
        r->why = "is not UTF-8";
        return -EBADMSG;
    }
    *ret = text;
    *ret_len = len;
    return 0;
}
_Static_assert(WIRE_MAX_STRING == 16384, "the reason above names it");

static int measure_text(struct reader *r, struct sections *s)
{
    const char *text;
    uint32_t len;
    int e = read_text(r, &text, &len);
    if (e == 0)
        s->text_bytes += len + 1;
    return e;
}

static int measure_node(struct sections *s, struct err *err)
{
    for (unsigned i = 0; i < NODE_CPUS; i++) {
        struct reader r = s->node[i];
        int e = measure_text(&r, s);
        if (e < 0)
            return err_set(err, e, "node.%s %s", node_keys[i], r.why);
    }
    return 0;
}

static int measure_strings(struct sections *s, struct err *err)
{
    struct reader *r = &s->strings;
    if (reader_read_array(r, &s->string_count) < 0)
        return refuse(err, r, "", "strings");
    if (s->string_count > WIRE_MAX_STRINGS)
        return err_set(err, -EFBIG, "strings: %u rows are over WIRE_MAX_STRINGS (%u)",
                       s->string_count, WIRE_MAX_STRINGS);
    struct reader walk = *r;
    for (uint32_t i = 0; i < s->string_count; i++) {
        int e = measure_text(&walk, s);
        if (e < 0)
            return err_set(err, e, "strings[%u] %s", i, walk.why);
    }
    return 0;
}

static int measure_counters(struct sections *s, struct err *err)
{
    struct reader *r = &s->counters;
    if (reader_read_map(r, &s->counter_count) < 0)
        return refuse(err, r, "", "counters");
    if (s->counter_count > WIRE_MAX_COUNTERS)
        return err_set(err, -EFBIG, "counters: %u are over WIRE_MAX_COUNTERS (%u)",
                       s->counter_count, WIRE_MAX_COUNTERS);
    struct reader walk = *r;
    for (uint32_t i = 0; i < s->counter_count; i++) {
        int e = measure_text(&walk, s);
        if (e == 0)
            e = reader_skip(&walk);
        if (e < 0)
            return err_set(err, e, "counters: name %u %s", i, walk.why);
    }
    return 0;
}

/* Finds a table's columns and leaves the cursors behind their array heads. */
static int measure_table(struct reader *r, const struct wire_table *t, struct reader *columns,
                         uint32_t *ret_rows, struct err *err)
{
    const char *keys[SCHEMA_MAX_COLUMNS];
    if (!r->at)
        return 0; /* an optional one that is missing: no column was found, no row */
    for (unsigned i = 0; i < t->column_count; i++)
        keys[i] = t->columns[i].name;
    int e = find_some(r, t->name, keys, t->column_count, t->may_lack, columns, err);
    if (e < 0)
        return e;
    uint32_t rows = 0;
    for (unsigned i = 0; i < t->column_count; i++) {
        uint32_t count;
        if (!columns[i].at)
            continue;
        if (reader_read_array(&columns[i], &count) < 0)
            return refuse(err, &columns[i], t->name, keys[i]);
        if (count > t->max_rows)
            return err_set(err, -EFBIG, "%s: %u rows are over %s (%u)", t->name, count, t->limit,
                           t->max_rows);
        if (i > 0 && count != rows)
            return err_set(err, -EBADMSG, "%s.%s has %u rows, but %s.%s has %u", t->name, keys[i],
                           count, t->name, keys[0], rows);
        rows = count;
    }
    *ret_rows = rows;
    return 0;
}

static int measure_body(const uint8_t *bytes, size_t len, struct sections *s, struct err *err)
{
    const char *keys[MAP_MAX_KEYS] = {"node", "seq", "window", "strings", "counters"};
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        keys[KEY_TABLES + i] = schema_tables[i].name;
    struct reader body, found[MAP_MAX_KEYS];
    reader_init(&body, bytes, len);
    int e =
        find_some(&body, "", keys, MAP_MAX_KEYS, TABLE_COUNT - TABLE_FIRST_OPTIONAL, found, err);
    if (e < 0)
        return e;
    if (body.at != body.end)
        return err_set(err, -EBADMSG, "the body has %zu bytes behind its map",
                       (size_t)(body.end - body.at));
    s->seq = found[KEY_SEQ];
    s->strings = found[KEY_STRINGS];
    s->counters = found[KEY_COUNTERS];
    e = find_keys(&found[KEY_NODE], "node", node_keys, NODE_KEYS, s->node, err);
    if (e == 0)
        e = find_keys(&found[KEY_WINDOW], "window", window_keys, WINDOW_KEYS, s->window, err);
    if (e == 0)
        e = measure_node(s, err);
    if (e == 0)
        e = measure_strings(s, err);
    if (e == 0)
        e = measure_counters(s, err);
    for (unsigned i = 0; e == 0 && i < TABLE_COUNT; i++)
        e = measure_table(&found[KEY_TABLES + i], &schema_tables[i], s->columns[i], &s->rows[i],
                          err);
    return e;
}

/* Hands out the block's parts, each aligned for any table. */
struct block {
    uint8_t *at; /* NULL while only counting */
    size_t used;
};

static void *block_take(struct block *b, size_t bytes)
{
    size_t start = b->used;
    b->used += (bytes + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    return b->at ? b->at + start : NULL;
}

/* Where each part of the batch lies; called once to count and once to place. */
struct parts {
    struct batch *batch;
    void *rows[TABLE_COUNT];
    const char **strings;
    struct batch_counter *counters;
    char *text;
};

static struct parts lay_out(struct block *b, const struct sections *s)
{
    struct parts p;
    p.batch = block_take(b, sizeof(struct batch));
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        p.rows[i] = block_take(b, (size_t)s->rows[i] * schema_tables[i].row_size);
    p.strings = block_take(b, s->string_count * sizeof(*p.strings));
    p.counters = block_take(b, s->counter_count * sizeof(*p.counters));
    p.text = block_take(b, s->text_bytes);
    return p;
}

/* The texts below were measured, so reading them again cannot fail. */
static const char *fill_text(struct reader *r, char **text)
{
    const char *bytes = "", *start = *text;
    uint32_t len = 0;
    reader_read_str(r, &bytes, &len);
    memcpy(*text, bytes, len);
    (*text)[len] = 0;
    *text += len + 1;
    return start;
}

static int fill_node(struct sections *s, struct parts *p, struct err *err)
{
    struct batch *b = p->batch;
    b->node = fill_text(&s->node[NODE_NAME], &p->text);
    b->boot_id = fill_text(&s->node[NODE_BOOT_ID], &p->text);
    b->kernel = fill_text(&s->node[NODE_KERNEL], &p->text);
    b->arch = fill_text(&s->node[NODE_ARCH], &p->text);
    b->agent = fill_text(&s->node[NODE_AGENT], &p->text);
    uint64_t cpus;
    if (reader_read_uint(&s->node[NODE_CPUS], &cpus) < 0)
        return refuse(err, &s->node[NODE_CPUS], "node", "cpus");
    if (cpus > UINT32_MAX)
        return err_set(err, -EBADMSG, "node.cpus is %" PRIu64, cpus);
    b->cpus = (uint32_t)cpus;
    if (reader_read_uint(&s->seq, &b->seq) < 0)
        return refuse(err, &s->seq, "", "seq");
    return 0;
}

static int fill_window(struct sections *s, struct batch *b, struct err *err)
{
    int64_t *into[WINDOW_KEYS] = {&b->start_ns, &b->end_ns, &b->slot_ns, &b->period_ns};
    for (unsigned i = 0; i < WINDOW_KEYS; i++) {
        uint64_t ns;
        if (reader_read_uint(&s->window[i], &ns) < 0)
            return refuse(err, &s->window[i], "window", window_keys[i]);
        if (ns > INT64_MAX)
            return err_set(err, -EBADMSG, "window.%s is %" PRIu64 ", must be below 2^63",
                           window_keys[i], ns);
        *into[i] = (int64_t)ns;
    }
    return 0;
}

static int fill_counters(struct sections *s, struct parts *p, struct err *err)
{
    struct reader *r = &s->counters;
    for (uint32_t i = 0; i < s->counter_count; i++) {
        p->counters[i].name = fill_text(r, &p->text);
        if (reader_read_uint(r, &p->counters[i].value) < 0)
            return refuse_row(err, r, "", "counters", i);
    }
    p->batch->counters = p->counters;
    p->batch->counter_count = s->counter_count;
    return 0;
}

static void fill_strings(struct sections *s, struct parts *p)
{
    for (uint32_t i = 0; i < s->string_count; i++)
        p->strings[i] = fill_text(&s->strings, &p->text);
    p->batch->strings = p->strings;
    p->batch->string_count = s->string_count;
}

static int fill_build_ids(struct reader *r, struct batch_object *objects, uint32_t rows,
                          uint32_t *ret_row)
{
    for (uint32_t i = 0; i < rows; i++) {
        const uint8_t *bytes;
        uint32_t len;
        *ret_row = i;
        if (reader_read_bin(r, &bytes, &len) < 0)
            return -EBADMSG;
        if (len > WIRE_MAX_BUILD_ID) {
            r->why = "is longer than WIRE_MAX_BUILD_ID (20 bytes)";
            return -EFBIG;
        }
        objects[i].build_id_len = (uint8_t)len;
        memcpy(objects[i].build_id, bytes, len);
    }
    return 0;
}
_Static_assert(WIRE_MAX_BUILD_ID == 20, "the reason above names it");

/* Inlined for each width, so that a row costs no question about its type. */
static inline __attribute__((always_inline)) int fill_loop(struct reader *r, uint64_t most,
                                                           size_t width, uint8_t *at, size_t step,
                                                           uint32_t rows, uint32_t *ret_row)
{
    for (uint32_t i = 0; i < rows; i++, at += step) {
        uint64_t v;
        *ret_row = i;
        if (reader_read_uint(r, &v) < 0)
            return -EBADMSG;
        if (v > most) {
            r->why = "is a larger number than the column holds";
            return -EBADMSG;
        }
        if (width == 1)
            *at = (uint8_t)v;
        else if (width == 4)
            *(uint32_t *)at = (uint32_t)v;
        else
            *(uint64_t *)at = v;
    }
    return 0;
}

static int fill_figures(struct reader *r, uint8_t *at, size_t step, uint32_t rows,
                        uint32_t *ret_row)
{
    for (uint32_t i = 0; i < rows; i++, at += step) {
        *ret_row = i;
        *(uint64_t *)at = WIRE_UNKNOWN;
        if (!reader_take_nil(r) && fill_loop(r, INT64_MAX, 8, at, step, 1, &(uint32_t){0}) < 0)
            return -EBADMSG;
    }
    return 0;
}

static int fill_integers(struct reader *r, enum column_type type, uint8_t *at, size_t step,
                         uint32_t rows, uint32_t *ret_row)
{
    switch (type) {
    case COLUMN_U8:
        return fill_loop(r, UINT8_MAX, 1, at, step, rows, ret_row);
    case COLUMN_U32:
    case COLUMN_METHODS:
        return fill_loop(r, UINT32_MAX, 4, at, step, rows, ret_row);
    case COLUMN_TIME:
        return fill_loop(r, INT64_MAX, 8, at, step, rows, ret_row);
    case COLUMN_FIGURE:
        return fill_figures(r, at, step, rows, ret_row);
    default:
        return fill_loop(r, UINT64_MAX, 8, at, step, rows, ret_row);
    }
}

static int fill_table(const struct wire_table *t, struct reader *columns, uint8_t *table,
                      uint32_t rows, struct err *err)
{
    for (unsigned i = 0; i < t->column_count; i++) {
        const struct wire_column *c = &t->columns[i];
        uint32_t row = 0;
        if (!columns[i].at)
            continue; /* the block is zeroed */
        int e =
            c->type == COLUMN_BUILD_ID
                ? fill_build_ids(&columns[i], (struct batch_object *)table, rows, &row)
                : fill_integers(&columns[i], c->type, table + c->offset, t->row_size, rows, &row);
        if (e < 0)
            return err_set(err, e, "%s.%s[%u] %s", t->name, c->name, row, columns[i].why);
    }
    return 0;
}

static int fill_body(struct sections *s, struct parts *p, struct err *err)
{
    int e = fill_node(s, p, err);
    if (e == 0)
        e = fill_window(s, p->batch, err);
    if (e == 0)
        e = fill_counters(s, p, err);
    if (e == 0)
        fill_strings(s, p);
    for (unsigned i = 0; e == 0 && i < TABLE_COUNT; i++) {
        e = fill_table(&schema_tables[i], s->columns[i], p->rows[i], s->rows[i], err);
        schema_set(p->batch, &schema_tables[i], p->rows[i], s->rows[i]);
    }
    return e;
}

int body_decode(const uint8_t *bytes, size_t len, struct batch **ret_batch, struct err *err)
{
    if (len > WIRE_MAX_BODY)
        return err_set(err, -EFBIG, "the body has %zu bytes, over WIRE_MAX_BODY (%u)", len,
                       WIRE_MAX_BODY);
    struct sections s = {0};
    int e = measure_body(bytes, len, &s, err);
    if (e < 0)
        return e;
    struct block block = {0};
    lay_out(&block, &s);
    _cleanup_free_ uint8_t *memory = calloc(1, block.used);
    if (!memory)
        return err_errno(err, -ENOMEM, "decoding a batch into %zu bytes", block.used);
    block = (struct block){.at = memory};
    struct parts parts = lay_out(&block, &s);
    e = fill_body(&s, &parts, err);
    if (e == 0)
        e = batch_check(parts.batch, err);
    if (e < 0)
        return e;
    parts.batch->block = TAKE_PTR(memory);
    *ret_batch = parts.batch;
    return 0;
}

void batch_free(struct batch **batch)
{
    if (!*batch)
        return;
    free((*batch)->block);
    *batch = NULL;
}
