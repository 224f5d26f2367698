/* fuzz_batch.c: any bytes are a batch that encodes and decodes to the same again, or are refused
 * with a reason. Bytes without the magic are taken for a body, since no mutation gets past zstd's
 * checksum. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Encoding is one to one, so equal bytes are equal batches. */
static void check_round_trip(const struct batch *batch)
{
    _cleanup_(buf_free) struct buf body = {0}, again = {0};
    _cleanup_(batch_free) struct batch *second = NULL;
    assert(body_encode(batch, &body, NULL) == 0);
    assert(body_decode(body.data, body.len, &second, NULL) == 0);
    assert(body_encode(second, &again, NULL) == 0);
    assert(again.len == body.len && memcmp(again.data, body.data, body.len) == 0);
    static FILE *null;
    if (!null)
        null = fopen("/dev/null", "w");
    assert(null && batch_print_json(batch, null, NULL) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(batch_free) struct batch *batch = NULL;
    struct err err = {0};
    int r = size >= 4 && memcmp(data, WIRE_MAGIC, 4) == 0 ? batch_decode(data, size, &batch, &err)
                                                          : body_decode(data, size, &batch, &err);
    assert((r == 0) == (batch != NULL) && (r == 0) == (err.text[0] == 0));
    if (r == 0)
        check_round_trip(batch);
    return 0;
}
