/* fuzz_maps.c: any text, read as /proc/PID/maps, gives lines that make sense or are refused, one
 * answer a line. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/maps.h"
#include "base/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    /* An allocation of its own, so that reading behind it is seen. */
    _cleanup_free_ uint8_t *text = malloc(size);
    assert(text);
    memcpy(text, data, size);
    size_t lines = text[size - 1] != '\n';
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    struct maps_parser parser;
    struct maps_line line;
    maps_init(&parser, text, size);
    int r;
    while ((r = maps_next(&parser, &line)) != 0) {
        assert(r == 1 || r == -EBADMSG);
        assert(lines-- > 0);
        if (r == 1) {
            assert(line.start < line.end);
            assert(strnlen(line.path, sizeof(line.path)) < sizeof(line.path));
        }
    }
    assert(lines == 0);
    return 0;
}
