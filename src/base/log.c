/* log.c: takes a level and words, gives one whole line on stderr in one write. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"

static const char *log_program = "podflame";
static bool log_to_journal;
static atomic_int log_level = LOG_LEVEL_INFO;

void log_open(const char *program, enum log_level level)
{
    log_program = program;
    log_to_journal = getenv("JOURNAL_STREAM") != NULL;
    log_set_level(level);
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, level);
}

int log_parse_level(const char *word, enum log_level *ret, struct err *err)
{
    static const struct {
        const char *word;
        enum log_level level;
    } levels[] = {
        {"error", LOG_LEVEL_ERR},
        {"warning", LOG_LEVEL_WARN},
        {"info", LOG_LEVEL_INFO},
        {"debug", LOG_LEVEL_DEBUG},
    };
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (strcmp(word, levels[i].word) == 0) {
            *ret = levels[i].level;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "log-level is \"%s\"; it can be error, warning, info or debug",
                   word);
}

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERR:
        return "error: ";
    case LOG_LEVEL_WARN:
        return "warning: ";
    case LOG_LEVEL_INFO:
        return "";
    case LOG_LEVEL_DEBUG:
        return "debug: ";
    }
    return "";
}

void log_line(enum log_level level, const char *fmt, ...)
{
    if ((int)level > atomic_load(&log_level))
        return;
    char line[2048];
    int head;
    if (log_to_journal) {
        head = snprintf(line, sizeof(line), "<%d>", level);
    } else {
        struct timespec now;
        struct tm tm;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        head = snprintf(line, sizeof(line), "%02d:%02d:%02d.%03ldZ %s: %s", tm.tm_hour, tm.tm_min,
                        tm.tm_sec, now.tv_nsec / 1000000, log_program, level_word(level));
    }
    va_list ap;
    va_start(ap, fmt);
    int body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)head + (body > 0 ? (size_t)body : 0);
    if (len > sizeof(line) - 2)
        len = sizeof(line) - 2;
    /* A name out of a container may hold a newline; a line of ours may not. */
    for (size_t i = (size_t)head; i < len; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = '?';
    line[len++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line, len);
    (void)ignored; /* with stderr gone there is nowhere left to say so */
}
