/* build_id.c: takes an ELF file, gives its GNU build-id. See elf.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "symbol/elf.h"
#include "symbol/elf_file.h"

#define NOTES_MAX (64u << 10) /* bytes of one segment or section that are read */

struct id {
    uint8_t bytes[ELF_BUILD_ID_MAX];
    size_t len;
};

/* A note is name size, description size, type (32 bits each in either class), name and description,
 * each padded to 4 bytes (8 in segments aligned to 8: gABI and Linux's elf.h). */
static bool find_in_notes(const struct elf_file *file, uint8_t *notes, size_t len, size_t align,
                          struct id *ret)
{
    while (len >= sizeof(GElf_Nhdr)) {
        uint32_t words[3];
        memcpy(words, notes, sizeof(words));
        if (elf_file_translate(file, ELF_T_WORD, words, sizeof(words)) < 0)
            return false;
        uint64_t name_end = sizeof(words) + (uint64_t)words[0];
        uint64_t at = (name_end + align - 1) / align * align;
        uint64_t end = at + words[1];
        if (name_end > len || end > len)
            return false;
        if (words[2] == NT_GNU_BUILD_ID && words[0] == 4 &&
            memcmp(notes + sizeof(words), "GNU", 4) == 0 && words[1] > 0 &&
            words[1] <= ELF_BUILD_ID_MAX) {
            ret->len = words[1];
            memcpy(ret->bytes, notes + at, ret->len);
            return true;
        }
        uint64_t next = (end + align - 1) / align * align;
        if (next > len)
            return false;
        notes += next;
        len -= (size_t)next;
    }
    return false;
}

/* 1 found, 0 not, -errno. */
static int find_in_file(const struct elf_file *file, uint64_t offset, uint64_t bytes,
                        uint64_t align, struct id *ret)
{
    size_t len = bytes < NOTES_MAX ? (size_t)bytes : NOTES_MAX;
    if (len == 0)
        return 0;
    _cleanup_free_ uint8_t *notes = malloc(len);
    if (!notes)
        return -ENOMEM;
    int r = elf_file_read(file, offset, notes, len);
    if (r < 0)
        return r;
    return find_in_notes(file, notes, len, align == 8 ? 8 : 4, ret);
}

static int find_build_id(const struct elf_file *file, struct id *ret)
{
    int r = 0;
    for (size_t i = 0; i < file->segment_count && r == 0; i++) {
        const GElf_Phdr *p = &file->segments[i];
        if (p->p_type == PT_NOTE)
            r = find_in_file(file, p->p_offset, p->p_filesz, p->p_align, ret);
    }
    /* Objects and separate debug files have no, or empty, segments. */
    for (size_t i = 0; i < file->section_count && r == 0; i++) {
        const GElf_Shdr *s = &file->sections[i];
        if (s->sh_type == SHT_NOTE)
            r = find_in_file(file, s->sh_offset, s->sh_size, s->sh_addralign, ret);
    }
    return r;
}

int elf_read_build_id(int fd, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_len, struct err *err)
{
    _cleanup_(elf_file_close) struct elf_file file = {0};
    int r = elf_file_open(fd, &file, err);
    if (r < 0)
        return r;
    struct id id;
    r = find_build_id(&file, &id);
    if (r < 0)
        return err_errno(err, r, "reading the ELF notes");
    if (r == 0)
        return err_set(err, -ENODATA, "no build-id");
    memcpy(ret_id, id.bytes, id.len);
    *ret_len = id.len;
    return 0;
}
