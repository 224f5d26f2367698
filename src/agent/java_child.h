/* java_child.h: what the child process that talks to a JVM gets, does and says. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define JAVA_CHILD_TEXT_MAX 4096u

/* All that it needs: it allocates nothing and calls only the kernel. */
struct java_request {
    int proc;   /* /proc/PID */
    int tmp;    /* the JVM's /tmp */
    int answer; /* where to write */
    uid_t uid;
    gid_t gid;
    char attach_name[32], socket_name[32]; /* .attach_pidN, .java_pidN */
};

/* Written to `answer`, then so much of `text`. */
struct java_reply {
    int32_t error;   /* 0, or the errno of what failed */
    uint32_t step;   /* enum java_step */
    int64_t took_ns; /* from the question to the end of the answer */
    uint32_t len;
};

enum java_step {
    JAVA_STEP_USER,
    JAVA_STEP_TRIGGER,
    JAVA_STEP_SIGNAL,
    JAVA_STEP_SOCKET,
    JAVA_STEP_TALK
};

/* In the child of a fork(2) of a program with threads: calls nothing that may hold a lock. */
_Noreturn void java_child_run(const struct java_request *request);
