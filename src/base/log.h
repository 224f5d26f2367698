/* log.h: one line a fact on stderr, with a journald priority and key=value fields. */
#pragma once

struct err;

enum log_level { LOG_LEVEL_ERR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Once, before any thread: the program's name, and the least urgent level to print. Under journald
 * (JOURNAL_STREAM is set) each line starts with <priority> as sd-daemon(3) has it; on a terminal
 * with the time of day. */
void log_open(const char *program, enum log_level level);
void log_set_level(enum log_level level);

/* "error", "warning", "info" or "debug", as the setting log-level has it. -EINVAL. */
int log_parse_level(const char *word, enum log_level *ret, struct err *err);

/* One line; put fields behind the words: log_info("ring opened cpu=%d bytes=%zu", ...). A value
 * that may have blanks goes in quotes: path="%s". Safe from any thread. */
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)   log_line(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
