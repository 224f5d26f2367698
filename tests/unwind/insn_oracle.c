/* insn_oracle.c: takes the output of `objdump -d --insn-width=16` and compares the length of each
 * of its instructions with ours. Prints those that differ, and how many there were. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "unwind/x86_64_insn.h"

/* What objdump shows that no processor takes so: data among the code, prefixes alone; fwait and
 * what follows it as one; a jump of 16 bits, which Intel's take for one of 32. */
static bool is_none(const uint8_t *bytes, size_t n, const char *text)
{
    size_t len = strcspn(text, "\n");
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    const char *last = text + len;
    while (last > text && last[-1] != ' ' && last[-1] != '\t')
        last--;
    return strstr(text, "(bad)") || strstr(text, ".byte") || strncmp(last, "rex", 3) == 0 ||
           (bytes[0] == 0x9b && n > 1) || (bytes[0] == 0x66 && strstr(text, "jmpw"));
}

/* "  401000:\tf3 0f 1e fa          \tendbr64" */
static size_t read_bytes(char *line, uint8_t *bytes, size_t max, char **ret_text)
{
    char *at = strchr(line, '\t');
    size_t n = 0;
    while (at && n < max) {
        char *end;
        unsigned long b = strtoul(at, &end, 16);
        if (end == at || b > 255)
            break;
        bytes[n++] = (uint8_t)b;
        at = end;
        if (strncmp(at, " \t", 2) == 0 || at[0] == '\t' || strncmp(at, "  ", 2) == 0)
            break;
    }
    *ret_text = at && n ? strchr(at, '\t') : NULL;
    return *ret_text ? n : 0;
}

int main(void)
{
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    uint64_t compared = 0, bad = 0, different = 0;
    while (getline(&line, &size, stdin) > 0) {
        uint8_t bytes[32];
        char *text;
        size_t n = read_bytes(line, bytes, sizeof(bytes), &text);
        if (!n)
            continue;
        if (is_none(bytes, n, text)) {
            bad++;
            continue;
        }
        struct x86_64_insn i;
        compared++;
        if (x86_64_insn_decode(bytes, n, &i) && i.len == n)
            continue;
        different++;
        printf("%s", line);
    }
    printf("%" PRIu64 " instructions compared, %" PRIu64 " that are none, %" PRIu64 " different\n",
           compared, bad, different);
    return different ? 1 : 0;
}
