/* test_go_table.c: Go's table of functions becomes rules, wherever a program has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cfi_elf.h"
#include "go_table_bytes.h"
#include "unwind/go_table.h"
#include "unwind/table.h"
#include "unwind/table_internal.h"

#define TEXT  CFI_ELF_ADDRESS
#define TABLE UINT64_C(0x700000) /* where .gopclntab is loaded */
#define OTHER UINT64_C(0x800000)

static const struct go_bytes_function functions[] = {
    {0x100, .rows = {{4, 0}, {1, 8}, {20, 0x48}, {1, 8}, {2, 0}}},
    {0x200, .rows = {{8, 0}, {300, 40}}},
    {0x1000, .rows = {{16, 0}}},
    {0x1040, .id = 7, .flags = 5, .rows = {{16, 0}}}, /* goexit */
    {0x1080, .id = 2, .flags = 6, .rows = {{16, 0}}}, /* asmcgocall changes stacks */
    {0x10c0, .id = 4, .flags = 6,
     .rows = {{16, 32}}},                        /* cgocallback arranges that it can be unwound */
    {0x1100, .rows = {{0}}},                     /* C's */
    {0x1140, .rows = {{2, 0}, {1, -8}, {3, 0}}}, /* it pops its return address */
    {0x1180, .id = 20, .flags = 4, .rows = {{1, 0}}}, /* systemstack_switch */
};
#define END 0x1190u

static struct go_bytes bytes_of(enum go_version version, uint8_t quantum)
{
    return (struct go_bytes){.version = version,
                             .quantum = quantum,
                             .text = TEXT,
                             .text_in_header = TEXT,
                             .functions = functions,
                             .count = ARRAY_LEN(functions),
                             .end = END};
}

static const struct rule_registers *registers_of(uint8_t quantum)
{
    return quantum == 1 ? &rule_registers_x86_64 : &rule_registers_aarch64;
}

/* ---- the section alone */

struct rows {
    size_t count;
    uint64_t pc[GO_ROWS_MAX];
    struct unwind_rule rule[GO_ROWS_MAX];
};

static int keep_row(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct rows *rows = ctx;
    assert_true(rows->count < GO_ROWS_MAX);
    rows->pc[rows->count] = pc;
    rows->rule[rows->count++] = *rule;
    return 0;
}

static void each_version_gives_functions_and_their_rows(void **state)
{
    for (enum go_version version = 0; version < GO_VERSIONS; version++) {
        for (uint8_t quantum = 1; quantum <= 4; quantum += 3) {
            _cleanup_(buf_free) struct buf bytes = {0};
            struct go_bytes what = bytes_of(version, quantum);
            go_table_bytes(&what, &bytes);
            struct go_table t;
            assert_int_equal(go_table_open(bytes.data, bytes.len, registers_of(quantum), &t), 0);
            assert_int_equal(t.count, ARRAY_LEN(functions));
            assert_int_equal(t.relative, version != GO_1_16);
            assert_int_equal(t.text, version == GO_1_16 ? 0 : TEXT);
            struct go_function f;
            for (uint64_t i = 0; i < t.count; i++) {
                assert_int_equal(go_table_function(&t, i, &f), 0);
                assert_int_equal(f.start, TEXT + functions[i].start);
                assert_int_equal(f.end, TEXT + (i + 1 < t.count ? functions[i + 1].start : END));
                assert_int_equal(f.bottom, i == 3 || i == 4);
                assert_int_equal(!f.program, i == 6);
            }
            struct rows rows = {0};
            uint64_t end;
            assert_int_equal(go_table_function(&t, 0, &f), 0);
            assert_int_equal(go_table_run(&t, &f, keep_row, &rows, &end), 0);
            assert_int_equal(rows.count, 5);
            assert_int_equal(end, f.start + UINT64_C(28) * quantum);
            assert_int_equal(rows.pc[3], f.start + UINT64_C(25) * quantum);
            /* The sp table of the second goes beyond its end. */
            rows.count = 0;
            assert_int_equal(go_table_function(&t, 1, &f), 0);
            assert_int_equal(go_table_run(&t, &f, keep_row, &rows, &end), 0);
            assert_int_equal(rows.count, 2);
            assert_true(end <= f.end && end == f.start + UINT64_C(308) * quantum);
        }
    }
}

