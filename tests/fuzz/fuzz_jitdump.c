/* fuzz_jitdump.c: any bytes are a jitdump or are refused for good; read in two parts they come to
 * the same as at once. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "symbol/jit_index.h"
#include "symbol/jitdump.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct jit_time when = {1000, 2000};
    _cleanup_close_ int fd = memfd_create("dump", MFD_CLOEXEC);
    _cleanup_(jit_index_free) struct jit_index *once = NULL, *twice = NULL;
    assert(fd >= 0 && jit_index_new(1 << 16, &once, NULL) == 0 &&
           jit_index_new(1 << 16, &twice, NULL) == 0);
    struct jitdump_cursor a = {0}, b = {0};
    assert(fs_write_all(fd, data, size / 2) == 0);
    (void)jitdump_read(fd, size / 2, &a, twice, 10, &when, NULL);
    assert(a.offset <= size / 2 || a.offset <= 4096);
    assert(fs_write_all(fd, data + size / 2, size - size / 2) == 0);
    (void)jitdump_read(fd, size, &a, twice, 10, &when, NULL);
    int r = jitdump_read(fd, size, &b, once, 10, &when, NULL);
    assert(r == 0 || b.closed);
    if (a.offset > size) /* it tells of a header longer than the file */
        return 0;
    assert(a.offset == b.offset && a.closed == b.closed);
    assert(jit_index_count(once) == jit_index_count(twice));
    struct jitdump_record record;
    for (size_t at = 0; at < size; at += 8) {
        struct jit_code code;
        if (jitdump_read_record(data + at, size - at, at & 8, &record) == 0 &&
            jit_index_find(once, record.code, 2000, 3000, &code))
            assert(record.code - code.start < code.size && code.name[0]);
    }
    return 0;
}
