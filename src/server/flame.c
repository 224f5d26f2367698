/* flame.c: takes a query and a store, gives the tree of its samples. First the rows of all (groups,
 * stack) are read, then the frames of their stacks, those with the most samples first: when the
 * tree is full only small ones are left to cut. Stacks with frames that debug files may name wait
 * until these were read, all at once, and are then read again. See flame.h. */
#include "server/flame.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "server/flame_frames.h"
#include "server/flame_tree.h"
#include "server/query.h"
#include "server/store.h"

#define NONE          UINT32_MAX
#define MIN_NODES     2000000u /* what a tree may grow to, however few of its nodes are asked for */
#define STACKS_A_CALL 1000000u

struct row {
    uint64_t samples;
    uint32_t node; /* of the last group */
    uint32_t next; /* row of the same stack, or NONE */
};

struct stack {
    uint64_t id;
    uint64_t samples; /* of its rows; 0 once it is in the tree */
    uint32_t first_row;
};

struct build {
    struct flame_tree tree;
    struct flame *flame;
    const struct query *query;
    struct row *rows;
    struct stack *stacks;
    uint32_t row_count, row_cap, stack_count, stack_cap;
    struct map64 stack_map; /* id -> stack */

    /* The last stack, and where it went: the next one's beginning is mostly the same. */
    uint64_t ids[WIRE_MAX_DEPTH];   /* the store's, of its frames */
    uint32_t ends[WIRE_MAX_DEPTH];  /* of each in `path` */
    size_t depth;                   /* of these two */
    uint32_t path[FLAME_MAX_PATH];  /* the tree's frames */
    uint32_t nodes[FLAME_MAX_PATH]; /* below `base` */
    uint32_t base, base_depth;      /* the nodes of so many of `path` are known */
    struct flame_frames frames;

    uint64_t *waiting; /* stacks that are to be read again when debug files were read */
    uint32_t waiting_count, waiting_cap;
};

static void build_free(struct build *build)
{
    flame_tree_free(&build->tree);
    flame_free(&build->flame);
    free(build->rows);
    free(build->stacks);
    map64_free(&build->stack_map);
    flame_frames_free(&build->frames);
    free(build->waiting);
}

static int reserve(void **array, uint32_t *cap, uint32_t count, size_t size)
{
    if (count < *cap)
        return 0;
    uint32_t more = *cap ? *cap * 2 : 1024;
    void *bigger = realloc(*array, more * size);
    if (!bigger)
        return -ENOMEM;
    *array = bigger;
    *cap = more;
    return 0;
}

static int find_stack(struct build *build, uint64_t id, uint32_t *ret_stack)
{
    bool is_new;
    int r = reserve((void **)&build->stacks, &build->stack_cap, build->stack_count,
                    sizeof(*build->stacks));
    if (r < 0)
        return r;
    uint32_t *stack = map64_place(&build->stack_map, id, &is_new);
    if (!stack)
        return -ENOMEM;
    if (is_new) {
        *stack = build->stack_count;
        build->stacks[build->stack_count++] = (struct stack){.id = id, .first_row = NONE};
    }
    *ret_stack = *stack;
    return 0;
}

/* The node of a row's groups; -EFBIG if the tree is full on the way, as flame_tree_walk(). */
static int walk_groups(struct build *build, const struct store_row *row, uint32_t *ret_node)
{
    uint32_t path[STORE_MAX_GROUPS];
    size_t count = build->query->store.group_count;
    *ret_node = FLAME_TREE_ROOT;
    for (size_t i = 0; i < count; i++) {
        const char *value = row->groups[i];
        int r = flame_tree_label(&build->tree, *value ? value : "-", &path[i]);
        if (r < 0)
            return r;
    }
    return flame_tree_walk(&build->tree, FLAME_TREE_ROOT, path, count, ret_node);
}

static int take_row(void *ctx, const struct store_row *row)
{
    struct build *build = ctx;
    uint32_t node, stack;
    build->flame->cpu_ns += row->cpu_ns;
    int r = walk_groups(build, row, &node);
    if (r == -EFBIG && build->query->format == QUERY_JSON) {
        flame_tree_add(&build->tree, node, row->samples, true);
        return 0;
    }
    if (r < 0)
        return r == -EFBIG ? -E2BIG : r;
    if (build->row_count == FLAME_MAX_ROWS)
        return -E2BIG;
    r = reserve((void **)&build->rows, &build->row_cap, build->row_count, sizeof(*build->rows));
    if (r == 0)
        r = find_stack(build, row->stack, &stack);
    if (r < 0)
        return r;
    build->rows[build->row_count] =
        (struct row){row->samples, node, build->stacks[stack].first_row};
    build->stacks[stack].first_row = build->row_count++;
    build->stacks[stack].samples += row->samples;
    return 0;
}

