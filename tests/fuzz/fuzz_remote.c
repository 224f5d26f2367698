/* fuzz_remote.c: from any ELF file's CFI, libunwind goes up or does not, within its bounds. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "unwind/arch.h"
#include "unwind/cfi_image.h"
#include "unwind/remote.h"
#include "unwind/unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FRAMES    8u
#define FUNCTIONS 8u
#define STACK_AT  UINT64_C(0x7ffc00001000)

static bool find_cfi(void *ctx, uint64_t pc, const struct cfi_image **ret, uint64_t *ret_bias)
{
    *ret = ctx;
    *ret_bias = 0;
    return true;
}

static void go_up(struct remote *remote, struct cfi_image *image, uint64_t pc)
{
    static uint64_t words[128];
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        words[i] = i % 3 ? pc + i : STACK_AT + i * 16;
    struct unwind_space space = {.id = 1, .find_cfi = find_cfi, .ctx = image};
    struct arch_state leaf = {.pc = pc,
                              .sp = STACK_AT,
                              .fp = STACK_AT + 64,
                              .interrupted = true,
                              .stack_base = STACK_AT,
                              .stack = (const uint8_t *)words,
                              .stack_len = sizeof(words)};
    for (unsigned i = 0; i < ARCH_REGISTERS_MAX; i++)
        leaf.reg[i] = STACK_AT + i * 24;
    leaf.reg[arch_registers->sp] = leaf.sp;
    leaf.reg[arch_registers->fp] = leaf.fp;
    struct arch_state s = leaf;
    for (size_t depth = 0; depth < FRAMES; depth++) {
        uint64_t before = s.sp;
        if (!remote_step(remote, &space, &leaf, depth, &s))
            return;
        assert(s.sp > before && !s.interrupted);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    assert(fd >= 0 && fs_write_all(fd, data, size) == 0);
    _cleanup_(cfi_image_free) struct cfi_image *image = NULL;
    struct err err = {0};
    if (cfi_image_read(fd, 1u << 20, &image, &err) < 0) {
        assert(!image && err.text[0]);
        return 0;
    }
    struct cfi_index index = cfi_image_index(image);
    _cleanup_(remote_free) struct remote *remote = NULL;
    int r = remote_new(&remote, NULL);
    assert(r == 0);
    for (uint32_t i = 0; i < index.count && i < FUNCTIONS; i++) {
        uint64_t pair;
        if (!cfi_image_word(image, index.pairs + i * UINT64_C(8), &pair))
            break;
        go_up(remote, image, index.header + (uint64_t)(int64_t)(int32_t)pair + 1);
    }
    return 0;
}
