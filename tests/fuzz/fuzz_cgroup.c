/* fuzz_cgroup.c: any text is read as a path, as /proc/PID/cgroup and as mountinfo; what comes out
 * is well-formed. */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "k8s/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *path, size_t len)
{
    struct cgroup_id id;
    memset(&id, 0xff, sizeof(id));
    cgroup_parse_path(path, len, &id);
    size_t pod = strnlen(id.pod_uid, sizeof(id.pod_uid));
    assert(pod == 0 || pod == 32 || pod == 36);
    for (size_t i = 0; i < pod; i++)
        assert(isxdigit((unsigned char)id.pod_uid[i]) || id.pod_uid[i] == '-');
    assert(strnlen(id.container_id, sizeof(id.container_id)) < sizeof(id.container_id));
    assert(strnlen(id.runtime, sizeof(id.runtime)) < sizeof(id.runtime));
    assert(strnlen(id.unit, sizeof(id.unit)) < sizeof(id.unit));
    assert(!*id.runtime || *id.container_id);
    assert(!strchr(id.container_id, '/') || memchr(path, '\\', len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ char *text = malloc(size + 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    text[size] = 0;
    check(text, size);
    _cleanup_free_ char *bare = size ? malloc(size) : NULL;
    if (!bare)
        return 0;
    memcpy(bare, data, size);
    char path[CGROUP_PATH_MAX];
    int r = cgroup_choose_path(bare, size, path);
    assert(r == 0 || r == -ENOENT);
    if (r == 0) {
        assert(path[0] == '/' && strnlen(path, sizeof(path)) < sizeof(path));
        check(path, strlen(path));
    }
    r = cgroup_find_mount(bare, size, path);
    assert(r == -ENOENT || (r == 0 && strnlen(path, sizeof(path)) < sizeof(path) && path[0]));
    return 0;
}
