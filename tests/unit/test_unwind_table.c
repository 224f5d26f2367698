/* test_unwind_table.c: FDEs of an ELF file become a table, and each offset in the file finds its
 * rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cfi_elf.h"
#include "unwind/table.h"
#include "unwind/table_internal.h"

#define CODE 0x10000u

static const uint8_t initial[] = {DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1};

/* One function of a case: its rule's CFA is sp + cfa. */
struct function {
    uint32_t start, bytes;
    uint8_t cfa;
};

static void add_function(struct buf *section, size_t cie, const struct function *f)
{
    uint8_t program[] = {DW_CFA_def_cfa_offset, f->cfa};
    cfi_add_fde(section, cie, CFI_ELF_ADDRESS + f->start, f->bytes, program, sizeof(program));
}

static struct unwind_table *build(const struct cfi_elf *elf,
                                  const struct unwind_table_limits *limits, int result)
{
    _cleanup_close_ int fd = cfi_elf_open(elf);
    struct unwind_table *t = NULL;
    struct err err = {0};
    int r = unwind_table_build(fd, limits, &t, &err);
    if (r != result)
        fail_msg("result %d, not %d: %s", r, result, err.text);
    assert_true(r == 0 || (!t && err.text[0]));
    return t;
}

static struct unwind_table *table_of(const struct function *functions, size_t count)
{
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    for (size_t i = 0; i < count; i++)
        add_function(&section, cie, &functions[i]);
    return build(&(struct cfi_elf){.machine = EM_X86_64, .code_bytes = CODE, .section = &section},
                 NULL, 0);
}

/* The CFA at an address, as an offset of sp; 0: no rule. */
static int cfa_at(const struct unwind_table *t, uint64_t code)
{
    const struct unwind_rule *r = unwind_table_find(t, CFI_ELF_OFFSET + code);
    return r->kind == RULE_NONE ? 0 : r->kind == RULE_SP ? r->cfa_off : -1;
}

static void functions_have_their_rules_and_gaps_none(void **state)
{
    static const struct function functions[] = {
        {0x100, 0x10, 16}, {0x110, 0x20, 24}, {0x200, 1, 32}};
    _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, 3);
    static const struct {
        uint32_t at;
        int cfa;
    } cases[] = {{0, 0},     {0xff, 0},  {0x100, 16}, {0x10f, 16}, {0x110, 24}, {0x12f, 24},
                 {0x130, 0}, {0x1ff, 0}, {0x200, 32}, {0x201, 0},  {CODE, 0},   {UINT32_MAX, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(cfa_at(t, cases[i].at), cases[i].cfa);
    assert_int_equal(unwind_table_find(t, 0)->kind, RULE_NONE);
    assert_int_equal(unwind_table_find(t, UINT64_MAX)->kind, RULE_NONE);
    assert_int_equal(unwind_table_find(t, UINT64_C(0x100000000) + CFI_ELF_OFFSET + 0x100)->kind,
                     RULE_NONE);
    struct unwind_table_info info;
    unwind_table_describe(t, &info);
    assert_int_equal(info.machine, UNWIND_X86_64);
    assert_int_equal(info.fdes, 3);
    assert_int_equal(info.bad_fdes, 0);
    assert_int_equal(info.rows, 6); /* three functions, before them, between them, behind them */
}

static void functions_may_come_in_any_order(void **state)
{
    static const struct function functions[] = {
        {0x200, 0x10, 32}, {0x100, 0x10, 16}, {0x180, 0x10, 24}};
    _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, 3);
    assert_int_equal(cfa_at(t, 0x105), 16);
    assert_int_equal(cfa_at(t, 0x185), 24);
    assert_int_equal(cfa_at(t, 0x205), 32);
}

static void neighbours_with_one_rule_share_a_row(void **state)
{
    static const struct function functions[] = {{0x100, 0x10, 16}, {0x110, 0x10, 16}};
    _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, 2);
    assert_int_equal(t->info.rows, 3);
    assert_int_equal(cfa_at(t, 0x11f), 16);
    assert_int_equal(cfa_at(t, 0x120), 0);
}

static void where_functions_overlap_the_one_that_starts_first_has_the_bytes(void **state)
{
    static const struct function functions[] = {
        {0x100, 0x40, 16}, {0x120, 0x40, 24}, {0x130, 0x08, 32},
        {0x160, 0x10, 40}, {0x160, 0x20, 48},
    };
    _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, 5);
    static const int expect[] = {16, 16, 16, 16, 24, 24, 40, 48, 0};
    for (uint32_t i = 0; i < ARRAY_LEN(expect); i++)
        assert_int_equal(cfa_at(t, 0x100 + i * 0x10), expect[i]);
}

