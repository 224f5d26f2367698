/* naming.h: offsets of an object to names, whatever kind of object it is: the kernel's from
 * kallsyms, files' from their symbol tables. One thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct counters;
struct err;
struct jit;
struct jit_span;
struct ksymbols;
struct naming;
struct object;
struct objects;
struct symbol_frame;

struct name {
    uint64_t address; /* of the symbol if there is a name, unless exact ones are wanted; else as
                         format.h has it */
    const struct symbol_frame *frames; /* the outermost function first, the others inlined into the
                                          one before; NULL, 0: no name. Valid until the next
                                          naming_find */
    uint32_t frame_count;
    const char *module; /* of a kernel symbol: "kernel" or the module's name */
};

enum naming_source {
    NAMING_FILE,    /* the file was read; what has no name is covered by no symbol */
    NAMING_NO_FILE, /* it was not found; addresses are offsets in the file */
    NAMING_NO_ELF,  /* it is no ELF file, or a damaged one; likewise */
};

struct naming_config {
    struct objects *objects;
    struct ksymbols *ksymbols; /* may be NULL */
    struct counters *counters;
    size_t max_bytes;   /* of files' symbols that are remembered */
    const char *worker; /* program that reads DWARF (symbol/worker.h); NULL: it is not read */
    int64_t dwarf_ns;   /* CPU time it may take between naming_begin() and naming_end() */
    bool exact;         /* functions of files keep the sample's address, so that debug information
                           elsewhere can tell the line */
};

int naming_new(const struct naming_config *config, struct naming **ret, struct err *err);
void naming_free(struct naming **names);
bool naming_is_exact(const struct naming *names);

/* Around all that is asked for one window: between them DWARF may be read for most of a second, and
 * its process is there. */
void naming_begin(struct naming *names);
void naming_end(struct naming *names);

/* Fills `ret` for each offset. What failed leaves names out. */
enum naming_source naming_find(struct naming *names, struct object *object, const uint64_t *offsets,
                               size_t count, struct name *ret);

/* Who knows the names of code made at run time; NULL: nobody. */
void naming_set_jit(struct naming *names, struct jit *jit);

/* The same for code that a process made at run time; names have no address, which would be another
 * in each process. */
void naming_find_made(struct naming *names, uint32_t process, const struct jit_span *spans,
                      size_t count, struct name *ret);

size_t naming_bytes(const struct naming *names);
