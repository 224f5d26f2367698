/* test_go_names.c: Go's table of functions becomes names, files, lines and inlined calls, wherever
 * a program has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cfi_elf.h"
#include "go_table_bytes.h"
#include "symbol/chains.h"
#include "symbol/elf_file.h"
#include "symbol/go_names.h"
#include "symbol/go_text.h"
#include "symbol/symbol.h"

#define TEXT   CFI_ELF_ADDRESS
#define TABLE  UINT64_C(0x700000)
#define MODULE UINT64_C(0x800000)

/* main calls outer, which calls inner, both inlined: instructions 10 to 19 are inner's, 5 to 9 and
 * 20 to 24 outer's. */
#define MAIN                                                  \
    .name = "main.main", .files = {{40, 0}},                  \
    .lines = {{5, 10}, {5, 20}, {10, 30}, {5, 21}, {15, 11}}, \
    .inlined = {{5, -1}, {5, 0}, {10, 1}, {5, 0}, {15, -1}}
static const struct go_bytes_function functions[] = {
    {0x100, MAIN,
     .calls = {{"main.outer", 4, -1, 0, 10}, {"main.(*T[go.shape.int]).inner", 20, 0, 0, 21}}},
    {0x200, .name = "lib.F[go.shape.struct { a [2]int; b []string }].func1",
     .files = {{4, 0}, {4, 1}}, .lines = {{8, 7}}},
    {0x240, .name = "x_cgo_init"}, /* C's */
    {0x280, .name = "main.round", .files = {{16, 0}}, .lines = {{16, 3}}, .inlined = {{16, 0}},
     .calls = {{"main.a", 5, 1, 0, 4}, {"main.b", 2, 0, 0, 5}}}, /* an inlined call in itself */
    {0x2c0, .name = "runtime.asm", .files = {{16, 1}}, .lines = {{16, 99}}},
};
#define END 0x300u

static struct go_bytes bytes_of(enum go_version version, uint8_t quantum)
{
    return (struct go_bytes){.version = version,
                             .quantum = quantum,
                             .text = TEXT,
                             .text_in_header = TEXT,
                             .functions = functions,
                             .count = ARRAY_LEN(functions),
                             .end = END,
                             .address = TABLE,
                             .files = {"/src/main.go", "/src/lib.s"}};
}

/* ---- a program with such a table */

struct program {
    struct buf table;
    uint64_t module[GO_MODULE_WORDS];
    struct buf module_bytes;
    struct cfi_elf elf;
};

static void make_program(const struct go_bytes *bytes, enum go_module layout, struct program *ret)
{
    *ret = (struct program){0};
    uint64_t calls = go_table_bytes(bytes, &ret->table);
    go_module_words(bytes, ret->table.len, calls, layout, ret->module);
    ret->module_bytes = (struct buf){.data = (uint8_t *)ret->module, .len = sizeof(ret->module)};
    ret->elf = (struct cfi_elf){
        .machine = bytes->quantum == 1 ? EM_X86_64 : EM_AARCH64,
        .code_bytes = 0x10000,
        .more = {{".gopclntab", TABLE, &ret->table, true},
                 {layout < GO_MODULE_1_26 ? ".noptrdata" : ".go.module", MODULE, &ret->module_bytes,
                  true}},
    };
}

static void free_program(struct program *p)
{
    buf_free(&p->table);
}

static int find(const struct program *p, const uint64_t *addresses, size_t count,
                struct chains *chains)
{
    _cleanup_close_ int fd = cfi_elf_open(&p->elf);
    _cleanup_(elf_file_close) struct elf_file file = {0};
    struct err err = {0};
    assert_int_equal(elf_file_open(fd, &file, &err), 0);
    int r = go_names_find(&file, addresses, count, chains, &err);
    assert_true(r == 0 || err.text[0]);
    return r;
}

