/* main.c: podflamed. Takes flags, environment and a file; runs the agent until a signal. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/options.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "k8s/fetch.h"
#include "symbol/worker.h"

struct command_line {
    int argc;
    char **argv;
};

static int load(const struct command_line *line, struct agent_options *options,
                enum options_action *action, struct err *err)
{
    int rest;
    int r = options_load(&agent_option_set, line->argc, line->argv, options, action, &rest, err);
    if (r < 0 || *action == OPTIONS_DONE)
        return r;
    if (rest < line->argc)
        return err_set(err, -EINVAL, "\"%s\" is no flag; see podflamed --help", line->argv[rest]);
    return agent_options_check(options, err);
}

/* Blocked before any thread starts, so that only the descriptor gets them. */
static int open_signals(struct err *err)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    return fd < 0 ? err_errno(err, -errno, "signalfd") : fd;
}

/* The word was checked with the other settings. */
static void set_level(const struct agent_options *options)
{
    enum log_level level;
    if (log_parse_level(options->log_level, &level, NULL) == 0)
        log_set_level(level);
}

static void reload(const struct command_line *line, struct agent *agent)
{
    struct agent_options options = {0};
    enum options_action action;
    struct err err = {0};
    if (load(line, &options, &action, &err) < 0) {
        log_err("settings are kept as they were error=\"%s\"", err.text);
    } else {
        set_level(&options);
        agent_reload(agent, &options);
        log_info("settings read again");
    }
    options_free(&agent_option_set, &options, sizeof(options));
}

static void wait_for_end(const struct command_line *line, struct agent *agent, int signals,
                         int64_t duration_ns)
{
    int64_t until = clock_ns(CLOCK_MONOTONIC) + duration_ns;
    for (;;) {
        int64_t left_ms = (until - clock_ns(CLOCK_MONOTONIC) + NS_PER_MS - 1) / NS_PER_MS;
        if (duration_ns && left_ms <= 0)
            return;
        int timeout = !duration_ns ? -1 : left_ms > 3600000 ? 3600000 : (int)left_ms;
        struct pollfd p[] = {{.fd = signals, .events = POLLIN},
                             {.fd = agent_ended_fd(agent), .events = POLLIN}};
        struct signalfd_siginfo info;
        if (poll(p, ARRAY_LEN(p), timeout) <= 0)
            continue;
        if (p[1].revents) {
            log_info("stopping: the process to be sampled is gone, and all that it created");
            return;
        }
        if (read(signals, &info, sizeof(info)) != sizeof(info))
            continue;
        if (info.ssi_signo != SIGHUP) {
            log_info("stopping signal=%s", sigabbrev_np((int)info.ssi_signo));
            return;
        }
        reload(line, agent);
    }
}

/* Every CPU takes two descriptors, and each thread that is opened by itself one a CPU; the default
 * soft limit of 1024 is a desktop's. */
static void raise_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            log_warn("raising RLIMIT_NOFILE: %s", strerrordesc_np(errno));
    }
}

static int run(const struct command_line *line, const struct agent_options *options,
               struct err *err)
{
    _cleanup_close_ int signals = open_signals(err);
    if (signals < 0)
        return signals;
    raise_files();
    struct agent *agent = NULL;
    int r = fetch_init(err);
    if (r == 0)
        r = agent_start(options, &agent, err);
    if (r < 0)
        return r;
    if (options->replay)
        r = agent_replay(agent, err);
    else
        wait_for_end(line, agent, signals, options->duration_ns);
    agent_stop(&agent);
    return r;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main();
    struct command_line line = {argc, argv};
    struct agent_options options = {0};
    enum options_action action = OPTIONS_RUN;
    struct err err = {0};
    log_open("podflamed", LOG_LEVEL_INFO);
    int r = load(&line, &options, &action, &err);
    if (r == 0 && action == OPTIONS_RUN) {
        set_level(&options);
        r = run(&line, &options, &err);
    }
    if (r < 0)
        log_err("%s", err.text);
    options_free(&agent_option_set, &options, sizeof(options));
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
