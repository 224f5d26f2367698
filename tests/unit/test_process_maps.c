/* test_process_maps.c: records of mappings, in their order, say what lies where in a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/object.h"
#include "agent/record.h"
#include "base/cleanup.h"
#include "process_kit.h"

static void mappings_changed_after_a_fork_are_changed_for_one_only(void **state)
{
    struct tables *t = *state;
    start_program(t, 10);
    fork_of(t, 10, 11, 2000);
    fork_of(t, 11, 12, 3000);
    map(t, 11, 0x400000, 0x1000, 0, "/lib/child.so");
    map(t, 10, 0x800000, 0x1000, 0, "/lib/parent.so");
    assert_string_equal(at(t, 10, 0x400000), "/bin/program+2000");
    assert_string_equal(at(t, 11, 0x400000), "/lib/child.so+0");
    assert_string_equal(at(t, 12, 0x400000), "/bin/program+2000");
    assert_string_equal(at(t, 10, 0x800000), "/lib/parent.so+0");
    assert_string_equal(at(t, 11, 0x800000), "");
    assert_string_equal(at(t, 12, 0x800000), "");
    exit_of(t, 10, 10, 4000);
    processes_expire(t->processes, 4001 + LINGER);
    assert_string_equal(at(t, 12, 0x700000), "/lib/libc.so+0");
}

static void what_lies_where_follows_from_the_mappings_in_their_order(void **state)
{
    struct tables *t = *state;
    static const struct {
        const char *what;
        struct {
            uint64_t start, len, offset;
        } maps[4];
        const char *expect; /* at 0x1000, 0x2000, ...: a letter a mapping, then its file's page */
    } cases[] = {
        {"apart", {{0x1000, 0x1000, 0}, {0x3000, 0x2000, 0x5000}}, "a0 -- b5 b6 --"},
        {"replaced", {{0x2000, 0x2000, 0}, {0x2000, 0x2000, 0}}, "-- b0 b1 -- --"},
        {"covered", {{0x2000, 0x1000, 0}, {0x1000, 0x3000, 0}}, "b0 b1 b2 -- --"},
        {"head cut", {{0x2000, 0x3000, 0}, {0x1000, 0x2000, 0}}, "b0 b1 a1 a2 --"},
        {"tail cut", {{0x1000, 0x3000, 0}, {0x3000, 0x2000, 0}}, "a0 a1 b0 b1 --"},
        {"split", {{0x1000, 0x4000, 0}, {0x2000, 0x1000, 0}}, "a0 b0 a2 a3 --"},
        {"several covered",
         {{0x1000, 0x1000, 0}, {0x2000, 0x1000, 0}, {0x3000, 0x2000, 3}, {0x1000, 0x3000, 0}},
         "d0 d1 d2 c1 --"},
    };
    for (uint32_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t pid = 100 + i;
        fork_of(t, 1, pid, 1000);
        for (size_t k = 0; k < 4 && cases[i].maps[k].len; k++) {
            char path[] = {'/', (char)('a' + k), 0};
            map(t, pid, cases[i].maps[k].start, cases[i].maps[k].len, cases[i].maps[k].offset,
                path);
        }
        for (size_t k = 0; k < 5; k++) {
            const char *text = at(t, pid, 0x1000 * (k + 1));
            char expect = cases[i].expect[k * 3], page = cases[i].expect[k * 3 + 1];
            uint64_t offset = text[0] ? strtoul(strchr(text, '+') + 1, NULL, 16) : 0;
            if (expect == '-' ? text[0] != 0
                              : text[1] != expect || offset / 0x1000 != (uint64_t)(page - '0'))
                fail_msg("%s: at page %zu is \"%s\"", cases[i].what, k + 1, text);
        }
    }
}

