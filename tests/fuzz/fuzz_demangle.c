/* fuzz_demangle.c: any name is made readable or left, in bounded time (libFuzzer's -timeout). */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/demangle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *name = strndup((const char *)data, size);
    _cleanup_free_ char *readable = malloc(DEMANGLE_OUT_MAX);
    assert(name && readable);
    bool done = demangle_name(name, readable);
    assert(strnlen(readable, DEMANGLE_OUT_MAX) < DEMANGLE_OUT_MAX);
    assert(done == (readable[0] != 0));
    return 0;
}
