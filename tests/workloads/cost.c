/* cost.c: runs a program (argv[2] and on) and writes to the file argv[1] what it cost, with all
 * children that it waited for: "CPU microseconds, KiB of memory at most". */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "cost FILE PROGRAM...\n");
        return 2;
    }
    pid_t pid = fork();
    if (pid == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    int status;
    struct rusage u;
    if (pid < 0 || wait4(pid, &status, 0, &u) < 0) {
        perror("cost");
        return 1;
    }
    FILE *to = fopen(argv[1], "w");
    if (!to) {
        perror(argv[1]);
        return 1;
    }
    fprintf(to, "%lld %ld\n",
            (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000LL + u.ru_utime.tv_usec +
                u.ru_stime.tv_usec,
            u.ru_maxrss);
    fclose(to);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
