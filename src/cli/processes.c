/* processes.c: `podflame processes`, who took the CPU time of a range. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/table.h"

static int add_row(struct table *table, const json_t *row, uint64_t samples, struct err *err)
{
    int r = print_add_share(table, print_get_uint(row, "samples"), samples, err);
    if (r == 0)
        r = table_add(table, err, "%.2f s", (double)print_get_uint(row, "cpu_ms") / 1000);
    if (r == 0)
        r = table_add(table, err, "%" PRIu64, print_get_uint(row, "samples"));
    if (r == 0)
        r = table_add(table, err, "%s", print_get_text(row, "process"));
    if (r == 0)
        r = table_add(table, err, "%s", print_get_text(row, "node"));
    return r;
}

static int print_rows(const json_t *answer, uint64_t most, struct err *err)
{
    static const char *const heads[] = {">SHARE", ">CPU", ">SAMPLES", "PROCESS", "NODE", NULL};
    _cleanup_(table_free) struct table *table = NULL;
    const json_t *rows = json_object_get(answer, "processes"), *row;
    size_t i;
    int r = table_new(heads, &table, err);
    json_array_foreach(rows, i, row)
    {
        if (r == 0 && i < most)
            r = add_row(table, row, print_get_uint(answer, "samples"), err);
    }
    return r < 0 ? r : table_print(table, stdout, err);
}

int cli_processes(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_json_ json_t *answer = NULL;
    int r = cli_query(config, "/api/v1/processes", "", &path, err);
    if (r == 0)
        r = cli_fetch_json(config, path, &answer, err);
    if (r < 0)
        return r;
    if (config->json)
        return print_json(answer, err);
    r = print_summary(answer, err);
    return r < 0 ? r : print_rows(answer, config->count, err);
}
