/* test_flame.c: samples become a tree, and the tree JSON and folded lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "memory_store.h"
#include "server/flame.h"
#include "server/flame_json.h"
#include "server/flame_tree.h"
#include "server/folded.h"
#include "server/query.h"
#include "server/stream.h"
#include "wire/format.h"

#define NOW_MS 1795363500000LL
#define MS     1000000u

#define USER(n, o)                                                                \
    {                                                                             \
        .name = (n), .object = (o), .file = "", .address = 16, .kind = FRAME_USER \
    }
#define KERNEL(n)                                                           \
    {                                                                       \
        .name = (n), .object = "[kernel]", .file = "", .kind = FRAME_KERNEL \
    }
#define UNNAMED(o, a)                                                             \
    {                                                                             \
        .name = "", .object = (o), .file = "", .address = (a), .kind = FRAME_USER \
    }
#define OF_KIND(n, k)                                      \
    {                                                      \
        .name = (n), .object = "", .file = "", .kind = (k) \
    }
#define STACK(s) .frames = (s), .frame_count = ARRAY_LEN(s)

static struct flame *build(struct memory_store *store, const char *query_text)
{
    struct flame *flame = NULL;
    struct err err = {0};
    _cleanup_(query_free) struct query query = {0};
    if (query_parse(query_text, QUERY_FLAME, NOW_MS, &query, &err) < 0 ||
        flame_query(&store->store, NULL, &query, &flame, &err) < 0)
        fail_msg("%s: %s", query_text, err.text);
    return flame;
}

/* The whole answer, with a NUL behind it. */
static char *answer(struct memory_store *store, const char *query_text)
{
    struct err err = {0};
    _cleanup_(query_free) struct query query = {0};
    _cleanup_(flame_free) struct flame *flame = build(store, query_text);
    _cleanup_(stream_free) struct stream *stream = NULL;
    _cleanup_(buf_free) struct buf all = {0}, piece = {0};
    assert_int_equal(query_parse(query_text, QUERY_FLAME, NOW_MS, &query, &err), 0);
    if (query.format == QUERY_FOLDED)
        assert_int_equal(folded_open(&flame, query.short_names, &stream), 0);
    else
        assert_int_equal(flame_json_open(&flame, &query, &stream), 0);
    int more;
    do {
        piece.len = 0;
        more = stream->next(stream, &piece);
        assert_true(more >= 0);
        assert_true(piece.len < STREAM_PIECE + WIRE_MAX_STRING * 7);
        assert_int_equal(buf_append(&all, piece.data, piece.len), 0);
    } while (more);
    assert_int_equal(buf_append(&all, "", 1), 0);
    return (char *)TAKE_PTR(all.data);
}

static void assert_answer(struct memory_store *store, const char *query_text, const char *want)
{
    _cleanup_free_ char *got = answer(store, query_text);
    assert_string_equal(got, want);
}

static const struct store_frame in_main[] = {USER("main", "/usr/bin/cc1plus")};
static const struct store_frame in_read[] = {USER("main", "/usr/bin/cc1plus"), KERNEL("vfs_read")};

