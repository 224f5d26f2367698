/* settings.c: the settings of all commands, declared once. */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/options.h"
#include "cli/cli.h"

#define AT(member) .offset = offsetof(struct cli_config, member)
#define SECOND     1000000000ull

const struct option_def cli_options[] = {
    {.name = "server",
     .type = OPTION_STRING,
     AT(server),
     .arg = "URL",
     .def = "http://127.0.0.1:7357",
     .section = "Server",
     .help = "Where podflame-server listens."},
    {.name = "server-ca",
     .type = OPTION_STRING,
     AT(server_ca),
     .arg = "FILE",
     .section = "Server",
     .help = "Certificates (PEM) that an https server's must be signed by, in place of the "
             "system's."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     AT(timeout_ns),
     .arg = "TIME",
     .def = "60s",
     .min = SECOND,
     .max = 86400 * SECOND,
     .section = "Server",
     .help = "How long an answer may take."},
    {.name = "start",
     .type = OPTION_STRING,
     AT(start),
     .arg = "TIME",
     .def = "-5m",
     .section = "Samples",
     .help = "The first moment to look at: an age such as -30s, -5m, -1h30m or -2d, or "
             "2026-11-22T16:00:00Z, or seconds since 1970."},
    {.name = "end",
     .type = OPTION_STRING,
     AT(end),
     .arg = "TIME",
     .def = "now",
     .section = "Samples",
     .help = "The moment behind the last to look at."},
    {.name = "node",
     .type = OPTION_STRING,
     AT(node),
     .arg = "NAME",
     .section = "Samples",
     .help = "Only samples of this node."},
    {.name = "process",
     .type = OPTION_STRING,
     AT(process),
     .arg = "NAME",
     .section = "Samples",
     .help = "Only samples of processes of this name."},
    {.name = "thread",
     .type = OPTION_STRING,
     AT(thread),
     .arg = "NAME",
     .section = "Samples",
     .help = "Only samples of threads of this name."},
    {.name = "where",
     .type = OPTION_STRING,
     AT(where),
     .arg = "LABEL=VALUE,...",
     .section = "Samples",
     .help = "Only samples with these labels, such as namespace=shop,pod=cart-0. The same label "
             "twice: either value."},
    {.name = "group",
     .type = OPTION_STRING,
     AT(group),
     .arg = "LABEL,...",
     .def = "process",
     .section = "Output",
     .help = "The labels that stand before the frames."},
    {.name = "count",
     .type = OPTION_UINT,
     AT(count),
     .arg = "N",
     .def = "10",
     .min = 1,
     .max = 1000000,
     .section = "Output",
     .help = "How many rows to print."},
    {.name = "names",
     .type = OPTION_STRING,
     AT(names),
     .arg = "full|short",
     .section = "Output",
     .help = "Whether functions' names are printed in full, or short: without template arguments, "
             "parameters and packages' paths. Without it top prints them short, flame in full; "
             "JSON has both."},
    {.name = "lines",
     .type = OPTION_BOOL,
     AT(lines),
     .section = "Output",
     .help = "Tell the lines of a function apart; where one is known it stands behind the name."},
    {.name = "json",
     .type = OPTION_BOOL,
     AT(json),
     .section = "Output",
     .help = "Print JSON in place of a table."},
};
const size_t cli_option_count = ARRAY_LEN(cli_options);

int cli_short_names(const struct cli_config *config, bool by_default, bool *ret, struct err *err)
{
    const char *names = config->names ? config->names : by_default ? "short" : "full";
    bool is_short = strcmp(names, "short") == 0;
    if (!is_short && strcmp(names, "full") != 0)
        return err_set(err, -EINVAL, "--names %.64s: write full or short", names);
    *ret = is_short;
    return 0;
}
