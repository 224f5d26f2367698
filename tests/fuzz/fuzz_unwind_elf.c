/* fuzz_unwind_elf.c: any file gives a table whose rows are in order and found again, or none; and
 * the table's file is read back. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "unwind/table.h"
#include "unwind/table_file.h"
#include "unwind/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MAX 100000u

static void check_table(const struct unwind_table *t)
{
    assert(t->info.rows > 0 && t->info.rows <= 2 * ROWS_MAX + 3 && t->info.rules <= 65536);
    for (uint32_t i = 0; i < t->info.rows; i++) {
        uint64_t start = t->offsets[i];
        uint64_t end = i + 1 < t->info.rows ? t->offsets[i + 1] : start + 1;
        assert(end > start && t->rule_of_row[i] < t->info.rules);
        const struct unwind_rule *rule = &t->rules[t->rule_of_row[i]];
        assert(unwind_table_find(t, start) == rule && unwind_table_find(t, end - 1) == rule);
    }
    assert(t->rule_of_row[t->info.rows - 1] == 0); /* behind the last function is none */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("elf", MFD_CLOEXEC);
    assert(fd >= 0 && fs_write_all(fd, data, size) == 0);
    struct unwind_table_limits limits = {.max_section_bytes = 1u << 20, .max_rows = ROWS_MAX};
    _cleanup_(unwind_table_free) struct unwind_table *t = NULL, *back = NULL;
    struct err err = {0};
    if (unwind_table_build(fd, &limits, &t, &err) < 0) {
        assert(!t && err.text[0]);
        return 0;
    }
    check_table(t);
    _cleanup_(buf_free) struct buf bytes = {0};
    assert(table_file_write(t, "key", 3, &bytes) == 0);
    int r = table_file_read(bytes.data, bytes.len, "key", 3, &back, &err);
    assert(r == 0);
    check_table(back);
    return 0;
}
