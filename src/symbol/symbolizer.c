/* symbolizer.c: takes the addresses of one object, gives their names: from what is remembered, and
 * for the rest from the file. See symbol.h. */
#include "symbol/symbol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/answers.h"
#include "symbol/demangle.h"
#include "symbol/elf_file.h"
#include "symbol/names.h"

/* A file that was opened and made no sense will make none in the next window. One that could not be
 * opened may be reachable through another process soon. */
#define RETRY_READ_NS (60 * NS_PER_SEC)
#define RETRY_OPEN_NS (5 * NS_PER_SEC)

struct object {
    struct symbol_key key;
    struct answers *answers;
    int failure; /* 0 or why the last look at the file failed */
    int64_t retry_ns;
    char why[160];
    UT_hash_handle hh;
};

struct symbolizer {
    struct object *objects; /* the least recently used first */
    size_t max_bytes, bytes;
};

int symbolizer_new(size_t max_bytes, struct symbolizer **ret, struct err *err)
{
    struct symbolizer *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "making a symbolizer");
    s->max_bytes = max_bytes;
    *ret = s;
    return 0;
}

static size_t object_bytes(const struct object *o)
{
    return sizeof(*o) + answers_bytes(o->answers);
}

static void object_free(struct object **op)
{
    struct object *o = *op;
    if (!o)
        return;
    answers_free(&o->answers);
    free(o);
    *op = NULL;
}

static void drop_object(struct symbolizer *s, struct object *o)
{
    s->bytes -= object_bytes(o);
    HASH_DEL(s->objects, o);
    object_free(&o);
}

void symbolizer_free(struct symbolizer **sp)
{
    struct symbolizer *s = *sp;
    if (!s)
        return;
    struct object *o, *next;
    HASH_ITER (hh, s->objects, o, next) {
        drop_object(s, o);
    }
    free(s);
    *sp = NULL;
}

size_t symbolizer_bytes(const struct symbolizer *s)
{
    return s->bytes;
}

/* The table keeps the order in which objects were added: adding again makes one the youngest. */
static bool add_object(struct symbolizer *s, struct object *o)
{
    HASH_ADD(hh, s->objects, key, sizeof(o->key), o);
    return o->hh.tbl != NULL;
}

static struct object *find_object(struct symbolizer *s, const struct symbol_key *key)
{
    struct symbol_key whole = {.len = key->len};
    memcpy(whole.bytes, key->bytes, key->len < SYMBOL_KEY_MAX ? key->len : SYMBOL_KEY_MAX);
    struct object *o = NULL;
    HASH_FIND(hh, s->objects, &whole, sizeof(whole), o);
    if (o) {
        HASH_DEL(s->objects, o);
    } else {
        o = calloc(1, sizeof(*o));
        if (!o)
            return NULL;
        o->key = whole;
        if (answers_new(&o->answers) < 0) {
            object_free(&o);
            return NULL;
        }
        s->bytes += object_bytes(o);
    }
    if (!add_object(s, o)) {
        s->bytes -= object_bytes(o);
        object_free(&o);
    }
    return o;
}

/* Names handed out live in the object they were asked of, so that one is never dropped by its own
 * call but by the next. */
static void keep_within_limit(struct symbolizer *s, const struct object *but)
{
    while (s->bytes > s->max_bytes && s->objects && s->objects != but)
        drop_object(s, s->objects);
}

static int compare_queries(const void *va, const void *vb)
{
    const struct name_query *a = va, *b = vb;
    return a->address < b->address ? -1 : a->address > b->address;
}

/* The queries for those addresses of which nothing is known, ascending, each once. */
static int collect_queries(const struct answers *answers, const struct symbol_addr *addrs,
                           size_t count, struct name_query **ret, size_t *ret_count)
{
    struct name_query *queries = calloc(count + 1, sizeof(*queries));
    if (!queries)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct name_query q = {0};
        struct answer known;
        if (answers_translate(answers, addrs[i].file_offset, &q.address, &q.low, &q.high) &&
            !answers_find(answers, q.address, &known))
            queries[n++] = q;
    }
    qsort(queries, n, sizeof(*queries), compare_queries);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || queries[kept - 1].address != queries[i].address)
            queries[kept++] = queries[i];
    *ret = queries;
    *ret_count = kept;
    return 0;
}

/* The readable name of a query's symbol; NULL if it has none. */
static int read_name(const struct elf_file *file, const struct name_query *q, char **ret)
{
    char linker[NAMES_TEXT_MAX], readable[DEMANGLE_OUT_MAX];
    if (names_read(file, q->strings, q->name, linker) < 0) {
        *ret = NULL;
        return 0;
    }
    *ret = strdup(demangle_name(linker, readable) ? readable : linker);
    return *ret ? 0 : -ENOMEM;
}

struct answer_list {
    struct answer *rows;
    char **names; /* owned; rows point to them */
    size_t count, name_count;
};

static void answer_list_free(struct answer_list *list)
{
    for (size_t i = 0; i < list->name_count; i++)
        free(list->names[i]);
    free(list->names);
    free(list->rows);
}

