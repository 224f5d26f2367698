/* blob.h: the samples of one series within one minute, packed.
 *
 *   offset  size  what
 *        0     1  form: 1 = the body as it is, 2 = one zstd frame (no content size, no checksum)
 *        1     2  check, little endian: the low 16 bits of XXH3_64 over the body, seeded with
 *                 t << 32 | series, so that bytes that were damaged or stand in another's place are
 *                 named, not summed
 *        3     -  form 2: varint, the body's length; then the body in that form
 *
 * The body is varints (varint.h), one part after the other. Most blobs are a few dozen bytes: what
 * is usual takes no room.
 *
 *   period   nanoseconds of CPU that a sample stands for, 1 to WIRE_MAX_PERIOD_NS; 0: 10 ms
 *   slots    even: half of it has bit i set when a slot starts at i * 10 s, i below 6.
 *            odd: half of it is how many follow (1 to BLOB_MAX_SLOTS): milliseconds into the
 * minute, each above the last by the number given; below 60000 rows N   1 to BLOB_MAX_ROWS tasks
 * until they have N rows: (rows of it less 1) * 2 + (another pid than the last task's); if so, pid
 * less the last one's (zigzag); thread (string) less the last one's (zigzag) stacks   N numbers:
 * stack; where pid and thread are those of the row before, less its stack marks    N times: ((cpu *
 * slots) + slot) * 2 + (count > 1); if so, count less 2
 *
 * Rows are sorted by (pid, thread, stack, slot, cpu), no two the same. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOB_MAX_ROWS  65536u
#define BLOB_MAX_SLOTS 60000u
#define BLOB_MAX_BODY  (4u << 20) /* bytes; more than BLOB_MAX_ROWS rows can take */

struct blob_row {
    uint32_t pid;
    uint32_t thread;  /* string */
    uint32_t stack;   /* 0 when stacks were not asked for */
    uint32_t slot_ms; /* into the minute */
    uint32_t cpu;
    uint64_t count;
};

/* Sorts rows and adds up those that differ in count only. Gives how many are left. */
size_t blob_sort(struct blob_row *rows, size_t count);

/* What encoding and decoding keep between calls: contexts of zstd and room. One per thread. */
struct blob_codec;
struct err;

int blob_codec_new(struct blob_codec **ret, struct err *err);
void blob_codec_free(struct blob_codec **codec);

/* Rows as blob_sort left them, 1 to BLOB_MAX_ROWS. The bytes are valid until the codec's next use.
 */
int blob_encode(struct blob_codec *codec, const struct blob_row *rows, size_t count,
                int64_t period_ns, uint64_t seed, const uint8_t **ret_bytes, size_t *ret_len,
                struct err *err);

struct blob {
    const struct blob_row *rows; /* valid until the codec's next use */
    size_t count;
    int64_t period_ns;
};

/* Reads bytes that a failing disk may have changed: -EUCLEAN, with what is wrong in the error. */
int blob_decode(struct blob_codec *codec, const void *bytes, size_t len, uint64_t seed, bool stacks,
                struct blob *ret, struct err *err);

/* The check of a body, for tests that make damaged bodies with a good check. */
uint16_t blob_check(const void *body, size_t len, uint64_t seed);

static inline uint64_t blob_seed(uint32_t t, uint32_t series)
{
    return (uint64_t)t << 32 | series;
}
