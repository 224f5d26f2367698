/* test_code.c: small pieces of code give the rules that hold at their pcs. The bytes are what an
 * assembler makes of the comment above them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/cleanup.h"
#include "unwind/code_walk.h"

#define START 0x10000u
#define RBP   6
#define RSP   7
#define R11   11
#define X29   29
#define SP    31

struct code {
    const char *what;
    uint8_t bytes[64];
    size_t len;
    size_t at; /* where the pc is */
    bool none; /* nothing can be said; else: */
    struct unwind_rule rule;
};

#define BYTES(...) .bytes = {__VA_ARGS__}, .len = sizeof((uint8_t[]){__VA_ARGS__})
#define W(w)       (w) & 0xff, (w) >> 8 & 0xff, (w) >> 16 & 0xff, (w) >> 24 & 0xff

#define RA_AT_CFA .ra_place = PLACE_CFA, .ra_off = -8
#define SP_RULE(off, ...) \
    .rule = {.kind = RULE_SP, .reg = RSP, .cfa_off = (off), RA_AT_CFA, ##__VA_ARGS__}
#define FP_RULE(off, ...) \
    .rule = {.kind = RULE_FP, .reg = RBP, .cfa_off = (off), RA_AT_CFA, ##__VA_ARGS__}
#define DEREF_RULE(number, off, add, ...) \
    .rule = {.kind = RULE_DEREF,          \
             .reg = (number),             \
             .cfa_off = (off),            \
             .cfa_add = (add),            \
             RA_AT_CFA,                   \
             ##__VA_ARGS__}
#define ARM_RULE(k, number, off, ...) \
    .rule = {.kind = (k), .reg = (number), .cfa_off = (off), ##__VA_ARGS__}
#define FP_AT(place, off) .fp_place = PLACE_##place, .fp_off = (off)
#define RA_AT(place, off) .ra_place = PLACE_##place, .ra_off = (off)

static struct code_piece piece_of(const struct code *c)
{
    return (struct code_piece){.bytes = c->bytes, .len = c->len, .start = START};
}

static void run_all(const struct code_processor *on, const struct code *codes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct code *c = &codes[i];
        struct code_piece piece = piece_of(c);
        struct unwind_rule r = {0};
        if (code_walk(on, &piece, START + c->at, &r) != !c->none)
            fail_msg("%s: %s", c->what, c->none ? "gave a rule" : "gave none");
        if (memcmp(&r, &c->rule, sizeof(r)) != 0)
            fail_msg("%s: kind %u reg %u cfa %d %d fp %u %d ra %u %d", c->what, r.kind, r.reg,
                     r.cfa_off, r.cfa_add, r.fp_place, r.fp_off, r.ra_place, r.ra_off);
    }
}

#define RUN(on, codes) run_all(&(on), codes, ARRAY_LEN(codes))

/* ---- x86-64 */

static void what_is_taken_off_the_stack_before_the_return_is_the_frame(void **state)
{
    static const struct code codes[] = {
        {"add rsp, 24; pop rbx; pop rbp; ret", BYTES(0x48, 0x83, 0xc4, 0x18, 0x5b, 0x5d, 0xc3),
         SP_RULE(48, FP_AT(CFA, -16))},
        {"in the midst of it", BYTES(0x48, 0x83, 0xc4, 0x18, 0x5b, 0x5d, 0xc3), .at = 6,
         SP_RULE(8)},
        {"ret 8", BYTES(0xc2, 0x08, 0x00), SP_RULE(8)},
        {"xor ebp, ebp; pop rbp; ret", BYTES(0x31, 0xed, 0x5d, 0xc3), SP_RULE(16, FP_AT(CFA, -16))},
    };
    RUN(code_x86_64, codes);
}

static void a_frame_pointer_that_the_stack_pointer_is_set_from_leads_to_the_frame(void **state)
{
    static const struct code codes[] = {
        {"leave; ret", BYTES(0xc9, 0xc3), FP_RULE(16, FP_AT(CFA, -16))},
        {"lea rsp, [rbp - 24]; pop rbx; pop r12; pop r13; pop rbp; ret",
         BYTES(0x48, 0x8d, 0x65, 0xe8, 0x5b, 0x41, 0x5c, 0x41, 0x5d, 0x5d, 0xc3),
         FP_RULE(16, FP_AT(CFA, -16))},
        {"sub rsp, rax; lea rsp, [rbp - 24]; pop rbx; pop r12; pop r13; pop rbp; ret",
         BYTES(0x48, 0x29, 0xc4, 0x48, 0x8d, 0x65, 0xe8, 0x5b, 0x41, 0x5c, 0x41, 0x5d, 0x5d, 0xc3),
         FP_RULE(16, FP_AT(CFA, -16))},
    };
    RUN(code_x86_64, codes);
}

static void a_function_is_followed_from_its_prologue_on(void **state)
{
/* push rbp; mov rbp, rsp; sub rsp, 16; nop; leave; ret */
#define FRAME BYTES(0x55, 0x48, 0x89, 0xe5, 0x48, 0x83, 0xec, 0x10, 0x90, 0xc9, 0xc3)
    static const struct code codes[] = {
        {"before anything", FRAME, .at = 0, SP_RULE(8)},
        {"behind the push", FRAME, .at = 1, SP_RULE(16, FP_AT(CFA, -16))},
        {"with the frame pointer set", FRAME, .at = 4, FP_RULE(16, FP_AT(CFA, -16))},
        {"in the body", FRAME, .at = 8, FP_RULE(16, FP_AT(CFA, -16))},
        {"enter 16, 0; leave; ret", BYTES(0xc8, 0x10, 0x00, 0x00, 0xc9, 0xc3), SP_RULE(8)},
        {"push rbx; mov ebx, edi; pop rbx; ret", BYTES(0x53, 0x89, 0xfb, 0x5b, 0xc3), SP_RULE(8)},
        {"mov rax, rsp; mov [rsp - 8], rbp; sub rsp, 64; xor ebp, ebp; mov rbp, [rax - 8]; "
         "mov rsp, rax; ret",
         BYTES(0x48, 0x89, 0xe0, 0x48, 0x89, 0x6c, 0x24, 0xf8, 0x48, 0x83, 0xec, 0x40, 0x31, 0xed,
               0x48, 0x8b, 0x68, 0xf8, 0x48, 0x89, 0xc4, 0xc3),
         SP_RULE(8)},
    };
    RUN(code_x86_64, codes);
}

static void the_return_is_found_behind_branches(void **state)
{
    static const struct code codes[] = {
        {"test eax, eax; jne 1f; ud2; 1: add rsp, 8; ret",
         BYTES(0x85, 0xc0, 0x75, 0x02, 0x0f, 0x0b, 0x48, 0x83, 0xc4, 0x08, 0xc3), SP_RULE(16)},
        {"1: dec eax; jne 1b; add rsp, 8; ret",
         BYTES(0xff, 0xc8, 0x75, 0xfc, 0x48, 0x83, 0xc4, 0x08, 0xc3), SP_RULE(16)},
        {"HotSpot's: add rsp, 32; pop rbp; cmp rsp, [r15 + 0x460]; ja 1f; ret; 1: hlt",
         BYTES(0x48, 0x83, 0xc4, 0x20, 0x5d, 0x49, 0x3b, 0xa7, 0x60, 0x04, 0x00, 0x00, 0x77, 0x01,
               0xc3, 0xf4),
         SP_RULE(48, FP_AT(CFA, -16))},
        {"1: jmp 1b", BYTES(0xeb, 0xfe), .none = true},
        {"int3", BYTES(0xcc), .none = true},
        {"the bytes end", BYTES(0x48, 0x83), .none = true},
    };
    RUN(code_x86_64, codes);
}

static void a_jump_to_another_function_comes_behind_the_frames_end(void **state)
{
    static const struct code codes[] = {
        {"add rsp, 8; jmp far off", BYTES(0x48, 0x83, 0xc4, 0x08, 0xe9, 0x40, 0x23, 0x01, 0x00),
         SP_RULE(16)},
        {"jmp far off", BYTES(0xe9, 0x40, 0x23, 0x01, 0x00), .none = true},
        {"pop rbx; jmp rax", BYTES(0x5b, 0xff, 0xe0), SP_RULE(16)},
        {"a switch: jmp rax", BYTES(0xff, 0xe0), .none = true},
        {"a PLT: jmp [rip + 0x100]", BYTES(0xff, 0x25, 0x00, 0x01, 0x00, 0x00), SP_RULE(8)},
    };
    RUN(code_x86_64, codes);
}

static void a_stack_that_was_aligned_is_found_where_it_was_kept(void **state)
{
    static const struct code codes[] = {
        {"mov r10, [rbp - 8]; leave; lea rsp, [r10 - 8]; ret",
         BYTES(0x4c, 0x8b, 0x55, 0xf8, 0xc9, 0x49, 0x8d, 0x62, 0xf8, 0xc3),
         DEREF_RULE(RBP, -8, 0, FP_AT(FP, 0))},
        {"mov rsi, [rsp + 72]; mov rbp, [rsi - 16]; lea rsp, [rsi]; ret",
         BYTES(0x48, 0x8b, 0x74, 0x24, 0x48, 0x48, 0x8b, 0x6e, 0xf0, 0x48, 0x8d, 0x26, 0xc3),
         DEREF_RULE(RSP, 72, 8, FP_AT(CFA, -24))},
        {"mov rsp, r11; ret: in a register", BYTES(0x4c, 0x89, 0xdc, 0xc3),
         .rule = {.kind = RULE_REG, .reg = R11, .cfa_off = 8, RA_AT_CFA}},
        {"call far off; mov rsp, rbx; ret: which is not known of callers",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x48, 0x89, 0xdc, 0xc3), .at = 5, .none = true},
    };
    RUN(code_x86_64, codes);
}

static void what_follows_a_call_is_followed_unless_it_is_another_function(void **state)
{
    static const struct code codes[] = {
        {"call; | add rsp, 24; ret",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x48, 0x83, 0xc4, 0x18, 0xc3), .at = 5, SP_RULE(32)},
        {"call; | nop; mov eax, 1; ret",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x0f, 0x1f, 0x00, 0xb8, 0x01, 0x00, 0x00, 0x00, 0xc3),
         .at = 5, .none = true},
        {"call; | nop; push rbx; call; pop rbx; ret",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x66, 0x0f, 0x1f, 0x04, 0x00, 0x53, 0xe8, 0x40, 0x23,
               0x01, 0x00, 0x5b, 0xc3),
         .at = 5, .none = true},
    };
    RUN(code_x86_64, codes);
}

