/* confine.c: takes a process's rights. See confine.h. */
#include "symbol/confine.h"

#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <link.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NOBODY      65534 /* the kernel's overflowuid */
#define CPU_SECONDS 30
#define FILES       16

/* More than the process has when it starts. Files are mapped, which is room but no memory; what is
 * allocated counts as data. */
#define MORE_ROOM ((rlim_t)8 << 30)
#define MORE_DATA ((rlim_t)256 << 20)

static void limit(int resource, rlim_t value)
{
    struct rlimit l;
    if (getrlimit(resource, &l) == 0 && l.rlim_max < value)
        value = l.rlim_max;
    l = (struct rlimit){value, value};
    setrlimit(resource, &l);
}

/* As things are: under a sanitizer a process has terabytes of room to begin with. Fields of
 * /proc/PID/statm: proc(5). */
static void limit_memory(void)
{
    uint64_t room = 0, data = 0;
    _cleanup_fclose_ FILE *f = fopen("/proc/self/statm", "re");
    if (!f || fscanf(f, "%" SCNu64 " %*s %*s %*s %*s %" SCNu64, &room, &data) != 2)
        return;
    rlim_t page = (rlim_t)sysconf(_SC_PAGESIZE);
    limit(RLIMIT_AS, room * page + MORE_ROOM);
    limit(RLIMIT_DATA, data * page + MORE_DATA);
}

/* Of a node that runs out of memory this is the first to go. */
static void be_the_first_to_die(void)
{
    _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "1000", 4) < 0)
        return; /* then it is as good as another */
}

/* Not before others, as the thread that started it may be; nor behind them: on a busy machine it
 * would come to nothing in the time it has, which is little. */
static void be_as_others(void)
{
    struct sched_param param = {0};
    sched_setscheduler(0, SCHED_OTHER, &param);
    setpriority(PRIO_PROCESS, 0, 0);
}

/* Root without capabilities still owns most files. */
static bool be_nobody(void)
{
    return geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(NOBODY, NOBODY, NOBODY) == 0 &&
           setresuid(NOBODY, NOBODY, NOBODY) == 0;
}

static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    syscall(SYS_capset, &header, none);
}

/* What an allocator, libelf's mapping of a file, a socket and the end of a process need. All else
 * fails: so libdw finds no other file by a path it read. */
static const uint32_t allowed_calls[] = {
    __NR_brk,         __NR_mmap,       __NR_munmap,       __NR_mremap,        __NR_mprotect,
    __NR_madvise,     __NR_read,       __NR_pread64,      __NR_write,         __NR_close,
    __NR_fstat,       __NR_lseek,      __NR_fcntl,        __NR_recvmsg,       __NR_recvfrom,
    __NR_sendto,      __NR_sendmsg,    __NR_futex,        __NR_clock_gettime, __NR_getpid,
    __NR_gettid,      __NR_tgkill,     __NR_rt_sigreturn, __NR_rt_sigaction,  __NR_rt_sigprocmask,
    __NR_getrandom,   __NR_exit_group, __NR_exit,         __NR_sched_yield,   __NR_newfstatat,
    __NR_sigaltstack,
};

extern const ElfW(Ehdr) __ehdr_start; /* this program's own, by the linker */

/* linux/audit.h: an architecture is its ELF machine, and two bits. */
static uint32_t audit_arch(void)
{
    const ElfW(Ehdr) *self = &__ehdr_start;
    return self->e_machine |
           (self->e_ident[EI_CLASS] == ELFCLASS64 ? (uint32_t)__AUDIT_ARCH_64BIT : 0) |
           (self->e_ident[EI_DATA] == ELFDATA2LSB ? (uint32_t)__AUDIT_ARCH_LE : 0);
}

/* linux/Documentation/userspace-api/seccomp_filter.rst: another architecture's calls have other
 * numbers. */
static void filter_calls(void)
{
    enum { COUNT = ARRAY_LEN(allowed_calls), HEAD = 4 };
    const uint32_t refuse = SECCOMP_RET_ERRNO | 1 /* EPERM */;
    struct sock_filter code[HEAD + COUNT + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit_arch(), 1, 0),
        BPF_STMT(BPF_RET | BPF_K, refuse),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    for (size_t i = 0; i < COUNT; i++)
        code[HEAD + i] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed_calls[i],
                                                      (uint8_t)(COUNT - i), 0);
    code[HEAD + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refuse);
    code[HEAD + COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const struct sock_fprog program = {ARRAY_LEN(code), code};
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

void confine_process(void)
{
    be_the_first_to_die();
    be_as_others();
    limit_memory();
    limit(RLIMIT_CPU, CPU_SECONDS);
    limit(RLIMIT_NOFILE, FILES);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    be_nobody();
    drop_capabilities();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);        /* no core by a pipe either */
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* which a change of user clears */
    filter_calls();
}
