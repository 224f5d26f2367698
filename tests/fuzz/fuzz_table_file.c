/* fuzz_table_file.c: any file gives a table that every lookup is safe in, or none. As no input
 * would ever have the right hash, it gets one, unless its version says otherwise. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "unwind/table.h"
#include "unwind/table_file.h"
#include "unwind/table_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HASH_AT 24

static void set_hash(uint8_t *bytes, size_t size)
{
    memset(bytes + HASH_AT, 0, 8);
    uint64_t hash = XXH3_64bits(bytes, size);
    memcpy(bytes + HASH_AT, &hash, 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    _cleanup_free_ uint8_t *bytes = malloc(size);
    assert(bytes);
    memcpy(bytes, data, size);
    if (size >= TABLE_FILE_HEADER_SIZE)
        set_hash(bytes, size);
    _cleanup_(unwind_table_free) struct unwind_table *t = NULL;
    struct err err = {0};
    if (table_file_read(bytes, size, "0123456789", 10, &t, &err) < 0) {
        assert(!t && err.text[0]);
        return 0;
    }
    for (uint32_t i = 0; i < t->info.rows; i++) {
        const struct unwind_rule *rule = unwind_table_find(t, t->offsets[i]);
        assert(rule == &t->rules[t->rule_of_row[i]] && rule->kind <= RULE_OTHER);
    }
    for (uint64_t at = 0; at <= UINT32_MAX; at += 0x3fffffd)
        assert(unwind_table_find(t, at)->kind <= RULE_OTHER);
    return 0;
}
