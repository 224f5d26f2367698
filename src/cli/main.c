/* main.c: podflame. Finds the command, loads its settings, runs it. */
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/options.h"
#include "cli/cli.h"

#define MAX_OPTIONS 16
#define EXIT_USAGE  2

static const char description[] =
    "Asks a podflame-server where the CPU time of its nodes goes.\n\n"
    "Settings may also stand before the command; `podflame COMMAND --help` prints those a command "
    "takes.";

/* A command's own settings, or all of them. */
struct chosen {
    struct option_def defs[MAX_OPTIONS];
    struct option_set set;
};

static bool takes_option(const struct cli_command *command, const char *name)
{
    char word[32];
    snprintf(word, sizeof(word), " %s ", name);
    return !command || strstr(command->options, word);
}

static void choose_options(const struct cli_command *command, const char *tail, const char *man,
                           struct chosen *ret)
{
    *ret = (struct chosen){0};
    size_t count = 0;
    for (size_t i = 0; i < cli_option_count; i++)
        if (takes_option(command, cli_options[i].name))
            ret->defs[count++] = cli_options[i];
    ret->set = (struct option_set){
        .program = "podflame",
        .summary = command ? command->summary : "where the CPU time of your nodes goes",
        .synopsis_tail = tail,
        .description = command ? NULL : description,
        .man_tail = man,
        .man_section = 1,
        .defs = ret->defs,
        .count = count,
    };
}

static const struct cli_command *find_command(const char *word)
{
    for (size_t i = 0; i < cli_command_count; i++)
        if (strcmp(cli_commands[i].name, word) == 0)
            return &cli_commands[i];
    return NULL;
}

static void print_commands(FILE *to)
{
    fputs("\nCommands:\n", to);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = &cli_commands[i];
        fprintf(to, "  %s%s%-*s%s\n", c->name, *c->arguments ? " " : "",
                (int)(16 - strlen(c->name) - (*c->arguments != 0)), c->arguments, c->summary);
    }
}

static int complain(const char *text)
{
    fprintf(stderr, "podflame: %s\n", text);
    return EXIT_USAGE;
}

static int run_command(const struct cli_command *command, const struct chosen *options, int argc,
                       char **argv)
{
    struct cli_config config = {0};
    enum options_action action;
    struct err err = {0};
    int rest, words = *command->arguments ? 1 : 0;
    int r = options_load(&options->set, argc, argv, &config, &action, &rest, &err);
    if (r < 0)
        return complain(err.text);
    if (action == OPTIONS_DONE)
        return EXIT_SUCCESS;
    int status = EXIT_SUCCESS;
    if (argc - rest != words) {
        fprintf(stderr, "podflame %s: %s%s\n", command->name,
                argc - rest > words ? "nothing may follow, but here is " : "this must follow: ",
                argc - rest > words ? argv[rest + words] : command->arguments);
        status = EXIT_USAGE;
    } else if ((r = command->run(&config, argv + rest, &err)) < 0) {
        fprintf(stderr, "podflame %s: %s\n", command->name, err.text);
        status = r == -EINVAL ? EXIT_USAGE : EXIT_FAILURE;
    }
    options_free(&options->set, &config, sizeof(config));
    return status;
}

/* Looks for the command behind the flags that may stand before it. */
static int find_word(int argc, char **argv, int *ret_word)
{
    _cleanup_free_ char *man = cli_commands_roff();
    struct chosen all;
    struct cli_config config = {0};
    enum options_action action;
    struct err err = {0};
    choose_options(NULL, "COMMAND", man, &all);
    int r = options_load(&all.set, argc, argv, &config, &action, ret_word, &err);
    if (r < 0)
        return complain(err.text);
    options_free(&all.set, &config, sizeof(config));
    if (action == OPTIONS_RUN)
        return -1;
    bool is_help = false;
    for (int i = 1; i < argc && !is_help; i++)
        is_help = strcmp(argv[i], "--help") == 0;
    if (is_help)
        print_commands(stdout);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    int word, status = find_word(argc, argv, &word);
    if (status >= 0)
        return status;
    if (word == argc) {
        complain("which command? `podflame --help` prints all");
        print_commands(stderr);
        return EXIT_USAGE;
    }
    const struct cli_command *command = find_command(argv[word]);
    if (!command) {
        fprintf(stderr, "podflame: there is no command %s\n", argv[word]);
        print_commands(stderr);
        return EXIT_USAGE;
    }
    /* The word goes, so that flags may stand on both sides of it. */
    memmove(argv + word, argv + word + 1, (size_t)(argc - word) * sizeof(*argv));
    char tail[64];
    struct chosen options;
    snprintf(tail, sizeof(tail), "%s%s%s", command->name, *command->arguments ? " " : "",
             command->arguments);
    choose_options(command, tail, NULL, &options);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return complain("libcurl does not start");
    status = run_command(command, &options, argc - 1, argv);
    curl_global_cleanup();
    return status;
}
