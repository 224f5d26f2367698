/* bpf_spin.c: takes a number of seconds, spends them in a BPF program of its own: kernel code that
 * came after the profiler started. Exits with 77 where it may not load one. */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TURNS 50000 /* the verifier walks through each: at most a million instructions */

static const struct bpf_insn program[] = {
    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
    {.code = BPF_ALU64 | BPF_ADD, .dst_reg = BPF_REG_0, .imm = 1},
    {.code = BPF_JMP | BPF_JLT | BPF_K, .dst_reg = BPF_REG_0, .imm = TURNS, .off = -2},
    {.code = BPF_JMP | BPF_EXIT},
};

static int bpf(int command, union bpf_attr *attr)
{
    return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    static const char license[] = "GPL";
    uint8_t packet[64] = {0};
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
        .insns = (uintptr_t)program,
        .insn_cnt = sizeof(program) / sizeof(*program),
        .license = (uintptr_t)license,
        .prog_name = "pf_spin",
    };
    int fd = bpf(BPF_PROG_LOAD, &load);
    if (fd < 0) {
        fprintf(stderr, "loading a BPF program: %s\n", strerror(errno));
        return 77;
    }
    while ((double)clock() < seconds * CLOCKS_PER_SEC) { /* CPU time */
        union bpf_attr run = {.test = {.prog_fd = (uint32_t)fd,
                                       .data_in = (uintptr_t)packet,
                                       .data_size_in = sizeof(packet),
                                       .repeat = 200}};
        if (bpf(BPF_PROG_TEST_RUN, &run) < 0) {
            fprintf(stderr, "running it: %s\n", strerror(errno));
            return 1;
        }
    }
    return 0;
}
