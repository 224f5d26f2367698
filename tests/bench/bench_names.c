/* bench_names.c: how long a flamegraph takes whose frames the server has to name from debug files:
 * the first time, the second, and without debug files; beside eu-addr2line on the same addresses.
 *   bench_names [FILE [ADDRESSES]]   FILE: with DWARF, or with a debug file in /usr/lib/debug */
#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/debug_dirs.h"
#include "server/flame.h"
#include "server/query.h"
#include "server/store.h"
#include "server/symbols.h"
#include "symbol/elf.h"
#include "symbol/worker.h"

#define DEPTH 20 /* frames of a stack */

struct bench_store {
    struct store store;
    struct store_frame *frames;
    size_t stacks;
};

static void die(const char *what, const struct err *err)
{
    fprintf(stderr, "bench_names: %s: %s\n", what, err->text);
    exit(1);
}

static int query(struct store *s, const struct store_query *q, store_row_fn fn, void *ctx,
                 struct err *err)
{
    struct bench_store *b = (struct bench_store *)s;
    int r = 0;
    for (size_t i = 0; i < b->stacks && r == 0; i++)
        r = fn(ctx, &(struct store_row){.stack = i + 1, .samples = 1, .cpu_ns = 1});
    return r;
}

static int stacks(struct store *s, const uint64_t *ids, size_t count, store_stack_fn fn, void *ctx,
                  struct err *err)
{
    struct bench_store *b = (struct bench_store *)s;
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = fn(ctx, ids[i], b->frames + (ids[i] - 1) * DEPTH, DEPTH);
    return r;
}

static const struct store_ops ops = {.name = "bench", .query = query, .stacks = stacks};

/* Where the file's code lies. */
static void find_code(const char *path, uint64_t *ret_low, uint64_t *ret_high)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        die(path, &(struct err){.text = "cannot be read"});
    const Elf64_Ehdr *h = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (h == MAP_FAILED || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        die(path, &(struct err){.text = "no ELF file"});
    const Elf64_Phdr *p = (const Elf64_Phdr *)((const char *)h + h->e_phoff);
    for (unsigned i = 0; i < h->e_phnum; i++) {
        if (p[i].p_type == PT_LOAD && (p[i].p_flags & PF_X)) {
            *ret_low = p[i].p_vaddr;
            *ret_high = p[i].p_vaddr + p[i].p_memsz;
        }
    }
}

static void fill_frames(struct bench_store *b, const char *path, size_t count)
{
    uint64_t low = 0, high = 1, seed = 88172645463325252u;
    struct store_frame frame = {
        .name = "", .file = "", .object = path, .kind = FRAME_USER, .object_kind = OBJECT_ELF};
    size_t len = 0;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err err = {0};
    if (elf_read_build_id(fd, frame.build_id, &len, &err) < 0)
        die(path, &err);
    frame.build_id_len = (uint8_t)len;
    find_code(path, &low, &high);
    b->stacks = count / DEPTH;
    b->frames = calloc(b->stacks * DEPTH, sizeof(*b->frames));
    for (size_t i = 0; i < b->stacks * DEPTH; i++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        b->frames[i] = frame;
        b->frames[i].address = low + seed % (high - low);
        b->frames[i].id = i + 1;
    }
}

static double ask(struct bench_store *b, struct symbols *symbols, uint32_t *ret_nodes)
{
    struct query q = {0};
    struct flame *flame = NULL;
    struct err err = {0};
    if (query_parse("group=", QUERY_FLAME, 1795363500000, &q, &err) < 0)
        die("the query", &err);
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    if (flame_query(&b->store, symbols, &q, &flame, &err) < 0)
        die("the query", &err);
    double ms = (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e6;
    *ret_nodes = flame->node_count;
    flame_free(&flame);
    query_free(&q);
    return ms;
}

static double ask_peer(const struct bench_store *b, const char *path)
{
    char command[4096];
    snprintf(command, sizeof(command), "eu-addr2line -f -i -C -e '%s' >/dev/null", path);
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    FILE *peer = popen(command, "w"); /* NOLINT(cert-env33-c): a benchmark's own words */
    if (!peer)
        return 0;
    for (size_t i = 0; i < b->stacks * DEPTH; i++)
        fprintf(peer, "0x%llx\n", (unsigned long long)b->frames[i].address);
    if (pclose(peer) != 0)
        return 0;
    return (double)(clock_ns(CLOCK_MONOTONIC) - begin) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main();
    const char *path = argc > 1 ? argv[1] : "/lib/x86_64-linux-gnu/libc.so.6";
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
    struct bench_store b = {.store = {.ops = &ops}};
    struct debug_dirs *dirs;
    struct symbols *symbols;
    struct symbols_counts counts = {0};
    struct err err = {0};
    uint32_t nodes;
    setvbuf(stdout, NULL, _IOLBF, 0);
    fill_frames(&b, path, count);
    const char *list = getenv("DEBUG_DIR");
    if (debug_dirs_new(list ? list : "/usr/lib/debug", &dirs, &err) < 0)
        die("directories", &err);
    struct symbols_config config = {
        .dirs = dirs, .worker = "/proc/self/exe", .max_bytes = 64 << 20, .within_ns = NS_PER_SEC};
    if (symbols_new(&config, &symbols, &err) < 0)
        die("names", &err);
    printf("%zu unnamed frames of %s\n", b.stacks * DEPTH, path);
    double plain = ask(&b, NULL, &nodes);
    printf("%-28s %9.1f ms %9u nodes\n", "without debug files", plain, nodes);
    uint64_t open_now;
    for (int i = 1; i <= 20; i++) {
        uint64_t before = counts.symbols_put_off;
        double ms = ask(&b, symbols, &nodes);
        symbols_read_counts(symbols, &counts);
        open_now = counts.symbols_put_off - before;
        printf("query %-22d %9.1f ms %9u nodes, %llu of its addresses are not done\n", i, ms, nodes,
               (unsigned long long)open_now);
        if (i > 1 && open_now == 0)
            break;
    }
    printf("cache %llu bytes, %.0f an address; %llu of %llu named\n",
           (unsigned long long)counts.cache_bytes,
           (double)counts.cache_bytes / (double)(b.stacks * DEPTH),
           (unsigned long long)counts.symbols_named, (unsigned long long)counts.symbols_asked);
    printf("%-28s %9.1f ms\n", "eu-addr2line -f -i", ask_peer(&b, path));
    symbols_free(&symbols);
    debug_dirs_free(&dirs);
    free(b.frames);
    return 0;
}
