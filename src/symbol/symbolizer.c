/* symbolizer.c: takes the addresses of one object, gives their functions: from what is remembered,
 * and for the rest from the file. See symbol.h.
 *
 * Two kinds of sources: symbol tables give a name for a range of addresses (answers.h); others,
 * such as debug information, tell of single addresses, with file, line and what is inlined
 * (chains.h). A name of the symbol table fills in where a chain's outermost function has none. */
#include "symbol/symbol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/answers.h"
#include "symbol/chains.h"
#include "symbol/debug_file.h"
#include "symbol/demangle.h"
#include "symbol/elf_file.h"
#include "symbol/go_names.h"
#include "symbol/name_files.h"
#include "symbol/names.h"
#include "symbol/worker.h"

/* A file that was opened and made no sense will make none in the next window. One that could not be
 * opened may be reachable through another process soon. */
#define RETRY_READ_NS (60 * NS_PER_SEC)
#define RETRY_OPEN_NS (5 * NS_PER_SEC)

/* DWARF that a worker died of, or found to make no sense. */
#define RETRY_DWARF_NS (300 * NS_PER_SEC)

/* Times in a row that reading came to nothing though there was time. A busy machine may be why, or
 * a disk that has to be read; a file system that does not answer goes on like this. */
#define LATE_MAX 3u

struct object {
    struct symbol_key key;
    struct answers *answers;
    struct chains *chains;
    bool has_chains; /* a source tells of single addresses */
    bool has_dwarf;
    unsigned dwarf_late; /* times in a row */
    int64_t dwarf_retry_ns;
    int failure; /* 0 or why the last look at the file failed */
    int64_t retry_ns;
    char why[160];
    UT_hash_handle hh;
};

struct symbolizer {
    struct object *objects; /* the least recently used first */
    size_t max_bytes, bytes;
    struct worker *worker;                   /* NULL: DWARF is not read */
    int64_t worker_given_ns, worker_left_ns; /* CPU time */
    int64_t worker_until_ns;                 /* by the clock */
    struct symbol_frame *frames;             /* handed out by the last call */
    size_t frame_room;
};

/* An object's files, open and read. */
struct files {
    int fd;
    struct debug_files fds;
    struct elf_file file, debug; /* the latter without sections: there is none */
};

static void files_close(struct files *f)
{
    elf_file_close(&f->file);
    elf_file_close(&f->debug);
    debug_files_close(&f->fds);
    cleanup_close(&f->fd);
}

/* Sources of chains, the best first: each adds what it knows of the addresses, which ascend, and
 * leaves others out. -ENODATA: the file has no such thing. */
typedef int (*chain_source)(const struct elf_file *file, const uint64_t *addresses, size_t count,
                            struct chains *chains, struct err *err);
static const chain_source chain_sources[] = {go_names_find};

int symbolizer_new(size_t max_bytes, struct symbolizer **ret, struct err *err)
{
    struct symbolizer *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "making a symbolizer");
    s->max_bytes = max_bytes;
    *ret = s;
    return 0;
}

void symbolizer_use_worker(struct symbolizer *s, struct worker *worker, int64_t cpu_ns,
                           int64_t until_ns)
{
    s->worker = worker;
    s->worker_given_ns = s->worker_left_ns = cpu_ns;
    s->worker_until_ns = until_ns;
}

static size_t object_bytes(const struct object *o)
{
    return sizeof(*o) + answers_bytes(o->answers) + chains_bytes(o->chains);
}

