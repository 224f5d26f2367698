/* print.c: takes a checked batch, gives its JSON. */
#include "wire/print.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "wire/batch.h"
#include "wire/schema.h"
#include "wire/utf8.h"

/* RFC 8259, 7. What is not UTF-8 becomes U+FFFD, byte by byte, as the encoder would repair it. */
static void print_text(const char *text, FILE *to)
{
    size_t left = strlen(text);
    putc('"', to);
    while (left > 0) {
        size_t good = utf8_valid_prefix(text, left);
        for (size_t i = 0; i < good; i++) {
            unsigned char c = (unsigned char)text[i];
            if (c == '"' || c == '\\')
                fprintf(to, "\\%c", c);
            else if (c < 0x20 || c == 0x7f)
                fprintf(to, "\\u%04x", c);
            else
                putc(c, to);
        }
        if (good < left) {
            fputs("\\ufffd", to);
            good++;
        }
        text += good;
        left -= good;
    }
    putc('"', to);
}

static void print_pair_text(const char *before, const char *key, const char *value, FILE *to)
{
    fprintf(to, "%s\"%s\": ", before, key);
    print_text(value, to);
}

static void print_word(const char *const *words, size_t count, unsigned value, FILE *to)
{
    if (value < count && words[value])
        fprintf(to, "\"%s\"", words[value]);
    else
        fprintf(to, "%u", value);
}

static void print_u8(const struct wire_table *t, const struct wire_column *c, uint8_t value,
                     FILE *to)
{
    static const char *const objects[] = {"none", "elf", "kernel", "vdso", "anon"};
    static const char *const frames[] = {NULL, "user", "kernel", "jit", "inlined", "marker"};
    static const char *const containers[] = {"app", "init", "ephemeral", "sandbox"};
    static const char *const states[] = {"unknown", "created", "running", "waiting", "exited"};
    _Static_assert(ARRAY_LEN(containers) == WIRE_CONTAINER_KIND_COUNT, "a word for each kind");
    _Static_assert(ARRAY_LEN(states) == WIRE_CONTAINER_STATE_COUNT, "a word for each state");
    _Static_assert(ARRAY_LEN(objects) == OBJECT_KIND_LAST + 1, "a word for each object_kind");
    _Static_assert(ARRAY_LEN(frames) == FRAME_KIND_LAST + 1, "a word for each frame_kind");
    if (strcmp(c->name, "state") == 0)
        print_word(states, ARRAY_LEN(states), value, to);
    else if (strcmp(c->name, "kind") != 0)
        fprintf(to, "%u", value);
    else if (t == &schema_tables[TABLE_CONTAINERS])
        print_word(containers, ARRAY_LEN(containers), value, to);
    else if (t == &schema_tables[TABLE_OBJECTS])
        print_word(objects, ARRAY_LEN(objects), value, to);
    else
        print_word(frames, ARRAY_LEN(frames), value, to);
}

static void print_build_id(const struct batch_object *object, FILE *to)
{
    putc('"', to);
    for (unsigned i = 0; i < object->build_id_len; i++)
        fprintf(to, "%02x", object->build_id[i]);
    putc('"', to);
}

static void print_methods(uint32_t methods, FILE *to)
{
    static const char *const words[] = {
#define X(name) #name,
        WIRE_METHODS(X)
#undef X
    };
    const char *before = "";
    putc('[', to);
    for (unsigned bit = 0; bit < 32; bit++) {
        if (!(methods & 1u << bit))
            continue;
        fputs(before, to);
        print_word(words, ARRAY_LEN(words), bit, to);
        before = ", ";
    }
    putc(']', to);
}

static void print_value(const struct batch *b, const struct wire_table *t,
                        const struct wire_column *c, const uint8_t *row, FILE *to)
{
    const uint8_t *at = row + c->offset;
    switch ((enum column_type)c->type) {
    case COLUMN_U8:
        print_u8(t, c, *at, to);
        break;
    case COLUMN_U32:
        if (c->refers == REFERS_STRING)
            print_text(b->strings[*(const uint32_t *)at], to);
        else
            fprintf(to, "%" PRIu32, *(const uint32_t *)at);
        break;
    case COLUMN_METHODS:
        print_methods(*(const uint32_t *)at, to);
        break;
    case COLUMN_U64:
        fprintf(to, "\"0x%" PRIx64 "\"", *(const uint64_t *)at);
        break;
    case COLUMN_TIME:
        fprintf(to, "%" PRId64, *(const int64_t *)at);
        break;
    case COLUMN_BUILD_ID:
        print_build_id((const struct batch_object *)row, to);
        break;
    case COLUMN_FIGURE:
        if (*(const uint64_t *)at == WIRE_UNKNOWN)
            fputs("null", to);
        else
            fprintf(to, "%" PRIu64, *(const uint64_t *)at);
        break;
    }
}

/* Most rows of a tree are within it, and have no methods to tell. */
static bool is_worth_printing(const struct wire_column *c, const uint8_t *row)
{
    return c->type != COLUMN_METHODS || *(const uint32_t *)(row + c->offset);
}

static void print_table(const struct batch *b, const struct wire_table *t, FILE *to)
{
    const uint8_t *row = schema_rows(b, t);
    uint32_t count = schema_count(b, t);
    fprintf(to, "  \"%s\": [", t->name);
    for (uint32_t i = 0; i < count; i++, row += t->row_size) {
        fprintf(to, "%s\n    {\"row\": %" PRIu32, i ? "," : "", i);
        for (unsigned n = 0; n < t->column_count; n++) {
            if (!is_worth_printing(&t->columns[n], row))
                continue;
            fprintf(to, ", \"%s\": ", t->columns[n].name);
            print_value(b, t, &t->columns[n], row, to);
        }
        putc('}', to);
    }
    fputs(count ? "\n  ],\n" : "],\n", to);
}

static void print_head(const struct batch *b, FILE *to)
{
    print_pair_text("{\n  \"node\": {", "name", b->node, to);
    print_pair_text(", ", "boot_id", b->boot_id, to);
    print_pair_text(", ", "kernel", b->kernel, to);
    print_pair_text(", ", "arch", b->arch, to);
    print_pair_text(", ", "agent", b->agent, to);
    fprintf(to, ", \"cpus\": %" PRIu32 "},\n  \"seq\": %" PRIu64 ",\n", b->cpus, b->seq);
    fprintf(to,
            "  \"window\": {\"start_ns\": %" PRId64 ", \"end_ns\": %" PRId64
            ", \"slot_ns\": %" PRId64 ", \"period_ns\": %" PRId64 "},\n",
            b->start_ns, b->end_ns, b->slot_ns, b->period_ns);
}

static void print_counters(const struct batch *b, FILE *to)
{
    fputs("  \"counters\": {", to);
    for (uint32_t i = 0; i < b->counter_count; i++) {
        fputs(i ? ",\n    " : "\n    ", to);
        print_text(b->counters[i].name, to);
        fprintf(to, ": %" PRIu64, b->counters[i].value);
    }
    fputs(b->counter_count ? "\n  }\n}\n" : "}\n}\n", to);
}

int batch_print_json(const struct batch *batch, FILE *to, struct err *err)
{
    print_head(batch, to);
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (!schema_tables[i].optional || schema_count(batch, &schema_tables[i]) > 0)
            print_table(batch, &schema_tables[i], to);
    print_counters(batch, to);
    if (fflush(to) != 0 || ferror(to))
        return err_errno(err, errno ? -errno : -EIO, "writing the batch's JSON");
    return 0;
}
