/* pingpong.c: two processes on one CPU wake each other through pipes, for argv[1] seconds; with
 * argv[2] and argv[3] each goes into that cgroup's directory first. Prints what a switch from one
 * to the other takes: "ns_per_switch 1234". */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void enter(const char *cgroup)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) {
        perror(path);
        _exit(1);
    }
    close(fd);
}

static void pass(int from, int to)
{
    char byte;
    if (read(from, &byte, 1) != 1 || write(to, &byte, 1) != 1)
        _exit(1);
}

int main(int argc, char **argv)
{
    int there[2], back[2];
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    if (argc < 2 || sched_setaffinity(0, sizeof(one), &one) < 0 || pipe(there) < 0 ||
        pipe(back) < 0)
        return 2;
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (argc > 3)
            enter(argv[3]);
        for (;;)
            pass(there[0], back[1]);
    }
    if (argc > 3)
        enter(argv[2]);
    double begin = now(), end = begin + strtod(argv[1], NULL), at = begin;
    unsigned long rounds = 0;
    for (; at < end; at = now()) {
        for (int i = 0; i < 1000; i++, rounds++) {
            if (write(there[1], "", 1) != 1)
                return 1;
            char byte;
            if (read(back[0], &byte, 1) != 1)
                return 1;
        }
    }
    printf("ns_per_switch %.0f\n", (at - begin) * 1e9 / (double)rounds / 2);
    return 0;
}
