/* make_batch.c: takes folded stacks on stdin, gives one encoded batch (src/wire/format.h) on
 * stdout, so that a test states what the node did in lines a person can read:
 *
 *     cc1plus;main;parse_file;page_fault_[k] 70
 *     node;node+0x1a2b;~render_[j] 20
 *
 * The first word is the process, the rest its frames from the root on, and the number is samples. A
 * frame ends in _[k] if it is the kernel's, _[j] if it is JIT code, _[i] if it was inlined; before
 * that in {FILE:LINE} if they are known; `[name]` is a marker; `path+0xADDRESS` is a frame of that
 * object without a name. `%3B` and the like are decoded, as the server's folded output has them.
 * Lines that are empty or start with
 * `#` say nothing. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fs.h"
#include "base/parse.h"
#include "wire/batch.h"

/* The rows of one table by what makes them different from each other. */
struct key {
    UT_hash_handle hh;
    uint32_t row;
    char bytes[];
};

struct builder {
    struct batch batch;
    struct key *string_keys, *object_keys, *frame_keys, *stack_keys, *process_keys;
    const char **strings;
    struct batch_object *objects;
    struct batch_frame *frames;
    struct batch_stack *stacks;
    struct batch_process *processes;
    struct batch_label *labels;
    struct batch_sample *samples;
    const char *label_args[16]; /* key=value */
    unsigned label_arg_count;
    struct batch_counter counters[16];
    const char *usage_arg;
    const char *thread; /* NULL: the process's name */
    uint32_t slot;
    uint32_t cpu;
};

static void die(const char *what, const char *about)
{
    fprintf(stderr, "make_batch: %s: %s\n", what, about);
    exit(1);
}

/* A zeroed row at the end of a table; the table grows by doubling. */
#define ADD_ROW(table, count)                                                                     \
    ({                                                                                            \
        if (((count) & ((count)-1)) == 0) {                                                       \
            (table) = reallocarray((table), (count) ? 2 * (size_t)(count) : 1, sizeof(*(table))); \
            if (!(table))                                                                         \
                die("a table", "out of memory");                                                  \
        }                                                                                         \
        memset(&(table)[(count)], 0, sizeof(*(table)));                                           \
        &(table)[(count)++];                                                                      \
    })

/* The row known by these bytes, or `next` after remembering that it is this one. */
static uint32_t row_of(struct key **keys, const void *bytes, size_t len, uint32_t next)
{
    struct key *k;
    HASH_FIND(hh, *keys, bytes, len, k);
    if (k)
        return k->row;
    k = calloc(1, sizeof(*k) + len + 1);
    if (!k)
        die("a row", "out of memory");
    k->row = next;
    memcpy(k->bytes, bytes, len);
    HASH_ADD_KEYPTR(hh, *keys, k->bytes, len, k);
    return next;
}

static uint32_t add_string(struct builder *b, const char *text)
{
    uint32_t row = row_of(&b->string_keys, text, strlen(text), b->batch.string_count);
    if (row == b->batch.string_count) {
        char *copy = strdup(text);
        if (!copy)
            die("a string", "out of memory");
        *ADD_ROW(b->strings, b->batch.string_count) = copy;
    }
    return row;
}

static uint32_t add_object(struct builder *b, enum object_kind kind, const char *path)
{
    uint32_t key[2] = {kind, add_string(b, path)};
    uint32_t row = row_of(&b->object_keys, key, sizeof(key), b->batch.object_count);
    if (row == b->batch.object_count)
        *ADD_ROW(b->objects, b->batch.object_count) =
            (struct batch_object){.path = key[1], .kind = (uint8_t)kind};
    return row;
}

static uint32_t add_frame(struct builder *b, const struct batch_frame *frame)
{
    uint64_t key[6] = {frame->address, frame->object, frame->name,
                       frame->kind,    frame->file,   frame->line};
    uint32_t row = row_of(&b->frame_keys, key, sizeof(key), b->batch.frame_count);
    if (row == b->batch.frame_count)
        *ADD_ROW(b->frames, b->batch.frame_count) = *frame;
    return row;
}

