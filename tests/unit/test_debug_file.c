/* test_debug_file.c: separate debug files are found where GDB's manual says, in the right root, and
 * only if they are the right ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "cfi_elf.h"
#include "symbol/debug_file.h"
#include "temp_dir.h"

static const uint8_t right_id[] = {0xab, 1, 2, 3}, wrong_id[] = {0xab, 1, 2, 4},
                     alt_id[] = {0xcd, 5, 6};

/* A file to be made. */
struct made {
    const uint8_t *id; /* NULL: none */
    size_t id_len;
    const char *link; /* of .gnu_debuglink */
    uint32_t crc;
    const char *alt; /* of .gnu_debugaltlink, which has alt_id */
    bool has_dwarf;
    unsigned machine; /* 0: as the others */
};

#define WITH_ID(bytes) .id = (bytes), .id_len = sizeof(bytes)

static void make_bytes(const struct made *m, struct buf *to)
{
    struct buf link = {0}, alt = {0}, dwarf = {0};
    struct cfi_elf elf = {.machine = m->machine ? m->machine : EM_X86_64,
                          .build_id = m->id,
                          .build_id_len = m->id_len};
    size_t n = 0;
    if (m->link) {
        buf_append(&link, m->link, strlen(m->link) + 1);
        while (link.len % 4)
            buf_append(&link, "", 1);
        buf_append(&link, &m->crc, sizeof(m->crc));
        elf.more[n++] = (struct cfi_elf_section){".gnu_debuglink", 0, &link};
    }
    if (m->alt) {
        buf_append(&alt, m->alt, strlen(m->alt) + 1);
        buf_append(&alt, alt_id, sizeof(alt_id));
        elf.more[n++] = (struct cfi_elf_section){".gnu_debugaltlink", 0, &alt};
    }
    if (m->has_dwarf) {
        buf_puts(&dwarf, "some");
        elf.more[n++] = (struct cfi_elf_section){".debug_info", 0, &dwarf};
    }
    cfi_elf_bytes(&elf, to);
    buf_free(&link);
    buf_free(&alt);
    buf_free(&dwarf);
}

static void put(const struct temp_dir *dir, const char *path, const struct made *m)
{
    char whole[2 * PATH_MAX];
    snprintf(whole, sizeof(whole), "%s/%s", dir->path, path);
    char *slash = strrchr(whole, '/');
    *slash = 0;
    assert_int_equal(fs_mkdir_p(whole, 0755, NULL), 0);
    *slash = '/';
    struct buf bytes = {0};
    make_bytes(m, &bytes);
    int fd = open(whole, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes.data, bytes.len), 0);
    close(fd);
    buf_free(&bytes);
}

static uint32_t crc_of(const struct made *m)
{
    struct buf bytes = {0};
    make_bytes(m, &bytes);
    uint32_t crc = lzma_crc32(bytes.data, bytes.len, 0);
    buf_free(&bytes);
    return crc;
}

static int open_root(const struct temp_dir *dir, const char *path)
{
    int fd = openat(dir->fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

/* Whether `fd` is the file at `path`. */
static bool is_file(const struct temp_dir *dir, int fd, const char *path)
{
    struct stat a, b;
    return fd >= 0 && fstat(fd, &a) == 0 && fstatat(dir->fd, path, &b, 0) == 0 &&
           a.st_ino == b.st_ino;
}

/* Looks for the debug files of `path` in `root`; both below the directory. */
static struct debug_files find(const struct temp_dir *dir, const char *root, const char *path,
                               struct debug_file_stamp *stamp)
{
    char whole[PATH_MAX];
    snprintf(whole, sizeof(whole), "%s%s", root, path);
    _cleanup_close_ int fd = openat(dir->fd, whole, O_RDONLY | O_CLOEXEC);
    _cleanup_close_ int root_fd = open_root(dir, root);
    struct debug_files files;
    struct err err = {0};
    if (debug_files_find(fd, path, &root_fd, 1, stamp, &files, &err) < 0)
        fail_msg("%s", err.text);
    return files;
}

#define BUILD_ID_PATH "usr/lib/debug/.build-id/ab/010203.debug"

static void a_build_id_leads_to_the_debug_file(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id)});
    put(dir, "r/" BUILD_ID_PATH, &(struct made){WITH_ID(right_id), .has_dwarf = true});
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_true(is_file(dir, files.debug, "r/" BUILD_ID_PATH));
    assert_int_equal(files.alt, -1);
}

