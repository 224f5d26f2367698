/* fuzz_cri.c: any bytes are read as a gRPC body, and as a container runtime's lists:
 *     0       2       4
 *     | a, LE | b, LE | a bytes: sandboxes | b bytes: containers | the rest: images
 * The facts that come out are within bounds, and a joined body is no longer than the frames were.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "facts_check.h"
#include "k8s/cri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *copy(const uint8_t *from, size_t size)
{
    uint8_t *to = malloc(size ? size : 1);
    assert(to);
    if (size)
        memcpy(to, from, size);
    return to;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ uint8_t *body = copy(data, size);
    size_t joined = 0;
    char runtime[16];
    if (cri_unframe(body, size, &joined, NULL) == 0)
        assert(joined + 5 <= size);
    if (size < 4)
        return 0;
    size_t a = smaller(data[0] | data[1] << 8, size - 4);
    size_t b = smaller(data[2] | data[3] << 8, size - 4 - a), c = size - 4 - a - b;
    /* An allocation each, so that reading behind it is seen. */
    _cleanup_free_ uint8_t *sandboxes = copy(data + 4, a);
    _cleanup_free_ uint8_t *containers = copy(data + 4 + a, b);
    _cleanup_free_ uint8_t *images = copy(data + 4 + a + b, c);
    struct cri_answers answers = {
        .sandboxes = {sandboxes, a}, .containers = {containers, b}, .images = {images, c}};
    cri_parse(&answers, &check_sink, NULL);
    cri_lacks_images(&answers);
    if (cri_parse_version(sandboxes, a, runtime, NULL) == 0)
        assert(strnlen(runtime, sizeof(runtime)) < sizeof(runtime));
    return 0;
}
