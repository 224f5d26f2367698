/* test_symbolizer.c: addresses of this program and of its vdso get the names its author gave them,
 * and bad files get none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"
#include "symbol/symbol.h"

/* How the tests give an object's file, and how often it was asked for. */
struct source {
    const char *path;
    int fd;    /* given as a duplicate if path is NULL */
    int error; /* given instead, if not 0 */
    int opened;
};

static int open_source(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    struct source *source = ctx;
    source->opened++;
    if (source->error)
        return err_errno(err, source->error, "opening the test's file");
    if (!source->path)
        return dup(source->fd);
    return open(source->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static struct symbolizer *make(size_t max_bytes)
{
    struct symbolizer *s = NULL;
    assert_int_equal(symbolizer_new(max_bytes, &s, NULL), 0);
    return s;
}

static struct symbol_key key_of(uint8_t n)
{
    return (struct symbol_key){.len = 1, .bytes = {n}};
}

__attribute__((noinline)) static int function_to_find(int x)
{
    return x * 3 + (int)getpid();
}

__attribute__((noinline)) static int another_function(int x)
{
    return x * 5 + (int)getppid();
}

/* Three names of one function, of which a reader looks for the second. */
int __pf_of_three_names(int x);
int pf_of_three_names(int x) __attribute__((alias("__pf_of_three_names")));
int _pf_of_three_names(int x) __attribute__((weak, alias("__pf_of_three_names")));

int __pf_of_three_names(int x)
{
    return x ^ 77;
}

/* This program is mapped by its segments: where in its file a function's byte lies, asked of the
 * dynamic loader and not of the code under test. */
struct place {
    uintptr_t address;
    uint64_t offset;
    bool found;
};

static int find_place(struct dl_phdr_info *info, size_t size, void *ctx)
{
    struct place *place = ctx;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + p->p_vaddr;
        if (p->p_type != PT_LOAD || place->address < start || place->address >= start + p->p_filesz)
            continue;
        place->offset = place->address - start + p->p_offset;
        place->found = true;
        return 1;
    }
    return 0;
}

static uint64_t offset_of(const void *function)
{
    struct place place = {.address = (uintptr_t)function};
    dl_iterate_phdr(find_place, &place);
    assert_true(place.found);
    return place.offset;
}

static void a_function_of_this_program_has_its_name_and_start(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.path = "/proc/self/exe"};
    struct symbol_key key = key_of(1);
    uint64_t offset = offset_of(function_to_find);
    struct symbol_addr addrs[] = {{.file_offset = offset + 3},
                                  {.file_offset = offset_of(another_function)},
                                  {.file_offset = offset},
                                  {.file_offset = offset + 3}};
    struct err err = {0};
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, addrs, 4, &err), 0);
    assert_string_equal(addrs[0].frames[0].name, "function_to_find");
    assert_string_equal(addrs[1].frames[0].name, "another_function");
    assert_string_equal(addrs[2].frames[0].name, "function_to_find");
    assert_string_equal(addrs[3].frames[0].name, "function_to_find");
    assert_int_equal(addrs[0].address, addrs[0].start + 3);
    assert_int_equal(addrs[2].address, addrs[0].start);
    assert_true(addrs[0].translated);
}

static void a_function_is_looked_up_in_the_file_once(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.path = "/proc/self/exe"};
    struct symbol_key key = key_of(1);
    uint64_t offset = offset_of(function_to_find);
    for (uint64_t i = 0; i < 4; i++) {
        struct symbol_addr addr = {.file_offset = offset + i};
        assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
        assert_string_equal(addr.frames[0].name, "function_to_find");
    }
    assert_int_equal(source.opened, 1);
    struct symbol_addr addr = {.file_offset = 0};
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
    assert_int_equal(addr.frame_count, 0);
    assert_true(addr.translated);
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
    assert_int_equal(source.opened, 2);
}

static void an_address_is_asked_for_as_well_as_an_offset(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.path = "/proc/self/exe"};
    struct symbol_key key = key_of(1);
    struct symbol_addr by_offset = {.file_offset = offset_of(function_to_find)};
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &by_offset, 1, NULL), 0);
    struct symbol_addr addrs[] = {
        {.address = by_offset.address + 1, .by_address = true},
        {.address = UINT64_MAX, .by_address = true},
    };
    assert_int_equal(
        symbolizer_resolve(s, &key, open_source, &source, addrs, ARRAY_LEN(addrs), NULL), 0);
    assert_true(addrs[0].translated);
    assert_int_equal(addrs[0].address, by_offset.address + 1);
    assert_string_equal(addrs[0].frames[0].name, "function_to_find");
    assert_false(addrs[1].translated);
    assert_int_equal(addrs[1].frame_count, 0);
    assert_int_equal(source.opened, 1);
}

