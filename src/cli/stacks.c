/* stacks.c: `podflame stacks`, how whole the stacks of a range are and how they were got. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/table.h"
#include "unwind/unwind.h"

struct meaning {
    const char *name, *text;
};

static const struct meaning ends[] = {
#define X(name, help) {#name, help},
    UNWIND_ENDS(X)
#undef X
};

static const struct meaning methods[] = {
#define X(name, help) {#name, help},
    UNWIND_METHODS(X)
#undef X
};

/* A newer agent may count what this program does not know. */
static const char *text_of(const struct meaning *meanings, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(meanings[i].name, name) == 0)
            return meanings[i].text;
    return "";
}

static uint64_t sum_of(json_t *counts)
{
    const char *name;
    json_t *value;
    uint64_t sum = 0;
    json_object_foreach(counts, name, value) sum += print_get_uint(counts, name);
    return sum;
}

static int print_counts(const char *title, json_t *counts, const struct meaning *meanings,
                        size_t meaning_count, struct err *err)
{
    const char *const heads[] = {">SHARE", ">COUNT", title, "MEANING", NULL};
    _cleanup_(table_free) struct table *table = NULL;
    uint64_t sum = sum_of(counts);
    const char *name;
    json_t *value;
    int r = table_new(heads, &table, err);
    json_object_foreach(counts, name, value)
    {
        uint64_t count = print_get_uint(counts, name);
        if (r == 0)
            r = print_add_share(table, count, sum, err);
        if (r == 0)
            r = table_add(table, err, "%" PRIu64, count);
        if (r == 0)
            r = table_add(table, err, "%s", name);
        if (r == 0)
            r = table_add(table, err, "%s", text_of(meanings, meaning_count, name));
    }
    return r < 0 ? r : table_print(table, stdout, err);
}

static int print_stacks(const json_t *answer, struct err *err)
{
    json_t *by_end = json_object_get(answer, "ends");
    uint64_t stacks = sum_of(by_end);
    print_range(answer);
    printf("%" PRIu64 " stack%s, %" PRIu64 " unwound before a table they needed was built\n",
           stacks, stacks == 1 ? "" : "s", print_get_uint(answer, "pending"));
    if (stacks == 0)
        print_nothing_there();
    int r = print_counts("ENDED AT", by_end, ends, ARRAY_LEN(ends), err);
    if (r < 0)
        return r;
    putchar('\n');
    return print_counts("CALLERS BY", json_object_get(answer, "methods"), methods,
                        ARRAY_LEN(methods), err);
}

int cli_stacks(const struct cli_config *config, char **args, struct err *err)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_json_ json_t *answer = NULL;
    int r = cli_query(config, "/api/v1/stacks", "", &path, err);
    if (r == 0)
        r = cli_fetch_json(config, path, &answer, err);
    if (r < 0)
        return r;
    return config->json ? print_json(answer, err) : print_stacks(answer, err);
}
