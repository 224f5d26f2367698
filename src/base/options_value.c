/* options_value.c: takes a setting's text, gives the value in the program's config struct. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/options_internal.h"
#include "base/parse.h"

static void *option_member(const struct option_def *def, void *config)
{
    return (char *)config + def->offset;
}

/* The value in the largest unit that says it exactly, as parse.h would read it. */
static int describe_value(enum option_type type, uint64_t value, struct buf *out)
{
    static const struct unit {
        uint64_t factor;
        const char *word;
    } durations[] =
        {{86400000000000, "d"}, {3600000000000, "h"}, {60000000000, "m"}, {1000000000, "s"},
         {1000000, "ms"},       {1000, "us"},         {1, "ns"}},
      sizes[] = {{1ULL << 40, "TiB"},
                 {1ULL << 30, "GiB"},
                 {1ULL << 20, "MiB"},
                 {1ULL << 10, "KiB"},
                 {1, ""}},
      numbers[] = {{1, ""}};
    const struct unit *unit = type == OPTION_DURATION ? durations
                              : type == OPTION_BYTES  ? sizes
                                                      : numbers;
    while (value % unit->factor != 0 || (value == 0 && unit->factor > 1000000000))
        unit++;
    return buf_printf(out, "%" PRIu64 "%s", value / unit->factor, value ? unit->word : "");
}

int option_describe_limits(const struct option_def *def, struct buf *out)
{
    if (def->min == 0 && def->max == 0)
        return 0;
    uint64_t top = def->type == OPTION_DURATION ? INT64_MAX : UINT64_MAX;
    int r;
    if (def->max >= top) {
        if ((r = buf_puts(out, "at least ")) < 0)
            return r;
        return describe_value(def->type, def->min, out);
    }
    if (def->min == 0) {
        if ((r = buf_puts(out, "at most ")) < 0)
            return r;
        return describe_value(def->type, def->max, out);
    }
    if ((r = describe_value(def->type, def->min, out)) < 0 || (r = buf_puts(out, " to ")) < 0)
        return r;
    return describe_value(def->type, def->max, out);
}

static int check_limits(const struct option_def *def, const char *text, uint64_t value,
                        struct err *err)
{
    if (def->min == 0 && def->max == 0)
        return 0;
    if (value >= def->min && value <= def->max)
        return 0;
    _cleanup_(buf_free) struct buf limits = {0};
    int r = option_describe_limits(def, &limits);
    if (r < 0)
        return err_errno(err, r, "describing the limits");
    return err_set(err, -ERANGE, "\"%s\" is too %s; allowed is %s", text,
                   value < def->min ? "small" : "large", (const char *)limits.data);
}

static int parse_bool(const char *text, bool *ret, struct err *err)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        bool is_yes = strcasecmp(text, yes[i]) == 0;
        if (!is_yes && strcasecmp(text, no[i]) != 0)
            continue;
        *ret = is_yes;
        return 0;
    }
    return err_set(err, -EINVAL, "\"%s\" is neither true (yes, on, 1) nor false (no, off, 0)",
                   text);
}

static int assign_string(const char *text, char **member, struct err *err)
{
    char *copy = strdup(text);
    if (!copy)
        return err_errno(err, -ENOMEM, "copying a value");
    free(*member);
    *member = copy;
    return 0;
}

static int parse_number(const struct option_def *def, const char *text, uint64_t *ret,
                        struct err *err)
{
    int64_t ns;
    int r = def->type == OPTION_DURATION ? parse_duration(text, &ns, err)
            : def->type == OPTION_BYTES  ? parse_bytes(text, ret, err)
                                         : parse_u64(text, ret, err);
    if (r < 0)
        return r;
    if (def->type == OPTION_DURATION)
        *ret = (uint64_t)ns;
    return check_limits(def, text, *ret, err);
}

int option_assign(const struct option_def *def, const char *text, void *config, struct err *err)
{
    void *member = option_member(def, config);
    if (def->type == OPTION_STRING)
        return assign_string(text, member, err);
    if (def->type == OPTION_BOOL)
        return parse_bool(text, member, err);
    uint64_t value;
    int r = parse_number(def, text, &value, err);
    if (r < 0)
        return r;
    if (def->type == OPTION_DURATION)
        *(int64_t *)member = (int64_t)value;
    else
        *(uint64_t *)member = value;
    return 0;
}

void option_clear(const struct option_def *def, void *config)
{
    void *member = option_member(def, config);
    switch (def->type) {
    case OPTION_STRING:
        free(*(char **)member);
        *(char **)member = NULL;
        break;
    case OPTION_BOOL:
        *(bool *)member = false;
        break;
    case OPTION_DURATION:
        *(int64_t *)member = 0;
        break;
    case OPTION_UINT:
    case OPTION_BYTES:
        *(uint64_t *)member = 0;
        break;
    }
}

int option_variable_name(const char *program, const char *name, struct buf *out)
{
    size_t start = out->len;
    int r = buf_printf(out, "%s_%s", program, name);
    if (r < 0)
        return r;
    for (size_t i = start; i < out->len; i++)
        out->data[i] = isalnum(out->data[i]) ? (uint8_t)toupper(out->data[i]) : '_';
    return 0;
}

const struct option_def *option_find(const struct option_set *set, const char *name, size_t len)
{
    for (size_t i = 0; i < set->count; i++)
        if (strlen(set->defs[i].name) == len && memcmp(set->defs[i].name, name, len) == 0)
            return &set->defs[i];
    return NULL;
}
