/* hot.c: takes a flamegraph in pre-order, gives its functions with their samples. */
#include "cli/hot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/format.h"

/* Deeper than any flamegraph: frames, the labels of a group, and the root. */
#define HOT_MAX_DEPTH (WIRE_MAX_DEPTH + 64)

struct function_key {
    uint32_t name, object, kind, file, line;
};

struct function {
    UT_hash_handle hh;
    struct function_key key;
    uint64_t self, total;
    uint32_t open; /* how often it is on the path to the node at hand */
};

/* The last two are there only where something is known. */
enum { DEPTH, NAME, OBJECT, KIND, SELF, TOTAL, FILE_, LINE, COLUMNS };

struct columns {
    const json_t *column[COLUMNS];
    const json_t *names, *objects, *files;
    size_t rows;
};

static int find_columns(const json_t *flame, struct columns *ret, struct err *err)
{
    static const char *const keys[COLUMNS] = {"depth", "name",  "object", "kind",
                                              "self",  "total", "file",   "line"};
    const json_t *nodes = json_object_get(flame, "nodes");
    ret->names = json_object_get(flame, "names");
    ret->objects = json_object_get(flame, "objects");
    ret->files = json_object_get(flame, "files");
    if (!json_is_array(ret->names) || !json_is_array(ret->objects))
        return err_set(err, -EBADMSG, "the server's answer has no names or objects");
    for (unsigned i = 0; i < COLUMNS; i++) {
        ret->column[i] = json_object_get(nodes, keys[i]);
        if (!ret->column[i] && i >= FILE_)
            continue;
        if (!json_is_array(ret->column[i]) ||
            json_array_size(ret->column[i]) != json_array_size(ret->column[0]))
            return err_set(err, -EBADMSG, "the server's answer has no good column nodes.%s",
                           keys[i]);
    }
    ret->rows = json_array_size(ret->column[0]);
    return 0;
}

static int read_node(const struct columns *c, size_t row, uint64_t node[COLUMNS], struct err *err)
{
    for (unsigned i = 0; i < COLUMNS; i++) {
        const json_t *value = c->column[i] ? json_array_get(c->column[i], row) : NULL;
        bool is_good = json_is_integer(value) && json_integer_value(value) >= 0;
        if (c->column[i] && !is_good)
            return err_set(err, -EBADMSG, "node %zu of the server's answer is malformed", row);
        node[i] = c->column[i] ? (uint64_t)json_integer_value(value) : 0;
    }
    if (node[NAME] >= json_array_size(c->names) || node[OBJECT] >= json_array_size(c->objects) ||
        node[DEPTH] >= HOT_MAX_DEPTH || node[KIND] > FRAME_KIND_LAST || node[LINE] > UINT32_MAX ||
        (c->column[FILE_] && node[FILE_] >= json_array_size(c->files)))
        return err_set(err, -EBADMSG, "node %zu of the server's answer is malformed", row);
    return 0;
}

static struct function *find_function(struct function **all, const uint64_t node[COLUMNS])
{
    struct function_key key = {(uint32_t)node[NAME], (uint32_t)node[OBJECT], (uint32_t)node[KIND],
                               (uint32_t)node[FILE_], (uint32_t)node[LINE]};
    struct function *f;
    HASH_FIND(hh, *all, &key, sizeof(key), f);
    if (f)
        return f;
    f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->key = key;
    HASH_ADD(hh, *all, key, sizeof(f->key), f);
    return f;
}

static void functions_free(struct function **all)
{
    struct function *f, *next;
    HASH_ITER (hh, *all, f, next) {
        HASH_DEL(*all, f);
        free(f);
    }
}

/* A function that calls itself is on a path more than once; its samples count once in total, at the
 * place nearest to the root. */