static void the_json_is_as_openapi_shows_it(void **state)
{
    const char *const cc1plus = "/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus";
    const struct store_frame reading[] = {USER("main", cc1plus), KERNEL("vfs_read")};
    const struct store_frame sizing[] = {
        {.name = "main", .object = cc1plus, .file = "parser.cc", .line = 3, .kind = FRAME_USER},
        {.name = "std::vector<int>::size() const",
         .object = cc1plus,
         .file = "stl_vector.h",
         .line = 988,
         .kind = FRAME_INLINED},
    };
    const struct memory_sample samples[] = {
        {.process = "cc1plus", STACK(reading), .samples = 2, .period_ns = 10 * MS},
        {.process = "cc1plus", STACK(sizing), .samples = 1, .period_ns = 10 * MS},
        {.process = "cc1plus",
         .frames = reading,
         .frame_count = 1,
         .samples = 1,
         .period_ns = 10 * MS},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(
        &store, "",
        "{\"start_ms\":1795363200000,\"end_ms\":1795363500000,\"group\":[\"process\"],"
        "\"samples\":4,\"cpu_ms\":40,\"period_ns\":10000000,\"folded_nodes\":0,"
        "\"names\":[\"all\",\"cc1plus\",\"main\",\"std::vector<int>::size() const\",\"vfs_read\"],"
        "\"short\":{\"name\":[3],\"text\":[\"std::vector<…>::size\"]},"
        "\"objects\":[\"\",\"/usr/lib/gcc/x86_64-linux-gnu/12/cc1plus\",\"[kernel]\"],"
        "\"files\":[\"\",\"parser.cc\",\"stl_vector.h\"],"
        "\"nodes\":{\"depth\":[0,1,2,3,3],\"name\":[0,1,2,3,4],\"object\":[0,0,1,1,2],"
        "\"file\":[0,0,1,2,0],\"kind\":[0,0,1,4,2],\"self\":[0,0,1,1,2],"
        "\"total\":[4,4,4,1,2]}}\n");
    assert_answer(&store, "format=folded",
                  "cc1plus;main 1\ncc1plus;main;std::vector<int>::size() const_[i] 1\n"
                  "cc1plus;main;vfs_read_[k] 2\n");
}

static void an_answer_tells_of_files_only_where_some_are_known(void **state)
{
    const struct memory_sample samples[] = {
        {.process = "cc1plus", STACK(in_read), .samples = 2, .period_ns = 10 * MS},
        {.process = "cc1plus", STACK(in_main), .samples = 1, .period_ns = 10 * MS},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(&store, "",
                  "{\"start_ms\":1795363200000,\"end_ms\":1795363500000,\"group\":[\"process\"],"
                  "\"samples\":3,\"cpu_ms\":30,\"period_ns\":10000000,\"folded_nodes\":0,"
                  "\"names\":[\"all\",\"cc1plus\",\"main\",\"vfs_read\"],"
                  "\"short\":{\"name\":[],\"text\":[]},"
                  "\"objects\":[\"\",\"/usr/bin/cc1plus\",\"[kernel]\"],"
                  "\"nodes\":{\"depth\":[0,1,2,3],\"name\":[0,1,2,3],\"object\":[0,0,1,2],"
                  "\"kind\":[0,0,1,2],\"self\":[0,0,1,2],\"total\":[3,3,3,2]}}\n");
    assert_answer(&store, "format=folded", "cc1plus;main 1\ncc1plus;main;vfs_read_[k] 2\n");
}

static void nothing_found_is_a_root_alone(void **state)
{
    struct memory_store store = memory_store(NULL, 0);
    assert_answer(&store, "group=",
                  "{\"start_ms\":1795363200000,\"end_ms\":1795363500000,\"group\":[],"
                  "\"samples\":0,\"cpu_ms\":0,\"period_ns\":0,\"folded_nodes\":0,"
                  "\"names\":[\"all\"],\"short\":{\"name\":[],\"text\":[]},\"objects\":[\"\"],"
                  "\"nodes\":{\"depth\":[0],\"name\":[0],"
                  "\"object\":[0],\"kind\":[0],\"self\":[0],\"total\":[0]}}\n");
    assert_answer(&store, "format=folded", "");
}

static void groups_stand_before_the_frames_in_the_order_asked_for(void **state)
{
    const struct memory_sample samples[] = {
        {.node = "n1", .process = "a", .thread = "t", STACK(in_main), .samples = 1},
        {.node = "n2", .process = "a", .thread = "t", STACK(in_main), .samples = 2},
        {.node = "n1", .process = "b", .thread = "u", STACK(in_main), .samples = 4},
        {.node = "n1", .thread = "u", STACK(in_main), .samples = 8},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(&store, "format=folded&group=", "main 15\n");
    assert_answer(&store, "format=folded&group=node", "n1;main 13\nn2;main 2\n");
    assert_answer(&store, "format=folded&group=thread,node,process",
                  "t;n1;a;main 1\nt;n2;a;main 2\nu;n1;-;main 8\nu;n1;b;main 4\n");
    assert_answer(&store, "format=folded&group=process&process=a&process=b&node=n1",
                  "a;main 1\nb;main 4\n");
    assert_answer(&store, "format=folded&group=namespace", "-;main 15\n");
}

/* Functions are one when name, object and kind are; the address inside a function does not matter.
 */
static void frames_are_merged_by_name_object_and_kind(void **state)
{
    const struct store_frame a1[] = {USER("f", "/a")};
    const struct store_frame a2[] = {
        {.name = "f", .object = "/a", .file = "a.c", .address = 2, .line = 7, .kind = FRAME_USER}};
    const struct store_frame b[] = {USER("f", "/b")};
    const struct store_frame inlined[] = {
        {.name = "f", .object = "/a", .file = "", .kind = FRAME_INLINED}};
    const struct memory_sample samples[] = {
        {.process = "p", STACK(inlined), .samples = 8},
        {.process = "p", STACK(b), .samples = 4},
        {.process = "p", STACK(a1), .samples = 1},
        {.process = "p", STACK(a2), .samples = 2},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    _cleanup_(flame_free) struct flame *flame = build(&store, "");
    static const struct flame_node want[] = {
        {0, 15, .depth = 0, .name = 0, .object = 0, .kind = FLAME_META},
        {0, 15, .depth = 1, .name = 1, .object = 0, .kind = FLAME_META},
        {3, 3, .depth = 2, .name = 2, .object = 1, .kind = FRAME_USER},
        {8, 8, .depth = 2, .name = 2, .object = 1, .kind = FRAME_INLINED},
        {4, 4, .depth = 2, .name = 2, .object = 2, .kind = FRAME_USER},
    };
    assert_int_equal(flame->node_count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(flame->nodes[i].self, want[i].self);
        assert_int_equal(flame->nodes[i].total, want[i].total);
        assert_int_equal(flame->nodes[i].name, want[i].name);
        assert_int_equal(flame->nodes[i].object, want[i].object);
        assert_int_equal(flame->nodes[i].depth, want[i].depth);
        assert_int_equal(flame->nodes[i].kind, want[i].kind);
    }
    assert_answer(&store, "format=folded", "p;f 7\np;f_[i] 8\n");
}

#define IN_FILE(n, f, l)                                                          \
    {                                                                             \
        .name = (n), .object = "/a", .file = (f), .line = (l), .kind = FRAME_USER \
    }

static void a_node_knows_a_file_and_with_lines_its_own(void **state)
{
    const struct store_frame at_7[] = {IN_FILE("f", "a.c", 7)};
    const struct store_frame at_9[] = {IN_FILE("f", "a.c", 9)};
    const struct store_frame again[] = {IN_FILE("f", "b.c", 7)};
    const struct store_frame nowhere[] = {IN_FILE("f", "", 0)};
    const struct memory_sample samples[] = {
        {STACK(nowhere), .samples = 8},
        {STACK(at_9), .samples = 4},
        {STACK(at_7), .samples = 2},
        {STACK(again), .samples = 1},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(&store, "group=",
                  "{\"start_ms\":1795363200000,\"end_ms\":1795363500000,\"group\":[],"
                  "\"samples\":15,\"cpu_ms\":0,\"period_ns\":0,\"folded_nodes\":0,"
                  "\"names\":[\"all\",\"f\"],\"short\":{\"name\":[],\"text\":[]},"
                  "\"objects\":[\"\",\"/a\"],\"files\":[\"\",\"a.c\"],"
                  "\"nodes\":{\"depth\":[0,1],\"name\":[0,1],\"object\":[0,1],\"file\":[0,1],"
                  "\"kind\":[0,1],\"self\":[0,15],\"total\":[15,15]}}\n");
    assert_answer(&store, "group=&lines=true",
                  "{\"start_ms\":1795363200000,\"end_ms\":1795363500000,\"group\":[],"
                  "\"samples\":15,\"cpu_ms\":0,\"period_ns\":0,\"folded_nodes\":0,"
                  "\"names\":[\"all\",\"f\"],\"short\":{\"name\":[],\"text\":[]},"
                  "\"objects\":[\"\",\"/a\"],\"files\":[\"\",\"a.c\",\"b.c\"],"
                  "\"nodes\":{\"depth\":[0,1,1,1,1],\"name\":[0,1,1,1,1],\"object\":[0,1,1,1,1],"
                  "\"file\":[0,0,1,1,2],\"line\":[0,0,7,9,7],\"kind\":[0,1,1,1,1],"
                  "\"self\":[0,8,2,4,1],\"total\":[15,8,2,4,1]}}\n");
    assert_answer(&store, "group=&format=folded", "f 15\n");
    assert_answer(&store, "group=&format=folded&lines=true", "f 8\nf:7 3\nf:9 4\n");
}

static void names_have_a_short_form_where_room_is_dear(void **state)
{
    const struct store_frame stack[] = {
        USER("std::vector<int>::size() const", "/a"),
        OF_KIND("com.acme.Cart.total(int)", FRAME_JIT),
        OF_KIND("[truncated]", FRAME_MARKER),
        USER("main", "/a"),
    };
    const struct memory_sample samples[] = {{.process = "odd.cold", STACK(stack), .samples = 1}};
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    _cleanup_free_ char *json = answer(&store, "");
    assert_non_null(strstr(json, "\"short\":{\"name\":[2,3],"
                                 "\"text\":[\"std::vector<…>::size\",\"Cart.total\"]}"));
    assert_answer(&store, "format=folded&names=short",
                  "odd.cold;std::vector<…>::size;Cart.total_[j];[truncated];main 1\n");
    assert_answer(&store, "format=folded&names=full",
                  "odd.cold;std::vector<int>::size() const;com.acme.Cart.total(int)_[j];"
                  "[truncated];main 1\n");
}

static void an_unnamed_frame_is_its_object_and_address(void **state)
{
    const struct store_frame libc[] = {UNNAMED("/lib/x86_64-linux-gnu/libc.so.6", 0x1a2b)};
    const struct store_frame other[] = {UNNAMED("/lib/x86_64-linux-gnu/libc.so.6", 0x1a2c)};
    const struct store_frame anon[] = {UNNAMED("[anon]", 0x7f0000001000)};
    const struct store_frame folder[] = {UNNAMED("/odd/", 1)};
    const struct store_frame nowhere[] = {UNNAMED("", UINT64_MAX)};
    const struct memory_sample samples[] = {
        {STACK(libc), .samples = 1}, {STACK(other), .samples = 2},   {STACK(anon), .samples = 3},
        {STACK(libc), .samples = 4}, {STACK(nowhere), .samples = 5}, {STACK(folder), .samples = 6},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(&store, "format=folded&group=",
                  "/odd/+0x1 6\n[anon]+0x7f0000001000 3\n[unknown]+0xffffffffffffffff 5\n"
                  "libc.so.6+0x1a2b 5\nlibc.so.6+0x1a2c 2\n");
}

static void kinds_show_in_folded_lines(void **state)
{
    const struct store_frame all[] = {
        OF_KIND("u", FRAME_USER),   OF_KIND("i", FRAME_INLINED),          OF_KIND("j", FRAME_JIT),
        OF_KIND("k", FRAME_KERNEL), OF_KIND("[truncated]", FRAME_MARKER),
    };
    const struct memory_sample samples[] = {{.process = "p", STACK(all), .samples = 1}};
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    assert_answer(&store, "format=folded", "p;u;i_[i];j_[j];k_[k];[truncated] 1\n");
}

static void a_name_cannot_break_a_folded_line(void **state)
{
    static const char *const cases[][2] = {
        {"plain name 12", "plain name 12"},
        {"a;b", "a%3Bb"},
        {"a%3Bb", "a%253Bb"},
        {"100% 5%x %", "100% 5%x %"},
        {"%%41", "%%2541"},
        {"line\nend\r\t\x7f", "line%0Aend%0D%09%7F"},
        {"ü→", "ü→"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(buf_free) struct buf buf = {0};
        assert_int_equal(folded_put_name(&buf, cases[i][0]), 0);
        assert_int_equal(buf_append(&buf, "", 1), 0);
        assert_string_equal((char *)buf.data, cases[i][1]);
    }
}

static void what_json_must_escape_is_read_back_as_it_was(void **state)
{
    static const char odd[] = "\"\\/\b\f\n\r\t\v\x01\x1f\x7f ü\xe2\x80\xa8 <script>";
    const struct store_frame frames[] = {USER(odd, odd)};
    const struct memory_sample samples[] = {{.process = odd, STACK(frames), .samples = 1}};
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    _cleanup_free_ char *text = answer(&store, "");
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "names"), 1)), odd);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "objects"), 1)),
                        odd);
    json_decref(root);
}

