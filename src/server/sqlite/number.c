/* number.c: takes rows of a batch, gives the numbers they have in a day's dictionary. A stack that
 * is known there costs one look-up: its frames and their names are then known too. */
#include "server/sqlite/number.h"

#include <errno.h>
#include <stdlib.h>

#include "base/err.h"
#include "server/sqlite/dict.h"
#include "server/sqlite/hash.h"
#include "server/sqlite/series.h"
#include "server/sqlite/varint.h"
#include "wire/batch.h"

int numbers_init(struct numbers *n, const struct batch *b, const struct batch_hashes *hashes,
                 const struct batch_series *series, struct dict *dict, struct err *err)
{
    size_t total =
        (size_t)b->string_count + b->object_count + b->frame_count + b->stack_count + series->count;
    *n = (struct numbers){.batch = b, .hashes = hashes, .series = series, .dict = dict};
    n->string_ids = calloc(total + 1, sizeof(uint32_t));
    if (!n->string_ids)
        return err_errno(err, -ENOMEM, "numbering %zu rows", total);
    n->object_ids = n->string_ids + b->string_count;
    n->frame_ids = n->object_ids + b->object_count;
    n->stack_ids = n->frame_ids + b->frame_count;
    n->series_ids = n->stack_ids + b->stack_count;
    return dict_string(dict, b->node, &n->node_id, err);
}

void numbers_free(struct numbers *n)
{
    free(n->string_ids);
    free(n->bytes);
    *n = (struct numbers){0};
}

static int reserve(struct numbers *n, size_t bytes, struct err *err)
{
    if (bytes <= n->bytes_cap)
        return 0;
    uint8_t *more = realloc(n->bytes, bytes);
    if (!more)
        return err_errno(err, -ENOMEM, "packing %zu bytes", bytes);
    n->bytes = more;
    n->bytes_cap = bytes;
    return 0;
}

int number_string(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t *id = &n->string_ids[row];
    const char *text = n->batch->strings[row];
    if (*id == 0 && text[0]) {
        struct hash hash = n->hashes->strings[row];
        int r = dict_find(n->dict, DICT_STRING, hash, id, err);
        if (r == 0 && *id == 0)
            r = dict_add_string(n->dict, hash, text, id, err);
        if (r < 0)
            return r;
    }
    *ret_id = *id;
    return 0;
}

static int number_object(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t *id = &n->object_ids[row];
    if (*id == 0) {
        struct hash hash = n->hashes->objects[row];
        int r = dict_find(n->dict, DICT_OBJECT, hash, id, err);
        if (r == 0 && *id == 0) {
            const struct batch_object *o = &n->batch->objects[row];
            struct dict_object d = {.kind = o->kind,
                                    .flags = o->flags,
                                    .build_id_len = o->build_id_len,
                                    .build_id = o->build_id};
            r = number_string(n, o->path, &d.path, err);
            if (r == 0)
                r = dict_add_object(n->dict, hash, &d, id, err);
        }
        if (r < 0)
            return r;
    }
    *ret_id = *id;
    return 0;
}

static int add_frame(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    const struct batch_frame *f = &n->batch->frames[row];
    struct dict_frame d = {.address = f->address, .line = f->line, .kind = f->kind};
    int r = number_object(n, f->object, &d.object, err);
    if (r == 0)
        r = number_string(n, f->name, &d.name, err);
    if (r == 0)
        r = number_string(n, f->file, &d.file, err);
    if (r == 0)
        r = dict_add_frame(n->dict, n->hashes->frames[row], &d, ret_id, err);
    return r;
}

static int number_frame(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t *id = &n->frame_ids[row];
    if (*id == 0) {
        int r = dict_find(n->dict, DICT_FRAME, n->hashes->frames[row], id, err);
        if (r == 0 && *id == 0)
            r = add_frame(n, row, id, err);
        if (r < 0)
            return r;
    }
    *ret_id = *id;
    return 0;
}

static int add_stack(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t way[WIRE_MAX_DEPTH], depth = 0; /* leaf first */
    for (uint32_t at = row; at != 0 && depth < WIRE_MAX_DEPTH; at = n->batch->stacks[at].parent)
        way[depth++] = n->batch->stacks[at].frame;
    int r = reserve(n, (size_t)depth * VARINT_MAX, err);
    if (r < 0)
        return r;
    uint8_t *end = n->bytes;
    while (depth-- > 0) {
        uint32_t frame;
        r = number_frame(n, way[depth], &frame, err);
        if (r < 0)
            return r;
        end = varint_put(end, frame);
    }
    return dict_add_stack(n->dict, n->hashes->stacks[row], n->bytes, (size_t)(end - n->bytes),
                          ret_id, err);
}

int number_stack(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t *id = &n->stack_ids[row];
    if (*id == 0 && row != 0) {
        int r = dict_find(n->dict, DICT_STACK, n->hashes->stacks[row], id, err);
        if (r == 0 && *id == 0)
            r = add_stack(n, row, id, err);
        if (r < 0)
            return r;
    }
    *ret_id = *id;
    return 0;
}

static int add_series(struct numbers *n, const struct series_row *row, uint32_t *ret_id,
                      struct err *err)
{
    const struct batch_process *p = &n->batch->processes[row->process];
    struct dict_series d = {.node = n->node_id};
    int r = reserve(n, (size_t)row->label_count * 2 * VARINT_MAX, err);
    if (r == 0)
        r = number_string(n, p->name, &d.process, err);
    if (r == 0)
        r = number_string(n, p->cgroup, &d.cgroup, err);
    uint8_t *end = n->bytes;
    for (uint32_t i = 0; r == 0 && i < row->label_count; i++) {
        const struct batch_label *l = &n->batch->labels[n->series->labels[row->first_label + i]];
        uint32_t key = 0, value = 0;
        r = number_string(n, l->key, &key, err);
        if (r == 0)
            r = number_string(n, l->value, &value, err);
        end = varint_put(varint_put(end, key), value);
    }
    if (r < 0)
        return r;
    d.labels = n->bytes;
    d.labels_len = (size_t)(end - n->bytes);
    return dict_add_series(n->dict, row->hash, &d, ret_id, err);
}

int number_series(struct numbers *n, uint32_t row, uint32_t *ret_id, struct err *err)
{
    uint32_t *id = &n->series_ids[row];
    if (*id == 0) {
        const struct series_row *s = &n->series->rows[row];
        int r = dict_find(n->dict, DICT_SERIES, s->hash, id, err);
        if (r == 0 && *id == 0)
            r = add_series(n, s, id, err);
        if (r < 0)
            return r;
    }
    *ret_id = *id;
    return 0;
}
