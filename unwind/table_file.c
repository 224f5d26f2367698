/* table_file.c: takes a table, gives a file's bytes, and back. See table_file.h. */
#include "unwind/table_file.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "unwind/table_internal.h"

struct header {
    char magic[4];
    uint32_t version, machine, rows, rules, fdes;
    uint64_t hash;
    uint32_t key_len;
    uint8_t key[TABLE_FILE_KEY_MAX];
    uint32_t zero;
};
static_assert(sizeof(struct header) == TABLE_FILE_HEADER_SIZE, "the layout in table_file.h");

static size_t body_size(uint32_t rows, uint32_t rules)
{
    return (size_t)rules * sizeof(struct unwind_rule) + (size_t)rows * 6;
}

static uint64_t hash_of(const struct header *header, const void *body, size_t len)
{
    struct header h = *header;
    h.hash = 0;
    XXH3_state_t state;
    XXH3_64bits_reset(&state);
    XXH3_64bits_update(&state, &h, sizeof(h));
    XXH3_64bits_update(&state, body, len);
    return XXH3_64bits_digest(&state);
}

int table_file_write(const struct unwind_table *table, const void *key, size_t key_len,
                     struct buf *out)
{
    assert(key_len <= TABLE_FILE_KEY_MAX);
    const struct unwind_table_info *info = &table->info;
    struct header h = {.version = TABLE_FILE_VERSION,
                       .machine = info->machine,
                       .rows = info->rows,
                       .rules = info->rules,
                       .fdes = info->fdes,
                       .key_len = (uint32_t)key_len};
    memcpy(h.magic, TABLE_FILE_MAGIC, 4);
    memcpy(h.key, key, key_len);
    size_t start = out->len;
    int r = buf_reserve(out, sizeof(h) + body_size(info->rows, info->rules));
    if (r < 0)
        return r;
    buf_append(out, &h, sizeof(h));
    buf_append(out, table->rules, info->rules * sizeof(*table->rules));
    buf_append(out, table->offsets, info->rows * sizeof(*table->offsets));
    buf_append(out, table->rule_of_row, info->rows * sizeof(*table->rule_of_row));
    uint64_t hash = hash_of(&h, out->data + start + sizeof(h), out->len - start - sizeof(h));
    memcpy(out->data + start + offsetof(struct header, hash), &hash, sizeof(hash));
    return 0;
}

static int check_header(const struct header *h, size_t len, const void *key, size_t key_len,
                        struct err *err)
{
    if (memcmp(h->magic, TABLE_FILE_MAGIC, 4) != 0)
        return err_set(err, -EBADMSG, "no unwind table");
    if (h->version != TABLE_FILE_VERSION)
        return err_set(err, -ESTALE, "an unwind table of version %u; %u is known here", h->version,
                       TABLE_FILE_VERSION);
    if (h->key_len != key_len || key_len > sizeof(h->key) || memcmp(h->key, key, key_len) != 0)
        return err_set(err, -ESTALE, "the unwind table of another object");
    if (h->rules == 0 || h->rules > 65536 || h->rows == 0 ||
        len != sizeof(*h) + body_size(h->rows, h->rules))
        return err_set(err, -EBADMSG, "an unwind table of %u rows and %u rules in %zu bytes",
                       h->rows, h->rules, len);
    return 0;
}

static bool is_place(const struct rule_registers *g, unsigned place, int32_t off)
{
    return place <= PLACE_UNDEFINED && (place != PLACE_REG || (off >= 0 && off < g->count));
}

static bool is_rule(const struct rule_registers *g, const struct unwind_rule *r)
{
    /* RULE_PLT's is a mask of up to five bits. */
    return r->kind <= RULE_OTHER && r->reg < (r->kind == RULE_PLT ? 32 : g->count) &&
           is_place(g, r->fp_place, r->fp_off) && is_place(g, r->ra_place, r->ra_off);
}

static bool is_sound(const struct unwind_table *t)
{
    if (t->info.machine != UNWIND_X86_64 && t->info.machine != UNWIND_AARCH64)
        return false;
    const struct rule_registers *g =
        t->info.machine == UNWIND_X86_64 ? &rule_registers_x86_64 : &rule_registers_aarch64;
    for (uint32_t i = 0; i < t->info.rules; i++) {
        if (!is_rule(g, &t->rules[i]))
            return false;
    }
    for (uint32_t i = 0; i < t->info.rows; i++) {
        if (t->rule_of_row[i] >= t->info.rules || (i && t->offsets[i] <= t->offsets[i - 1]))
            return false;
    }
    return true;
}

static void *copy(const uint8_t **at, size_t len)
{
    void *to = malloc(len);
    if (to)
        memcpy(to, *at, len);
    *at += len;
    return to;
}

int table_file_read(const void *bytes, size_t len, const void *key, size_t key_len,
                    struct unwind_table **ret, struct err *err)
{
    struct header h;
    if (len < sizeof(h))
        return err_set(err, -EBADMSG, "an unwind table cut short");
    memcpy(&h, bytes, sizeof(h));
    int r = check_header(&h, len, key, key_len, err);
    if (r < 0)
        return r;
    const uint8_t *at = (const uint8_t *)bytes + sizeof(h);
    if (hash_of(&h, at, len - sizeof(h)) != h.hash)
        return err_set(err, -EBADMSG, "an unwind table whose bytes are not those written");
    _cleanup_(unwind_table_free) struct unwind_table *t = calloc(1, sizeof(*t));
    if (!t)
        return err_errno(err, -ENOMEM, "an unwind table");
    t->info = (struct unwind_table_info){
        .machine = h.machine, .rows = h.rows, .rules = h.rules, .fdes = h.fdes};
    t->rules = copy(&at, h.rules * sizeof(*t->rules));
    t->offsets = copy(&at, h.rows * sizeof(*t->offsets));
    t->rule_of_row = copy(&at, h.rows * sizeof(*t->rule_of_row));
    if (!t->rules || !t->offsets || !t->rule_of_row)
        return err_errno(err, -ENOMEM, "an unwind table");
    if (!is_sound(t))
        return err_set(err, -EBADMSG, "an unwind table that contradicts itself");
    r = unwind_table_index(t);
    if (r < 0)
        return err_errno(err, r, "an unwind table");
    *ret = TAKE_PTR(t);
    return 0;
}
