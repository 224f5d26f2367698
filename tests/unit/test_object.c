/* test_object.c: mappings of the same file are one object, and its file is found again: that one
 * and no other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/object.h"
#include "agent/record.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/elf.h"
#include "temp_dir.h"

static struct objects *objects;

static int make(void **state)
{
    return objects_new(&objects, NULL) < 0 ? -1 : temp_dir_make(state);
}

/* objects_free asserts that every reference has come back. */
static int unmake(void **state)
{
    objects_free(&objects);
    return temp_dir_remove(state);
}

static struct object *get(const struct record_mmap *mmap)
{
    struct object *o;
    assert_int_equal(objects_get(objects, mmap, &o), 0);
    return o;
}

static void put(struct object **o)
{
    object_unref(objects, o);
    assert_null(*o);
}

#define _put_ _cleanup_(put)

/* ---- what is one object */

static void mappings_of_one_file_are_one_object(void **state)
{
    static const struct {
        const char *what;
        struct record_mmap a, b;
        bool same;
    } cases[] = {
        {"device and inode",
         {.major = 8, .minor = 1, .inode = 5, .path = "/a"},
         {.major = 8, .minor = 1, .inode = 5, .path = "/other/a", .start = 4096},
         true},
        {"another inode", {.inode = 5, .path = "/a"}, {.inode = 6, .path = "/a"}, false},
        {"another device",
         {.inode = 5, .minor = 1, .path = "/a"},
         {.inode = 5, .minor = 2, .path = "/a"},
         false},
        {"another generation",
         {.inode = 5, .path = "/a"},
         {.inode = 5, .generation = 1, .path = "/a"},
         false},
        {"build-id",
         {.build_id_len = 3, .build_id = "abc", .path = "/a"},
         {.build_id_len = 3, .build_id = "abc", .path = "/b"},
         true},
        {"another build-id",
         {.build_id_len = 3, .build_id = "abc", .path = "/a"},
         {.build_id_len = 3, .build_id = "abd", .path = "/a"},
         false},
        {"a longer build-id",
         {.build_id_len = 3, .build_id = "abc", .path = "/a"},
         {.build_id_len = 4, .build_id = "abc", .path = "/a"},
         false},
        {"no file", {.path = "//anon", .start = 1}, {.path = "//anon", .start = 2}, true},
        {"other memory", {.path = "[anon:one]"}, {.path = "[anon:two]"}, false},
        {"the vdso", {.path = "[vdso]"}, {.path = "[vdso]"}, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _put_ struct object *a = get(&cases[i].a), *b = get(&cases[i].b);
        if ((a == b) != cases[i].same)
            fail_msg("%s: %s", cases[i].what, a == b ? "one object" : "two objects");
    }
}

static void a_path_says_what_kind_of_object_it_is(void **state)
{
    static const struct {
        const char *path, *expect;
        enum object_kind kind;
        uint8_t flags;
    } cases[] = {
        {"/usr/bin/true", "/usr/bin/true", OBJECT_ELF, 0},
        {"/usr/bin/true (deleted)", "/usr/bin/true", OBJECT_ELF, OBJECT_DELETED},
        {"/memfd:jit (deleted)", "/memfd:jit", OBJECT_ELF, OBJECT_DELETED},
        {"[vdso]", "[vdso]", OBJECT_VDSO, 0},
        {"//anon", "[anon]", OBJECT_ANON, 0},
        {"[heap]", "[heap]", OBJECT_ANON, 0},
        {"[stack]", "[stack]", OBJECT_ANON, 0},
        {"[anon:v8]", "[anon:v8]", OBJECT_ANON, 0},
        {"/dev/zero (deleted)", "/dev/zero", OBJECT_ANON, OBJECT_DELETED},
        {"/SYSV00000000 (deleted)", "/SYSV00000000", OBJECT_ANON, OBJECT_DELETED},
        {"", "", OBJECT_ANON, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _put_ struct object *o = get(&(struct record_mmap){.path = cases[i].path});
        assert_string_equal(o->path, cases[i].expect);
        assert_int_equal(o->kind, cases[i].kind);
        assert_int_equal(o->flags, cases[i].flags);
    }
}

static void memory_called_kernel_is_not_the_kernel(void **state)
{
    _put_ struct object *kernel = NULL;
    assert_int_equal(objects_get_kernel(objects, &kernel), 0);
    _put_ struct object *fake = get(&(struct record_mmap){.path = "[kernel]"});
    assert_int_equal(kernel->kind, OBJECT_KERNEL);
    assert_int_equal(fake->kind, OBJECT_ANON);
    _put_ struct object *again = NULL;
    assert_int_equal(objects_get_kernel(objects, &again), 0);
    assert_ptr_equal(kernel, again);
}

static void an_object_is_there_until_its_last_reference_goes(void **state)
{
    const struct record_mmap first = {.inode = 5, .path = "/first"};
    const struct record_mmap second = {.inode = 5, .path = "/second"};
    struct object *a = get(&first), *b = get(&second), *c = object_ref(a);
    assert_string_equal(b->path, "/first"); /* it is named as it was first met */
    put(&a);
    put(&b);
    _put_ struct object *d = get(&second);
    assert_ptr_equal(c, d);
    put(&c);
    put(&d);
    d = get(&second);
    assert_string_equal(d->path, "/second");
    struct object *none = NULL;
    put(&none);
}

static void *take_and_give_back(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        struct object *o = NULL, *more;
        const struct record_mmap m = {.inode = 1 + (uint64_t)i % 3, .path = "/shared"};
        if (objects_get(objects, &m, &o) < 0)
            return arg;
        more = object_ref(o);
        object_unref(objects, &o);
        object_wants_open(objects, more, (uint32_t)i, 1);
        object_close(objects, more, (uint32_t)i);
        object_unref(objects, &more);
    }
    return NULL;
}

static void threads_may_take_and_give_back_the_same_objects(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give_back, threads), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *ret;
        assert_int_equal(pthread_join(threads[i], &ret), 0);
        assert_null(ret);
    }
}

