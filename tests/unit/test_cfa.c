/* test_cfa.c: CFA programs, put together by hand, give the rows they say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dwarf.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "unwind/cfa.h"

#define START   0x1000u
#define END     0x1100u
#define ROWS    40
#define PROGRAM 200

#define RBX 3
#define RBP 6
#define RSP 7
#define R10 10
#define RA  16
#define X29 29
#define X30 30
#define SP  31

#define NEGATE_RA_STATE 0x2d

/* The value of a DW_OP_breg or factored offset as one byte of sleb128. */
#define S(n) ((n)&0x7f)

#define ADVANCE(n)     DW_CFA_advance_loc | (n)
#define OFFSET(reg, n) DW_CFA_offset | (reg), (n)
#define RESTORE(reg)   DW_CFA_restore | (reg)

/* What compilers' CIEs say on x86-64: the CFA is above the return address. */
#define X86_INITIAL DW_CFA_def_cfa, RSP, 8, OFFSET(RA, 1)

struct row {
    uint64_t pc;
    struct unwind_rule rule;
};

#define RA_AT_CFA .ra_place = PLACE_CFA, .ra_off = -8
#define ENTRY                                                \
    {                                                        \
        .kind = RULE_SP, .reg = RSP, .cfa_off = 8, RA_AT_CFA \
    }
#define OTHER              \
    {                      \
        .kind = RULE_OTHER \
    }

struct program {
    const char *what;
    uint8_t bytes[PROGRAM];
    size_t len;
    struct row rows[12];
    size_t count;
    int result;
};

#define BYTES(...) .bytes = {__VA_ARGS__}, .len = sizeof((uint8_t[]){__VA_ARGS__})
#define GIVES(...) \
    .rows = {__VA_ARGS__}, .count = sizeof((struct row[]){__VA_ARGS__}) / sizeof(struct row)

struct rows {
    struct row at[ROWS];
    size_t count, most;
    int answer; /* to the last */
};

static int take_row(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct rows *rows = ctx;
    assert_true(rows->count < ROWS);
    rows->at[rows->count++] = (struct row){pc, *rule};
    return rows->count == rows->most ? rows->answer : 0;
}

static const uint8_t x86_initial[] = {X86_INITIAL};
static const struct cfa_cie x86_cie = {
    .initial = x86_initial,
    .initial_end = x86_initial + sizeof(x86_initial),
    .code_align = 1,
    .data_align = -8,
    .return_register = RA,
    .pointer_size = 8,
};

/* The CIE's program is set by its user. */
static const struct cfa_cie arm_cie = {
    .code_align = 4,
    .data_align = -8,
    .return_register = X30,
    .pointer_size = 8,
};

static void expect(const struct program *p, const struct rows *got, int result)
{
    if (result != p->result)
        fail_msg("%s: result %d, not %d", p->what, result, p->result);
    if (got->count != p->count)
        fail_msg("%s: %zu rows, not %zu", p->what, got->count, p->count);
    for (size_t i = 0; i < p->count; i++) {
        const struct row *is = &got->at[i], *want = &p->rows[i];
        const struct unwind_rule *r = &is->rule;
        if (is->pc != want->pc)
            fail_msg("%s: row %zu is at %#lx", p->what, i, (unsigned long)is->pc);
        if (memcmp(r, &want->rule, sizeof(*r)) != 0)
            fail_msg("%s: row %zu is kind %u reg %u flags %u cfa %d %d fp %u %d ra %u %d", p->what,
                     i, r->kind, r->reg, r->flags, r->cfa_off, r->cfa_add, r->fp_place, r->fp_off,
                     r->ra_place, r->ra_off);
    }
}

static void run_all(const struct rule_registers *registers, const struct cfa_cie *cie,
                    const struct program *programs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct program *p = &programs[i];
        struct rows got = {0};
        int r = cfa_run(registers, cie, p->bytes, p->bytes + p->len, START, END, take_row, &got);
        expect(p, &got, r);
    }
}