static void a_call_that_leaves_its_arguments_on_the_stack_does_not_return(void **state)
{
    static const struct code codes[] = {
        {"call; | push rcx; push rdx; call; add rsp, 16; jmp 1f; hlt; 1: add rsp, 24; ret",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x51, 0x52, 0xe8, 0x40, 0x23, 0x01, 0x00, 0x48, 0x83,
               0xc4, 0x10, 0xeb, 0x01, 0xf4, 0x48, 0x83, 0xc4, 0x18, 0xc3),
         .at = 5, SP_RULE(32)},
        {"call; | push rcx; push rdx; call; jmp 1f; hlt; 1: add rsp, 24; ret",
         BYTES(0xe8, 0x40, 0x23, 0x01, 0x00, 0x51, 0x52, 0xe8, 0x40, 0x23, 0x01, 0x00, 0xeb, 0x01,
               0xf4, 0x48, 0x83, 0xc4, 0x18, 0xc3),
         .at = 5, .none = true},
    };
    RUN(code_x86_64, codes);
}

/* Its stack need not be aligned, by which a call that does not return would be known. */
static void a_call_of_a_function_that_is_seen_to_return_returns(void **state)
{
    static const struct code codes[] = {
        {"f: ret; g: call f; ret", BYTES(0xc3, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xc3), .at = 6,
         SP_RULE(8)},
        {"f: hlt; g: call f; ret", BYTES(0xf4, 0xe8, 0xfa, 0xff, 0xff, 0xff, 0xc3), .at = 6,
         .none = true},
        {"call rax; ret", BYTES(0xff, 0xd0, 0xc3), .at = 2, .none = true},
        {"f: pop rax; ret; g: call f; ret", BYTES(0x58, 0xc3, 0xe8, 0xf9, 0xff, 0xff, 0xff, 0xc3),
         .at = 7, .none = true},
        {"call to itself, which calls itself", BYTES(0xe8, 0xfb, 0xff, 0xff, 0xff, 0xc3), .at = 5,
         .none = true},
    };
    RUN(code_x86_64, codes);
}

