/* symbol.h: addresses in, names out. No globals, no threads; a symbolizer is used by one thread.
 *
 * The caller collects the addresses of one object and asks for all of them at once: the object's
 * symbol table is read once in a single pass and nothing of it is kept but the answers, which are
 * remembered by object, so that an address is resolved once in the symbolizer's life or until the
 * byte cap pushes the object out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct debug_files;
struct err;
struct symbolizer;
struct worker;

#define SYMBOL_KEY_MAX 32

/* What makes two mappings the same object: the build-id, or device, inode and generation. */
struct symbol_key {
    uint8_t len;
    uint8_t bytes[SYMBOL_KEY_MAX];
};

/* A function at an address. Inlined code has several: its own, and those it was inlined into. */
struct symbol_frame {
    const char *name; /* demangled, in full; never NULL */
    const char *file; /* as the compiler was told it; NULL: unknown */
    uint32_t line;    /* that is executed, or of the call to the next frame; 0: unknown */
};

struct symbol_addr {
    uint64_t file_offset; /* in: byte in the object's file */
    uint64_t address;     /* out: ELF virtual address, as nm(1) has it */
    bool by_address; /* in: `address` is given, not file_offset: all a debug file can be asked by */
    uint64_t start;  /* out: address of the outermost function's first byte; only with frames */
    /* out: the outermost function first, the others each inlined into the one before; NULL, 0 if
     * nothing names the address. Valid until the next call on the symbolizer. */
    const struct symbol_frame *frames;
    uint32_t frame_count;
    bool translated; /* out: address is valid; false if the file was no readable ELF */
    bool unfinished; /* out: there is DWARF that was not read for it; it may have more to tell */
};

/* Gives an open, readable descriptor of the object's file, and in *ret_debug, which has none, those
 * of its debug files if there are (debug_file.h); the symbolizer closes them. Or -errno. Called
 * only when an answer is not remembered. */
typedef int (*symbol_open_fn)(void *ctx, struct debug_files *ret_debug, struct err *err);

int symbolizer_new(size_t max_bytes, struct symbolizer **ret, struct err *err);
void symbolizer_free(struct symbolizer **s);

/* From here on DWARF is read too: lines, and what is inlined. `worker` does it (worker.h) and must
 * outlive the symbolizer. Of what is asked until the next call it may take `cpu_ns` of CPU time,
 * and until `until_ns` (CLOCK_MONOTONIC); what is not done by then is named from symbol tables
 * alone, and done when it is asked for again. */
void symbolizer_use_worker(struct symbolizer *s, struct worker *worker, int64_t cpu_ns,
                           int64_t until_ns);

/* Fills the out members of `addrs`, in any order of file_offset, with repeats. A file that cannot
 * be opened or is no ELF is an error only for the caller's counters: the addresses come back
 * unnamed, the failure is remembered for a while, and the return value says why. */
int symbolizer_resolve(struct symbolizer *s, const struct symbol_key *key, symbol_open_fn open,
                       void *ctx, struct symbol_addr *addrs, size_t count, struct err *err);

/* Bytes that remembered answers occupy now. */
size_t symbolizer_bytes(const struct symbolizer *s);
