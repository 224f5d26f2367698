/* test_options.c: a program's table of settings is read from defaults, file, environment and flags,
 * each over the one before, and what is wrong is said with the place where it stands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/options.h"

struct probe {
    char *server, *state_dir;
    bool verbose, ship;
    uint64_t frequency, spool_max;
    int64_t window_ns;
};

#define AT(member) offsetof(struct probe, member)

static const struct option_def defs[] = {
    {"server", OPTION_STRING, AT(server), "URL", NULL, 0, 0, "Shipping", "Where batches go."},
    {"state-dir", OPTION_STRING, AT(state_dir), "DIR", "/var/lib/probe", 0, 0, "Shipping",
     "Where batches wait until the server has taken them. A backslash \\ and a leading\n.dot."},
    {"spool-max", OPTION_BYTES, AT(spool_max), "SIZE", "64MiB", 4096, UINT64_MAX, "Shipping",
     "How much may wait."},
    {"ship", OPTION_BOOL, AT(ship), NULL, "true", 0, 0, "Shipping", "Ship nothing."},
    {"window", OPTION_DURATION, AT(window_ns), "DURATION", "30s", 1000000000, 300000000000,
     "Sampling", "How long a batch is."},
    {"frequency", OPTION_UINT, AT(frequency), "HZ", "100", 1, 10000, "Sampling",
     "Samples a second on each CPU."},
    {"verbose", OPTION_BOOL, AT(verbose), NULL, NULL, 0, 0, "Sampling", "Say more."},
};

static struct option_set set = {
    .program = "podflame-probe",
    .summary = "a program for this test",
    .synopsis_tail = "[FILE...]",
    .description = "It does nothing.\n\nIt does it well.",
    .man_tail = ".SH SEE ALSO\n.BR perf (1)\n",
    .man_section = 8,
    .defs = defs,
    .count = ARRAY_LEN(defs),
};

static const char *const variables[] = {
    "PODFLAME_PROBE_SERVER",  "PODFLAME_PROBE_STATE_DIR", "PODFLAME_PROBE_SPOOL_MAX",
    "PODFLAME_PROBE_SHIP",    "PODFLAME_PROBE_WINDOW",    "PODFLAME_PROBE_FREQUENCY",
    "PODFLAME_PROBE_VERBOSE", "PODFLAME_PROBE_CONFIG",
};

static char file_path[] = "/tmp/podflame-options-XXXXXX";

static int set_up(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        unsetenv(variables[i]);
    set.default_file = NULL;
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(file_path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

struct loaded {
    struct probe probe;
    enum options_action action;
    int rest, code;
    struct err err;
};

static void free_loaded(struct loaded *l)
{
    options_free(&set, &l->probe, sizeof(l->probe));
}

/* `words` ends with NULL and is without argv[0]. */
static struct loaded load_words(const char *const *words)
{
    char *argv[32] = {(char *)"probe"};
    int argc = 1;
    for (; words[argc - 1]; argc++)
        argv[argc] = (char *)words[argc - 1];
    struct loaded l = {.rest = -1};
    l.code = options_load(&set, argc, argv, &l.probe, &l.action, &l.rest, &l.err);
    return l;
}