static void a_return_address_is_known_by_the_call_before_it(void **state)
{
    static const struct {
        struct code code;
        int is;
    } cases[] = {
        {{"call far off", BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0xe8, 1, 2, 3, 0)}, 1},
        {{"call rax", BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xd0)}, 1},
        {{"call r10", BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x41, 0xff, 0xd2)}, 1},
        {{"call [rip + 3]", BYTES(0x90, 0x90, 0x90, 0x90, 0xff, 0x15, 3, 0, 0, 0)}, 1},
        {{"call [rax + rbx * 8 + 1]",
          BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0x54, 0xd8, 1)},
         1},
        {{"jmp rax", BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0xff, 0xe0)}, 0},
        {{"nops", BYTES(0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90)}, 0},
        {{"too few bytes", BYTES(0x90, 0x90, 0x90)}, -1},
        {{"none", .len = 0}, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct code_piece piece = piece_of(&cases[i].code);
        if (code_look_behind(&code_x86_64, &piece, START + piece.len) != cases[i].is)
            fail_msg("%s", cases[i].code.what);
    }
    struct code_piece piece = piece_of(&cases[0].code);
    assert_int_equal(code_look_behind(&code_x86_64, &piece, START - 1), -1);
    assert_int_equal(code_look_behind(&code_x86_64, &piece, START + 11), -1);
}

