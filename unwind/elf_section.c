/* elf_section.c: takes an ELF file and a section's name, gives its bytes. See elf_section.h. */
#include "unwind/elf_section.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"

#define NAMES_MAX (1u << 20) /* of all sections */

static Elf_Scn *find(Elf *elf, const char *wanted, GElf_Shdr *ret)
{
    size_t names;
    Elf_Scn *scn;
    if (elf_getshdrstrndx(elf, &names) < 0 || !(scn = elf_getscn(elf, names)) ||
        !gelf_getshdr(scn, ret) || ret->sh_size > NAMES_MAX || ret->sh_flags & SHF_COMPRESSED)
        return NULL;
    scn = NULL;
    while ((scn = elf_nextscn(elf, scn))) {
        const char *name;
        if (gelf_getshdr(scn, ret) && ret->sh_type != SHT_NOBITS && ret->sh_size &&
            (name = elf_strptr(elf, names, ret->sh_name)) && strcmp(name, wanted) == 0)
            return scn;
    }
    return NULL;
}

Elf_Scn *elf_section_find(Elf *elf, const char *name, GElf_Shdr *ret_header)
{
    GElf_Shdr header;
    Elf_Scn *scn = find(elf, name, &header);
    if (scn)
        *ret_header = header;
    return scn;
}

int elf_section_read(Elf *elf, const char *name, size_t max_bytes, GElf_Shdr *ret_header,
                     Elf_Data **ret, struct err *err)
{
    GElf_Shdr header;
    Elf_Scn *scn = find(elf, name, &header);
    if (!scn)
        return -ENODATA;
    if (header.sh_size > max_bytes)
        return err_set(err, -EFBIG, "%s is %llu bytes; at most %zu are read", name,
                       (unsigned long long)header.sh_size, max_bytes);
    bool compressed = header.sh_flags & SHF_COMPRESSED;
    if (compressed) {
        GElf_Chdr chdr;
        if (!gelf_getchdr(scn, &chdr) || chdr.ch_size > max_bytes)
            return err_set(err, -EFBIG, "%s is too large or malformed", name);
        if (elf_compress(scn, 0, 0) < 0)
            return err_set(err, -EBADMSG, "%s: %s", name, elf_errmsg(-1));
    }
    Elf_Data *data = compressed ? elf_getdata(scn, NULL) : elf_rawdata(scn, NULL);
    if (!data || !data->d_buf)
        return err_set(err, -EBADMSG, "%s cannot be read: %s", name, elf_errmsg(-1));
    *ret_header = header;
    *ret = data;
    return 0;
}
