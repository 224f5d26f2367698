/* fuzz_go_table.c: any bytes give functions of Go and rows in order within them, or none. The first
 * byte says of which machine. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unwind/go_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Functions may share one sp table. */
#define ROWS_MAX 100000u

struct walk {
    const struct go_function *function;
    uint64_t last;
    size_t rows, rows_here;
};

static int check_row(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct walk *w = ctx;
    assert(pc >= w->function->start && pc < w->function->end);
    assert(w->rows_here ? pc > w->last : pc == w->function->start);
    assert(rule->kind == RULE_SP || rule->kind == RULE_OTHER);
    assert(rule->cfa_off >= 0 && rule->reg < 32);
    w->last = pc;
    w->rows_here++;
    return w->rows++ == ROWS_MAX ? -EFBIG : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    /* A copy of its own, so that reading past its end is seen. */
    size_t len = size - 1;
    uint8_t *bytes = malloc(len);
    assert(bytes);
    memcpy(bytes, data + 1, len);
    struct go_table t;
    struct walk w = {0};
    int r = go_table_open(bytes, len,
                          data[0] & 1 ? &rule_registers_aarch64 : &rule_registers_x86_64, &t);
    assert(r == 0 || r == -EBADMSG);
    for (uint64_t i = 0; r == 0 && i < t.count; i++) {
        struct go_function f;
        if (go_table_function(&t, i, &f) < 0)
            continue;
        assert(f.start < f.end && (!f.program || (f.program > bytes && f.program < bytes + len)));
        uint64_t end;
        w.function = &f;
        w.rows_here = 0;
        if (f.program && go_table_run(&t, &f, check_row, &w, &end) == 0)
            assert(w.rows_here && end > w.last && end <= f.end);
        if (w.rows > ROWS_MAX)
            break;
    }
    free(bytes);
    return 0;
}
