/* symbolize.c: takes an ELF file and, on stdin, file offsets in hex, one a line; gives "address
 * start name" for each, as src/symbol has them. For tests/e2e/symbols.sh and
 * tests/bench/symbols.sh. */
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
#include "symbol/symbol.h"

static int open_file(void *ctx, struct debug_files *ret_debug, struct err *err)
{
    return open(ctx, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
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

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: symbolize FILE < OFFSETS\n");
        return 2;
    }
    _cleanup_(symbolizer_free) struct symbolizer *s = NULL;
    _cleanup_free_ struct symbol_addr *addrs = NULL;
    size_t count = read_offsets(&addrs);
    struct err err = {0};
    struct symbol_key key = {.len = 1, .bytes = {1}};
    if (symbolizer_new(64u << 20, &s, &err) < 0)
        return 1;
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    int r = symbolizer_resolve(s, &key, open_file, argv[1], addrs, count, &err);
    int64_t end = clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < count; i++) {
        if (!addrs[i].translated)
            printf("- - -\n");
        else if (!addrs[i].frame_count)
            printf("%" PRIx64 " - -\n", addrs[i].address);
        else
            printf("%" PRIx64 " %" PRIx64 " %s\n", addrs[i].address, addrs[i].start,
                   addrs[i].frames[0].name);
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    fprintf(stderr, "%zu addresses in %.1f ms, %zu bytes kept, peak %ld KiB%s%s\n", count,
            (double)(end - begin) / 1e6, symbolizer_bytes(s), usage.ru_maxrss, r < 0 ? ": " : "",
            r < 0 ? err.text : "");
    return r < 0;
}
