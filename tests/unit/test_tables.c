/* test_tables.c: objects' unwind tables are built once, kept on disk, read back by the next start,
 * and held within bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <dwarf.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/counters.h"
#include "agent/object.h"
#include "agent/record.h"
#include "agent/tables.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fs.h"
#include "cfi_elf.h"
#include "temp_dir.h"
#include "unwind/table.h"

#define MAPPED  4096
#define FILES   8
#define PATIENT (60 * NS_PER_SEC)

#if defined(__x86_64__)
enum { HERE = EM_X86_64, ELSEWHERE = EM_AARCH64 };
#else
enum { HERE = EM_AARCH64, ELSEWHERE = EM_X86_64 };
#endif

/* A file with CFI, mapped by this process. */
struct file {
    struct object *object;
    struct object_place place;
    void *at;
};

static struct objects *objects;
static struct counters counters;
static struct tables *tables;
static struct file files[FILES];
static unsigned file_count;
static char kept[PATH_MAX + 16];

static int make(void **state)
{
    memset(&counters, 0, sizeof(counters));
    file_count = 0;
    if (objects_new(&objects, NULL) < 0 || temp_dir_make(state) < 0)
        return -1;
    snprintf(kept, sizeof(kept), "%s/tables", ((struct temp_dir *)*state)->path);
    return 0;
}

/* objects_free asserts that every reference has come back. */
static int unmake(void **state)
{
    tables_stop(&tables);
    for (unsigned i = 0; i < file_count; i++) {
        object_unref(objects, &files[i].object);
        munmap(files[i].at, MAPPED);
    }
    objects_free(&objects);
    return temp_dir_remove(state);
}

static void start(const char *dir, size_t max_bytes, size_t disk_bytes)
{
    struct tables_config config = {.dir = dir, .max_bytes = max_bytes, .disk_bytes = disk_bytes};
    assert_int_equal(tables_start(&config, objects, &counters, &tables, NULL), 0);
}

/* Of so many functions, no two alike. */
static void file_bytes(unsigned machine, unsigned functions, const char *build_id, struct buf *to)
{
    static const uint8_t initial[] = {DW_CFA_def_cfa,     7, 8, DW_CFA_offset | 16, 1,
                                      DW_CFA_offset | 30, 1};
    _cleanup_(buf_free) struct buf section = {0};
    size_t cie = cfi_add_cie(&section, machine, "zR", initial, sizeof(initial));
    for (unsigned i = 0; i < functions; i++) {
        uint8_t program[] = {DW_CFA_def_cfa_offset, (uint8_t)(i % 100 + 8)};
        cfi_add_fde(&section, cie, CFI_ELF_ADDRESS + i * 16, 16, program, sizeof(program));
    }
    cfi_elf_bytes(&(struct cfi_elf){.machine = machine,
                                    .code_bytes = functions * 16,
                                    .section = &section,
                                    .build_id = build_id,
                                    .build_id_len = build_id ? strlen(build_id) : 0},
                  to);
}

static struct file *map_bytes(void **state, const struct buf *bytes, const char *build_id)
{
    struct temp_dir *dir = *state;
    struct file *f = &files[file_count];
    char name[32], path[PATH_MAX + 40];
    snprintf(name, sizeof(name), "file%u", file_count++);
    snprintf(path, sizeof(path), "%s/%s", dir->path, name);
    _cleanup_close_ int fd = openat(dir->fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes->data, bytes->len), 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    f->at = mmap(NULL, MAPPED, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(f->at, MAP_FAILED);
    f->place = (struct object_place){.pid = getpid(),
                                     .ppid = getppid(),
                                     .start = (uintptr_t)f->at,
                                     .end = (uintptr_t)f->at + MAPPED};
    struct record_mmap mmap = {.major = major(st.st_dev),
                               .minor = minor(st.st_dev),
                               .inode = st.st_ino,
                               .start = f->place.start,
                               .path = path};
    if (build_id) {
        mmap.build_id_len = (uint8_t)strlen(build_id);
        memcpy(mmap.build_id, build_id, mmap.build_id_len);
    }
    assert_int_equal(objects_get(objects, &mmap, &f->object), 0);
    return f;
}

static struct file *map_file(void **state, unsigned functions, const char *build_id)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    file_bytes(HERE, functions, build_id, &bytes);
    return map_bytes(state, &bytes, build_id);
}

static const struct unwind_table *find(const struct file *f, bool expect_pending)
{
    bool pending = !expect_pending;
    const struct unwind_table *t = tables_find(tables, f->object, &f->place, &pending);
    assert_int_equal(pending, expect_pending);
    assert_true(!t || !pending);
    return t;
}

