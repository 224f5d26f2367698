/* bench_unwind.c: runs podflame's unwinder, libdw and libunwind over the same samples by turns, and
 * says what each took, how far it came, and where they differ. See `corpus` for the samples.
 *
 *   bench_unwind [--own|--info|--ends|--differences] [--rounds N] [--per-program N] FILE */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "engine.h"
#include "unwind/table.h"

#define ROUNDS_MAX 99
#define ENGINES    3
/* Half a ring, at which the agent is woken. */
#define RING_SAMPLES      16
#define RING_SAMPLE_BYTES 16384

struct kept { /* a chain */
    uint32_t first, count;
    bool bottom;
    uint8_t end;
};

struct contender {
    const struct engine *engine;
    void *state;
    struct kept *chains;
    uint64_t *pcs;
    uint64_t pc_count;
    size_t memory;
    double ns[ROUNDS_MAX]; /* per sample */
};

static struct contender contenders[ENGINES] = {
    {.engine = &engine_podflame}, {.engine = &engine_libdw}, {.engine = &engine_libunwind}};

static unsigned engines = ENGINES;

static size_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

/* Warms the engine up, and keeps what it finds. */
static void keep_chains(struct contender *c, const struct samples *s)
{
    static struct chain chain;
    size_t before = heap_bytes(), own = 0;
    c->state = c->engine->open(s);
    c->chains = malloc(s->count * sizeof(*c->chains));
    uint64_t room = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        c->engine->run(c->state, &s->v[i], &chain);
        if (c->pc_count + chain.count > room) {
            room = room * 2 + 65536;
            c->pcs = reallocarray(c->pcs, room, sizeof(*c->pcs));
        }
        c->chains[i] = (struct kept){(uint32_t)c->pc_count, chain.count, chain.bottom, chain.end};
        memcpy(c->pcs + c->pc_count, chain.pcs, chain.count * sizeof(*c->pcs));
        c->pc_count += chain.count;
    }
    own = s->count * sizeof(*c->chains) + room * sizeof(*c->pcs);
    c->memory = heap_bytes() - before - own;
    if (c->engine->memory)
        c->memory += c->engine->memory(c->state);
}

/* As the agent meets them: a batch of samples that the kernel has just written into a ring. */
static void fill_ring(const struct samples *s, uint32_t first, uint32_t count,
                      struct bench_sample ring[RING_SAMPLES])
{
    static struct {
        uint64_t regs[64];
        uint8_t stack[RING_SAMPLE_BYTES];
    } bytes[RING_SAMPLES] __attribute__((aligned(4096)));
    for (uint32_t i = 0; i < count; i++) {
        ring[i] = s->v[first + i];
        if (ring[i].stack_len > RING_SAMPLE_BYTES)
            continue;
        memcpy(bytes[i].regs, ring[i].regs, (size_t)__builtin_popcountll(s->regs_mask) * 8);
        memcpy(bytes[i].stack, ring[i].stack, ring[i].stack_len);
        ring[i].regs = bytes[i].regs;
        ring[i].stack = bytes[i].stack;
    }
}

static int64_t clock_cost(void)
{
    int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID), now = start;
    for (unsigned i = 0; i < 1000; i++)
        now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    return (now - start) / 1000;
}

static double time_pass(struct contender *c, const struct samples *s)
{
    static struct chain chain;
    struct bench_sample ring[RING_SAMPLES];
    int64_t sum = 0, cost = clock_cost();
    for (uint32_t first = 0; first < s->count; first += RING_SAMPLES) {
        uint32_t n = s->count - first < RING_SAMPLES ? s->count - first : RING_SAMPLES;
        fill_ring(s, first, n, ring);
        int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        for (uint32_t i = 0; i < n; i++)
            c->engine->run(c->state, &ring[i], &chain);
        sum += clock_ns(CLOCK_THREAD_CPUTIME_ID) - start - cost;
    }
    return (double)sum / s->count;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_value);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

/* ---- which stacks the dump held whole: ours says when it ran out of bytes */

static bool fits(uint32_t i)
{
    return contenders[0].chains[i].end != UNWIND_END_truncated;
}

/* A caller's pc is the return address for some, one less for others. */
static bool same_pc(uint64_t ours, uint64_t theirs)
{
    return ours == theirs || ours + 1 == theirs;
}