static void run_x86(const struct program *programs, size_t count)
{
    run_all(&rule_registers_x86_64, &x86_cie, programs, count);
}

static void rows_follow_the_instructions_of_a_function(void **state)
{
    static const struct program programs[] = {
        {"nothing but the CIE's program", .len = 0, GIVES({START, ENTRY})},
        {"a frame pointer, an early return and the code behind it",
         BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 16, OFFSET(RBP, 2), ADVANCE(3),
               DW_CFA_def_cfa_register, RBP, ADVANCE(8), DW_CFA_remember_state, RESTORE(RBP),
               DW_CFA_def_cfa, RSP, 8, ADVANCE(1), DW_CFA_restore_state),
         GIVES({START, ENTRY},
               {START + 1,
                {.kind = RULE_SP,
                 .reg = RSP,
                 .cfa_off = 16,
                 .fp_place = PLACE_CFA,
                 .fp_off = -16,
                 RA_AT_CFA}},
               {START + 4,
                {.kind = RULE_FP,
                 .reg = RBP,
                 .cfa_off = 16,
                 .fp_place = PLACE_CFA,
                 .fp_off = -16,
                 RA_AT_CFA}},
               {START + 12, ENTRY},
               {START + 13,
                {.kind = RULE_FP,
                 .reg = RBP,
                 .cfa_off = 16,
                 .fp_place = PLACE_CFA,
                 .fp_off = -16,
                 RA_AT_CFA}})},
        {"states remembered within each other",
         BYTES(DW_CFA_remember_state, ADVANCE(1), DW_CFA_def_cfa_offset, 16, DW_CFA_remember_state,
               ADVANCE(1), DW_CFA_def_cfa_offset, 24, ADVANCE(1), DW_CFA_restore_state, ADVANCE(1),
               DW_CFA_restore_state),
         GIVES({START, ENTRY}, {START + 1, {.kind = RULE_SP, .reg = RSP, .cfa_off = 16, RA_AT_CFA}},
               {START + 2, {.kind = RULE_SP, .reg = RSP, .cfa_off = 24, RA_AT_CFA}},
               {START + 3, {.kind = RULE_SP, .reg = RSP, .cfa_off = 16, RA_AT_CFA}},
               {START + 4, ENTRY})},
        {"registers that no caller's caller needs make no row",
         BYTES(ADVANCE(1), OFFSET(RBX, 3), ADVANCE(1), DW_CFA_same_value, RBX, ADVANCE(1),
               DW_CFA_nop, DW_CFA_GNU_args_size, 0x80, 1, ADVANCE(1), RESTORE(RBX)),
         GIVES({START, ENTRY})},
        {"several changes at one pc are one row",
         BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 16, DW_CFA_advance_loc1, 0, DW_CFA_def_cfa_offset,
               24),
         GIVES({START, ENTRY},
               {START + 1, {.kind = RULE_SP, .reg = RSP, .cfa_off = 24, RA_AT_CFA}})},
        {"what lies behind the function's end is not read",
         BYTES(DW_CFA_advance_loc2, 0, 1, 0xff, 0xff), GIVES({START, ENTRY})},
        {"nor is a row made there", BYTES(DW_CFA_advance_loc2, 0, 1, DW_CFA_def_cfa_offset, 16),
         GIVES({START, ENTRY})},
    };
    run_x86(programs, ARRAY_LEN(programs));
}

