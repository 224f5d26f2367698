/* test_maps.c: the lines of /proc/PID/maps, as kernels write them and as none does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/maps.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "temp_dir.h"

#define PAD "                             "

static void lines_of_real_kernels_are_read(void **state)
{
    static const struct {
        const char *text;
        struct maps_line expect;
    } cases[] = {
        {"00400000-00452000 r-xp 00001000 08:02 173521" PAD "/usr/bin/dbus-daemon",
         {0x400000, 0x452000, 0x1000, 173521, 8, 2, true, "/usr/bin/dbus-daemon"}},
        {"00e03000-00e24000 rw-p 00000000 00:00 0" PAD "[heap]",
         {0xe03000, 0xe24000, 0, 0, 0, 0, false, "[heap]"}},
        {"7fff3ac1c000-7fff3ac1e000 r-xp 00000000 00:00 0" PAD "[vdso]",
         {0x7fff3ac1c000, 0x7fff3ac1e000, 0, 0, 0, 0, true, "[vdso]"}},
        {"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0" PAD "[vsyscall]",
         {0xffffffffff600000, 0xffffffffff601000, 0, 0, 0, 0, true, "[vsyscall]"}},
        {"7f1000000000-7f1000001000 rwxp 00000000 00:00 0 ",
         {0x7f1000000000, 0x7f1000001000, 0, 0, 0, 0, true, ""}},
        {"7f1000000000-7f1000001000 rwxp 00000000 00:00 0",
         {0x7f1000000000, 0x7f1000001000, 0, 0, 0, 0, true, ""}},
        {"1000-2000 r-xp 0000a000 fd:01 42 /a path/with  blanks/x (deleted)",
         {0x1000, 0x2000, 0xa000, 42, 0xfd, 1, true, "/a path/with  blanks/x (deleted)"}},
        {"1000-2000 r-xp 00000000 08:01 42 /one\\012two\\012", /* a newline in the name */
         {0x1000, 0x2000, 0, 42, 8, 1, true, "/one\ntwo\n"}},
        {"1000-2000 r-xp 00000000 08:01 42 /a\\01 \\0123\\n\\",
         {0x1000, 0x2000, 0, 42, 8, 1, true, "/a\\01 \n3\\n\\"}},
        {"1000-2000 r-xs 00000000 00:05 1024 /memfd:jit cache (deleted)",
         {0x1000, 0x2000, 0, 1024, 0, 5, true, "/memfd:jit cache (deleted)"}},
        {"1000-2000 r-xp 00000000 00:2f 18446744073709551615 /btrfs",
         {0x1000, 0x2000, 0, UINT64_MAX, 0, 0x2f, true, "/btrfs"}},
        {"1000-2000 r-xp 7fffffff000 103:00005 9 /nvme",
         {0x1000, 0x2000, 0x7fffffff000, 9, 0x103, 5, true, "/nvme"}},
        {"0-1000 --xp 00000000 08:01 1 /zero", {0, 0x1000, 0, 1, 8, 1, true, "/zero"}},
        {"1000-2000 r--p 00000000 08:01 1 /data", {0x1000, 0x2000, 0, 1, 8, 1, false, "/data"}},
        {"1000-2000 r-xp 00000000 08:01 1 /\xff\xfe",
         {0x1000, 0x2000, 0, 1, 8, 1, true, "/\xff\xfe"}},
        {"1000-2000 rwxp 00000000 00:00 0 [anon:jit code]",
         {0x1000, 0x2000, 0, 0, 0, 0, true, "[anon:jit code]"}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        for (int newline = 0; newline < 2; newline++) {
            char text[256];
            int len = snprintf(text, sizeof(text), "%s%s", cases[i].text, newline ? "\n" : "");
            struct maps_parser parser;
            struct maps_line line;
            maps_init(&parser, text, (size_t)len);
            if (maps_next(&parser, &line) != 1)
                fail_msg("refused: %s", text);
            const struct maps_line *e = &cases[i].expect;
            if (line.start != e->start || line.end != e->end ||
                line.file_offset != e->file_offset || line.inode != e->inode ||
                line.major != e->major || line.minor != e->minor ||
                line.executable != e->executable || strcmp(line.path, e->path) != 0)
                fail_msg("read wrong: %s", text);
            assert_int_equal(maps_next(&parser, &line), 0);
        }
    }
}