/* What is known of a place of text, as "outermost file:line > inlined file:line". */
static void expect(const struct program *p, uint64_t place, uint64_t start, const char *expected)
{
    _cleanup_(chains_free) struct chains *chains = NULL;
    assert_int_equal(chains_new(&chains), 0);
    uint64_t address = TEXT + place, found_start = 0;
    assert_int_equal(find(p, &address, 1, chains), 0);
    const struct symbol_frame *frames;
    uint32_t count = 0;
    _cleanup_(buf_free) struct buf text = {0};
    if (chains_find(chains, address, &found_start, &frames, &count))
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(buf_printf(&text, "%s%s %s:%u", i ? " > " : "", frames[i].name,
                                        frames[i].file ? frames[i].file : "?", frames[i].line),
                             0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal((const char *)text.data, expected);
    assert_int_equal(found_start, count ? TEXT + start : 0);
}

static void expect_all(const struct program *p, uint64_t quantum)
{
    expect(p, 0xff, 0, "");
    expect(p, 0x100, 0x100, "main.main /src/main.go:10");
    expect(p, 0x100 + 5 * quantum, 0x100, "main.main /src/main.go:10 > main.outer /src/main.go:20");
    expect(p, 0x100 + 10 * quantum, 0x100,
           "main.main /src/main.go:10 > main.outer /src/main.go:21 > main.(*T[...]).inner "
           "/src/main.go:30");
    expect(p, 0x100 + 20 * quantum - 1, 0x100,
           "main.main /src/main.go:10 > main.outer /src/main.go:21 > main.(*T[...]).inner "
           "/src/main.go:30");
    expect(p, 0x100 + 24 * quantum, 0x100,
           "main.main /src/main.go:10 > main.outer /src/main.go:21");
    expect(p, 0x100 + 40 * quantum - 1, 0x100, "main.main /src/main.go:11");
    expect(p, 0x100 + 40 * quantum, 0, ""); /* what fills the gap to the next */
    expect(p, 0x200, 0x200, "lib.F[...].func1 /src/main.go:7");
    expect(p, 0x200 + 7 * quantum, 0x200, "lib.F[...].func1 /src/lib.s:7");
    expect(p, 0x240, 0, "");
    expect(p, 0x280 + quantum, 0x280, "main.round ?:0");
    expect(p, 0x2c0 + 15 * quantum, 0x2c0, "runtime.asm /src/lib.s:99");
    expect(p, END, 0, "");
}

/* ---- versions */

static void each_version_gives_functions_with_lines_and_what_is_inlined(void **state)
{
    static const struct {
        enum go_version version;
        enum go_module layout;
    } cases[] = {{GO_1_16, GO_MODULE_1_18},
                 {GO_1_18, GO_MODULE_1_18},
                 {GO_1_20, GO_MODULE_1_20},
                 {GO_1_20, GO_MODULE_1_26},
                 {GO_1_20, GO_MODULE_1_27}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (uint8_t quantum = 1; quantum <= 4; quantum += 3) {
            struct go_bytes bytes = bytes_of(cases[i].version, quantum);
            _cleanup_(free_program) struct program p;
            make_program(&bytes, cases[i].layout, &p);
            expect_all(&p, quantum);
        }
    }
}

static void all_addresses_are_asked_at_once(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_27, &p);
    _cleanup_(chains_free) struct chains *chains = NULL;
    assert_int_equal(chains_new(&chains), 0);
    uint64_t addresses[0x400];
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        addresses[i] = TEXT + i;
    assert_int_equal(find(&p, addresses, ARRAY_LEN(addresses), chains), 0);
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        const struct symbol_frame *frames;
        uint64_t start;
        uint32_t count;
        known += chains_find(chains, addresses[i], &start, &frames, &count);
    }
    assert_int_equal(known, 40 + 8 + 16 + 16);
}

/* ---- where it is */

static void text_is_told_by_the_runtimes_own_description(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    bytes.text_in_header = 0;
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_26, &p);
    expect_all(&p, 1);
}

/* As LLVM's linker does it: the file has zeros where the dynamic linker is to put addresses. */
static void addresses_are_taken_from_relocations(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    bytes.text_in_header = 0;
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_20, &p);
    Elf64_Rela rela[GO_MODULE_WORDS + 1];
    size_t n = 0;
    for (size_t i = 0; i < GO_MODULE_WORDS; i++) {
        if (p.module[i] < TEXT)
            continue;
        rela[n++] = (Elf64_Rela){.r_offset = MODULE + i * 8,
                                 .r_info = ELF64_R_INFO(0, R_X86_64_RELATIVE),
                                 .r_addend = (int64_t)p.module[i]};
        p.module[i] = 0;
    }
    rela[n++] = (Elf64_Rela){.r_offset = 1, .r_info = ELF64_R_INFO(1, R_X86_64_GLOB_DAT)};
    p.elf.more[2] = (struct cfi_elf_section){
        ".rela.dyn", 0x900000, &(struct buf){.data = (uint8_t *)rela, .len = n * sizeof(*rela)},
        false};
    expect_all(&p, 1);
}