/* ---- the file */

/* A copy of this very program, mapped or not. */
struct file {
    char path[PATH_MAX + 16];
    struct stat st;
    void *at;
    struct object_place place;
};

#define MAPPED 8192

static void copy_program(const struct temp_dir *dir, const char *name)
{
    _cleanup_(buf_free) struct buf bytes = {0};
    assert_int_equal(fs_read_at(AT_FDCWD, "/proc/self/exe", 64u << 20, &bytes, NULL), 0);
    _cleanup_close_ int fd = openat(dir->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0);
    assert_int_equal(fs_write_all(fd, bytes.data, bytes.len), 0);
}

static void map_file(const struct temp_dir *dir, const char *name, struct file *ret)
{
    copy_program(dir, name);
    snprintf(ret->path, sizeof(ret->path), "%s/%s", dir->path, name);
    _cleanup_close_ int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &ret->st), 0);
    ret->at = mmap(NULL, MAPPED, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    assert_ptr_not_equal(ret->at, MAP_FAILED);
    ret->place = (struct object_place){.pid = getpid(),
                                       .ppid = getppid(),
                                       .start = (uintptr_t)ret->at,
                                       .end = (uintptr_t)ret->at + MAPPED};
}

static void unmap_file(struct file *file)
{
    munmap(file->at, MAPPED);
}

static struct object *get_file(const struct file *file, const char *path)
{
    return get(&(struct record_mmap){.major = major(file->st.st_dev),
                                     .minor = minor(file->st.st_dev),
                                     .inode = file->st.st_ino,
                                     .path = path});
}

static int open_object(struct object *o, const struct object_place *place)
{
    struct err err = {0};
    int r = object_open(objects, o, place, &err);
    assert_true(r == 0 || (r < 0 && strstr(err.text, o->path)));
    return r;
}

