/* vdso.c: takes our own memory, gives the [vdso] as a file. See elf.h. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include <elf.h>
#include <link.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"

#define VDSO_MAX (1u << 20) /* it has two to four pages */

/* The kernel maps the whole file (arch/x86/entry/vdso/vma.c): its section headers, which stand at
 * its end, are there too. */
static size_t image_bytes(const ElfW(Ehdr) * header)
{
    size_t bytes = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
    const ElfW(Phdr) *segments = (const void *)((const char *)header + header->e_phoff);
    for (size_t i = 0; i < header->e_phnum; i++) {
        size_t end = segments[i].p_offset + segments[i].p_filesz;
        if (segments[i].p_type == PT_LOAD && end > bytes)
            bytes = end;
    }
    return bytes;
}

int elf_open_vdso(struct err *err)
{
    const ElfW(Ehdr) *header = (const void *)getauxval(AT_SYSINFO_EHDR);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return err_set(err, -ENOENT, "this process has no [vdso]");
    size_t bytes = image_bytes(header);
    if (bytes > VDSO_MAX)
        return err_set(err, -EFBIG, "[vdso] of %zu bytes", bytes);
    _cleanup_close_ int fd = memfd_create("vdso", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "making a file of [vdso]");
    /* write(2) fails on memory that is not mapped instead of faulting. */
    int r = fs_write_all(fd, header, bytes);
    if (r < 0)
        return err_errno(err, r, "copying [vdso]");
    return TAKE_FD(fd);
}