static void a_failure_is_remembered_and_told_again(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.error = -ENOENT};
    struct symbol_key key = key_of(1);
    struct symbol_addr addr = {.file_offset = 64, .frame_count = 1, .translated = true};
    struct err err = {0};
    for (int i = 0; i < 3; i++) {
        int r = symbolizer_resolve(s, &key, open_source, &source, &addr, 1, &err);
        assert_int_equal(r, -ENOENT);
        assert_string_equal(err.text, "opening the test's file: No such file or directory");
        assert_int_equal(addr.frame_count, 0);
        assert_false(addr.translated);
    }
    assert_int_equal(source.opened, 1);
}

static void what_is_no_regular_file_or_no_elf_is_refused_without_waiting(void **state)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    struct source sources[] = {
        {.path = "/etc/passwd"}, {.path = "/dev/zero"}, {.path = "/"},
        {.path = "/dev/null"},   {.fd = pipe_fds[0]},
    };
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
        struct symbol_key key = key_of(1);
        struct symbol_addr addr = {.file_offset = 64};
        int r = symbolizer_resolve(s, &key, open_source, &sources[i], &addr, 1, NULL);
        assert_int_equal(r, -ENOEXEC);
        assert_false(addr.translated);
    }
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void objects_are_kept_apart_and_the_least_used_is_forgotten(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(8192);
    struct source source = {.path = "/proc/self/exe"};
    uint64_t offset = offset_of(function_to_find);
    for (uint8_t n = 0; n < 200; n++) {
        struct symbol_key hot = key_of(255), key = key_of(n);
        struct symbol_addr addr = {.file_offset = offset};
        assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
        assert_string_equal(addr.frames[0].name, "function_to_find");
        assert_int_equal(symbolizer_resolve(s, &hot, open_source, &source, &addr, 1, NULL), 0);
        assert_true(symbolizer_bytes(s) <= 8192);
    }
    assert_int_equal(source.opened, 201);
}

static void names_outlive_a_call_that_is_over_the_limit(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1);
    struct source source = {.path = "/proc/self/exe"};
    struct symbol_key key = key_of(1);
    struct symbol_addr addr = {.file_offset = offset_of(another_function)};
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
    assert_string_equal(addr.frames[0].name, "another_function");
}

static void of_names_at_one_address_the_plainest_is_given(void **state)
{
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.path = "/proc/self/exe"};
    struct symbol_key key = key_of(1);
    struct symbol_addr addr = {.file_offset = offset_of(__pf_of_three_names)};
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, &addr, 1, NULL), 0);
    assert_string_equal(addr.frames[0].name, "pf_of_three_names");
}

/* One of the fuzzer's seeds. */
static size_t read_seed(const char *name, char *to, size_t size)
{
    char path[PATH_MAX];
    const char *top = getenv("top_srcdir");
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/elf/%s", top ? top : ".", name);
    _cleanup_fclose_ FILE *f = fopen(path, "r");
    assert_non_null(f);
    size_t len = fread(to, 1, size, f);
    assert_true(len > 0 && len < size);
    return len;
}

static int file_of(const char *bytes, size_t len)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes, len), 0);
    return fd;
}

/* big32 and big64 have "first" at 0x10100, 16 bytes; "second" behind it, 32 bytes; inside that, at
 * 0x10118, "inner@@V_1", 8 bytes; and a symbol without a size at 0x10130. */
static void files_of_any_class_and_byte_order_are_read(void **state)
{
    static const char *const seeds[] = {"big32", "big64"};
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        char bytes[8192];
        struct source source = {.fd = file_of(bytes, read_seed(seeds[i], bytes, sizeof(bytes)))};
        _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
        struct symbol_key key = key_of(1);
        struct symbol_addr addrs[0x50];
        for (size_t a = 0; a < ARRAY_LEN(addrs); a++)
            addrs[a] = (struct symbol_addr){.file_offset = 0xff + a};
        assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, addrs, 0x50, NULL), 0);
        for (size_t a = 0; a < ARRAY_LEN(addrs); a++) {
            uint64_t at = 0x100ff + a;
            const char *want = at < 0x10100   ? NULL
                               : at < 0x10110 ? "first"
                               : at < 0x10118 ? "second"
                               : at < 0x10120 ? "inner"
                               : at < 0x10130 ? "second"
                                              : NULL;
            assert_int_equal(addrs[a].address, at);
            if (want)
                assert_string_equal(addrs[a].frames[0].name, want);
            else
                assert_int_equal(addrs[a].frame_count, 0);
        }
        assert_int_equal(addrs[0x25].start, 0x10110);

        uint8_t id[ELF_BUILD_ID_MAX];
        size_t id_len = 0;
        assert_int_equal(elf_read_build_id(source.fd, id, &id_len, NULL), 0);
        assert_int_equal(id_len, 20);
        for (uint8_t b = 0; b < 20; b++)
            assert_int_equal(id[b], b);
        close(source.fd);
    }
}

