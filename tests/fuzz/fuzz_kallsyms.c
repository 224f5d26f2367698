/* fuzz_kallsyms.c: any text is a table of symbols, or refused with a reason; what is found covers
 * the address. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fs.h"
#include "symbol/kallsyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create("kallsyms", MFD_CLOEXEC);
    assert(fd >= 0 && fs_write_all(fd, data, size) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    _cleanup_(kallsyms_free) struct kallsyms *k = NULL;
    struct err err = {0};
    if (kallsyms_load(fd, &k, &err) < 0) {
        assert(err.text[0] && !k);
        return 0;
    }
    uint64_t stext, offset;
    struct kallsyms_symbol symbol;
    (void)kallsyms_find(k, 0, &symbol, &stext);
    stext = -stext;
    /* The table's own addresses stand as text in the input. */
    for (size_t i = 0; i + 16 <= size; i++) {
        uint64_t address = 0;
        memcpy(&address, data + i, 8);
        if (data[i] >= '0' && data[i] <= 'f')
            address = strtoull(
                (char[17]){data[i], data[i + 1], data[i + 2], data[i + 3], data[i + 4], data[i + 5],
                           data[i + 6], data[i + 7], data[i + 8], data[i + 9], data[i + 10],
                           data[i + 11], data[i + 12], data[i + 13], data[i + 14], data[i + 15], 0},
                NULL, 16);
        int r = kallsyms_find(k, address, &symbol, &offset);
        assert(offset == address - stext);
        if (r == 0) {
            assert(symbol.name[0] && strlen(symbol.name) <= size && symbol.module);
            if (strcmp(symbol.module, "kernel") == 0)
                assert(symbol.start + stext <= address);
        }
    }
    return 0;
}
