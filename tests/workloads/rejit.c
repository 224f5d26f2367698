/* rejit.c: a JIT that puts one function after the other at the same address and tells of it:
 *   rejit map|dump SECONDS
 * first_caller() runs "first_code", second_caller() runs "second_code", in turns of TURN_NS; the
 * callers tell which of the two a sample was in, whatever name it got. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define TURN_NS 1500000000ll
#define CODE    64

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Counts its argument down. */
static const uint8_t loop[] = {
#if defined(__x86_64__)
    0x48, 0xff, 0xcf, /* dec %rdi */
    0x75, 0xfb,       /* jnz */
    0xc3,             /* ret */
#elif defined(__aarch64__)
    0x00, 0x04, 0x00, 0xf1, /* subs x0, x0, #1 */
    0xe1, 0xff, 0xff, 0x54, /* b.ne */
    0xc0, 0x03, 0x5f, 0xd6, /* ret */
#else
#error "code for this architecture"
#endif
};

typedef void code_fn(uint64_t count);

static uint8_t *memory;
static FILE *map;
static int dump = -1;

static void put_record(uint32_t id, const void *bytes, size_t len, const char *name, size_t code)
{
    struct {
        uint32_t id, size;
        uint64_t time;
    } head = {id, (uint32_t)(16 + len + strlen(name) + 1 + code), (uint64_t)now()};
    uint8_t text[512];
    memcpy(text, &head, sizeof(head));
    memcpy(text + sizeof(head), bytes, len);
    strcpy((char *)text + sizeof(head) + len, name);
    memset(text + head.size - code, 0xcc, code);
    if (write(dump, text, head.size) != (ssize_t)head.size)
        _exit(1);
}

static void tell(const char *name)
{
    static uint64_t number;
    struct {
        uint32_t pid, tid;
        uint64_t vma, address, size, index;
    } load = {(uint32_t)getpid(),
              (uint32_t)getpid(),
              (uintptr_t)memory,
              (uintptr_t)memory,
              CODE,
              number++};
    if (dump >= 0) {
        put_record(0, &load, sizeof(load), name, CODE);
    } else {
        fprintf(map, "%lx %x %s\n", (unsigned long)(uintptr_t)memory, CODE, name);
        fflush(map);
    }
}

static void open_files(const char *mode)
{
    char path[64];
    if (strcmp(mode, "dump") != 0) {
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
        map = fopen(path, "w");
        return;
    }
    struct {
        uint32_t magic, version, size, machine, pad, pid;
        uint64_t time, flags;
    } head = {0x4a695444, 1, 40, 62, 0, (uint32_t)getpid(), (uint64_t)now(), 0};
    snprintf(path, sizeof(path), "jit-%d.dump", getpid());
    dump = open(path, O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (dump < 0 || write(dump, &head, sizeof(head)) != sizeof(head) ||
        mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, dump, 0) == MAP_FAILED)
        exit(1);
}

__attribute__((noinline)) static void first_caller(code_fn *code)
{
    code(1000000);
    __asm__ volatile("" ::: "memory");
}

__attribute__((noinline)) static void second_caller(code_fn *code)
{
    code(1000000);
    __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    memory =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    open_files(argv[1]);
    code_fn *code;
    memcpy(&code, &memory, sizeof(code));
    int64_t end = now() + (int64_t)(atof(argv[2]) * 1e9);
    for (unsigned turn = 0; now() < end; turn++) {
        memset(memory, 0, CODE);
        memcpy(memory, loop, sizeof(loop));
        __builtin___clear_cache((char *)memory, (char *)memory + CODE);
        tell(turn % 2 ? "second_code" : "first_code");
        for (int64_t until = now() + TURN_NS; now() < until;)
            (turn % 2 ? second_caller : first_caller)(code);
    }
    if (map) {
        char path[64];
        snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
        unlink(path);
    }
    return 0;
}
