/* test_symbols.c: addresses in this program get their functions out of its debug file, as the
 * server names what a node could not. This program is the worker too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "inlined_code.h"
#include "memory_store.h"
#include "server/debug_dirs.h"
#include "server/flame.h"
#include "server/folded.h"
#include "server/query.h"
#include "server/stream.h"
#include "server/symbols.h"
#include "symbol/elf.h"
#include "symbol/symbol.h"
#include "symbol/worker.h"
#include "temp_dir.h"
#include "wire/format.h"

#define WITHIN_NS (20 * NS_PER_SEC) /* under sanitizers, on a busy machine */

struct kit {
    struct temp_dir *temp;
    const char *dir;
    struct debug_dirs *dirs;
    struct symbols *symbols;
    uint8_t id[ELF_BUILD_ID_MAX];
    size_t id_len;
    char hex[2 * ELF_BUILD_ID_MAX + 1];
    struct inlined_place places[INLINED_PLACES];
    size_t place_count;
};

static void start(struct kit *kit, const char *worker)
{
    struct err err = {0};
    struct symbols_config config = {
        .dirs = kit->dirs, .worker = worker, .max_bytes = 1 << 20, .within_ns = WITHIN_NS};
    symbols_free(&kit->symbols);
    if (symbols_new(&config, &kit->symbols, &err) < 0)
        fail_msg("%s", err.text);
}

static int set_up(void **state)
{
    struct kit *kit = calloc(1, sizeof(*kit));
    _cleanup_close_ int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_non_null(kit);
    void *temp = NULL;
    assert_int_equal(temp_dir_make(&temp), 0);
    kit->temp = temp;
    kit->dir = kit->temp->path;
    assert_int_equal(debug_dirs_new(kit->dir, &kit->dirs, NULL), 0);
    assert_int_equal(elf_read_build_id(self, kit->id, &kit->id_len, NULL), 0);
    for (size_t i = 0; i < kit->id_len; i++)
        snprintf(kit->hex + 2 * i, 3, "%02x", kit->id[i]);
    kit->place_count = inlined_code_places(kit->places);
    start(kit, "/proc/self/exe");
    *state = kit;
    return 0;
}

static int tear_down(void **state)
{
    struct kit *kit = *state;
    symbols_free(&kit->symbols);
    debug_dirs_free(&kit->dirs);
    void *temp = kit->temp;
    free(kit);
    return temp_dir_remove(&temp);
}

/* Where GDB and debuginfod's clients look. */
static void place_of(const struct kit *kit, bool split, char ret[PATH_MAX])
{
    if (split)
        snprintf(ret, PATH_MAX, "%s/.build-id/%.2s/%s.debug", kit->dir, kit->hex, kit->hex + 2);
    else
        snprintf(ret, PATH_MAX, "%s/%s/debuginfo", kit->dir, kit->hex);
    char parent[PATH_MAX];
    snprintf(parent, sizeof(parent), "%s", ret);
    *strrchr(parent, '/') = 0;
    assert_int_equal(fs_mkdir_p(parent, 0755, NULL), 0);
}

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
    char command[3 * PATH_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0) /* NOLINT(cert-env33-c): the test's own words */
        fail_msg("%s", command);
}

static void put_debug_file(const struct kit *kit)
{
    char path[PATH_MAX];
    place_of(kit, true, path);
    run("objcopy --only-keep-debug /proc/%d/exe %s", (int)getpid(), path);
}

static struct store_frame frame_at(const struct kit *kit, uint64_t address)
{
    struct store_frame f = {.id = address,
                            .name = "",
                            .object = "/usr/bin/test",
                            .file = "",
                            .address = address,
                            .kind = FRAME_USER,
                            .object_kind = OBJECT_ELF,
                            .build_id_len = (uint8_t)kit->id_len};
    memcpy(f.build_id, kit->id, kit->id_len);
    return f;
}

