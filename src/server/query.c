/* query.c: takes a URL's query and the present, gives a struct query or says which parameter is
 * wrong. Untrusted bytes. See query.h. */
#include "server/query.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"
#include "server/timespec.h"
#include "wire/utf8.h"

struct reader {
    struct query query;
    enum query_kind kind;
    int64_t now_ms;
    unsigned seen; /* bit i: parameters[i] was there; each but filters may be given once */
};

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int query_unescape(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '+' && plus) {
            *to++ = ' ';
        } else if (*from == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0 || (high == 0 && low == 0))
                return -EINVAL;
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = 0;
    size_t len = (size_t)(to - text);
    return utf8_valid_prefix(text, len) == len ? 0 : -EINVAL;
}

static int refuse(struct err *err, const char *name, const char *value, const char *why)
{
    return err_set(err, -EINVAL, "parameter %s: '%.64s' %s", name, value, why);
}

/* A label's name: [a-z_][a-z0-9_./-]*, so that Kubernetes' own (app.kubernetes.io/name) fit. */
static bool is_label(const char *name)
{
    static const char first[] = "abcdefghijklmnopqrstuvwxyz_";
    static const char rest[] = "abcdefghijklmnopqrstuvwxyz_0123456789./-";
    size_t len = strlen(name);
    return len > 0 && len <= QUERY_MAX_LABEL && strchr(first, *name) && strspn(name, rest) == len;
}

static int take_time(struct reader *reader, const char *name, char *value, struct err *err)
{
    int64_t *into = *name == 's' ? &reader->query.store.start_ms : &reader->query.store.end_ms;
    int r = timespec_parse(value, reader->now_ms, into, err);
    return r < 0 ? err_wrap(err, -EINVAL, "parameter %s", name) : 0;
}

static int take_format(struct reader *reader, const char *name, char *value, struct err *err)
{
    if (strcmp(value, "json") == 0)
        reader->query.format = QUERY_JSON;
    else if (strcmp(value, "folded") == 0)
        reader->query.format = QUERY_FOLDED;
    else
        return refuse(err, name, value, "is no format; json and folded are");
    return 0;
}

static int take_max_nodes(struct reader *reader, const char *name, char *value, struct err *err)
{
    uint64_t count;
    if (parse_u64(value, &count, NULL) < 0 || count < 1 || count > QUERY_MAX_NODES)
        return refuse(err, name, value, "is not a number from 1 to 4000000");
    reader->query.max_nodes = (uint32_t)count;
    return 0;
}

static int take_lines(struct reader *reader, const char *name, char *value, struct err *err)
{
    reader->query.by_line = strcmp(value, "true") == 0;
    if (!reader->query.by_line && strcmp(value, "false") != 0)
        return refuse(err, name, value, "is neither true nor false");
    return 0;
}

static int take_names(struct reader *reader, const char *name, char *value, struct err *err)
{
    reader->query.short_names = strcmp(value, "short") == 0;
    if (!reader->query.short_names && strcmp(value, "full") != 0)
        return refuse(err, name, value, "is neither full nor short");
    return 0;
}

static int check_name(const char *name, struct err *err);

static int take_group(struct reader *reader, const char *name, char *value, struct err *err)
{
    struct store_query *query = &reader->query.store;
    query->group_count = 0;
    if (!*value)
        return 0;
    for (char *key = value; key;) {
        char *comma = strchr(key, ',');
        if (comma)
            *comma++ = 0;
        if (query->group_count == STORE_MAX_GROUPS)
            return err_set(err, -EINVAL, "parameter %s: more than %d labels", name,
                           STORE_MAX_GROUPS);
        int r = check_name(key, err);
        if (r < 0)
            return err_wrap(err, r, "parameter %s", name);
        for (size_t i = 0; i < query->group_count; i++)
            if (strcmp(query->groups[i], key) == 0)
                return refuse(err, name, key, "is there twice");
        query->groups[query->group_count++] = key;
        key = comma;
    }
    return 0;
}

static int take_filter(struct reader *reader, const char *name, char *value, struct err *err)
{
    struct store_query *query = &reader->query.store;
    if (!*value)
        return 0;
    if (query->filter_count == STORE_MAX_FILTERS)
        return err_set(err, -EINVAL, "parameter %s: more than %d filters", name, STORE_MAX_FILTERS);
    query->filters[query->filter_count++] = (struct store_label){name, value};
    return 0;
}

static int take_number(struct reader *reader, const char *name, char *value, struct err *err)
{
    uint64_t number;
    if (*value && (parse_u64(value, &number, NULL) < 0 || number > UINT32_MAX))
        return refuse(err, name, value, "is not a number from 0 to 4294967295");
    return take_filter(reader, name, value, err);
}

static const struct parameter {
    const char *name;
    enum query_kind from; /* the least kind of query that takes it */
    bool once;
    int (*take)(struct reader *reader, const char *name, char *value, struct err *err);
} parameters[] = {
    {"start", QUERY_NODES, true, take_time},
    {"end", QUERY_NODES, true, take_time},
    {"node", QUERY_NODES, false, take_filter},
    {"namespace", QUERY_PODS, false, take_filter},
    {"process", QUERY_SAMPLES, false, take_filter},
    {"thread", QUERY_SAMPLES, false, take_filter},
    {"pid", QUERY_SAMPLES, false, take_number},
    {"cpu", QUERY_SAMPLES, false, take_number},
    {"cgroup", QUERY_SAMPLES, false, take_filter},
    {"group", QUERY_FLAME, true, take_group},
    {"format", QUERY_FLAME, true, take_format},
    {"max_nodes", QUERY_FLAME, true, take_max_nodes},
    {"lines", QUERY_FLAME, true, take_lines},
    {"names", QUERY_FLAME, true, take_names},
};

