/* fuzz_perf_map.c: any text is a perf map: it comes to the same read at once or in two parts, what
 * is found covers the address, and every name becomes functions. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "symbol/jit_index.h"
#include "symbol/jit_name.h"
#include "symbol/perf_map.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct jit_time first = {10, 20};

static void check_names(const struct perf_map_line *line)
{
    static struct jit_name n;
    _cleanup_free_ char *raw = strndup(line->name, line->name_len);
    assert(raw);
    for (int java = 0; java < 2; java++) {
        jit_name_decode(raw, java, &n);
        assert(n.count >= 1 && n.count <= JIT_NAME_FRAMES);
        for (size_t i = 0; i < n.count; i++) {
            assert(n.frames[i].name[0]);
            assert(
                memchr(n.frames[i].name, 0, (size_t)(n.text + sizeof(n.text) - n.frames[i].name)));
        }
    }
}

/* In a doubtful time there is a name only if nothing else was ever there. */
static void check_found(const struct jit_index *x, uint64_t address)
{
    struct jit_code code;
    if (jit_index_find(x, address, 20, UINT64_MAX, &code))
        assert(address >= code.start && address - code.start < code.size && code.name[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("map", MFD_CLOEXEC);
    _cleanup_(jit_index_free) struct jit_index *once = NULL, *twice = NULL;
    assert(fd >= 0 && jit_index_new(1 << 16, &once, NULL) == 0 &&
           jit_index_new(1 << 16, &twice, NULL) == 0);
    struct perf_map_cursor a = {0}, b = {0};
    assert(fs_write_all(fd, data, size / 2) == 0);
    assert(perf_map_read(fd, size / 2, &a, twice, &first, NULL) == 0);
    assert(fs_write_all(fd, data + size / 2, size - size / 2) == 0);
    assert(perf_map_read(fd, size, &a, twice, &first, NULL) == 0);
    assert(perf_map_read(fd, size, &b, once, &first, NULL) == 0);
    assert(jit_index_count(once) == jit_index_count(twice));
    struct perf_map_parser parser;
    struct perf_map_line line;
    perf_map_init(&parser, data, size);
    int r;
    while ((r = perf_map_next(&parser, &line)) != 0) {
        if (r < 0)
            continue;
        check_names(&line);
        check_found(once, line.start);
        check_found(once, line.start + line.size / 2);
    }
    jit_index_forget(once, 30);
    return 0;
}
