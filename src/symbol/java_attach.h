/* java_attach.h: what is said to a HotSpot JVM at its socket /tmp/.java_pidN, and what it answers
 * (OpenJDK src/hotspot/share/services/attachListener.cpp and os/posix/attachListener_posix.cpp:
 * version, command and three arguments, each with its NUL; then a decimal result code on a line and
 * the command's output until the socket closes). */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* The request to write all methods' code to /tmp/perf-N.map (JDK 17, JDK-8254723). */
extern const char java_attach_perfmap[];
extern const size_t java_attach_perfmap_len;

enum java_answer {
    JAVA_ANSWER_DONE,
    JAVA_ANSWER_UNKNOWN_COMMAND, /* an earlier JDK */
    JAVA_ANSWER_REFUSED,         /* a message says why */
    JAVA_ANSWER_GARBLED,
};

/* `text`: the whole answer, or as much of it as was taken. *ret_message: a line for the log, in
 * `text`, not NUL-terminated, of *ret_len bytes; perhaps none. */
enum java_answer java_answer_read(const char *text, size_t len, const char **ret_message,
                                  size_t *ret_len);

/* What the JVM's command line or the variables in its environment say against it, or NULL: a
 * SIGQUIT would make it print all threads' stacks instead. `args`: NUL-separated. */
const char *java_args_against(const char *args, size_t len);

/* The feature version by the text of the JDK's `release` file: 8, 11, 17 ...; 0: it does not say.
 */
unsigned java_release_version(const char *text, size_t len);
