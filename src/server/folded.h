/* folded.h: a flame as lines that flamegraph.pl takes; openapi.json says how they are written. */
#pragma once

#include <stdbool.h>

struct buf;
struct flame;
struct stream;

/* On success the stream owns the flame. -ENOMEM. */
int folded_open(struct flame **flame, bool short_names, struct stream **ret);

/* A name as it stands in a line: what would end it or the line is written %XX, and so is a `%` that
 * would look like that. */
int folded_put_name(struct buf *buf, const char *name);
