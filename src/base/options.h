/* options.h: a program's settings, declared once.
 *
 * A program describes its settings in one table; the defaults, the INI file, the environment and
 * the flags are read from it, each over the one before, and --help and the man page are printed
 * from it. A setting `spool-max` of the program `podflamed` is
 *     --spool-max 64MiB      on the command line
 *     PODFLAMED_SPOOL_MAX    in the environment
 *     spool-max = 64MiB      in the file, under [podflamed]
 *
 * Kubernetes puts a service's address into the environment of every pod; for one called
 * podflame-server these are PODFLAME_SERVER_PORT, _PORT_..., _SERVICE_HOST and _SERVICE_PORT. No
 * setting may be called so.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct err;

enum option_type {
    OPTION_STRING, /* char *, owned by the config; NULL if the default is NULL */
    OPTION_BOOL,   /* bool; the flag alone means true, --no-NAME false; file: true/false, yes/no */
    OPTION_UINT,   /* uint64_t */
    OPTION_DURATION, /* int64_t, nanoseconds */
    OPTION_BYTES,    /* uint64_t */
};

struct option_def {
    const char *name; /* "spool-max" */
    enum option_type type;
    size_t offset;       /* of the member in the program's config struct */
    const char *arg;     /* what the value is called in --help: "SIZE"; NULL for OPTION_BOOL */
    const char *def;     /* the default as a user would write it; NULL: none */
    uint64_t min, max;   /* inclusive, in the member's unit; both 0: no limits */
    const char *section; /* heading in --help and the man page */
    const char *help;    /* a sentence or more; wrapped when printed */
};

struct option_set {
    const char *program;       /* "podflamed" */
    const char *summary;       /* one line, the man page's NAME */
    const char *synopsis_tail; /* what stands behind [OPTIONS], or "" */
    const char *description;   /* paragraphs split by \n\n, for the man page and --help */
    const char *man_tail; /* further roff for the man page (FILES, SIGNALS, SEE ALSO), or NULL */
    int man_section;      /* 8 for a daemon, 1 for a tool */
    const struct option_def *defs;
    size_t count;
    const char *default_file; /* read if it exists and --config names no other; NULL: none */
};

enum options_action {
    OPTIONS_RUN,
    OPTIONS_DONE, /* --help, --version or --man was asked for and has been printed on stdout */
};

/* Fills `config` (the program's struct, zeroed by the caller before the first call) from defaults,
 * file, environment and flags. Understands --config FILE, --help, --version and --man by itself.
 * Words that are no flags are left for the caller: *ret_rest is the index of the first in argv
 * (argc if there is none). On failure the error names the setting, where it was read (file and
 * line, variable or flag), what was wrong and what is allowed; config is then empty. May be called
 * again to reload. */
int options_load(const struct option_set *set, int argc, char **argv, void *config,
                 enum options_action *ret_action, int *ret_rest, struct err *err);

/* Frees the strings in `config` and zeroes it. `size` is sizeof the program's struct. */
void options_free(const struct option_set *set, void *config, size_t size);

void options_print_help(const struct option_set *set, FILE *to);
void options_print_man(const struct option_set *set, FILE *to);
