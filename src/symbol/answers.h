/* answers.h: what is known of one object's addresses. For src/symbol only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct answers;
struct elf_file;

struct answer {
    uint64_t low, high; /* holds for addresses of [low, high) */
    uint64_t start;     /* the symbol's first byte */
    const char *name;   /* NULL: no symbol covers them */
};

int answers_new(struct answers **ret);
void answers_free(struct answers **a);
size_t answers_bytes(const struct answers *a);

/* Learns how the file's bytes are mapped. */
int answers_set_segments(struct answers *a, const struct elf_file *file);
bool answers_have_segments(const struct answers *a);

/* Where the loader puts the file's byte: the ELF address, and the range of the segment around it.
 * False if no segment has it. */
bool answers_translate(const struct answers *a, uint64_t offset, uint64_t *ret_address,
                       uint64_t *ret_low, uint64_t *ret_high);

/* The range of the segment around an ELF address, of which the file need not have the bytes. */
bool answers_find_segment(const struct answers *a, uint64_t address, uint64_t *ret_low,
                          uint64_t *ret_high);

/* What is known of an address; false if nothing is. */
bool answers_find(const struct answers *a, uint64_t address, struct answer *ret);

/* Adds answers, ascending and apart from each other; names are copied. Where one overlaps what is
 * known, what is known stays. */
int answers_add(struct answers *a, const struct answer *more, size_t count);
