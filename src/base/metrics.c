/* metrics.c: takes names and numbers, gives Prometheus' text. See metrics.h. */
#include "base/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/buf.h"

/* The format escapes \ and newline everywhere, the quote in label values only. */
static int put_escaped(struct buf *buf, const char *text, bool quoted)
{
    const char *special = quoted ? "\\\n\"" : "\\\n";
    int r = 0;
    while (r == 0 && *text) {
        size_t plain = strcspn(text, special);
        r = buf_append(buf, text, plain);
        text += plain;
        if (r < 0 || !*text)
            break;
        r = buf_puts(buf, *text == '\n' ? "\\n" : *text == '"' ? "\\\"" : "\\\\");
        text++;
    }
    return r;
}

int metrics_family(struct buf *buf, const char *name, enum metrics_type type, const char *help)
{
    int r = buf_printf(buf, "# HELP %s ", name);
    if (r == 0)
        r = put_escaped(buf, help, false);
    if (r == 0)
        r = buf_printf(buf, "\n# TYPE %s %s\n", name,
                       type == METRICS_COUNTER ? "counter" : "gauge");
    return r;
}

static int put_series(struct buf *buf, const char *name, const struct metrics_label *labels)
{
    int r = buf_puts(buf, name);
    const char *before = "{";
    for (; r == 0 && labels && labels->name; labels++) {
        r = buf_printf(buf, "%s%s=\"", before, labels->name);
        if (r == 0)
            r = put_escaped(buf, labels->value, true);
        if (r == 0)
            r = buf_puts(buf, "\"");
        before = ",";
    }
    if (r == 0 && *before == ',')
        r = buf_puts(buf, "}");
    return r;
}

int metrics_u64(struct buf *buf, const char *name, const struct metrics_label *labels,
                uint64_t value)
{
    int r = put_series(buf, name, labels);
    return r < 0 ? r : buf_printf(buf, " %" PRIu64 "\n", value);
}

int metrics_double(struct buf *buf, const char *name, const struct metrics_label *labels,
                   double value)
{
    int r = put_series(buf, name, labels);
    if (r < 0)
        return r;
    /* printf writes "inf" and "-nan"; the format has these three words of its own. */
    if (isnan(value))
        return buf_puts(buf, " NaN\n");
    if (isinf(value))
        return buf_puts(buf, value > 0 ? " +Inf\n" : " -Inf\n");
    return buf_printf(buf, " %.15g\n", value);
}
