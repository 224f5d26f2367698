/* threads.c: four threads that recurse, sort by a callback, are interrupted by signals at once on
 * their stack and on one aside, and call the kernel. For the corpus: runs until it is killed. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#define NUMBERS 1024

static volatile uint64_t sink;

__attribute__((noinline)) static uint64_t fold(const uint32_t *v, size_t n)
{
    uint64_t sum = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        sum = (sum ^ v[i]) * 1099511628211u;
    return sum;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

__attribute__((noinline)) static uint64_t recurse(unsigned depth, uint32_t *v)
{
    uint32_t local[16];
    memcpy(local, v + depth, sizeof(local));
    if (depth == 0) {
        qsort(v, NUMBERS, sizeof(*v), compare);
        return fold(v, NUMBERS);
    }
    return recurse(depth - 1, v) + fold(local, 16);
}

static void handler(int number)
{
    uint32_t v[512];
    for (size_t i = 0; i < 512; i++)
        v[i] = (uint32_t)(i * 2654435761u) ^ (uint32_t)number;
    for (int i = 0; i < 20; i++)
        sink += fold(v, 512);
}

static void *work(void *arg)
{
    static const size_t stack_size = 65536;
    stack_t aside = {.ss_sp = malloc(stack_size), .ss_size = stack_size};
    sigaltstack(&aside, NULL);
    uint32_t v[NUMBERS], seed = (uint32_t)(uintptr_t)arg;
    char text[64];
    for (;;) {
        for (size_t i = 0; i < NUMBERS; i++)
            v[i] = seed = seed * 1664525u + 1013904223u;
        sink += recurse(seed % 60, v);
        snprintf(text, sizeof(text), "%f %u", (double)seed / 3, seed);
        sink += strlen(text);
        if (getppid() == -1)
            _exit(1);
    }
    return NULL;
}

int main(void)
{
    struct sigaction here = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction aside = {.sa_handler = handler, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigaction(SIGALRM, &here, NULL);
    sigaction(SIGVTALRM, &aside, NULL);
    struct itimerval every = {{0, 1500}, {0, 1500}};
    setitimer(ITIMER_REAL, &every, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, work, (void *)(i + 1));
    work(NULL);
}
