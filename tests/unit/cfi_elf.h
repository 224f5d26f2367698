/* cfi_elf.h: ELF files with CFI that a test chose, made in memory. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

/* Code lies at this address, and as far into the file. */
#define CFI_ELF_ADDRESS UINT64_C(0x401000)
#define CFI_ELF_OFFSET  UINT64_C(0x1000)
#define CFI_ELF_SECTION UINT64_C(0x600000) /* where .eh_frame is loaded */

/* Appends a CIE "zR" (signal: "zRS") of x86-64 or aarch64, 4-byte pc-relative pointers; gives where
 * in the section it begins. */
size_t cfi_add_cie(struct buf *section, unsigned machine, const char *augmentation,
                   const void *program, size_t len);

/* Appends an FDE of that CIE for `bytes` of code from an address on. */
void cfi_add_fde(struct buf *section, size_t cie, uint64_t address, uint32_t bytes,
                 const void *program, size_t len);

struct cfi_elf_section {
    const char *name;
    uint64_t address;
    const struct buf *bytes;
    bool loaded; /* by a segment to itself */
};

#define CFI_ELF_MORE 4u

struct cfi_elf {
    unsigned machine;         /* EM_X86_64, EM_AARCH64 */
    uint64_t entry;           /* address; 0: none */
    uint32_t code_bytes;      /* of the executable segment */
    const char *section_name; /* NULL: .eh_frame */
    const struct buf *section;
    bool indexed;         /* .eh_frame_hdr follows the section, and both are loaded */
    const void *build_id; /* NULL: none */
    size_t build_id_len;
    struct cfi_elf_section more[CFI_ELF_MORE]; /* beside the CFI, up to one without a name */
};

/* Appends the file's bytes, without those of its code. */
void cfi_elf_bytes(const struct cfi_elf *elf, struct buf *to);

/* The file: a descriptor of the caller's, on a memfd. */
int cfi_elf_open(const struct cfi_elf *elf);