static void a_stack_that_retention_took_is_unknown_but_counted(void **state)
{
    const struct memory_sample samples[] = {
        {.process = "p", STACK(in_main), .samples = 1},
        {.process = "q", STACK(in_main), .samples = 2},
    };
    struct memory_store store = memory_store(samples, ARRAY_LEN(samples));
    store.lost_stack = 2;
    assert_answer(&store, "format=folded", "p;main 1\nq;[unknown] 2\n");
}

static void a_stores_error_comes_through(void **state)
{
    struct memory_store store = memory_store(NULL, 0);
    store.query_result = -EIO;
    store.query_error = "reading 2026-11-22.db: Input/output error";
    _cleanup_(query_free) struct query query = {0};
    struct flame *flame = NULL;
    struct err err = {0};
    assert_int_equal(query_parse("", QUERY_FLAME, NOW_MS, &query, NULL), 0);
    assert_int_equal(flame_query(&store.store, NULL, &query, &flame, &err), -EIO);
    assert_string_equal(err.text, store.query_error);
    assert_null(flame);
}

/* ---- many stacks, against the plainest way to add them up */

#define RANDOM_STACKS 3000
#define RANDOM_DEPTH  12

struct crowd {
    struct store_frame frames[RANDOM_STACKS][RANDOM_DEPTH];
    struct memory_sample samples[RANDOM_STACKS];
    uint64_t sum;
};