static void every_way_to_move_on_is_known(void **state)
{
#define AT(n) \
    GIVES({START, ENTRY}, {START + (n), {.kind = RULE_SP, .reg = RSP, .cfa_off = 16, RA_AT_CFA}})
#define THEN DW_CFA_def_cfa_offset, 16
    static const struct program programs[] = {
        {"advance_loc", BYTES(ADVANCE(63), THEN), AT(63)},
        {"advance_loc1", BYTES(DW_CFA_advance_loc1, 0xfe, THEN), AT(0xfe)},
        {"advance_loc2", BYTES(DW_CFA_advance_loc2, 0xfd, 0, THEN), AT(0xfd)},
        {"advance_loc4", BYTES(DW_CFA_advance_loc4, 0xfc, 0, 0, 0, THEN), AT(0xfc)},
        {"advance_loc8", BYTES(DW_CFA_MIPS_advance_loc8, 0xfb, 0, 0, 0, 0, 0, 0, 0, THEN),
         AT(0xfb)},
        {"set_loc", BYTES(DW_CFA_set_loc, 0x20, 0x10, 0, 0, 0, 0, 0, 0, THEN), AT(0x20)},
    };
    run_x86(programs, ARRAY_LEN(programs));
#undef AT
#undef THEN
}

static void every_way_to_set_the_cfa_is_known(void **state)
{
    static const struct program programs[] = {
        {"def_cfa", BYTES(DW_CFA_def_cfa, RBP, 0x90, 1),
         GIVES({START, {.kind = RULE_FP, .reg = RBP, .cfa_off = 144, RA_AT_CFA}})},
        {"def_cfa_sf", BYTES(DW_CFA_def_cfa_sf, RBP, S(-3)),
         GIVES({START, {.kind = RULE_FP, .reg = RBP, .cfa_off = 24, RA_AT_CFA}})},
        {"def_cfa_offset_sf", BYTES(DW_CFA_def_cfa_offset_sf, S(-4)),
         GIVES({START, {.kind = RULE_SP, .reg = RSP, .cfa_off = 32, RA_AT_CFA}})},
        {"in another register: a function that realigns its stack", BYTES(DW_CFA_def_cfa, R10, 0),
         GIVES({START, {.kind = RULE_REG, .reg = R10, RA_AT_CFA}})},
        {"and once it has saved that register",
         BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_breg6, S(-8), DW_OP_deref, DW_CFA_expression,
               RBP, 2, DW_OP_breg6, 0),
         GIVES({START,
                {.kind = RULE_DEREF, .reg = RBP, .cfa_off = -8, .fp_place = PLACE_FP, RA_AT_CFA}})},
        {"saved at sp", BYTES(DW_CFA_expression, RBP, 2, DW_OP_breg7, S(-16)),
         GIVES({START,
                {.kind = RULE_SP,
                 .reg = RSP,
                 .cfa_off = 8,
                 .fp_place = PLACE_SP,
                 .fp_off = -16,
                 RA_AT_CFA}})},
        {"hand-written: saved stack pointer, above it the rest",
         BYTES(DW_CFA_def_cfa_expression, 6, DW_OP_breg7, 0xc8, 0, DW_OP_deref, DW_OP_plus_uconst,
               8),
         GIVES({START, {.kind = RULE_DEREF, .reg = RSP, .cfa_off = 72, .cfa_add = 8, RA_AT_CFA}})},
        {"register and offset, written as an expression",
         BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_plus_uconst, 16),
         GIVES({START, {.kind = RULE_SP, .reg = RSP, .cfa_off = 24, RA_AT_CFA}})},
        {"the register's number in bregx",
         BYTES(DW_CFA_def_cfa_expression, 3, DW_OP_bregx, RBP, 16),
         GIVES({START, {.kind = RULE_FP, .reg = RBP, .cfa_off = 16, RA_AT_CFA}})},
        {"a lazy PLT",
         BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15,
               DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit3, DW_OP_shl, DW_OP_plus),
         GIVES({START, {.kind = RULE_PLT, .reg = 15, .cfa_off = 8, .cfa_add = 11, RA_AT_CFA}})},
        {"one that pushes something else is not taken for it",
         BYTES(DW_CFA_def_cfa_expression, 11, DW_OP_breg7, 8, DW_OP_breg16, 0, DW_OP_lit15,
               DW_OP_and, DW_OP_lit11, DW_OP_ge, DW_OP_lit4, DW_OP_shl, DW_OP_plus),
         GIVES({START, OTHER})},
        {"an expression of another kind",
         BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 8, DW_OP_lit8, DW_OP_minus),
         GIVES({START, OTHER})},
        {"an expression without anything", BYTES(DW_CFA_def_cfa_expression, 0),
         GIVES({START, OTHER})},
        {"a register that no machine has", BYTES(DW_CFA_def_cfa, 0x80, 1, 8),
         GIVES({START, OTHER})},
        {"an offset beyond 32 bits", BYTES(DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x10),
         GIVES({START, OTHER})},
        {"the register alone changes, the offset stays",
         BYTES(DW_CFA_def_cfa_offset, 48, DW_CFA_def_cfa_register, RBP),
         GIVES({START, {.kind = RULE_FP, .reg = RBP, .cfa_off = 48, RA_AT_CFA}})},
    };
    run_x86(programs, ARRAY_LEN(programs));
}

