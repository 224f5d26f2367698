/* naming_made.c: takes addresses of code made at run time, gives its functions. See naming_made.h.
 */
#include "agent/naming_made.h"

#include <stdbool.h>
#include <stdlib.h>

#include "agent/jit.h"
#include "agent/naming.h"
#include "base/strings.h"
#include "symbol/jit_name.h"
#include "symbol/symbol.h"

struct naming_made {
    struct strings strings;
    struct symbol_frame *frames;
    size_t count, room;
    struct name
        *names; /* of the call at hand; frame_count, and in address where its frames begin */
    struct jit_name decoded;
};

void naming_made_free(struct naming_made **made)
{
    struct naming_made *m = *made;
    if (!m)
        return;
    strings_free(&m->strings);
    free(m->frames);
    free(m);
    *made = NULL;
}

static const char *keep(struct naming_made *m, const char *text)
{
    uint32_t at;
    return text && strings_add(&m->strings, text, &at) == 0 ? m->strings.texts[at] : NULL;
}

static bool reserve(struct naming_made *m, size_t more)
{
    if (m->count + more <= m->room)
        return true;
    size_t room = m->room * 2 + more + 64;
    struct symbol_frame *frames = reallocarray(m->frames, room, sizeof(*frames));
    if (!frames)
        return false;
    m->frames = frames;
    m->room = room;
    return true;
}

static void take(void *ctx, size_t span, const char *name, bool java)
{
    struct naming_made *m = ctx;
    struct jit_name *d = &m->decoded;
    jit_name_decode(name, java, d);
    if (!reserve(m, d->count))
        return;
    struct name *to = &m->names[span];
    *to = (struct name){.address = m->count};
    for (size_t i = 0; i < d->count; i++) {
        struct symbol_frame f = {keep(m, d->frames[i].name), keep(m, d->frames[i].file),
                                 d->frames[i].line};
        if (!f.name)
            return;
        m->frames[m->count++] = f;
        to->frame_count++;
    }
}

void naming_made_find(struct naming_made **made, struct jit *jit, uint32_t process,
                      const struct jit_span *spans, size_t count, struct name *ret)
{
    for (size_t i = 0; i < count; i++)
        ret[i] = (struct name){.address = spans[i].address};
    if (!jit || (!*made && !(*made = calloc(1, sizeof(**made)))))
        return;
    struct naming_made *m = *made;
    strings_clear(&m->strings);
    m->count = 0;
    m->names = ret;
    jit_find(jit, process, spans, count, take, m);
    for (size_t i = 0; i < count; i++) {
        if (ret[i].frame_count)
            ret[i] = (struct name){.frames = m->frames + ret[i].address,
                                   .frame_count = ret[i].frame_count};
    }
}