/* With ids, as a store gives that knows its frames, or without. */
static struct crowd *make_crowd(unsigned seed, bool ids)
{
    static const char *const names[] = {"a", "b", "b2", "c", "B", "ü", "a;x", "zz"};
    struct crowd *crowd = calloc(1, sizeof(*crowd));
    assert_non_null(crowd);
    for (size_t i = 0; i < RANDOM_STACKS; i++) {
        size_t depth = 1 + (size_t)rand_r(&seed) % RANDOM_DEPTH;
        for (size_t d = 0; d < depth; d++) {
            /* Two of them multiplied: some paths are common, most are rare. */
            size_t pick = (size_t)(rand_r(&seed) % 8) * (size_t)(rand_r(&seed) % 8) / 7;
            crowd->frames[i][d] = (struct store_frame){.id = ids ? pick + 1 : 0,
                                                       .name = names[pick],
                                                       .object = pick % 2 ? "/a" : "/b",
                                                       .file = "",
                                                       .kind = 1};
        }
        crowd->samples[i] = (struct memory_sample){
            .process = names[i % 3],
            .frames = crowd->frames[i],
            .frame_count = depth,
            .samples = 1 + (uint64_t)rand_r(&seed) % 1000,
            .period_ns = MS,
        };
        crowd->sum += crowd->samples[i].samples;
    }
    return crowd;
}

