/* encode.c: takes a batch, gives its bytes: the body by msgpack-c's packer, one zstd frame around
 * it, the header of format.h in front. */
#include <errno.h>
#include <msgpack/pack.h>
#include <stdbool.h>
#include <string.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/body.h"
#include "wire/schema.h"
#include "wire/utf8.h"

/* zstd's own default. Level 1 saves half of a few milliseconds per window and costs every hop
 * between here and the server a fifth more bytes. */
#define ENCODE_LEVEL 3

/* The first failure of a buffer ends the body, but the packer's calls need not each be checked: a
 * buffer that is full stays full. */
struct packing {
    msgpack_packer pk;
    struct buf *out;
    int failed; /* 0 or -errno */
};

static int packing_write(void *ctx, const char *bytes, size_t len)
{
    struct packing *p = ctx;
    if (p->failed == 0)
        p->failed = buf_append(p->out, bytes, len);
    return p->failed;
}

static void pack_key(struct packing *p, const char *key)
{
    size_t len = strlen(key);
    msgpack_pack_str(&p->pk, len);
    msgpack_pack_str_body(&p->pk, key, len);
}

/* Names come out of containers as they are: too long ones are cut, broken characters replaced, so
 * that no name can make a batch undeliverable. */
static void pack_text(struct packing *p, const char *text)
{
    size_t len = strnlen(text, WIRE_MAX_STRING + 1);
    len = utf8_cut(text, len, WIRE_MAX_STRING);
    msgpack_pack_str(&p->pk, len);
    msgpack_pack_str_body(&p->pk, text, len);
    if (p->failed == 0)
        utf8_repair((char *)p->out->data + p->out->len - len, len);
}

static void pack_pair_text(struct packing *p, const char *key, const char *text)
{
    pack_key(p, key);
    pack_text(p, text);
}

static void pack_pair_uint(struct packing *p, const char *key, uint64_t value)
{
    pack_key(p, key);
    msgpack_pack_uint64(&p->pk, value);
}

static void pack_node(struct packing *p, const struct batch *b)
{
    pack_key(p, "node");
    msgpack_pack_map(&p->pk, 6);
    pack_pair_text(p, "name", b->node);
    pack_pair_text(p, "boot_id", b->boot_id);
    pack_pair_text(p, "kernel", b->kernel);
    pack_pair_text(p, "arch", b->arch);
    pack_pair_text(p, "agent", b->agent);
    pack_pair_uint(p, "cpus", b->cpus);
}

static void pack_window(struct packing *p, const struct batch *b)
{
    pack_key(p, "window");
    msgpack_pack_map(&p->pk, 4);
    pack_pair_uint(p, "start_ns", (uint64_t)b->start_ns);
    pack_pair_uint(p, "end_ns", (uint64_t)b->end_ns);
    pack_pair_uint(p, "slot_ns", (uint64_t)b->slot_ns);
    pack_pair_uint(p, "period_ns", (uint64_t)b->period_ns);
}

static void pack_strings(struct packing *p, const struct batch *b)
{
    pack_key(p, "strings");
    msgpack_pack_array(&p->pk, b->string_count);
    for (uint32_t i = 0; i < b->string_count; i++)
        pack_text(p, b->strings[i]);
}

static void pack_build_id(struct packing *p, const struct batch_object *object)
{
    msgpack_pack_bin(&p->pk, object->build_id_len);
    msgpack_pack_bin_body(&p->pk, object->build_id, object->build_id_len);
}

static void pack_figure(struct packing *p, uint64_t value)
{
    if (value == WIRE_UNKNOWN)
        msgpack_pack_nil(&p->pk);
    else
        msgpack_pack_uint64(&p->pk, value);
}

static void pack_column(struct packing *p, const struct batch *b, const struct wire_table *t,
                        const struct wire_column *c)
{
    const uint8_t *row = schema_rows(b, t);
    uint32_t count = schema_count(b, t);
    /* An empty table may be NULL, to which C forbids to add even 0. */
    const uint8_t *end = count ? row + (size_t)count * t->row_size : row;
    pack_key(p, c->name);
    msgpack_pack_array(&p->pk, count);
    switch ((enum column_type)c->type) {
    case COLUMN_U8:
        for (; row < end; row += t->row_size)
            msgpack_pack_uint8(&p->pk, row[c->offset]);
        break;
    case COLUMN_U32:
    case COLUMN_METHODS:
        for (; row < end; row += t->row_size)
            msgpack_pack_uint32(&p->pk, *(const uint32_t *)(row + c->offset));
        break;
    case COLUMN_U64:
        for (; row < end; row += t->row_size)
            msgpack_pack_uint64(&p->pk, *(const uint64_t *)(row + c->offset));
        break;
    case COLUMN_TIME:
        for (; row < end; row += t->row_size) {
            int64_t ns = *(const int64_t *)(row + c->offset);
            msgpack_pack_uint64(&p->pk, ns < 0 ? 0 : (uint64_t)ns);
        }
        break;
    case COLUMN_BUILD_ID:
        for (; row < end; row += t->row_size)
            pack_build_id(p, (const struct batch_object *)row);
        break;
    case COLUMN_FIGURE:
        for (; row < end; row += t->row_size)
            pack_figure(p, *(const uint64_t *)(row + c->offset));
        break;
    }
}

