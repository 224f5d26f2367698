/* java_attach.c: takes what a JVM answered or was started with, gives what it means. See
 * java_attach.h. */
#include "symbol/java_attach.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"

const char java_attach_perfmap[] = "1\0jcmd\0Compiler.perfmap\0\0";
const size_t java_attach_perfmap_len = sizeof(java_attach_perfmap);

static bool contains(const char *text, size_t len, const char *words)
{
    return memmem(text, len, words, strlen(words));
}

enum java_answer java_answer_read(const char *text, size_t len, const char **ret_message,
                                  size_t *ret_len)
{
    const char *end = text + len;
    const char *at = len ? memchr(text, '\n', len) : NULL;
    *ret_message = "";
    *ret_len = 0;
    if (!at || at == text)
        return JAVA_ANSWER_GARBLED;
    const char *digit = *text == '-' ? text + 1 : text;
    bool done = true;
    for (const char *c = digit; c < at; c++) {
        if (!isdigit((unsigned char)*c))
            return JAVA_ANSWER_GARBLED;
        done = done && *c == '0';
    }
    if (digit == at)
        return JAVA_ANSWER_GARBLED;
    const char *message = at + 1;
    const char *message_end = message < end ? memchr(message, '\n', (size_t)(end - message)) : NULL;
    *ret_message = message;
    *ret_len = (size_t)((message_end ? message_end : end) - message);
    if (done)
        return JAVA_ANSWER_DONE;
    return contains(message, (size_t)(end - message), "Unknown diagnostic command")
               ? JAVA_ANSWER_UNKNOWN_COMMAND
               : JAVA_ANSWER_REFUSED;
}

const char *java_args_against(const char *args, size_t len)
{
    static const char *const flags[] = {"-XX:+DisableAttachMechanism", "-Xrs",
                                        "-XX:+ReduceSignalUsage"};
    for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
        if (contains(args, len, flags[i]))
            return flags[i];
    }
    return NULL;
}

unsigned java_release_version(const char *text, size_t len)
{
    static const char key[] = "JAVA_VERSION=\"";
    const char *at = memmem(text, len, key, sizeof(key) - 1);
    if (!at || (at > text && at[-1] != '\n'))
        return 0;
    const char *end = text + len;
    unsigned numbers[2] = {0};
    at += sizeof(key) - 1;
    for (int i = 0; i < 2 && at < end; i++, at++) {
        for (; at < end && isdigit((unsigned char)*at) && numbers[i] < 10000; at++)
            numbers[i] = numbers[i] * 10 + (unsigned)(*at - '0');
        if (at == end || *at != '.')
            break;
    }
    return numbers[0] == 1 ? numbers[1] : numbers[0]; /* before 9 it was called 1.8 */
}
