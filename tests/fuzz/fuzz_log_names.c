/* fuzz_log_names.c: any text is read as each kind of name; what is taken for one is well-formed,
 * and is what the text says. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "k8s/log_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name, size_t max)
{
    size_t len = strnlen(name, max + 1);
    assert(len > 0 && len <= max);
    for (size_t i = 0; i < len; i++)
        assert(islower((unsigned char)name[i]) || isdigit((unsigned char)name[i]) ||
               ((name[i] == '-' || name[i] == '.') && i > 0 && i < len - 1));
}

static void check_pod(const struct log_pod *pod)
{
    check_name(pod->namespace, LOG_NAMESPACE_MAX);
    check_name(pod->name, LOG_POD_MAX);
    size_t len = strnlen(pod->uid, sizeof(pod->uid));
    assert(len == 32 || len == 36);
    assert(strspn(pod->uid, "0123456789abcdefABCDEF-") == len);
}

/* The name, put together again from its parts. */
static void check_same(const char *again, const char *text, size_t size)
{
    assert(strlen(again) == size && memcmp(again, text, size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct log_pod pod;
    struct log_container c;
    struct log_target t;
    char again[1024];
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ char *text = malloc(size ? size : 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    int r = log_name_read_pod(text, size, &pod);
    assert(r == 0 || r == -EINVAL);
    if (r == 0) {
        check_pod(&pod);
        snprintf(again, sizeof(again), "%s_%s_%s", pod.namespace, pod.name, pod.uid);
        check_same(again, text, size);
    }
    r = log_name_read_container(text, size, &c);
    assert(r == 0 || r == -EINVAL);
    if (r == 0) {
        check_name(c.namespace, LOG_NAMESPACE_MAX);
        check_name(c.pod, LOG_POD_MAX);
        check_name(c.name, LOG_CONTAINER_MAX);
        assert(strnlen(c.id, sizeof(c.id)) == LOG_CONTAINER_ID_LEN);
        snprintf(again, sizeof(again), "%s_%s_%s-%s.log", c.pod, c.namespace, c.name, c.id);
        check_same(again, text, size);
    }
    r = log_name_read_target(text, size, &t);
    assert(r == 0 || r == -EINVAL);
    if (r == 0) {
        check_pod(&t.pod);
        check_name(t.container, LOG_CONTAINER_MAX);
        assert(t.restarts < 1000000000);
    }
    return 0;
}
