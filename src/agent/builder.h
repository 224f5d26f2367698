/* builder.h: a window, with addresses named, becomes a batch. One thread; all that may block on
 * files happens here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct builder;
struct counters;
struct err;
struct identity;
struct jit;
struct ksymbols;
struct objects;
struct pods;
struct usage_reader;
struct window;

struct builder_config {
    const char *node; /* its name */
    int64_t period_ns;
    size_t symbol_bytes;        /* cap on remembered names */
    const char *worker;         /* program that reads DWARF (symbol/worker.h); NULL: none */
    int64_t dwarf_ns;           /* CPU time it may take for a window */
    struct jit *jit;            /* names of code made at run time; NULL: it has none */
    struct ksymbols *ksymbols;  /* may be NULL; must outlive it */
    struct pods *pods;          /* names of pods and containers; NULL: none; must outlive it */
    bool exact;                 /* named frames keep the sample's address */
    struct identity *identity;  /* whose usage is wanted; NULL: all. Must outlive it */
    struct usage_reader *usage; /* what containers use; NULL: it is not read. Must outlive it */
};

/* Copies the config. Reads the machine's boot id, kernel and architecture. */
int builder_new(const struct builder_config *config, struct objects *objects,
                struct counters *counters, struct builder **ret, struct err *err);
void builder_free(struct builder **builder);

/* The batch's memory is the builder's, valid until the next build. Its seq and counters are the
 * caller's to fill. Frames that a symbol names are at the symbol's start, unless exact: two
 * addresses in one function are one frame. */
int builder_build(struct builder *builder, const struct window *window, struct batch *ret,
                  struct err *err);

/* Bytes of memory held from window to window. */
size_t builder_bytes(const struct builder *builder);