static bool is_packed(const struct batch *b, const struct wire_table *t)
{
    return !t->optional || schema_count(b, t) > 0;
}

static void pack_table(struct packing *p, const struct batch *b, const struct wire_table *t)
{
    pack_key(p, t->name);
    msgpack_pack_map(&p->pk, t->column_count);
    for (unsigned i = 0; i < t->column_count; i++)
        pack_column(p, b, t, &t->columns[i]);
}

static void pack_counters(struct packing *p, const struct batch *b)
{
    pack_key(p, "counters");
    msgpack_pack_map(&p->pk, b->counter_count);
    for (uint32_t i = 0; i < b->counter_count; i++)
        pack_pair_uint(p, b->counters[i].name, b->counters[i].value);
}

int body_encode(const struct batch *batch, struct buf *out, struct err *err)
{
    int r = batch_check(batch, err);
    if (r < 0)
        return err_wrap(err, r, "encoding a batch");
    size_t start = out->len;
    struct packing p = {.out = out};
    msgpack_packer_init(&p.pk, &p, packing_write);
    unsigned tables = 0;
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        tables += is_packed(batch, &schema_tables[i]);
    msgpack_pack_map(&p.pk, 5 + tables);
    pack_node(&p, batch);
    pack_pair_uint(&p, "seq", batch->seq);
    pack_window(&p, batch);
    pack_strings(&p, batch);
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (is_packed(batch, &schema_tables[i]))
            pack_table(&p, batch, &schema_tables[i]);
    pack_counters(&p, batch);
    if (p.failed == 0)
        return 0;
    out->len = start;
    if (p.failed == -EFBIG)
        return err_set(err, -EFBIG, "encoding a batch: its body is over WIRE_MAX_BODY (%zu bytes)",
                       out->max);
    return err_errno(err, p.failed, "encoding a batch");
}

static void cleanup_cctx(ZSTD_CCtx **ctx)
{
    ZSTD_freeCCtx(*ctx);
}

static int compress(const struct buf *body, struct buf *out, struct err *err)
{
    _cleanup_(cleanup_cctx) ZSTD_CCtx *ctx = ZSTD_createCCtx();
    int r = ctx ? buf_reserve(out, ZSTD_compressBound(body->len)) : -ENOMEM;
    if (r < 0)
        return err_errno(err, r, "compressing a batch of %zu bytes", body->len);
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, ENCODE_LEVEL);
    ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
    size_t n =
        ZSTD_compress2(ctx, out->data + out->len, out->cap - out->len, body->data, body->len);
    if (ZSTD_isError(n))
        return err_set(err, -EIO, "compressing a batch of %zu bytes: %s", body->len,
                       ZSTD_getErrorName(n));
    if (n > WIRE_MAX_COMPRESSED - WIRE_HEADER_SIZE)
        return err_set(err, -EFBIG,
                       "encoding a batch: %zu compressed bytes are over WIRE_MAX_COMPRESSED (%u)",
                       n, WIRE_MAX_COMPRESSED);
    out->len += n;
    return 0;
}

static void cleanup_buf(struct buf *buf)
{
    buf_free(buf);
}

int batch_encode(const struct batch *batch, struct buf *out, struct err *err)
{
    _cleanup_(cleanup_buf) struct buf body = {.max = WIRE_MAX_BODY};
    int r = body_encode(batch, &body, err);
    if (r < 0)
        return r;
    size_t start = out->len;
    uint8_t header[WIRE_HEADER_SIZE] = WIRE_MAGIC;
    header[4] = WIRE_VERSION;
    header[5] = WIRE_ZSTD;
    for (unsigned i = 0; i < 4; i++)
        header[8 + i] = (uint8_t)(body.len >> (8 * i));
    r = buf_append(out, header, sizeof(header));
    if (r < 0)
        return err_errno(err, r, "encoding a batch");
    r = compress(&body, out, err);
    if (r < 0)
        out->len = start;
    return r;
}
