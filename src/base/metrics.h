/* metrics.h: numbers as Prometheus reads them (text format 0.0.4).
 *
 *     metrics_family(&buf, "podflame_lost_total", METRICS_COUNTER, "Records the kernel dropped.");
 *     metrics_u64(&buf, "podflame_lost_total", METRICS_LABELS({"reason", "ring"}), lost);
 */
#pragma once

#include <stdint.h>

struct buf;

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_type { METRICS_COUNTER, METRICS_GAUGE };

struct metrics_label {
    const char *name;  /* [a-zA-Z_][a-zA-Z0-9_]* */
    const char *value; /* any bytes; escaped when written */
};

/* A list of labels, ended by an entry without a name. */
#define METRICS_LABELS(...) ((const struct metrics_label[]){__VA_ARGS__, {0}})

/* The HELP and TYPE lines; the family's values follow before the next family. 0, or what
 * buf_append() refused with; then the text is cut and must not be served. */
int metrics_family(struct buf *buf, const char *name, enum metrics_type type, const char *help);

/* One line. `labels` may be NULL. */
int metrics_u64(struct buf *buf, const char *name, const struct metrics_label *labels,
                uint64_t value);
int metrics_double(struct buf *buf, const char *name, const struct metrics_label *labels,
                   double value);
