/* fuzz_cpulist.c: any text, read as a list of CPUs, sets nothing behind the last CPU. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cpu.h"
#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte says how many CPUs there may be. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size || !data[0])
        return 0;
    size_t max = data[0];
    _cleanup_free_ char *text = malloc(size);
    _cleanup_free_ uint8_t *online = malloc(max);
    assert(text && online);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    memset(online, 9, max);
    int r = cpu_parse_list(text, online, max);
    assert(r == 0 || r == -EBADMSG);
    for (size_t i = 0; i < max; i++)
        assert(online[i] <= 1);
    return 0;
}