static struct rows rows_of(enum go_version version, uint8_t quantum, uint64_t function)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    struct go_bytes what = bytes_of(version, quantum);
    go_table_bytes(&what, &bytes);
    struct go_table t;
    struct go_function f;
    struct rows rows = {0};
    uint64_t end;
    assert_int_equal(go_table_open(bytes.data, bytes.len, registers_of(quantum), &t), 0);
    assert_int_equal(go_table_function(&t, function, &f), 0);
    assert_int_equal(go_table_run(&t, &f, keep_row, &rows, &end), 0);
    return rows;
}

static void a_frame_has_the_return_address_on_top_and_the_frame_pointer_below(void **state)
{
    struct rows rows = rows_of(GO_1_20, 1, 0);
    static const int cfa[] = {8, 16, 0x50, 16, 8};
    for (size_t i = 0; i < rows.count; i++) {
        const struct unwind_rule *r = &rows.rule[i];
        assert_int_equal(r->kind, RULE_SP);
        assert_int_equal(r->cfa_off, cfa[i]);
        assert_int_equal(r->ra_place, PLACE_CFA);
        assert_int_equal(r->ra_off, -8);
        assert_int_equal(r->fp_place, cfa[i] == 8 ? PLACE_SAME : PLACE_CFA);
        assert_int_equal(r->fp_off, cfa[i] == 8 ? 0 : -16);
    }
}

static void on_aarch64_a_frame_has_the_link_register_at_its_lower_end(void **state)
{
    struct rows rows = rows_of(GO_1_20, 4, 0);
    static const int cfa[] = {0, 8, 0x48, 8, 0};
    for (size_t i = 0; i < rows.count; i++) {
        const struct unwind_rule *r = &rows.rule[i];
        assert_int_equal(r->kind, RULE_SP);
        assert_int_equal(r->cfa_off, cfa[i]);
        assert_int_equal(r->ra_place, cfa[i] ? PLACE_CFA : PLACE_SAME);
        assert_int_equal(r->ra_off, -cfa[i]);
        assert_int_equal(r->fp_place, PLACE_SAME);
    }
}

static void what_pops_its_return_address_is_left_to_another_engine(void **state)
{
    struct rows rows = rows_of(GO_1_20, 1, 7);
    assert_int_equal(rows.count, 3);
    assert_int_equal(rows.rule[0].kind, RULE_SP);
    assert_int_equal(rows.rule[1].kind, RULE_OTHER);
    assert_int_equal(rows.rule[2].kind, RULE_SP);
}

static void a_table_cut_anywhere_or_of_another_kind_is_refused(void **state)
{
    for (enum go_version version = 0; version < GO_VERSIONS; version++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        struct go_bytes what = bytes_of(version, 1);
        go_table_bytes(&what, &bytes);
        struct go_table t;
        for (size_t len = 0; len < bytes.len; len++) {
            /* Of its own size, so that a sanitizer sees what is read beyond it. */
            _cleanup_free_ uint8_t *cut = malloc(len ? len : 1);
            memcpy(cut, bytes.data, len);
            if (go_table_open(cut, len, &rule_registers_x86_64, &t) < 0)
                continue;
            int bad = 0;
            for (uint64_t i = 0; i < t.count; i++) {
                struct go_function f;
                struct rows rows = {0};
                uint64_t end;
                bad += go_table_function(&t, i, &f) < 0 ||
                       (f.program && go_table_run(&t, &f, keep_row, &rows, &end) < 0);
            }
            assert_true(bad || len >= bytes.len - 2); /* the padding of the last record */
        }
        static const struct {
            size_t at;
            uint8_t byte;
        } wrong[] = {{0, 0xfb}, {3, 0}, {4, 1}, {5, 1}, {6, 4}, {7, 4}, {15, 1}};
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
            uint8_t was = bytes.data[wrong[i].at];
            bytes.data[wrong[i].at] = wrong[i].byte;
            assert_int_equal(go_table_open(bytes.data, bytes.len, &rule_registers_x86_64, &t),
                             -EBADMSG);
            bytes.data[wrong[i].at] = was;
        }
        assert_int_equal(go_table_open(bytes.data, bytes.len, &rule_registers_aarch64, &t),
                         -EBADMSG);
    }
}

/* ---- in a program */

