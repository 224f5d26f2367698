/* query.h: the part of a URL behind the question mark, read into what the store and the writers of
 * an answer take. openapi.json says what each parameter means. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "server/store.h"

struct err;

#define QUERY_MAX_TEXT      32768u /* bytes, as they came */
#define QUERY_MAX_VALUE     1024u  /* bytes of one decoded value */
#define QUERY_MAX_LABEL     64u    /* bytes of a label's name */
#define QUERY_MAX_RANGE_MS  (400LL * 86400000)
#define QUERY_MAX_NODES     4000000u
#define QUERY_DEFAULT_NODES 1000000u

/* What a path takes. */
enum query_kind {
    QUERY_NOTHING,
    QUERY_NODES,   /* start, end and node */
    QUERY_PODS,    /* these and namespace */
    QUERY_SAMPLES, /* start, end and filters */
    QUERY_FLAME,   /* these and group, format, max_nodes, lines, names */
};

enum query_format { QUERY_JSON, QUERY_FOLDED };

struct query {
    struct store_query
        store; /* its texts lie in `text`; start_ms < end_ms; stacks is not set here */
    enum query_format format;
    uint32_t max_nodes; /* 1 to QUERY_MAX_NODES */
    bool by_line;       /* frames of different lines are different */
    bool short_names;   /* of folded output */
    char *text;         /* query_free's own */
};

/* `text` is what stands behind the `?`, escapes and all; "" or NULL if nothing does. All texts of
 * the result are UTF-8 without NUL. -EINVAL with the parameter, its value and what is allowed;
 * -ENOMEM. `ret` is then untouched. */
int query_parse(const char *text, enum query_kind kind, int64_t now_ms, struct query *ret,
                struct err *err);
void query_free(struct query *query);

/* Whether samples of the node are asked for. */
bool query_takes_node(const struct store_query *query, const char *node);

/* Decodes %XX in place, and `+` as a blank if `plus`. -EINVAL for a broken escape, a NUL, or what
 * is not UTF-8 then. */
int query_unescape(char *text, bool plus);
