/* fuzz_java_answer.c: whatever a JVM answers, was started with or has in its release file is
 * understood or refused, and no byte behind it is read. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/java_attach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ char *text = malloc(size);
    assert(text);
    memcpy(text, data, size);
    const char *message;
    size_t len;
    enum java_answer answer = java_answer_read(text, size, &message, &len);
    assert(len == 0 || (message > text && message + len <= text + size));
    assert(answer != JAVA_ANSWER_DONE || strchr("-0", text[0]));
    (void)java_args_against(text, size);
    assert(java_release_version(text, size) < 100000);
    return 0;
}
