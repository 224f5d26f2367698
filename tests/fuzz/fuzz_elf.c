/* fuzz_elf.c: any file gives names, or none: asked all at once, one after the other of one
 * symbolizer, or each of a fresh one, the answers are the same. Its build-id is read or refused. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/debug_file.h"
#include "symbol/elf.h"
#include "symbol/symbol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT 48

static int open_again(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    return dup(*(int *)ctx);
}

static int resolve(struct symbolizer *s, int *fd, struct symbol_addr *addrs, size_t count)
{
    struct err err = {0};
    struct symbol_key key = {.len = 1, .bytes = {7}};
    int r = symbolizer_resolve(s, &key, open_again, fd, addrs, count, &err);
    assert(r <= 0 && (r == 0 || err.text[0]));
    for (size_t i = 0; i < count; i++) {
        assert(!addrs[i].frame_count || (addrs[i].translated && addrs[i].frames[0].name[0]));
        assert(!addrs[i].frame_count || addrs[i].start <= addrs[i].address);
    }
    return r;
}

static void check_same(const struct symbol_addr *a, const struct symbol_addr *b)
{
    assert(a->translated == b->translated && a->address == b->address && a->start == b->start);
    assert(a->frame_count == b->frame_count);
    for (uint32_t i = 0; i < a->frame_count; i++)
        assert(strcmp(a->frames[i].name, b->frames[i].name) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    assert(fd >= 0 && fs_write_all(fd, data, size) == 0);
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t id_len = 0;
    struct err err = {0};
    if (elf_read_build_id(fd, id, &id_len, &err) == 0)
        assert(id_len > 0 && id_len <= sizeof(id));
    else
        assert(err.text[0] && id_len == 0);
    if (id_len == 0)
        assert(debug_file_check(fd, id, 0, NULL) < 0);

    struct symbol_addr all[COUNT] = {0}, one;
    for (size_t i = 0; i < COUNT; i++)
        all[i].file_offset = i * 7919 % COUNT * (size / COUNT + 1);
    _cleanup_(symbolizer_free) struct symbolizer *batch = NULL, *single = NULL;
    assert(symbolizer_new(1u << 20, &batch, NULL) == 0);
    assert(symbolizer_new(1u << 20, &single, NULL) == 0);
    if (resolve(batch, &fd, all, COUNT) < 0)
        return 0;
    for (size_t i = 0; i < COUNT; i++) {
        one = (struct symbol_addr){.file_offset = all[i].file_offset};
        assert(resolve(single, &fd, &one, 1) == 0);
        check_same(&one, &all[i]);
    }
    for (size_t i = 0; i < COUNT; i += 5) {
        _cleanup_(symbolizer_free) struct symbolizer *fresh = NULL;
        assert(symbolizer_new(0, &fresh, NULL) == 0);
        one = (struct symbol_addr){.file_offset = all[i].file_offset};
        assert(resolve(fresh, &fd, &one, 1) == 0);
        check_same(&one, &all[i]);
    }
    /* By address, as a debug file is asked, whose bytes it need not have. */
    for (size_t i = 0; i < COUNT; i++) {
        one = (struct symbol_addr){.address = all[i].address, .by_address = true};
        assert(resolve(single, &fd, &one, 1) == 0);
        assert(one.address == all[i].address && (one.translated || !all[i].translated));
    }
    return 0;
}