static void assert_open_is(struct object *o, const struct file *file)
{
    _cleanup_close_ int fd = object_dup_fd(objects, o);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_ino, file->st.st_ino);
    assert_int_equal(st.st_dev, file->st.st_dev);
}

static bool may_open_map_files(const struct file *file)
{
    char path[96];
    snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (unsigned long)file->place.start,
             (unsigned long)file->place.end);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void a_file_is_found_by_its_mapping_or_its_path(void **state)
{
    struct file file;
    map_file(*state, "lib.so", &file);
    _put_ struct object *o = get_file(&file, file.path);
    assert_int_equal(object_dup_fd(objects, o), -ENOENT);
    assert_int_equal(open_object(o, &file.place), 0);
    assert_open_is(o, &file);
    assert_int_equal(open_object(o, &file.place), 0); /* it is open */
    object_close(objects, o, 1);
    assert_int_equal(object_dup_fd(objects, o), -ENOENT);
    unmap_file(&file);
    assert_int_equal(open_object(o, &file.place), 0);
    assert_open_is(o, &file);
}

static void a_file_is_found_after_its_process_has_gone(void **state)
{
    struct file file;
    map_file(*state, "lib.so", &file);
    unmap_file(&file);
    _put_ struct object *o = get_file(&file, file.path);
    pid_t gone = fork();
    if (gone == 0)
        _exit(0);
    waitpid(gone, NULL, 0);
    file.place.pid = gone;
    file.place.ppid = gone;
    assert_int_equal(open_object(o, &file.place), 0);
    assert_open_is(o, &file);
}

static void a_deleted_file_is_found_while_it_is_mapped(void **state)
{
    struct temp_dir *dir = *state;
    struct file file;
    map_file(dir, "lib.so", &file);
    char path[PATH_MAX + 32];
    snprintf(path, sizeof(path), "%s (deleted)", file.path);
    assert_int_equal(unlinkat(dir->fd, "lib.so", 0), 0);
    _put_ struct object *o = get_file(&file, path);
    int r = open_object(o, &file.place);
    bool may = may_open_map_files(&file);
    unmap_file(&file);
    if (!may) {
        put(&o); /* skipping leaves the function at once */
        skip();  /* needs CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE */
    }
    assert_int_equal(r, 0);
    assert_open_is(o, &file);
    object_close(objects, o, 1);
    assert_int_equal(open_object(o, &file.place), -ENOENT);
}

static void a_file_that_was_replaced_is_refused(void **state)
{
    struct temp_dir *dir = *state;
    struct file file;
    map_file(dir, "lib.so", &file);
    copy_program(dir, "new");
    assert_int_equal(renameat(dir->fd, "new", dir->fd, "lib.so"), 0);
    _put_ struct object *o = get_file(&file, file.path);
    if (may_open_map_files(&file)) {
        assert_int_equal(open_object(o, &file.place), 0);
        assert_open_is(o, &file); /* the old one */
        put(&o);                  /* with the build-id, which the new one has as well */
        o = get_file(&file, file.path);
    }
    unmap_file(&file);
    assert_int_equal(open_object(o, &file.place), -ESTALE);
    assert_int_equal(object_dup_fd(objects, o), -ENOENT);
}

static void another_mapping_at_the_same_place_is_refused(void **state)
{
    struct temp_dir *dir = *state;
    struct file old, new;
    map_file(dir, "old", &old);
    map_file(dir, "new", &new);
    assert_int_equal(unlinkat(dir->fd, "old", 0), 0);
    unmap_file(&old);
    _put_ struct object *o = get_file(&old, old.path);
    assert_int_equal(open_object(o, &new.place), -ENOENT);
    unmap_file(&new);
}

