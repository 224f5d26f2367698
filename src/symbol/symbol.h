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

struct err;
struct symbolizer;

#define SYMBOL_KEY_MAX 32

/* What makes two mappings the same object: the build-id, or device, inode and generation. */
struct symbol_key {
    uint8_t len;
    uint8_t bytes[SYMBOL_KEY_MAX];
};

struct symbol_addr {
    uint64_t file_offset; /* in: byte in the object's file */
    uint64_t address;     /* out: ELF virtual address, as nm(1) has it */
    uint64_t start;       /* out: address of the symbol's first byte; only with a name */
    const char *name;     /* out: demangled; NULL if no symbol covers the address. Valid until the
                             next call on the symbolizer */
    bool translated;      /* out: address is valid; false if the file was no readable ELF */
};

/* Gives an open, readable descriptor of the object's file, which the symbolizer closes, or
 * -errno. Called only when an answer is not remembered. */
typedef int (*symbol_open_fn)(void *ctx, struct err *err);

int symbolizer_new(size_t max_bytes, struct symbolizer **ret, struct err *err);
void symbolizer_free(struct symbolizer **s);

/* Fills the out members of `addrs`, in any order of file_offset, with repeats. A file that cannot
 * be opened or is no ELF is an error only for the caller's counters: the addresses come back
 * unnamed, the failure is remembered for a while, and the return value says why. */
int symbolizer_resolve(struct symbolizer *s, const struct symbol_key *key, symbol_open_fn open,
                       void *ctx, struct symbol_addr *addrs, size_t count, struct err *err);

/* Bytes that remembered answers occupy now. */
size_t symbolizer_bytes(const struct symbolizer *s);
