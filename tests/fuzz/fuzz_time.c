/* fuzz_time.c: any text is a moment within the calendar, or refused with a reason. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/timespec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    assert(text);
    struct err err = {0};
    int64_t ms = -1;
    if (timespec_parse(text, 1795363200123, &ms, &err) == 0)
        assert(ms >= 0 && ms <= 253402300799999);
    else
        assert(err.text[0] && ms == -1);
    return 0;
}