static struct unwind_table *build(const struct cfi_elf *elf)
{
    _cleanup_close_ int fd = cfi_elf_open(elf);
    struct unwind_table *t = NULL;
    struct err err = {0};
    int r = unwind_table_build(fd, NULL, &t, &err);
    if (r < 0)
        fail_msg("result %d: %s", r, err.text);
    return t;
}

static const struct unwind_rule *rule_at(const struct unwind_table *t, uint64_t code)
{
    return unwind_table_find(t, CFI_ELF_OFFSET + code);
}

/* C that calls Go back hides its caller behind this. */
static void a_return_address_may_be_the_first_instruction_of_systemstack_switch(void **state)
{
    for (enum go_version version = 0; version < GO_VERSIONS; version++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        struct go_bytes what = bytes_of(version, 1);
        go_table_bytes(&what, &bytes);
        _cleanup_(unwind_table_free) struct unwind_table *t =
            build(&(struct cfi_elf){.machine = EM_X86_64,
                                    .code_bytes = 0x10000,
                                    .section_name = ".gopclntab",
                                    .section = &bytes});
        assert_int_equal(rule_at(t, 0x117f)->kind, version == GO_1_16 ? RULE_NONE : RULE_SP);
    }
}

static void expect_rules(const struct unwind_table *t, uint64_t text)
{
    static const struct {
        uint64_t at;
        enum rule_kind kind;
        int cfa;
    } cases[] = {
        {0xff, RULE_NONE, 0},    {0x100, RULE_SP, 8},    {0x104, RULE_SP, 16},
        {0x105, RULE_SP, 0x50},  {0x118, RULE_SP, 0x50}, {0x11b, RULE_SP, 8},
        {0x11c, RULE_NONE, 0},   {0x1000, RULE_SP, 8},   {0x1010, RULE_NONE, 0},
        {0x1040, RULE_END, 0},   {0x104f, RULE_END, 0},  {0x1050, RULE_NONE, 0},
        {0x1080, RULE_END, 0},   {0x10c0, RULE_SP, 40},  {0x1100, RULE_NONE, 0},
        {0x1142, RULE_OTHER, 0}, {0x1143, RULE_SP, 8},   {0x1146, RULE_NONE, 0},
        {0x117e, RULE_NONE, 0},  {0x1180, RULE_SP, 8},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct unwind_rule *r = rule_at(t, text - TEXT + cases[i].at);
        if (r->kind != cases[i].kind || r->cfa_off != cases[i].cfa)
            fail_msg("at %#lx: kind %u cfa %d", (unsigned long)cases[i].at, r->kind, r->cfa_off);
    }
}

static void a_program_without_cfi_is_unwound_by_it(void **state)
{
    for (enum go_version version = 0; version < GO_VERSIONS; version++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        struct go_bytes what = bytes_of(version, 1);
        go_table_bytes(&what, &bytes);
        _cleanup_(unwind_table_free) struct unwind_table *t =
            build(&(struct cfi_elf){.machine = EM_X86_64,
                                    .code_bytes = 0x10000,
                                    .section_name = ".gopclntab",
                                    .section = &bytes});
        expect_rules(t, TEXT);
        /* without C's, with the byte before systemstack_switch */
        assert_int_equal(t->info.fdes, ARRAY_LEN(functions) - (version == GO_1_16));
        assert_int_equal(t->info.bad_fdes, 0);
    }
}

/* Each way to tell where Go's text begins, when the header does not: cases of the sections beside.
 */
