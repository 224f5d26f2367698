/* lookup.c: takes texts, gives a day's numbers of them; and the way back. */
#include "server/sqlite/lookup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/db.h"

int lookup_init(struct lookup *l, sqlite3 *db, struct err *err)
{
    *l = (struct lookup){.db = db};
    int r = db_prepare(db, "SELECT id FROM string_key WHERE hash=?1", &l->find, err);
    if (r == 0)
        r = db_prepare(db, "SELECT text FROM string WHERE id=?1", &l->text, err);
    if (r < 0)
        lookup_free(l);
    return r;
}

void lookup_free(struct lookup *l)
{
    db_finalize(&l->find);
    db_finalize(&l->text);
    hashmap_free(&l->known);
    for (uint32_t i = 0; i < l->count; i++)
        free(l->texts[i]);
    free(l->texts);
    *l = (struct lookup){0};
}

int lookup_number(struct lookup *l, const char *text, bool *ret_known, uint32_t *ret_id,
                  struct err *err)
{
    uint8_t key[HASH_SIZE];
    uint32_t id = 0;
    bool known = !text[0];
    if (!known) {
        hash_put(key, hash_text(text));
        sqlite3_bind_blob(l->find, 1, key, sizeof(key), SQLITE_STATIC);
        int r = db_step(l->find, err);
        if (r > 0)
            id = (uint32_t)sqlite3_column_int64(l->find, 0);
        sqlite3_reset(l->find);
        if (r < 0)
            return r;
        known = r > 0;
    }
    *ret_known = known;
    *ret_id = id;
    return 0;
}

static int keep(struct lookup *l, uint32_t id, const char *text, struct err *err)
{
    if (l->count == l->cap) {
        uint32_t cap = l->cap ? l->cap * 2 : 64;
        char **texts = realloc(l->texts, cap * sizeof(char *));
        if (!texts)
            return err_errno(err, -ENOMEM, "keeping %u texts", cap);
        l->texts = texts;
        l->cap = cap;
    }
    _cleanup_free_ char *copy = strdup(text);
    int r = copy ? hashmap_put(&l->known, hash_of_pair(id, 0), l->count + 1ull) : -ENOMEM;
    if (r < 0)
        return err_errno(err, r, "keeping a text");
    l->texts[l->count++] = TAKE_PTR(copy);
    return 0;
}

int lookup_text(struct lookup *l, uint32_t id, const char **ret, struct err *err)
{
    if (id == 0) {
        *ret = "";
        return 0;
    }
    uint64_t row = hashmap_get(&l->known, hash_of_pair(id, 0));
    if (row == 0) {
        sqlite3_bind_int64(l->text, 1, id);
        int r = db_step(l->text, err);
        const char *text = r > 0 ? (const char *)sqlite3_column_text(l->text, 0) : NULL;
        if (r >= 0)
            r = text ? keep(l, id, text, err)
                     : err_set(err, -EUCLEAN, "%s: string %u is missing",
                               sqlite3_db_filename(l->db, "main"), id);
        sqlite3_reset(l->text);
        if (r < 0)
            return r;
        row = l->count;
    }
    *ret = l->texts[row - 1];
    return 0;
}

bool lookup_is_damage(int code)
{
    return code == -EUCLEAN || code == -EIO;
}
