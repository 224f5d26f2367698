/* fuzz_dwarf.c: any file with DWARF gives functions, or none: each asked address at most once, no
 * other, with names where there must be names. Debug files are looked for from it too, and found
 * nowhere.
 *
 * libdw itself is not built to be watched by the fuzzer, and is not ours to mend; in the agent it
 * runs in a process that may die of it (symbol/worker.h).
 */
#include <assert.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/debug_file.h"
#include "symbol/dwarf.h"
#include "symbol/symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT     64
#define BYTES_MAX ((size_t)64 << 10)
#define ADDRESSES UINT64_C(0x260) /* the seeds have their code from here on */
#define STEP      3
#define WITHIN_NS (200 * NS_PER_MS)

struct taken {
    bool seen[COUNT];
    size_t count;
};

static int take(void *ctx, uint64_t address, uint64_t start, const struct symbol_frame *frames,
                size_t count)
{
    struct taken *t = ctx;
    assert(address >= ADDRESSES && (address - ADDRESSES) % STEP == 0);
    size_t i = (size_t)(address - ADDRESSES) / STEP;
    assert(i < COUNT && !t->seen[i]);
    t->seen[i] = true;
    t->count++;
    for (size_t k = 0; k < count; k++) {
        assert(k == 0 || frames[k].name);
        assert(!frames[k].name || frames[k].name[0]);
        assert(!frames[k].file || strlen(frames[k].file) < 4096);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > BYTES_MAX)
        return 0;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    _cleanup_close_ int root = open("/proc/self/fdinfo", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert(fd >= 0 && root >= 0 && fs_write_all(fd, data, size) == 0);
    struct err err = {0};
    struct debug_file_stamp stamp = {0};
    struct debug_files files = {-1, -1};
    if (debug_files_find(fd, "/a/b", &root, 1, &stamp, &files, &err) == 0)
        assert(files.debug == -1 && files.alt == -1);
    else
        assert(err.text[0]);

    uint64_t addresses[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        addresses[i] = ADDRESSES + i * STEP;
    struct taken taken = {0};
    err = (struct err){0};
    int r = dwarf_find_chains(fd, -1, addresses, COUNT, clock_ns(DWARF_CLOCK) + WITHIN_NS, take,
                              &taken, &err);
    assert(r <= 0 && (r == 0 || err.text[0]));
    assert(r < 0 || taken.count == COUNT);
    return 0;
}