static void a_pc_outside_the_piece_has_no_rule(void **state)
{
    static const uint8_t ret[] = {0xc3};
    struct code_piece piece = {ret, sizeof(ret), START};
    struct unwind_rule r;
    assert_true(code_walk(&code_x86_64, &piece, START, &r));
    assert_false(code_walk(&code_x86_64, &piece, START - 1, &r));
    assert_false(code_walk(&code_x86_64, &piece, START + 1, &r));
    piece.len = 0;
    assert_false(code_walk(&code_x86_64, &piece, START, &r));
}

/* ---- aarch64 */

static void on_aarch64_the_return_address_is_found_where_it_is_loaded_from(void **state)
{
    static const struct code codes[] = {
        {"ldp x29, x30, [sp], #32; ret", BYTES(W(0xa8c27bfd), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 32, FP_AT(CFA, -32), RA_AT(CFA, -24))},
        {"ldr x19, [sp, #32]; ldp x29, x30, [sp, #16]; add sp, sp, #48; ret",
         BYTES(W(0xf94013f3), W(0xa9417bfd), W(0x9100c3ff), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 48, FP_AT(CFA, -32), RA_AT(CFA, -24))},
        {"mov sp, x29; ldp x29, x30, [sp], #16; ret",
         BYTES(W(0x910003bf), W(0xa8c17bfd), W(0xd65f03c0)),
         ARM_RULE(RULE_FP, X29, 16, FP_AT(CFA, -16), RA_AT(CFA, -8))},
        {"ldp x29, x30, [sp]; mov x12, #5008; add sp, sp, x12; ret",
         BYTES(W(0xa9407bfd), W(0xd282720c), W(0x8b2c63ff), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 5008, FP_AT(CFA, -5008), RA_AT(CFA, -5000))},
        {"ldp x29, x30, [sp], #16; autiasp; ret",
         BYTES(W(0xa8c17bfd), W(0xd50323bf), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 16, FP_AT(CFA, -16), RA_AT(CFA, -8))},
        {"ldp x29, x30, [sp], #16; retaa", BYTES(W(0xa8c17bfd), W(0xd65f0bff)),
         ARM_RULE(RULE_SP, SP, 16, FP_AT(CFA, -16), RA_AT(CFA, -8))},
        {"ldp x29, x30, [sp], #16; b far off", BYTES(W(0xa8c17bfd), W(0x14040000)),
         ARM_RULE(RULE_SP, SP, 16, FP_AT(CFA, -16), RA_AT(CFA, -8))},
    };
    RUN(code_aarch64, codes);
}

static void on_aarch64_a_function_that_has_saved_nothing_has_it_in_its_register(void **state)
{
    static const struct code codes[] = {
        {"add sp, sp, #16; ret", BYTES(W(0x910043ff), W(0xd65f03c0)), ARM_RULE(RULE_SP, SP, 16)},
        {"stp x29, x30, [sp, #-16]!; mov x29, sp; bl far off; ldp x29, x30, [sp], #16; ret",
         BYTES(W(0xa9bf7bfd), W(0x910003fd), W(0x94000400), W(0xa8c17bfd), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 0)},
        {"sub sp, sp, #4096; sub sp, sp, #16; add sp, sp, #4096; add sp, sp, #16; ret",
         BYTES(W(0xd14007ff), W(0xd10043ff), W(0x914007ff), W(0x910043ff), W(0xd65f03c0)),
         ARM_RULE(RULE_SP, SP, 0)},
        {"a switch: br x16", BYTES(W(0xd61f0200)), .none = true},
        {"not at an instruction", BYTES(W(0xd65f03c0), W(0xd65f03c0)), .at = 2, .none = true},
    };
    RUN(code_aarch64, codes);
}

