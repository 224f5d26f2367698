/* options_file.c: takes an INI file's bytes, gives the settings they make. inih splits the lines;
 * what it would do in silence (cut a long line in two, take a second value for the first) is an
 * error here, with the line's number. */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/options_internal.h"

struct ini_source {
    const struct option_set *set;
    const char *path;
    const char *rest, *end;
    unsigned line;  /* the one inih works on, from 1 */
    unsigned *seen; /* per row of the table: the line that set it, 0 none */
    void *config;
    struct err *err;
    int failed; /* 0, or the first error; what follows it is not looked at */
    unsigned failed_line;
};

static int fail(struct ini_source *src, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int fail(struct ini_source *src, int code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    src->failed_line = src->line;
    src->failed = err_set(src->err, code, "%s:%u: %s", src->path, src->line, text);
    return src->failed;
}

static size_t leading_blanks(const char *from, const char *to)
{
    const char *p = from;
    while (p < to && (*p == ' ' || *p == '\t'))
        p++;
    return (size_t)(p - from);
}

/* inih's ini_reader, like fgets: the next line with its newline, or NULL at the end. Without the
 * blanks in front, which inih would take for "this belongs to the value above". */
static char *next_line(char *to, int size, void *stream)
{
    struct ini_source *src = stream;
    if (src->failed || src->rest == src->end)
        return NULL;
    src->line++;
    const char *newline = memchr(src->rest, '\n', (size_t)(src->end - src->rest));
    const char *next = newline ? newline + 1 : src->end;
    src->rest += leading_blanks(src->rest, next);
    size_t len = (size_t)(next - src->rest);
    if (len >= (size_t)size) {
        fail(src, -E2BIG, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    if (memchr(src->rest, 0, len)) {
        fail(src, -EINVAL, "the line has a NUL byte");
        return NULL;
    }
    memcpy(to, src->rest, len);
    to[len] = 0;
    src->rest = next;
    return to;
}

/* False: it belongs to another program, or is wrong. */
static bool section_is_ours(struct ini_source *src, const char *section)
{
    if (strcmp(section, src->set->program) == 0)
        return true;
    if (!*section)
        fail(src, -EINVAL, "a setting before the first section; put [%s] above it",
             src->set->program);
    else if (strncmp(section, PACKAGE_NAME, strlen(PACKAGE_NAME)) != 0)
        fail(src, -EINVAL, "unknown section [%s]; settings of %s stand below [%s]", section,
             src->set->program, src->set->program);
    return false;
}

/* inih's ini_handler, for one "name = value". */
static int take_entry(void *user, const char *section, const char *name, const char *value)
{
    struct ini_source *src = user;
    if (src->failed || !section_is_ours(src, section))
        return src->failed == 0;
    const struct option_def *def = option_find(src->set, name, strlen(name));
    if (!def)
        return fail(src, -ENOENT, "unknown setting \"%s\"; %s --help names all", name,
                    src->set->program) == 0;
    unsigned *seen = &src->seen[def - src->set->defs];
    if (*seen)
        return fail(src, -EEXIST, "%s is set for the second time, first in line %u", name, *seen) ==
               0;
    *seen = src->line;
    struct err why = {0};
    int r = option_assign(def, value ? value : "", src->config, &why);
    if (r < 0)
        fail(src, r, "%s: %s", name, why.text);
    return r == 0;
}

int options_read_ini(const struct option_set *set, const char *path, const char *bytes, size_t len,
                     void *config, struct err *err)
{
    _cleanup_free_ unsigned *seen = calloc(set->count + 1, sizeof(*seen));
    if (!seen)
        return err_errno(err, -ENOMEM, "reading %s", path);
    struct ini_source src = {
        .set = set,
        .path = path,
        .rest = bytes,
        .end = bytes + len,
        .seen = seen,
        .config = config,
        .err = err,
    };
    int r = ini_parse_stream(next_line, &src, take_entry, &src);
    if (r < 0)
        return err_errno(err, -ENOMEM, "reading %s", path);
    if (src.failed && (r == 0 || (unsigned)r >= src.failed_line))
        return src.failed;
    if (r > 0)
        return err_set(err, -EINVAL, "%s:%d: neither \"[section]\" nor \"setting = value\"", path,
                       r);
    return 0;
}
