/* print.c: takes values, gives them as people read them. */
#include "cli/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "cli/table.h"

uint64_t print_get_uint(const json_t *object, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(object, key));
    return value > 0 ? (uint64_t)value : 0;
}

const char *print_get_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *format_time(uint64_t ms, char text[static 32])
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    if (!gmtime_r(&seconds, &tm) || !strftime(text, 32, "%Y-%m-%d %H:%M:%SZ", &tm))
        snprintf(text, 32, "?");
    return text;
}

int print_add_time(struct table *table, uint64_t ms, struct err *err)
{
    char text[32];
    return table_add(table, err, "%s", ms ? format_time(ms, text) : "-");
}

int print_add_share(struct table *table, uint64_t part, uint64_t whole, struct err *err)
{
    return table_add(table, err, "%.2f%%", whole ? 100.0 * (double)part / (double)whole : 0.0);
}

void print_range(const json_t *answer)
{
    char start[32], end[32];
    printf("%s to %s: ", format_time(print_get_uint(answer, "start_ms"), start),
           format_time(print_get_uint(answer, "end_ms"), end));
}

void print_nothing_there(void)
{
    fflush(stdout);
    fputs("Nothing was sampled there, or it has not arrived yet: `podflame nodes` prints who sends "
          "and since when.\n",
          stderr);
}

int print_summary(const json_t *answer, struct err *err)
{
    uint64_t samples = print_get_uint(answer, "samples");
    print_range(answer);
    printf("%" PRIu64 " sample%s, %.2f s of CPU time\n", samples, samples == 1 ? "" : "s",
           (double)print_get_uint(answer, "cpu_ms") / 1000);
    if (samples == 0)
        print_nothing_there();
    return 0;
}

int print_json(const json_t *json, struct err *err)
{
    if (json_dumpf(json, stdout, JSON_INDENT(2)) < 0 || putchar('\n') < 0 || fflush(stdout) != 0)
        return err_errno(err, errno ? -errno : -EIO, "writing to the standard output");
    return 0;
}