static void what_is_no_regular_file_is_refused_at_once(void **state)
{
    struct temp_dir *dir = *state;
    struct file file;
    map_file(dir, "lib.so", &file);
    unmap_file(&file);
    assert_int_equal(unlinkat(dir->fd, "lib.so", 0), 0);
    assert_int_equal(mkfifoat(dir->fd, "lib.so", 0600), 0);
    struct stat st;
    assert_int_equal(fstatat(dir->fd, "lib.so", &st, 0), 0);
    file.st = st; /* even if it were that one */
    _put_ struct object *o = get_file(&file, file.path);
    alarm(20); /* opening a FIFO would wait for its writer */
    assert_int_equal(open_object(o, &file.place), -ESTALE);
    alarm(0);
}

static void a_build_id_decides_where_there_is_one(void **state)
{
    struct file file;
    map_file(*state, "lib.so", &file);
    struct record_mmap m = {.path = file.path};
    size_t len = 0;
    _cleanup_close_ int fd = open(file.path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(elf_read_build_id(fd, m.build_id, &len, NULL), 0);
    m.build_id_len = (uint8_t)len;
    _put_ struct object *right = get(&m);
    m.build_id[0] ^= 1;
    _put_ struct object *wrong = get(&m);
    assert_int_equal(open_object(right, &file.place), 0);
    assert_open_is(right, &file);
    assert_int_equal(open_object(wrong, &file.place), -ESTALE);
    unmap_file(&file);
    object_close(objects, right, 1);
    assert_int_equal(open_object(right, &file.place), 0);
    assert_int_equal(open_object(wrong, &file.place), -ESTALE);
}

static void a_files_build_id_is_known_once_it_was_open(void **state)
{
    struct file file;
    uint8_t expect[ELF_BUILD_ID_MAX], is[WIRE_MAX_BUILD_ID];
    size_t len = 0;
    map_file(*state, "lib.so", &file);
    _cleanup_close_ int fd = open(file.path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(elf_read_build_id(fd, expect, &len, NULL), 0);
    _put_ struct object *o = get_file(&file, file.path);
    assert_int_equal(object_build_id(objects, o, is), 0);
    assert_int_equal(open_object(o, &file.place), 0);
    object_close(objects, o, 1);
    assert_int_equal(object_build_id(objects, o, is), len);
    assert_memory_equal(is, expect, len);
    unmap_file(&file);
}

/* As a container's are: a process below another root. Gives its pid, and a pipe that ends it. */
static pid_t start_below(const char *root, int *ret_pipe)
{
    int up[2], down[2];
    assert_int_equal(pipe2(up, O_CLOEXEC), 0);
    assert_int_equal(pipe2(down, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(down[1]);
        char ok = chroot(root) == 0 && chdir("/") == 0, end;
        if (write(up[1], &ok, 1) == 1 && read(down[0], &end, 1) == 0)
            _exit(0);
        _exit(1);
    }
    char ok = 0;
    assert_int_equal(read(up[0], &ok, 1), 1);
    close(up[0]);
    close(up[1]);
    close(down[0]);
    *ret_pipe = down[1];
    return ok ? pid : -pid;
}

static void a_path_counts_from_the_root_of_its_process(void **state)
{
    struct temp_dir *dir = *state;
    struct file file;
    map_file(dir, "lib.so", &file);
    unmap_file(&file);
    assert_int_equal(symlinkat("/lib.so", dir->fd, "link.so"), 0);
    int pipe_end;
    pid_t pid = start_below(dir->path, &pipe_end);
    struct object_place place = {.pid = pid, .ppid = getpid(), .start = 4096, .end = 8192};
    struct object_place orphan = {.pid = INT_MAX, .ppid = pid, .start = 4096, .end = 8192};
    _put_ struct object *o = get_file(&file, "/lib.so");
    int by_path = pid < 0 ? 0 : open_object(o, &place);
    object_close(objects, o, 1);
    int by_parent = pid < 0 ? 0 : open_object(o, &orphan);
    put(&o);
    o = get_file(&file, "/link.so"); /* whose target counts from that root too */
    int by_link = pid < 0 ? 0 : open_object(o, &place);
    close(pipe_end);
    waitpid(abs(pid), NULL, 0);
    if (pid < 0) {
        put(&o);
        skip(); /* needs CAP_SYS_CHROOT */
    }
    assert_int_equal(by_path, 0);
    assert_int_equal(by_parent, 0);
    assert_int_equal(by_link, 0);
    assert_open_is(o, &file);
}

static void the_vdso_is_a_file_too(void **state)
{
    _put_ struct object *o = get(&(struct record_mmap){.path = "[vdso]"});
    struct object_place place = {.pid = getpid()};
    assert_true(object_wants_open(objects, o, 1, 5));
    assert_int_equal(open_object(o, &place), 0);
    _cleanup_close_ int fd = object_dup_fd(objects, o);
    char magic[4];
    assert_int_equal(pread(fd, magic, 4, 0), 4);
    assert_memory_equal(magic, "\177ELF", 4);
}

/* ---- when it is asked for */

static void a_file_is_wanted_once_a_window_and_process_and_not_for_ever(void **state)
{
    _put_ struct object *o = get(&(struct record_mmap){.inode = 5, .path = "/a"});
    _put_ struct object *anon = get(&(struct record_mmap){.path = "//anon"});
    assert_false(object_wants_open(objects, anon, 1, 10));
    assert_true(object_wants_open(objects, o, 1, 10));
    assert_false(object_wants_open(objects, o, 1, 10));
    int asked = 1;
    for (pid_t pid = 11; pid < 100; pid++)
        asked += object_wants_open(objects, o, 1, pid);
    assert_int_equal(asked, 4);
    assert_true(object_wants_open(objects, o, 2, 99));
}

static void a_file_stays_open_for_a_later_window(void **state)
{
    struct file file;
    map_file(*state, "lib.so", &file);
    _put_ struct object *o = get_file(&file, file.path);
    assert_true(object_wants_open(objects, o, 1, 10));
    assert_int_equal(open_object(o, &file.place), 0);
    assert_false(object_wants_open(objects, o, 2, 10)); /* it is open, and noted */
    object_close(objects, o, 1);
    assert_open_is(o, &file);
    object_close(objects, o, 2);
    assert_int_equal(object_dup_fd(objects, o), -ENOENT);
    unmap_file(&file);
}

#define WITH_OBJECTS(test) cmocka_unit_test_setup_teardown(test, make, unmake)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_OBJECTS(mappings_of_one_file_are_one_object),
        WITH_OBJECTS(a_path_says_what_kind_of_object_it_is),
        WITH_OBJECTS(memory_called_kernel_is_not_the_kernel),
        WITH_OBJECTS(an_object_is_there_until_its_last_reference_goes),
        WITH_OBJECTS(threads_may_take_and_give_back_the_same_objects),
        WITH_OBJECTS(a_file_is_found_by_its_mapping_or_its_path),
        WITH_OBJECTS(a_file_is_found_after_its_process_has_gone),
        WITH_OBJECTS(a_deleted_file_is_found_while_it_is_mapped),
        WITH_OBJECTS(a_file_that_was_replaced_is_refused),
        WITH_OBJECTS(another_mapping_at_the_same_place_is_refused),
        WITH_OBJECTS(what_is_no_regular_file_is_refused_at_once),
        WITH_OBJECTS(a_build_id_decides_where_there_is_one),
        WITH_OBJECTS(a_files_build_id_is_known_once_it_was_open),
        WITH_OBJECTS(a_path_counts_from_the_root_of_its_process),
        WITH_OBJECTS(the_vdso_is_a_file_too),
        WITH_OBJECTS(a_file_is_wanted_once_a_window_and_process_and_not_for_ever),
        WITH_OBJECTS(a_file_stays_open_for_a_later_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