static void a_debuglink_is_followed_in_gdbs_order(void **state)
{
    static const char *const places[] = {"r/bin/a.debug", "r/bin/.debug/a.debug",
                                         "r/usr/lib/debug/bin/a.debug"};
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .link = "a.debug"});
    for (size_t i = ARRAY_LEN(places); i-- > 0;) {
        put(dir, places[i], &(struct made){WITH_ID(right_id), .has_dwarf = true});
        _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
        assert_true(is_file(dir, files.debug, places[i]));
    }
    put(dir, "r/" BUILD_ID_PATH, &(struct made){WITH_ID(right_id), .has_dwarf = true});
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_true(is_file(dir, files.debug, "r/" BUILD_ID_PATH));
}

static void another_build_id_or_none_is_not_taken(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .link = "a.debug"});
    put(dir, "r/" BUILD_ID_PATH, &(struct made){.has_dwarf = true});
    put(dir, "r/bin/a.debug", &(struct made){WITH_ID(wrong_id), .has_dwarf = true});
    put(dir, "r/bin/.debug/a.debug",
        &(struct made){WITH_ID(right_id), .has_dwarf = true, .machine = EM_AARCH64});
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(files.debug, -1);
}

static void without_build_ids_the_checksum_decides(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    struct made debug = {.has_dwarf = true};
    put(dir, "r/bin/a", &(struct made){.link = "a.debug", .crc = crc_of(&debug)});
    put(dir, "r/bin/a.debug", &debug);
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_true(is_file(dir, files.debug, "r/bin/a.debug"));
    assert_true(stamp.is_set);
    put(dir, "r/bin/b", &(struct made){.link = "a.debug", .crc = crc_of(&debug) + 1});
    _cleanup_(debug_files_close) struct debug_files others = find(dir, "r", "/bin/b", &stamp);
    assert_int_equal(others.debug, -1);
}

static void a_changed_file_is_summed_again(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    struct made debug = {.has_dwarf = true}, other = {WITH_ID(wrong_id), .has_dwarf = true};
    put(dir, "r/bin/a", &(struct made){.link = "a.debug", .crc = crc_of(&debug)});
    put(dir, "r/bin/a.debug", &debug);
    _cleanup_(debug_files_close) struct debug_files first = find(dir, "r", "/bin/a", &stamp);
    assert_true(first.debug >= 0);
    put(dir, "r/bin/a.debug", &other);
    _cleanup_(debug_files_close) struct debug_files second = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(second.debug, -1);
}

static void a_file_with_dwarf_needs_no_other(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .has_dwarf = true});
    put(dir, "r/" BUILD_ID_PATH, &(struct made){WITH_ID(right_id), .has_dwarf = true});
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(files.debug, -1);
}

static void a_file_is_not_its_own_debug_file(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .link = "a"});
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(files.debug, -1);
}

static void links_stay_within_their_root(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id)});
    put(dir, "r/usr/lib/debug/.build-id/ab/none", &(struct made){0});
    put(dir, "outside", &(struct made){WITH_ID(right_id), .has_dwarf = true});
    assert_int_equal(symlinkat("../../../../../../outside", dir->fd, "r/" BUILD_ID_PATH), 0);
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(files.debug, -1);
    put(dir, "r/outside", &(struct made){WITH_ID(right_id), .has_dwarf = true});
    _cleanup_(debug_files_close) struct debug_files inside = find(dir, "r", "/bin/a", &stamp);
    if (inside.debug >= 0) /* before Linux 5.6 none is found */
        assert_true(is_file(dir, inside.debug, "r/outside"));
}

