/* test_table_file.c: a table on disk is read back as it was, or refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dwarf.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "cfi_elf.h"
#include "unwind/table.h"
#include "unwind/table_file.h"
#include "unwind/table_internal.h"

#define KEY     "0123456789abcdef0123"
#define KEY_LEN 20

/* Where table_file.h says they are. */
#define AT_VERSION 4
#define AT_MACHINE 8
#define AT_ROWS    12
#define AT_RULES   16
#define AT_HASH    24
#define AT_KEY_LEN 32
#define RULE_SIZE  20

static struct unwind_table *make_table(unsigned machine)
{
    static const uint8_t initial[] = {DW_CFA_def_cfa, 7, 8, DW_CFA_offset | 16, 1};
    static const uint8_t arm[] = {DW_CFA_def_cfa, 31, 0};
    static const uint8_t realigned[] = {DW_CFA_def_cfa, 10, 0, DW_CFA_register, 6, 3};
    static const uint8_t arm_moved[] = {DW_CFA_def_cfa, 20, 0, DW_CFA_register, 30, 28};
    _cleanup_(buf_free) struct buf section = {0};
    bool is_arm = machine == EM_AARCH64;
    size_t cie = is_arm ? cfi_add_cie(&section, machine, "zR", arm, sizeof(arm))
                        : cfi_add_cie(&section, machine, "zR", initial, sizeof(initial));
    for (uint32_t i = 0; i < 20; i++) {
        uint8_t program[] = {DW_CFA_def_cfa_offset, (uint8_t)(i * 4)};
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + i * 40, 32, program, sizeof(program));
    }
    if (is_arm)
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + 2000, 32, arm_moved, sizeof(arm_moved));
    else
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + 2000, 32, realigned, sizeof(realigned));
    _cleanup_close_ int fd = cfi_elf_open(
        &(struct cfi_elf){.machine = machine, .code_bytes = 4096, .section = &section});
    struct unwind_table *t;
    assert_int_equal(unwind_table_build(fd, NULL, &t, NULL), 0);
    return t;
}

static int read_back(const struct buf *b, struct unwind_table **ret)
{
    struct err err = {0};
    int r = table_file_read(b->data, b->len, KEY, KEY_LEN, ret, &err);
    assert_true(r == 0 || err.text[0]);
    return r;
}

static bool same(const struct unwind_table *a, const struct unwind_table *b)
{
    if (a->info.machine != b->info.machine)
        return false;
    for (uint64_t at = 0; at < 0x3000; at++) {
        if (memcmp(unwind_table_find(a, at), unwind_table_find(b, at),
                   sizeof(struct unwind_rule)) != 0)
            return false;
    }
    return true;
}

static void a_table_is_read_back_as_it_was_written(void **state)
{
    static const unsigned machines[] = {EM_X86_64, EM_AARCH64};
    for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
        _cleanup_(unwind_table_free) struct unwind_table *t = make_table(machines[i]), *back = NULL;
        _cleanup_(buf_free) struct buf bytes = {0}, again = {0};
        assert_int_equal(table_file_write(t, KEY, KEY_LEN, &bytes), 0);
        assert_int_equal(bytes.len,
                         TABLE_FILE_HEADER_SIZE + t->info.rules * RULE_SIZE + t->info.rows * 6);
        assert_int_equal(read_back(&bytes, &back), 0);
        assert_true(same(t, back));
        assert_int_equal(back->info.fdes, t->info.fdes);
        assert_int_equal(back->info.bytes, t->info.bytes);
        assert_int_equal(table_file_write(back, KEY, KEY_LEN, &again), 0);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, bytes.len);
    }
}

static void a_file_stands_behind_what_is_in_the_buffer_already(void **state)
{
    _cleanup_(unwind_table_free) struct unwind_table *t = make_table(EM_X86_64), *back = NULL;
    _cleanup_(buf_free) struct buf bytes = {0};
    buf_puts(&bytes, "before");
    assert_int_equal(table_file_write(t, KEY, KEY_LEN, &bytes), 0);
    assert_memory_equal(bytes.data, "before", 6);
    struct buf behind = {.data = bytes.data + 6, .len = bytes.len - 6};
    assert_int_equal(read_back(&behind, &back), 0);
}

