/* go_chains.c: takes an ELF file and, on stdin, ascending ELF addresses in hex, one a line; gives a
 * line for each: the address, and the functions that Go's table has there, the outermost first, as
 * "<tab>name<tab>file:line". For tests/symbol/go.sh.
 *
 * On stderr: how long it took, and the most memory the process had. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "symbol/chains.h"
#include "symbol/elf_file.h"
#include "symbol/go_names.h"

static size_t read_addresses(uint64_t **ret)
{
    uint64_t *addresses = NULL, address;
    size_t count = 0, room = 0;
    while (scanf("%" SCNx64, &address) == 1) {
        if (count == room) {
            room = room ? room * 2 : 1024;
            addresses = reallocarray(addresses, room, sizeof(*addresses));
            if (!addresses)
                abort();
        }
        addresses[count++] = address;
    }
    *ret = addresses;
    return count;
}

static void print_chain(const struct chains *chains, uint64_t address)
{
    const struct symbol_frame *frames;
    uint32_t count = 0;
    uint64_t start;
    printf("%" PRIx64, address);
    if (chains_find(chains, address, &start, &frames, &count))
        for (uint32_t i = 0; i < count; i++)
            printf("\t%s\t%s:%u", frames[i].name, frames[i].file ? frames[i].file : "??",
                   frames[i].line);
    putchar('\n');
}

static long peak_kib(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_maxrss : 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: go_chains FILE < ADDRESSES\n");
        return 2;
    }
    _cleanup_free_ uint64_t *addresses = NULL;
    size_t count = read_addresses(&addresses);
    _cleanup_(elf_file_close) struct elf_file file = {0};
    _cleanup_(chains_free) struct chains *chains = NULL;
    _cleanup_close_ int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    struct err err = {0};
    if (chains_new(&chains) < 0)
        return 1;
    long before = peak_kib();
    int64_t begin = clock_ns(CLOCK_MONOTONIC);
    int r = elf_file_open(fd, &file, &err);
    if (r == 0)
        r = go_names_find(&file, addresses, count, chains, &err);
    int64_t end = clock_ns(CLOCK_MONOTONIC);
    long after = peak_kib();
    if (r < 0)
        fprintf(stderr, "%s\n", err.text);
    for (size_t i = 0; i < count; i++)
        print_chain(chains, addresses[i]);
    fprintf(stderr, "%zu addresses in %.3f ms, peak %ld KiB (%ld KiB before), answers %zu KiB\n",
            count, (double)(end - begin) / 1e6, after, before, chains_bytes(chains) / 1024);
    return r < 0;
}
