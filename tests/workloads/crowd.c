/* crowd.c: argv[1] processes, each an execution of its own, that all are alive until this one gets
 * a signal, and burn a CPU for a moment twice a second. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;

static __attribute__((noinline)) void burn_a_little(void)
{
    for (unsigned long i = 0; i < 200000; i++)
        sink += i * 7;
}

static _Noreturn void be_one(void)
{
    srandom((unsigned)getpid());
    for (;;) {
        struct timespec t = {.tv_nsec = 400000000 + random() % 200000000};
        nanosleep(&t, NULL);
        burn_a_little();
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "crowd COUNT\n");
        return 2;
    }
    if (strcmp(argv[1], "one") == 0)
        be_one();
    for (long i = strtol(argv[1], NULL, 10); i > 0; i--) {
        pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            return 1;
        }
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            execl(argv[0], argv[0], "one", NULL);
            _exit(127);
        }
    }
    pause();
    return 0;
}
