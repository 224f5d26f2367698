/* fuzz_go_names.c: any ELF file gives functions of Go at each address, or none; asked together or
 * each alone, the answers are the same. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/chains.h"
#include "symbol/elf_file.h"
#include "symbol/go_names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX (1u << 20)

/* Where the seeds have code. */
#define ADDRESSES UINT64_C(0x401000)
#define COUNT     256u
#define STEP      4u

static int find(const struct elf_file *file, const uint64_t *addresses, size_t count,
                struct chains *chains)
{
    struct err err = {0};
    int r = go_names_find(file, addresses, count, chains, &err);
    assert(r == 0 || r == -ENODATA || r == -E2BIG || r == -EFBIG);
    assert(r == 0 || err.text[0]);
    return r;
}

static uint32_t check(const struct chains *chains, uint64_t address,
                      const struct symbol_frame **ret)
{
    uint32_t count = 0;
    uint64_t start;
    *ret = NULL;
    if (!chains_find(chains, address, &start, ret, &count))
        return 0;
    assert(count > 0 && count <= CHAIN_FRAMES_MAX && start <= address);
    for (uint32_t i = 0; i < count; i++)
        assert((*ret)[i].name[0] && !(*ret)[i].file == !(*ret)[i].line);
    return count;
}

static void check_alone(const struct elf_file *file, const struct chains *together,
                        uint64_t address)
{
    _cleanup_(chains_free) struct chains *alone = NULL;
    const struct symbol_frame *a, *b;
    assert(chains_new(&alone) == 0);
    if (find(file, &address, 1, alone) < 0)
        return;
    uint32_t count = check(together, address, &a);
    assert(check(alone, address, &b) == count);
    for (uint32_t i = 0; i < count; i++) {
        assert(strcmp(a[i].name, b[i].name) == 0 && a[i].line == b[i].line);
        assert(!a[i].file || strcmp(a[i].file, b[i].file) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > BYTES_MAX)
        return 0;
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    assert(fd >= 0 && fs_write_all(fd, data, size) == 0);
    _cleanup_(elf_file_close) struct elf_file file = {0};
    if (elf_file_open(fd, &file, NULL) < 0)
        return 0;
    uint64_t addresses[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        addresses[i] = ADDRESSES + i * STEP;
    _cleanup_(chains_free) struct chains *chains = NULL;
    assert(chains_new(&chains) == 0);
    int r = find(&file, addresses, COUNT, chains);
    const struct symbol_frame *frames;
    for (size_t i = 0; i < COUNT; i++)
        check(chains, addresses[i], &frames);
    for (size_t i = 0; r == 0 && i < COUNT; i += 37)
        check_alone(&file, chains, addresses[i]);
    return 0;
}
