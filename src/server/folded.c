/* folded.c: takes a flame, gives a line for each node in which samples end: the names from the root
 * on with `;` between them, a blank, the samples. See folded.h. */
#include "server/folded.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "server/display_name.h"
#include "server/flame.h"
#include "server/flame_tree.h" /* FLAME_MAX_DEPTH */
#include "server/json.h"
#include "server/stream.h"

struct folded {
    struct stream stream;
    struct flame *flame;
    bool short_names;
    uint32_t node;                /* the next to write */
    struct buf line;              /* the path to the node before it */
    size_t ends[FLAME_MAX_DEPTH]; /* of each depth's name in the line */
};

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_plain(const char *at)
{
    unsigned char c = (unsigned char)*at;
    if (c == '%')
        return !(is_hex(at[1]) && is_hex(at[2]));
    return c >= ' ' && c != ';' && c != 0x7f;
}

int folded_put_name(struct buf *buf, const char *name)
{
    int r = 0;
    while (r == 0 && *name) {
        size_t plain = 0;
        while (name[plain] && is_plain(name + plain))
            plain++;
        r = buf_append(buf, name, plain);
        name += plain;
        if (r == 0 && *name)
            r = buf_printf(buf, "%%%02X", (unsigned char)*name++);
    }
    return r;
}

static const char *suffix_of(uint8_t kind)
{
    switch (kind) {
    case FRAME_KERNEL:
        return "_[k]";
    case FRAME_JIT:
        return "_[j]";
    case FRAME_INLINED:
        return "_[i]";
    default:
        return "";
    }
}

/* The name, and the line if one was asked for and is known. */
static int put_label(struct folded *folded, const struct flame_node *node)
{
    char shown[SHORT_NAME_MAX];
    const char *name = folded->flame->names.texts[node->name];
    if (folded->short_names && display_name(name, node->kind, shown))
        name = shown;
    int r = folded_put_name(&folded->line, name);
    return r == 0 && node->line ? buf_printf(&folded->line, ":%" PRIu32, node->line) : r;
}

/* The root has no place in a line: flamegraph.pl draws one of its own. */
static int extend_line(struct folded *folded, const struct flame_node *node)
{
    struct buf *line = &folded->line;
    int r = 0;
    if (node->depth == 0)
        return 0;
    line->len = node->depth > 1 ? folded->ends[node->depth - 1] : 0;
    if (node->depth > 1)
        r = buf_append(line, ";", 1);
    if (r == 0)
        r = put_label(folded, node);
    if (r == 0)
        r = buf_puts(line, suffix_of(node->kind));
    folded->ends[node->depth] = line->len;
    return r;
}

static int put_node(struct folded *folded, const struct flame_node *node, struct buf *out)
{
    int r = extend_line(folded, node);
    if (r < 0 || node->self == 0)
        return r;
    r = node->depth ? buf_append(out, folded->line.data, folded->line.len)
                    : buf_puts(out, "[unknown]");
    if (r == 0)
        r = buf_append(out, " ", 1);
    if (r == 0)
        r = json_u64(out, node->self);
    return r < 0 ? r : buf_append(out, "\n", 1);
}

static int folded_next(struct stream *stream, struct buf *out)
{
    struct folded *folded = (struct folded *)stream;
    const struct flame *flame = folded->flame;
    int r = 0;
    while (r == 0 && folded->node < flame->node_count && out->len < STREAM_PIECE)
        r = put_node(folded, &flame->nodes[folded->node++], out);
    return r < 0 ? r : folded->node < flame->node_count;
}

static void folded_free(struct stream *stream)
{
    struct folded *folded = (struct folded *)stream;
    flame_free(&folded->flame);
    buf_free(&folded->line);
    free(folded);
}

int folded_open(struct flame **flame, bool short_names, struct stream **ret)
{
    struct folded *folded = calloc(1, sizeof(*folded));
    if (!folded)
        return -ENOMEM;
    folded->stream = (struct stream){folded_next, folded_free};
    folded->flame = TAKE_PTR(*flame);
    folded->short_names = short_names;
    *ret = &folded->stream;
    return 0;
}
