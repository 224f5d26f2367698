/* code_oracle.c: takes ELF files that have CFI, finds rules from their code alone (unwind/code.h)
 * and compares them with the CFI's: at return addresses, and at all instructions. Prints two lines
 * for each file and for all of them; with --verbose one for each difference too.
 *
 *   --every=N    of so many pcs one is compared
 *   --window=N   of the code so many bytes before and behind the pc are looked at
 *
 * Of return addresses that get no rule most lie behind a call that does not return. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "unwind/code_walk.h"
#include "unwind/table.h"
#include "unwind/table_internal.h"

#define NS_MAX (1u << 20)

/* `fp`: the CFA is the same, where the frame pointer lies is not. `other`: by another register, and
 * it cannot be told whether that is the same. */
#define VERDICTS(X) X(same) X(fp) X(none) X(other) X(wrong)

enum verdict {
#define X(name) VERDICT_##name,
    VERDICTS(X)
#undef X
        VERDICT_COUNT
};

struct counts {
    uint64_t of[VERDICT_COUNT];
};

struct run {
    uint32_t every, turn, window;
    bool verbose;
    struct counts callers, all, callers_sum, all_sum;
    size_t ns_count;
    uint32_t ns[NS_MAX];
    /* Of the file at hand: */
    const struct code_processor *on;
    const uint8_t *file;
    size_t size;
    /* Of the function with a frame pointer: CFA - sp, up to its first branch or call, and so in its
     * body. */
    int32_t depth;
    bool in_body;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- one pc */

/* Right behind its store, or its load, a register lies in two places. */
static bool is_twofold(unsigned is, unsigned want)
{
    return (is == PLACE_SAME && want == PLACE_CFA) || (is == PLACE_CFA && want == PLACE_SAME);
}

static enum verdict compare(const struct run *run, const struct unwind_rule *is,
                            const struct unwind_rule *want, bool caller)
{
    int32_t cfa_off = want->cfa_off;
    if (is->kind == RULE_SP && want->kind == RULE_FP && caller && run->in_body)
        cfa_off = run->depth;
    else if (is->kind != want->kind || (is->kind >= RULE_REG && is->reg != want->reg))
        return VERDICT_other;
    if (is->cfa_off != cfa_off || (is->kind == RULE_DEREF && is->cfa_add != want->cfa_add))
        return VERDICT_wrong;
    if ((is->ra_place != want->ra_place || is->ra_off != want->ra_off) &&
        (caller || !is_twofold(is->ra_place, want->ra_place)))
        return VERDICT_wrong;
    if (is->fp_place == want->fp_place && is->fp_off == want->fp_off)
        return VERDICT_same;
    /* In an epilogue CFI goes on saying where the frame pointer was: below sp by now. */
    bool popped = want->kind == RULE_SP && want->cfa_off + want->fp_off < 0;
    return is_twofold(is->fp_place, want->fp_place) && (popped || !caller) ? VERDICT_same
                                                                           : VERDICT_fp;
}

static void say(const char *what, const struct unwind_rule *r)
{
    printf(" %s kind %u reg %u cfa %d %d fp %u %d ra %u %d", what, r->kind, r->reg, r->cfa_off,
           r->cfa_add, r->fp_place, r->fp_off, r->ra_place, r->ra_off);
}

static void check_pc(struct run *run, uint64_t pc, const struct unwind_rule *want, bool caller)
{
    uint64_t from = pc < run->window ? 0 : pc - run->window;
    uint64_t to = pc + run->window < run->size ? pc + run->window : run->size;
    struct code_piece piece = {run->file + from, to - from, from};
    struct unwind_rule is = {0};
    uint64_t start = now_ns();
    bool answer = code_walk(run->on, &piece, pc, &is);
    uint64_t took = now_ns() - start;
    if (run->ns_count < NS_MAX)
        run->ns[run->ns_count++] = (uint32_t)took;
    enum verdict v = answer ? compare(run, &is, want, caller) : VERDICT_none;
    if (caller)
        run->callers.of[v]++;
    run->all.of[v]++;
    if (!run->verbose || v == VERDICT_same)
        return;
#define X(name) [VERDICT_##name] = #name,
    static const char *const names[] = {VERDICTS(X)};
#undef X
    printf("%s 0x%" PRIx64 ": %s", caller ? "caller" : "pc", pc, names[v]);
    say("is", &is);
    say("want", want);
    printf("\n");
}

/* ---- a file */

static void follow_sp(struct run *run, const struct code_insn *insn)
{
    uint8_t sp = run->on->registers->sp;
    run->in_body = run->in_body || insn->flow != CODE_ON;
    for (unsigned i = 0; i < insn->count && !run->in_body; i++) {
        if (insn->ops[i].kind == CODE_COPY && insn->ops[i].reg == sp && insn->ops[i].base == sp)
            run->depth -= insn->ops[i].off;
    }
}

static bool is_nop(const struct run *run, uint64_t pc, uint8_t len)
{
    static const uint8_t arm[] = {0x1f, 0x20, 0x03, 0xd5};
    const uint8_t *b = run->file + pc, *end = b + len;
    if (run->on == &code_aarch64)
        return memcmp(b, arm, sizeof(arm)) == 0;
    while (b < end - 1 && (*b == 0x66 || *b == 0x2e))
        b++;
    return *b == 0x90 || (b < end - 1 && b[0] == 0x0f && b[1] == 0x1f);
}

/* A row begins at an instruction, and the instructions up to the next have its rule. */
static void check_row(struct run *run, uint64_t start, uint64_t end, const struct unwind_rule *want)
{
    /* Between an epilogue and the rest of the function lies a row for its return. */
    if (want->kind == RULE_SP && want->cfa_off > 8) {
        run->depth = want->cfa_off;
        run->in_body = false;
    }
    if (want->kind < RULE_SP || want->kind >= RULE_PLT || want->flags & RULE_SIGNAL)
        return;
    struct code_insn insn;
    bool behind_call = false;
    for (uint64_t pc = start; pc < end && pc < run->size; pc += insn.len) {
        if (!run->on->decode(run->file + pc, end - pc, pc, &insn))
            return;
        /* What fills a gap has the rule of what is before it. */
        if (!is_nop(run, pc, insn.len) && ++run->turn % (run->every ? run->every : 1) == 0)
            check_pc(run, pc, want, behind_call);
        behind_call = insn.flow == CODE_CALL;
        if (want->kind == RULE_FP)
            follow_sp(run, &insn);
    }
}

static void print_counts(const char *what, const struct counts *c)
{
    uint64_t asked = 0;
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        asked += c->of[i];
    double percent = asked ? 100.0 / (double)asked : 0;
    printf("  %s: %" PRIu64 " asked, %.2f %% answered;", what, asked,
           (double)(asked - c->of[VERDICT_none]) * percent);
#define X(name)                                                       \
    printf(" %s %" PRIu64 " (%.3f %%)", #name, c->of[VERDICT_##name], \
           (double)c->of[VERDICT_##name] * percent);
    VERDICTS(X)
#undef X
    printf("\n");
}

static void move_counts(struct counts *from, struct counts *to)
{
    for (unsigned i = 0; i < VERDICT_COUNT; i++)
        to->of[i] += from->of[i];
    memset(from, 0, sizeof(*from));
}

static void check_rows(struct run *run, const struct unwind_table *t, const char *path)
{
    run->on = t->info.machine == UNWIND_X86_64 ? &code_x86_64 : &code_aarch64;
    run->ns_count = 0;
    for (uint32_t i = 0; i + 1 < t->info.rows; i++)
        check_row(run, t->offsets[i], t->offsets[i + 1], &t->rules[t->rule_of_row[i]]);
    qsort(run->ns, run->ns_count, sizeof(run->ns[0]), compare_ns);
    printf("%s: median %u ns\n", path, run->ns_count ? run->ns[run->ns_count / 2] : 0);
    print_counts("return addresses", &run->callers);
    print_counts("all", &run->all);
    move_counts(&run->callers, &run->callers_sum);
    move_counts(&run->all, &run->all_sum);
}

static void check_file(struct run *run, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct err err = {0};
    _cleanup_(unwind_table_free) struct unwind_table *t = NULL;
    if (fd < 0 || fstat(fd, &st) < 0 || unwind_table_build(fd, NULL, &t, &err) < 0)
        return;
    run->size = (size_t)st.st_size;
    void *file = mmap(NULL, run->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        return;
    run->file = file;
    check_rows(run, t, path);
    munmap(file, run->size);
}

int main(int argc, char **argv)
{
    static struct run run = {.every = 1, .window = CODE_REACH};
    elf_version(EV_CURRENT);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            run.verbose = true;
        else if (strncmp(argv[i], "--every=", 8) == 0)
            run.every = (uint32_t)strtoul(argv[i] + 8, NULL, 10);
        else if (strncmp(argv[i], "--window=", 9) == 0)
            run.window = (uint32_t)strtoul(argv[i] + 9, NULL, 10);
        else
            check_file(&run, argv[i]);
    }
    printf("together\n");
    print_counts("return addresses", &run.callers_sum);
    print_counts("all", &run.all_sum);
    return 0;
}