/* Asked for, waited for, there or not. */
static const struct unwind_table *get(const struct file *f)
{
    find(f, true);
    tables_wait(tables, PATIENT);
    assert_true(tables_turn(tables));
    return find(f, false);
}

static void expect_counts(uint64_t built, uint64_t loaded, uint64_t dropped)
{
    assert_int_equal(counters.tables_built, built);
    assert_int_equal(counters.tables_loaded, loaded);
    assert_int_equal(counters.tables_dropped, dropped);
}

static void a_table_is_pending_until_it_is_built_once(void **state)
{
    start(NULL, 1 << 20, 0);
    struct file *f = map_file(state, 50, NULL);
    assert_null(find(f, true));
    assert_null(find(f, true)); /* asked for twice, built once */
    tables_wait(tables, PATIENT);
    assert_null(find(f, true)); /* it comes with a turn */
    assert_true(tables_turn(tables));
    const struct unwind_table *t = find(f, false);
    assert_non_null(t);
    assert_int_equal(unwind_table_find(t, CFI_ELF_OFFSET + 16)->cfa_off, 9);
    assert_false(tables_turn(tables));
    assert_ptr_equal(find(f, false), t);
    assert_true(tables_bytes(tables) > 50 * 6);
    expect_counts(1, 0, 0);
}

static void the_next_start_reads_it_from_disk(void **state)
{
    start(kept, 1 << 20, 1 << 20);
    struct file *f = map_file(state, 50, "one");
    assert_non_null(get(f));
    expect_counts(1, 0, 0);
    tables_stop(&tables);
    start(kept, 1 << 20, 1 << 20);
    const struct unwind_table *t = get(f);
    assert_non_null(t);
    assert_int_equal(unwind_table_find(t, CFI_ELF_OFFSET + 16)->cfa_off, 9);
    expect_counts(1, 1, 0);
}

static void a_file_without_build_id_is_kept_too(void **state)
{
    start(kept, 1 << 20, 1 << 20);
    struct file *f = map_file(state, 50, NULL);
    assert_non_null(get(f));
    tables_stop(&tables);
    start(kept, 1 << 20, 1 << 20);
    assert_non_null(get(f));
    expect_counts(1, 1, 0);
}

/* Anyone may write a libc's build-id into a program of their own. */
static void a_forged_build_id_brings_no_other_files_table(void **state)
{
    start(kept, 1 << 20, 1 << 20);
    assert_non_null(get(map_file(state, 40, "one")));
    tables_stop(&tables);
    object_unref(objects, &files[0].object); /* it is one object as long as both are there */
    start(kept, 1 << 20, 1 << 20);
    const struct unwind_table *t = get(map_file(state, 50, "one"));
    assert_non_null(t);
    struct unwind_table_info info;
    unwind_table_describe(t, &info);
    assert_int_equal(info.fdes, 50);
    expect_counts(2, 0, 0);
}

/* Calls fn with each table's file. */
static unsigned each_kept(void (*fn)(int dir, const char *name, void *ctx), void *ctx)
{
    static const char suffix[] = ".table";
    unsigned count = 0;
    _cleanup_closedir_ DIR *dir = opendir(kept);
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));) {
        size_t len = strlen(d->d_name);
        if (len < sizeof(suffix) || strcmp(d->d_name + len - sizeof(suffix) + 1, suffix) != 0)
            continue;
        fn(dirfd(dir), d->d_name, ctx);
        count++;
    }
    return count;
}

static void damage(int dir, const char *name, void *ctx)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
    struct stat st;
    uint8_t byte;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(pread(fd, &byte, 1, st.st_size - 1), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, st.st_size - 1), 1);
}

static void cut(int dir, const char *name, void *ctx)
{
    _cleanup_close_ int fd = openat(dir, name, O_RDWR | O_CLOEXEC);
    assert_int_equal(ftruncate(fd, 10), 0);
}

static void a_damaged_file_is_built_anew_and_kept_again(void **state)
{
    void (*const ways[])(int, const char *, void *) = {damage, cut};
    struct file *f = map_file(state, 50, "one");
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        memset(&counters, 0, sizeof(counters));
        start(kept, 1 << 20, 1 << 20);
        assert_non_null(get(f));
        tables_stop(&tables);
        assert_int_equal(each_kept(ways[i], NULL), 1);
        start(kept, 1 << 20, 1 << 20);
        uint64_t built = counters.tables_built;
        assert_non_null(get(f));
        assert_int_equal(counters.tables_built, built + 1);
        tables_stop(&tables);
        start(kept, 1 << 20, 1 << 20);
        uint64_t loaded = counters.tables_loaded;
        assert_non_null(get(f));
        assert_int_equal(counters.tables_loaded, loaded + 1);
        tables_stop(&tables);
    }
}