static void functions_that_the_linker_dropped_are_passed_over(void **state)
{
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    cfi_add_fde(&section, cie, 0, 0x100, NULL, 0);                          /* at address zero */
    cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + CODE - 4, 8, NULL, 0);     /* beyond the code */
    cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + 0x50, 0, NULL, 0);         /* of no length */
    cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + 0x60, 8, "\x3f", 1);       /* malformed */
    cfi_add_fde(&section, section.len - 1000, CFI_ELF_ADDRESS, 8, NULL, 0); /* without a CIE */
    add_function(&section, cie, &(struct function){0x100, 16, 16});
    _cleanup_(unwind_table_free) struct unwind_table *t = build(
        &(struct cfi_elf){.machine = EM_X86_64, .code_bytes = CODE, .section = &section}, NULL, 0);
    assert_int_equal(cfa_at(t, 0x100), 16);
    assert_int_equal(cfa_at(t, 0x60), 0);
    assert_int_equal(cfa_at(t, 0x50), 0);
    assert_int_equal(t->info.fdes, 1);
    assert_int_equal(t->info.bad_fdes, 5);
}

static void the_first_code_of_a_file_has_no_caller(void **state)
{
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    add_function(&section, cie, &(struct function){0x110, 16, 16});
    struct cfi_elf elf = {.machine = EM_X86_64,
                          .code_bytes = CODE,
                          .section = &section,
                          .entry = CFI_ELF_ADDRESS + 0x100};
    _cleanup_(unwind_table_free) struct unwind_table *t = build(&elf, NULL, 0);
    assert_int_equal(unwind_table_find(t, CFI_ELF_OFFSET + 0xff)->kind, RULE_NONE);
    assert_int_equal(unwind_table_find(t, CFI_ELF_OFFSET + 0x100)->kind, RULE_END);
    assert_int_equal(unwind_table_find(t, CFI_ELF_OFFSET + 0x10f)->kind, RULE_END);
    assert_int_equal(cfa_at(t, 0x110), 16);
    /* Its CFI comes first, where there is some. */
    elf.entry = CFI_ELF_ADDRESS + 0x118;
    _cleanup_(unwind_table_free) struct unwind_table *with_cfi = build(&elf, NULL, 0);
    assert_int_equal(cfa_at(with_cfi, 0x118), 16);
    /* At the end of 32 bits of offsets nothing wraps around. */
    elf.entry = CFI_ELF_ADDRESS + UINT32_MAX - CFI_ELF_OFFSET - 8;
    elf.code_bytes = UINT32_MAX - CFI_ELF_OFFSET;
    _cleanup_(unwind_table_free) struct unwind_table *at_end = build(&elf, NULL, 0);
    assert_int_equal(cfa_at(at_end, 0x118), 16);
    assert_int_equal(unwind_table_find(at_end, UINT32_MAX - 8)->kind, RULE_END);
    for (uint32_t i = 1; i < at_end->info.rows; i++)
        assert_true(at_end->offsets[i] > at_end->offsets[i - 1]);
}

/* One function, at 0x100: its CFA is sp + 48. */
static void add_debug_frame(struct buf *section)
{
    /* DWARF 5, 6.4.1: a CIE's id is -1, an FDE's address absolute. */
    struct __attribute__((packed)) {
        uint32_t cie_len, cie_id;
        uint8_t version, augmentation, code_align, data_align, ra, program[7];
        uint32_t fde_len, cie;
        uint64_t start, bytes;
        uint8_t fde_program[4];
    } debug_frame = {
        16,
        UINT32_MAX,
        1,
        0,
        1,
        0x78,
        16,
        {DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1},
        24,
        0,
        CFI_ELF_ADDRESS + 0x100,
        16,
        {DW_CFA_def_cfa_offset, 48},
    };
    assert_int_equal(buf_append(section, &debug_frame, sizeof(debug_frame)), 0);
}

static void debug_frame_serves_where_there_is_no_eh_frame(void **state)
{
    _cleanup_(buf_free) struct buf section = {0};
    add_debug_frame(&section);
    _cleanup_(unwind_table_free) struct unwind_table *t =
        build(&(struct cfi_elf){.machine = EM_X86_64,
                                .code_bytes = CODE,
                                .section = &section,
                                .section_name = ".debug_frame"},
              NULL, 0);
    assert_int_equal(cfa_at(t, 0xff), 0);
    assert_int_equal(cfa_at(t, 0x100), 48);
    assert_int_equal(cfa_at(t, 0x110), 0);
}

