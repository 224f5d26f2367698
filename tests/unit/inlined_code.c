/* inlined_code.c: takes nothing, gives addresses in functions that are inlined into others. See
 * inlined_code.h. */
#include "inlined_code.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "symbol/elf_file.h"

/* A label of the assembler stands in code that occurs once, whatever it is inlined into. The lines
 * that are looked for are numbered by hand here, so that whatever is added above changes nothing.
 */
#define LABEL(name) __asm__ volatile(".globl " #name "\n" #name ":\n\tnop" ::: "memory")

extern const char pf_at_bottom[], pf_in_middle[], pf_in_inner[];

#line 1001 "inlined_code.c"
static inline __attribute__((always_inline)) void pf_inner(void)
{
    LABEL(pf_in_inner); /* 1003 */
}

static inline __attribute__((always_inline)) void pf_middle(void)
{
    LABEL(pf_in_middle); /* 1008 */
    pf_inner();          /* 1009 */
}

void pf_outer(void);
__attribute__((noinline)) void pf_outer(void)
{
    LABEL(pf_at_bottom); /* 1015 */
    pf_middle();         /* 1016 */
}

static int take_bias(struct dl_phdr_info *info, size_t size, void *ctx)
{
    *(uintptr_t *)ctx = info->dlpi_addr; /* the first is the program */
    return 1;
}

uint64_t inlined_code_address(const void *p)
{
    uintptr_t bias = 0;
    dl_iterate_phdr(take_bias, &bias);
    return (uintptr_t)p - bias;
}

static bool has_dwarf(void)
{
    _cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct elf_file file;
    if (fd < 0 || elf_file_open(fd, &file, NULL) < 0)
        return false;
    bool has = elf_file_has_dwarf(&file);
    elf_file_close(&file);
    return has;
}

size_t inlined_code_places(struct inlined_place ret[INLINED_PLACES])
{
    const struct inlined_place places[INLINED_PLACES] = {
        {inlined_code_address(pf_at_bottom), {"pf_outer"}, {1015}, 0},
        {inlined_code_address(pf_in_middle), {"pf_outer", "pf_middle"}, {1016, 1008}, 0},
        {inlined_code_address(pf_in_inner),
         {"pf_outer", "pf_middle", "pf_inner"},
         {1016, 1009, 1003},
         0},
    };
    if (!has_dwarf())
        return 0;
    for (size_t i = 0; i < INLINED_PLACES; i++) {
        ret[i] = places[i];
        ret[i].start = inlined_code_address((const void *)pf_outer);
    }
    return INLINED_PLACES;
}