/* One letter left out, added, replaced, or two swapped. */
static bool is_one_slip(const char *a, const char *b)
{
    size_t head = 0, a_len = strlen(a), b_len = strlen(b);
    while (a[head] && a[head] == b[head])
        head++;
    const char *a_rest = a + head, *b_rest = b + head;
    if (a_len == b_len)
        return strcmp(a_rest + 1, b_rest + 1) == 0 ||
               (a_rest[1] && a_rest[0] == b_rest[1] && a_rest[1] == b_rest[0] &&
                strcmp(a_rest + 2, b_rest + 2) == 0);
    if (a_len + 1 == b_len)
        return strcmp(a_rest, b_rest + 1) == 0;
    return a_len == b_len + 1 && strcmp(a_rest + 1, b_rest) == 0;
}

/* Is `name`, not a parameter's, good as a label's? A label nobody has finds nothing, so a mistyped
 * parameter would look like an idle machine. Short names are let through: pod is no slip of pid,
 * nor name of names. */
static int check_name(const char *name, struct err *err)
{
    if (!is_label(name))
        return err_set(err, -EINVAL,
                       "'%.64s' is no label; their names are of lower-case letters, digits and "
                       "_ . / -, with a letter or _ first, %u bytes at most",
                       name, QUERY_MAX_LABEL);
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (strcmp(parameters[i].name, name) == 0)
            return 0;
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        if (strlen(parameters[i].name) >= 5 && strlen(name) >= 5 &&
            is_one_slip(parameters[i].name, name))
            return err_set(err, -EINVAL, "'%s' is not known; is %s meant?", name,
                           parameters[i].name);
    return 0;
}

static int take_pair(struct reader *reader, char *name, char *value, struct err *err)
{
    if (query_unescape(name, true) < 0 || query_unescape(value, true) < 0)
        return err_set(err, -EINVAL,
                       "parameter %.64s: a broken %% escape, a NUL byte, or not UTF-8", name);
    if (strlen(value) > QUERY_MAX_VALUE)
        return err_set(err, -EINVAL, "parameter %.64s: its value is over %u bytes", name,
                       QUERY_MAX_VALUE);
    if (reader->kind == QUERY_NOTHING)
        return err_set(err, -EINVAL, "parameter %.64s: this path takes no parameters", name);
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++) {
        const struct parameter *p = &parameters[i];
        if (strcmp(p->name, name) != 0)
            continue;
        if (reader->kind < p->from)
            return err_set(err, -EINVAL, "parameter %s: this path does not take it", name);
        if (p->once && (reader->seen & 1u << i))
            return err_set(err, -EINVAL, "parameter %s: it is there twice", name);
        reader->seen |= 1u << i;
        return p->take(reader, name, value, err);
    }
    int r = check_name(name, err);
    if (r < 0)
        return err_wrap(err, r, "parameter");
    if (reader->kind < QUERY_SAMPLES)
        return err_set(err, -EINVAL, "parameter %s: this path does not take it", name);
    return take_filter(reader, name, value, err);
}

static int take_all(struct reader *reader, struct err *err)
{
    for (char *pair = reader->query.text; pair;) {
        char *next = strchr(pair, '&');
        if (next)
            *next++ = 0;
        if (*pair) {
            char *equals = strchr(pair, '=');
            char *value = equals ? equals + 1 : pair + strlen(pair);
            if (equals)
                *equals = 0;
            int r = take_pair(reader, pair, value, err);
            if (r < 0)
                return r;
        }
        pair = next;
    }
    return 0;
}

static int check_range(const struct store_query *query, struct err *err)
{
    if (query->start_ms >= query->end_ms)
        return err_set(err, -EINVAL, "the range is empty: start (%lld) is not before end (%lld)",
                       (long long)query->start_ms, (long long)query->end_ms);
    if (query->end_ms - query->start_ms > QUERY_MAX_RANGE_MS)
        return err_set(err, -EINVAL, "the range is longer than 400 days");
    return 0;
}

int query_parse(const char *text, enum query_kind kind, int64_t now_ms, struct query *ret,
                struct err *err)
{
    if (!text)
        text = "";
    if (strlen(text) > QUERY_MAX_TEXT)
        return err_set(err, -EINVAL, "the query has more than %u bytes", QUERY_MAX_TEXT);
    struct reader reader = {
        .kind = kind,
        .now_ms = now_ms,
        .query =
            {
                .store = {.start_ms = now_ms - 5 * 60000, .end_ms = now_ms},
                .max_nodes = QUERY_DEFAULT_NODES,
                .text = strdup(text),
            },
    };
    if (!reader.query.text)
        return err_errno(err, -ENOMEM, "reading the query");
    if (kind == QUERY_FLAME)
        reader.query.store.groups[reader.query.store.group_count++] = "process";
    int r = take_all(&reader, err);
    if (r == 0)
        r = check_range(&reader.query.store, err);
    if (r < 0) {
        query_free(&reader.query);
        return r;
    }
    *ret = reader.query;
    return 0;
}

bool query_takes_node(const struct store_query *query, const char *node)
{
    bool filtered = false;
    for (size_t i = 0; i < query->filter_count; i++) {
        if (strcmp(query->filters[i].key, "node") != 0)
            continue;
        if (strcmp(query->filters[i].value, node) == 0)
            return true;
        filtered = true;
    }
    return !filtered;
}

void query_free(struct query *query)
{
    free(query->text);
    *query = (struct query){0};
}