/* Does the sample pass through the path of names to node `at`? */
static bool passes(const struct flame *flame, const uint32_t *path, size_t depth,
                   const struct memory_sample *sample)
{
    if (depth > sample->frame_count + 1)
        return false;
    for (size_t d = 1; d <= depth; d++) {
        const char *want = flame->names.texts[flame->nodes[path[d]].name];
        const char *have = d == 1 ? sample->process : sample->frames[d - 2].name;
        if (strcmp(want, have) != 0)
            return false;
    }
    return true;
}

/* Order, and every node's samples by counting all of them again. */
static void check_against_counting(const struct flame *flame, const struct crowd *crowd,
                                   bool is_whole)
{
    uint32_t path[RANDOM_DEPTH + 2];
    for (uint32_t i = 0; i < flame->node_count; i++) {
        const struct flame_node *node = &flame->nodes[i];
        uint64_t total = 0, self = 0;
        assert_true(i == 0 ? node->depth == 0
                           : node->depth >= 1 && node->depth <= flame->nodes[i - 1].depth + 1);
        if (i > 0 && flame->nodes[i - 1].depth >= node->depth) {
            const char *before = flame->names.texts[flame->nodes[path[node->depth]].name];
            assert_true(strcmp(before, flame->names.texts[node->name]) < 0);
        }
        path[node->depth] = i;
        for (size_t s = 0; s < RANDOM_STACKS; s++) {
            if (!passes(flame, path, node->depth, &crowd->samples[s]))
                continue;
            total += crowd->samples[s].samples;
            if (crowd->samples[s].frame_count + 1 == node->depth)
                self += crowd->samples[s].samples;
        }
        assert_int_equal(node->total, total);
        assert_int_equal(node->self, self);
    }
    if (is_whole)
        assert_int_equal(flame->folded_nodes, 0);
}

