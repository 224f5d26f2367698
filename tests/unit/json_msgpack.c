/* json_msgpack.c: JSON to msgpack bytes. */
#include "json_msgpack.h"

#include <assert.h>
#include <msgpack/pack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int write_buf(void *ctx, const char *bytes, size_t len)
{
    return buf_append(ctx, bytes, len);
}

static void pack(msgpack_packer *pk, const json_t *json);

static void pack_hex(msgpack_packer *pk, const char *hex, bool bin)
{
    size_t len = strlen(hex) / 2;
    if (bin)
        msgpack_pack_bin(pk, len);
    for (size_t i = 0; i < len; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        pk->callback(pk->data, (const char *)&(uint8_t){(uint8_t)byte}, 1);
    }
}

static void pack_text(msgpack_packer *pk, const char *text, size_t len, size_t times)
{
    msgpack_pack_str(pk, len * times);
    for (size_t i = 0; i < times; i++)
        msgpack_pack_str_body(pk, text, len);
}

static void pack_repeat(msgpack_packer *pk, const json_t *args)
{
    json_int_t n = json_integer_value(json_array_get(args, 0));
    msgpack_pack_array(pk, (size_t)n);
    for (json_int_t i = 0; i < n; i++)
        pack(pk, json_array_get(args, 1));
}

static void pack_chain(msgpack_packer *pk, json_int_t n)
{
    msgpack_pack_array(pk, (size_t)n);
    for (json_int_t i = 0; i < n; i++)
        msgpack_pack_int64(pk, i > 0 ? i - 1 : 0);
}

static void pack_pairs(msgpack_packer *pk, const json_t *pairs)
{
    size_t i;
    const json_t *pair;
    msgpack_pack_map(pk, json_array_size(pairs));
    json_array_foreach(pairs, i, pair)
    {
        pack(pk, json_array_get(pair, 0));
        pack(pk, json_array_get(pair, 1));
    }
}

static void pack_object(msgpack_packer *pk, const json_t *json)
{
    const char *key;
    const json_t *value;
    msgpack_pack_map(pk, json_object_size(json));
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        pack_text(pk, key, strlen(key), 1);
        pack(pk, value);
    }
}

static void pack(msgpack_packer *pk, const json_t *json)
{
    const json_t *v;
    if (json_is_integer(json))
        msgpack_pack_int64(pk, json_integer_value(json));
    else if (json_is_real(json))
        msgpack_pack_double(pk, json_real_value(json));
    else if (json_is_string(json))
        pack_text(pk, json_string_value(json), json_string_length(json), 1);
    else if (json_is_null(json))
        msgpack_pack_nil(pk);
    else if (json_is_boolean(json))
        (json_is_true(json) ? msgpack_pack_true : msgpack_pack_false)(pk);
    else if (json_is_array(json)) {
        size_t i;
        msgpack_pack_array(pk, json_array_size(json));
        json_array_foreach(json, i, v) pack(pk, v);
    } else if ((v = json_object_get(json, "$bin")))
        pack_hex(pk, json_string_value(v), true);
    else if ((v = json_object_get(json, "$raw")))
        pack_hex(pk, json_string_value(v), false);
    else if ((v = json_object_get(json, "$uint")))
        msgpack_pack_uint64(pk, strtoull(json_string_value(v), NULL, 10));
    else if ((v = json_object_get(json, "$repeat")))
        pack_repeat(pk, v);
    else if ((v = json_object_get(json, "$chain")))
        pack_chain(pk, json_integer_value(v));
    else if ((v = json_object_get(json, "$text")))
        pack_text(pk, json_string_value(json_array_get(v, 1)),
                  json_string_length(json_array_get(v, 1)),
                  (size_t)json_integer_value(json_array_get(v, 0)));
    else if ((v = json_object_get(json, "$pairs")))
        pack_pairs(pk, v);
    else
        pack_object(pk, json);
}

void json_to_msgpack(const json_t *json, struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, write_buf);
    pack(&pk, json);
}

void json_put(json_t *root, const char *path, const char *value)
{
    char name[64];
    const char *dot;
    while ((dot = strchr(path, '.'))) {
        snprintf(name, sizeof(name), "%.*s", (int)(dot - path), path);
        root = json_object_get(root, name);
        path = dot + 1;
    }
    assert(json_is_object(root));
    if (!value) {
        assert(json_object_del(root, path) == 0);
        return;
    }
    json_error_t error;
    json_t *json = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (!json) {
        fprintf(stderr, "%s: %s\n", error.text, value);
        abort();
    }
    json_object_set_new(root, path, json);
}
