/* flame_order.c: takes a grown tree, gives its nodes in pre-order with siblings sorted by name,
 * without the smallest if they are too many. All in time linear in the nodes: they are put in
 * order of their frames by counting, then of their parents, and each keeps the order before. */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "server/flame.h"
#include "server/flame_tree.h"

#define NONE UINT32_MAX

static void sum_totals(struct flame_tree *tree)
{
    for (uint32_t i = tree->node_count - 1; i > 0; i--)
        tree->nodes[tree->nodes[i].parent].total += tree->nodes[i].total;
}

/* The `rank`-th largest total, rank from 1 on: one byte of it after the other, from the top. */
static uint64_t select_total(const struct flame_tree *tree, uint32_t rank)
{
    uint64_t known = 0, mask = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        uint32_t counts[256] = {0};
        for (uint32_t i = 0; i < tree->node_count; i++)
            if ((tree->nodes[i].total & mask) == known)
                counts[tree->nodes[i].total >> shift & 0xff]++;
        int byte = 255;
        for (; rank > counts[byte]; byte--)
            rank -= counts[byte];
        known |= (uint64_t)byte << shift;
        mask |= (uint64_t)0xff << shift;
    }
    return known;
}

/* Marks what is left out by parent = NONE and gives how many nodes stay. A parent's total is at
 * least its child's and its number smaller, so with a node its ancestors stay. */
static uint32_t drop_smallest(struct flame_tree *tree, uint32_t max_nodes)
{
    if (tree->node_count <= max_nodes)
        return tree->node_count;
    uint64_t least = select_total(tree, max_nodes);
    uint32_t above = 0, kept = 0;
    for (uint32_t i = 0; i < tree->node_count; i++)
        above += tree->nodes[i].total > least;
    uint32_t ties = max_nodes - above;
    for (uint32_t i = 0; i < tree->node_count; i++) {
        struct flame_tree_node *node = &tree->nodes[i];
        if (node->total > least || (node->total == least && ties > 0)) {
            ties -= node->total == least;
            kept++;
        } else {
            node->parent = NONE;
        }
    }
    return kept;
}

static int compare_names(const void *a, const void *b, void *texts)
{
    const char *const *all = texts;
    return strcmp(all[*(const uint32_t *)a], all[*(const uint32_t *)b]);
}

/* The place of each text among all, sorted. */
static int rank_strings(const struct strings *strings, uint32_t **ret_ranks)
{
    _cleanup_free_ uint32_t *sorted = malloc((strings->count + 1) * sizeof(*sorted));
    _cleanup_free_ uint32_t *ranks = malloc((strings->count + 1) * sizeof(*ranks));
    if (!sorted || !ranks)
        return -ENOMEM;
    for (uint32_t i = 0; i < strings->count; i++)
        sorted[i] = i;
    qsort_r(sorted, strings->count, sizeof(*sorted), compare_names, strings->texts);
    for (uint32_t i = 0; i < strings->count; i++)
        ranks[sorted[i]] = i;
    *ret_ranks = TAKE_PTR(ranks);
    return 0;
}

struct frame_rank {
    uint32_t name, object, file; /* ranks */
    uint32_t line;
    uint32_t frame;
    uint8_t kind;
};

static int compare_frames(const void *a, const void *b)
{
    const struct frame_rank *x = a, *y = b;
    if (x->name != y->name)
        return x->name < y->name ? -1 : 1;
    if (x->object != y->object)
        return x->object < y->object ? -1 : 1;
    if (x->kind != y->kind)
        return (int)x->kind - (int)y->kind;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->line < y->line ? -1 : x->line > y->line;
}

/* The place of each frame among all, by name, then object, kind, file and line. */
static int rank_frames(const struct flame_tree *tree, uint32_t **ret_ranks)
{
    _cleanup_free_ uint32_t *names = NULL, *objects = NULL, *files = NULL;
    int r = rank_strings(&tree->names, &names);
    if (r == 0)
        r = rank_strings(&tree->objects, &objects);
    if (r == 0)
        r = rank_strings(&tree->files, &files);
    if (r < 0)
        return r;
    _cleanup_free_ struct frame_rank *sorted = malloc(tree->frame_count * sizeof(*sorted));
    _cleanup_free_ uint32_t *ranks = malloc(tree->frame_count * sizeof(*ranks));
    if (!sorted || !ranks)
        return -ENOMEM;
    for (uint32_t i = 0; i < tree->frame_count; i++) {
        const struct flame_tree_frame *frame = &tree->frames[i];
        sorted[i] = (struct frame_rank){
            .name = names[frame->name],
            .object = objects[frame->object],
            .file = files[frame->file],
            .line = frame->line,
            .frame = i,
            .kind = frame->kind,
        };
    }
    qsort(sorted, tree->frame_count, sizeof(*sorted), compare_frames);
    for (uint32_t i = 0; i < tree->frame_count; i++)
        ranks[sorted[i].frame] = i;
    *ret_ranks = TAKE_PTR(ranks);
    return 0;
}

/* Turns counts into the first place of each. */
static void to_starts(uint32_t *counts, uint32_t len)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < len; i++) {
        uint32_t count = counts[i];
        counts[i] = sum;
        sum += count;
    }
}

/* The nodes but the root in order of (parent, frame's rank). starts[p] is where p's children end:
 * placing moved it there, and where they start is where those of p - 1 end. */
