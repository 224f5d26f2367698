/* test_kallsyms.c: a kernel address gets the name of the function it lies in, or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/kallsyms.h"

static int file_of(const char *text, size_t len)
{
    int fd = memfd_create("kallsyms", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, text, len), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static struct kallsyms *load(const char *text)
{
    _cleanup_close_ int fd = file_of(text, strlen(text));
    struct kallsyms *k = NULL;
    struct err err = {0};
    if (kallsyms_load(fd, &k, &err) < 0)
        fail_msg("%s", err.text);
    return k;
}

static int refused(const char *text, struct err *err)
{
    _cleanup_close_ int fd = file_of(text, strlen(text));
    struct kallsyms *k = NULL;
    int r = kallsyms_load(fd, &k, err);
    assert_null(k);
    return r;
}

/* The name at the address, or "-". */
static const char *name_at(const struct kallsyms *k, uint64_t address)
{
    struct kallsyms_symbol symbol;
    uint64_t offset;
    return kallsyms_find(k, address, &symbol, &offset) == 0 ? symbol.name : "-";
}

static const char core[] = "ffffffff81000000 T startup_64\n"
                           "ffffffff81000000 T _stext\n"
                           "ffffffff81000000 T _text\n"
                           "ffffffff81000100 t helper\n"
                           "ffffffff81000180 T __irqentry_text_start\n"
                           "ffffffff81000200 W weak_one\n"
                           "ffffffff81000300 T _etext\n"
                           "ffffffff82000000 R some_data\n"
                           "ffffffff82000100 D more_data\n"
                           "ffffffff83000000 T _sinittext\n"
                           "ffffffff83000000 t init_one\n"
                           "ffffffff83000100 T _einittext\n";

static void a_function_reaches_to_the_next_one(void **state)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = load(core);
    assert_string_equal(name_at(k, 0xffffffff81000000), "startup_64");
    assert_string_equal(name_at(k, 0xffffffff810000ff), "startup_64");
    assert_string_equal(name_at(k, 0xffffffff81000100), "helper");
    assert_string_equal(name_at(k, 0xffffffff81000200), "weak_one");
    assert_string_equal(name_at(k, 0xffffffff830000ff), "init_one");
}

static void what_no_function_covers_has_no_name(void **state)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = load(core);
    static const uint64_t addresses[] = {
        0,
        0xffffffff80ffffff, /* before the first */
        0xffffffff81000180, /* behind a section's mark that stands alone */
        0xffffffff81000300, /* behind the end of the text */
        0xffffffff82000000, /* data */
        0xffffffff82fffff0,
        0xffffffff83000100,
        UINT64_MAX,
    };
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        assert_string_equal(name_at(k, addresses[i]), "-");
}

static void offsets_count_from_stext_named_or_not(void **state)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = load(core);
    struct kallsyms_symbol symbol;
    uint64_t offset;
    assert_int_equal(kallsyms_find(k, 0xffffffff81000123, &symbol, &offset), 0);
    assert_int_equal(offset, 0x123);
    assert_int_equal(symbol.start, 0x100);
    assert_string_equal(symbol.module, "kernel");
    assert_int_equal(kallsyms_find(k, 0xffffffff81000400, &symbol, &offset), -ENOENT);
    assert_int_equal(offset, 0x400);
}

