/* fuzz_downward.c: any text is read as a file of the downward API; each line is passed once, and
 * what is read fits in the room for it. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "k8s/downward.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Allocations of their own, so that reading or writing behind them is seen. */
    _cleanup_free_ char *text = malloc(size ? size : 1);
    size_t room_size = size && data[0] < 64 ? data[0] + 1u : size + 1;
    _cleanup_free_ char *room = malloc(room_size);
    assert(text && room);
    if (size)
        memcpy(text, data, size);
    const char *at = text;
    for (size_t left = size;;) {
        struct downward_line line;
        size_t before = left;
        int r = downward_next(&at, &left, room, room_size, &line);
        assert(at + left == text + size);
        if (r == 0)
            break;
        assert(left < before);
        assert(r == 1 || r == -EBADMSG || r == -ENOSPC);
        if (r < 0)
            continue;
        size_t key = strnlen(line.key, room_size);
        assert(line.key == room && key > 0 && line.value == room + key + 1);
        assert(strnlen(line.value, room_size - key - 1) < room_size - key - 1);
    }
    return 0;
}
