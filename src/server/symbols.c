/* symbols.c: takes addresses of objects, gives their functions out of debug files. See symbols.h.
 *
 * What is known is found under a short lock. Files are read by one thread at a time, which holds no
 * lock meanwhile: a query that comes then waits for its turn no longer than it may take for names
 * anyway. */
#include "server/symbols.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "server/debug_dirs.h"
#include "server/known_names.h"
#include "server/store.h"
#include "symbol/chains.h"
#include "symbol/debug_file.h"
#include "symbol/dwarf.h"
#include "symbol/symbol.h"
#include "symbol/worker.h"

/* After so long it is seen that a debug file has come, changed or gone. */
#define LOOK_AGAIN_NS (60 * NS_PER_SEC)

#define TURN 7919u /* a prime: turns come to all objects */

struct symbols {
    struct symbols_config config;
    pthread_mutex_t lock;
    pthread_cond_t is_free;
    bool is_busy; /* a thread reads files: what stands behind `counts` is its own */
    struct known_names *known;
    uint32_t turn;
    struct symbols_counts counts;
    struct symbolizer *symbolizer;
    struct worker *worker; /* NULL: none */
};

int symbols_new(const struct symbols_config *config, struct symbols **ret, struct err *err)
{
    struct symbols *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "preparing to name addresses");
    s->config = *config;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->is_free, &attr);
    pthread_condattr_destroy(&attr);
    /* The symbolizer's half has what several addresses share: ranges of one symbol, strings. */
    int r = known_names_new(config->max_bytes / 2, &s->known);
    if (r == 0)
        r = symbolizer_new(config->max_bytes / 2, &s->symbolizer, err);
    if (r == 0 && config->worker)
        r = worker_new(config->worker, &s->worker, err);
    if (r < 0) {
        symbols_free(&s);
        return err_errno(err, r, "preparing to name addresses");
    }
    *ret = s;
    return 0;
}

void symbols_free(struct symbols **symbols)
{
    struct symbols *s = *symbols;
    if (!s)
        return;
    symbolizer_free(&s->symbolizer);
    worker_free(&s->worker);
    known_names_free(&s->known);
    pthread_cond_destroy(&s->is_free);
    pthread_mutex_destroy(&s->lock);
    free(s);
    *symbols = NULL;
}

int64_t symbols_within_ns(const struct symbols *s)
{
    return s->config.within_ns;
}

bool symbols_may_tell(const struct store_frame *f)
{
    bool is_known = f->name[0] && (!(f->object_flags & OBJECT_EXACT) || f->file[0]);
    return f->kind == FRAME_USER && f->object_kind == OBJECT_ELF && f->build_id_len > 0 &&
           !(f->object_flags & OBJECT_FILE_OFFSETS) && !is_known;
}

static struct known_key key_of(const uint8_t *build_id, size_t len)
{
    struct known_key key = {.len = (uint8_t)len};
    assert(len <= sizeof(key.build_id));
    memcpy(key.build_id, build_id, len);
    return key;
}

/* ---- what is known */

/* Nothing, if neither has functions there. */
static enum symbols_found find_known(const struct known_object *o, uint64_t address, bool is_last,
                                     const struct symbol_frame **ret, uint32_t *ret_count)
{
    uint64_t start;
    bool is_here = chains_find(o->chains, address, &start, ret, ret_count);
    if (!is_here && !is_last)
        return SYMBOLS_ASK;
    if (!is_here)
        is_here = o->passing && chains_find(o->passing, address, &start, ret, ret_count);
    return is_here && *ret_count ? SYMBOLS_TOLD : SYMBOLS_NOTHING;
}

enum symbols_found symbols_find(struct symbols *s, const struct store_frame *frame, bool is_last,
                                symbols_fn fn, void *ctx, int *ret_failed,
                                struct symbols_ask *ret_ask)
{
    struct known_key key = key_of(frame->build_id, frame->build_id_len);
    enum symbols_found found = is_last ? SYMBOLS_NOTHING : SYMBOLS_ASK;
    const struct symbol_frame *frames;
    uint32_t count;
    pthread_mutex_lock(&s->lock);
    struct known_object *o = known_names_find(s->known, &key);
    if (o && (is_last || clock_ns(CLOCK_MONOTONIC) < o->look_again_ns))
        found =
            o->stamp ? find_known(o, frame->address, is_last, &frames, &count) : SYMBOLS_NOTHING;
    if (found == SYMBOLS_TOLD)
        *ret_failed = fn(ctx, frames, count);
    pthread_mutex_unlock(&s->lock);
    if (found == SYMBOLS_ASK) {
        *ret_ask = (struct symbols_ask){.address = frame->address, .build_id_len = key.len};
        memcpy(ret_ask->build_id, key.build_id, sizeof(key.build_id));
    }
    return found;
}