static void gnu_linkers_put_the_table_among_other_data(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_18, 1);
    bytes.address = TABLE + 48;
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_18, &p);
    _cleanup_(buf_free) struct buf data = {0};
    /* Something that begins like it lies before. */
    static const uint8_t before[48] = {[8] = 0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8};
    buf_append(&data, before, sizeof(before));
    buf_append(&data, p.table.data, p.table.len);
    buf_append(&data, before, sizeof(before));
    p.elf.more[0] = (struct cfi_elf_section){".data.rel.ro", TABLE, &data, true};
    p.elf.more[2] = (struct cfi_elf_section){
        ".go.buildinfo", 0x900000, &(struct buf){.data = (uint8_t *)before, .len = 16}, false};
    expect_all(&p, 1);
}

static void without_that_description_only_what_inlines_nothing_has_a_line(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_18, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_18, &p);
    p.elf.more[1].name = NULL;
    expect(&p, 0x100, 0x100, "main.main /src/main.go:10");
    expect(&p, 0x105, 0x100, "main.main ?:0");
    expect(&p, 0x200, 0x200, "lib.F[...].func1 /src/main.go:7");
}

static void expect_no_table(const struct program *p)
{
    _cleanup_(chains_free) struct chains *chains = NULL;
    assert_int_equal(chains_new(&chains), 0);
    uint64_t address = TEXT + 0x100;
    assert_int_equal(find(p, &address, 1, chains), -ENODATA);
}

static void what_is_no_go_program_says_so(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_20, &p);
    p.elf.more[0].name = ".rodata";
    expect_no_table(&p);
    p.elf.more[0].name = ".gopclntab";
    p.table.data[0] = 0xfb; /* of Go 1.2 */
    expect_no_table(&p);
}

/* Where code is in several parts addresses do not count from one text. */
static void text_in_several_parts_is_left_alone(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_20, &p);
    p.module[42] = p.module[43] = 2;
    expect_no_table(&p);
}

static void text_that_is_no_code_is_left_alone(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_20, &p);
    p.module[GO_MODULE_TEXT] = TABLE;
    expect_no_table(&p);
}

/* ---- damage */

static void a_damaged_table_costs_answers_and_no_more(void **state)
{
    static const enum go_version versions[] = {GO_1_16, GO_1_18, GO_1_20};
    uint64_t addresses[0x40];
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        addresses[i] = TEXT + 0x100 + i * 8;
    for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
        struct go_bytes bytes = bytes_of(versions[v], 1);
        _cleanup_(free_program) struct program p;
        make_program(&bytes, v == 2 ? GO_MODULE_1_27 : GO_MODULE_1_18, &p);
        for (size_t at = 0; at < p.table.len; at++) {
            static const uint8_t values[] = {0, 0x7f, 0x80, 0xff};
            uint8_t was = p.table.data[at];
            p.table.data[at] = values[at % ARRAY_LEN(values)];
            _cleanup_(chains_free) struct chains *chains = NULL;
            assert_int_equal(chains_new(&chains), 0);
            int r = find(&p, addresses, ARRAY_LEN(addresses), chains);
            assert_true(r == 0 || r == -ENODATA);
            p.table.data[at] = was;
        }
        size_t len = p.table.len;
        for (; p.table.len > 0; p.table.len--) {
            _cleanup_(chains_free) struct chains *chains = NULL;
            assert_int_equal(chains_new(&chains), 0);
            int r = find(&p, addresses, ARRAY_LEN(addresses), chains);
            assert_true(r == 0 || r == -ENODATA);
        }
        p.table.len = len;
    }
}

