/* jit_index.c: takes pieces of code and when they came to be, gives the one that lay at an address
 * at a time. See jit_index.h.
 *
 * Code that is there now does not overlap: it lies in a treap, a search tree by address whose shape
 * is that of a random order of insertion, so that no order of addresses makes it deep (Seidel and
 * Aragon, "Randomized Search Trees"). Code that ended is kept in a list for as long as samples of
 * its time may be asked for. Where code vanished and nothing else is known to have come, a piece
 * without a name stays in the tree: what is found there next was not there before it. */
#include "symbol/jit_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/strings.h"

#define NIL     UINT32_MAX
#define NO_NAME UINT32_MAX

/* Ended code that is looked at for one question: most has been used again a few times at most. */
#define PAST_TRIES 256u

struct node {
    uint64_t start, end;
    uint64_t from_ns; /* since when it is surely there */
    uint32_t name;
    uint32_t left, right; /* right: the next free one, of a free one */
    uint32_t priority;    /* 0: free */
    uint32_t round;       /* of "all there is" in which it was told of last */
};

struct past {
    uint64_t start, end, from_ns, to_ns; /* surely there from, to, both included */
    uint64_t reach;                      /* the largest end up to here, once sorted */
    uint32_t name;
};

struct jit_index {
    size_t max_bytes;
    struct node *nodes;
    uint32_t used, room, free, root;
    size_t count; /* of those with a name */
    struct past *past;
    size_t past_count, past_room;
    bool past_sorted;
    struct strings names;
    uint32_t random, round;
    bool full; /* once: what lay where is not known of all pieces any more */
    uint64_t reuses;
};

int jit_index_new(size_t max_bytes, struct jit_index **ret, struct err *err)
{
    struct jit_index *x = calloc(1, sizeof(*x));
    if (!x)
        return err_errno(err, -ENOMEM, "an index of JIT code");
    x->max_bytes = max_bytes;
    x->root = x->free = NIL;
    x->random = 2463534242u;
    /* What the table of names takes beside their bytes is 24 a name at most. */
    x->names.max_bytes = max_bytes / 4;
    x->names.max_count = (uint32_t)(max_bytes / 128);
    *ret = x;
    return 0;
}

void jit_index_free(struct jit_index **index)
{
    struct jit_index *x = *index;
    if (!x)
        return;
    strings_free(&x->names);
    free(x->nodes);
    free(x->past);
    free(x);
    *index = NULL;
}

size_t jit_index_bytes(const struct jit_index *index)
{
    return index->room * sizeof(struct node) + index->past_room * sizeof(struct past) +
           strings_memory(&index->names);
}

size_t jit_index_count(const struct jit_index *index)
{
    return index->count;
}

uint64_t jit_index_reuses(const struct jit_index *index)
{
    return index->reuses;
}

/* Room in half as many bytes again, if the cap allows it. */
static int grow(const struct jit_index *x, void *rows, size_t *room, size_t size)
{
    size_t more = *room / 2 + 64;
    if (jit_index_bytes(x) + more * size > x->max_bytes)
        return -ENOSPC;
    void *fresh = realloc(*(void **)rows, (*room + more) * size);
    if (!fresh)
        return -ENOMEM;
    memcpy(rows, &fresh, sizeof(fresh));
    *room += more;
    return 0;
}

/* ---- the tree */

/* Marsaglia, "Xorshift RNGs"; never 0. */
static uint32_t next_random(struct jit_index *x)
{
    x->random ^= x->random << 13;
    x->random ^= x->random >> 17;
    x->random ^= x->random << 5;
    return x->random;
}

static int new_node(struct jit_index *x, uint32_t *ret)
{
    uint32_t at = x->free;
    if (at != NIL) {
        x->free = x->nodes[at].right;
    } else {
        size_t room = x->room;
        int r = x->used < x->room ? 0 : grow(x, &x->nodes, &room, sizeof(*x->nodes));
        if (r < 0)
            return r;
        x->room = (uint32_t)room;
        at = x->used++;
    }
    x->nodes[at] = (struct node){.left = NIL, .right = NIL, .priority = next_random(x)};
    *ret = at;
    return 0;
}