static void add_size(int dir, const char *name, void *ctx)
{
    struct stat st;
    assert_int_equal(fstatat(dir, name, &st, 0), 0);
    *(size_t *)ctx += (size_t)st.st_size;
}

static void the_directory_stays_within_its_bytes(void **state)
{
    static const char *const ids[FILES] = {"a1", "b2", "c3", "d4", "e5", "f6", "g7", "h8"};
    const size_t most = 9000;
    start(kept, 1 << 20, most);
    for (unsigned i = 0; i < FILES; i++) {
        assert_non_null(get(map_file(state, 300 + i, ids[i]))); /* some 4 KiB each */
        size_t bytes = 0;
        unsigned count = each_kept(add_size, &bytes);
        assert_true(bytes <= most && count <= 2 && count >= 1);
    }
    expect_counts(FILES, 0, 0);
    /* The last ones are there, the first are not. */
    tables_stop(&tables);
    start(kept, 1 << 20, most);
    assert_non_null(get(&files[FILES - 1]));
    expect_counts(FILES, 1, 0);
    assert_non_null(get(&files[0]));
    expect_counts(FILES + 1, 1, 0);
}

static void memory_stays_within_its_bytes_and_the_longest_unused_goes(void **state)
{
    start(NULL, 10000, 0);
    for (unsigned i = 0; i < 5; i++) {
        struct file *f = map_file(state, 300, NULL);
        find(f, true);
        if (i)
            find(&files[0], false); /* always in use */
        tables_wait(tables, PATIENT);
        tables_turn(tables);
        assert_true(tables_bytes(tables) <= 10000);
    }
    assert_true(counters.tables_dropped >= 2);
    assert_non_null(find(&files[0], false));
    uint64_t built = counters.tables_built;
    assert_null(find(&files[1], true)); /* dropped: it is asked for again */
    tables_wait(tables, PATIENT);
    tables_turn(tables);
    assert_int_equal(counters.tables_built, built + 1);
}

static void a_table_larger_than_all_memory_allowed_is_dropped_at_once(void **state)
{
    start(NULL, 1000, 0);
    struct file *f = map_file(state, 500, NULL);
    find(f, true);
    tables_wait(tables, PATIENT);
    tables_turn(tables);
    assert_int_equal(tables_bytes(tables), 0);
    expect_counts(1, 0, 1);
}

static void what_has_no_table_is_not_asked_for_again_at_once(void **state)
{
    start(NULL, 1 << 20, 0);
    struct buf text = {.data = (uint8_t *)"#!/bin/sh\n", .len = 10};
    _cleanup_(buf_free) struct buf other = {0};
    file_bytes(ELSEWHERE, 10, NULL, &other);
    struct file *f[] = {map_bytes(state, &text, NULL), map_bytes(state, &other, NULL)};
    for (size_t i = 0; i < ARRAY_LEN(f); i++) {
        assert_null(get(f[i]));
        assert_null(find(f[i], false));
    }
    tables_wait(tables, PATIENT);
    assert_false(tables_turn(tables));
    expect_counts(0, 0, 0);
}

static void another_machines_table_on_disk_is_not_taken(void **state)
{
    _cleanup_(buf_free) struct buf other = {0};
    file_bytes(ELSEWHERE, 10, "one", &other);
    start(kept, 1 << 20, 1 << 20);
    assert_null(get(map_bytes(state, &other, "one")));
    expect_counts(0, 0, 0);
}

static void stopping_gives_back_what_waits(void **state)
{
    start(NULL, 1 << 20, 0);
    for (unsigned i = 0; i < FILES; i++)
        find(map_file(state, 300, NULL), true);
    tables_stop(&tables);
    assert_null(tables);
    /* unmake: every object's reference has come back. */
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_table_is_pending_until_it_is_built_once),
        TEST(the_next_start_reads_it_from_disk),
        TEST(a_file_without_build_id_is_kept_too),
        TEST(a_forged_build_id_brings_no_other_files_table),
        TEST(a_damaged_file_is_built_anew_and_kept_again),
        TEST(the_directory_stays_within_its_bytes),
        TEST(memory_stays_within_its_bytes_and_the_longest_unused_goes),
        TEST(a_table_larger_than_all_memory_allowed_is_dropped_at_once),
        TEST(what_has_no_table_is_not_asked_for_again_at_once),
        TEST(another_machines_table_on_disk_is_not_taken),
        TEST(stopping_gives_back_what_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