static uint32_t add_stack(struct builder *b, uint32_t parent, uint32_t frame)
{
    uint32_t key[2] = {parent, frame};
    uint32_t row = row_of(&b->stack_keys, key, sizeof(key), b->batch.stack_count);
    if (row == b->batch.stack_count)
        *ADD_ROW(b->stacks, b->batch.stack_count) =
            (struct batch_stack){.parent = parent, .frame = frame};
    return row;
}

static uint32_t add_process(struct builder *b, const char *name, const char *exe)
{
    uint32_t row = row_of(&b->process_keys, name, strlen(name), b->batch.process_count);
    if (row < b->batch.process_count)
        return row;
    uint32_t name_row = add_string(b, name);
    uint32_t exe_row = add_string(b, exe);
    *ADD_ROW(b->processes, b->batch.process_count) =
        (struct batch_process){.start_ns = b->batch.start_ns,
                               .pid = 1000 + row,
                               .ppid = 1,
                               .name = name_row,
                               .exe = exe_row};
    for (unsigned i = 0; i < b->label_arg_count; i++) {
        const char *equals = strchr(b->label_args[i], '=');
        _cleanup_free_ char *label = strndup(b->label_args[i], (size_t)(equals - b->label_args[i]));
        struct batch_label *l = ADD_ROW(b->labels, b->batch.label_count);
        *l = (struct batch_label){row, add_string(b, label), add_string(b, equals + 1)};
    }
    return row;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef", *at = strchr(digits, c | 0x20);
    return c && at ? (int)(at - digits) : -1;
}

/* %3B becomes ; in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; p++) {
        int hi = *p == '%' ? hex_digit(p[1]) : -1;
        int lo = hi >= 0 ? hex_digit(p[2]) : -1;
        *to++ = lo >= 0 ? (char)(hi << 4 | lo) : *p;
        p += lo >= 0 ? 2 : 0;
    }
    *to = 0;
}

/* "path+0x1a2b" gives the address and cuts it off the path. */
static bool cut_address(char *word, uint64_t *ret_address)
{
    char *plus = strrchr(word, '+'), *end;
    if (!plus || strncmp(plus, "+0x", 3) != 0 || hex_digit(plus[3]) < 0)
        return false;
    *ret_address = strtoull(plus + 3, &end, 16);
    if (*end)
        return false;
    *plus = 0;
    return true;
}

static enum frame_kind cut_kind(char *word)
{
    static const struct {
        const char *suffix;
        enum frame_kind kind;
    } kinds[] = {{"_[k]", FRAME_KERNEL}, {"_[j]", FRAME_JIT}, {"_[i]", FRAME_INLINED}};
    size_t len = strlen(word);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (len > 4 && strcmp(word + len - 4, kinds[i].suffix) == 0) {
            word[len - 4] = 0;
            return kinds[i].kind;
        }
    return len > 2 && word[0] == '[' && word[len - 1] == ']' ? FRAME_MARKER : FRAME_USER;
}

/* Takes "{FILE:LINE}" off the word. */
static void cut_line(struct builder *b, char *word, struct batch_frame *ret)
{
    size_t len = strlen(word);
    char *open = len && word[len - 1] == '}' ? strrchr(word, '{') : NULL;
    char *colon = open ? strrchr(open, ':') : NULL;
    uint64_t line;
    if (!colon)
        return;
    word[len - 1] = 0;
    if (parse_u64(colon + 1, &line, NULL) < 0 || line == 0 || line > UINT32_MAX) {
        word[len - 1] = '}';
        return;
    }
    *open = *colon = 0;
    ret->file = add_string(b, open + 1);
    ret->line = (uint32_t)line;
}