static int add_up(const struct columns *c, struct function **all, struct err *err)
{
    struct function *path[HOT_MAX_DEPTH] = {0};
    size_t depth = 0;
    for (size_t row = 0; row < c->rows; row++) {
        uint64_t node[COLUMNS];
        int r = read_node(c, row, node, err);
        if (r < 0)
            return r;
        if (node[DEPTH] > depth)
            return err_set(err, -EBADMSG, "node %zu of the server's answer is malformed", row);
        while (depth > node[DEPTH])
            if (path[--depth])
                path[depth]->open--;
        path[depth++] = NULL;
        if (node[KIND] == 0) /* the root and the groups' labels */
            continue;
        struct function *f = find_function(all, node);
        if (!f)
            return err_errno(err, -ENOMEM, "adding up %zu nodes", c->rows);
        f->self += node[SELF];
        if (f->open++ == 0)
            f->total += node[TOTAL];
        path[depth - 1] = f;
    }
    return 0;
}

static int compare_hot(const void *a, const void *b)
{
    const struct hot_function *f = a, *g = b;
    if (f->self != g->self)
        return f->self < g->self ? 1 : -1;
    if (f->total != g->total)
        return f->total < g->total ? 1 : -1;
    int r = strcmp(f->name, g->name);
    if (r == 0)
        r = strcmp(f->object, g->object);
    return r ? r : (f->line > g->line) - (f->line < g->line);
}

/* By row of names: its short form, or NULL. A server that is older has none. */
static int find_short_names(const json_t *flame, size_t count, const char ***ret, struct err *err)
{
    const json_t *shorts = json_object_get(flame, "short");
    const json_t *rows = json_object_get(shorts, "name"), *texts = json_object_get(shorts, "text");
    _cleanup_free_ const char **of = calloc(count + 1, sizeof(*of));
    if (!of)
        return err_errno(err, -ENOMEM, "reading %zu names", count);
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_int_t row = json_integer_value(json_array_get(rows, i));
        if (row < 0 || (uint64_t)row >= count)
            return err_set(err, -EBADMSG, "the server's answer has a short form of no name");
        of[row] = json_string_value(json_array_get(texts, i));
    }
    *ret = TAKE_PTR(of);
    return 0;
}

static int describe(const struct columns *c, const char *const *shorts, const struct function *f,
                    struct hot_function *ret, struct err *err)
{
    const char *name = json_string_value(json_array_get(c->names, f->key.name));
    const char *object = json_string_value(json_array_get(c->objects, f->key.object));
    const char *file =
        c->column[FILE_] ? json_string_value(json_array_get(c->files, f->key.file)) : "";
    if (!name || !object || !file)
        return err_set(err, -EBADMSG, "the server's answer has names that are no strings");
    *ret = (struct hot_function){
        .name = name,
        .object = object,
        .kind = f->key.kind,
        .self = f->self,
        .total = f->total,
        .short_name = shorts[f->key.name] ? shorts[f->key.name] : name,
        .file = file,
        .line = f->key.line,
    };
    return 0;
}

int hot_functions(const json_t *flame, struct hot_function **ret, size_t *ret_count,
                  struct err *err)
{
    _cleanup_(functions_free) struct function *all = NULL;
    _cleanup_free_ const char **shorts = NULL;
    struct columns c;
    int r = find_columns(flame, &c, err);
    if (r == 0)
        r = find_short_names(flame, json_array_size(c.names), &shorts, err);
    if (r == 0)
        r = add_up(&c, &all, err);
    if (r < 0)
        return r;
    size_t n = 0;
    _cleanup_free_ struct hot_function *hot = calloc(HASH_COUNT(all) + 1, sizeof(*hot));
    if (!hot)
        return err_errno(err, -ENOMEM, "adding up %zu nodes", c.rows);
    for (const struct function *f = all; f; f = f->hh.next) {
        r = describe(&c, shorts, f, &hot[n++], err);
        if (r < 0)
            return r;
    }
    if (n > 1)
        qsort(hot, n, sizeof(*hot), compare_hot);
    *ret = TAKE_PTR(hot);
    *ret_count = n;
    return 0;
}

const char *hot_kind_word(unsigned kind)
{
    static const char *const words[] = {"", "user", "kernel", "jit", "inlined", "marker"};
    return kind < ARRAY_LEN(words) ? words[kind] : "";
}
