/* symbols.h: names of frames that their nodes could not name, and lines and inlined functions they
 * could not tell, out of debug files that the server has. Any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debug_dirs;
struct err;
struct store_frame;
struct symbol_frame;
struct symbols;

/* name, help: each is a counter of /metrics, and a member of struct symbols_counts. */
#define SYMBOLS_COUNTERS(X)                                                                 \
    X(symbols_asked, "Addresses that debug files were asked for.")                          \
    X(symbols_named, "Of these, those that a debug file named.")                            \
    X(symbols_put_off, "Of these, those whose DWARF was not read yet, for want of time.")   \
    X(debug_files_refused, "Debug files that are no good: of another build-id, or no ELF.") \
    X(symbol_workers_started, "Processes started to read DWARF.")                           \
    X(symbol_workers_failed, "Of these, those that had to be ended, or ended while they read.")

struct symbols_counts {
#define X(name, help) uint64_t name;
    SYMBOLS_COUNTERS(X)
#undef X
    uint64_t cache_bytes;
};

struct symbols_config {
    const struct debug_dirs *dirs; /* must outlive it */
    const char *worker;            /* program that reads DWARF (symbol/worker.h); NULL: none */
    size_t max_bytes;              /* of names that are remembered */
    int64_t within_ns;             /* what one query may take for them */
};

int symbols_new(const struct symbols_config *config, struct symbols **ret, struct err *err);
void symbols_free(struct symbols **symbols);
int64_t symbols_within_ns(const struct symbols *symbols);

/* Whether debug files may tell more of a frame than is stored. */
bool symbols_may_tell(const struct store_frame *frame);

/* An address of an object. */
struct symbols_ask {
    uint64_t address;
    uint8_t build_id_len;
    uint8_t build_id[23]; /* fills up the row: rows are compared as bytes */
};

enum symbols_found {
    SYMBOLS_NOTHING, /* no debug file knows more */
    SYMBOLS_TOLD,    /* `fn` has been called */
    SYMBOLS_ASK,     /* not known yet; *ret_ask is what to ask for */
};

/* The functions at an address, the outermost first; at least one. Called with a lock held: it must
 * not wait, nor call symbols_*(). Its result other than 0 is *ret_failed. */
typedef int (*symbols_fn)(void *ctx, const struct symbol_frame *frames, uint32_t count);

/* Looks a frame that symbols_may_tell() up among what is known, without reading a file. With
 * `is_last` SYMBOLS_ASK is not given: what is known by then has to do. */
enum symbols_found symbols_find(struct symbols *symbols, const struct store_frame *frame,
                                bool is_last, symbols_fn fn, void *ctx, int *ret_failed,
                                struct symbols_ask *ret_ask);

/* Reads debug files for what is asked, which is sorted, for `within_ns` at most, more or less. What
 * is not done by then is done when it is asked for again. */
void symbols_learn(struct symbols *symbols, struct symbols_ask *asked, size_t count,
                   int64_t within_ns);

/* Debug files that have come since are found at once, not within a minute. */
void symbols_look_again(struct symbols *symbols);

void symbols_read_counts(struct symbols *symbols, struct symbols_counts *ret);
