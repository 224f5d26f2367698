/* options_help.c: takes a table of settings, gives --help's text and the man page. */
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/options_internal.h"

#define HELP_WIDTH  80
#define HELP_COLUMN 28 /* where the sentences begin */

/* Prints `text` wrapped at HELP_WIDTH, from column `at` on; further lines are indented to `indent`.
 * An empty line splits paragraphs. */
static void print_wrapped(FILE *to, const char *text, int at, int indent)
{
    while (*text) {
        size_t blank = strspn(text, " \n");
        bool paragraph = blank >= 2 && memmem(text, blank, "\n\n", 2);
        text += blank;
        int word = (int)strcspn(text, " \n");
        if (word == 0)
            break;
        if (paragraph || (at > indent && at + 1 + word > HELP_WIDTH)) {
            fprintf(to, "\n%s%*s", paragraph ? "\n" : "", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', to);
            at++;
        }
        fprintf(to, "%.*s", word, text);
        at += word;
        text += word;
    }
    fputc('\n', to);
}

/* A switch that is on by default is shown by the flag that turns it off. */
static bool is_on_by_default(const struct option_def *def)
{
    bool on = false;
    struct option_def first = *def;
    first.offset = 0;
    return def->type == OPTION_BOOL && def->def &&
           option_assign(&first, def->def, &on, NULL) == 0 && on;
}

/* "default 30s, 1s to 5m", or nothing: `out` stays empty. */
static void describe_range(const struct option_def *def, struct buf *out)
{
    if (def->type == OPTION_BOOL)
        return;
    if (def->def)
        buf_printf(out, "default %s", *def->def ? def->def : "empty");
    if (def->min == 0 && def->max == 0)
        return;
    buf_puts(out, out->len ? ", " : "");
    option_describe_limits(def, out);
}

static void print_option_help(FILE *to, const struct option_def *def)
{
    _cleanup_(buf_free) struct buf text = {0};
    int at = fprintf(to, "  --%s%s%s%s", is_on_by_default(def) ? "no-" : "", def->name,
                     def->arg ? " " : "", def->arg ? def->arg : "");
    if (at > HELP_COLUMN - 2) {
        fputc('\n', to);
        at = 0;
    }
    fprintf(to, "%*s", HELP_COLUMN - at, "");
    buf_puts(&text, def->help);
    _cleanup_(buf_free) struct buf range = {0};
    describe_range(def, &range);
    if (range.len)
        buf_printf(&text, " (%.*s)", (int)range.len, (const char *)range.data);
    if (buf_append(&text, "", 1) == 0)
        print_wrapped(to, (const char *)text.data, HELP_COLUMN, HELP_COLUMN);
}

static const struct option_def config_def = {.name = OPTIONS_CONFIG_FLAG,
                                             .type = OPTION_STRING,
                                             .arg = "FILE",
                                             .help = "Read settings from FILE."};
static const struct option_def own_defs[] = {
    {.name = "help", .type = OPTION_BOOL, .help = "Print this help and exit."},
    {.name = "version", .type = OPTION_BOOL, .help = "Print the version and exit."},
    {.name = "man", .type = OPTION_BOOL, .help = "Print the manual page's source (roff) and exit."},
};

/* The row for --config, with the set's default file. */
static struct option_def make_config_def(const struct option_set *set)
{
    struct option_def def = config_def;
    def.def = set->default_file;
    return def;
}

/* True where a new heading begins: rows of one section stand together in the table. */
static bool starts_section(const struct option_set *set, size_t i)
{
    const char *now = set->defs[i].section, *before = i ? set->defs[i - 1].section : NULL;
    return now && (!before || strcmp(now, before) != 0);
}

void options_print_help(const struct option_set *set, FILE *to)
{
    fprintf(to, "Usage: %s [OPTIONS]%s%s\n\n", set->program, *set->synopsis_tail ? " " : "",
            set->synopsis_tail);
    print_wrapped(to, set->summary, 0, 0);
    if (set->description) {
        fputc('\n', to);
        print_wrapped(to, set->description, 0, 0);
    }
    for (size_t i = 0; i < set->count; i++) {
        if (starts_section(set, i))
            fprintf(to, "\n%s:\n", set->defs[i].section);
        else if (i == 0)
            fputc('\n', to);
        print_option_help(to, &set->defs[i]);
    }
    fputs("\nOther:\n", to);
    struct option_def config = make_config_def(set);
    print_option_help(to, &config);
    for (size_t i = 0; i < ARRAY_LEN(own_defs); i++)
        print_option_help(to, &own_defs[i]);
    _cleanup_(buf_free) struct buf name = {0}, text = {0};
    if (set->count == 0 || option_variable_name(set->program, set->defs[0].name, &name) < 0)
        return;
    buf_printf(&text,
               "A setting is taken from its flag, else from the environment (%s), else from "
               "the file (%s = VALUE below [%s]), else it has its default.",
               (const char *)name.data, set->defs[0].name, set->program);
    fputc('\n', to);
    print_wrapped(to, (const char *)text.data, 0, 0);
}

/* Text in roff: a backslash, a dash and a dot at a line's start mean something there. */
static void print_roff_words(FILE *to, const char *text)
{
    bool line_start = true;
    for (const char *p = text; *p; p++) {
        if (line_start && (*p == '.' || *p == '\''))
            fputs("\\&", to);
        if (p[0] == '\n' && p[1] == '\n') {
            fputs("\n.PP\n", to);
            p += strspn(p, "\n") - 1;
            line_start = true;
            continue;
        }
        if (*p == '\\')
            fputs("\\e", to);
        else if (*p == '-')
            fputs("\\-", to);
        else
            fputc(*p, to);
        line_start = *p == '\n';
    }
}

static void print_roff(FILE *to, const char *text)
{
    print_roff_words(to, text);
    fputc('\n', to);
}

static void print_roff_upper(FILE *to, const char *text)
{
    for (const char *p = text; *p; p++)
        fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, to);
}

