/* samples.h: what a recording of `corpus record` holds, loaded once for all engines: samples with
 * registers and stack, and the code of their processes. */
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

struct cfi_image;
struct err;
struct replay;
struct unwind_table;

#define SAMPLES_NO_OBJECT UINT32_MAX
#define SAMPLES_LOADS_MAX 16

/* An ELF file, the vdso among them. */
struct bench_object {
    char *path;
    int fd;               /* -1: it could not be opened; then nothing below is known */
    const uint8_t *bytes; /* mapped */
    size_t len;
    uint32_t load_count;
    Elf64_Phdr loads[SAMPLES_LOADS_MAX];
    Elf64_Phdr eh_frame_hdr;    /* p_memsz 0: none */
    struct unwind_table *table; /* NULL: none */
    struct cfi_image *image;    /* likewise */
};

struct bench_mapping {
    uint64_t start, end, file_offset;
    uint32_t object; /* SAMPLES_NO_OBJECT: no file, as of a JIT */
};

/* An object where a process has loaded it: addresses are bias + p_vaddr. */
struct bench_module {
    uint64_t low, high, bias;
    uint32_t object;
};

/* A process's executable mappings at a time, both lists by address. */
struct bench_space {
    uint32_t maps_id, pid;
    uint32_t mapping_count, module_count;
    struct bench_mapping *mappings;
    struct bench_module *modules;
};

struct bench_label {
    char *name;
    uint32_t samples, processes;
};

struct bench_sample {
    uint32_t space, label;
    const uint64_t *regs;
    const uint8_t *stack;
    uint64_t stack_base;
    uint32_t stack_len;
};

struct samples {
    struct bench_object *objects;
    struct bench_space *spaces;
    struct bench_label *labels;
    struct bench_sample *v;
    uint32_t object_count, space_count, label_count, count;
    uint64_t regs_mask;
    uint64_t in_file; /* samples in the recording */
    uint32_t dump_max;
    uint64_t build_ns, rows; /* of all tables */
    size_t table_bytes;
    struct replay *replay; /* of the memory that was read when the samples were taken */
};

/* At most `per_label` samples of each of the corpus's programs, spread over its time; 0: all. */
int samples_load(const char *path, uint32_t per_label, struct samples **ret, struct err *err);

/* NULL if there is none at the address. */
const struct bench_mapping *samples_find_mapping(const struct bench_space *space, uint64_t address);
const struct bench_module *samples_find_module(const struct bench_space *space, uint64_t address);

/* Code from `from` to before `to` of a mapping, as stacker.c would read it; gives how many bytes.
 */
size_t samples_read_code(const struct samples *samples, const struct bench_space *space,
                         const struct bench_mapping *mapping, uint64_t from, uint64_t to,
                         uint8_t *ret);