static void every_node_holds_the_samples_that_pass_through_it(void **state)
{
    _cleanup_free_ struct crowd *crowd = make_crowd(1, true);
    struct memory_store store = memory_store(crowd->samples, RANDOM_STACKS);
    _cleanup_(flame_free) struct flame *flame = build(&store, "");
    assert_int_equal(flame->nodes[0].total, crowd->sum);
    assert_int_equal(flame->cpu_ns, crowd->sum * MS);
    check_against_counting(flame, crowd, true);
}

static int by_total_descending(const void *a, const void *b)
{
    const struct flame_node *x = a, *y = b;
    return x->total > y->total ? -1 : x->total < y->total;
}

static void the_smallest_nodes_are_left_out_of_a_large_answer(void **state)
{
    _cleanup_free_ struct crowd *crowd = make_crowd(2, false);
    struct memory_store store = memory_store(crowd->samples, RANDOM_STACKS);
    _cleanup_(flame_free) struct flame *whole = build(&store, "");
    qsort(whole->nodes, whole->node_count, sizeof(*whole->nodes), by_total_descending);
    static const uint32_t limits[] = {1, 2, 5, 100, 1000, 5000};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        char query[64];
        snprintf(query, sizeof(query), "max_nodes=%u", limits[i]);
        _cleanup_(flame_free) struct flame *flame = build(&store, query);
        assert_true(whole->node_count > limits[i]);
        assert_int_equal(flame->node_count, limits[i]);
        assert_int_equal(flame->folded_nodes, whole->node_count - limits[i]);
        assert_int_equal(flame->nodes[0].total, crowd->sum);
        check_against_counting(flame, crowd, false);
        uint64_t kept = 0, largest = 0;
        for (uint32_t n = 0; n < limits[i]; n++) {
            kept += flame->nodes[n].total;
            largest += whole->nodes[n].total;
        }
        assert_int_equal(kept, largest);
    }
}