static void the_next_root_is_asked_after_the_first(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id)});
    put(dir, "host/" BUILD_ID_PATH, &(struct made){WITH_ID(right_id), .has_dwarf = true});
    _cleanup_close_ int fd = openat(dir->fd, "r/bin/a", O_RDONLY | O_CLOEXEC);
    const int roots[] = {open_root(dir, "r"), open_root(dir, "host")};
    _cleanup_(debug_files_close) struct debug_files files = {-1, -1};
    assert_int_equal(debug_files_find(fd, "/bin/a", roots, 2, &stamp, &files, NULL), 0);
    assert_true(is_file(dir, files.debug, "host/" BUILD_ID_PATH));
    close(roots[0]);
    close(roots[1]);
}

static void what_dwz_moved_is_found_by_path_by_place_and_by_build_id(void **state)
{
    static const struct {
        const char *link, *at;
    } cases[] = {
        {"/opt/shared.debug", "r/opt/shared.debug"},
        {"../../../.dwz/x/shared.debug", "r/usr/lib/.dwz/x/shared.debug"},
        {"../../../../../.dwz/shared.debug", "r/usr/lib/debug/.dwz/shared.debug"},
        {"gone", "r/usr/lib/debug/.build-id/cd/0506.debug"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct temp_dir *dir;
        void *fresh = NULL;
        assert_int_equal(temp_dir_make(&fresh), 0);
        dir = fresh;
        struct debug_file_stamp stamp = {0};
        put(dir, "r/bin/a", &(struct made){WITH_ID(right_id)});
        put(dir, "r/" BUILD_ID_PATH,
            &(struct made){WITH_ID(right_id), .has_dwarf = true, .alt = cases[i].link});
        put(dir, cases[i].at, &(struct made){WITH_ID(alt_id), .has_dwarf = true});
        struct debug_files files = find(dir, "r", "/bin/a", &stamp);
        if (!is_file(dir, files.alt, cases[i].at))
            fail_msg("%s", cases[i].link);
        debug_files_close(&files);
        put(dir, cases[i].at, &(struct made){WITH_ID(wrong_id), .has_dwarf = true});
        files = find(dir, "r", "/bin/a", &stamp);
        assert_int_equal(files.alt, -1);
        debug_files_close(&files);
        assert_int_equal(temp_dir_remove(&fresh), 0);
    }
}

static void links_that_make_no_sense_lead_nowhere(void **state)
{
    struct temp_dir *dir = *state;
    static char name[PATH_MAX + 100];
    memset(name, 'n', sizeof(name) - 1);
    const char *const links[] = {"", "../a.debug", "/a.debug", name, "."};
    put(dir, "r/a.debug", &(struct made){WITH_ID(right_id), .has_dwarf = true});
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        struct debug_file_stamp stamp = {0};
        put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .link = links[i], .alt = links[i]});
        _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
        assert_int_equal(files.debug, -1);
        assert_int_equal(files.alt, -1);
    }
}

static void a_fifo_in_the_way_does_not_hold_anybody(void **state)
{
    struct temp_dir *dir = *state;
    struct debug_file_stamp stamp = {0};
    put(dir, "r/bin/a", &(struct made){WITH_ID(right_id), .link = "a.debug"});
    assert_int_equal(mkfifoat(dir->fd, "r/bin/a.debug", 0600), 0);
    _cleanup_(debug_files_close) struct debug_files files = find(dir, "r", "/bin/a", &stamp);
    assert_int_equal(files.debug, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_TEMP_DIR(a_build_id_leads_to_the_debug_file),
        IN_A_TEMP_DIR(a_debuglink_is_followed_in_gdbs_order),
        IN_A_TEMP_DIR(another_build_id_or_none_is_not_taken),
        IN_A_TEMP_DIR(without_build_ids_the_checksum_decides),
        IN_A_TEMP_DIR(a_changed_file_is_summed_again),
        IN_A_TEMP_DIR(a_file_with_dwarf_needs_no_other),
        IN_A_TEMP_DIR(a_file_is_not_its_own_debug_file),
        IN_A_TEMP_DIR(links_stay_within_their_root),
        IN_A_TEMP_DIR(the_next_root_is_asked_after_the_first),
        cmocka_unit_test(what_dwz_moved_is_found_by_path_by_place_and_by_build_id),
        IN_A_TEMP_DIR(links_that_make_no_sense_lead_nowhere),
        IN_A_TEMP_DIR(a_fifo_in_the_way_does_not_hold_anybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