static void on_aarch64_a_caller_has_to_load_its_return_address(void **state)
{
    static const struct code codes[] = {
        {"bl far off; | ldr x30, [sp], #16; ret",
         BYTES(W(0x94000400), W(0xf84107fe), W(0xd65f03c0)), .at = 4,
         ARM_RULE(RULE_SP, SP, 16, RA_AT(CFA, -16))},
        {"bl far off; | ret", BYTES(W(0x94000400), W(0xd65f03c0)), .at = 4, .none = true},
        {"bl far off; | cbz x0, 1f; brk #0; 1: ldr x30, [sp], #16; ret",
         BYTES(W(0x94000400), W(0xb4000040), W(0xd4200000), W(0xf84107fe), W(0xd65f03c0)), .at = 4,
         ARM_RULE(RULE_SP, SP, 16, RA_AT(CFA, -16))},
    };
    RUN(code_aarch64, codes);
}

/* ---- of any bytes */

static uint64_t random_state = 1;

static uint32_t random_number(void)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(random_state >> 33);
}

static void rules_of_any_bytes_are_known_ones(void **state)
{
    static const struct code_processor *const both[] = {&code_x86_64, &code_aarch64};
    static const uint8_t common[] = {0x48, 0x83, 0xc4, 0x08, 0x5d, 0xc3, 0xc9, 0x74,
                                     0xe8, 0xbd, 0x7b, 0xc1, 0xa8, 0xc0, 0x03, 0xd6};
    size_t rules = 0;
    for (int i = 0; i < 100000; i++) {
        uint8_t bytes[64];
        for (size_t k = 0; k < sizeof(bytes); k++)
            bytes[k] = random_number() % 4 ? common[random_number() % sizeof(common)]
                                           : (uint8_t)random_number();
        struct code_piece piece = {bytes, random_number() % sizeof(bytes), START};
        uint64_t pc = START + random_number() % (piece.len + 1);
        struct unwind_rule r = {0};
        if (!code_walk(both[i & 1], &piece, pc, &r))
            continue;
        rules++;
        assert_true(r.kind == RULE_SP || r.kind == RULE_FP || r.kind == RULE_REG ||
                    r.kind == RULE_DEREF);
        assert_true(r.reg < 32 && r.ra_place <= PLACE_FP && r.fp_place <= PLACE_UNDEFINED);
        assert_true(r.kind != RULE_SP || r.cfa_off >= 0);
    }
    assert_true(rules > 1000); /* or the bytes were none worth following */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_taken_off_the_stack_before_the_return_is_the_frame),
        cmocka_unit_test(a_frame_pointer_that_the_stack_pointer_is_set_from_leads_to_the_frame),
        cmocka_unit_test(a_function_is_followed_from_its_prologue_on),
        cmocka_unit_test(the_return_is_found_behind_branches),
        cmocka_unit_test(a_jump_to_another_function_comes_behind_the_frames_end),
        cmocka_unit_test(a_stack_that_was_aligned_is_found_where_it_was_kept),
        cmocka_unit_test(what_follows_a_call_is_followed_unless_it_is_another_function),
        cmocka_unit_test(a_call_that_leaves_its_arguments_on_the_stack_does_not_return),
        cmocka_unit_test(a_call_of_a_function_that_is_seen_to_return_returns),
        cmocka_unit_test(a_return_address_is_known_by_the_call_before_it),
        cmocka_unit_test(a_pc_outside_the_piece_has_no_rule),
        cmocka_unit_test(on_aarch64_the_return_address_is_found_where_it_is_loaded_from),
        cmocka_unit_test(on_aarch64_a_function_that_has_saved_nothing_has_it_in_its_register),
        cmocka_unit_test(on_aarch64_a_caller_has_to_load_its_return_address),
        cmocka_unit_test(rules_of_any_bytes_are_known_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