/* A frame's functions are known already where what is inlined into it stands above it. Of very deep
 * stacks not all frames can become several: which ones hangs on those below them alone. */
static int find_frames(struct build *build, const struct store_frame *frames, size_t count,
                       size_t i, uint32_t path_len, const uint32_t **ret, uint32_t *ret_count)
{
    bool as_it_is = i + 1 < count && frames[i + 1].kind == FRAME_INLINED;
    int r = flame_frames_find(&build->frames, &frames[i], as_it_is, ret, ret_count);
    if (r == 0 && path_len - i + *ret_count - 1 > FLAME_MAX_PATH - WIRE_MAX_DEPTH)
        r = flame_frames_find(&build->frames, &frames[i], true, ret, ret_count);
    return r;
}

/* Puts the stack's frames into `path`, from where it differs from the last one on. *ret_known is
 * how many of them: fewer than `count` with -EFBIG, if the tree takes no more names, and with
 * -EAGAIN, if debug files have to be read first. */
static int read_path(struct build *build, const struct store_frame *frames, size_t count,
                     size_t *ret_known)
{
    size_t same = 0;
    int r = 0;
    while (same < count && same < build->depth && frames[same].id &&
           frames[same].id == build->ids[same])
        same++;
    /* What stands above the last of them has a say in what it becomes. */
    if (build->frames.symbols && same > 0 && (same < build->depth || same < count))
        same--;
    uint32_t len = same ? build->ends[same - 1] : 0;
    if (build->base_depth > len)
        build->base_depth = len;
    size_t known = same;
    for (; known < count; known++) {
        const uint32_t *more;
        uint32_t more_count;
        r = find_frames(build, frames, count, known, len, &more, &more_count);
        if (r < 0)
            break;
        memcpy(build->path + len, more, more_count * sizeof(*more));
        len += more_count;
        build->ids[known] = frames[known].id;
        build->ends[known] = len;
    }
    build->depth = known;
    *ret_known = known;
    return r;
}

/* Notes what else of it has to be found in debug files, so that they are read once. */
static int put_off(struct build *build, uint64_t id, const struct store_frame *frames, size_t count,
                   size_t known)
{
    const uint32_t *more;
    uint32_t more_count;
    int r = reserve((void **)&build->waiting, &build->waiting_cap, build->waiting_count,
                    sizeof(*build->waiting));
    for (size_t i = known + 1; i < count && (r == 0 || r == -EAGAIN); i++)
        r = find_frames(build, frames, count, i, (uint32_t)i, &more, &more_count);
    if (r < 0 && r != -EAGAIN && r != -EFBIG)
        return r;
    build->waiting[build->waiting_count++] = id;
    return 0;
}

/* As flame_tree_walk(), but from the last stack's nodes. */
static int walk_path(struct build *build, uint32_t base, size_t count, uint32_t *ret_node)
{
    if (base != build->base)
        build->base_depth = 0;
    build->base = base;
    uint32_t node = build->base_depth ? build->nodes[build->base_depth - 1] : base;
    int r = 0;
    for (size_t i = build->base_depth; i < count && r == 0; i++) {
        r = flame_tree_walk(&build->tree, node, &build->path[i], 1, &node);
        build->nodes[i] = node;
        if (r == 0)
            build->base_depth++;
        else
            build->tree.cut += count - i - 1;
    }
    *ret_node = node;
    return r;
}

/* All rows of a stack of these frames. */
static int add_stack(struct build *build, struct stack *stack, const struct store_frame *frames,
                     size_t count)
{
    size_t known = 0;
    assert(count <= WIRE_MAX_DEPTH);
    int r = read_path(build, frames, count, &known);
    if (r == -EAGAIN)
        return put_off(build, stack->id, frames, count, known);
    uint32_t path_len = known ? build->ends[known - 1] : 0;
    bool out_of_names = r == -EFBIG;
    if (r < 0 && !out_of_names)
        return r;
    build->tree.cut += count - known;
    for (uint32_t i = stack->first_row; i != NONE; i = build->rows[i].next) {
        uint32_t node;
        r = walk_path(build, build->rows[i].node, path_len, &node);
        bool is_cut = out_of_names || r == -EFBIG;
        if (r < 0 && r != -EFBIG)
            return r;
        if (is_cut && build->query->format == QUERY_FOLDED)
            return -E2BIG;
        flame_tree_add(&build->tree, node, build->rows[i].samples, is_cut);
    }
    stack->samples = 0;
    return 0;
}

static int take_stack(void *ctx, uint64_t id, const struct store_frame *frames, size_t count)
{
    struct build *build = ctx;
    const uint32_t *at = map64_find(&build->stack_map, id);
    if (!at || build->stacks[*at].samples == 0)
        return 0;
    return add_stack(build, &build->stacks[*at], frames, count);
}

