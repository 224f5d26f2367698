/* err.h: what went wrong, where, and what to do about it.
 *
 * A function that can fail returns 0 or a negative errno and, if its caller gave one, fills a
 * struct err. The text grows on its way up: the callee says what failed, each caller may put in
 * front what it was doing, so that the last line reads
 *     opening /proc/812/root/usr/bin/node: Permission denied; needs CAP_SYS_PTRACE
 */
#pragma once

#define ERR_TEXT_MAX 512

struct err {
    int code; /* 0 or a negative errno */
    char text[ERR_TEXT_MAX];
};

/* Sets code and text; `code` is a negative errno and is returned, so that
 * `return err_set(err, -EINVAL, "...")` is one line. The text does not repeat strerror(code). NULL
 * `err` is allowed. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* As err_set, with ": " and the words of the errno behind the text. */
int err_errno(struct err *err, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "fmt: " in front of the text that is there; returns err's code, or `code` if err is NULL. */
int err_wrap(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
