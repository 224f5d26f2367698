/* debug_file.c: takes an ELF file and root directories, gives its separate debug files. See
 * debug_file.h. */
#include "symbol/debug_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"
#include "symbol/elf_file.h"

#define DEBUG_DIR     "/usr/lib/debug"
#define DWZ_DIR       DEBUG_DIR "/.dwz"
#define LINK_MAX      (PATH_MAX + ELF_BUILD_ID_MAX) /* bytes of a link section */
#define CRC_BYTES_MAX ((off_t)256 << 20)            /* some 0.2 s; larger ones have a build-id */
#define CRC_PIECE     ((size_t)256 << 10)

struct build_id {
    uint8_t bytes[ELF_BUILD_ID_MAX];
    size_t len;
};

/* .gnu_debuglink: a name, NUL, padding to 4 bytes, a CRC-32; .gnu_debugaltlink: a name, NUL, a
 * build-id (binutils, bfd/opncls.c; dwz.c). */
struct link {
    char name[PATH_MAX];
    uint32_t crc;
    struct build_id id;
};

struct search {
    struct elf_file file;
    struct stat st;
    struct build_id id;
    char dir[PATH_MAX]; /* of the file whose links are followed */
    struct debug_file_stamp *stamp;
};

static int read_build_id(int fd, struct build_id *ret)
{
    return elf_read_build_id(fd, ret->bytes, &ret->len, NULL);
}