static void the_text_is_found_where_the_header_does_not_tell(void **state)
{
    const uint64_t text = TEXT + 0x2000;
    Elf64_Rela header_rela = {.r_offset = TABLE + 24, .r_addend = (int64_t)text};
    Elf64_Rela module_rela = {.r_offset = OTHER + 176, .r_addend = (int64_t)text};
    uint64_t module[40] = {[0] = TABLE, [22] = text}, unfilled[40] = {0};
    static const uint8_t nothing[16];
#define BYTES(x) (&(struct buf){.data = (uint8_t *)(x), .len = sizeof(x)})
#define REF(x)   (&(struct buf){.data = (uint8_t *)&(x), .len = sizeof(x)})
    const struct {
        const char *what;
        const char *table_name;
        struct cfi_elf_section more[3];
    } cases[] = {
        {"a relocation, Go's linker", ".data.rel.ro.gopclntab", {{".rela", 0, REF(header_rela)}}},
        {"a relocation, another linker",
         ".data.rel.ro",
         {{".rela.dyn", 0, REF(header_rela)},
          {".go.buildinfo", 0, BYTES(nothing)},
          {".init", TEXT, BYTES(nothing)}}},
        {"the module's description", ".gopclntab", {{".go.module", OTHER, BYTES(module)}}},
        {"the module's description, relocated",
         ".gopclntab",
         {{".go.module", OTHER, BYTES(unfilled)}, {".rela.dyn", 0, REF(module_rela)}}},
        {"the section of code", ".gopclntab", {{".text", text, BYTES(nothing)}}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf bytes = {0};
        struct go_bytes what = bytes_of(GO_1_20, 1);
        what.text_in_header = 0;
        go_table_bytes(&what, &bytes);
        struct cfi_elf elf = {.machine = EM_X86_64, .code_bytes = 0x10000};
        elf.more[0] = (struct cfi_elf_section){cases[i].table_name, TABLE, &bytes};
        memcpy(&elf.more[1], cases[i].more, sizeof(cases[i].more));
        print_message("%s\n", cases[i].what);
        _cleanup_(unwind_table_free) struct unwind_table *t = build(&elf);
        expect_rules(t, text);
    }
}

static void where_nothing_tells_the_text_there_are_no_rules(void **state)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    struct go_bytes what = bytes_of(GO_1_20, 1);
    what.text_in_header = 0;
    go_table_bytes(&what, &bytes);
    static const uint8_t nothing[16];
    /* C's start-up code lies before Go's. */
    struct cfi_elf elf = {.machine = EM_X86_64,
                          .code_bytes = 0x10000,
                          .more = {{".gopclntab", TABLE, &bytes},
                                   {".text", TEXT, BYTES(nothing)},
                                   {".init", TEXT, BYTES(nothing)}}};
    _cleanup_close_ int fd = cfi_elf_open(&elf);
    struct unwind_table *t = NULL;
    assert_int_equal(unwind_table_build(fd, NULL, &t, NULL), -ENODATA);
}

static void c_code_beside_it_has_its_own_rules(void **state)
{
    static const uint8_t initial[] = {0x0c, 7, 8, 0x90, 1}; /* DW_CFA_def_cfa, DW_CFA_offset */
    _cleanup_(buf_free) struct buf bytes = {0}, eh_frame = {0};
    struct go_bytes what = bytes_of(GO_1_20, 1);
    go_table_bytes(&what, &bytes);
    size_t cie = cfi_add_cie(&eh_frame, EM_X86_64, "zR", initial, sizeof(initial));
    cfi_add_fde(&eh_frame, cie, TEXT + 0x1100, 0x40, "\x0e\x60", 2);
    cfi_add_fde(&eh_frame, cie, TEXT + 0x1000, 0x10, "\x0e\x70", 2);
    struct cfi_elf elf = {.machine = EM_X86_64,
                          .code_bytes = 0x10000,
                          .section = &eh_frame,
                          .more = {{".gopclntab", TABLE, &bytes}}};
    _cleanup_(unwind_table_free) struct unwind_table *t = build(&elf);
    assert_int_equal(rule_at(t, 0x1100)->cfa_off, 0x60);
    assert_int_equal(rule_at(t, 0x105)->cfa_off, 0x50);
    assert_int_equal(rule_at(t, 0x1000)->cfa_off, 0x70); /* .eh_frame comes first */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_version_gives_functions_and_their_rows),
        cmocka_unit_test(a_frame_has_the_return_address_on_top_and_the_frame_pointer_below),
        cmocka_unit_test(on_aarch64_a_frame_has_the_link_register_at_its_lower_end),
        cmocka_unit_test(what_pops_its_return_address_is_left_to_another_engine),
        cmocka_unit_test(a_table_cut_anywhere_or_of_another_kind_is_refused),
        cmocka_unit_test(a_program_without_cfi_is_unwound_by_it),
        cmocka_unit_test(a_return_address_may_be_the_first_instruction_of_systemstack_switch),
        cmocka_unit_test(the_text_is_found_where_the_header_does_not_tell),
        cmocka_unit_test(where_nothing_tells_the_text_there_are_no_rules),
        cmocka_unit_test(c_code_beside_it_has_its_own_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
