/* dict.c: takes hashes and what they stand for, gives the day's numbers of them. Numbers are found
 * in memory first: a batch names mostly what the batches before it named. */
#include "server/sqlite/dict.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/sqlite/db.h"
#include "server/sqlite/hashmap.h"

/* Entries of one kind kept in memory; 24 bytes each, in tables 37 to 75 % full. Past this the map
 * starts anew, and fills from the file's index. */
#define CACHE_MAX 786432u

static const struct {
    const char *last, *find, *add_key, *add;
} sql[DICT_KINDS] = {
#define KIND(name, columns, values)                                               \
    {                                                                             \
        "SELECT max(id) FROM " name, "SELECT id FROM " name "_key WHERE hash=?1", \
            "INSERT INTO " name "_key(hash, id) VALUES(?1, ?2)",                  \
            "INSERT INTO " name "(id, " columns ") VALUES(?1, " values ")"        \
    }
    [DICT_STRING] = KIND("string", "text", "?2"),
    [DICT_OBJECT] = KIND("object", "kind, flags, path, build_id", "?2, ?3, ?4, ?5"),
    [DICT_FRAME] = KIND("frame", "kind, object, address, name, file, line", "?2,?3,?4,?5,?6,?7"),
    [DICT_STACK] = KIND("stack", "top, frames", "?2, ?3"),
    [DICT_SERIES] = KIND("series", "node, process, cgroup, labels", "?2, ?3, ?4, ?5"),
};

struct dict_table {
    struct hashmap known;
    sqlite3_stmt *find, *add_key, *add;
    int64_t last_id;
};

struct dict {
    sqlite3 *db;
    struct dict_table tables[DICT_KINDS];
};

