/* symbols.c: functions of every linkage, for tests/e2e/symbols.sh to name. Hand-written assembly
 * has symbols inside symbols, without sizes and without types, as libraries of it do. */
#include <stdint.h>

int exported(int x);
int alias_of_exported(int x) __attribute__((alias("exported")));
int __underscored(int x);
int weak_one(int x) __attribute__((weak));
int chosen_at_load(int x);

__attribute__((noinline)) static int local_one(int x)
{
    return x * 7 + 1;
}

int exported(int x)
{
    return local_one(x) + 2;
}

int __underscored(int x)
{
    return x ^ 5;
}
int plain_alias(int x) __attribute__((alias("__underscored")));

int weak_one(int x)
{
    return x - 3;
}

__attribute__((noinline, cold)) static int cold_one(int x)
{
    return x / 3;
}

#ifdef WITH_IFUNC
static int implementation(int x)
{
    return x + 11;
}

static int (*resolve_chosen(void))(int)
{
    return implementation;
}
int chosen_at_load(int x) __attribute__((ifunc("resolve_chosen")));
#else
int chosen_at_load(int x)
{
    return x + 11;
}
#endif

__asm__(".text\n"
        ".globl sized_asm\n"
        ".type sized_asm, %function\n"
        "sized_asm:\n"
        ".nops 8\n"
        "label_inside:\n"
        ".nops 4\n"
        ".type inner_asm, %function\n"
        "inner_asm:\n"
        ".nops 4\n"
        ".size inner_asm, . - inner_asm\n"
        ".nops 8\n"
        ".size sized_asm, . - sized_asm\n"
        ".globl unsized_asm\n"
        ".type unsized_asm, %function\n"
        "unsized_asm:\n"
        ".nops 16\n"
        ".globl untyped_asm\n"
        "untyped_asm:\n"
        ".nops 12\n"
        ".size untyped_asm, . - untyped_asm\n"
        ".nops 16\n");

int main(int argc, char **argv)
{
    int (*volatile functions[])(int) = {exported, alias_of_exported, __underscored, plain_alias,
                                        weak_one, cold_one,          chosen_at_load};
    int sum = 0;
    for (unsigned i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
        sum += functions[i](argc);
    return sum == (int)(intptr_t)argv;
}