#define LOAD(...)                            \
    _cleanup_(free_loaded) struct loaded l = \
        load_words((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void without_anything_the_defaults_hold(void **state)
{
    LOAD();
    assert_int_equal(l.code, 0);
    assert_int_equal(l.action, OPTIONS_RUN);
    assert_int_equal(l.rest, 1);
    assert_null(l.probe.server);
    assert_string_equal(l.probe.state_dir, "/var/lib/probe");
    assert_int_equal(l.probe.spool_max, 64 << 20);
    assert_true(l.probe.ship);
    assert_false(l.probe.verbose);
    assert_int_equal(l.probe.window_ns, 30000000000);
    assert_int_equal(l.probe.frequency, 100);
}

static void flags_go_before_variables_before_the_file_before_defaults(void **state)
{
    write_file("[podflame-probe]\nserver = http://file\nwindow = 5s\nfrequency = 7\nship = no\n");
    setenv("PODFLAME_PROBE_SERVER", "http://variable", 1);
    setenv("PODFLAME_PROBE_WINDOW", "6s", 1);
    LOAD("--config", file_path, "--server=http://flag");
    assert_int_equal(l.code, 0);
    assert_string_equal(l.probe.server, "http://flag");
    assert_int_equal(l.probe.window_ns, 6000000000);
    assert_int_equal(l.probe.frequency, 7);
    assert_false(l.probe.ship);
    assert_string_equal(l.probe.state_dir, "/var/lib/probe");
}

static void a_switch_is_turned_on_and_off(void **state)
{
    static const struct {
        const char *flag;
        bool verbose, ship;
    } cases[] = {
        {"--verbose", true, true},     {"--verbose=no", false, true}, {"--verbose=YES", true, true},
        {"--no-verbose", false, true}, {"--no-ship", false, false},   {"--ship=off", false, false},
        {"--ship=1", false, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        LOAD(cases[i].flag);
        assert_int_equal(l.code, 0);
        assert_int_equal(l.probe.verbose, cases[i].verbose);
        assert_int_equal(l.probe.ship, cases[i].ship);
    }
}

static void flags_end_at_the_first_word_or_two_dashes(void **state)
{
    {
        LOAD("--frequency", "50", "top", "--limit", "10");
        assert_int_equal(l.code, 0);
        assert_int_equal(l.rest, 3);
        assert_int_equal(l.probe.frequency, 50);
    }
    {
        LOAD("--verbose", "--", "--frequency");
        assert_int_equal(l.code, 0);
        assert_int_equal(l.rest, 3);
    }
    {
        LOAD("--verbose", "-");
        assert_int_equal(l.rest, 2);
    }
}

static void the_last_flag_of_a_name_holds(void **state)
{
    LOAD("--server", "a", "--server", "b", "--server=");
    assert_int_equal(l.code, 0);
    assert_string_equal(l.probe.server, "");
}

/* What is wrong in a flag or variable, as the user reads it. */
static void a_wrong_flag_is_named_with_what_is_allowed(void **state)
{
    static const struct {
        const char *words[4];
        int code;
        const char *text;
    } cases[] = {
        {{"--windw", "5s"}, -ENOENT, "--windw: unknown flag; podflame-probe --help names all"},
        {{"-w"}, -ENOENT, "-w: unknown flag; podflame-probe --help names all"},
        {{"--=x"}, -ENOENT, "--=x: unknown flag; podflame-probe --help names all"},
        {{"--no-window"}, -ENOENT, "--no-window: unknown flag; podflame-probe --help names all"},
        {{"--window"}, -EINVAL, "--window: a value must follow"},
        {{"--config"}, -EINVAL, "--config: a value must follow"},
        {{"--no-ship=true"}, -EINVAL, "--no-ship=true: the flag takes no value"},
        {{"--help=all"}, -EINVAL, "--help=all: the flag takes no value"},
        {{"--window", "5x"},
         -EINVAL,
         "--window: \"5x\" is not a duration such as 250ms, 30s, 5m, 1h or 7d"},
        {{"--window", "10m"}, -ERANGE, "--window: \"10m\" is too large; allowed is 1s to 5m"},
        {{"--window", "999ms"}, -ERANGE, "--window: \"999ms\" is too small; allowed is 1s to 5m"},
        {{"--spool-max", "1K"},
         -ERANGE,
         "--spool-max: \"1K\" is too small; allowed is at least 4KiB"},
        {{"--frequency", "0"}, -ERANGE, "--frequency: \"0\" is too small; allowed is 1 to 10000"},
        {{"--frequency", "1K"}, -EINVAL, "--frequency: \"1K\" is not a whole number"},
        {{"--verbose=maybe"},
         -EINVAL,
         "--verbose: \"maybe\" is neither true (yes, on, 1) nor false (no, off, 0)"},
        {{"--config", "/nonexistent/probe.conf"},
         -ENOENT,
         "the settings' file: opening /nonexistent/probe.conf: No such file or directory"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct loaded l = load_words(cases[i].words);
        assert_string_equal(l.err.text, cases[i].text);
        assert_int_equal(l.code, cases[i].code);
        static const struct probe empty;
        assert_memory_equal(&l.probe, &empty, sizeof(empty));
    }
}

static void a_wrong_variable_is_named(void **state)
{
    setenv("PODFLAME_PROBE_SPOOL_MAX", "lots", 1);
    LOAD();
    assert_int_equal(l.code, -EINVAL);
    assert_string_equal(l.err.text, "the variable PODFLAME_PROBE_SPOOL_MAX: \"lots\" is not a size "
                                    "such as 4096, 64KiB, 1MiB or 2GiB");
}

static void an_empty_variable_is_none(void **state)
{
    setenv("PODFLAME_PROBE_STATE_DIR", "", 1);
    setenv("PODFLAME_PROBE_CONFIG", "", 1);
    LOAD();
    assert_int_equal(l.code, 0);
    assert_string_equal(l.probe.state_dir, "/var/lib/probe");
}

static void the_file_may_be_named_by_the_environment(void **state)
{
    write_file("[podflame-probe]\nfrequency = 9\n");
    setenv("PODFLAME_PROBE_CONFIG", file_path, 1);
    LOAD();
    assert_int_equal(l.code, 0);
    assert_int_equal(l.probe.frequency, 9);
}

static void the_default_file_may_be_missing_but_not_wrong(void **state)
{
    set.default_file = "/nonexistent/probe.conf";
    {
        LOAD();
        assert_int_equal(l.code, 0);
    }
    set.default_file = file_path;
    write_file("[podflame-probe]\nfrequency = 12\n");
    {
        LOAD();
        assert_int_equal(l.probe.frequency, 12);
    }
    write_file("[podflame-probe]\nfrequency = many\n");
    LOAD();
    assert_int_equal(l.code, -EINVAL);
}

static void the_file_has_comments_and_other_programs_sections(void **state)
{
    write_file("\xef\xbb\xbf# one file for all\n[podflame-server]\nlisten = :80\n\n"
               "; probe's\n  [podflame-probe]  \r\nserver: http://a;b ; not c\nverbose = On\r\n"
               "[podflame]\nserver = http://c");
    LOAD("--config", file_path);
    assert_string_equal(l.err.text, "");
    assert_int_equal(l.code, 0);
    assert_string_equal(l.probe.server, "http://a;b");
    assert_true(l.probe.verbose);
}

static void a_wrong_file_is_named_with_the_line(void **state)
{
    char long_line[400];
    snprintf(long_line, sizeof(long_line), "[podflame-probe]\nserver = %0300d\n", 1);
    const struct {
        const char *text, *says;
    } cases[] = {
        {"\n[podflame-probe]\nwindw = 5s\n",
         ":3: unknown setting \"windw\"; podflame-probe --help names all"},
        {"[podflame-probe]\n\nwindow = 5m\n\nwindow = 1s\n",
         ":5: window is set for the second time, first in line 3"},
        {"[podflame-probe]\nserver = a\n  b\n",
         ":3: neither \"[section]\" nor \"setting = value\""},
        {"window = 5s\n", ":1: a setting before the first section; put [podflame-probe] above it"},
        {"[probe]\nwindow = 5s\n",
         ":2: unknown section [probe]; settings of podflame-probe stand below [podflame-probe]"},
        {"[podflame-probe]\nwindow\n", ":2: neither \"[section]\" nor \"setting = value\""},
        {"[podflame-probe\nwindow = 1s\n", ":1: neither \"[section]\" nor \"setting = value\""},
        {"[podflame-probe]\nwindow = 1y\nfrequency = x\n",
         ":2: window: \"1y\" is not a duration such as 250ms, 30s, 5m, 1h or 7d"},
        {long_line, ":2: the line is longer than 198 bytes"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_file(cases[i].text);
        LOAD("--config", file_path);
        assert_true(l.code < 0);
        assert_memory_equal(l.err.text, file_path, strlen(file_path));
        assert_string_equal(l.err.text + strlen(file_path), cases[i].says);
    }
}

static void a_reload_takes_the_new_file_and_a_wrong_one_leaves_nothing(void **state)
{
    struct probe probe = {0};
    enum options_action action;
    int rest;
    struct err err;
    char *argv[] = {(char *)"probe", (char *)"--config", file_path, NULL};
    write_file("[podflame-probe]\nserver = http://one\nfrequency = 1\n");
    assert_int_equal(options_load(&set, 3, argv, &probe, &action, &rest, &err), 0);
    assert_string_equal(probe.server, "http://one");
    write_file("[podflame-probe]\nverbose = yes\n");
    assert_int_equal(options_load(&set, 3, argv, &probe, &action, &rest, &err), 0);
    assert_null(probe.server);
    assert_int_equal(probe.frequency, 100);
    assert_true(probe.verbose);
    write_file("[podflame-probe]\nverbose = perhaps\n");
    assert_int_equal(options_load(&set, 3, argv, &probe, &action, &rest, &err), -EINVAL);
    static const struct probe empty;
    assert_memory_equal(&probe, &empty, sizeof(empty));
}

static char *printed(void (*print)(const struct option_set *, FILE *))
{
    char *text = NULL;
    size_t len;
    FILE *f = open_memstream(&text, &len);
    assert_non_null(f);
    print(&set, f);
    assert_int_equal(fclose(f), 0);
    return text;
}

static void help_is_made_from_the_table(void **state)
{
    set.default_file = "/etc/probe.conf";
    _cleanup_free_ char *text = printed(options_print_help);
    assert_string_equal(
        text, "Usage: podflame-probe [OPTIONS] [FILE...]\n"
              "\n"
              "a program for this test\n"
              "\n"
              "It does nothing.\n"
              "\n"
              "It does it well.\n"
              "\n"
              "Shipping:\n"
              "  --server URL              Where batches go.\n"
              "  --state-dir DIR           Where batches wait until the server has taken them.\n"
              "                            A backslash \\ and a leading .dot. (default\n"
              "                            /var/lib/probe)\n"
              "  --spool-max SIZE          How much may wait. (default 64MiB, at least 4KiB)\n"
              "  --no-ship                 Ship nothing.\n"
              "\n"
              "Sampling:\n"
              "  --window DURATION         How long a batch is. (default 30s, 1s to 5m)\n"
              "  --frequency HZ            Samples a second on each CPU. (default 100, 1 to\n"
              "                            10000)\n"
              "  --verbose                 Say more.\n"
              "\n"
              "Other:\n"
              "  --config FILE             Read settings from FILE. (default /etc/probe.conf)\n"
              "  --help                    Print this help and exit.\n"
              "  --version                 Print the version and exit.\n"
              "  --man                     Print the manual page's source (roff) and exit.\n"
              "\n"
              "A setting is taken from its flag, else from the environment\n"
              "(PODFLAME_PROBE_SERVER), else from the file (server = VALUE below\n"
              "[podflame-probe]), else it has its default.\n");
}

static void the_man_page_is_made_from_the_table(void **state)
{
    _cleanup_free_ char *text = printed(options_print_man);
    static const char *const parts[] = {
        ".TH \"PODFLAME-PROBE\" 8 \"\" \"" PACKAGE_STRING "\" \"podflame manual\"\n.SH NAME\n"
        "podflame-probe \\- a program for this test\n",
        ".SH SYNOPSIS\n\\fBpodflame-probe\\fR [\\fIOPTIONS\\fR] [FILE...]\n",
        ".SH DESCRIPTION\nIt does nothing.\n.PP\nIt does it well.\n",
        ".SS Shipping\n.TP\n\\fB\\-\\-server\\fR \\fIURL\\fR\nWhere batches go.\n",
        "A backslash \\e and a leading\n\\&.dot.\n",
        "\\fB\\-\\-no\\-ship\\fR\nShip nothing.\n",
        "How long a batch is.\nDefault 30s, 1s to 5m.\n",
        ".SH ENVIRONMENT\n",
        "PODFLAME_PROBE_SERVER",
        ".SH CONFIGURATION FILE\n",
        ".SH SEE ALSO\n.BR perf (1)\n",
    };
    const char *at = text;
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        at = strstr(at, parts[i]);
        if (!at)
            fail_msg("the page lacks, or has in another place: %s", parts[i]);
    }
}

/* What a run of options_load leaves on the standard output. */
static char *stdout_of(const char *flag, int *ret_code, enum options_action *ret_action)
{
    fflush(stdout);
    FILE *f = tmpfile();
    assert_non_null(f);
    int saved = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(f), STDOUT_FILENO) >= 0);
    LOAD("--config", "/nonexistent", flag);
    fflush(stdout);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    char *text = calloc(1, 65536);
    assert_non_null(text);
    rewind(f);
    size_t got = fread(text, 1, 65535, f);
    text[got] = 0;
    fclose(f);
    *ret_code = l.code;
    *ret_action = l.action;
    return text;
}

static void help_version_and_man_print_and_are_done_even_with_a_broken_file(void **state)
{
    static const struct {
        const char *flag, *begin;
    } cases[] = {{"--help", "Usage: podflame-probe [OPTIONS]"},
                 {"--version", "podflame-probe " PACKAGE_VERSION "\n"},
                 {"--man", ".TH \"PODFLAME-PROBE\" 8 "}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code;
        enum options_action action;
        _cleanup_free_ char *text = stdout_of(cases[i].flag, &code, &action);
        assert_int_equal(code, 0);
        assert_int_equal(action, OPTIONS_DONE);
        assert_memory_equal(text, cases[i].begin, strlen(cases[i].begin));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_anything_the_defaults_hold, set_up),
        cmocka_unit_test_setup(flags_go_before_variables_before_the_file_before_defaults, set_up),
        cmocka_unit_test_setup(a_switch_is_turned_on_and_off, set_up),
        cmocka_unit_test_setup(flags_end_at_the_first_word_or_two_dashes, set_up),
        cmocka_unit_test_setup(the_last_flag_of_a_name_holds, set_up),
        cmocka_unit_test_setup(a_wrong_flag_is_named_with_what_is_allowed, set_up),
        cmocka_unit_test_setup(a_wrong_variable_is_named, set_up),
        cmocka_unit_test_setup(an_empty_variable_is_none, set_up),
        cmocka_unit_test_setup(the_file_may_be_named_by_the_environment, set_up),
        cmocka_unit_test_setup(the_default_file_may_be_missing_but_not_wrong, set_up),
        cmocka_unit_test_setup(the_file_has_comments_and_other_programs_sections, set_up),
        cmocka_unit_test_setup(a_wrong_file_is_named_with_the_line, set_up),
        cmocka_unit_test_setup(a_reload_takes_the_new_file_and_a_wrong_one_leaves_nothing, set_up),
        cmocka_unit_test_setup(help_is_made_from_the_table, set_up),
        cmocka_unit_test_setup(the_man_page_is_made_from_the_table, set_up),
        cmocka_unit_test_setup(help_version_and_man_print_and_are_done_even_with_a_broken_file,
                               set_up),
    };
    int fd = mkstemp(file_path);
    if (fd < 0)
        return 99;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(file_path);
    return failed;
}
