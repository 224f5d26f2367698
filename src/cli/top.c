/* top.c: `podflame top`, the hottest functions of a range. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/hot.h"
#include "cli/print.h"
#include "cli/table.h"

/* More than a busy node's hour has; jansson keeps some 200 bytes for each. */
#define TOP_MAX_NODES "500000"

static int add_name(struct table *table, const struct hot_function *f, bool is_short,
                    struct err *err)
{
    const char *name = is_short ? f->short_name : f->name;
    if (f->line)
        return table_add(table, err, "%s:%" PRIu32, name, f->line);
    return table_add(table, err, "%s", name);
}

static int add_row(struct table *table, const struct hot_function *f, uint64_t samples,
                   bool is_short, struct err *err)
{
    const char *slash = strrchr(f->object, '/');
    const char *object = slash && slash[1] ? slash + 1 : f->object;
    int r = print_add_share(table, f->self, samples, err);
    if (r == 0)
        r = print_add_share(table, f->total, samples, err);
    if (r == 0)
        r = add_name(table, f, is_short, err);
    if (r == 0)
        r = table_add(table, err, "%s%s%s", object, *object ? " " : "", hot_kind_word(f->kind));
    return r;
}

static int print_rows(const struct hot_function *hot, size_t count, uint64_t samples, bool is_short,
                      struct err *err)
{
    static const char *const heads[] = {">SELF", ">TOTAL", "FUNCTION", "OBJECT", NULL};
    _cleanup_(table_free) struct table *table = NULL;
    int r = table_new(heads, &table, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_row(table, &hot[i], samples, is_short, err);
    return r < 0 ? r : table_print(table, stdout, err);
}

static int print_as_json(const json_t *flame, const struct hot_function *hot, size_t count,
                         struct err *err)
{
    _cleanup_json_ json_t *out =
        json_pack("{sOsOsOsOs[]}", "start_ms", json_object_get(flame, "start_ms"), "end_ms",
                  json_object_get(flame, "end_ms"), "samples", json_object_get(flame, "samples"),
                  "cpu_ms", json_object_get(flame, "cpu_ms"), "functions");
    json_t *rows = json_object_get(out, "functions");
    for (size_t i = 0; rows && i < count; i++) {
        const struct hot_function *f = &hot[i];
        json_t *row = json_pack("{sssssssIsI}", "name", f->name, "object", f->object, "kind",
                                hot_kind_word(f->kind), "self", (json_int_t)f->self, "total",
                                (json_int_t)f->total);
        int r = json_array_append_new(rows, row);
        if (r == 0 && f->short_name != f->name)
            r = json_object_set_new(row, "short", json_string(f->short_name));
        if (r == 0 && *f->file)
            r = json_object_set_new(row, "file", json_string(f->file));
        if (r == 0 && f->line)
            r = json_object_set_new(row, "line", json_integer(f->line));
        if (r < 0)
            return err_errno(err, -ENOMEM, "printing");
    }
    return rows ? print_json(out, err) : err_set(err, -EBADMSG, "the answer is malformed");
}

int cli_top(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_free_ struct hot_function *hot = NULL;
    _cleanup_json_ json_t *flame = NULL;
    size_t count = 0;
    bool is_short;
    int r = cli_short_names(config, true, &is_short, err);
    if (r == 0)
        r = cli_query(config, "/api/v1/flame",
                      config->lines ? "&group=&lines=true&max_nodes=" TOP_MAX_NODES
                                    : "&group=&max_nodes=" TOP_MAX_NODES,
                      &path, err);
    if (r == 0)
        r = cli_fetch_json(config, path, &flame, err);
    if (r == 0)
        r = hot_functions(flame, &hot, &count, err);
    if (r < 0)
        return r;
    if (count > config->count)
        count = config->count;
    if (config->json)
        return print_as_json(flame, hot, count, err);
    r = print_summary(flame, err);
    if (r == 0)
        r = print_rows(hot, count, print_get_uint(flame, "samples"), is_short, err);
    if (r == 0 && print_get_uint(flame, "folded_nodes") > 0)
        fprintf(stderr, "The smallest %" PRIu64 " places were left out; ask for a shorter range.\n",
                print_get_uint(flame, "folded_nodes"));
    return r;
}
