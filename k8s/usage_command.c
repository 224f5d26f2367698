/* usage_command.c: takes a command line, gives what of it may be shown. See usage_files.h.
 *
 * Passwords and tokens stand in arguments. Of an interpreter the script says what runs, and is the
 * first argument that is no option; so which options take the argument behind them must be known,
 * or that would be shown in its place. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "k8s/usage_files.h"
#include "k8s/usage_text.h"

/* What is left out is empty. */
struct interpreter {
    const char *name;        /* may be followed by a version: python3.11 */
    const char *flags;       /* letters of options that stand alone, "-x" or several in one */
    const char *attached;    /* letters whose value, if any, is the rest of the argument */
    const char *valued;      /* letters whose value is the rest of the argument, or the next one */
    const char *shown;       /* letters of these whose value is what runs: python -m MODULE */
    const char *code;        /* letters behind which stands the program itself: nothing is shown */
    const char *words;       /* long options with a value behind them, between blanks */
    const char *shown_words; /* as `shown`; the value may also stand behind "=" */
    const char *code_words;
    const char *suffixes; /* of scripts, between blanks */
};

#define PYTHON                                                                  \
    .flags = "bBdEhiIOPqRsSuvVx?3", .valued = "WXQ", .shown = "m", .code = "c", \
    .words = " --check-hash-based-pycs ", .suffixes = " .py .pyc .pyz "
#define NODE                                                                              \
    .flags = "civh", .valued = "rC", .code = "ep",                                        \
    .words = " --require --import --loader --experimental-loader --conditions --env-file" \
             " --title --icu-data-dir ",                                                  \
    .code_words = " --eval --print ", .suffixes = " .js .mjs .cjs .ts .mts .cts "
#define SHELL                                                         \
    .flags = "abefhiklmnprtuvxBCDEHPT", .valued = "oO", .code = "cs", \
    .words = " --rcfile --init-file ", .suffixes = " .sh "

static const struct interpreter interpreters[] = {
    {.name = "python", PYTHON},
    {.name = "pypy", PYTHON},
    {.name = "node", NODE},
    {.name = "nodejs", NODE},
    /* ruby(1), ruby.c: levels and octal numbers go on with the next letter, -W:category does not.
     * -K goes on behind one letter more, so what stands there is not known. */
    {.name = "ruby",
     .flags = "acdhlnpsSvwyUTW01234567",
     .attached = ":Fix",
     .valued = "CEIrX",
     .code = "e",
     .words = " --encoding --external-encoding ",
     .suffixes = " .rb .ru "},
    /* perlrun, perl.c: octal numbers go on with the next letter, and so does -d but for -d:Module.
     * Behind the x of -0xFF that depends on which letters are digits: like -x it is not known. */
    {.name = "perl",
     .flags = "acdfghlnpsStTuUvwWX01234567",
     .attached = ":=CDFiMmV",
     .valued = "I",
     .code = "eE",
     .suffixes = " .pl .pm .t "},
    {.name = "php",
     .flags = "aCHhilmnqsvw",
     .valued = "cdgtzS",
     .shown = "f",
     .code = "rBRFE",
     .words = " --php-ini --define --docroot --server ",
     .shown_words = " --file ",
     .code_words = " --run --process-begin --process-code --process-end --process-file ",
     .suffixes = " .php .phar "},
    /* Its options are words with one dash. */
    {.name = "java",
     .words = " -cp -classpath --class-path -p --module-path --upgrade-module-path --add-modules"
              " --add-opens --add-exports --add-reads --limit-modules --patch-module --source"
              " --enable-native-access --describe-module -d ",
     .shown_words = " -jar -m --module ",
     .suffixes = " .jar .java "},
    {.name = "bash", SHELL},
    {.name = "sh", SHELL},
    {.name = "dash", SHELL},
    {.name = "ash", SHELL},
    {.name = "zsh", SHELL},
    {.name = "ksh", SHELL},
};

/* The executable's own name, "python3.11" and "ruby2.7" being their families'. */
static const struct interpreter *find_interpreter(const char *exe)
{
    const char *slash = strrchr(exe, '/'), *name = slash ? slash + 1 : exe;
    for (size_t i = 0; i < ARRAY_LEN(interpreters); i++) {
        size_t len = strlen(interpreters[i].name);
        if (strncmp(name, interpreters[i].name, len) == 0 &&
            strspn(name + len, "0123456789.") == strlen(name + len))
            return &interpreters[i];
    }
    return NULL;
}

static bool list_has(const char *list, struct usage_text word)
{
    struct usage_text rest = {list, list ? strlen(list) : 0}, item;
    while (list && text_word(&rest, &item))
        if (item.len == word.len && memcmp(item.p, word.p, word.len) == 0)
            return true;
    return false;
}

