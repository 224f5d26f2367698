/* consume.c: uses so much of each thing that the kernel counts, and no more: consume FILE MIB
 * CPU_SECONDS PAGES [ANYTHING...]
 *
 * It stops itself (SIGSTOP) when it has begun. Sent SIGCONT, it writes MIB to FILE past the page
 * cache and reads them back, touches so many PAGES for the first time, burns CPU_SECONDS, and stops
 * again. Sent SIGCONT once more, it prints the CPU time in between in nanoseconds, and ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sink;

static long long cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void use_disk(int fd, char *block, int mib)
{
    for (int i = 0; i < mib; i++)
        if (pwrite(fd, block, 1 << 20, (off_t)i << 20) != 1 << 20)
            fail("write");
    for (int i = 0; i < mib; i++)
        if (pread(fd, block, 1 << 20, (off_t)i << 20) != 1 << 20)
            fail("read");
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    int mib = atoi(argv[2]), pages = atoi(argv[4]);
    double seconds = atof(argv[3]);
    long page = sysconf(_SC_PAGESIZE);
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (fd < 0 && errno == EINVAL) /* tmpfs, before Linux 6.6: then no disk is used */
        fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || posix_fallocate(fd, 0, (off_t)mib << 20) != 0)
        fail(argv[1]);
    char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    char *fresh = mmap(NULL, (size_t)pages * (size_t)page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED || fresh == MAP_FAILED)
        fail("mmap");
    madvise(fresh, (size_t)pages * (size_t)page, MADV_NOHUGEPAGE);
    raise(SIGSTOP);
    long long began = cpu_ns();
    use_disk(fd, block, mib);
    for (int i = 0; i < pages; i++)
        fresh[(size_t)i * (size_t)page] = 1;
    while ((double)(cpu_ns() - began) < seconds * 1e9)
        for (unsigned long i = 0; i < 50000; i++)
            sink += i * 7;
    long long used = cpu_ns() - began;
    raise(SIGSTOP);
    printf("%lld\n", used);
    return 0;
}
