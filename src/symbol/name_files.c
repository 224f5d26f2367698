/* name_files.c: takes an object's file, gives those that have its symbols. See name_files.h. */
#include "symbol/name_files.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "unwind/debugdata.h"

#define PACKED_MAX   ((uint64_t)8 << 20)
#define UNPACKED_MAX ((size_t)32 << 20) /* of Fedora's largest programs it is some 3 MiB */

static int unpack(struct name_files *files)
{
    GElf_Shdr section;
    int r = elf_file_find_section(files->main, ".gnu_debugdata", &section);
    if (r < 0)
        return r;
    if (section.sh_type == SHT_NOBITS || section.sh_size > PACKED_MAX)
        return -EBADMSG;
    size_t len = (size_t)section.sh_size;
    _cleanup_free_ void *packed = malloc(len + 1);
    if (!packed)
        return -ENOMEM;
    r = elf_file_read(files->main, section.sh_offset, packed, len);
    if (r == 0)
        r = debugdata_unpack(packed, len, &files->mini_bytes, NULL);
    if (r == 0)
        r = elf_file_open_memory(files->mini_bytes.data, files->mini_bytes.len, &files->mini, NULL);
    return r;
}

/* What cannot be unpacked is as if it were not there: other tables may have the names. */
static const struct elf_file *get_mini(struct name_files *files)
{
    if (!files->is_unpacked) {
        files->is_unpacked = true;
        files->mini_bytes.max = UNPACKED_MAX;
        if (unpack(files) < 0)
            buf_free(&files->mini_bytes);
    }
    return files->mini.memory ? &files->mini : NULL;
}

const struct elf_file *name_files_get(struct name_files *files, enum name_file which)
{
    switch (which) {
    case NAME_FILE_DEBUG:
        return files->debug;
    case NAME_FILE_MINI:
        return get_mini(files);
    default:
        return files->main;
    }
}

void name_files_close(struct name_files *files)
{
    elf_file_close(&files->mini);
    buf_free(&files->mini_bytes);
    files->mini = (struct elf_file){0};
}
