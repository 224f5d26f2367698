/* fuzz_usage.c: any text is read as each of the files that usage comes from; the first byte says
 * which. What comes out is in its bounds. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "k8s/usage_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r)
{
    assert(r == 0 || r == -EBADMSG);
}

static void check_figures(unsigned which, const char *text, size_t len)
{
    uint64_t f[USAGE_FIGURE_COUNT], number;
    usage_clear(f);
    switch (which) {
    case 0:
        if (usage_parse_number(text, len, &number) == 0)
            assert(number != USAGE_UNKNOWN);
        break;
    case 1:
        check(usage_parse_cpu_stat(text, len, f));
        break;
    case 2:
        check(usage_parse_cpu_stat_v1(text, len, f));
        break;
    case 3:
        check(usage_parse_cpuacct_stat(text, len, f, 10000000));
        break;
    case 4:
        f[USAGE_memory_bytes] = 1 << 20;
        check(usage_parse_memory_stat(text, len, f));
        assert(f[USAGE_working_set_bytes] == USAGE_UNKNOWN ||
               f[USAGE_working_set_bytes] <= f[USAGE_memory_bytes]);
        break;
    case 5:
        check(usage_parse_io_stat(text, len, f));
        break;
    default:
        check(usage_parse_blkio(text, len, f));
        break;
    }
    assert((f[USAGE_block_read_bytes] == USAGE_UNKNOWN) ==
           (f[USAGE_block_write_bytes] == USAGE_UNKNOWN));
}

static void check_process(unsigned which, const char *text, size_t len)
{
    struct usage_stat stat;
    uint64_t tally[TALLY_COUNT], rx, tx;
    uint32_t pids[16];
    bool more;
    switch (which) {
    case 0:
        if (usage_parse_stat(text, len, &stat) == 0)
            assert(strnlen(stat.name, sizeof(stat.name)) < sizeof(stat.name));
        break;
    case 1:
        check(usage_parse_io(text, len, tally));
        check(usage_parse_statm(text, len, &rx));
        break;
    case 2:
        check(usage_parse_net_dev(text, len, &rx, &tx));
        break;
    default:
        assert(usage_parse_pids(text, len, pids, 16, &more) <= 16);
        break;
    }
}

static void check_command(unsigned which, const char *text, size_t len)
{
    static const char *const exes[] = {"/usr/bin/python3.11", "/usr/bin/node", "/usr/bin/java",
                                       "/bin/bash", "/usr/bin/perl"};
    char shown[USAGE_COMMAND_MAX];
    memset(shown, 0xff, sizeof(shown));
    const char *exe = exes[which % ARRAY_LEN(exes)];
    usage_show_command(exe, text, len, which & 8, shown);
    assert(strnlen(shown, sizeof(shown)) < sizeof(shown));
    assert(strncmp(shown, exe, strlen(exe)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    /* An allocation of its own, so that reading behind it is seen. */
    size_t len = size - 1;
    _cleanup_free_ char *text = malloc(len);
    assert(text);
    memcpy(text, data + 1, len);
    unsigned which = data[0] & 0x1f;
    if (which < 7)
        check_figures(which, text, len);
    else if (which < 11)
        check_process(which - 7, text, len);
    else
        check_command(which - 11, text, len);
    return 0;
}
