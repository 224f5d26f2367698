/* test_symbol_choice.c: which symbol of several names an address, what has no size, and stubs. What
 * is asked about is in this program itself, as assembly: its bytes are the same on all machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <gelf.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/symbol.h"

/* What stands in front of a symbol's name here is "pf_". Places without a symbol of their own are
 * found from the symbols beside them: each `.skip` is 4 bytes. */
__asm__(".pushsection .pf_choice, \"ax\", %progbits\n"
        ".globl pf_sized\n"
        ".type pf_sized, %function\n"
        "pf_sized: .skip 4\n"
        ".size pf_sized, 4\n"
        /* a function by its unwind information, with a second entry, and 4 nameless bytes behind */
        ".globl pf_unsized\n"
        ".type pf_unsized, %function\n"
        "pf_unsized: .cfi_startproc\n"
        ".skip 4\n"
        "pf_second_entry: .skip 4\n"
        ".type pf_second_entry, %function\n"
        ".cfi_endproc\n"
        ".skip 4\n"
        /* a nameless function, then one that is a mere label for all but unwinding */
        ".cfi_startproc\n"
        ".skip 4\n"
        ".cfi_endproc\n"
        ".globl pf_untyped\n"
        "pf_untyped: .cfi_startproc\n"
        ".skip 4\n"
        ".globl pf_place_inside\n"
        "pf_place_inside: .skip 4\n"
        ".cfi_endproc\n"
        /* nothing tells where these end but what follows */
        ".type pf_bare, %function\n"
        "pf_bare: .skip 8\n"
        ".globl pf_bare_label\n"
        "pf_bare_label: .skip 4\n"
        /* what compilers and assemblers put in for themselves */
        "$x: .cfi_startproc\n"
        ".skip 4\n"
        ".cfi_endproc\n"
        ".annobin_pf.c: .skip 4\n"
        ".size .annobin_pf.c, 4\n"
        /* aliases */
        ".globl __pf_libc_own\n"
        ".type __pf_libc_own, %function\n"
        ".weak pf_public\n"
        ".type pf_public, %function\n"
        "__pf_libc_own:\n"
        "pf_public: .skip 4\n"
        ".size __pf_libc_own, 4\n"
        ".size pf_public, 4\n"
        ".globl pf_memcmp\n"
        ".type pf_memcmp, %function\n"
        ".weak pf_bcmp\n"
        ".type pf_bcmp, %function\n"
        ".type pf_cmp, %function\n"
        "pf_cmp:\n"
        "pf_bcmp:\n"
        "pf_memcmp: .skip 4\n"
        ".size pf_cmp, 4\n"
        ".size pf_bcmp, 4\n"
        ".size pf_memcmp, 4\n"
        ".popsection\n");

extern const char pf_sized[];

/* By offset from pf_sized. */
static const struct {
    size_t at;
    const char *name, *why;
} places[] = {
    {0, "pf_sized", "its size covers it"},
    {4, "pf_unsized", "its unwind information begins there"},
    {7, "pf_unsized", "it goes on to the next symbol"},
    {8, "pf_second_entry", "it has a type, and unwind information covers it"},
    {12, NULL, "behind the unwind information's end"},
    {16, NULL, "a nameless function"},
    {20, "pf_untyped", "unwind information begins there"},
    {24, NULL, "a label within a function may be but a place to jump to"},
    {28, "pf_bare", "the whole symbol table has no other"},
    {35, "pf_bare", "the same"},
    {36, NULL, "a label, and no function begins there that one knows of"},
    {40, NULL, "a mapping symbol is no name, though a function begins there"},
    {44, NULL, "annobin's are none, though they may have sizes"},
    {48, "pf_public", "fewer underscores go before global"},
    {52, "pf_memcmp", "global goes before weak, both before local"},
};

static int open_self(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int find_offset(struct dl_phdr_info *info, size_t size, void *ctx)
{
    uint64_t *at = ctx; /* in: address; out: offset in the file */
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uint64_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || *at < start || *at - start >= p->p_filesz)
            continue;
        *at = *at - start + p->p_offset;
        return 1;
    }
    return 0;
}

