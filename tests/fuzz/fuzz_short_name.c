/* fuzz_short_name.c: any name is shortened or stays, for whatever has it, and what was valid UTF-8
 * still is. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "symbol/short_name.h"
#include "wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_utf8(const char *text)
{
    return utf8_valid_prefix(text, strlen(text)) == strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char shown[SHORT_NAME_MAX];
    _cleanup_free_ char *name = strndup((const char *)data, size);
    assert(name);
    for (int kind = NAME_OF_CODE; kind <= NAME_OF_INLINED; kind++) {
        if (!short_name(name, (enum name_of)kind, shown))
            continue;
        size_t len = strnlen(shown, sizeof(shown));
        assert(len > 0 && len < sizeof(shown) && strcmp(shown, name) != 0);
        assert(!is_utf8(name) || is_utf8(shown));
    }
    return 0;
}