/* Beside an array with an entry for each byte. */
static void random_mappings_lie_as_in_a_map_of_every_byte(void **state)
{
    struct tables *t = *state;
    enum { BYTES = 600, BASE = 0x10000 };
    static struct {
        char file;
        uint64_t offset;
    } naive[BYTES];
    srandom(4);
    fork_of(t, 1, 10, 1000);
    for (int turn = 0; turn < 3000; turn++) {
        if (turn % 300 == 0) {
            comm(t, 10, 10, "again", true);
            memset(naive, 0, sizeof(naive));
        }
        uint32_t start = (uint32_t)random() % BYTES;
        uint32_t len = 1 + (uint32_t)random() % (turn % 7 ? 20 : BYTES - start);
        len = start + len > BYTES ? BYTES - start : len;
        char path[] = {'/', (char)('a' + random() % 20), 0};
        uint64_t offset = (uint64_t)random() % 100000;
        map(t, 10, BASE + start, len, offset, path);
        for (uint32_t i = 0; i < len; i++) {
            naive[start + i].file = path[1];
            naive[start + i].offset = offset + i;
        }
        for (uint32_t k = 0; k < BYTES; k++) {
            /* Forwards and from random places, since the mapping found last is asked first. */
            uint32_t i = turn % 2 ? k : (uint32_t)random() % BYTES;
            const struct mapping *m = process_find_mapping(process(t, 10), BASE + i);
            char file = m ? m->object->path[1] : 0;
            if (file != naive[i].file ||
                (m && BASE + i - m->start + m->file_offset != naive[i].offset))
                fail_msg("turn %d, byte %u: file %d", turn, i, file);
        }
    }
    assert_null(process_find_mapping(process(t, 10), BASE - 1));
    assert_null(process_find_mapping(process(t, 10), BASE + BYTES));
}

static void what_is_no_code_or_no_range_is_not_kept(void **state)
{
    struct tables *t = *state;
    fork_of(t, 1, 10, 1000);
    struct record r = {
        .kind = RECORD_MMAP,
        .pid = 10,
        .mmap = {.start = 0x1000, .len = 0x1000, .prot = PROT_READ, .path = "/data"}};
    apply(t, &r);
    assert_string_equal(at(t, 10, 0x1000), "");
    map(t, 10, 0x2000, 0, 0, "/empty");
    assert_string_equal(at(t, 10, 0x2000), "");
    map(t, 10, UINT64_MAX - 10, 20, 0, "/around");
    assert_string_equal(at(t, 10, UINT64_MAX - 5), "");
    assert_string_equal(at(t, 10, 3), "");
}

/* A process can be made to map without end; what is told of it then may be missing, never wrong. */
static void mappings_past_the_cap_are_unknown(void **state)
{
    struct tables *t = *state;
    const uint64_t page = 0x1000, cap = 65536;
    fork_of(t, 1, 10, 1000);
    for (uint64_t i = 0; i < cap + 100; i++)
        map(t, 10, (2 * i + 1) * page, page, 0, i % 2 ? "/a" : "/b");
    assert_string_equal(at(t, 10, (2 * (cap - 1) + 1) * page), "/a+0");
    assert_string_equal(at(t, 10, (2 * cap + 1) * page), "");
    /* The old mapping is gone even though the new one has no place. */
    map(t, 10, page + 16, 16, 0x5000, "/new");
    assert_string_equal(at(t, 10, page), "/b+0");
    assert_string_equal(at(t, 10, page + 16), "");
    assert_string_equal(at(t, 10, page + 32), "");
    /* Where one goes, one comes. */
    map(t, 10, 3 * page, page, 0, "/same-size");
    assert_string_equal(at(t, 10, 3 * page), "/same-size+0");
    /* A large one in place of many. */
    map(t, 10, 0, 1000 * page, 0, "/large");
    assert_string_equal(at(t, 10, 999 * page), "/large+3e7000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_TABLES(mappings_changed_after_a_fork_are_changed_for_one_only),
        ON_TABLES(what_lies_where_follows_from_the_mappings_in_their_order),
        ON_TABLES(random_mappings_lie_as_in_a_map_of_every_byte),
        ON_TABLES(what_is_no_code_or_no_range_is_not_kept),
        ON_TABLES(mappings_past_the_cap_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