static void of_names_at_one_address_the_one_a_reader_looks_for_is_kept(void **state)
{
    static const struct {
        const char *lines, *name;
    } rows[] = {
        {"1000 t local\n1000 T global\n", "global"},
        {"1000 T global\n1000 t local\n", "global"},
        {"1000 W weak\n1000 T global\n", "global"},
        {"1000 T __pi_memcpy\n1000 T memcpy\n1000 T __memcpy\n", "memcpy"},
        {"1000 T long_name\n1000 T short\n", "short"},
        {"1000 T bb\n1000 T aa\n", "aa"},
        {"1000 T _stext\n1000 t local\n", "local"},
        {"1000 t local\n1000 D data\n", "local"},
        {"1000 D data\n1000 t local\n", "local"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_(kallsyms_free) struct kallsyms *k = load(rows[i].lines);
        assert_string_equal(name_at(k, 0x1000), rows[i].name);
    }
}

static void modules_are_named_and_counted_from_their_first_function(void **state)
{
    /* A module's symbols come in its symbol table's order. */
    _cleanup_(kallsyms_free) struct kallsyms *k =
        load("ffffffff81000000 T _stext\n"
             "ffffffff81000000 T first\n"
             "ffffffffc0002080 t second_of_b\t[b]\n"
             "ffffffffc0002000 t first_of_b\t[b]\n"
             "ffffffffc0001100 T second_of_a\t[a]\n"
             "ffffffffc0001000 t first_of_a\t[a]\n"
             "ffffffffc0009000 t bpf_prog_6deef7357e7b4530\t[bpf]\n"
             "ffffffffc000b000 t ftrace_trampoline\t[__builtin__ftrace]\n");
    struct kallsyms_symbol symbol;
    uint64_t offset;
    assert_int_equal(kallsyms_find(k, 0xffffffffc0001110, &symbol, &offset), 0);
    assert_string_equal(symbol.name, "second_of_a");
    assert_string_equal(symbol.module, "a");
    assert_int_equal(symbol.start, 0x100);
    assert_int_equal(offset, 0xffffffffc0001110 - 0xffffffff81000000);
    assert_int_equal(kallsyms_find(k, 0xffffffffc0002080, &symbol, &offset), 0);
    assert_string_equal(symbol.name, "second_of_b");
    assert_int_equal(symbol.start, 0x80);
    assert_int_equal(kallsyms_find(k, 0xffffffffc0009010, &symbol, &offset), 0);
    assert_string_equal(symbol.module, "bpf");
    assert_int_equal(kallsyms_find(k, 0xffffffffc000b000, &symbol, &offset), 0);
    assert_string_equal(symbol.module, "__builtin__ftrace");
}

static void a_modules_last_function_ends_with_its_page(void **state)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = load("ffffffff81000000 T _stext\n"
                                                       "ffffffff81000000 T first\n"
                                                       "ffffffffc0001100 t last_of_a\t[a]\n"
                                                       "ffffffffc0009000 t last_of_b\t[b]\n");
    assert_string_equal(name_at(k, 0xffffffff81000fff), "first");
    assert_string_equal(name_at(k, 0xffffffff81001000), "-");
    assert_string_equal(name_at(k, 0xffffffffc0001fff), "last_of_a");
    assert_string_equal(name_at(k, 0xffffffffc0002000), "-");
    assert_string_equal(name_at(k, 0xffffffffc0009fff), "last_of_b");
    assert_string_equal(name_at(k, 0xffffffffc000a000), "-");
}

static void padding_that_shares_a_functions_name_has_its_own(void **state)
{
    _cleanup_(kallsyms_free) struct kallsyms *k = load("1000 t __pfx_do_it\n1010 t do_it\n"
                                                       "1040 t it\n1050 t other\n");
    assert_string_equal(name_at(k, 0x1000), "__pfx_do_it");
    assert_string_equal(name_at(k, 0x1010), "do_it");
    assert_string_equal(name_at(k, 0x1040), "it");
    assert_string_equal(name_at(k, 0x1050), "other");
}

static void hidden_addresses_are_refused_with_advice(void **state)
{
    struct err err;
    assert_int_equal(refused("0000000000000000 T _stext\n0000000000000000 t a\t[m]\n", &err),
                     -EACCES);
    assert_non_null(strstr(err.text, "CAP_SYSLOG"));
    assert_non_null(strstr(err.text, "kptr_restrict"));
}

static void text_without_a_function_is_refused(void **state)
{
    struct err err;
    assert_int_equal(refused("", &err), -ENODATA);
    assert_int_equal(refused("\n\n", &err), -ENODATA);
    assert_int_equal(refused("1000 D data\n", &err), -ENODATA);
    assert_int_equal(refused("1000 A absolute\n", &err), -ENODATA);
    assert_int_equal(refused("no kernel\nsymbols here\n", &err), -ENODATA);
    _cleanup_close_ int dir = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct kallsyms *k = NULL;
    assert_int_equal(kallsyms_load(dir, &k, &err), -EISDIR);
}

