/* ksymbols.h: kernel code that came after boot and is in no module: BPF programs of others,
 * trampolines. The kernel tells of each with its size (PERF_RECORD_KSYMBOL, since Linux 5.1), while
 * /proc/kallsyms, which has no sizes, is read now and then. From any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct ksymbols;
struct record;

#define KSYMBOL_NAME_MAX 512 /* KSYM_NAME_LEN since 6.1, with the NUL */

struct ksymbol {
    char name[KSYMBOL_NAME_MAX];
    const char *module; /* "bpf", or "kernel" for trampolines */
};

enum ksymbol_result {
    KSYMBOL_NONE, /* nothing was told of the address */
    KSYMBOL_FOUND,
    KSYMBOL_UNSURE, /* one took the place of another lately: it may be either's */
};

int ksymbols_new(struct ksymbols **ret, struct err *err);
void ksymbols_free(struct ksymbols **symbols);

/* A RECORD_KSYMBOL. Past a few thousand symbols the oldest are forgotten. -ENOMEM. */
int ksymbols_apply(struct ksymbols *symbols, const struct record *record);

/* Fills `ret` if it is found. */
enum ksymbol_result ksymbols_find(struct ksymbols *symbols, uint64_t address, struct ksymbol *ret);
