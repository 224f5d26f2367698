/* fuzz_blob.c: any bytes are samples or refused with a reason; samples survive being packed again.
 * The input is a blob; it is also read with its check made right, or no change would get past it.
 */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "server/sqlite/blob.h"
#include "server/sqlite/layout.h"
#include "wire/format.h"

#define SEED       blob_seed(12, 34)
#define FORM_PLAIN 1
#define HEAD_SIZE  3

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void pack_again(struct blob_codec *codec, const struct blob *blob)
{
    struct blob_row *rows = malloc(blob->count * sizeof(*rows));
    struct blob second;
    const uint8_t *bytes;
    size_t len, count;
    int64_t period_ns = blob->period_ns;
    assert(rows);
    memcpy(rows, blob->rows, blob->count * sizeof(*rows));
    count = blob_sort(rows, blob->count);
    assert(blob_encode(codec, rows, count, period_ns, SEED, &bytes, &len, NULL) == 0);
    uint8_t *copy = malloc(len);
    assert(copy);
    memcpy(copy, bytes, len);
    assert(blob_decode(codec, copy, len, SEED, true, &second, NULL) == 0);
    assert(second.count == count && second.period_ns == period_ns);
    for (size_t i = 0; i < count; i++) {
        const struct blob_row *a = &rows[i], *b = &second.rows[i];
        assert(a->pid == b->pid && a->thread == b->thread && a->stack == b->stack &&
               a->slot_ms == b->slot_ms && a->cpu == b->cpu && a->count == b->count);
    }
    free(copy);
    free(rows);
}

static void check(struct blob_codec *codec, const uint8_t *data, size_t size)
{
    struct blob blob;
    struct err err = {0};
    if (blob_decode(codec, data, size, SEED, true, &blob, &err) < 0) {
        assert(err.text[0]);
        return;
    }
    assert(blob.count >= 1 && blob.count <= BLOB_MAX_ROWS);
    assert(blob.period_ns >= 1 && blob.period_ns <= WIRE_MAX_PERIOD_NS);
    size_t count = blob.count;
    for (size_t i = 0; i < count; i++) {
        assert(blob.rows[i].slot_ms < MS_PER_MINUTE);
        if (blob.rows[i].count > INT64_MAX / BLOB_MAX_ROWS)
            return; /* their sum may not fit, when they are the same but for the count */
    }
    pack_again(codec, &blob);
    assert(blob_decode(codec, data, size, SEED, false, &blob, NULL) == 0 && blob.count == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct blob_codec *codec;
    if (!codec)
        assert(blob_codec_new(&codec, NULL) == 0);
    check(codec, data, size);
    if (size < HEAD_SIZE || data[0] != FORM_PLAIN)
        return 0;
    uint8_t *copy = malloc(size);
    assert(copy);
    memcpy(copy, data, size);
    uint16_t right = blob_check(copy + HEAD_SIZE, size - HEAD_SIZE, SEED);
    copy[1] = (uint8_t)right;
    copy[2] = (uint8_t)(right >> 8);
    check(codec, copy, size);
    free(copy);
    return 0;
}
