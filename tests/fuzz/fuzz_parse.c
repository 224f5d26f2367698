/* fuzz_parse.c: any text is a number, a size, a duration, or refused with a reason. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *text = strndup((const char *)data, size);
    assert(text);
    struct err err = {0};
    int64_t ns = -1;
    uint64_t bytes, number;
    if (parse_duration(text, &ns, &err) == 0)
        assert(ns >= 0);
    else
        assert(err.text[0] && ns == -1);
    bool is_number = parse_u64(text, &number, NULL) == 0;
    if (parse_bytes(text, &bytes, NULL) == 0)
        assert(!is_number || bytes == number);
    else
        assert(!is_number);
    return 0;
}