static bool is_script(const struct interpreter *in, struct usage_text word)
{
    const char *dot = memrchr(word.p, '.', word.len);
    return dot &&
           list_has(in->suffixes, (struct usage_text){dot, word.len - (size_t)(dot - word.p)});
}

enum argument { ARGUMENT_ALONE, ARGUMENT_VALUED, ARGUMENT_SHOWN, ARGUMENT_CODE, ARGUMENT_UNKNOWN };

static bool has(const char *letters, char c)
{
    return letters && c && strchr(letters, c);
}

/* What an argument that begins with "-" says of those behind it. */
static enum argument read_letters(const struct interpreter *in, struct usage_text word,
                                  struct usage_text *ret_value)
{
    for (size_t i = 1; i < word.len; i++) {
        char c = word.p[i];
        *ret_value = (struct usage_text){word.p + i + 1, word.len - i - 1};
        if (has(in->code, c))
            return ARGUMENT_CODE;
        if (has(in->shown, c))
            return ARGUMENT_SHOWN;
        if (has(in->attached, c))
            return ARGUMENT_ALONE;
        if (has(in->valued, c))
            return ret_value->len ? ARGUMENT_ALONE : ARGUMENT_VALUED;
        if (!has(in->flags, c))
            return ARGUMENT_UNKNOWN;
    }
    return ARGUMENT_ALONE;
}

static enum argument read_option(const struct interpreter *in, struct usage_text word,
                                 struct usage_text *ret_value)
{
    *ret_value = (struct usage_text){0};
    if (list_has(in->code_words, word))
        return ARGUMENT_CODE;
    if (list_has(in->shown_words, word))
        return ARGUMENT_SHOWN;
    if (list_has(in->words, word))
        return ARGUMENT_VALUED;
    const char *equals = memchr(word.p, '=', word.len);
    struct usage_text name = {word.p, equals ? (size_t)(equals - word.p) : 0};
    if (equals && list_has(in->code_words, name))
        return ARGUMENT_CODE;
    if (equals && list_has(in->shown_words, name)) {
        *ret_value = (struct usage_text){equals + 1, word.len - name.len - 1};
        return ret_value->len ? ARGUMENT_SHOWN : ARGUMENT_CODE;
    }
    if (word.len > 1 && word.p[1] == '-')
        return equals ? ARGUMENT_ALONE : ARGUMENT_UNKNOWN;
    /* java's one-dash words (-Xmx1g, -Dkey=value, -server) stand alone but those above. */
    return in->flags ? read_letters(in, word, ret_value) : ARGUMENT_ALONE;
}

/* The script among the arguments behind the first. Behind an option that is not known a value might
 * stand: only what is named like a script is taken for one then. */
static bool find_script(const struct interpreter *in, struct usage_text line,
                        struct usage_text *ret)
{
    struct usage_text word, value;
    bool unsure = false, ended = false;
    while (text_next(&line, 0, &word)) {
        if (word.len == 0)
            return false;
        if (ended || (word.p[0] != '-' && word.p[0] != '+') || word.len == 1) {
            *ret = word;
            return word.p[0] != '-' && (!unsure || is_script(in, word));
        }
        if (text_is(word, "--")) {
            ended = true;
            continue;
        }
        switch (read_option(in, word, &value)) {
        case ARGUMENT_CODE:
            return false;
        case ARGUMENT_SHOWN:
            *ret = value;
            return value.len || (text_next(&line, 0, ret) && ret->len);
        case ARGUMENT_VALUED:
            if (!text_next(&line, 0, &word))
                return false;
            break;
        case ARGUMENT_UNKNOWN:
            unsure = true;
            break;
        default:
            break;
        }
    }
    return false;
}

static void append(char *to, size_t *at, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && *at + 1 < USAGE_COMMAND_MAX; i++)
        to[(*at)++] = (unsigned char)bytes[i] < ' ' ? ' ' : bytes[i];
    to[*at] = 0;
}

void usage_show_command(const char *exe, const char *line, size_t len, bool full,
                        char ret[USAGE_COMMAND_MAX])
{
    struct usage_text rest = {line, len}, word, script;
    size_t at = 0;
    append(ret, &at, exe, strlen(exe));
    if (!text_next(&rest, 0, &word))
        return;
    const struct interpreter *in = find_interpreter(exe);
    if (full) {
        while (text_next(&rest, 0, &word)) {
            append(ret, &at, " ", 1);
            append(ret, &at, word.p, word.len);
        }
    } else if (in && find_script(in, rest, &script)) {
        append(ret, &at, " ", 1);
        append(ret, &at, script.p, script.len);
    }
}
