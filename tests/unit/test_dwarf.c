/* test_dwarf.c: addresses of this program have the functions and lines their author wrote, inlined
 * ones too; what is no DWARF gives none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "cfi_elf.h"
#include "inlined_code.h"
#include "symbol/chains.h"
#include "symbol/dwarf.h"
#include "symbol/elf_file.h"

#define NEVER INT64_MAX

static int add(void *ctx, uint64_t address, uint64_t start, const struct symbol_frame *frames,
               size_t count)
{
    return chains_add(ctx, address, start, frames, count);
}

static int find(int fd, const uint64_t *addresses, size_t count, struct chains *chains)
{
    struct err err = {0};
    return dwarf_find_chains(fd, -1, addresses, count, NEVER, add, chains, &err);
}

static struct chains *make(void)
{
    struct chains *chains = NULL;
    assert_int_equal(chains_new(&chains), 0);
    return chains;
}

static void inlined_functions_stand_below_those_they_are_inlined_into(void **state)
{
    struct inlined_place places[INLINED_PLACES];
    size_t count = inlined_code_places(places);
    if (count == 0)
        skip();
    uint64_t addresses[INLINED_PLACES];
    for (size_t i = 0; i < count; i++)
        addresses[i] = places[i].address;
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(chains_free) struct chains *chains = make();
    assert_int_equal(find(fd, addresses, count, chains), 0);
    for (size_t i = 0; i < count; i++) {
        const struct symbol_frame *frames;
        uint64_t start;
        uint32_t found, want = 0;
        while (want < 3 && places[i].functions[want])
            want++;
        assert_true(chains_find(chains, addresses[i], &start, &frames, &found));
        assert_int_equal(found, want);
        assert_int_equal(start, places[i].start);
        for (uint32_t k = 0; k < found; k++) {
            assert_string_equal(frames[k].name, places[i].functions[k]);
            assert_int_equal(frames[k].line, places[i].lines[k]);
            assert_non_null(strstr(frames[k].file, "inlined_code.c"));
        }
    }
}

static void an_address_of_no_function_is_known_to_have_none(void **state)
{
    struct inlined_place places[INLINED_PLACES];
    if (inlined_code_places(places) == 0)
        skip();
    const uint64_t addresses[] = {0, 1, UINT64_MAX};
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(chains_free) struct chains *chains = make();
    assert_int_equal(find(fd, addresses, ARRAY_LEN(addresses), chains), 0);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        const struct symbol_frame *frames;
        uint64_t start;
        uint32_t count = 7;
        assert_true(chains_find(chains, addresses[i], &start, &frames, &count));
        assert_int_equal(count, 0);
    }
}

static void what_is_not_done_in_time_is_left_open(void **state)
{
    struct inlined_place places[INLINED_PLACES];
    if (inlined_code_places(places) == 0)
        skip();
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    _cleanup_(chains_free) struct chains *chains = make();
    uint64_t addresses[600];
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        addresses[i] = places[0].address + i;
    int r = dwarf_find_chains(fd, -1, addresses, ARRAY_LEN(addresses), 0, add, chains, NULL);
    assert_int_equal(r, -ETIME);
    size_t open_ones = 0;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        const struct symbol_frame *frames;
        uint64_t start;
        uint32_t count;
        open_ones += !chains_find(chains, addresses[i], &start, &frames, &count);
    }
    assert_true(open_ones > 500);
}

static int refuse(void *ctx, uint64_t address, uint64_t start, const struct symbol_frame *frames,
                  size_t count)
{
    return -EFBIG;
}

static void a_taker_that_has_enough_ends_the_search(void **state)
{
    struct inlined_place places[INLINED_PLACES];
    if (inlined_code_places(places) == 0)
        skip();
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_int_equal(dwarf_find_chains(fd, -1, &places[0].address, 1, NEVER, refuse, NULL, NULL),
                     -EFBIG);
}

static void a_file_without_dwarf_is_refused(void **state)
{
    const struct cfi_elf elf = {.machine = EM_X86_64, .code_bytes = 64};
    const uint64_t address = CFI_ELF_ADDRESS;
    _cleanup_(chains_free) struct chains *chains = make();
    _cleanup_close_ int plain = cfi_elf_open(&elf), text = memfd_create("text", MFD_CLOEXEC);
    assert_int_equal(fs_write_all(text, "#!/bin/sh\n", 10), 0);
    assert_int_equal(find(plain, &address, 1, chains), -EBADMSG);
    assert_int_equal(find(text, &address, 1, chains), -EBADMSG);
}

static void sections_are_found_by_name_and_dwarf_by_its_own(void **state)
{
    struct buf bytes = {0};
    assert_int_equal(buf_puts(&bytes, "some"), 0);
    const struct cfi_elf elf = {.machine = EM_X86_64,
                                .more = {{".debug_info", 0, &bytes}, {".other", 0, &bytes}}};
    _cleanup_close_ int fd = cfi_elf_open(&elf);
    struct elf_file file;
    GElf_Shdr section;
    assert_int_equal(elf_file_open(fd, &file, NULL), 0);
    assert_int_equal(elf_file_find_section(&file, ".other", &section), 0);
    assert_int_equal(section.sh_size, 4);
    assert_int_equal(elf_file_find_section(&file, ".othe", &section), -ENOENT);
    assert_true(elf_file_has_dwarf(&file));
    for (size_t i = 0; i < file.section_count; i++)
        file.sections[i].sh_type = file.sections[i].sh_type == SHT_STRTAB ? SHT_STRTAB : SHT_NOBITS;
    assert_false(elf_file_has_dwarf(&file));
    elf_file_close(&file);
    buf_free(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inlined_functions_stand_below_those_they_are_inlined_into),
        cmocka_unit_test(an_address_of_no_function_is_known_to_have_none),
        cmocka_unit_test(what_is_not_done_in_time_is_left_open),
        cmocka_unit_test(a_taker_that_has_enough_ends_the_search),
        cmocka_unit_test(a_file_without_dwarf_is_refused),
        cmocka_unit_test(sections_are_found_by_name_and_dwarf_by_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
