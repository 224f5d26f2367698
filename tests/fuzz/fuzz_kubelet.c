/* fuzz_kubelet.c: any text is read as kubelet's answer; the facts that come out are within bounds.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "facts_check.h"
#include "k8s/kubelet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ char *text = malloc(size ? size : 1);
    assert(text);
    if (size)
        memcpy(text, data, size);
    kubelet_parse_pods(text, size, &check_sink, NULL);
    return 0;
}