static void object_free(struct object **op)
{
    struct object *o = *op;
    if (!o)
        return;
    answers_free(&o->answers);
    chains_free(&o->chains);
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
    free(s->frames);
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
        if (answers_new(&o->answers) < 0 || chains_new(&o->chains) < 0) {
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

/* What is known of an address. */
struct known {
    bool has_answer, has_chain;
    struct answer answer;
    uint64_t start;
    const struct symbol_frame *chain;
    uint32_t chain_count;
};

static struct known find_known(const struct object *o, uint64_t address)
{
    struct known k = {0};
    k.has_answer = answers_find(o->answers, address, &k.answer);
    k.has_chain = chains_find(o->chains, address, &k.start, &k.chain, &k.chain_count);
    return k;
}

static bool needs_name(const struct known *k)
{
    return !k->has_answer && !(k->chain_count && k->chain[0].name);
}

/* The address that is asked for, and the range of the segment around it. */
static bool locate(const struct object *o, const struct symbol_addr *a, uint64_t *ret_address,
                   uint64_t *ret_low, uint64_t *ret_high)
{
    if (!a->by_address)
        return answers_translate(o->answers, a->file_offset, ret_address, ret_low, ret_high);
    *ret_address = a->address;
    return answers_find_segment(o->answers, a->address, ret_low, ret_high);
}

/* Queries for the addresses that need a chain, or a name, ascending, each once. */
static int collect_queries(const struct object *o, const struct symbol_addr *addrs, size_t count,
                           bool for_chains, struct name_query **ret, size_t *ret_count)
{
    struct name_query *queries = calloc(count + 1, sizeof(*queries));
    if (!queries)
        return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct name_query q = {0};
        if (!locate(o, &addrs[i], &q.address, &q.low, &q.high))
            continue;
        struct known known = find_known(o, q.address);
        if (for_chains ? !known.has_chain : needs_name(&known))
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
static int read_name(struct name_files *files, const struct name_query *q, char **ret)
{
    char linker[NAMES_TEXT_MAX], readable[DEMANGLE_OUT_MAX];
    if (names_read(files, q, linker) < 0) {
        *ret = NULL;
        return 0;
    }
    const char *name = demangle_name(linker, readable) ? readable : linker;
    if (!q->is_stub)
        *ret = strdup(name);
    else if (asprintf(ret, "%s@plt", name) < 0)
        *ret = NULL;
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
static int make_answers(struct name_files *files, const struct name_query *queries, size_t count,
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
        bool same = last && last->found && q->found && last->source == q->source &&
                    last->strings == q->strings && last->name == q->name && last->start == q->start;
        if (same) {
            row.name = before->name;
        } else if (q->found) {
            char *name;
            int r = read_name(files, q, &name);
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

static int find_names(struct object *o, const struct files *f, const struct symbol_addr *addrs,
                      size_t count, struct err *err)
{
    _cleanup_(name_files_close) struct name_files files = {
        .main = &f->file, .debug = f->debug.sections ? &f->debug : NULL};
    _cleanup_free_ struct name_query *queries = NULL;
    size_t query_count = 0;
    int r = collect_queries(o, addrs, count, false, &queries, &query_count);
    if (r < 0)
        return err_errno(err, r, "naming %zu addresses", count);
    int result = names_find(&files, queries, query_count, err);
    _cleanup_(answer_list_free) struct answer_list list = {0};
    r = make_answers(&files, queries, query_count, result == 0, &list);
    if (r == 0)
        r = answers_add(o->answers, list.rows, list.count);
    return r < 0 ? err_errno(err, r, "keeping %zu names", list.count) : result;
}

static int list_addresses(const struct object *o, const struct symbol_addr *addrs, size_t count,
                          uint64_t **ret, size_t *ret_count)
{
    _cleanup_free_ struct name_query *queries = NULL;
    size_t n = 0;
    int r = collect_queries(o, addrs, count, true, &queries, &n);
    if (r < 0)
        return r;
    uint64_t *addresses = calloc(n + 1, sizeof(*addresses));
    if (!addresses)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++)
        addresses[i] = queries[i].address;
    *ret = addresses;
    *ret_count = n;
    return 0;
}

/* Whether there are sources of chains at all is known once each has been asked. */
static int find_chains(struct object *o, const struct elf_file *file,
                       const struct symbol_addr *addrs, size_t count, struct err *err)
{
    bool any = false;
    int result = 0;
    for (size_t i = 0; i < ARRAY_LEN(chain_sources); i++) {
        _cleanup_free_ uint64_t *addresses = NULL;
        size_t address_count = 0;
        int r = list_addresses(o, addrs, count, &addresses, &address_count);
        if (r < 0)
            return err_errno(err, r, "naming %zu addresses", count);
        struct err why = {0};
        r = chain_sources[i](file, addresses, address_count, o->chains, &why);
        any = any || r != -ENODATA;
        if (r < 0 && r != -ENODATA && result == 0)
            result = err_set(err, r, "%s", why.text);
    }
    o->has_chains = any;
    return result;
}

/* A function is called the same whether or not there is DWARF: as the symbol table has it. */
static int add_dwarf_chain(void *ctx, uint64_t address, uint64_t start,
                           const struct symbol_frame *frames, size_t count)
{
    struct object *o = ctx;
    struct symbol_frame copy[CHAIN_FRAMES_MAX];
    struct answer answer;
    if (count > CHAIN_FRAMES_MAX)
        count = CHAIN_FRAMES_MAX;
    for (size_t i = 0; i < count; i++)
        copy[i] = frames[i];
    if (count && answers_find(o->answers, address, &answer) && answer.name)
        copy[0].name = NULL;
    o->dwarf_late = 0;
    return chains_add(o->chains, address, start, copy, count);
}

static bool may_read_dwarf(const struct symbolizer *s, const struct object *o, int64_t now)
{
    return s->worker && s->worker_left_ns > 0 && now < s->worker_until_ns &&
           now >= o->dwarf_retry_ns;
}

/* What fails here costs lines and inlined functions, no names. */
static void find_dwarf(struct symbolizer *s, struct object *o, const struct files *f,
                       const struct symbol_addr *addrs, size_t count)
{
    const struct elf_file *file = elf_file_has_dwarf(&f->file) ? &f->file : &f->debug;
    o->has_dwarf = file == &f->file || (file->sections && elf_file_has_dwarf(file));
    if (!o->has_dwarf || !may_read_dwarf(s, o, clock_ns(CLOCK_MONOTONIC)))
        return;
    _cleanup_free_ uint64_t *addresses = NULL;
    size_t n = 0;
    if (list_addresses(o, addrs, count, &addresses, &n) < 0 || n == 0)
        return;
    n = n < DWARF_ADDRESSES_MAX ? n : DWARF_ADDRESSES_MAX;
    int64_t before = worker_cpu_ns(s->worker);
    bool had_time = s->worker_until_ns - clock_ns(CLOCK_MONOTONIC) >= s->worker_given_ns / 2;
    int r = worker_find_chains(s->worker, file->fd, f->fds.alt, addresses, n, s->worker_left_ns,
                               s->worker_until_ns, add_dwarf_chain, o, NULL);
    s->worker_left_ns -= worker_cpu_ns(s->worker) - before;
    bool is_over = r == -ETIME || (r == -ETIMEDOUT && !(had_time && ++o->dwarf_late == LATE_MAX));
    if (r < 0 && !is_over) {
        o->dwarf_late = 0;
        o->dwarf_retry_ns = clock_ns(CLOCK_MONOTONIC) + RETRY_DWARF_NS;
    }
}

/* That no source has a chain for an address is an answer too, once all of them were asked: DWARF
 * says so itself. */
static int close_chains(struct object *o, const struct symbol_addr *addrs, size_t count)
{
    _cleanup_free_ uint64_t *addresses = NULL;
    size_t n = 0;
    int r = list_addresses(o, addrs, count, &addresses, &n);
    for (size_t i = 0; i < n && r == 0; i++)
        r = chains_add(o->chains, addresses[i], 0, NULL, 0);
    return r;
}

/* A chain spares its address a name only if it has one itself, so chains come first; but DWARF's
 * have not, where a symbol table names the address. */
static int ask_files(struct symbolizer *s, struct object *o, const struct files *f,
                     const struct symbol_addr *addrs, size_t count, struct err *err)
{
    int r = answers_set_segments(o->answers, &f->file);
    if (r < 0)
        return err_errno(err, r, "naming %zu addresses", count);
    struct err why = {0};
    int chains = find_chains(o, &f->file, addrs, count, &why);
    r = find_names(o, f, addrs, count, err);
    find_dwarf(s, o, f, addrs, count);
    if (chains == 0 && o->has_chains && !(o->has_dwarf && s->worker)) {
        chains = close_chains(o, addrs, count);
        if (chains < 0)
            err_errno(&why, chains, "naming %zu addresses", count);
    }
    return r == 0 && chains < 0 ? err_set(err, chains, "%s", why.text) : r;
}

static int look_into_files(struct symbolizer *s, struct object *o, symbol_open_fn open, void *ctx,
                           const struct symbol_addr *addrs, size_t count, int64_t *ret_retry_ns,
                           struct err *err)
{
    _cleanup_(files_close) struct files f = {.fd = -1, .fds = {-1, -1}};
    *ret_retry_ns = RETRY_OPEN_NS;
    f.fd = open(ctx, &f.fds, err);
    if (f.fd < 0)
        return f.fd;
    *ret_retry_ns = RETRY_READ_NS;
    int r = elf_file_open(f.fd, &f.file, err);
    /* A debug file that cannot be read is none. */
    if (f.fds.debug >= 0)
        elf_file_open(f.fds.debug, &f.debug, NULL);
    return r < 0 ? r : ask_files(s, o, &f, addrs, count, err);
}

/* Whether anything is asked that is not known. */
static bool needs_file(const struct symbolizer *s, const struct object *o,
                       const struct symbol_addr *addrs, size_t count)
{
    bool wants_chains =
        o->has_chains || (o->has_dwarf && may_read_dwarf(s, o, clock_ns(CLOCK_MONOTONIC)));
    if (!answers_have_segments(o->answers))
        return count > 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t address, low, high;
        if (!locate(o, &addrs[i], &address, &low, &high))
            continue;
        struct known known = find_known(o, address);
        if (needs_name(&known) || (wants_chains && !known.has_chain))
            return true;
    }
    return false;
}

/* The functions at an address: those of its chain, with the symbol table's name where the outermost
 * has none. Writes up to CHAIN_FRAMES_MAX. */
static uint32_t list_frames(const struct known *k, struct symbol_frame *to, uint64_t *ret_start)
{
    struct symbol_frame outermost = {.name = k->answer.name};
    *ret_start = k->answer.start;
    if (k->chain_count) {
        outermost = k->chain[0];
        if (!outermost.name)
            outermost.name = k->answer.name;
        else if (k->start)
            *ret_start = k->start;
        memcpy(to, k->chain, k->chain_count * sizeof(*to));
    }
    if (!outermost.name)
        return 0;
    to[0] = outermost;
    return k->chain_count ? k->chain_count : 1;
}

static int reserve_frames(struct symbolizer *s, size_t room)
{
    if (room <= s->frame_room)
        return 0;
    struct symbol_frame *frames = reallocarray(s->frames, room * 2, sizeof(*frames));
    if (!frames)
        return -ENOMEM;
    s->frames = frames;
    s->frame_room = room * 2;
    return 0;
}

/* Frames move while they become more, so that pointers to them are made last. */
static int fill(struct symbolizer *s, const struct object *o, struct symbol_addr *addrs,
                size_t count)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct symbol_addr *a = &addrs[i];
        uint64_t low, high;
        int r = reserve_frames(s, used + CHAIN_FRAMES_MAX);
        if (r < 0)
            return r;
        a->translated = locate(o, a, &a->address, &low, &high);
        if (!a->translated)
            continue;
        struct known known = find_known(o, a->address);
        a->unfinished = s->worker && o->has_dwarf && !known.has_chain;
        a->frame_count = list_frames(&known, s->frames + used, &a->start);
        used += a->frame_count;
    }
    used = 0;
    for (size_t i = 0; i < count; i++) {
        addrs[i].frames = addrs[i].frame_count ? s->frames + used : NULL;
        used += addrs[i].frame_count;
    }
    return 0;
}

static int learn(struct symbolizer *s, struct object *o, symbol_open_fn open, void *ctx,
                 const struct symbol_addr *addrs, size_t count, struct err *err)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), retry_ns;
    if (o->failure && now < o->retry_ns)
        return err_set(err, o->failure, "%s", o->why);
    struct err why = {0};
    int r = look_into_files(s, o, open, ctx, addrs, count, &retry_ns, &why);
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
    for (size_t i = 0; i < count; i++)
        addrs[i] = (struct symbol_addr){.file_offset = addrs[i].file_offset,
                                        .address = addrs[i].by_address ? addrs[i].address : 0,
                                        .by_address = addrs[i].by_address};
    struct object *o = find_object(s, key);
    if (!o)
        return err_errno(err, -ENOMEM, "naming %zu addresses", count);
    int r = 0;
    if (needs_file(s, o, addrs, count)) {
        s->bytes -= object_bytes(o);
        r = learn(s, o, open, ctx, addrs, count, err);
        s->bytes += object_bytes(o);
    }
    int filled = fill(s, o, addrs, count);
    keep_within_limit(s, o);
    return filled < 0 ? err_errno(err, filled, "naming %zu addresses", count) : r;
}
