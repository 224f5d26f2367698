/* fake_stack.h: samples of a process that a test made up: its code, its registers, its stack. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "unwind/unwind.h"

/* Code with CFI, at CFI_ELF_ADDRESS: where its functions begin, each 0x100 bytes. */
enum {
    F_START = 0x000,   /* has no caller */
    F_16 = 0x100,      /* CFA = sp + 16, return address below the CFA */
    F_32 = 0x200,      /* CFA = sp + 32, below the CFA the return address and fp */
    F_FP = 0x300,      /* CFA = fp + 16, likewise */
    F_REG = 0x400,     /* CFA = a register that callers do not keep: fake_register */
    F_DEREF = 0x500,   /* CFA = *(fp - 8), as F_FP below it */
    F_SIGNAL = 0x600,  /* the signal frame's */
    F_STILL = 0x700,   /* CFA = sp: it does not grow */
    F_BACK = 0x800,    /* CFA = sp - 64 */
    F_MOVED = 0x900,   /* CFA = sp + 16, the return address in fake_register */
    F_OTHER = 0xa00,   /* CFA = a register that callers keep + 16: fake_kept */
    F_KEEPS = 0xb00,   /* CFA = sp + 32, below it the return address and fake_kept */
    F_SUM = 0xc00,     /* CFA = sp + *sp, as an expression that no rule says */
    F_ENDLESS = 0xd00, /* likewise, but the expression goes round in circles */
    F_END = 0xe00,
};

/* Code without CFI. */
#define NO_CFI UINT64_C(0x701000)

#define STACK_BASE UINT64_C(0x7ffc00001000)

/* A file with that code's CFI: a descriptor of the caller's. */
int fake_file(void);
struct unwind_table *fake_table(void);

struct fake {
    struct unwind_table *table;
    struct cfi_image *image; /* NULL: none */
    const uint8_t *code;     /* what lies at NO_CFI; NULL: nobody can read it */
    size_t code_len;
    const uint64_t *tail; /* what follows the words in memory; NULL: nobody can read it */
    size_t tail_words;
    uint64_t words[2048]; /* of the stack, from sp upwards */
    size_t count;
    uint64_t regs[64]; /* as the kernel lays them out */
    uint32_t id;
    bool pending;
    uint64_t moved; /* what is added to offsets: a process that mapped other code */
    bool made;      /* what lies at NO_CFI was made at run time */
    unsigned asked; /* how often find was */
    unsigned code_read;
    size_t tail_checked;
};

extern const unsigned fake_register, fake_kept; /* by DWARF number */
extern const uint64_t fake_regs_mask;

/* fake_register and fake_kept both get `reg`. */
void fake_set(struct fake *f, uint64_t pc, uint64_t fp, uint64_t reg);
void fake_push(struct fake *f, uint64_t word);
void fake_push_address(struct fake *f, uint64_t code); /* a return address into the code with CFI */

/* Appends what the kernel leaves on a stack for a handler that interrupted code there. */
void fake_push_signal_frame(struct fake *f, uint64_t pc, uint64_t sp, uint64_t fp);

/* Where the next word comes to lie. */
uint64_t fake_top(const struct fake *f);

struct unwind_space fake_space(struct fake *f);
struct unwind_sample fake_sample(const struct fake *f);