static void free_node(struct jit_index *x, uint32_t at)
{
    x->count -= x->nodes[at].name != NO_NAME;
    x->nodes[at] = (struct node){.right = x->free};
    x->free = at;
}

/* Starts below `start` go left. */
static void split(struct jit_index *x, uint32_t tree, uint64_t start, uint32_t *ret_left,
                  uint32_t *ret_right)
{
    uint32_t *left = ret_left, *right = ret_right;
    while (tree != NIL) {
        struct node *n = &x->nodes[tree];
        if (n->start < start) {
            *left = tree;
            left = &n->right;
            tree = n->right;
        } else {
            *right = tree;
            right = &n->left;
            tree = n->left;
        }
    }
    *left = *right = NIL;
}

/* All of `left` lies before `right`. */
static uint32_t join(struct jit_index *x, uint32_t left, uint32_t right)
{
    uint32_t root, *to = &root;
    while (left != NIL && right != NIL) {
        if (x->nodes[left].priority > x->nodes[right].priority) {
            *to = left;
            to = &x->nodes[left].right;
            left = *to;
        } else {
            *to = right;
            to = &x->nodes[right].left;
            right = *to;
        }
    }
    *to = left != NIL ? left : right;
    return root;
}

/* The last that starts at or before the address, or NIL. */
static uint32_t last_before(const struct jit_index *x, uint64_t address)
{
    uint32_t at = x->root, found = NIL;
    while (at != NIL) {
        const struct node *n = &x->nodes[at];
        if (n->start <= address)
            found = at;
        at = n->start <= address ? n->right : n->left;
    }
    return found;
}

/* ---- what was there before */

/* Where the cap leaves no room the past is forgotten: that makes names fewer, never wrong. */
static void keep_past(struct jit_index *x, const struct node *n, const struct jit_time *when)
{
    bool exact = when->after_ns == when->by_ns;
    if (n->name == NO_NAME || when->after_ns < n->from_ns + exact ||
        (x->past_count == x->past_room && grow(x, &x->past, &x->past_room, sizeof(*x->past)) < 0))
        return;
    x->past[x->past_count++] = (struct past){.start = n->start,
                                             .end = n->end,
                                             .from_ns = n->from_ns,
                                             .to_ns = when->after_ns - exact,
                                             .name = n->name};
    x->past_sorted = false;
}

static int by_start(const void *a, const void *b)
{
    const struct past *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static void sort_past(struct jit_index *x)
{
    uint64_t reach = 0;
    if (x->past_count)
        qsort(x->past, x->past_count, sizeof(*x->past), by_start);
    for (size_t i = 0; i < x->past_count; i++) {
        if (x->past[i].end > reach)
            reach = x->past[i].end;
        x->past[i].reach = reach;
    }
    x->past_sorted = true;
}

static const struct past *find_past(const struct jit_index *x, uint64_t address, uint64_t first_ns,
                                    uint64_t last_ns)
{
    size_t low = 0, high = x->past_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (x->past[mid].start <= address)
            low = mid + 1;
        else
            high = mid;
    }
    for (size_t tries = 0; low-- > 0 && x->past[low].reach > address; tries++) {
        const struct past *p = &x->past[low];
        if (tries == PAST_TRIES)
            return NULL;
        if (p->end > address && first_ns >= p->from_ns && last_ns <= p->to_ns)
            return p;
    }
    return NULL;
}

/* ---- pieces that come and go */