/* One row for each range of addresses; queries next to each other mostly share range and symbol. An
 * open query is an answer too, unless a source failed: then it may be asked again. */
static int make_answers(const struct elf_file *file, const struct name_query *queries, size_t count,
                        bool all_read, struct answer_list *ret)
{
    ret->rows = calloc(count + 1, sizeof(*ret->rows));
    ret->names = calloc(count + 1, sizeof(*ret->names));
    if (!ret->rows || !ret->names)
        return -ENOMEM;
    const struct name_query *last = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct name_query *q = &queries[i];
        struct answer *before = ret->count ? &ret->rows[ret->count - 1] : NULL;
        if ((!q->found && !all_read) || (before && q->low < before->high))
            continue;
        struct answer row = {.low = q->low, .high = q->high, .start = q->start};
        bool same = last && last->found && q->found && last->strings == q->strings &&
                    last->name == q->name && last->start == q->start;
        if (same) {
            row.name = before->name;
        } else if (q->found) {
            char *name;
            int r = read_name(file, q, &name);
            if (r < 0)
                return r;
            ret->names[ret->name_count++] = name;
            row.name = name;
        }
        ret->rows[ret->count++] = row;
        last = q;
    }
    return 0;
}

static int ask_file(struct object *o, const struct elf_file *file, const struct symbol_addr *addrs,
                    size_t count, struct err *err)
{
    int r = answers_set_segments(o->answers, file);
    _cleanup_free_ struct name_query *queries = NULL;
    size_t query_count = 0;
    if (r == 0)
        r = collect_queries(o->answers, addrs, count, &queries, &query_count);
    if (r < 0)
        return err_errno(err, r, "naming %zu addresses", count);
    int result = names_find(file, queries, query_count, err);
    _cleanup_(answer_list_free) struct answer_list list = {0};
    r = make_answers(file, queries, query_count, result == 0, &list);
    if (r == 0)
        r = answers_add(o->answers, list.rows, list.count);
    return r < 0 ? err_errno(err, r, "keeping %zu names", list.count) : result;
}

static int look_into_file(struct object *o, symbol_open_fn open, void *ctx,
                          const struct symbol_addr *addrs, size_t count, int64_t *ret_retry_ns,
                          struct err *err)
{
    *ret_retry_ns = RETRY_OPEN_NS;
    _cleanup_close_ int fd = open(ctx, err);
    if (fd < 0)
        return fd;
    *ret_retry_ns = RETRY_READ_NS;
    _cleanup_(elf_file_close) struct elf_file file = {0};
    int r = elf_file_open(fd, &file, err);
    return r < 0 ? r : ask_file(o, &file, addrs, count, err);
}

/* Whether anything is asked that is not known. */
static bool needs_file(const struct answers *answers, const struct symbol_addr *addrs, size_t count)
{
    if (!answers_have_segments(answers))
        return count > 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t address, low, high;
        struct answer known;
        if (answers_translate(answers, addrs[i].file_offset, &address, &low, &high) &&
            !answers_find(answers, address, &known))
            return true;
    }
    return false;
}

static void fill(const struct answers *answers, struct symbol_addr *addrs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct symbol_addr *a = &addrs[i];
        uint64_t low, high;
        struct answer answer;
        a->address = a->start = 0;
        a->name = NULL;
        a->translated = answers_translate(answers, a->file_offset, &a->address, &low, &high);
        if (!a->translated || !answers_find(answers, a->address, &answer) || !answer.name)
            continue;
        a->start = answer.start;
        a->name = answer.name;
    }
}

static int learn(struct object *o, symbol_open_fn open, void *ctx, const struct symbol_addr *addrs,
                 size_t count, struct err *err)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), retry_ns;
    if (o->failure && now < o->retry_ns)
        return err_set(err, o->failure, "%s", o->why);
    struct err why = {0};
    int r = look_into_file(o, open, ctx, addrs, count, &retry_ns, &why);
    o->failure = r;
    o->retry_ns = now + retry_ns;
    if (r == 0)
        return 0;
    size_t len = strnlen(why.text, sizeof(o->why) - 1);
    memcpy(o->why, why.text, len);
    o->why[len] = 0;
    return err_set(err, r, "%s", why.text);
}

int symbolizer_resolve(struct symbolizer *s, const struct symbol_key *key, symbol_open_fn open,
                       void *ctx, struct symbol_addr *addrs, size_t count, struct err *err)
{
    keep_within_limit(s, NULL);
    struct object *o = find_object(s, key);
    if (!o) {
        for (size_t i = 0; i < count; i++)
            addrs[i] = (struct symbol_addr){.file_offset = addrs[i].file_offset};
        return err_errno(err, -ENOMEM, "naming %zu addresses", count);
    }
    int r = 0;
    if (needs_file(o->answers, addrs, count)) {
        s->bytes -= object_bytes(o);
        r = learn(o, open, ctx, addrs, count, err);
        s->bytes += object_bytes(o);
    }
    fill(o->answers, addrs, count);
    keep_within_limit(s, o);
    return r;
}