static uint32_t frame_of_word(struct builder *b, char *word, const char *exe)
{
    struct batch_frame f = {.kind = cut_kind(word)};
    cut_line(b, word, &f);
    unescape(word);
    bool unnamed = cut_address(word, &f.address);
    const char *path = unnamed ? word : exe;
    if (f.kind == FRAME_KERNEL)
        f.object = add_object(b, OBJECT_KERNEL, unnamed ? word : "[kernel]");
    else if (f.kind == FRAME_JIT)
        f.object = add_object(b, OBJECT_ANON, "[anon]");
    else if (f.kind != FRAME_MARKER)
        f.object = add_object(b, OBJECT_ELF, path);
    if (!unnamed)
        f.name = add_string(b, word);
    return add_frame(b, &f);
}

/* Cuts " 70" off the line's end. */
static uint32_t cut_count(char *line)
{
    char *space = strrchr(line, ' ');
    uint64_t count;
    struct err err = {0};
    if (!space)
        die("no count behind a blank", line);
    if (parse_u64(space + 1, &count, &err) < 0)
        die(line, err.text);
    if (count < 1 || count > UINT32_MAX)
        die("a count must be 1 to 4294967295", line);
    *space = 0;
    return (uint32_t)count;
}

static void add_line(struct builder *b, char *line)
{
    uint32_t count = cut_count(line);
    char *rest = line, exe[1100];
    char *name = strsep(&rest, ";");
    unescape(name);
    snprintf(exe, sizeof(exe), "/usr/bin/%.1000s", name);
    uint32_t process = add_process(b, name, exe);
    uint32_t thread = add_string(b, b->thread ? b->thread : name);
    uint32_t stack = 0;
    for (char *word; (word = strsep(&rest, ";"));) {
        uint32_t frame = frame_of_word(b, word, exe);
        stack = add_stack(b, stack, frame);
    }
    *ADD_ROW(b->samples, b->batch.sample_count) = (struct batch_sample){
        .slot = b->slot,
        .process = process,
        .thread = thread,
        .cpu = b->cpu,
        .stack = stack,
        .count = count,
    };
}

static void read_lines(struct builder *b, FILE *from)
{
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    for (ssize_t len; (len = getline(&line, &cap, from)) >= 0;) {
        if (len > 0 && line[len - 1] == '\n')
            line[len - 1] = 0;
        if (line[0] && line[0] != '#')
            add_line(b, line);
    }
}

static void free_builder(struct builder *b)
{
    struct key **tables[] = {&b->string_keys, &b->object_keys, &b->frame_keys, &b->stack_keys,
                             &b->process_keys};
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        struct key *k, *next;
        HASH_ITER (hh, *tables[i], k, next) {
            HASH_DEL(*tables[i], k);
            free(k);
        }
    }
    for (uint32_t i = 0; i < b->batch.string_count; i++)
        free((void *)b->strings[i]);
    free(b->strings);
    free(b->objects);
    free(b->frames);
    free(b->stacks);
    free(b->processes);
    free(b->labels);
    free(b->samples);
}

static void encode_to(struct builder *b, FILE *to)
{
    struct batch *batch = &b->batch;
    struct err err = {0};
    _cleanup_(buf_free) struct buf out = {0};
    batch->strings = b->strings;
    batch->objects = b->objects;
    batch->frames = b->frames;
    batch->stacks = b->stacks;
    batch->processes = b->processes;
    batch->labels = b->labels;
    batch->samples = b->samples;
    batch->counters = b->counters;
    if (batch_encode(batch, &out, &err) < 0)
        die("encoding", err.text);
    int r = fs_write_all(fileno(to), out.data, out.len);
    if (r < 0)
        die("writing", strerror(-r));
}

enum option_value {
    NODE = 1,
    BOOT_ID,
    SEQ,
    END,
    WINDOW,
    SLOT_LENGTH,
    SLOT,
    PERIOD,
    CPUS,
    CPU,
    THREAD,
    LABEL,
    COUNTER,
    USAGE,
    HELP
};

