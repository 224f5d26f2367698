/* options.c: takes a table of settings and argv, gives a filled config struct: defaults, then the
 * file, then the environment, then the flags. See options.h. */
#include "base/options.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/options_internal.h"

enum flag_kind { FLAG_SETTING, FLAG_CONFIG, FLAG_HELP, FLAG_VERSION, FLAG_MAN };

struct flag {
    const char *word; /* as it stands in argv */
    enum flag_kind kind;
    const struct option_def *def; /* of FLAG_SETTING */
    const char *value;            /* NULL: none was given, and none is needed */
};

struct flags {
    const struct option_set *set;
    int argc;
    char **argv;
    int next; /* index in argv */
};

static bool flag_takes_value(const struct flag *flag)
{
    return flag->kind == FLAG_CONFIG ||
           (flag->kind == FLAG_SETTING && flag->def->type != OPTION_BOOL);
}

/* Finds out what `name` (of `len` bytes, without its dashes) is called for. */
static int look_up_flag(const struct option_set *set, const char *name, size_t len,
                        struct flag *flag)
{
    static const struct {
        const char *name;
        enum flag_kind kind;
    } builtin[] = {{OPTIONS_CONFIG_FLAG, FLAG_CONFIG},
                   {"help", FLAG_HELP},
                   {"version", FLAG_VERSION},
                   {"man", FLAG_MAN}};
    for (size_t i = 0; i < ARRAY_LEN(builtin); i++) {
        if (strlen(builtin[i].name) != len || memcmp(builtin[i].name, name, len) != 0)
            continue;
        flag->kind = builtin[i].kind;
        return 0;
    }
    flag->kind = FLAG_SETTING;
    flag->def = option_find(set, name, len);
    if (flag->def)
        return 0;
    if (len > 3 && memcmp(name, "no-", 3) == 0) {
        flag->def = option_find(set, name + 3, len - 3);
        flag->value = "false";
    }
    return flag->def && flag->def->type == OPTION_BOOL ? 0 : -ENOENT;
}

/* 1 with the next flag, 0 where the flags end (then `next` is the first word behind them), or a
 * negative errno. */
static int next_flag(struct flags *flags, struct flag *ret, struct err *err)
{
    if (flags->next >= flags->argc)
        return 0;
    const char *word = flags->argv[flags->next];
    if (word[0] != '-' || !word[1])
        return 0;
    flags->next++;
    if (strcmp(word, "--") == 0)
        return 0;
    *ret = (struct flag){.word = word};
    const char *name = word + 2;
    size_t len = word[1] == '-' ? strcspn(name, "=") : 0;
    if (len == 0 || look_up_flag(flags->set, name, len, ret) < 0)
        return err_set(err, -ENOENT, "%s: unknown flag; %s --help names all", word,
                       flags->set->program);
    bool has_value = name[len] == '=';
    if (has_value && (ret->value || (ret->kind != FLAG_SETTING && ret->kind != FLAG_CONFIG)))
        return err_set(err, -EINVAL, "%s: the flag takes no value", word);
    if (has_value)
        ret->value = name + len + 1;
    else if (flag_takes_value(ret) && flags->next < flags->argc)
        ret->value = flags->argv[flags->next++];
    else if (flag_takes_value(ret))
        return err_set(err, -EINVAL, "%s: a value must follow", word);
    return 1;
}

/* The first look at the flags: which file to read, and whether only to print something. So --help
 * works also where the file is broken. */
static int scan_flags(struct flags *flags, enum flag_kind *ret_print, const char **ret_file,
                      struct err *err)
{
    struct flag flag;
    int r;
    while ((r = next_flag(flags, &flag, err)) > 0) {
        if (flag.kind == FLAG_CONFIG) {
            *ret_file = flag.value;
        } else if (flag.kind != FLAG_SETTING) {
            *ret_print = flag.kind;
            return 0;
        }
    }
    return r;
}

static int apply_defaults(const struct option_set *set, void *config, struct err *err)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct option_def *def = &set->defs[i];
        assert(def->min <= def->max);
        option_clear(def, config);
        int r = def->def ? option_assign(def, def->def, config, err) : 0;
        if (r < 0)
            return err_wrap(err, r, "the default of %s", def->name);
    }
    return 0;
}

