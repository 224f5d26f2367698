/* commands.c: the table of subcommands. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "cli/cli.h"

#define SERVER  " server server-ca timeout "
#define SAMPLES " start end node process thread where "

const struct cli_command cli_commands[] = {
    {"top", "print the functions that took the most CPU time", "",
     SERVER SAMPLES " count names lines json ", cli_top},
    {"flame", "print stacks as folded lines, as flamegraph.pl takes them", "",
     SERVER SAMPLES " group names lines json ", cli_flame},
    {"processes", "print the processes that took the most CPU time", "",
     SERVER SAMPLES " count json ", cli_processes},
    {"stacks", "print how whole the stacks are, and how they were got", "",
     SERVER " start end node json ", cli_stacks},
    {"nodes", "print the nodes that send batches", "", SERVER " json ", cli_nodes},
    {"status", "print the server's version, its store and what the agents counted", "",
     SERVER " json ", cli_status},
    {"batch", "print a batch out of an agent's spool as JSON", "FILE", " ", cli_batch},
};
const size_t cli_command_count = ARRAY_LEN(cli_commands);

char *cli_commands_roff(void)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    if (!to)
        return NULL;
    fputs(".SH COMMANDS\n", to);
    for (const struct cli_command *c = cli_commands; c < cli_commands + cli_command_count; c++)
        fprintf(to, ".TP\n\\fB%s\\fR%s%s%s\n%c%s.\n", c->name, *c->arguments ? " \\fI" : "",
                c->arguments, *c->arguments ? "\\fR" : "", c->summary[0] - 'a' + 'A',
                c->summary + 1);
    fputs(".SH EXIT STATUS\n0 on success, 1 on failure, 2 if the command line was wrong.\n"
          ".SH EXAMPLES\n.nf\n"
          "podflame top \\-\\-start \\-1h \\-\\-process nginx\n"
          "podflame flame \\-\\-where namespace=shop | flamegraph.pl > shop.svg\n.fi\n"
          ".SH SEE ALSO\n\\fBpodflame\\-server\\fR(8), \\fBpodflamed\\fR(8)\n",
          to);
    if (fclose(to) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