static const struct option options[] = {
    {"node", required_argument, NULL, NODE},
    {"boot-id", required_argument, NULL, BOOT_ID},
    {"seq", required_argument, NULL, SEQ},
    {"end", required_argument, NULL, END},
    {"window", required_argument, NULL, WINDOW},
    {"slot-length", required_argument, NULL, SLOT_LENGTH},
    {"slot", required_argument, NULL, SLOT},
    {"period", required_argument, NULL, PERIOD},
    {"cpus", required_argument, NULL, CPUS},
    {"cpu", required_argument, NULL, CPU},
    {"thread", required_argument, NULL, THREAD},
    {"label", required_argument, NULL, LABEL},
    {"counter", required_argument, NULL, COUNTER},
    {"usage", required_argument, NULL, USAGE},
    {"help", no_argument, NULL, HELP},
    {0},
};

static const char usage[] =
    "make_batch [OPTIONS] <folded >batch\n"
    "  --node NAME --boot-id ID --seq N   the batch's identity (test-node, boot-1, now in us)\n"
    "  --end SECONDS                      end of the window, seconds since 1970 (now)\n"
    "  --window 10s --slot-length 10s     the window's length and that of its slots\n"
    "  --slot N                           the slot all samples lie in (0)\n"
    "  --period 10ms                      CPU time of one sample\n"
    "  --cpus N --cpu N                   the node's CPUs (2), the samples' CPU (0)\n"
    "  --thread NAME                      the samples' thread (the process's name)\n"
    "  --label KEY=VALUE                  on every process; may be repeated\n"
    "  --counter NAME=N                   what the agent counted; may be repeated\n"
    "  --usage ID                         two readings of the container /docker/ID, as the window\n"
    "                                     begins and ends: its i-th figure is i, the first has no\n"
    "                                     counters and process 100, the second 101 and 102\n";

static uint64_t number(const char *text, uint64_t max)
{
    uint64_t value = 0;
    struct err err = {0};
    if (parse_u64(text, &value, &err) < 0)
        die("options", err.text);
    if (value > max)
        die("too large", text);
    return value;
}

static int64_t duration(const char *text)
{
    int64_t ns = 0;
    struct err err = {0};
    if (parse_duration(text, &ns, &err) < 0)
        die("options", err.text);
    return ns;
}

static void add_label_arg(struct builder *b, const char *arg)
{
    if (!strchr(arg, '='))
        die("--label wants KEY=VALUE", arg);
    if (b->label_arg_count == ARRAY_LEN(b->label_args))
        die("too many labels", arg);
    b->label_args[b->label_arg_count++] = arg;
}

static void add_counter_arg(struct builder *b, char *arg)
{
    char *equals = strchr(arg, '=');
    if (!equals)
        die("--counter wants NAME=N", arg);
    if (b->batch.counter_count == ARRAY_LEN(b->counters))
        die("too many counters", arg);
    *equals = 0;
    b->counters[b->batch.counter_count++] =
        (struct batch_counter){arg, number(equals + 1, INT64_MAX)};
}

static void take_option(struct builder *b, enum option_value option, char *arg, int64_t *window_ns)
{
    struct batch *batch = &b->batch;
    switch (option) {
    case NODE:
        batch->node = arg;
        break;
    case BOOT_ID:
        batch->boot_id = arg;
        break;
    case SEQ:
        batch->seq = number(arg, INT64_MAX);
        break;
    case END:
        batch->end_ns = (int64_t)number(arg, INT64_MAX / NS_PER_SEC) * NS_PER_SEC;
        break;
    case WINDOW:
        *window_ns = duration(arg);
        break;
    case SLOT_LENGTH:
        batch->slot_ns = duration(arg);
        break;
    case SLOT:
        b->slot = (uint32_t)number(arg, UINT32_MAX);
        break;
    case PERIOD:
        batch->period_ns = duration(arg);
        break;
    case CPUS:
        batch->cpus = (uint32_t)number(arg, UINT32_MAX);
        break;
    case CPU:
        b->cpu = (uint32_t)number(arg, UINT32_MAX);
        break;
    case THREAD:
        b->thread = arg;
        break;
    case LABEL:
        add_label_arg(b, arg);
        break;
    case COUNTER:
        add_counter_arg(b, arg);
        break;
    case USAGE:
        b->usage_arg = arg;
        break;
    case HELP:
        fputs(usage, stdout);
        exit(0);
    }
}