static void lines_of_another_form_are_passed_over(void **state)
{
    char text[200000];
    size_t len = 0;
    len += (size_t)sprintf(text, "1000 t one\ngarbage\n1100 t\n1100 t \n11001100110011001 t x\n"
                                 "1100 t $x.1\n1100 t .Ltmp\n1200 t ");
    memset(text + len, 'n', 150000);
    len += 150000;
    strcpy(text + len, "\n1300 t two");
    _cleanup_(kallsyms_free) struct kallsyms *k = load(text);
    assert_string_equal(name_at(k, 0x1000), "one");
    assert_string_equal(name_at(k, 0x12ff), "one");
    assert_string_equal(name_at(k, 0x1300), "two");
}

/* The reader's chunks end anywhere in a line. */
static void many_lines_are_read_whole(void **state)
{
    enum { COUNT = 100000 };
    _cleanup_free_ char *text = malloc(COUNT * 64);
    size_t len = 0;
    for (int i = 0; i < COUNT; i++)
        len +=
            (size_t)sprintf(text + len, "%016" PRIx64 " %c function_%d\n",
                            UINT64_C(0xffffffff81000000) + (uint64_t)i * 32, i % 2 ? 't' : 'T', i);
    _cleanup_(kallsyms_free) struct kallsyms *k = load(text);
    for (int i = 0; i < COUNT; i++) {
        char name[32];
        sprintf(name, "function_%d", i);
        assert_string_equal(
            name_at(k, UINT64_C(0xffffffff81000000) + (uint64_t)i * 32 + 31 * (i & 1)), name);
    }
    assert_true(kallsyms_bytes(k) < COUNT * 40);
}

/* Every function of the running kernel is found by its first byte, under its own name or another
 * that stands at the same address. */
static void the_running_kernels_functions_are_found(void **state)
{
    _cleanup_close_ int fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
    _cleanup_(kallsyms_free) struct kallsyms *k = NULL;
    struct err err = {0};
    if (fd < 0 || kallsyms_load(fd, &k, &err) < 0) {
        print_message("/proc/kallsyms: %s\n", err.text);
        skip();
    }
    _cleanup_fclose_ FILE *f = fopen("/proc/kallsyms", "r");
    assert_non_null(f);
    char line[1024], name[512], type;
    uint64_t address;
    size_t functions = 0, unnamed = 0, other = 0;
    while (fgets(line, sizeof(line), f)) {
        if (sscanf(line, "%" SCNx64 " %c %511s", &address, &type, name) != 3 ||
            !strchr("tT", type) || name[0] == '$')
            continue;
        const char *found = name_at(k, address);
        functions++;
        unnamed += strcmp(found, "-") == 0;
        other += strcmp(found, "-") != 0 && strcmp(found, name) != 0;
    }
    print_message("# %zu functions, %zu bytes, %zu unnamed, %zu under another name\n", functions,
                  kallsyms_bytes(k), unnamed, other);
    assert_true(functions > 1000);
    assert_true(unnamed < 60); /* the linker script's marks */
    assert_true(other < functions / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_function_reaches_to_the_next_one),
        cmocka_unit_test(what_no_function_covers_has_no_name),
        cmocka_unit_test(offsets_count_from_stext_named_or_not),
        cmocka_unit_test(of_names_at_one_address_the_one_a_reader_looks_for_is_kept),
        cmocka_unit_test(modules_are_named_and_counted_from_their_first_function),
        cmocka_unit_test(a_modules_last_function_ends_with_its_page),
        cmocka_unit_test(padding_that_shares_a_functions_name_has_its_own),
        cmocka_unit_test(hidden_addresses_are_refused_with_advice),
        cmocka_unit_test(text_without_a_function_is_refused),
        cmocka_unit_test(lines_of_another_form_are_passed_over),
        cmocka_unit_test(many_lines_are_read_whole),
        cmocka_unit_test(the_running_kernels_functions_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
