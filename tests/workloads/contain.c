/* contain.c: runs a program as in a container: its own pid, mount and user namespaces, another root
 * with a /tmp of its own, another user. Root only.
 *   contain ROOT FILES USER COMMAND ARGUMENT...
 * ROOT: an empty directory, where the new root is mounted; FILES: becomes its /files; USER: the
 * number inside, of which outside is 100000 more. The program is pid 1 inside. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIFT 100000

static void die(const char *what)
{
    fprintf(stderr, "contain: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static void bind(const char *root, const char *from, const char *to)
{
    char path[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s%s", root, to);
    if (lstat(from, &st) < 0)
        return;
    if (S_ISLNK(st.st_mode)) { /* /lib of a system with all in /usr */
        char target[4096];
        ssize_t n = readlink(from, target, sizeof(target) - 1);
        target[n > 0 ? n : 0] = 0;
        if (symlink(target, path) < 0)
            die(path);
    } else if (mkdir(path, 0755) < 0 || mount(from, path, NULL, MS_BIND | MS_REC, NULL) < 0) {
        die(path);
    }
}

static void make_root(const char *root, const char *files)
{
    static const char *const system[] = {"/usr", "/lib", "/lib64", "/bin", "/etc", "/dev"};
    char path[4096];
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", root, "tmpfs", 0, "mode=0755") < 0)
        die(root);
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        bind(root, system[i], system[i]);
    bind(root, files, "/files");
    snprintf(path, sizeof(path), "%s/proc", root);
    if (mkdir(path, 0555) < 0 || mount("proc", path, "proc", 0, NULL) < 0)
        die(path);
    snprintf(path, sizeof(path), "%s/tmp", root);
    if (mkdir(path, 0777) < 0 || chmod(path, 01777) < 0)
        die(path);
    /* Who has only been put below another root may not make user namespaces. */
    snprintf(path, sizeof(path), "%s/old", root);
    if (mkdir(path, 0700) < 0 || syscall(SYS_pivot_root, root, path) < 0 || chdir("/") < 0 ||
        umount2("/old", MNT_DETACH) < 0)
        die("another root");
}

static void write_map(pid_t pid, const char *file)
{
    char path[64], text[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
    int n = snprintf(text, sizeof(text), "0 %d 65536\n", SHIFT), fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, (size_t)n) != n)
        die(path);
    close(fd);
}

static void run(char **argv, int mapped, int ready)
{
    char byte;
    unsigned user = (unsigned)atoi(argv[3]);
    make_root(argv[1], argv[2]);
    if (unshare(CLONE_NEWUSER) < 0 || write(ready, "", 1) != 1 || read(mapped, &byte, 1) != 1)
        die("a user namespace");
    if (setgroups(0, NULL) < 0 || setgid(user) < 0 || setuid(user) < 0)
        die("the user");
    execv(argv[4], argv + 4);
    die(argv[4]);
}

int main(int argc, char **argv)
{
    int mapped[2], ready[2], status = 0;
    char byte;
    if (argc < 5)
        return 2;
    if (unshare(CLONE_NEWPID) < 0 || pipe2(mapped, O_CLOEXEC) < 0 || pipe2(ready, O_CLOEXEC) < 0)
        die("namespaces");
    pid_t pid = fork();
    if (pid == 0)
        run(argv, mapped[0], ready[1]);
    close(ready[1]);
    if (pid < 0 || read(ready[0], &byte, 1) != 1)
        die("the child");
    write_map(pid, "uid_map");
    write_map(pid, "gid_map");
    if (write(mapped[1], "", 1) != 1 || waitpid(pid, &status, 0) < 0)
        die("the child");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