static void add_usage(struct builder *b)
{
    static struct batch_usage rows[2];
    static struct batch_usage_label label;
    static struct batch_usage_process processes[3];
    char path[512];
    snprintf(path, sizeof(path), "/docker/%s", b->usage_arg);
    label = (struct batch_usage_label){.cgroup = add_string(b, path),
                                       .key = add_string(b, "container_id"),
                                       .value = add_string(b, b->usage_arg)};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        rows[i].time_ns = i ? b->batch.end_ns - 1 : b->batch.start_ns;
        rows[i].span_ns = i ? b->batch.end_ns - 1 - b->batch.start_ns : 0;
        rows[i].cgroup = label.cgroup;
        rows[i].summed = 1u << WIRE_USAGE_virtual_bytes;
        for (unsigned f = 0; f < WIRE_USAGE_COUNT; f++)
            rows[i].figures[f] = i == 0 && f < WIRE_USAGE_COUNTER_COUNT ? WIRE_UNKNOWN : f;
    }
    b->batch.usage = rows;
    b->batch.usage_count = ARRAY_LEN(rows);
    b->batch.usage_labels = &label;
    b->batch.usage_label_count = 1;
    for (unsigned i = 0; i < ARRAY_LEN(processes); i++) {
        bool first = i == 0;
        processes[i] = (struct batch_usage_process){.start_ns = b->batch.start_ns,
                                                    .cpu_user_ns = first ? WIRE_UNKNOWN : i,
                                                    .cpu_system_ns = first ? WIRE_UNKNOWN : 0,
                                                    .rss_bytes = 4096 * i,
                                                    .virtual_bytes = WIRE_UNKNOWN,
                                                    .usage = !first,
                                                    .pid = 100 + i,
                                                    .threads = 1,
                                                    .exe = add_string(b, "/bin/job"),
                                                    .command = add_string(b, "/bin/job run")};
    }
    b->batch.usage_processes = processes;
    b->batch.usage_process_count = ARRAY_LEN(processes);
}

int main(int argc, char **argv)
{
    int64_t now_ns = clock_ns(CLOCK_REALTIME), window_ns = 10 * NS_PER_SEC;
    struct builder b = {.batch = {.node = "test-node",
                                  .boot_id = "boot-1",
                                  .kernel = "6.1.0-test",
                                  .arch = "x86_64",
                                  .agent = PACKAGE_VERSION,
                                  .cpus = 2,
                                  .seq = (uint64_t)now_ns / 1000,
                                  .end_ns = now_ns,
                                  .slot_ns = 10 * NS_PER_SEC,
                                  .period_ns = 10 * NS_PER_MS}};
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (o == '?')
            return 2;
        take_option(&b, (enum option_value)o, optarg, &window_ns);
    }
    if (optind < argc)
        die("takes its lines from stdin, not", argv[optind]);
    b.batch.start_ns = b.batch.end_ns - window_ns;
    add_string(&b, "");
    add_object(&b, OBJECT_NONE, "");
    *ADD_ROW(b.stacks, b.batch.stack_count) = (struct batch_stack){0};
    read_lines(&b, stdin);
    if (b.usage_arg)
        add_usage(&b);
    encode_to(&b, stdout);
    free_builder(&b);
    return 0;
}
