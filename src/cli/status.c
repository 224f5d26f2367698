/* status.c: `podflame status`, the server and what its agents counted. */
#include <errno.h>
#include <inttypes.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/table.h"

static int add_number(struct table *table, const char *name, uint64_t value, struct err *err)
{
    int r = table_add(table, err, "%s", name);
    return r < 0 ? r : table_add(table, err, "%" PRIu64, value);
}

static int print_status(const struct cli_config *config, const json_t *answer, struct err *err)
{
    static const char *const heads[] = {"WHAT", ">VALUE", NULL};
    static const char *const stored[] = {"batches", "duplicates", "samples", "bytes"};
    const json_t *store = json_object_get(answer, "store");
    json_t *counters = json_object_get(answer, "counters"), *value;
    const char *key;
    _cleanup_(table_free) struct table *table = NULL;
    int r = table_new(heads, &table, err);
    if (r == 0)
        r = table_add(table, err, "oldest samples");
    if (r == 0)
        r = print_add_time(table, print_get_uint(store, "oldest_ms"), err);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(stored); i++)
        r = add_number(table, stored[i], print_get_uint(store, stored[i]), err);
    json_object_foreach(counters, key, value)
    {
        char name[128];
        snprintf(name, sizeof(name), "agents, last hour: %s", key);
        if (r == 0)
            r = add_number(table, name, print_get_uint(counters, key), err);
    }
    if (r < 0)
        return r;
    printf("podflame-server %s at %s, store %s\n", print_get_text(answer, "version"),
           config->server, print_get_text(store, "name"));
    return table_print(table, stdout, err);
}

int cli_status(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_json_ json_t *answer = NULL;
    int r = cli_fetch_json(config, "/api/v1/status", &answer, err);
    if (r < 0)
        return r;
    return config->json ? print_json(answer, err) : print_status(config, answer, err);
}