int dict_forget(struct dict *d, struct err *err)
{
    for (unsigned k = 0; k < DICT_KINDS; k++) {
        struct dict_table *t = &d->tables[k];
        hashmap_free(&t->known);
        int r = db_get_int(d->db, sql[k].last, 0, &t->last_id, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dict_new(sqlite3 *db, struct dict **ret, struct err *err)
{
    _cleanup_(dict_free) struct dict *d = calloc(1, sizeof(*d));
    if (!d)
        return err_errno(err, -ENOMEM, "opening a dictionary");
    d->db = db;
    int r = dict_forget(d, err);
    for (unsigned k = 0; k < DICT_KINDS; k++) {
        struct dict_table *t = &d->tables[k];
        if (r == 0)
            r = db_prepare(db, sql[k].find, &t->find, err);
        if (r == 0)
            r = db_prepare(db, sql[k].add_key, &t->add_key, err);
        if (r == 0)
            r = db_prepare(db, sql[k].add, &t->add, err);
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(d);
    return 0;
}

void dict_free(struct dict **dict)
{
    struct dict *d = *dict;
    if (!d)
        return;
    for (unsigned k = 0; k < DICT_KINDS; k++) {
        hashmap_free(&d->tables[k].known);
        db_finalize(&d->tables[k].find);
        db_finalize(&d->tables[k].add_key);
        db_finalize(&d->tables[k].add);
    }
    free(d);
    *dict = NULL;
}

static int remember(struct dict_table *t, struct hash hash, uint32_t id, struct err *err)
{
    if (t->known.used >= CACHE_MAX)
        hashmap_free(&t->known);
    int r = hashmap_put(&t->known, hash, id);
    return r < 0 ? err_errno(err, r, "remembering a number") : 0;
}

int dict_find(struct dict *d, enum dict_kind kind, struct hash hash, uint32_t *ret_id,
              struct err *err)
{
    struct dict_table *t = &d->tables[kind];
    uint32_t id = (uint32_t)hashmap_get(&t->known, hash);
    if (id == 0) {
        uint8_t key[HASH_SIZE];
        hash_put(key, hash);
        sqlite3_bind_blob(t->find, 1, key, sizeof(key), SQLITE_STATIC);
        int r = db_step(t->find, err);
        if (r > 0)
            id = (uint32_t)sqlite3_column_int64(t->find, 0);
        sqlite3_reset(t->find);
        if (r < 0)
            return r;
        r = id ? remember(t, hash, id, err) : 0;
        if (r < 0)
            return r;
    }
    *ret_id = id;
    return 0;
}

/* The row's columns are bound by the caller, from 2 on. */
static int add(struct dict *d, enum dict_kind kind, struct hash hash, uint32_t *ret_id,
               struct err *err)
{
    struct dict_table *t = &d->tables[kind];
    if (t->last_id >= UINT32_MAX)
        return err_set(err, -EOVERFLOW, "a day's dictionary is full: 2^32 entries of one kind");
    uint32_t id = (uint32_t)(t->last_id + 1);
    uint8_t key[HASH_SIZE];
    hash_put(key, hash);
    sqlite3_bind_int64(t->add, 1, id);
    sqlite3_bind_blob(t->add_key, 1, key, sizeof(key), SQLITE_STATIC);
    sqlite3_bind_int64(t->add_key, 2, id);
    int r = db_run(t->add, err);
    if (r == 0)
        r = db_run(t->add_key, err);
    if (r == 0)
        r = remember(t, hash, id, err);
    if (r < 0)
        return r;
    t->last_id = id;
    *ret_id = id;
    return 0;
}

int dict_add_string(struct dict *d, struct hash hash, const char *text, uint32_t *ret_id,
                    struct err *err)
{
    sqlite3_bind_text(d->tables[DICT_STRING].add, 2, text, -1, SQLITE_STATIC);
    return add(d, DICT_STRING, hash, ret_id, err);
}

int dict_add_object(struct dict *d, struct hash hash, const struct dict_object *o, uint32_t *ret_id,
                    struct err *err)
{
    sqlite3_stmt *s = d->tables[DICT_OBJECT].add;
    sqlite3_bind_int64(s, 2, o->kind);
    sqlite3_bind_int64(s, 3, o->flags);
    sqlite3_bind_int64(s, 4, o->path);
    sqlite3_bind_blob(s, 5, o->build_id, o->build_id_len, SQLITE_STATIC);
    return add(d, DICT_OBJECT, hash, ret_id, err);
}

int dict_add_frame(struct dict *d, struct hash hash, const struct dict_frame *f, uint32_t *ret_id,
                   struct err *err)
{
    sqlite3_stmt *s = d->tables[DICT_FRAME].add;
    sqlite3_bind_int64(s, 2, f->kind);
    sqlite3_bind_int64(s, 3, f->object);
    sqlite3_bind_int64(s, 4, (int64_t)f->address);
    sqlite3_bind_int64(s, 5, f->name);
    sqlite3_bind_int64(s, 6, f->file);
    sqlite3_bind_int64(s, 7, f->line);
    return add(d, DICT_FRAME, hash, ret_id, err);
}

int dict_add_stack(struct dict *d, struct hash hash, const uint8_t *frames, size_t len,
                   uint32_t *ret_id, struct err *err)
{
    sqlite3_stmt *s = d->tables[DICT_STACK].add;
    sqlite3_bind_int64(s, 2, (int64_t)hash.high);
    sqlite3_bind_blob64(s, 3, frames, len, SQLITE_STATIC);
    return add(d, DICT_STACK, hash, ret_id, err);
}

int dict_add_series(struct dict *d, struct hash hash, const struct dict_series *series,
                    uint32_t *ret_id, struct err *err)
{
    sqlite3_stmt *s = d->tables[DICT_SERIES].add;
    sqlite3_bind_int64(s, 2, series->node);
    sqlite3_bind_int64(s, 3, series->process);
    sqlite3_bind_int64(s, 4, series->cgroup);
    sqlite3_bind_blob64(s, 5, series->labels, series->labels_len, SQLITE_STATIC);
    return add(d, DICT_SERIES, hash, ret_id, err);
}

int dict_string(struct dict *d, const char *text, uint32_t *ret_id, struct err *err)
{
    uint32_t id = 0;
    if (text[0]) {
        struct hash hash = hash_text(text);
        int r = dict_find(d, DICT_STRING, hash, &id, err);
        if (r == 0 && id == 0)
            r = dict_add_string(d, hash, text, &id, err);
        if (r < 0)
            return r;
    }
    *ret_id = id;
    return 0;
}