static void what_is_no_line_is_refused_and_the_next_one_read(void **state)
{
    static const char *const cases[] = {
        "",
        "x",
        "1000",
        "1000-",
        "1000-2000",
        "1000-2000 ",
        "1000-2000 r-xp",
        "1000-2000 r-xp 0",
        "1000-2000 r-xp 0 08",
        "1000-2000 r-xp 0 08:01",
        "1000-2000 r-xp 0 08:01 ",
        "1000-2000 r-xp 0 08:01 x",
        "1000-2000 r-xp 0 08:01 /path",
        "2000-1000 r-xp 0 08:01 1 /backwards",
        "1000-1000 r-xp 0 08:01 1 /empty",
        "1000 2000 r-xp 0 08:01 1 /x",
        "-1000-2000 r-xp 0 08:01 1 /x",
        "1000-2000 r-xp- 0 08:01 1 /x",
        "1000-2000 r-x 0 08:01 1 /x",
        "0x1000-0x2000 r-xp 0 08:01 1 /x",
        "1000-2000 r-xp 0 100000000:01 1 /x",
        "1000-2000 r-xp 0 08:100000000 1 /x",
        "10000000000000000-10000000000001000 r-xp 0 08:01 1 /x",
        "1000-2000 r-xp 10000000000000000 08:01 1 /x",
        "1000-2000 r-xp 0 08:01 18446744073709551616 /x",
        "1000-2000 r-xp 0 08:01 99999999999999999999",
        "1000-2000 R-XP 0 08:01 ABC /x",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        int len = snprintf(text, sizeof(text), "%s\n1000-2000 r-xp 0 08:01 1 /good\n", cases[i]);
        struct maps_parser parser;
        struct maps_line line;
        maps_init(&parser, text, (size_t)len);
        if (maps_next(&parser, &line) != -EBADMSG)
            fail_msg("not refused: %s", cases[i]);
        assert_int_equal(maps_next(&parser, &line), 1);
        assert_string_equal(line.path, "/good");
        assert_int_equal(maps_next(&parser, &line), 0);
    }
}

static void a_nul_in_a_path_is_refused(void **state)
{
    static const char text[] = "1000-2000 r-xp 0 08:01 1 /a\0b\n";
    struct maps_parser parser;
    struct maps_line line;
    maps_init(&parser, text, sizeof(text) - 1);
    assert_int_equal(maps_next(&parser, &line), -EBADMSG);
    assert_int_equal(maps_next(&parser, &line), 0);
}

static void a_path_as_long_as_may_be_is_kept_and_a_longer_one_refused(void **state)
{
    static char text[PATH_MAX + 100];
    for (int over = 0; over < 2; over++) {
        int n = snprintf(text, sizeof(text), "1000-2000 r-xp 00000000 08:01 1 ");
        memset(text + n, 'p', PATH_MAX);
        struct maps_parser parser;
        struct maps_line line;
        maps_init(&parser, text, (size_t)n + PATH_MAX - 1 + (size_t)over);
        assert_int_equal(maps_next(&parser, &line), over ? -EBADMSG : 1);
        if (!over)
            assert_int_equal(strlen(line.path), PATH_MAX - 1);
    }
}

/* Maps a file of an odd name and finds it again in what the kernel writes. */
static void this_kernels_own_text_is_read(void **state)
{
    struct temp_dir *dir = *state;
    static const char name[] = "odd \n name\\012 (deleted)";
    _cleanup_close_ int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, 8192), 0);
    void *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 4096);
    assert_ptr_not_equal(at, MAP_FAILED);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    _cleanup_(buf_free) struct buf text = {0};
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/maps", 32u << 20, &text, NULL), 0);
    struct maps_parser parser;
    struct maps_line line;
    maps_init(&parser, text.data, text.len);
    size_t found = 0;
    int r;
    while ((r = maps_next(&parser, &line)) != 0) {
        assert_int_equal(r, 1);
        if (line.start > (uintptr_t)at || line.end <= (uintptr_t)at)
            continue;
        found++;
        assert_int_equal(line.file_offset, 4096);
        assert_int_equal(line.inode, st.st_ino);
        assert_false(line.executable);
        /* A backslash is not escaped: what reads as \012 may have been either. */
        assert_non_null(strstr(line.path, "/odd \n name"));
    }
    assert_int_equal(found, 1);
    munmap(at, 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_real_kernels_are_read),
        cmocka_unit_test(what_is_no_line_is_refused_and_the_next_one_read),
        cmocka_unit_test(a_nul_in_a_path_is_refused),
        cmocka_unit_test(a_path_as_long_as_may_be_is_kept_and_a_longer_one_refused),
        IN_A_TEMP_DIR(this_kernels_own_text_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