static void a_full_tree_keeps_the_samples_of_what_it_cuts(void **state)
{
    struct flame_tree tree;
    struct flame flame = {0};
    uint32_t frames[3], node;
    assert_int_equal(flame_tree_init(&tree, 3, 0, true, false), 0);
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        char name[] = {(char)('a' + i), 0};
        assert_int_equal(flame_tree_label(&tree, name, &frames[i]), 0);
    }
    assert_int_equal(flame_tree_walk(&tree, FLAME_TREE_ROOT, frames, 2, &node), 0);
    flame_tree_add(&tree, node, 5, false);
    assert_int_equal(flame_tree_walk(&tree, FLAME_TREE_ROOT, frames, 3, &node), -EFBIG);
    flame_tree_add(&tree, node, 7, true);
    assert_int_equal(flame_tree_walk(&tree, FLAME_TREE_ROOT, frames, 2, &node), 0);
    flame_tree_add(&tree, node, 1, false);
    assert_int_equal(flame_tree_walk(&tree, FLAME_TREE_ROOT, frames + 1, 2, &node), -EFBIG);
    flame_tree_add(&tree, node, 2, true);
    assert_int_equal(flame_tree_finish(&tree, 3, &flame), 0);
    flame_tree_free(&tree);
    assert_int_equal(flame.node_count, 3);
    assert_int_equal(flame.folded_nodes, 3);
    assert_int_equal(flame.nodes[0].total, 15);
    assert_int_equal(flame.nodes[1].total, 13);
    assert_int_equal(flame.nodes[2].total, 13);
    assert_int_equal(flame.nodes[2].self, 6);
    free(flame.nodes);
    strings_free(&flame.names);
    strings_free(&flame.objects);
    strings_free(&flame.files);
}

/* The deepest stack there may be, below the most groups. */
static void a_stack_of_the_deepest_kind_fits(void **state)
{
    _cleanup_free_ struct store_frame *frames = calloc(WIRE_MAX_DEPTH, sizeof(*frames));
    assert_non_null(frames);
    for (size_t i = 0; i < WIRE_MAX_DEPTH; i++)
        frames[i] = (struct store_frame)USER("recurse", "/a");
    const struct memory_sample samples[] = {
        {.frames = frames, .frame_count = WIRE_MAX_DEPTH, .samples = 1}};
    struct memory_store store = memory_store(samples, 1);
    _cleanup_free_ char *text = answer(&store, "format=folded&group=a,b,c,d,e,f,g,h");
    assert_int_equal(strlen(text), 8 * strlen("-;") + WIRE_MAX_DEPTH * strlen("recurse;") + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_json_is_as_openapi_shows_it),
        cmocka_unit_test(an_answer_tells_of_files_only_where_some_are_known),
        cmocka_unit_test(nothing_found_is_a_root_alone),
        cmocka_unit_test(groups_stand_before_the_frames_in_the_order_asked_for),
        cmocka_unit_test(frames_are_merged_by_name_object_and_kind),
        cmocka_unit_test(a_node_knows_a_file_and_with_lines_its_own),
        cmocka_unit_test(names_have_a_short_form_where_room_is_dear),
        cmocka_unit_test(an_unnamed_frame_is_its_object_and_address),
        cmocka_unit_test(kinds_show_in_folded_lines),
        cmocka_unit_test(a_name_cannot_break_a_folded_line),
        cmocka_unit_test(what_json_must_escape_is_read_back_as_it_was),
        cmocka_unit_test(a_stack_that_retention_took_is_unknown_but_counted),
        cmocka_unit_test(a_stores_error_comes_through),
        cmocka_unit_test(every_node_holds_the_samples_that_pass_through_it),
        cmocka_unit_test(the_smallest_nodes_are_left_out_of_a_large_answer),
        cmocka_unit_test(a_full_tree_keeps_the_samples_of_what_it_cuts),
        cmocka_unit_test(a_stack_of_the_deepest_kind_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