static void every_way_to_save_a_register_is_known(void **state)
{
#define FP(...) GIVES({START, {.kind = RULE_SP, .reg = RSP, .cfa_off = 8, RA_AT_CFA, __VA_ARGS__}})
    static const struct program programs[] = {
        {"offset", BYTES(OFFSET(RBP, 2)), FP(.fp_place = PLACE_CFA, .fp_off = -16)},
        {"offset_extended", BYTES(DW_CFA_offset_extended, RBP, 3),
         FP(.fp_place = PLACE_CFA, .fp_off = -24)},
        {"offset_extended_sf", BYTES(DW_CFA_offset_extended_sf, RBP, S(-1)),
         FP(.fp_place = PLACE_CFA, .fp_off = 8)},
        {"negative_offset_extended", BYTES(DW_CFA_GNU_negative_offset_extended, RBP, 2),
         FP(.fp_place = PLACE_CFA, .fp_off = 16)},
        {"register", BYTES(DW_CFA_register, RBP, RBX), FP(.fp_place = PLACE_REG, .fp_off = RBX)},
        {"undefined", BYTES(DW_CFA_undefined, RBP), FP(.fp_place = PLACE_UNDEFINED)},
        {"same_value", BYTES(OFFSET(RBP, 2), DW_CFA_same_value, RBP), FP(.fp_place = PLACE_SAME)},
        {"restore: as at the function's start", BYTES(OFFSET(RBP, 2), RESTORE(RBP)),
         FP(.fp_place = PLACE_SAME)},
        {"restore_extended", BYTES(OFFSET(RBP, 2), DW_CFA_restore_extended, RBP),
         FP(.fp_place = PLACE_SAME)},
        {"the return address is restored to what the CIE says",
         BYTES(DW_CFA_undefined, RA, RESTORE(RA)), FP(.fp_place = PLACE_SAME)},
        {"the value is an offset: none of ours", BYTES(DW_CFA_val_offset, RBP, 2),
         GIVES({START, OTHER})},
        {"likewise signed", BYTES(DW_CFA_val_offset_sf, RBP, 2), GIVES({START, OTHER})},
        {"the value is an expression", BYTES(DW_CFA_val_expression, RBP, 1, DW_OP_lit0),
         GIVES({START, OTHER})},
        {"a place found by another register's value",
         BYTES(DW_CFA_expression, RBP, 2, DW_OP_breg3, 0), GIVES({START, OTHER})},
        {"in a register that no machine has", BYTES(DW_CFA_register, RBP, 90),
         GIVES({START, OTHER})},
        {"sp has a rule of its own", BYTES(OFFSET(RSP, 4)), GIVES({START, OTHER})},
        {"and no more", BYTES(OFFSET(RSP, 4), RESTORE(RSP)), FP(.fp_place = PLACE_SAME)},
        {"no return address: a thread's first function", BYTES(DW_CFA_undefined, RA),
         GIVES({START, {.kind = RULE_END}})},
    };
    run_x86(programs, ARRAY_LEN(programs));
#undef FP
}

