/* nodes.c: `podflame nodes`, who sends batches. */
#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/table.h"

static int add_row(struct table *table, const json_t *row, struct err *err)
{
    static const char *const texts[] = {"node", "kernel", "arch", "agent"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(texts); i++)
        r = table_add(table, err, "%s", print_get_text(row, texts[i]));
    if (r == 0)
        r = table_add(table, err, "%" PRIu64, print_get_uint(row, "cpus"));
    if (r == 0)
        r = table_add(table, err, "%" PRIu64, print_get_uint(row, "batches"));
    if (r == 0)
        r = print_add_time(table, print_get_uint(row, "first_ms"), err);
    if (r == 0)
        r = print_add_time(table, print_get_uint(row, "last_ms"), err);
    return r;
}

int cli_nodes(const struct cli_config *config, char **args, struct err *err)
{
    static const char *const heads[] = {"NODE",     "KERNEL", "ARCH", "AGENT", ">CPUS",
                                        ">BATCHES", "FIRST",  "LAST", NULL};
    _cleanup_json_ json_t *answer = NULL;
    _cleanup_(table_free) struct table *table = NULL;
    int r = cli_fetch_json(config, "/api/v1/nodes", &answer, err);
    if (r < 0)
        return r;
    if (config->json)
        return print_json(answer, err);
    const json_t *rows = json_object_get(answer, "nodes"), *row;
    size_t i;
    r = table_new(heads, &table, err);
    json_array_foreach(rows, i, row)
    {
        if (r == 0)
            r = add_row(table, row, err);
    }
    return r < 0 ? r : table_print(table, stdout, err);
}
