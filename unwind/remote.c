/* remote.c: takes a sample's registers and stack, goes up them by libunwind. See remote.h. */
#include "unwind/remote.h"

#include <errno.h>
#include <libunwind.h>
#include <stdlib.h>

#include "base/err.h"
#include "unwind/arch.h"
#include "unwind/cfi_image.h"
#include "unwind/unwind.h"

/* Of libunwind: exported for debuggers, as GDB and perf use it, but in none of its headers. */
extern int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip,
                                              unw_dyn_info_t *di, unw_proc_info_t *pi,
                                              int need_unwind_info, void *arg);

/* libunwind remembers rules by process: some 50 KiB each. */
#define SPACES_MAX 16u

/* Each byte of CFI is a reading: a DWARF expression that goes round in circles ends here. */
#define READINGS_MAX 50000u

struct address_space {
    uint32_t id;
    uint64_t used; /* 0: never */
    unw_addr_space_t as;
};

struct remote {
    struct address_space spaces[SPACES_MAX];
    uint64_t turn, readings_before; /* of earlier steps */

    /* The sample at hand. */
    const struct unwind_space *space;
    const struct arch_state *leaf;
    const struct cfi_image *image; /* last asked for, and what is added to its addresses */
    uint64_t bias;
    unsigned readings;
};

/* Of an object: its CFI; and at pcs, where libunwind looks for signal handlers' returns on aarch64,
 * zeros. */
static bool read_object(struct remote *r, uint64_t address, uint64_t *ret)
{
    const struct cfi_image *other;
    uint64_t bias;
    if (r->image && cfi_image_word(r->image, address - r->bias, ret))
        return true;
    return r->space->find_cfi(r->space->ctx, address, &other, &bias) &&
           cfi_image_word(other, address - bias, ret);
}

static int access_mem(unw_addr_space_t as, unw_word_t address, unw_word_t *value, int write,
                      void *ctx)
{
    struct remote *r = ctx;
    uint64_t word;
    if (write || ++r->readings > READINGS_MAX)
        return -UNW_EINVAL;
    if (!arch_read(r->leaf, address, &word) && !read_object(r, address, &word))
        return -UNW_EINVAL;
    *value = word;
    return 0;
}

/* libunwind's numbers are DWARF's, on x86-64 and aarch64; behind the registers comes the pc. */
static int access_reg(unw_addr_space_t as, unw_regnum_t number, unw_word_t *value, int write,
                      void *ctx)
{
    const struct remote *r = ctx;
    if (write || number < 0 || number > ARCH_REGISTERS_MAX)
        return -UNW_EBADREG;
    *value = number == arch_pc_number ? r->leaf->pc : r->leaf->reg[number];
    return 0;
}

static int access_fpreg(unw_addr_space_t as, unw_regnum_t number, unw_fpreg_t *value, int write,
                        void *ctx)
{
    return -UNW_EBADREG;
}

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need,
                          void *ctx)
{
    struct remote *r = ctx;
    r->image = NULL;
    if (!r->space->find_cfi(r->space->ctx, ip, &r->image, &r->bias))
        return -UNW_ENOINFO;
    struct cfi_index index = cfi_image_index(r->image);
    unw_dyn_info_t di = {.format = UNW_INFO_FORMAT_REMOTE_TABLE,
                         .start_ip = r->bias + index.low,
                         .end_ip = r->bias + index.high,
                         .u.rti = {.segbase = r->bias + index.header,
                                   .table_data = r->bias + index.pairs,
                                   .table_len = (unw_word_t)index.count * 8 / sizeof(unw_word_t)}};
    return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &di, info, need, ctx);
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *ctx)
{
}

static int get_dyn_info_list_addr(unw_addr_space_t as, unw_word_t *address, void *ctx)
{
    return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t as, unw_cursor_t *cursor, void *ctx)
{
    return -UNW_EINVAL;
}

static int get_proc_name(unw_addr_space_t as, unw_word_t address, char *name, size_t len,
                         unw_word_t *offset, void *ctx)
{
    return -UNW_EINVAL;
}

static unw_accessors_t accessors = {.find_proc_info = find_proc_info,
                                    .put_unwind_info = put_unwind_info,
                                    .get_dyn_info_list_addr = get_dyn_info_list_addr,
                                    .access_mem = access_mem,
                                    .access_reg = access_reg,
                                    .access_fpreg = access_fpreg,
                                    .resume = resume,
                                    .get_proc_name = get_proc_name};

int remote_new(struct remote **ret, struct err *err)
{
    struct remote *r = calloc(1, sizeof(*r));
    if (!r)
        return err_errno(err, -ENOMEM, "libunwind's spaces");
    *ret = r;
    return 0;
}

void remote_free(struct remote **remote)
{
    struct remote *r = *remote;
    if (!r)
        return;
    for (unsigned i = 0; i < SPACES_MAX; i++) {
        if (r->spaces[i].as)
            unw_destroy_addr_space(r->spaces[i].as);
    }
    free(r);
    *remote = NULL;
}

/* The one that was used longest ago makes room. */
static unw_addr_space_t get_space(struct remote *r, uint32_t id)
{
    struct address_space *oldest = &r->spaces[0];
    r->turn++;
    for (unsigned i = 0; i < SPACES_MAX; i++) {
        struct address_space *s = &r->spaces[i];
        if (s->as && s->id == id) {
            s->used = r->turn;
            return s->as;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    if (oldest->as)
        unw_destroy_addr_space(oldest->as);
    oldest->as = unw_create_addr_space(&accessors, 0);
    if (!oldest->as)
        return NULL;
    unw_set_caching_policy(oldest->as, UNW_CACHE_GLOBAL);
    oldest->id = id;
    oldest->used = r->turn;
    return oldest->as;
}

static bool read_cursor(unw_cursor_t *cursor, uint64_t *pc, uint64_t *sp, uint64_t *fp)
{
    unw_word_t values[3];
    if (unw_get_reg(cursor, UNW_REG_IP, &values[0]) < 0 ||
        unw_get_reg(cursor, UNW_REG_SP, &values[1]) < 0 ||
        unw_get_reg(cursor, arch_registers->fp, &values[2]) < 0)
        return false;
    *pc = values[0];
    *sp = values[1];
    *fp = values[2];
    return true;
}

uint64_t remote_readings(const struct remote *remote)
{
    return remote->readings_before + remote->readings;
}

bool remote_step(struct remote *remote, const struct unwind_space *space,
                 const struct arch_state *leaf, size_t depth, struct arch_state *s)
{
    struct remote *r = remote;
    unw_addr_space_t as = space->find_cfi ? get_space(r, space->id) : NULL;
    unw_cursor_t cursor;
    uint64_t pc, sp, fp;
    r->space = space;
    r->leaf = leaf;
    r->image = NULL;
    r->readings_before += r->readings;
    r->readings = 0;
    if (!as || unw_init_remote(&cursor, as, r) < 0)
        return false;
    for (size_t i = 0; i < depth; i++) {
        if (unw_step(&cursor) <= 0)
            return false;
    }
    if (!read_cursor(&cursor, &pc, &sp, &fp) || pc != s->pc || sp != s->sp)
        return false;
    if (unw_step(&cursor) <= 0 || !read_cursor(&cursor, &pc, &sp, &fp) || sp <= s->sp)
        return false;
    s->pc = pc;
    s->sp = sp;
    s->fp = fp;
    s->interrupted = false;
    return true;
}