static void debug_frame_serves_for_what_eh_frame_leaves_out(void **state)
{
    _cleanup_(buf_free) struct buf section = {0}, eh_frame = {0};
    add_debug_frame(&section);
    size_t cie = cfi_add_cie(&eh_frame, EM_X86_64, "zR", initial, sizeof(initial));
    add_function(&eh_frame, cie, &(struct function){0x200, 16, 16});
    _cleanup_(unwind_table_free) struct unwind_table *t =
        build(&(struct cfi_elf){.machine = EM_X86_64,
                                .code_bytes = CODE,
                                .section = &eh_frame,
                                .more = {{".debug_frame", 0, &section}}},
              NULL, 0);
    assert_int_equal(cfa_at(t, 0x100), 48);
    assert_int_equal(cfa_at(t, 0x200), 16);
}

static void a_section_that_cannot_be_read_costs_no_other_its_rules(void **state)
{
    _cleanup_(buf_free) struct buf large = {0}, eh_frame = {0};
    for (unsigned i = 0; i < 100; i++)
        add_debug_frame(&large);
    size_t cie = cfi_add_cie(&eh_frame, EM_X86_64, "zR", initial, sizeof(initial));
    add_function(&eh_frame, cie, &(struct function){0x200, 16, 16});
    _cleanup_(unwind_table_free) struct unwind_table *t =
        build(&(struct cfi_elf){.machine = EM_X86_64,
                                .code_bytes = CODE,
                                .section = &eh_frame,
                                .more = {{".debug_frame", 0, &large}}},
              &(struct unwind_table_limits){.max_section_bytes = large.len - 1}, 0);
    assert_int_equal(cfa_at(t, 0x100), 0);
    assert_int_equal(cfa_at(t, 0x200), 16);
}

static void an_elf_file_packed_into_another_serves_where_that_has_no_cfi(void **state)
{
    _cleanup_(buf_free) struct buf section = {0}, inner = {0}, packed = {0};
    add_debug_frame(&section);
    struct cfi_elf elf = {.machine = EM_X86_64,
                          .code_bytes = CODE,
                          .section = &section,
                          .section_name = ".debug_frame"};
    cfi_elf_bytes(&elf, &inner);
    assert_int_equal(buf_reserve(&packed, lzma_stream_buffer_bound(inner.len)), 0);
    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, inner.data, inner.len,
                                             packed.data, &packed.len, packed.cap),
                     LZMA_OK);
    elf.section_name = ".gnu_debugdata";
    elf.section = &packed;
    _cleanup_(unwind_table_free) struct unwind_table *t = build(&elf, NULL, 0);
    assert_int_equal(cfa_at(t, 0x100), 48);
    for (size_t cut = 1; cut <= packed.len; cut *= 2) {
        struct buf part = {.data = packed.data, .len = packed.len - cut};
        elf.section = &part;
        build(&elf, NULL, part.len ? -EBADMSG : -ENODATA);
    }
}

static void what_a_packed_file_may_cost_is_bounded(void **state)
{
    _cleanup_(buf_free) struct buf zeros = {0}, packed = {0};
    size_t len = (size_t)80 << 20;
    assert_int_equal(buf_reserve(&zeros, len), 0);
    memset(zeros.data, 0, len);
    assert_int_equal(buf_reserve(&packed, lzma_stream_buffer_bound(len)), 0);
    assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, zeros.data, len,
                                             packed.data, &packed.len, packed.cap),
                     LZMA_OK);
    build(&(struct cfi_elf){.machine = EM_X86_64,
                            .code_bytes = CODE,
                            .section = &packed,
                            .section_name = ".gnu_debugdata"},
          NULL, -EFBIG);
}

static void signal_frames_and_augmentations_of_no_known_kind_are_told_apart(void **state)
{
    static const struct {
        const char *augmentation;
        uint8_t kind, flags;
    } cases[] = {{"zR", RULE_SP, 0},
                 {"zRS", RULE_SP, RULE_SIGNAL},
                 {"zRB", RULE_SP, 0},
                 {"zRX", RULE_OTHER, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf section = {0};
        size_t cie =
            cfi_add_cie(&section, EM_X86_64, cases[i].augmentation, initial, sizeof(initial));
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS, 8, NULL, 0);
        _cleanup_(unwind_table_free) struct unwind_table *t =
            build(&(struct cfi_elf){.machine = EM_X86_64, .code_bytes = CODE, .section = &section},
                  NULL, 0);
        const struct unwind_rule *rule = unwind_table_find(t, CFI_ELF_OFFSET);
        assert_int_equal(rule->kind, cases[i].kind);
        assert_int_equal(rule->flags, cases[i].flags);
    }
}