static void no_damage_of_one_byte_changes_an_answer(void **state)
{
    _cleanup_(unwind_table_free) struct unwind_table *t = make_table(EM_X86_64);
    _cleanup_(buf_free) struct buf bytes = {0};
    assert_int_equal(table_file_write(t, KEY, KEY_LEN, &bytes), 0);
    static const uint8_t by[] = {1, 2, 0x80, 0xff};
    size_t refused = 0;
    for (size_t at = 0; at < bytes.len; at++) {
        for (size_t i = 0; i < sizeof(by); i++) {
            _cleanup_(unwind_table_free) struct unwind_table *back = NULL;
            bytes.data[at] ^= by[i];
            int r = read_back(&bytes, &back);
            bytes.data[at] ^= by[i];
            refused += r < 0;
            if (r == 0 && !same(t, back))
                fail_msg("byte %zu ^ %#x is believed", at, by[i]);
        }
    }
    assert_true(refused >= (bytes.len - 8) * sizeof(by)); /* but for the FDEs' number and zeros */
}

static void a_file_of_any_other_length_is_refused(void **state)
{
    _cleanup_(unwind_table_free) struct unwind_table *t = make_table(EM_X86_64), *back = NULL;
    _cleanup_(buf_free) struct buf bytes = {0};
    assert_int_equal(table_file_write(t, KEY, KEY_LEN, &bytes), 0);
    size_t whole = bytes.len;
    for (bytes.len = 0; bytes.len < whole; bytes.len++)
        assert_int_equal(read_back(&bytes, &back), -EBADMSG);
    buf_puts(&bytes, "!");
    assert_int_equal(read_back(&bytes, &back), -EBADMSG);
}

static void another_objects_or_versions_table_is_stale(void **state)
{
    _cleanup_(unwind_table_free) struct unwind_table *t = make_table(EM_X86_64), *back = NULL;
    _cleanup_(buf_free) struct buf bytes = {0};
    assert_int_equal(table_file_write(t, KEY, KEY_LEN, &bytes), 0);
    static const struct {
        const char *key;
        size_t len;
    } others[] = {{"0123456789abcdef0124", 20}, {KEY, 19}, {KEY "x", 21}, {"", 0}};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_int_equal(
            table_file_read(bytes.data, bytes.len, others[i].key, others[i].len, &back, NULL),
            -ESTALE);
    bytes.data[AT_VERSION]++;
    assert_int_equal(read_back(&bytes, &back), -ESTALE);
}

/* Written by somebody who knows the hash. */
static void a_file_that_contradicts_itself_is_refused(void **state)
{
    _cleanup_(unwind_table_free) struct unwind_table *t = make_table(EM_X86_64);
    _cleanup_(buf_free) struct buf good = {0};
    assert_int_equal(table_file_write(t, KEY, KEY_LEN, &good), 0);
    size_t rules = TABLE_FILE_HEADER_SIZE, offsets = rules + t->info.rules * RULE_SIZE,
           rule_of_row = offsets + t->info.rows * 4;
    const struct {
        const char *what;
        size_t at;
        uint8_t byte;
    } cases[] = {
        {"a machine of no kind", AT_MACHINE, 9},
        {"no machine", AT_MACHINE, 0},
        {"more rules than there are bytes", AT_RULES + 1, 1},
        {"more rows than there are bytes", AT_ROWS + 1, 1},
        {"no rules", AT_RULES, 0},
        {"a rule of no kind", rules + RULE_SIZE, 200},
        {"a register of no machine", rules + RULE_SIZE + 1, 40},
        {"a register of another machine", rules + RULE_SIZE + 1, 30},
        {"a place of no kind", rules + RULE_SIZE + 3, 0xf0},
        {"a rule that is not there", rule_of_row, (uint8_t)t->info.rules},
        {"rows out of order", offsets + 7, 0x80},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(unwind_table_free) struct unwind_table *back = NULL;
        _cleanup_(buf_free) struct buf bytes = {0};
        buf_append(&bytes, good.data, good.len);
        bytes.data[cases[i].at] = cases[i].byte;
        uint64_t zero = 0;
        memcpy(bytes.data + AT_HASH, &zero, 8);
        uint64_t hash = XXH3_64bits(bytes.data, bytes.len);
        memcpy(bytes.data + AT_HASH, &hash, 8);
        int r = read_back(&bytes, &back);
        if (r != -EBADMSG)
            fail_msg("%s: %d", cases[i].what, r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_read_back_as_it_was_written),
        cmocka_unit_test(a_file_stands_behind_what_is_in_the_buffer_already),
        cmocka_unit_test(no_damage_of_one_byte_changes_an_answer),
        cmocka_unit_test(a_file_of_any_other_length_is_refused),
        cmocka_unit_test(another_objects_or_versions_table_is_stale),
        cmocka_unit_test(a_file_that_contradicts_itself_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