static int insert(struct jit_index *x, uint64_t start, uint64_t end, uint64_t from_ns,
                  uint32_t name)
{
    uint32_t at, left, right;
    if (start == end)
        return 0;
    int r = new_node(x, &at);
    if (r < 0) {
        x->full = true;
        return r;
    }
    struct node *n = &x->nodes[at];
    n->start = start;
    n->end = end;
    n->from_ns = from_ns;
    n->name = name;
    n->round = x->round;
    x->count += name != NO_NAME;
    split(x, x->root, start, &left, &right);
    x->root = join(x, join(x, left, at), right);
    return 0;
}

/* What is taken out of the tree at once. */
struct ended {
    uint64_t start, end; /* from the first piece's start to the last one's end */
    size_t count;
};

/* Recursion is as deep as the tree. */
static void end_tree(struct jit_index *x, uint32_t tree, const struct jit_time *when,
                     struct ended *e)
{
    if (tree == NIL)
        return;
    const struct node *n = &x->nodes[tree];
    uint32_t left = n->left, right = n->right;
    if (!e->count || n->start < e->start)
        e->start = n->start;
    if (!e->count || n->end > e->end)
        e->end = n->end;
    e->count++;
    keep_past(x, n, when);
    free_node(x, tree);
    end_tree(x, left, when, e);
    end_tree(x, right, when, e);
}

/* Ends all that overlaps [start, end), whole, and leaves room there; gives how many pieces. */
static size_t clear(struct jit_index *x, uint64_t start, uint64_t end, const struct jit_time *when)
{
    uint32_t left, middle, right;
    uint32_t before = start ? last_before(x, start - 1) : NIL;
    uint64_t from = before != NIL && x->nodes[before].end > start ? x->nodes[before].start : start;
    split(x, x->root, from, &left, &middle);
    split(x, middle, end, &middle, &right);
    struct ended e = {0};
    end_tree(x, middle, when, &e);
    x->root = join(x, left, right);
    if (e.count && e.start < start)
        insert(x, e.start, start, when->by_ns, NO_NAME);
    if (e.count && e.end > end)
        insert(x, end, e.end, when->by_ns, NO_NAME);
    return e.count;
}

static bool is_known(struct jit_index *x, uint64_t start, uint64_t end, uint32_t name)
{
    uint32_t at = last_before(x, start);
    if (at == NIL || x->nodes[at].start != start || x->nodes[at].end != end ||
        x->nodes[at].name != name)
        return false;
    x->nodes[at].round = x->round;
    return true;
}

/* `name` may be NO_NAME. */
static int place(struct jit_index *x, uint64_t start, uint64_t size, uint32_t name,
                 const struct jit_time *when)
{
    if (name != NO_NAME && is_known(x, start, start + size, name))
        return 0;
    size_t ended = clear(x, start, start + size, when);
    x->reuses += ended > 0;
    bool exact = when->after_ns == when->by_ns;
    uint64_t from_ns = ended || exact || x->full ? when->by_ns : 0;
    return insert(x, start, start + size, from_ns, name);
}

static bool is_range(uint64_t start, uint64_t size)
{
    return size > 0 && size <= JIT_CODE_MAX && start <= UINT64_MAX - size;
}

int jit_index_add(struct jit_index *index, uint64_t start, uint64_t size, const char *name,
                  size_t name_len, const struct jit_time *when)
{
    if (!is_range(start, size) || name_len == 0 || memchr(name, 0, name_len))
        return -EINVAL;
    uint32_t number = NO_NAME;
    size_t len = name_len < JIT_NAME_MAX ? name_len : JIT_NAME_MAX;
    int named = strings_intern(&index->names, name, len, &number);
    if (named == -EFBIG)
        named = -ENOSPC;
    int r = place(index, start, size, named < 0 ? NO_NAME : number, when);
    return named < 0 ? named : r;
}