static void what_is_no_program_with_cfi_has_no_table(void **state)
{
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    struct cfi_elf elf = {.machine = EM_X86_64, .code_bytes = CODE, .section = &section};
    build(&elf, NULL, -ENODATA); /* a CIE alone */
    add_function(&section, cie, &(struct function){0x100, 16, 16});
    elf.machine = EM_RISCV;
    build(&elf, NULL, -ENOEXEC);
    elf.machine = EM_X86_64;
    elf.section_name = ".eh_from";
    build(&elf, NULL, -ENODATA);
    elf.section_name = NULL;
    elf.code_bytes = 0;
    build(&elf, NULL, -ENODATA);
    elf.code_bytes = UINT32_MAX;
    build(&elf, NULL, -ENODATA); /* code beyond 4 GiB of the file */

    _cleanup_close_ int null = open("/dev/null", O_RDONLY);
    struct unwind_table *t = NULL;
    assert_int_equal(unwind_table_build(null, NULL, &t, NULL), -ENOEXEC);
}

static void limits_hold(void **state)
{
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    for (uint32_t i = 0; i < 100; i++)
        add_function(&section, cie, &(struct function){i * 32, 16, (uint8_t)i});
    struct cfi_elf elf = {.machine = EM_X86_64, .code_bytes = CODE, .section = &section};
    build(&elf, &(struct unwind_table_limits){.max_rows = 99}, -EFBIG);
    build(&elf, &(struct unwind_table_limits){.max_section_bytes = section.len - 1}, -EFBIG);
    struct unwind_table *t = build(
        &elf, &(struct unwind_table_limits){.max_rows = 100, .max_section_bytes = section.len}, 0);
    unwind_table_free(&t);
}

/* Headers that would have libelf take memory for what is not there: the file is sparse, of any
 * size. */
static void headers_that_claim_very_much_cost_little(void **state)
{
    _cleanup_(buf_free) struct buf section = {0}, bytes = {0};
    size_t cie = cfi_add_cie(&section, EM_X86_64, "zR", initial, sizeof(initial));
    add_function(&section, cie, &(struct function){0x100, 16, 16});
    struct cfi_elf elf = {.machine = EM_X86_64, .code_bytes = CODE, .section = &section};
    cfi_elf_bytes(&elf, &bytes);
    for (int i = 0; i < 3; i++) {
        _cleanup_close_ int fd = memfd_create("sparse", MFD_CLOEXEC);
        assert_int_equal(pwrite(fd, bytes.data, bytes.len, 0), (ssize_t)bytes.len);
        assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
        Elf64_Ehdr h;
        memcpy(&h, bytes.data, sizeof(h));
        Elf64_Shdr names, zero = {0};
        memcpy(&names, bytes.data + h.e_shoff + sizeof(names), sizeof(names));
        if (i == 0) { /* more than 65279 sections are counted in the first (gABI) */
            h.e_shnum = 0;
            zero.sh_size = UINT32_MAX;
        } else if (i == 1) { /* segments likewise */
            h.e_phnum = PN_XNUM;
            zero.sh_info = UINT32_MAX;
        } else { /* names of 512 GiB */
            names.sh_size = UINT64_C(1) << 39;
        }
        assert_int_equal(pwrite(fd, &h, sizeof(h), 0), sizeof(h));
        assert_int_equal(pwrite(fd, &zero, sizeof(zero), (off_t)h.e_shoff), sizeof(zero));
        assert_int_equal(pwrite(fd, &names, sizeof(names), (off_t)(h.e_shoff + sizeof(names))),
                         sizeof(names));
        struct unwind_table *t = NULL;
        struct err err = {0};
        int r = unwind_table_build(fd, NULL, &t, &err);
        if (r != -EBADMSG && r != -EFBIG && r != -ENODATA)
            fail_msg("case %d: %d %s", i, r, err.text);
        assert_null(t);
    }
}

/* ---- lookup */

static uint64_t random_state = 7;

static uint32_t random_number(uint32_t below)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(random_state >> 33) % below;
}

