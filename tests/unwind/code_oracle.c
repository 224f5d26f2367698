/* code_oracle.c: takes ELF files that have CFI, finds rules from their code alone (unwind/code.h)
 * and compares them with those of the CFI: at return addresses, and at any instruction. Prints a
 * line for each file, with --verbose one for each difference too.
 *
 *   --every=N   of so many pcs one is compared */
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

/* What a caller of code_find_rule reads of another process. */
#define BEFORE 16384u
#define BEHIND 16384u

/* `other`: of a kind that the CFI's cannot be compared with, as both may be right. */
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
    uint32_t every;
    bool verbose;
    struct counts callers, all;
    uint32_t *ns;
    size_t ns_count;
};

#define NS_MAX (1u << 20)

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

/* Right behind its store, or its load, a register lies in two places. */
static bool is_twofold(unsigned is, unsigned want)
{
    return (is == PLACE_SAME && want == PLACE_CFA) || (is == PLACE_CFA && want == PLACE_SAME);
}

static enum verdict compare(const struct unwind_rule *is, const struct unwind_rule *want,
                            bool caller)
{
    if (is->kind != want->kind || (is->kind >= RULE_REG && is->reg != want->reg))
        return VERDICT_other;
    if (is->cfa_off != want->cfa_off || (is->kind == RULE_DEREF && is->cfa_add != want->cfa_add))
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

static void check_pc(struct run *run, const struct code_processor *on, const uint8_t *file,
                     size_t size, uint64_t pc, const struct unwind_rule *want, bool first)
{
    uint64_t from = pc < BEFORE ? 0 : pc - BEFORE;
    uint64_t to = pc + BEHIND < size ? pc + BEHIND : size;
    struct code_piece piece = {file + from, to - from, from};
    struct unwind_rule is = {0};
    enum verdict v = VERDICT_none;
    uint64_t start = now_ns();
    bool answer = code_walk(on, &piece, pc, &is);
    uint64_t took = now_ns() - start;
    if (run->ns_count < NS_MAX)
        run->ns[run->ns_count++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
    bool caller = code_look_behind(on, &piece, pc) == 1;
    if (answer)
        v = compare(&is, want, caller);
    /* What begins behind a call is another function: that call does not return. */
    if (caller && !first)
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

/* A row begins at an instruction, and the instructions up to the next have its rule. */
static void check_row(struct run *run, const struct code_processor *on, const uint8_t *file,
                      size_t size, uint64_t start, uint64_t end, const struct unwind_rule *want,
                      uint32_t *turn)
{
    if (want->kind == RULE_NONE || want->kind == RULE_END || want->kind >= RULE_PLT ||
        want->flags & RULE_SIGNAL)
        return;
    struct code_insn insn;
    for (uint64_t pc = start; pc < end && pc < size; pc += insn.len) {
        if (!on->decode(file + pc, end - pc, pc, &insn))
            return;
        /* What fills a gap has the rule of what is before it. */
        if (!insn.idle && ++*turn % run->every == 0)
            check_pc(run, on, file, size, pc, want, pc == start);
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

static int check_file(struct run *run, const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return 0;
    struct err err = {0};
    _cleanup_(unwind_table_free) struct unwind_table *t = NULL;
    if (unwind_table_build(fd, NULL, &t, &err) < 0)
        return 0;
    size_t size = (size_t)st.st_size;
    const uint8_t *file = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED)
        return -errno;
    const struct code_processor *on =
        t->info.machine == UNWIND_X86_64 ? &code_x86_64 : &code_aarch64;
    uint32_t turn = 0;
    run->ns_count = 0;
    memset(&run->callers, 0, sizeof(run->callers));
    memset(&run->all, 0, sizeof(run->all));
    for (uint32_t i = 0; i + 1 < t->info.rows; i++)
        check_row(run, on, file, size, t->offsets[i], t->offsets[i + 1],
                  &t->rules[t->rule_of_row[i]], &turn);
    qsort(run->ns, run->ns_count, sizeof(run->ns[0]), compare_ns);
    printf("%s: median %u ns\n", path, run->ns_count ? run->ns[run->ns_count / 2] : 0);
    print_counts("return addresses", &run->callers);
    print_counts("all", &run->all);
    munmap((void *)file, size);
    return 0;
}

int main(int argc, char **argv)
{
    struct run run = {.every = 1, .ns = malloc(NS_MAX * sizeof(uint32_t))};
    if (!run.ns)
        return 1;
    elf_version(EV_CURRENT);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            run.verbose = true;
        else if (strncmp(argv[i], "--every=", 8) == 0)
            run.every = (uint32_t)strtoul(argv[i] + 8, NULL, 10);
        else
            check_file(&run, argv[i]);
    }
    free(run.ns);
    return 0;
}
