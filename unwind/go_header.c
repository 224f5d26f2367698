/* go_header.c: takes the first bytes of .gopclntab, gives where the rest of it is. See go_header.h.
 */
#include "unwind/go_header.h"

#include <errno.h>

static bool find_version(uint32_t magic, enum go_version *ret)
{
    static const uint32_t magics[GO_VERSIONS] = {
        [GO_1_16] = 0xfffffffa, [GO_1_18] = 0xfffffff0, [GO_1_20] = 0xfffffff1};
    for (enum go_version v = 0; v < GO_VERSIONS; v++) {
        if (magics[v] == magic) {
            *ret = v;
            return true;
        }
    }
    return false;
}

static bool fits_in(uint64_t offset, uint64_t size, uint64_t len)
{
    return offset <= len && size <= len - offset;
}

int go_header_read(const void *bytes, size_t len, uint64_t table_len, struct go_header *ret)
{
    struct leb p = {bytes, (const uint8_t *)bytes + len, false};
    struct go_header h = {0};
    if (!find_version(leb_u32(&p), &h.version))
        return -EBADMSG;
    uint16_t zeros = leb_u16(&p);
    h.quantum = leb_u8(&p);
    uint8_t pointer = leb_u8(&p);
    h.count = leb_u64(&p);
    leb_u64(&p);
    h.relative = h.version != GO_1_16;
    h.word = h.relative ? 4 : 8;
    if (h.relative)
        h.text = leb_u64(&p);
    h.names = leb_u64(&p);
    h.units = leb_u64(&p);
    h.files = leb_u64(&p);
    h.programs = leb_u64(&p);
    h.functions = leb_u64(&p);
    if (p.bad || zeros || pointer != 8 || (h.quantum != 1 && h.quantum != 2 && h.quantum != 4) ||
        h.programs >= table_len || h.count > table_len || /* so that this does not wrap: */
        !fits_in(h.functions, (2 * h.count + 1) * h.word, table_len))
        return -EBADMSG;
    *ret = h;
    return 0;
}
