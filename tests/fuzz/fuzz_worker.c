/* fuzz_worker.c: whatever a symbol worker says, its reader gives chains that are sound, or refuses
 * it; whole or in two parts it reads the same; what was read and is written again is the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "symbol/worker_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_frames(const struct worker_answer *a, const uint8_t *data, size_t size)
{
    assert(a->count <= CHAIN_FRAMES_MAX);
    for (uint32_t i = 0; i < a->count; i++) {
        const char *texts[] = {a->frames[i].name, a->frames[i].file};
        assert(i == 0 || a->frames[i].name);
        for (size_t k = 0; k < 2; k++) {
            if (!texts[k])
                continue;
            const uint8_t *at = (const uint8_t *)texts[k];
            assert(at >= data && at < data + size && memchr(at, 0, (size_t)(data + size - at)));
            assert(strlen(texts[k]) < WORKER_TEXT_MAX);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again = {0};
    size_t at = 0, used = 0;
    struct worker_answer answer;
    while (worker_read(data + at, size - at, &answer, &used) == 0 && used) {
        assert(used <= size - at);
        check_frames(&answer, data + at, used);
        struct worker_answer part;
        size_t part_used = 1;
        assert(worker_read(data + at, used - 1, &part, &part_used) == 0 && part_used == 0);
        again.len = 0;
        int r = answer.is_end ? worker_write_end(&again, answer.error)
                              : worker_write_chain(&again, answer.address, answer.start,
                                                   answer.frames, answer.count);
        assert(r == 0 && again.len == used && memcmp(again.data, data + at, used) == 0);
        at += used;
    }
    buf_free(&again);
    return 0;
}