static bool same_chain(const struct contender *c, uint32_t i, uint32_t *ret_at)
{
    const struct kept *a = &contenders[0].chains[i], *b = &c->chains[i];
    const uint64_t *x = contenders[0].pcs + a->first, *y = c->pcs + b->first;
    uint32_t n = a->count < b->count ? a->count : b->count;
    for (*ret_at = 0; *ret_at < n; ++*ret_at) {
        if (!same_pc(x[*ret_at], y[*ret_at]))
            return false;
    }
    return a->count == b->count;
}

static bool has_cfi(const struct samples *s, const struct bench_space *space, uint64_t pc)
{
    const struct bench_mapping *m = samples_find_mapping(space, pc);
    if (!m || m->object == SAMPLES_NO_OBJECT)
        return false;
    const struct bench_object *object = &s->objects[m->object];
    return object->table && object->eh_frame_hdr.p_memsz &&
           unwind_table_find(object->table, pc - m->start + m->file_offset)->kind != RULE_NONE;
}

/* Of a frame below the first that differs others have no CFI where they look for it: they guess by
 * the frame pointer, and may come to the right caller with a wrong one. */
static bool is_guess(const struct samples *s, uint32_t i, uint32_t at)
{
    const struct contender *o = &contenders[0];
    const uint64_t *pcs = o->pcs + o->chains[i].first;
    for (uint32_t k = 0; k < at; k++) {
        if (!has_cfi(s, &s->spaces[s->v[i].space], pcs[k]))
            return true;
    }
    return false;
}

/* ---- tables for people */

static void print_info(const struct samples *s)
{
    printf("%" PRIu64 " samples in the recording, %u of the corpus's programs taken; "
           "dumps of up to %u bytes; %u objects, %u mappings of processes\n\n",
           s->in_file, s->count, s->dump_max, s->object_count, s->space_count);
    printf("%-10s %8s %10s %12s %8s %8s %6s %6s\n", "program", "samples", "processes",
           "frames/stack", "bottom", "of fits", "cut", "lost");
    const struct contender *c = &contenders[0];
    for (uint32_t l = 0; l < s->label_count; l++) {
        uint32_t n = 0, frames = 0, bottom = 0, fit = 0;
        for (uint32_t i = 0; i < s->count; i++) {
            if (s->v[i].label != l)
                continue;
            n++;
            frames += c->chains[i].count;
            bottom += c->chains[i].bottom;
            fit += fits(i);
        }
        if (n)
            printf("%-10s %8u %10u %12.1f %7.1f%% %7.1f%% %6u %6u\n", s->labels[l].name, n,
                   s->labels[l].processes, (double)frames / n, 100.0 * bottom / n,
                   fit ? 100.0 * bottom / fit : 0, n - fit, fit - bottom);
    }
}

static void print_table(const struct samples *s, unsigned rounds)
{
    double ours = median(contenders[0].ns, rounds);
    printf("%-24s %10s %9s %8s %9s %10s %7s\n", "engine", "us/sample", "ns/frame", "bottom",
           "of fits", "memory KiB", "ratio");
    for (unsigned e = 0; e < engines; e++) {
        struct contender *c = &contenders[e];
        uint32_t bottom = 0, bottom_fit = 0, fit = 0;
        for (uint32_t i = 0; i < s->count; i++) {
            bottom += c->chains[i].bottom;
            fit += fits(i);
            bottom_fit += c->chains[i].bottom && fits(i);
        }
        double ns = median(c->ns, rounds);
        printf("%-24s %10.3f %9.1f %7.2f%% %8.2f%% %10zu %6.1fx\n", c->engine->name, ns / 1000,
               ns * s->count / (double)c->pc_count, 100.0 * bottom / s->count,
               100.0 * bottom_fit / fit, c->memory >> 10, ns / ours);
    }
    for (unsigned e = 1; e < engines; e++) {
        const struct contender *c = &contenders[e];
        uint32_t both = 0, same = 0, guesses = 0, at;
        for (uint32_t i = 0; i < s->count; i++) {
            if (!c->chains[i].bottom || !contenders[0].chains[i].bottom)
                continue;
            both++;
            if (same_chain(c, i, &at))
                same++;
            else
                guesses += is_guess(s, i, at);
        }
        printf("frame by frame as %s, where both reach bottom: %u of %u, %.3f%%; "
               "%.3f%% without the %u that it guessed where no CFI is\n",
               c->engine->name, same, both, 100.0 * same / both, 100.0 * same / (both - guesses),
               guesses);
    }
    printf("tables: %" PRIu64 " rows in %.0f ms, %.0f ns and %.2f bytes a row\n", s->rows,
           (double)s->build_ns / 1e6, (double)s->build_ns / (double)s->rows,
           (double)s->table_bytes / (double)s->rows);
}

