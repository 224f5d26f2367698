/* name_files.h: the files of one object that have symbol tables: itself, its debug file, and the
 * one packed in .gnu_debugdata. For src/symbol only. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "symbol/elf_file.h"

enum name_file { NAME_FILE_MAIN, NAME_FILE_DEBUG, NAME_FILE_MINI };

struct name_files {
    const struct elf_file *main;
    const struct elf_file *debug; /* NULL: none */
    /* the packed one, once it was asked for */
    bool is_unpacked;
    struct elf_file mini;
    struct buf mini_bytes;
};

/* NULL: there is none. Valid as long as `files`. */
const struct elf_file *name_files_get(struct name_files *files, enum name_file which);

/* Forgets what was unpacked; the others are the caller's. */
void name_files_close(struct name_files *files);