static const struct unwind_rule *search_naively(const struct unwind_table *t, uint64_t offset)
{
    static const struct unwind_rule none = {.kind = RULE_NONE};
    const struct unwind_rule *found = &none;
    for (uint32_t i = 0; i < t->info.rows && t->offsets[i] <= offset; i++)
        found = &t->rules[t->rule_of_row[i]];
    return found;
}

static void check_lookup(const struct unwind_table *t, uint64_t offset)
{
    const struct unwind_rule *is = unwind_table_find(t, offset);
    const struct unwind_rule *expect = search_naively(t, offset);
    if (memcmp(is, expect, sizeof(*is)) != 0)
        fail_msg("at %#lx: kind %u, not %u", (unsigned long)offset, is->kind, expect->kind);
}

static void every_offset_finds_what_a_linear_search_finds(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct function functions[80];
        size_t count = 1 + random_number(ARRAY_LEN(functions));
        uint32_t spread = 1u << (5 + random_number(11));
        for (size_t i = 0; i < count; i++)
            functions[i] = (struct function){random_number(spread), 1 + random_number(60),
                                             (uint8_t)(8 + random_number(12) * 8)};
        for (size_t i = 0; i < count; i++) {
            if (functions[i].start + functions[i].bytes > CODE)
                functions[i].start = CODE - functions[i].bytes;
        }
        _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, count);
        for (uint32_t i = 0; i < t->info.rows; i++) {
            check_lookup(t, t->offsets[i]);
            check_lookup(t, t->offsets[i] + 1);
            if (t->offsets[i])
                check_lookup(t, t->offsets[i] - 1);
            assert_true(!i || t->offsets[i] > t->offsets[i - 1]);
            assert_true(!i || t->rule_of_row[i] != t->rule_of_row[i - 1]);
        }
        for (int i = 0; i < 100; i++)
            check_lookup(t, CFI_ELF_OFFSET + random_number(2 * spread));
        check_lookup(t, CFI_ELF_OFFSET - 1);
        check_lookup(t, UINT32_MAX);
        check_lookup(t, 0);
    }
}

static void every_byte_belongs_to_the_first_function_that_covers_it(void **state)
{
    for (int round = 0; round < 300; round++) {
        struct function functions[12];
        size_t count = 1 + random_number(ARRAY_LEN(functions));
        for (size_t i = 0; i < count; i++)
            functions[i] =
                (struct function){random_number(150), 1 + random_number(40), (uint8_t)(8 + i * 8)};
        _cleanup_(unwind_table_free) struct unwind_table *t = table_of(functions, count);
        /* Of those that cover a byte the one that starts first, then the first in the section. */
        const struct function *owner = NULL;
        for (uint32_t at = 0; at < 200; at++) {
            if (owner && at >= owner->start + owner->bytes)
                owner = NULL;
            for (size_t i = 0; !owner && i < count; i++) {
                const struct function *f = &functions[i];
                if (at < f->start || at >= f->start + f->bytes)
                    continue;
                owner = f;
                for (size_t k = 0; k < count; k++) {
                    const struct function *g = &functions[k];
                    if (at >= g->start && at < g->start + g->bytes && g->start < owner->start)
                        owner = g;
                }
            }
            assert_int_equal(cfa_at(t, at), owner ? owner->cfa : 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_have_their_rules_and_gaps_none),
        cmocka_unit_test(functions_may_come_in_any_order),
        cmocka_unit_test(neighbours_with_one_rule_share_a_row),
        cmocka_unit_test(where_functions_overlap_the_one_that_starts_first_has_the_bytes),
        cmocka_unit_test(functions_that_the_linker_dropped_are_passed_over),
        cmocka_unit_test(the_first_code_of_a_file_has_no_caller),
        cmocka_unit_test(debug_frame_serves_where_there_is_no_eh_frame),
        cmocka_unit_test(debug_frame_serves_for_what_eh_frame_leaves_out),
        cmocka_unit_test(a_section_that_cannot_be_read_costs_no_other_its_rules),
        cmocka_unit_test(an_elf_file_packed_into_another_serves_where_that_has_no_cfi),
        cmocka_unit_test(what_a_packed_file_may_cost_is_bounded),
        cmocka_unit_test(signal_frames_and_augmentations_of_no_known_kind_are_told_apart),
        cmocka_unit_test(what_is_no_program_with_cfi_has_no_table),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(headers_that_claim_very_much_cost_little),
        cmocka_unit_test(every_offset_finds_what_a_linear_search_finds),
        cmocka_unit_test(every_byte_belongs_to_the_first_function_that_covers_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