int jit_index_move(struct jit_index *index, uint64_t from, uint64_t to, const struct jit_time *when)
{
    uint32_t at = last_before(index, from);
    if (at == NIL || index->nodes[at].start != from || index->nodes[at].name == NO_NAME)
        return -ENOENT;
    struct node moved = index->nodes[at];
    uint64_t size = moved.end - moved.start;
    if (!is_range(to, size))
        return -EINVAL;
    int r = place(index, from, size, NO_NAME, when);
    int r2 = place(index, to, size, moved.name, when);
    return r < 0 ? r : r2;
}

void jit_index_begin_all(struct jit_index *index)
{
    index->round++;
}

int jit_index_end_all(struct jit_index *index, const struct jit_time *when)
{
    struct jit_index *x = index;
    for (uint32_t i = 0; i < x->used; i++) {
        struct node *n = &x->nodes[i];
        if (!n->priority || n->round == x->round || n->name == NO_NAME)
            continue;
        keep_past(x, n, when);
        n->name = NO_NAME;
        n->from_ns = when->by_ns;
        x->count--;
    }
    return 0;
}

/* ---- questions */

bool jit_index_find(const struct jit_index *index, uint64_t address, uint64_t first_ns,
                    uint64_t last_ns, struct jit_code *ret)
{
    struct jit_index *x = (struct jit_index *)index; /* the list is sorted when it is first read */
    uint32_t at = last_before(x, address);
    const struct node *n = at == NIL || x->nodes[at].end <= address ? NULL : &x->nodes[at];
    if (n && first_ns >= n->from_ns) {
        if (n->name == NO_NAME)
            return false;
        *ret = (struct jit_code){n->start, n->end - n->start, x->names.texts[n->name]};
        return true;
    }
    if (!x->past_sorted)
        sort_past(x);
    const struct past *p = find_past(x, address, first_ns, last_ns);
    if (!p)
        return false;
    *ret = (struct jit_code){p->start, p->end - p->start, x->names.texts[p->name]};
    return true;
}

/* ---- forgetting */

static void forget_past(struct jit_index *x, uint64_t before_ns)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->past_count; i++) {
        if (x->past[i].to_ns >= before_ns)
            x->past[kept++] = x->past[i];
    }
    x->past_count = kept;
    x->past_sorted = false;
}

/* Pieces without a name only say that what comes next was not there before. */
static void forget_gaps(struct jit_index *x, uint64_t before_ns)
{
    for (uint32_t i = 0; i < x->used; i++) {
        struct node *n = &x->nodes[i];
        if (!n->priority || n->name != NO_NAME || n->from_ns >= before_ns)
            continue;
        uint32_t left, middle, right;
        split(x, x->root, n->start, &left, &middle);
        split(x, middle, n->start + 1, &middle, &right);
        free_node(x, middle);
        x->root = join(x, left, right);
    }
}

/* A long life leaves names that nothing has any more. */
static void forget_names(struct jit_index *x)
{
    struct strings fresh = {.max_bytes = x->names.max_bytes};
    _cleanup_free_ uint32_t *numbers = malloc((x->used + x->past_count + 1) * sizeof(*numbers));
    bool ok = numbers;
    for (size_t i = 0; ok && i < x->used + x->past_count; i++) {
        uint32_t name = i >= x->used           ? x->past[i - x->used].name
                        : x->nodes[i].priority ? x->nodes[i].name
                                               : NO_NAME;
        numbers[i] = NO_NAME;
        ok = name == NO_NAME || strings_add(&fresh, x->names.texts[name], &numbers[i]) == 0;
    }
    if (!ok) {
        strings_free(&fresh);
        return;
    }
    for (size_t i = 0; i < x->used; i++)
        x->nodes[i].name = numbers[i];
    for (size_t i = 0; i < x->past_count; i++)
        x->past[i].name = numbers[x->used + i];
    strings_free(&x->names);
    x->names = fresh;
}

void jit_index_forget(struct jit_index *index, uint64_t before_ns)
{
    forget_past(index, before_ns);
    forget_gaps(index, before_ns);
    if (index->names.bytes > index->names.max_bytes / 2)
        forget_names(index);
}