static const char *name_of(const struct symbol_addr *a)
{
    return a->frame_count ? a->frames[0].name : NULL;
}

static void resolve(struct symbolizer *s, struct symbol_addr *addrs, size_t count)
{
    struct symbol_key key = {.len = 1, .bytes = {1}};
    struct err err = {0};
    int r = symbolizer_resolve(s, &key, open_self, NULL, addrs, count, &err);
    if (r < 0)
        fail_msg("%s", err.text);
}

static void check(size_t i, const struct symbol_addr *a)
{
    const char *name = name_of(a);
    if (!name != !places[i].name || (name && strcmp(name, places[i].name) != 0))
        fail_msg("%zu bytes behind pf_sized: %s, not %s: %s", places[i].at, name ? name : "nothing",
                 places[i].name ? places[i].name : "nothing", places[i].why);
}

static void each_place_has_the_one_right_name_or_none(void **state)
{
    uint64_t base = (uintptr_t)pf_sized;
    assert_true(dl_iterate_phdr(find_offset, &base));
    struct symbol_addr together[ARRAY_LEN(places)], alone;
    _cleanup_(symbolizer_free) struct symbolizer *s = NULL;
    assert_int_equal(symbolizer_new(1u << 20, &s, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        together[i] = (struct symbol_addr){.file_offset = base + places[i].at};
    resolve(s, together, ARRAY_LEN(places));
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        check(i, &together[i]);
    /* What is remembered of one address does not go for another, in whatever order they come. */
    for (size_t turn = 0; turn < 2; turn++) {
        _cleanup_(symbolizer_free) struct symbolizer *fresh = NULL;
        assert_int_equal(symbolizer_new(1u << 20, &fresh, NULL), 0);
        for (size_t n = 0; n < ARRAY_LEN(places); n++) {
            size_t i = turn ? ARRAY_LEN(places) - 1 - n : n;
            alone = (struct symbol_addr){.file_offset = base + places[i].at};
            resolve(fresh, &alone, 1);
            check(i, &alone);
        }
    }
}

/* The range of a section of this program in its file; false if it has none. */
static bool find_section(const char *name, uint64_t *ret_offset, uint64_t *ret_bytes)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0 && elf_version(EV_CURRENT) != EV_NONE);
    Elf *elf = elf_begin(fd, ELF_C_READ, NULL);
    size_t names;
    bool found = false;
    assert_int_equal(elf_getshdrstrndx(elf, &names), 0);
    for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn)) && !found;) {
        GElf_Shdr header;
        assert_non_null(gelf_getshdr(scn, &header));
        found = strcmp(elf_strptr(elf, names, header.sh_name), name) == 0;
        *ret_offset = header.sh_offset;
        *ret_bytes = header.sh_size;
    }
    elf_end(elf);
    close(fd);
    return found;
}

static void a_stub_is_named_for_what_it_jumps_to(void **state)
{
    uint64_t offset, bytes;
    if (!find_section(".plt.sec", &offset, &bytes) && !find_section(".plt", &offset, &bytes))
        skip();
    size_t count = bytes / 4, seen = 0;
    struct symbol_addr *addrs = calloc(count, sizeof(*addrs));
    _cleanup_(symbolizer_free) struct symbolizer *s = NULL;
    assert_true(addrs && symbolizer_new(1u << 20, &s, NULL) == 0);
    for (size_t i = 0; i < count; i++)
        addrs[i].file_offset = offset + 4 * i;
    resolve(s, addrs, count);
    for (size_t i = 0; i < count; i++) {
        const char *name = name_of(&addrs[i]);
        assert_non_null(name);
        assert_true(strstr(name, "@plt") || strncmp(name, ".plt", 4) == 0);
        seen += strcmp(name, "getppid@plt") == 0;
    }
    assert_true(seen > 1 && getppid() >= 0); /* which has the linker make the stub */
    free(addrs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_place_has_the_one_right_name_or_none),
        cmocka_unit_test(a_stub_is_named_for_what_it_jumps_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