static void a_table_that_costs_too_much_ends_the_search(void **state)
{
    static const struct go_bytes_function around[] = {
        {0x100, .name = "main.round", .files = {{4000, 0}}, .lines = {{4000, 3}},
         .inlined = {{4000, 0}}, .calls = {{"main.a", 0, 1, 0, 4}, {"main.b", 0, 0, 0, 5}}}};
    struct go_bytes bytes = bytes_of(GO_1_18, 1);
    bytes.functions = around;
    bytes.count = 1;
    bytes.end = 0x2000;
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_18, &p);
    uint64_t addresses[4000], start;
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        addresses[i] = TEXT + 0x100 + i;
    _cleanup_(chains_free) struct chains *chains = NULL;
    assert_int_equal(chains_new(&chains), 0);
    assert_int_equal(find(&p, addresses, ARRAY_LEN(addresses), chains), -E2BIG);
    const struct symbol_frame *frames;
    uint32_t count;
    assert_true(chains_find(chains, addresses[0], &start, &frames, &count));
    assert_string_equal(frames[0].name, "main.round");
    assert_false(chains_find(chains, addresses[3999], &start, &frames, &count));
}

/* ---- names */

static void type_arguments_are_left_out_as_go_does(void **state)
{
    static const struct {
        const char *name, *printed;
    } cases[] = {
        {"main.main", "main.main"},
        {"main.F[...]", "main.F[...]"},
        {"main.F[go.shape.int]", "main.F[...]"},
        {"main.F[go.shape.int].func1.2", "main.F[...].func1.2"},
        {"main.(*T[map[string][]int]).M", "main.(*T[...]).M"},
        {"main.(*T[go.shape.int]).M[go.shape.[]string].func1", "main.(*T[...]).M[...].func1"},
        {"type:.eq.[2]string", "type:.eq.[...]string"},
        {"gopkg.in/yaml%2ev3.Unmarshal", "gopkg.in/yaml%2ev3.Unmarshal"},
        {"a]b[c", "a]b[c"},
        {"a[b[c]", "a[b[c]"},
        {"a[b]]", "a[b]]"},
        {"[", "["},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf printed = {0};
        assert_int_equal(go_text_print(cases[i].name, &printed), 0);
        assert_string_equal((const char *)printed.data, cases[i].printed);
        assert_int_equal(printed.len, strlen(cases[i].printed) + 1);
    }
}

/* ---- in a symbolizer */

struct opener {
    const struct cfi_elf *elf;
    unsigned opened;
};

static int open_program(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    struct opener *o = ctx;
    o->opened++;
    return cfi_elf_open(o->elf);
}

static void a_symbolizer_asks_once_also_of_what_go_does_not_know(void **state)
{
    struct go_bytes bytes = bytes_of(GO_1_20, 1);
    _cleanup_(free_program) struct program p;
    make_program(&bytes, GO_MODULE_1_26, &p);
    struct opener opener = {.elf = &p.elf};
    struct symbol_key key = {.len = 1, .bytes = {1}};
    _cleanup_(symbolizer_free) struct symbolizer *s = NULL;
    assert_int_equal(symbolizer_new(1u << 20, &s, NULL), 0);
    for (int i = 0; i < 2; i++) {
        struct symbol_addr addrs[] = {{.file_offset = CFI_ELF_OFFSET + 0x240},
                                      {.file_offset = CFI_ELF_OFFSET + 0x105}};
        assert_int_equal(symbolizer_resolve(s, &key, open_program, &opener, addrs, 2, NULL), 0);
        assert_int_equal(addrs[0].frame_count, 0);
        assert_int_equal(addrs[1].frame_count, 2);
        assert_string_equal(addrs[1].frames[1].name, "main.outer");
        assert_int_equal(addrs[1].start, TEXT + 0x100);
        assert_int_equal(opener.opened, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_version_gives_functions_with_lines_and_what_is_inlined),
        cmocka_unit_test(all_addresses_are_asked_at_once),
        cmocka_unit_test(text_is_told_by_the_runtimes_own_description),
        cmocka_unit_test(addresses_are_taken_from_relocations),
        cmocka_unit_test(gnu_linkers_put_the_table_among_other_data),
        cmocka_unit_test(without_that_description_only_what_inlines_nothing_has_a_line),
        cmocka_unit_test(what_is_no_go_program_says_so),
        cmocka_unit_test(text_in_several_parts_is_left_alone),
        cmocka_unit_test(text_that_is_no_code_is_left_alone),
        cmocka_unit_test(a_damaged_table_costs_answers_and_no_more),
        cmocka_unit_test(a_table_that_costs_too_much_ends_the_search),
        cmocka_unit_test(type_arguments_are_left_out_as_go_does),
        cmocka_unit_test(a_symbolizer_asks_once_also_of_what_go_does_not_know),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
