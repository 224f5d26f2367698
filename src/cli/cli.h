/* cli.h: what the subcommands of podflame share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/options.h"

struct err;

/* All settings of all commands; each command takes those it names. */
struct cli_config {
    char *server;
    char *server_ca;
    int64_t timeout_ns;
    char *start, *end;
    char *node, *process, *thread, *where;
    char *group;
    uint64_t count;
    char *names; /* NULL: as the command has it */
    bool lines;
    bool json;
};

extern const struct option_def cli_options[];
extern const size_t cli_option_count;

struct cli_command {
    const char *name;
    const char *summary;   /* one line */
    const char *arguments; /* words that must follow: "FILE", or "" */
    const char *options;   /* names of cli_options, with blanks around each */
    int (*run)(const struct cli_config *config, char **args, struct err *err);
};

extern const struct cli_command cli_commands[];
extern const size_t cli_command_count;

int cli_top(const struct cli_config *config, char **args, struct err *err);
int cli_flame(const struct cli_config *config, char **args, struct err *err);
int cli_processes(const struct cli_config *config, char **args, struct err *err);
int cli_stacks(const struct cli_config *config, char **args, struct err *err);
int cli_nodes(const struct cli_config *config, char **args, struct err *err);
int cli_status(const struct cli_config *config, char **args, struct err *err);
int cli_batch(const struct cli_config *config, char **args, struct err *err);

/* For the man page: roff that lists the commands, to be freed. */
char *cli_commands_roff(void);

/* fetch.c: asks the server. `path` is "/api/v1/...", with its query. An answer other than 200 is an
 * error that has the server's words; no server, one that says what to start. */
int cli_fetch_json(const struct cli_config *config, const char *path, json_t **ret,
                   struct err *err);
/* The answer's bytes as they come; nothing is written if it is an error. */
int cli_fetch_to(const struct cli_config *config, const char *path, FILE *to, struct err *err);

/* settings.c: whether --names asks for short names; `by_default` if it is not given. -EINVAL. */
int cli_short_names(const struct cli_config *config, bool by_default, bool *ret, struct err *err);

/* query.c: `path` and the settings that choose samples (start, end, node, process, thread, where),
 * to be freed. `more` is put behind as it is, such as "&format=folded", or "". */
int cli_query(const struct cli_config *config, const char *path, const char *more, char **ret,
              struct err *err);

static inline void cleanup_json(json_t **json)
{
    json_decref(*json);
}
#define _cleanup_json_ _cleanup_(cleanup_json)
