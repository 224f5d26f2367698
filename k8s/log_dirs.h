/* log_dirs.h: pods and containers by the names of their log directories: needs no permission but to
 * list /var/log/pods and /var/log/containers, and asks nobody. */
#pragma once

struct err;
struct facts_sink;
struct source;

#define LOG_DIRS_USUAL "/var/log"

/* Lists `pods` and `containers` below `dirfd`, and gives what their names say. Names of other forms
 * are passed over; either may be missing, but not both (-ENOENT). No link is followed: where it
 * leads to is read from itself. -E2BIG: there are too many. */
int log_dirs_list(int dirfd, const struct facts_sink *sink, struct err *err);

/* A source that lists them below `dir`, or, if it is NULL, below LOG_DIRS_USUAL, where it is no
 * fault that there are none. */
int log_dirs_source_new(const char *dir, struct source *ret, struct err *err);