static bool is_same_id(const struct build_id *a, const struct build_id *b)
{
    return a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* The section's bytes, of which the first string is a sensible name. */
static int read_link(const struct elf_file *file, const char *section_name, uint8_t bytes[LINK_MAX],
                     size_t *ret_len, struct link *ret)
{
    GElf_Shdr section;
    int r = elf_file_find_section(file, section_name, &section);
    if (r < 0)
        return r;
    if (section.sh_type == SHT_NOBITS || section.sh_size > LINK_MAX)
        return -EBADMSG;
    *ret_len = (size_t)section.sh_size;
    r = elf_file_read(file, section.sh_offset, bytes, *ret_len);
    if (r < 0)
        return r;
    size_t len = strnlen((const char *)bytes, *ret_len);
    if (len == 0 || len == *ret_len || len >= sizeof(ret->name))
        return -EBADMSG;
    memcpy(ret->name, bytes, len + 1);
    return 0;
}

static int read_debuglink(const struct elf_file *file, struct link *ret)
{
    uint8_t bytes[LINK_MAX];
    size_t len = 0;
    int r = read_link(file, ".gnu_debuglink", bytes, &len, ret);
    if (r < 0)
        return r;
    size_t at = (strlen(ret->name) + 1 + 3) / 4 * 4;
    if (len < 4 || at > len - 4 || strchr(ret->name, '/'))
        return -EBADMSG;
    memcpy(&ret->crc, bytes + at, sizeof(ret->crc));
    return elf_file_translate(file, ELF_T_WORD, &ret->crc, sizeof(ret->crc));
}

static int read_altlink(const struct elf_file *file, struct link *ret)
{
    uint8_t bytes[LINK_MAX];
    size_t len = 0;
    int r = read_link(file, ".gnu_debugaltlink", bytes, &len, ret);
    if (r < 0)
        return r;
    size_t at = strlen(ret->name) + 1;
    if (at == len || len - at > ELF_BUILD_ID_MAX)
        return -EBADMSG;
    ret->id.len = len - at;
    memcpy(ret->id.bytes, bytes + at, ret->id.len);
    return 0;
}

static int compute_crc(int fd, off_t bytes, uint32_t *ret)
{
    _cleanup_free_ uint8_t *piece = malloc(CRC_PIECE);
    uint32_t crc = 0;
    if (!piece)
        return -ENOMEM;
    for (off_t at = 0; at < bytes;) {
        ssize_t n = pread(fd, piece, CRC_PIECE, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        crc = lzma_crc32(piece, (size_t)n, crc);
        at += n;
    }
    *ret = crc;
    return 0;
}

static bool has_crc(int fd, const struct stat *st, uint32_t want, struct debug_file_stamp *stamp)
{
    struct debug_file_stamp now = {
        .device = st->st_dev,
        .inode = st->st_ino,
        .bytes = st->st_size,
        .changed_ns = (int64_t)st->st_ctim.tv_sec * NS_PER_SEC + st->st_ctim.tv_nsec,
        .is_set = true,
    };
    bool is_known = stamp->is_set && stamp->device == now.device && stamp->inode == now.inode &&
                    stamp->bytes == now.bytes && stamp->changed_ns == now.changed_ns;
    if (is_known)
        return stamp->crc == want;
    if (st->st_size > CRC_BYTES_MAX || compute_crc(fd, st->st_size, &now.crc) < 0)
        return false;
    *stamp = now;
    return now.crc == want;
}

/* An ELF file of the same architecture that is not the file itself. */
static int open_candidate(const struct search *s, int root, const char *path, struct stat *ret_st)
{
    _cleanup_close_ int fd = fs_open_in_root(root, path, O_RDONLY);
    if (fd < 0)
        return fd;
    struct stat st;
    _cleanup_(elf_file_close) struct elf_file file = {0};
    if (fstat(fd, &st) < 0 || elf_file_open(fd, &file, NULL) < 0 ||
        (st.st_dev == s->st.st_dev && st.st_ino == s->st.st_ino) || file.class != s->file.class ||
        file.encoding != s->file.encoding || file.header.e_machine != s->file.header.e_machine)
        return -ENOENT;
    *ret_st = st;
    return TAKE_FD(fd);
}

/* `crc`: what the file should have, or NULL if only a build-id will do. */
static int try_path(struct search *s, int root, const char *path, const struct build_id *id,
                    const uint32_t *crc)
{
    struct stat st;
    struct build_id its = {0};
    _cleanup_close_ int fd = open_candidate(s, root, path, &st);
    if (fd < 0)
        return fd;
    bool is_right = read_build_id(fd, &its) == 0 && id->len
                        ? is_same_id(&its, id)
                        : crc && has_crc(fd, &st, *crc, s->stamp);
    return is_right ? TAKE_FD(fd) : -ENOENT;
}

/* A path of four parts, of which some are "". */
struct place {
    const char *parts[4];
};

static int try_place(struct search *s, int root, const struct place *place,
                     const struct build_id *id, const uint32_t *crc)
{
    char path[PATH_MAX] = "";
    const char *const *parts = place->parts;
    int n = snprintf(path, sizeof(path), "%s%s%s%s", parts[0], parts[1], parts[2], parts[3]);
    if (n < 0 || (size_t)n >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = try_path(s, root, path, id, crc);
    /* What that one refers to is found from where it lies. */
    char *slash = fd < 0 ? NULL : strrchr(path, '/');
    if (slash) {
        *slash = 0;
        memcpy(s->dir, path, sizeof(path));
    }
    return fd;
}

static int try_build_id(struct search *s, int root, const struct build_id *id)
{
    char name[2 * ELF_BUILD_ID_MAX + sizeof(".debug")], dir[3];
    if (id->len < 2)
        return -ENOENT;
    snprintf(dir, sizeof(dir), "%02x", id->bytes[0]);
    size_t n = 0;
    for (size_t i = 1; i < id->len; i++, n += 2)
        snprintf(name + n, 3, "%02x", id->bytes[i]);
    snprintf(name + n, sizeof(name) - n, ".debug");
    const struct place place = {{DEBUG_DIR "/.build-id/", dir, "/", name}};
    return try_place(s, root, &place, id, NULL);
}

static int find_debug(struct search *s, const int *roots, size_t root_count)
{
    struct link link;
    char dir[PATH_MAX];
    bool has_link = read_debuglink(&s->file, &link) == 0;
    memcpy(dir, s->dir, sizeof(dir));
    const struct place places[] = {{{"", dir, "/", link.name}},
                                   {{"", dir, "/.debug/", link.name}},
                                   {{DEBUG_DIR, dir, "/", link.name}}};
    for (size_t i = 0; i < root_count; i++) {
        int fd = try_build_id(s, roots[i], &s->id);
        for (size_t k = 0; k < ARRAY_LEN(places) && fd < 0 && has_link; k++)
            fd = try_place(s, roots[i], &places[k], &s->id, &link.crc);
        if (fd >= 0)
            return fd;
    }
    return -ENOENT;
}

/* A debug file that was found by a link to it (in .build-id) has its relative path from elsewhere:
 * where distributions keep such files is tried too. */
static int find_alt(struct search *s, const struct elf_file *file, const int *roots,
                    size_t root_count)
{
    struct link link;
    int r = read_altlink(file, &link);
    if (r < 0)
        return r;
    char dir[PATH_MAX];
    memcpy(dir, s->dir, sizeof(dir));
    const char *tail = strstr(link.name, "/.dwz/");
    const char *last = strrchr(link.name, '/');
    tail = tail ? tail + strlen("/.dwz/") : last ? last + 1 : link.name;
    bool is_absolute = link.name[0] == '/';
    const struct place places[] = {
        {{is_absolute ? "" : dir, is_absolute ? "" : "/", link.name, ""}},
        {{DWZ_DIR, "/", tail, ""}},
    };
    for (size_t i = 0; i < root_count; i++) {
        int fd = -ENOENT;
        for (size_t k = 0; k < ARRAY_LEN(places) && fd < 0; k++)
            fd = try_place(s, roots[i], &places[k], &link.id, NULL);
        if (fd < 0)
            fd = try_build_id(s, roots[i], &link.id);
        if (fd >= 0)
            return fd;
    }
    return -ENOENT;
}

static int find_both(struct search *s, const int *roots, size_t root_count, struct debug_files *ret,
                     struct err *err)
{
    _cleanup_(elf_file_close) struct elf_file debug = {0};
    const struct elf_file *with_dwarf = &s->file;
    if (!elf_file_has_dwarf(&s->file)) {
        ret->debug = find_debug(s, roots, root_count);
        if (ret->debug < 0) {
            ret->debug = -1;
            return 0;
        }
        int r = elf_file_open(ret->debug, &debug, err);
        if (r < 0)
            return r;
        with_dwarf = &debug;
    }
    int alt = find_alt(s, with_dwarf, roots, root_count);
    ret->alt = alt < 0 ? -1 : alt;
    return 0;
}

int debug_files_find(int fd, const char *path, const int *roots, size_t root_count,
                     struct debug_file_stamp *stamp, struct debug_files *ret, struct err *err)
{
    struct search s = {.stamp = stamp};
    const char *slash = strrchr(path, '/');
    size_t dir_len = slash ? (size_t)(slash - path) : 0;
    if (dir_len >= sizeof(s.dir))
        return err_errno(err, -ENAMETOOLONG, "looking for debug files");
    memcpy(s.dir, path, dir_len);
    if (fstat(fd, &s.st) < 0)
        return err_errno(err, -errno, "looking for debug files");
    int r = elf_file_open(fd, &s.file, err);
    if (r < 0)
        return r;
    read_build_id(fd, &s.id);
    _cleanup_(debug_files_close) struct debug_files files = {-1, -1};
    r = find_both(&s, roots, root_count, &files, err);
    elf_file_close(&s.file);
    if (r < 0)
        return r;
    *ret = files;
    files = (struct debug_files){-1, -1};
    return 0;
}

void debug_files_close(struct debug_files *files)
{
    cleanup_close(&files->debug);
    cleanup_close(&files->alt);
    *files = (struct debug_files){-1, -1};
}

static bool tells_names(const struct elf_file *file)
{
    for (size_t i = 0; i < file->section_count; i++)
        if (file->sections[i].sh_type == SHT_SYMTAB)
            return true;
    return elf_file_has_dwarf(file);
}

int debug_file_check(int fd, const uint8_t *id, size_t id_len, struct err *err)
{
    _cleanup_(elf_file_close) struct elf_file file = {0};
    uint8_t its[ELF_BUILD_ID_MAX];
    size_t its_len = 0;
    int r = elf_file_open(fd, &file, err);
    if (r < 0)
        return r;
    r = elf_read_build_id(fd, its, &its_len, err);
    if (r < 0)
        return r;
    if (its_len != id_len || memcmp(its, id, id_len) != 0)
        return err_set(err, -EBADMSG, "it has another build-id");
    return tells_names(&file) ? 0 : err_set(err, -ENODATA, "it has neither symbols nor DWARF");
}

int debug_file_read_alt_id(int fd, uint8_t ret_id[ELF_BUILD_ID_MAX], size_t *ret_len)
{
    _cleanup_(elf_file_close) struct elf_file file = {0};
    struct link link = {0};
    int r = elf_file_open(fd, &file, NULL);
    if (r == 0)
        r = read_altlink(&file, &link);
    if (r < 0)
        return r;
    memcpy(ret_id, link.id.bytes, link.id.len);
    *ret_len = link.id.len;
    return 0;
}