void symbols_look_again(struct symbols *s)
{
    pthread_mutex_lock(&s->lock);
    known_names_expire(s->known);
    pthread_mutex_unlock(&s->lock);
}

void symbols_read_counts(struct symbols *s, struct symbols_counts *ret)
{
    pthread_mutex_lock(&s->lock);
    *ret = s->counts;
    pthread_mutex_unlock(&s->lock);
}

/* ---- learning */

/* The addresses of one object. */
struct group {
    struct symbols *symbols;
    const struct symbols_ask *asked;
    size_t count;
    int fd; /* of its debug file; -1: none */
};

static int open_debug_file(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    const struct group *g = ctx;
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t len = 0;
    int fd = fcntl(g->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, -errno, "reading a debug file");
    if (debug_file_read_alt_id(fd, id, &len) == 0) {
        int alt = debug_dirs_open(g->symbols->config.dirs, id, len, NULL);
        ret_debug->alt = alt < 0 ? -1 : alt;
    }
    return fd;
}

/* Another file has another one; so has one that was written anew. */
static uint64_t make_stamp(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return 0;
    uint64_t parts[] = {(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
                        (uint64_t)st.st_mtim.tv_sec, (uint64_t)st.st_mtim.tv_nsec};
    return XXH3_64bits(parts, sizeof(parts)) | 1;
}

static struct symbol_key symbol_key_of(const struct known_object *o)
{
    struct symbol_key key = {.len = (uint8_t)(sizeof(o->key.build_id) + sizeof(o->stamp))};
    _Static_assert(sizeof(o->key.build_id) + sizeof(o->stamp) <= SYMBOL_KEY_MAX, "both fit");
    memcpy(key.bytes, o->key.build_id, sizeof(o->key.build_id));
    memcpy(key.bytes + sizeof(o->key.build_id), &o->stamp, sizeof(o->stamp));
    return key;
}

/* Looks for the debug file, and forgets what an earlier one said. NULL: nothing can be learnt. */
static struct known_object *look_for_file(struct group *g)
{
    struct symbols *s = g->symbols;
    struct err err = {0};
    struct known_key key = key_of(g->asked->build_id, g->asked->build_id_len);
    g->fd = debug_dirs_open(s->config.dirs, g->asked->build_id, g->asked->build_id_len, &err);
    bool is_refused = g->fd < 0 && g->fd != -ENOENT;
    if (is_refused)
        log_warn("%s", err.text);
    uint64_t stamp = make_stamp(g->fd);
    pthread_mutex_lock(&s->lock);
    s->counts.debug_files_refused += is_refused;
    struct known_object *o = known_names_add(s->known, &key);
    if (o && o->stamp != stamp && known_object_clear(o) < 0)
        o = NULL;
    if (o) {
        o->stamp = stamp;
        o->look_again_ns = clock_ns(CLOCK_MONOTONIC) + LOOK_AGAIN_NS;
    }
    pthread_mutex_unlock(&s->lock);
    return o && stamp ? o : NULL;
}

static size_t list_unknown(const struct group *g, const struct known_object *o,
                           struct symbol_addr *addrs)
{
    const struct symbol_frame *frames;
    uint64_t start;
    uint32_t frame_count;
    size_t n = 0;
    for (size_t i = 0; i < g->count; i++)
        if (!chains_find(o->chains, g->asked[i].address, &start, &frames, &frame_count))
            addrs[n++] = (struct symbol_addr){.address = g->asked[i].address, .by_address = true};
    return n;
}

/* The object is not dropped meanwhile: only who reads files drops any. `is_whole`: the file could
 * be read, so that what has no name has none. */
static void keep(struct symbols *s, struct known_object *o, const struct symbol_addr *addrs,
                 size_t count, bool is_whole)
{
    int r = 0;
    pthread_mutex_lock(&s->lock);
    chains_free(&o->passing);
    for (size_t i = 0; i < count && r == 0; i++) {
        const struct symbol_addr *a = &addrs[i];
        s->counts.symbols_asked++;
        s->counts.symbols_named += a->frame_count > 0;
        s->counts.symbols_put_off += a->unfinished;
        bool for_good = !a->unfinished && (is_whole || a->frame_count);
        struct chains **to = for_good ? &o->chains : &o->passing;
        if (!*to)
            r = chains_new(to);
        if (r == 0)
            r = chains_add(*to, a->address, a->start, a->frames, a->frame_count);
    }
    known_names_settle(s->known, o);
    s->counts.cache_bytes = known_names_bytes(s->known) + symbolizer_bytes(s->symbolizer);
    pthread_mutex_unlock(&s->lock);
    if (r < 0)
        log_debug("not all names are kept errno=%d", -r);
}

static void learn_object(struct group *g)
{
    struct symbols *s = g->symbols;
    _cleanup_free_ struct symbol_addr *addrs = NULL;
    struct err err = {0};
    struct known_object *o = look_for_file(g);
    if (o)
        addrs = calloc(g->count, sizeof(*addrs));
    size_t count = addrs ? list_unknown(g, o, addrs) : 0;
    if (count) {
        struct symbol_key key = symbol_key_of(o);
        int r = symbolizer_resolve(s->symbolizer, &key, open_debug_file, g, addrs, count, &err);
        if (r < 0)
            log_debug("debug file not read: %s", err.text);
        keep(s, o, addrs, count, r == 0);
    }
    if (g->fd >= 0)
        close(g->fd);
}

static int compare_asks(const void *va, const void *vb)
{
    const struct symbols_ask *a = va, *b = vb;
    int by_id = memcmp(&a->build_id_len, &b->build_id_len, sizeof(*a) - sizeof(a->address));
    return by_id ? by_id : (a->address > b->address) - (a->address < b->address);
}

static bool is_same_object(const struct symbols_ask *a, const struct symbols_ask *b)
{
    return memcmp(&a->build_id_len, &b->build_id_len, sizeof(*a) - sizeof(a->address)) == 0;
}

/* Each time another object is the first, so that one whose DWARF takes all the time there is does
 * not keep the others from theirs for ever. */
static void learn_all(struct symbols *s, const struct symbols_ask *asked, size_t count,
                      int64_t until_ns)
{
    size_t first = (size_t)s->turn++ * TURN % count;
    while (first > 0 && is_same_object(&asked[first - 1], &asked[first]))
        first--;
    for (size_t done = 0, n; done < count; done += n) {
        size_t at = (first + done) % count;
        for (n = 1; at + n < count && is_same_object(&asked[at], &asked[at + n]); n++)
            ;
        int64_t left_ns = until_ns - clock_ns(CLOCK_MONOTONIC);
        if (left_ns <= 0)
            return;
        if (s->worker)
            symbolizer_use_worker(s->symbolizer, s->worker, left_ns, until_ns);
        struct group g = {s, &asked[at], n, -1};
        learn_object(&g);
    }
}

/* False if another thread has not done by then. */
static bool begin(struct symbols *s, int64_t until_ns)
{
    struct timespec until = {until_ns / NS_PER_SEC, until_ns % NS_PER_SEC};
    int code = 0;
    pthread_mutex_lock(&s->lock);
    while (s->is_busy && code != ETIMEDOUT)
        code = pthread_cond_timedwait(&s->is_free, &s->lock, &until);
    bool is_mine = !s->is_busy;
    if (is_mine) {
        s->is_busy = true;
        known_names_settle(s->known, NULL);
    }
    pthread_mutex_unlock(&s->lock);
    return is_mine;
}

static void end(struct symbols *s)
{
    if (s->worker)
        worker_rest(s->worker); /* what it has read is not kept for the next query */
    pthread_mutex_lock(&s->lock);
    if (s->worker) {
        s->counts.symbol_workers_started = worker_started(s->worker);
        s->counts.symbol_workers_failed = worker_failed(s->worker);
    }
    s->is_busy = false;
    pthread_cond_signal(&s->is_free);
    pthread_mutex_unlock(&s->lock);
}

void symbols_learn(struct symbols *s, struct symbols_ask *asked, size_t count, int64_t within_ns)
{
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + within_ns;
    if (count)
        qsort(asked, count, sizeof(*asked), compare_asks);
    if (!count || within_ns <= 0 || !begin(s, until_ns))
        return;
    learn_all(s, asked, count, until_ns);
    end(s);
}
