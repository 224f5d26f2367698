/* symbolize.c: takes an ELF file and, on stdin, file offsets in hex, one a line; gives "address
 * start name" for each, as src/symbol has them; with --dwarf, behind that, every function there as
 * " | name file:line", the innermost first, by debug information of this machine. For
 * tests/e2e/symbols.sh and tests/bench/symbols.sh. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/debug_file.h"
#include "symbol/symbol.h"
#include "symbol/worker.h"

#define FOREVER_NS (600 * NS_PER_SEC)

static int open_alone(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    return open(ctx, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

static int open_with_debug_files(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    const char *path = ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    _cleanup_close_ int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct debug_file_stamp stamp = {0};
    if (fd >= 0 && root >= 0)
        debug_files_find(fd, path, &root, 1, &stamp, ret_debug, NULL);
    return fd;
}

static size_t read_offsets(struct symbol_addr **ret)
{
    struct symbol_addr *addrs = NULL;
    size_t count = 0, cap = 0;
    uint64_t offset;
    while (scanf("%" SCNx64, &offset) == 1) {
        if (count == cap) {
            cap = cap ? cap * 2 : 1024;
            addrs = reallocarray(addrs, cap, sizeof(*addrs));
            if (!addrs)
                abort();
        }
        addrs[count++] = (struct symbol_addr){.file_offset = offset};
    }
    *ret = addrs;
    return count;
}

static void print_frames(const struct symbol_addr *a)
{
    for (uint32_t i = a->frame_count; i-- > 0;) {
        const struct symbol_frame *f = &a->frames[i];
        printf(" | %s %s:%u", f->name, f->file ? f->file : "??", f->line);
    }
}

static void print(const struct symbol_addr *a, bool with_frames)
{
    if (!a->translated)
        printf("- - -");
    else if (!a->frame_count)
        printf("%" PRIx64 " - -", a->address);
    else
        printf("%" PRIx64 " %" PRIx64 " %s", a->address, a->start, a->frames[0].name);
    if (with_frames)
        print_frames(a);
    printf("\n");
}

/* What is asked a second time is known. */
static int resolve(const char *path, bool with_dwarf, struct symbol_addr *addrs, size_t count)
{
    _cleanup_(worker_free) struct worker *worker = NULL;
    _cleanup_(symbolizer_free) struct symbolizer *s = NULL;
    struct symbol_key key = {.len = 1, .bytes = {1}};
    struct err err = {0};
    if (symbolizer_new(256u << 20, &s, &err) < 0 || worker_new("/proc/self/exe", &worker, &err) < 0)
        return 1;
    symbol_open_fn open = with_dwarf ? open_with_debug_files : open_alone;
    if (with_dwarf)
        symbolizer_use_worker(s, worker, FOREVER_NS, clock_ns(CLOCK_MONOTONIC) + FOREVER_NS);
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    int r = symbolizer_resolve(s, &key, open, (void *)path, addrs, count, &err);
    int64_t end = clock_ns(CLOCK_MONOTONIC);
    symbolizer_resolve(s, &key, open, (void *)path, addrs, count, NULL);
    int64_t again = clock_ns(CLOCK_MONOTONIC) - end;
    for (size_t i = 0; i < count; i++)
        print(&addrs[i], with_dwarf);
    struct rusage self, child;
    worker_rest(worker);
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &child);
    fprintf(stderr, "%zu addresses in %.1f ms, again %.2f ms, %zu bytes kept, peak %ld KiB", count,
            (double)(end - begin) / 1e6, (double)again / 1e6, symbolizer_bytes(s), self.ru_maxrss);
    if (with_dwarf)
        fprintf(stderr, ", the worker's %ld KiB (%" PRIu64 " failed)", child.ru_maxrss,
                worker_failed(worker));
    fprintf(stderr, "%s%s\n", r < 0 ? ": " : "", r < 0 ? err.text : "");
    return r < 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], WORKER_ARGUMENT) == 0)
        return worker_main();
    bool with_dwarf = argc == 3 && strcmp(argv[1], "--dwarf") == 0;
    if (argc != 2 && !with_dwarf) {
        fprintf(stderr, "usage: symbolize [--dwarf] FILE < OFFSETS\n");
        return 2;
    }
    _cleanup_free_ struct symbol_addr *addrs = NULL;
    size_t count = read_offsets(&addrs);
    return resolve(argv[argc - 1], with_dwarf, addrs, count);
}
