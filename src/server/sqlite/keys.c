/* keys.c: takes a query's filters, says which series and samples of a day pass them. */
#include "server/sqlite/keys.h"

#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "server/sqlite/lookup.h"
#include "server/sqlite/varint.h"

static const struct {
    const char *name;
    enum key_kind kind;
} known_keys[] = {
    {"node", KEY_NODE},     {"process", KEY_PROCESS}, {"cgroup", KEY_CGROUP},
    {"thread", KEY_THREAD}, {"pid", KEY_PID},         {"cpu", KEY_CPU},
};

enum key_kind key_kind_of(const char *key)
{
    for (size_t i = 0; i < sizeof(known_keys) / sizeof(known_keys[0]); i++)
        if (strcmp(key, known_keys[i].name) == 0)
            return known_keys[i].kind;
    return KEY_LABEL;
}

/* The number as we would write it and no other way: 007 is no pid's name. */
static bool parse_number(const char *text, uint32_t *ret)
{
    uint64_t v;
    char back[24];
    if (parse_u64(text, &v, NULL) < 0 || v > UINT32_MAX)
        return false;
    snprintf(back, sizeof(back), "%u", (uint32_t)v);
    *ret = (uint32_t)v;
    return strcmp(text, back) == 0;
}

static int add_value(struct key_filter *f, const char *text, struct lookup *lookup, struct err *err)
{
    bool known;
    uint32_t value = 0;
    int r = 0;
    if (f->kind == KEY_PID || f->kind == KEY_CPU)
        known = parse_number(text, &value);
    else
        r = lookup_number(lookup, text, &known, &value, err);
    f->texts[f->text_count++] = text;
    if (r == 0 && known)
        f->values[f->count++] = value;
    return r;
}

static int resolve_label(struct key_filter *f, const char *key, struct lookup *lookup,
                         struct err *err)
{
    bool known = false;
    uint32_t id = 0;
    int r = f->kind == KEY_LABEL ? lookup_number(lookup, key, &known, &id, err) : 0;
    f->label = known ? id : KEY_ABSENT;
    return r;
}

int key_filters_resolve(const struct store_query *q, struct lookup *lookup, struct key_filters *ret,
                        struct err *err)
{
    struct key_filters fs = {0};
    for (size_t i = 0; i < q->filter_count; i++) {
        const char *key = q->filters[i].key;
        size_t first = 0;
        while (strcmp(q->filters[first].key, key) != 0)
            first++;
        if (first < i)
            continue;
        struct key_filter *f = &fs.keys[fs.count++];
        f->kind = key_kind_of(key);
        f->key = key;
        int r = resolve_label(f, key, lookup, err);
        for (size_t j = i; r == 0 && j < q->filter_count; j++)
            if (strcmp(q->filters[j].key, key) == 0)
                r = add_value(f, q->filters[j].value, lookup, err);
        if (r < 0)
            return r;
    }
    *ret = fs;
    return 0;
}

static bool has_value(const struct key_filter *f, uint32_t value)
{
    for (size_t i = 0; i < f->count; i++)
        if (f->values[i] == value)
            return true;
    return false;
}

uint32_t key_of_series(const struct key_series *s, enum key_kind kind, uint32_t label)
{
    const uint8_t *at = s->labels, *end = s->labels + s->labels_len;
    uint32_t key, value;
    switch (kind) {
    case KEY_NODE:
        return s->node;
    case KEY_PROCESS:
        return s->process;
    case KEY_CGROUP:
        return s->cgroup;
    default:
        while (varint_get_u32(&at, end, &key) && varint_get_u32(&at, end, &value))
            if (key == label)
                return value;
        return KEY_ABSENT;
    }
}

/* A label may stand there more than once; each of its values counts. */
static bool pass_label(const struct key_filter *f, const struct key_series *s)
{
    const uint8_t *at = s->labels, *end = s->labels + s->labels_len;
    uint32_t key, value;
    while (varint_get_u32(&at, end, &key) && varint_get_u32(&at, end, &value))
        if (key == f->label && has_value(f, value))
            return true;
    return false;
}

/* The value of a renamed label; NULL if it is as the series has it. `renamed` may be NULL. */
static const char *renamed_value(const struct key_renamed *renamed, const struct key_filter *f)
{
    for (size_t i = 0; renamed && f->kind == KEY_LABEL && i < renamed->count; i++)
        if (strcmp(renamed->keys[i], f->key) == 0)
            return renamed->values[i];
    return NULL;
}

static bool has_text(const struct key_filter *f, const char *text)
{
    for (size_t i = 0; i < f->text_count; i++)
        if (strcmp(f->texts[i], text) == 0)
            return true;
    return false;
}

bool key_filters_pass_renamed(const struct key_filters *fs, const struct key_series *s,
                              const struct key_renamed *renamed)
{
    for (size_t i = 0; i < fs->count; i++) {
        const struct key_filter *f = &fs->keys[i];
        const char *value = renamed_value(renamed, f);
        bool pass = f->count > 0;
        if (value)
            pass = has_text(f, value);
        else if (f->kind == KEY_LABEL)
            pass = pass && pass_label(f, s);
        else if (f->kind < KEY_LABEL)
            pass = pass && has_value(f, key_of_series(s, f->kind, 0));
        if (!pass)
            return false;
    }
    return true;
}

bool key_filters_pass_series(const struct key_filters *fs, const struct key_series *s)
{
    return key_filters_pass_renamed(fs, s, NULL);
}

bool key_filters_pass(const struct key_filters *fs, enum key_kind kind, uint32_t value)
{
    for (size_t i = 0; i < fs->count; i++)
        if (fs->keys[i].kind == kind && !has_value(&fs->keys[i], value))
            return false;
    return true;
}

bool key_filters_have(const struct key_filters *fs, enum key_kind kind)
{
    for (size_t i = 0; i < fs->count; i++)
        if (fs->keys[i].kind == kind)
            return true;
    return false;
}