/* The folded line of a stack, without the count. */
static char *fold(struct kit *kit, const struct store_frame *frames, size_t count)
{
    const struct memory_sample sample = {.frames = frames, .frame_count = count, .samples = 1};
    struct memory_store store = memory_store(&sample, 1);
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(flame_free) struct flame *flame = NULL;
    _cleanup_(stream_free) struct stream *stream = NULL;
    _cleanup_(buf_free) struct buf all = {0}, piece = {0};
    struct err err = {0};
    assert_int_equal(query_parse("format=folded&group=", QUERY_FLAME, 1795363500000, &query, &err),
                     0);
    if (flame_query(&store.store, kit->symbols, &query, &flame, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(folded_open(&flame, false, &stream), 0);
    for (int more = 1; more;) {
        piece.len = 0;
        more = stream->next(stream, &piece);
        assert_true(more >= 0);
        assert_int_equal(buf_append(&all, piece.data, piece.len), 0);
    }
    assert_int_equal(buf_append(&all, "", 1), 0);
    char *blank = strrchr((char *)all.data, ' ');
    assert_non_null(blank);
    *blank = 0;
    return (char *)TAKE_PTR(all.data);
}

static void assert_folded(struct kit *kit, const struct store_frame *frames, size_t count,
                          const char *want)
{
    _cleanup_free_ char *got = fold(kit, frames, count);
    assert_string_equal(got, want);
}

static void assert_one(struct kit *kit, struct store_frame frame, const char *want)
{
    assert_folded(kit, &frame, 1, want);
}

static struct symbols_counts counts_of(struct kit *kit)
{
    struct symbols_counts counts;
    symbols_read_counts(kit->symbols, &counts);
    return counts;
}

/* The place where three functions are. */
static const struct inlined_place *innermost(struct kit *kit)
{
    for (size_t i = 0; i < kit->place_count; i++)
        if (kit->places[i].functions[2])
            return &kit->places[i];
    skip();
    return NULL;
}

#define ALL_THREE "pf_outer;pf_middle_[i];pf_inner_[i]"

static const char *as_offset(uint64_t address)
{
    static char text[64];
    snprintf(text, sizeof(text), "test+0x%llx", (unsigned long long)address);
    return text;
}

static void an_unnamed_frame_becomes_its_functions_once_its_debug_file_is_there(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    struct store_frame frame = frame_at(kit, place->address);
    assert_one(kit, frame, as_offset(place->address));
    put_debug_file(kit);
    assert_one(kit, frame, as_offset(place->address)); /* not looked for again so soon */
    symbols_look_again(kit->symbols);
    assert_one(kit, frame, ALL_THREE);
    assert_int_equal(counts_of(kit).symbols_asked, 1);
    assert_one(kit, frame, ALL_THREE);
    assert_int_equal(counts_of(kit).symbols_asked, 1);
    assert_int_equal(counts_of(kit).symbols_named, 1);
    assert_int_equal(counts_of(kit).symbol_workers_started, 1);
}

static void a_program_that_is_not_stripped_serves_too(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    char path[PATH_MAX];
    place_of(kit, false, path);
    run("cp /proc/%d/exe %s", (int)getpid(), path);
    assert_one(kit, frame_at(kit, place->address), ALL_THREE);
}

static void without_dwarf_the_symbol_table_names(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    char path[PATH_MAX];
    place_of(kit, false, path);
    run("objcopy --strip-debug /proc/%d/exe %s", (int)getpid(), path);
    assert_one(kit, frame_at(kit, place->address), "pf_outer");
    assert_int_equal(counts_of(kit).symbol_workers_started, 0);
}

static void a_worker_that_fails_costs_only_what_is_inlined(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    put_debug_file(kit);
    start(kit, "/bin/false");
    assert_one(kit, frame_at(kit, place->address), "pf_outer");
    assert_int_equal(counts_of(kit).symbol_workers_failed, 1);
    assert_int_equal(counts_of(kit).symbols_put_off, 1);
}

static void files_of_another_build_id_and_such_as_are_none_are_refused(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    struct store_frame frame = frame_at(kit, place->address);
    char path[PATH_MAX];
    static const char *const commands[] = {
        "cp /bin/true",
        "head -c 100000 /dev/urandom >",
        "head -c 3000 /proc/self/exe >",
        "mkfifo",
    };
    place_of(kit, false, path);
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        unlink(path);
        run("%s %s", commands[i], path);
        symbols_look_again(kit->symbols);
        assert_one(kit, frame, as_offset(place->address));
        assert_int_equal(counts_of(kit).debug_files_refused, i + 1);
    }
    /* One that is no good hides no other. */
    put_debug_file(kit);
    symbols_look_again(kit->symbols);
    assert_one(kit, frame, ALL_THREE);
}

static void a_file_that_is_replaced_or_removed_is_asked_anew(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    struct store_frame frame = frame_at(kit, place->address);
    char path[PATH_MAX];
    place_of(kit, false, path);
    run("objcopy --strip-debug /proc/%d/exe %s", (int)getpid(), path);
    assert_one(kit, frame, "pf_outer");
    run("cp /proc/%d/exe %s.new && mv %s.new %s", (int)getpid(), path, path, path);
    symbols_look_again(kit->symbols);
    assert_one(kit, frame, ALL_THREE);
    unlink(path);
    symbols_look_again(kit->symbols);
    assert_one(kit, frame, as_offset(place->address));
}

static void only_what_debug_files_may_tell_more_of_is_asked(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    put_debug_file(kit);
    struct store_frame frame = frame_at(kit, place->address);
    frame.name = "a_name";
    assert_one(kit, frame, "a_name"); /* its address is the symbol's start */
    frame.object_flags = OBJECT_EXACT;
    frame.file = "a.c";
    assert_one(kit, frame, "a_name");
    assert_int_equal(counts_of(kit).symbols_asked, 0);
    frame.file = "";
    assert_one(kit, frame, ALL_THREE);

    struct store_frame other = frame_at(kit, place->address);
    other.object_flags = OBJECT_FILE_OFFSETS;
    assert_one(kit, other, as_offset(place->address));
    other.object_flags = 0;
    other.kind = FRAME_JIT;
    assert_false(symbols_may_tell(&other));
    other.kind = FRAME_USER;
    other.build_id_len = 0;
    assert_false(symbols_may_tell(&other));
}

static void what_the_node_knew_of_inlined_functions_stays(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    put_debug_file(kit);
    struct store_frame frames[] = {frame_at(kit, place->address), frame_at(kit, place->address)};
    frames[0].name = "outer";
    frames[0].object_flags = OBJECT_EXACT;
    frames[1].id++;
    frames[1].name = "inner";
    frames[1].kind = FRAME_INLINED;
    assert_folded(kit, frames, 2, "outer;inner_[i]");
    assert_folded(kit, frames, 1, ALL_THREE);
}

/* Where one ends and another goes on, the same frame is as it is in the one and several in the
 * other. */
static void stacks_that_begin_alike_are_told_apart(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    put_debug_file(kit);
    struct store_frame frames[] = {frame_at(kit, place->address), frame_at(kit, place->address)};
    frames[1].id++;
    frames[1].name = "inner";
    frames[1].kind = FRAME_INLINED;
    const struct memory_sample samples[] = {
        {.frames = frames, .frame_count = 2, .samples = 4},
        {.frames = frames, .frame_count = 1, .samples = 2},
        {.frames = frames, .frame_count = 2, .samples = 1},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(flame_free) struct flame *flame = NULL;
    assert_int_equal(query_parse("group=", QUERY_FLAME, 1795363500000, &query, NULL), 0);
    assert_int_equal(flame_query(&store.store, kit->symbols, &query, &flame, NULL), 0);
    struct {
        const char *name;
        uint64_t self, total;
    } want[] = {{"pf_inner", 2, 2}, {"inner", 5, 5}, {"all", 0, 7}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        for (uint32_t n = 0; n < flame->node_count; n++) {
            if (strcmp(flame->names.texts[flame->nodes[n].name], want[i].name) != 0)
                continue;
            assert_int_equal(flame->nodes[n].self, want[i].self);
            assert_int_equal(flame->nodes[n].total, want[i].total);
            want[i].name = "";
        }
        assert_string_equal(want[i].name, "");
    }
}

static void the_deepest_stack_of_inlined_functions_is_within_bounds(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    put_debug_file(kit);
    struct store_frame *frames = calloc(WIRE_MAX_DEPTH, sizeof(*frames));
    assert_non_null(frames);
    for (size_t i = 0; i < WIRE_MAX_DEPTH; i++)
        frames[i] = frame_at(kit, place->address);
    _cleanup_free_ char *line = fold(kit, frames, WIRE_MAX_DEPTH);
    size_t depth = 1;
    for (const char *at = line; (at = strchr(at, ';')); at++)
        depth++;
    assert_int_equal(depth, 2 * WIRE_MAX_DEPTH);
    assert_int_equal(strncmp(line, ALL_THREE ";" ALL_THREE, strlen(ALL_THREE ";" ALL_THREE)), 0);
    assert_non_null(strstr(line, as_offset(place->address)));
    free(frames);
}

static void what_is_remembered_stays_within_its_limit(void **state)
{
    struct kit *kit = *state;
    if (!kit->place_count)
        skip();
    put_debug_file(kit);
    for (uint64_t i = 0; i < 20; i++) {
        struct symbols_ask *asked = calloc(1000, sizeof(*asked));
        assert_non_null(asked);
        for (uint64_t k = 0; k < 1000; k++) {
            asked[k] = (struct symbols_ask){.address = kit->places[0].start + i * 1000 + k,
                                            .build_id_len = (uint8_t)kit->id_len};
            memcpy(asked[k].build_id, kit->id, kit->id_len);
        }
        symbols_learn(kit->symbols, asked, 1000, WITHIN_NS);
        assert_true(counts_of(kit).cache_bytes < 4 << 20);
        free(asked);
    }
    assert_int_equal(counts_of(kit).symbols_asked, 20000);
}

static void no_time_is_no_file_read(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    struct symbols_ask ask = {.address = place->address, .build_id_len = (uint8_t)kit->id_len};
    memcpy(ask.build_id, kit->id, kit->id_len);
    put_debug_file(kit);
    symbols_learn(kit->symbols, &ask, 1, 0);
    assert_int_equal(counts_of(kit).symbols_asked, 0);
}

struct asker {
    struct kit *kit;
    uint64_t address;
};

static int count_frames(void *ctx, const struct symbol_frame *frames, uint32_t count)
{
    *(uint32_t *)ctx = count;
    return 0;
}

static void *ask_often(void *ctx)
{
    struct asker *asker = ctx;
    struct store_frame frame = frame_at(asker->kit, asker->address);
    uint32_t count = 0;
    for (int i = 0; i < 200 && count < 3; i++) {
        struct symbols_ask ask;
        int failed = 0;
        if (symbols_find(asker->kit->symbols, &frame, false, count_frames, &count, &failed, &ask) ==
            SYMBOLS_ASK)
            symbols_learn(asker->kit->symbols, &ask, 1, NS_PER_SEC);
        if (i % 4 == 0)
            symbols_look_again(asker->kit->symbols);
    }
    return (void *)(uintptr_t)count;
}

static void several_threads_ask_at_once(void **state)
{
    struct kit *kit = *state;
    const struct inlined_place *place = innermost(kit);
    struct asker asker = {kit, place->address};
    pthread_t threads[4];
    put_debug_file(kit);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, &asker), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *count;
        assert_int_equal(pthread_join(threads[i], &count), 0);
        assert_int_equal((uintptr_t)count, 3);
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main();
    const struct CMUnitTest tests[] = {
        T(an_unnamed_frame_becomes_its_functions_once_its_debug_file_is_there),
        T(a_program_that_is_not_stripped_serves_too),
        T(without_dwarf_the_symbol_table_names),
        T(a_worker_that_fails_costs_only_what_is_inlined),
        T(files_of_another_build_id_and_such_as_are_none_are_refused),
        T(a_file_that_is_replaced_or_removed_is_asked_anew),
        T(only_what_debug_files_may_tell_more_of_is_asked),
        T(what_the_node_knew_of_inlined_functions_stays),
        T(stacks_that_begin_alike_are_told_apart),
        T(the_deepest_stack_of_inlined_functions_is_within_bounds),
        T(what_is_remembered_stays_within_its_limit),
        T(no_time_is_no_file_read),
        T(several_threads_ask_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