static int apply_file(const struct option_set *set, const char *path, bool must_exist, void *config,
                      struct err *err)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    int r = fs_read_at(AT_FDCWD, path, OPTIONS_FILE_MAX, &bytes, err);
    if (r == -ENOENT && !must_exist)
        return 0;
    if (r < 0)
        return err_wrap(err, r, "the settings' file");
    return options_read_ini(set, path, (const char *)bytes.data, bytes.len, config, err);
}

/* The variable's value; NULL if it is not set or empty, which is how a shell or a pod spec says
 * that it is not set. *name is left filled for an error. */
static int read_variable(const struct option_set *set, const char *setting, struct buf *name,
                         const char **ret, struct err *err)
{
    name->len = 0;
    int r = option_variable_name(set->program, setting, name);
    if (r < 0)
        return err_errno(err, r, "naming a variable");
    const char *value = getenv((const char *)name->data);
    *ret = value && *value ? value : NULL;
    return 0;
}

static int apply_environment(const struct option_set *set, void *config, struct err *err)
{
    _cleanup_(buf_free) struct buf name = {0};
    for (size_t i = 0; i < set->count; i++) {
        const char *value;
        int r = read_variable(set, set->defs[i].name, &name, &value, err);
        if (r < 0)
            return r;
        if (value && (r = option_assign(&set->defs[i], value, config, err)) < 0)
            return err_wrap(err, r, "the variable %s", (const char *)name.data);
    }
    return 0;
}

static int apply_flags(struct flags *flags, void *config, struct err *err)
{
    struct flag flag;
    int r;
    while ((r = next_flag(flags, &flag, err)) > 0) {
        if (flag.kind != FLAG_SETTING)
            continue;
        r = option_assign(flag.def, flag.value ? flag.value : "true", config, err);
        if (r < 0)
            return err_wrap(err, r, "--%s", flag.def->name);
    }
    return r;
}

static void print(const struct option_set *set, enum flag_kind what)
{
    if (what == FLAG_HELP)
        options_print_help(set, stdout);
    else if (what == FLAG_MAN)
        options_print_man(set, stdout);
    else
        printf("%s %s\n", set->program, PACKAGE_VERSION);
}

static int load(const struct option_set *set, struct flags *flags, const char *file, void *config,
                struct err *err)
{
    _cleanup_(buf_free) struct buf name = {0};
    bool file_named = true;
    int r = file ? 0 : read_variable(set, OPTIONS_CONFIG_FLAG, &name, &file, err);
    if (r < 0)
        return r;
    if (!file) {
        file_named = false;
        file = set->default_file;
    }
    if ((r = apply_defaults(set, config, err)) < 0)
        return r;
    if (file && (r = apply_file(set, file, file_named, config, err)) < 0)
        return r;
    if ((r = apply_environment(set, config, err)) < 0)
        return r;
    return apply_flags(flags, config, err);
}

int options_load(const struct option_set *set, int argc, char **argv, void *config,
                 enum options_action *ret_action, int *ret_rest, struct err *err)
{
    struct flags flags = {.set = set, .argc = argc, .argv = argv, .next = 1};
    enum flag_kind to_print = FLAG_SETTING;
    const char *file = NULL;
    int r = scan_flags(&flags, &to_print, &file, err);
    int rest = flags.next;
    if (r == 0 && to_print != FLAG_SETTING) {
        print(set, to_print);
        if (fflush(stdout) != 0)
            r = err_errno(err, -errno, "writing to the standard output");
    } else if (r == 0) {
        flags.next = 1;
        r = load(set, &flags, file, config, err);
    }
    if (r < 0) {
        for (size_t i = 0; i < set->count; i++)
            option_clear(&set->defs[i], config);
        return r;
    }
    *ret_action = to_print == FLAG_SETTING ? OPTIONS_RUN : OPTIONS_DONE;
    *ret_rest = rest;
    return 0;
}

void options_free(const struct option_set *set, void *config, size_t size)
{
    for (size_t i = 0; i < set->count; i++)
        option_clear(&set->defs[i], config);
    memset(config, 0, size);
}