static void a_malformed_program_is_refused_after_the_rows_before_it(void **state)
{
    static const struct program programs[] = {
        {"an operand is cut off", BYTES(DW_CFA_def_cfa_offset), .result = -EBADMSG},
        {"in the middle of a number", BYTES(DW_CFA_def_cfa_offset, 0x80), .result = -EBADMSG},
        {"a number without end",
         BYTES(DW_CFA_def_cfa_offset, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80,
               0x80, 0x80),
         .result = -EBADMSG},
        {"a location is cut off", BYTES(DW_CFA_advance_loc4, 1, 0), .result = -EBADMSG},
        {"an expression is longer than what is left",
         BYTES(DW_CFA_def_cfa_expression, 9, DW_OP_breg7, 8), .result = -EBADMSG},
        {"by nearly all addresses",
         BYTES(DW_CFA_expression, RBP, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
         .result = -EBADMSG},
        {"an instruction of no kind", BYTES(0x3f), .result = -EBADMSG},
        {"nothing was remembered", BYTES(DW_CFA_restore_state), .result = -EBADMSG},
        {"it goes back", BYTES(DW_CFA_set_loc, 0xff, 0x0f, 0, 0, 0, 0, 0, 0), .result = -EBADMSG},
        {"it wraps around the address space",
         BYTES(DW_CFA_MIPS_advance_loc8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
         .result = -EBADMSG},
        {"the second half", BYTES(ADVANCE(4), 0x3f), GIVES({START, ENTRY}), .result = -EBADMSG},
    };
    run_x86(programs, ARRAY_LEN(programs));
}

static void states_are_remembered_sixteen_deep_and_no_more(void **state)
{
    struct program p = {.what = "16", .rows = {{START, ENTRY}}, .count = 1};
    memset(p.bytes, DW_CFA_remember_state, 16);
    memset(p.bytes + 16, DW_CFA_restore_state, 16);
    p.len = 32;
    run_x86(&p, 1);
    p = (struct program){.what = "17", .len = 17, .result = -EBADMSG};
    memset(p.bytes, DW_CFA_remember_state, 17);
    run_x86(&p, 1);
}

static void a_cie_sets_rules_and_does_not_move(void **state)
{
    static const uint8_t moves[] = {X86_INITIAL, ADVANCE(1)};
    static const uint8_t broken[] = {X86_INITIAL, 0x3f};
    static const uint8_t endless[1000] = {DW_CFA_nop};
    static const struct {
        const uint8_t *initial;
        size_t len;
        int result;
        size_t rows;
    } cases[] = {{moves, sizeof(moves), -EBADMSG, 1},
                 {broken, sizeof(broken), -EBADMSG, 0},
                 {endless, sizeof(endless), -EBADMSG, 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cfa_cie cie = x86_cie;
        struct rows got = {0};
        cie.initial = cases[i].initial;
        cie.initial_end = cases[i].initial + cases[i].len;
        assert_int_equal(
            cfa_run(&rule_registers_x86_64, &cie, NULL, NULL, START, END, take_row, &got),
            cases[i].result);
        assert_int_equal(got.count, cases[i].rows);
    }
}

static void a_cie_that_is_not_understood_leaves_its_code_to_others(void **state)
{
    static const struct program programs[] = {{"whatever it says",
                                               BYTES(ADVANCE(1), DW_CFA_def_cfa_offset, 16),
                                               GIVES({START, OTHER}, {START + 1, OTHER})}};
    struct cfa_cie cie = x86_cie;
    cie.unknown = true;
    run_all(&rule_registers_x86_64, &cie, programs, 1);
    cie.unknown = false;
    cie.return_register = RBX;
    run_all(&rule_registers_x86_64, &cie, programs, 1);
}

static void without_any_rule_for_the_return_address_nothing_is_known(void **state)
{
    static const uint8_t initial[] = {DW_CFA_def_cfa, RSP, 8};
    static const struct program none = {"no place", .len = 0, GIVES({START, OTHER})};
    struct cfa_cie cie = x86_cie;
    cie.initial = initial;
    cie.initial_end = initial + sizeof(initial);
    run_all(&rule_registers_x86_64, &cie, &none, 1);
    static const struct program no_cfa = {"no CFA", BYTES(OFFSET(RA, 1)), GIVES({START, OTHER})};
    cie.initial_end = initial;
    run_all(&rule_registers_x86_64, &cie, &no_cfa, 1);
}

static void rows_of_a_signal_frame_say_so(void **state)
{
    static const struct program programs[] = {
        {"glibc's __restore_rt, shortened",
         BYTES(DW_CFA_def_cfa_expression, 4, DW_OP_breg7, 0xa0, 1, DW_OP_deref, DW_CFA_expression,
               RBP, 3, DW_OP_breg7, 0xf8, 0, DW_CFA_expression, RA, 3, DW_OP_breg7, 0xa8, 1),
         GIVES({START,
                {.kind = RULE_DEREF,
                 .reg = RSP,
                 .cfa_off = 160,
                 .flags = RULE_SIGNAL,
                 .fp_place = PLACE_SP,
                 .fp_off = 120,
                 .ra_place = PLACE_SP,
                 .ra_off = 168}})}};
    struct cfa_cie cie = x86_cie;
    cie.signal_frame = true;
    run_all(&rule_registers_x86_64, &cie, programs, 1);
}

static void on_aarch64_the_return_address_starts_in_a_register_and_may_be_signed(void **state)
{
    static const uint8_t initial[] = {DW_CFA_def_cfa, SP, 0};
    static const struct program programs[] = {
        {"a function that calls none", .len = 0,
         GIVES({START, {.kind = RULE_SP, .reg = SP, .ra_place = PLACE_SAME}})},
        {"paciasp; stp x29, x30, [sp, -32]!; mov x29, sp; ...; autiasp",
         BYTES(ADVANCE(1), NEGATE_RA_STATE, ADVANCE(1), DW_CFA_def_cfa_offset, 32, OFFSET(X29, 4),
               OFFSET(X30, 3), ADVANCE(1), DW_CFA_def_cfa_register, X29, ADVANCE(8), RESTORE(X30),
               RESTORE(X29), DW_CFA_def_cfa, SP, 0, ADVANCE(1), NEGATE_RA_STATE),
         GIVES({START, {.kind = RULE_SP, .reg = SP}},
               {START + 4, {.kind = RULE_SP, .reg = SP, .flags = RULE_PAC}},
               {START + 8,
                {.kind = RULE_SP,
                 .reg = SP,
                 .flags = RULE_PAC,
                 .cfa_off = 32,
                 .fp_place = PLACE_CFA,
                 .fp_off = -32,
                 .ra_place = PLACE_CFA,
                 .ra_off = -24}},
               {START + 12,
                {.kind = RULE_FP,
                 .reg = X29,
                 .flags = RULE_PAC,
                 .cfa_off = 32,
                 .fp_place = PLACE_CFA,
                 .fp_off = -32,
                 .ra_place = PLACE_CFA,
                 .ra_off = -24}},
               {START + 44, {.kind = RULE_SP, .reg = SP, .flags = RULE_PAC}},
               {START + 48, {.kind = RULE_SP, .reg = SP}})},
        {"signing is remembered with the rest",
         BYTES(NEGATE_RA_STATE, DW_CFA_remember_state, ADVANCE(1), NEGATE_RA_STATE, ADVANCE(1),
               DW_CFA_restore_state),
         GIVES({START, {.kind = RULE_SP, .reg = SP, .flags = RULE_PAC}},
               {START + 4, {.kind = RULE_SP, .reg = SP}},
               {START + 8, {.kind = RULE_SP, .reg = SP, .flags = RULE_PAC}})},
        {"the return address was moved to another register", BYTES(DW_CFA_register, X30, 19),
         GIVES({START, {.kind = RULE_SP, .reg = SP, .ra_place = PLACE_REG, .ra_off = 19}})},
    };
    struct cfa_cie cie = arm_cie;
    cie.initial = initial;
    cie.initial_end = initial + sizeof(initial);
    run_all(&rule_registers_aarch64, &cie, programs, ARRAY_LEN(programs));
}

static void whoever_takes_the_rows_can_stop(void **state)
{
    static const uint8_t program[] = {ADVANCE(1), DW_CFA_def_cfa_offset, 16,
                                      ADVANCE(1), DW_CFA_def_cfa_offset, 24};
    for (size_t most = 1; most <= 3; most++) {
        struct rows got = {.most = most, .answer = -EFBIG};
        assert_int_equal(cfa_run(&rule_registers_x86_64, &x86_cie, program,
                                 program + sizeof(program), START, END, take_row, &got),
                         -EFBIG);
        assert_int_equal(got.count, most);
    }
}

/* ---- of any program */

struct order {
    uint64_t last;
    size_t count;
};

static int check_order(void *ctx, uint64_t pc, const struct unwind_rule *rule)
{
    struct order *o = ctx;
    assert_true(pc >= START && pc < END && (!o->count || pc > o->last));
    assert_true(rule->kind > RULE_NONE && rule->kind <= RULE_OTHER && rule->reg < 32);
    assert_true(rule->fp_place <= PLACE_UNDEFINED && rule->ra_place < PLACE_UNDEFINED);
    o->last = pc;
    o->count++;
    return 0;
}

static uint64_t random_state = 1;

static uint32_t random_number(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(random_state >> 33);
}

static void rows_of_any_program_come_in_order_and_hold_known_rules(void **state)
{
    static const uint8_t common[] = {ADVANCE(1),
                                     DW_CFA_def_cfa_offset,
                                     DW_CFA_def_cfa_expression,
                                     DW_CFA_expression,
                                     DW_OP_breg7,
                                     DW_OP_breg6,
                                     DW_OP_deref,
                                     DW_CFA_remember_state,
                                     DW_CFA_restore_state,
                                     RBP,
                                     RSP,
                                     RA};
    size_t whole = 0;
    for (int i = 0; i < 200000; i++) {
        uint8_t program[24];
        size_t len = random_number() % sizeof(program);
        for (size_t k = 0; k < len; k++)
            program[k] = random_number() & 1 ? common[random_number() % sizeof(common)]
                                             : (uint8_t)random_number();
        struct order o = {0};
        int r = cfa_run(&rule_registers_x86_64, &x86_cie, program, program + len, START, END,
                        check_order, &o);
        assert_true(r == 0 || r == -EBADMSG);
        assert_true(r < 0 || o.count > 0);
        assert_true(o.count <= len + 1);
        whole += r == 0 && o.count > 1;
    }
    assert_true(whole > 1000); /* or the programs were none worth running */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_the_instructions_of_a_function),
        cmocka_unit_test(every_way_to_move_on_is_known),
        cmocka_unit_test(every_way_to_set_the_cfa_is_known),
        cmocka_unit_test(every_way_to_save_a_register_is_known),
        cmocka_unit_test(a_malformed_program_is_refused_after_the_rows_before_it),
        cmocka_unit_test(states_are_remembered_sixteen_deep_and_no_more),
        cmocka_unit_test(a_cie_sets_rules_and_does_not_move),
        cmocka_unit_test(a_cie_that_is_not_understood_leaves_its_code_to_others),
        cmocka_unit_test(without_any_rule_for_the_return_address_nothing_is_known),
        cmocka_unit_test(rows_of_a_signal_frame_say_so),
        cmocka_unit_test(on_aarch64_the_return_address_starts_in_a_register_and_may_be_signed),
        cmocka_unit_test(whoever_takes_the_rows_can_stop),
        cmocka_unit_test(rows_of_any_program_come_in_order_and_hold_known_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