static void print_option_man(FILE *to, const struct option_def *def)
{
    fputs(".TP\n\\fB\\-\\-", to);
    print_roff_words(to, is_on_by_default(def) ? "no-" : "");
    print_roff_words(to, def->name);
    fprintf(to, "\\fR%s%s%s\n", def->arg ? " \\fI" : "", def->arg ? def->arg : "",
            def->arg ? "\\fR" : "");
    print_roff(to, def->help);
    _cleanup_(buf_free) struct buf range = {0};
    describe_range(def, &range);
    if (range.len && buf_append(&range, ".", 2) == 0) {
        range.data[0] = range.data[0] == 'd' ? 'D' : 'A';
        print_roff(to, (const char *)range.data);
    }
}

static void print_man_sources(const struct option_set *set, FILE *to)
{
    _cleanup_(buf_free) struct buf name = {0}, text = {0};
    if (set->count == 0 || option_variable_name(set->program, set->defs[0].name, &name) < 0)
        return;
    buf_printf(&text,
               "Every setting can also be given by a variable: --%s as %s. An empty "
               "variable counts as none.",
               set->defs[0].name, (const char *)name.data);
    fputs(".SH ENVIRONMENT\n", to);
    print_roff(to, (const char *)text.data);
    text.len = 0;
    buf_printf(&text,
               "Every setting can also stand in an INI file%s%s, below [%s], as %s = VALUE. A line "
               "that begins with # or ; is a comment, and so is what follows a blank and a ; in "
               "other lines. A flag goes before a variable, a variable before the file.",
               set->default_file ? ", " : "", set->default_file ? set->default_file : "",
               set->program, set->defs[0].name);
    fputs(".SH CONFIGURATION FILE\n", to);
    print_roff(to, (const char *)text.data);
}

void options_print_man(const struct option_set *set, FILE *to)
{
    fputs(".TH \"", to);
    print_roff_upper(to, set->program);
    fprintf(to, "\" %d \"\" \"%s\" \"%s manual\"\n.SH NAME\n%s \\- ", set->man_section,
            PACKAGE_STRING, PACKAGE_NAME, set->program);
    print_roff(to, set->summary);
    fprintf(to, ".SH SYNOPSIS\n\\fB%s\\fR [\\fIOPTIONS\\fR] ", set->program);
    print_roff(to, set->synopsis_tail);
    fputs(".SH DESCRIPTION\n", to);
    print_roff(to, set->description ? set->description : set->summary);
    fputs(".SH OPTIONS\n", to);
    for (size_t i = 0; i < set->count; i++) {
        if (starts_section(set, i)) {
            fputs(".SS ", to);
            print_roff(to, set->defs[i].section);
        }
        print_option_man(to, &set->defs[i]);
    }
    fputs(".SS Other\n", to);
    struct option_def config = make_config_def(set);
    print_option_man(to, &config);
    for (size_t i = 0; i < ARRAY_LEN(own_defs); i++)
        print_option_man(to, &own_defs[i]);
    print_man_sources(set, to);
    if (set->man_tail)
        fputs(set->man_tail, to);
}