static int sort_children(const struct flame_tree *tree, uint32_t kept, uint32_t **ret_children,
                         uint32_t **ret_ends)
{
    _cleanup_free_ uint32_t *ranks = NULL;
    int r = rank_frames(tree, &ranks);
    if (r < 0)
        return r;
    _cleanup_free_ uint32_t *places = calloc(tree->frame_count + 1, sizeof(*places));
    _cleanup_free_ uint32_t *ends = calloc(tree->node_count + 1, sizeof(*ends));
    _cleanup_free_ uint32_t *by_frame = malloc((kept + 1) * sizeof(*by_frame));
    _cleanup_free_ uint32_t *children = malloc((kept + 1) * sizeof(*children));
    if (!places || !ends || !by_frame || !children)
        return -ENOMEM;
    for (uint32_t i = 1; i < tree->node_count; i++) {
        if (tree->nodes[i].parent == NONE)
            continue;
        places[ranks[tree->nodes[i].frame]]++;
        ends[tree->nodes[i].parent]++;
    }
    to_starts(places, tree->frame_count);
    to_starts(ends, tree->node_count);
    for (uint32_t i = 1; i < tree->node_count; i++)
        if (tree->nodes[i].parent != NONE)
            by_frame[places[ranks[tree->nodes[i].frame]]++] = i;
    for (uint32_t i = 0; i + 1 < kept; i++)
        children[ends[tree->nodes[by_frame[i]].parent]++] = by_frame[i];
    *ret_children = TAKE_PTR(children);
    *ret_ends = TAKE_PTR(ends);
    return 0;
}

static void emit(const struct flame_tree *tree, uint32_t node, uint16_t depth, struct flame *flame)
{
    const struct flame_tree_node *from = &tree->nodes[node];
    const struct flame_tree_frame *frame = &tree->frames[from->frame];
    flame->nodes[flame->node_count++] = (struct flame_node){
        .self = from->self,
        .total = from->total,
        .name = frame->name,
        .object = frame->object,
        .file = frame->file,
        .line = frame->line,
        .depth = depth,
        .kind = frame->kind,
    };
}

/* Deepest first: a stack of what is left of each level's siblings. */
static void walk(const struct flame_tree *tree, const uint32_t *children, const uint32_t *ends,
                 struct flame *flame)
{
    struct {
        uint32_t next, end;
    } levels[FLAME_MAX_DEPTH];
    uint16_t depth = 0;
    emit(tree, FLAME_TREE_ROOT, 0, flame);
    levels[0].next = 0;
    levels[0].end = ends[FLAME_TREE_ROOT];
    for (;;) {
        if (levels[depth].next == levels[depth].end) {
            if (depth == 0)
                return;
            depth--;
            continue;
        }
        uint32_t node = children[levels[depth].next++];
        depth++;
        assert(depth < FLAME_MAX_DEPTH);
        emit(tree, node, depth, flame);
        levels[depth].next = node ? ends[node - 1] : 0;
        levels[depth].end = ends[node];
    }
}

/* Only texts of nodes that stayed are kept, numbered in the order they are met; the bytes stay
 * where they are. */
static int renumber(struct strings *strings, struct flame *flame, size_t member)
{
    _cleanup_free_ uint32_t *numbers = malloc((strings->count + 1) * sizeof(*numbers));
    const char **texts = malloc((strings->count + 1) * sizeof(*texts));
    if (!numbers || !texts) {
        free(texts);
        return -ENOMEM;
    }
    memset(numbers, 0xff, (strings->count + 1) * sizeof(*numbers));
    uint32_t count = 0;
    for (uint32_t i = 0; i < flame->node_count; i++) {
        uint32_t *text = (uint32_t *)((char *)&flame->nodes[i] + member);
        if (numbers[*text] == NONE) {
            texts[count] = strings->texts[*text];
            numbers[*text] = count++;
        }
        *text = numbers[*text];
    }
    free(strings->texts);
    strings->texts = texts;
    strings->count = strings->cap = count;
    free(strings->slots);
    strings->slots = NULL;
    return 0;
}

int flame_tree_finish(struct flame_tree *tree, uint32_t max_nodes, struct flame *flame)
{
    /* The maps are the larger part of a tree, and no longer needed. */
    map64_free(&tree->node_map);
    map64_free(&tree->frame_map);
    map64_free(&tree->place_map);
    map64_free(&tree->line_map);
    sum_totals(tree);
    uint32_t kept = drop_smallest(tree, max_nodes);
    _cleanup_free_ uint32_t *children = NULL, *ends = NULL;
    int r = sort_children(tree, kept, &children, &ends);
    if (r < 0)
        return r;
    flame->nodes = malloc(kept * sizeof(*flame->nodes));
    if (!flame->nodes)
        return -ENOMEM;
    walk(tree, children, ends, flame);
    flame->folded_nodes = tree->node_count - kept + tree->cut;
    r = renumber(&tree->names, flame, offsetof(struct flame_node, name));
    if (r == 0)
        r = renumber(&tree->objects, flame, offsetof(struct flame_node, object));
    if (r == 0)
        r = renumber(&tree->files, flame, offsetof(struct flame_node, file));
    if (r < 0)
        return r;
    flame->names = tree->names;
    flame->objects = tree->objects;
    flame->files = tree->files;
    tree->names = tree->objects = tree->files = (struct strings){0};
    return 0;
}