/* ---- where: lines that `sort | uniq -c` makes a list of */

static void print_place(const struct samples *s, uint32_t i, const char *what, uint64_t pc)
{
    const struct bench_space *space = &s->spaces[s->v[i].space];
    const struct bench_mapping *m = samples_find_mapping(space, pc);
    if (!m)
        printf(" %s=nowhere", what);
    else if (m->object == SAMPLES_NO_OBJECT)
        printf(" %s=jit", what);
    else
        printf(" %s=%s+0x%" PRIx64, what, s->objects[m->object].path,
               pc - m->start + m->file_offset);
}

static void print_ends(const struct samples *s)
{
    static const char *const names[] = {
#define X(name, help) #name,
        UNWIND_ENDS(X)
#undef X
    };
    const struct contender *c = &contenders[0];
    for (uint32_t i = 0; i < s->count; i++) {
        const struct kept *k = &c->chains[i];
        if (k->bottom || !k->count)
            continue;
        printf("%s %s%s", s->labels[s->v[i].label].name, names[k->end],
               k->count == 1 ? " leaf" : "");
        print_place(s, i, "at", c->pcs[k->first + k->count - 1]);
        printf(" dump=%s\n", s->v[i].stack_len == s->dump_max ? "full" : "whole");
    }
}

static void print_differences(const struct samples *s)
{
    for (unsigned e = 1; e < engines; e++) {
        const struct contender *o = &contenders[0], *c = &contenders[e];
        for (uint32_t i = 0; i < s->count; i++) {
            uint32_t at;
            if (!c->chains[i].bottom || !o->chains[i].bottom || same_chain(c, i, &at))
                continue;
            const struct kept *a = &o->chains[i], *b = &c->chains[i];
            printf("%s %s %s sample=%u frame=%u of %u/%u", c->engine->name,
                   s->labels[s->v[i].label].name, is_guess(s, i, at) ? "guess" : "rule", i, at,
                   a->count, b->count);
            if (at)
                print_place(s, i, "below", o->pcs[a->first + at - 1]);
            if (at < a->count)
                print_place(s, i, "ours", o->pcs[a->first + at]);
            if (at < b->count)
                print_place(s, i, "theirs", c->pcs[b->first + at]);
            printf("\n");
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"info", no_argument, NULL, 'i'},
                                            {"ends", no_argument, NULL, 'e'},
                                            {"differences", no_argument, NULL, 'd'},
                                            {"rounds", required_argument, NULL, 'r'},
                                            {"per-program", required_argument, NULL, 'p'},
                                            {"own", no_argument, NULL, 'o'},
                                            {0}};
    int mode = 't', o;
    unsigned rounds = 7, per_program = 1500;
    while ((o = getopt_long(argc, argv, "", options, NULL)) >= 0) {
        if (o == 'r')
            rounds = (unsigned)atoi(optarg);
        else if (o == 'p')
            per_program = (unsigned)atoi(optarg);
        else if (o == '?')
            return 2;
        else
            mode = o;
    }
    if (optind + 1 != argc || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_unwind [--own|--info|--ends|--differences] [--rounds N] "
                        "[--per-program N] FILE\n");
        return 2;
    }
    struct samples *s;
    struct err err = {0};
    if (samples_load(argv[optind], per_program, &s, &err) < 0) {
        fprintf(stderr, "bench_unwind: %s\n", err.text);
        return 1;
    }
    engines = mode == 'i' || mode == 'e' || mode == 'o' ? 1 : ENGINES;
    for (unsigned e = 0; e < engines; e++)
        keep_chains(&contenders[e], s);
    if (mode == 'i')
        print_info(s);
    if (mode == 'e')
        print_ends(s);
    if (mode == 'd')
        print_differences(s);
    if (mode != 't' && mode != 'o')
        return 0;
    for (unsigned r = 0; r < rounds; r++) {
        for (unsigned e = 0; e < engines; e++)
            contenders[e].ns[r] = time_pass(&contenders[e], s);
    }
    print_table(s, rounds);
    return 0;
}
