/* flame_frames.c: takes frames of the store, gives the tree's. See flame_frames.h. */
#include "server/flame_frames.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "server/flame_tree.h"
#include "server/store.h"
#include "server/symbols.h"
#include "symbol/symbol.h"

#define NOTED     (UINT32_MAX - 1) /* instead of a place in the list */
#define ASKED_MAX 262144u          /* of one query; the rest is asked for by the next */

/* No id of the store's has it: a frame may stand in one query as it is and as several. */
#define AS_IT_IS (UINT64_C(1) << 63)

void flame_frames_init(struct flame_frames *f, struct flame_tree *tree, struct symbols *symbols)
{
    *f = (struct flame_frames){.tree = tree, .symbols = symbols};
    f->left_ns = symbols ? symbols_within_ns(symbols) : 0;
}

void flame_frames_free(struct flame_frames *f)
{
    map64_free(&f->map);
    free(TAKE_PTR(f->list));
    free(TAKE_PTR(f->asked));
}

void flame_frames_begin(struct flame_frames *f, bool is_last)
{
    map64_free(&f->map);
    f->list_count = 0;
    f->asked_count = 0;
    f->is_last = is_last;
}

static int reserve_list(struct flame_frames *f, uint32_t more)
{
    if (f->list_count + more <= f->list_cap)
        return 0;
    uint32_t cap = f->list_cap * 2 + more + 256;
    uint32_t *list = reallocarray(f->list, cap, sizeof(*list));
    if (!list)
        return -ENOMEM;
    f->list = list;
    f->list_cap = cap;
    return 0;
}

static int add_one(struct flame_frames *f, const struct store_frame *frame)
{
    int r = reserve_list(f, 2);
    if (r == 0)
        r = flame_tree_frame(f->tree, frame, &f->list[f->list_count + 1]);
    if (r < 0)
        return r;
    f->list[f->list_count] = 1;
    f->list_count += 2;
    return 0;
}

/* ---- from debug files */

struct telling {
    struct flame_frames *to;
    const struct store_frame *frame;
};

static int add_told(void *ctx, const struct symbol_frame *functions, uint32_t count)
{
    struct telling *t = ctx;
    struct flame_frames *f = t->to;
    int r = reserve_list(f, count + 1);
    for (uint32_t i = 0; i < count && r == 0; i++) {
        struct store_frame frame = *t->frame;
        frame.name = functions[i].name;
        frame.file = functions[i].file ? functions[i].file : "";
        frame.line = functions[i].line;
        frame.kind = i == 0 ? t->frame->kind : FRAME_INLINED;
        r = flame_tree_frame(f->tree, &frame, &f->list[f->list_count + 1 + i]);
    }
    if (r < 0)
        return r;
    f->list[f->list_count] = count;
    f->list_count += count + 1;
    return 0;
}

/* 1: noted. Past the limit the frame stays as it is. */
static int note(struct flame_frames *f, const struct symbols_ask *ask)
{
    if (f->asked_count == ASKED_MAX)
        return 0;
    if (f->asked_count == f->asked_cap) {
        uint32_t cap = f->asked_cap * 2 + 256;
        struct symbols_ask *asked = reallocarray(f->asked, cap, sizeof(*asked));
        if (!asked)
            return -ENOMEM;
        f->asked = asked;
        f->asked_cap = cap;
    }
    f->asked[f->asked_count++] = *ask;
    return 1;
}

/* Adds the frame's functions. 1: they must be read first; 0 with nothing added: none are known. */
static int ask(struct flame_frames *f, const struct store_frame *frame)
{
    struct telling telling = {f, frame};
    struct symbols_ask noted;
    int failed = 0;
    switch (symbols_find(f->symbols, frame, f->is_last || f->left_ns <= 0, add_told, &telling,
                         &failed, &noted)) {
    case SYMBOLS_ASK:
        return note(f, &noted);
    case SYMBOLS_TOLD:
        return failed;
    default:
        return 0;
    }
}

void flame_frames_learn(struct flame_frames *f)
{
    int64_t begin_ns = clock_ns(CLOCK_MONOTONIC);
    symbols_learn(f->symbols, f->asked, f->asked_count, f->left_ns);
    f->left_ns -= clock_ns(CLOCK_MONOTONIC) - begin_ns;
}

/* ---- */

static int add(struct flame_frames *f, const struct store_frame *frame, bool as_it_is,
               uint32_t *ret_at)
{
    uint32_t at = f->list_count;
    int r = 0;
    if (f->symbols && !as_it_is && symbols_may_tell(frame))
        r = ask(f, frame);
    if (r == 0 && f->list_count == at)
        r = add_one(f, frame);
    *ret_at = r == 1 ? NOTED : at;
    return r < 0 ? r : 0;
}

int flame_frames_find(struct flame_frames *f, const struct store_frame *frame, bool as_it_is,
                      const uint32_t **ret, uint32_t *ret_count)
{
    uint64_t key = frame->id | (as_it_is ? AS_IT_IS : 0);
    const uint32_t *known = frame->id ? map64_find(&f->map, key) : NULL;
    uint32_t at = known ? *known : 0;
    if (!known) {
        int r = add(f, frame, as_it_is, &at);
        if (r < 0)
            return r;
        bool is_new;
        uint32_t *place = frame->id ? map64_place(&f->map, key, &is_new) : &at;
        if (!place)
            return -ENOMEM;
        *place = at;
    }
    if (at == NOTED)
        return -EAGAIN;
    *ret = f->list + at + 1;
    *ret_count = f->list[at];
    return 0;
}