/* Whatever is missing, an address has its right name or none. */
static void a_file_cut_anywhere_gives_no_wrong_name(void **state)
{
    static const char *const seeds[] = {"static", "static32", "shared",
                                        "big64",  "plt",      "plt_aarch64"};
    for (size_t i = 0; i < ARRAY_LEN(seeds); i++) {
        char bytes[8192];
        enum { COUNT = 1024 };
        struct symbol_addr whole[COUNT] = {0}, cut[COUNT];
        size_t len = read_seed(seeds[i], bytes, sizeof(bytes)), named = 0;
        for (size_t a = 0; a < COUNT; a++)
            whole[a].file_offset = 0x80 + a * (len - 0x80) / COUNT;
        struct source source = {.fd = file_of(bytes, len)};
        struct symbol_key key = key_of(1);
        _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
        assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, whole, COUNT, NULL), 0);
        for (size_t a = 0; a < COUNT; a++)
            named += whole[a].frame_count > 0;
        assert_true(named > 5);
        while (len-- > 0) {
            assert_int_equal(ftruncate(source.fd, (off_t)len), 0);
            _cleanup_(symbolizer_free) struct symbolizer *fresh = make(1u << 20);
            for (size_t a = 0; a < COUNT; a++)
                cut[a] = (struct symbol_addr){.file_offset = whole[a].file_offset};
            symbolizer_resolve(fresh, &key, open_source, &source, cut, COUNT, NULL);
            for (size_t a = 0; a < COUNT; a++) {
                if (cut[a].translated)
                    assert_int_equal(cut[a].address, whole[a].address);
                if (cut[a].frame_count)
                    assert_string_equal(cut[a].frames[0].name, whole[a].frames[0].name);
            }
        }
        close(source.fd);
    }
}

static void what_was_learnt_stays_when_the_file_goes_bad(void **state)
{
    char bytes[8192];
    struct source source = {.fd = file_of(bytes, read_seed("big64", bytes, sizeof(bytes)))};
    struct symbol_key key = key_of(1);
    struct symbol_addr addrs[2] = {{.file_offset = 0x100}, {.file_offset = 0x118}};
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, addrs, 1, NULL), 0);
    assert_int_equal(ftruncate(source.fd, 100), 0);
    assert_true(symbolizer_resolve(s, &key, open_source, &source, addrs, 2, NULL) < 0);
    assert_string_equal(addrs[0].frames[0].name, "first");
    assert_int_equal(addrs[1].frame_count, 0);
    assert_int_equal(addrs[1].address, 0x10118);
    close(source.fd);
}

static void a_file_without_a_build_id_or_that_is_none_is_told_apart(void **state)
{
    char bytes[8192];
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t id_len = 0, len = read_seed("big64", bytes, sizeof(bytes));
    memcpy(bytes + 0x300 + 12, "GNX", 3);
    _cleanup_close_ int none = file_of(bytes, len), text = file_of("#!/bin/sh\n", 10);
    struct err err = {0};
    assert_int_equal(elf_read_build_id(none, id, &id_len, &err), -ENODATA);
    assert_string_equal(err.text, "no build-id");
    assert_int_equal(elf_read_build_id(text, id, &id_len, &err), -ENOEXEC);
    assert_int_equal(id_len, 0);
}

static void the_vdso_is_a_file_with_names_and_a_build_id(void **state)
{
    struct err err = {0};
    _cleanup_close_ int fd = elf_open_vdso(&err);
    if (fd == -ENOENT) {
        print_message("%s\n", err.text);
        skip();
    }
    assert_true(fd >= 0);
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t len = 0;
    assert_int_equal(elf_read_build_id(fd, id, &len, NULL), 0);
    assert_true(len >= 8);
    enum { SIZE = 65536 };
    struct symbol_addr *addrs = calloc(SIZE, sizeof(*addrs));
    assert_non_null(addrs);
    for (size_t i = 0; i < SIZE; i++)
        addrs[i].file_offset = i;
    _cleanup_(symbolizer_free) struct symbolizer *s = make(1u << 20);
    struct source source = {.fd = fd};
    struct symbol_key key = key_of(1);
    assert_int_equal(symbolizer_resolve(s, &key, open_source, &source, addrs, SIZE, NULL), 0);
    bool seen = false;
    for (size_t i = 0; i < SIZE; i++)
        seen = seen || (addrs[i].frame_count && strstr(addrs[i].frames[0].name, "clock_gettime"));
    free(addrs);
    assert_true(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_of_this_program_has_its_name_and_start),
        cmocka_unit_test(a_function_is_looked_up_in_the_file_once),
        cmocka_unit_test(an_address_is_asked_for_as_well_as_an_offset),
        cmocka_unit_test(a_failure_is_remembered_and_told_again),
        cmocka_unit_test(what_is_no_regular_file_or_no_elf_is_refused_without_waiting),
        cmocka_unit_test(objects_are_kept_apart_and_the_least_used_is_forgotten),
        cmocka_unit_test(names_outlive_a_call_that_is_over_the_limit),
        cmocka_unit_test(of_names_at_one_address_the_plainest_is_given),
        cmocka_unit_test(files_of_any_class_and_byte_order_are_read),
        cmocka_unit_test(a_file_cut_anywhere_gives_no_wrong_name),
        cmocka_unit_test(what_was_learnt_stays_when_the_file_goes_bad),
        cmocka_unit_test(a_file_without_a_build_id_or_that_is_none_is_told_apart),
        cmocka_unit_test(the_vdso_is_a_file_with_names_and_a_build_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
