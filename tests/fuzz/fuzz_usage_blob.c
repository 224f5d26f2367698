/* fuzz_usage_blob.c: any bytes, under a check that fits, are read as what a cgroup used in a
 * minute, and as its processes: they are refused, or are rows that come back when they are packed
 * again. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "server/sqlite/usage_blob.h"
#include "server/sqlite/usage_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(const uint8_t *bytes, size_t len)
{
    static struct usage_list list, back;
    static uint8_t packed[USAGE_LIST_BYTES];
    int r = usage_list_decode(bytes, len, 7, &list, NULL);
    assert(r == 0 || r == -EUCLEAN);
    if (r < 0)
        return;
    size_t again = usage_list_encode(&list, 7, packed);
    assert(again <= sizeof(packed) && usage_list_decode(packed, again, 7, &back, NULL) == 0);
    assert(list.time_ms == back.time_ms && list.span_us == back.span_us &&
           list.count == back.count &&
           memcmp(list.rows, back.rows, list.count * sizeof(list.rows[0])) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct usage_row rows[USAGE_BLOB_MAX_ROWS], back[USAGE_BLOB_MAX_ROWS];
    static uint8_t packed[2 + USAGE_BLOB_MAX_ROWS * USAGE_BLOB_ROW_BYTES];
    _cleanup_free_ uint8_t *bytes = malloc(size + 2);
    size_t count, again;
    assert(bytes);
    uint16_t check = usage_blob_check(data, size, 7);
    bytes[0] = (uint8_t)check;
    bytes[1] = (uint8_t)(check >> 8);
    if (size)
        memcpy(bytes + 2, data, size);
    check_list(bytes, size + 2);
    int r = usage_blob_decode(bytes, size + 2, 7, rows, &count, NULL);
    assert(r == 0 || r == -EUCLEAN);
    if (r < 0)
        return 0;
    size_t len = usage_blob_encode(rows, count, 7, packed);
    assert(len <= 2 + count * USAGE_BLOB_ROW_BYTES);
    assert(usage_blob_decode(packed, len, 7, back, &again, NULL) == 0 && again == count);
    for (size_t i = 0; i < count; i++)
        assert(rows[i].time_ms == back[i].time_ms && rows[i].span_us == back[i].span_us &&
               rows[i].summed == back[i].summed && rows[i].network == back[i].network &&
               memcmp(rows[i].figures, back[i].figures, sizeof(rows[i].figures)) == 0);
    return 0;
}