/* The stacks with the most samples first, near enough: by the number of bits. */
static int order_stacks(const struct build *build, uint64_t **ret_ids)
{
    uint64_t *ids = malloc((build->stack_count + 1) * sizeof(*ids));
    if (!ids)
        return -ENOMEM;
    uint32_t places[65] = {0};
    for (uint32_t i = 0; i < build->stack_count; i++)
        places[__builtin_clzll(build->stacks[i].samples | 1)]++;
    for (uint32_t i = 0, sum = 0; i < 65; i++) {
        uint32_t count = places[i];
        places[i] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < build->stack_count; i++)
        ids[places[__builtin_clzll(build->stacks[i].samples | 1)]++] = build->stacks[i].id;
    *ret_ids = ids;
    return 0;
}

static int give_stacks(struct build *build, struct store *store, const uint64_t *ids,
                       uint32_t count, bool is_last, struct err *err)
{
    flame_frames_begin(&build->frames, is_last);
    build->depth = 0;
    return store->ops->stacks(store, ids, count, take_stack, build, err);
}

static int read_stacks(struct build *build, struct store *store, struct err *err)
{
    _cleanup_free_ uint64_t *ids = NULL;
    int r = order_stacks(build, &ids);
    for (uint32_t from = 0; r == 0 && from < build->stack_count; from += STACKS_A_CALL) {
        uint32_t count = build->stack_count - from;
        if (count > STACKS_A_CALL)
            count = STACKS_A_CALL;
        r = give_stacks(build, store, ids + from, count, false, err);
        if (r < 0 || build->waiting_count == 0)
            continue;
        flame_frames_learn(&build->frames);
        r = give_stacks(build, store, build->waiting, build->waiting_count, true, err);
        build->waiting_count = 0;
    }
    flame_frames_begin(&build->frames, true);
    build->depth = 0;
    return r;
}

/* Retention may take a stack between the two steps; its samples were real. */
static int add_lost_stacks(struct build *build)
{
    static const struct store_frame unknown = {
        .name = "[unknown]", .object = "", .file = "", .kind = FRAME_MARKER};
    int r = 0;
    for (uint32_t i = 0; i < build->stack_count && r == 0; i++)
        if (build->stacks[i].samples > 0)
            r = add_stack(build, &build->stacks[i], &unknown, 1);
    return r;
}

static int run(struct build *build, struct store *store, struct err *err)
{
    struct store_query query = build->query->store;
    query.stacks = true;
    int r = store->ops->query(store, &query, take_row, build, err);
    if (r == 0)
        r = read_stacks(build, store, err);
    if (r == 0)
        r = add_lost_stacks(build);
    free(TAKE_PTR(build->rows));
    free(TAKE_PTR(build->stacks));
    map64_free(&build->stack_map);
    bool folded = build->query->format == QUERY_FOLDED;
    if (r == 0)
        r = flame_tree_finish(&build->tree, folded ? UINT32_MAX : build->query->max_nodes,
                              build->flame);
    return r;
}

static uint32_t node_limit(const struct query *query)
{
    if (query->format == QUERY_FOLDED)
        return QUERY_MAX_NODES;
    return query->max_nodes > MIN_NODES / 2 ? query->max_nodes * 2 : MIN_NODES;
}

int flame_query(struct store *store, struct symbols *symbols, const struct query *query,
                struct flame **ret, struct err *err)
{
    _cleanup_(build_free) struct build build = {.query = query};
    struct err inner = {0};
    build.flame = calloc(1, sizeof(*build.flame));
    int r = build.flame ? 0 : -ENOMEM;
    if (r == 0)
        r = flame_tree_init(&build.tree, node_limit(query), FLAME_MAX_BYTES,
                            query->format == QUERY_JSON, query->by_line);
    flame_frames_init(&build.frames, &build.tree, symbols);
    if (r == 0)
        r = run(&build, store, &inner);
    if (r == -E2BIG)
        return err_set(err, r,
                       "the answer would have more than %u rows, %u nodes or %zu MiB of names; "
                       "take a shorter range, more filters or fewer groups",
                       FLAME_MAX_ROWS, node_limit(query), FLAME_MAX_BYTES >> 20);
    if (r < 0 && !inner.text[0])
        err_errno(&inner, r, "building the flamegraph");
    if (r < 0) {
        if (err)
            *err = inner;
        return r;
    }
    *ret = TAKE_PTR(build.flame);
    return 0;
}

void flame_free(struct flame **flame)
{
    if (!*flame)
        return;
    free((*flame)->nodes);
    strings_free(&(*flame)->names);
    strings_free(&(*flame)->objects);
    strings_free(&(*flame)->files);
    free(TAKE_PTR(*flame));
}
