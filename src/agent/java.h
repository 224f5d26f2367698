/* java.h: asks a HotSpot JVM for the names of its methods by the attach protocol: no flag, no
 * restart, nothing left in its container. A child process of a few hundred lines of system calls
 * does it under the JVM's user and group, which HotSpot checks, and is killed if it takes long. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "symbol/java_attach.h"

struct err;
struct jit_process;

enum java_willing {
    JAVA_MAY_BE_ASKED,
    JAVA_NOT_YET, /* it starts, or is stopped */
    JAVA_NEVER,
};

/* A signal that a JVM does not take as meant would end it, or make it print all its threads'
 * stacks: so only one that surely takes it is asked. If not, *ret_why is for the log, and
 * *ret_helps too or NULL. */
enum java_willing java_may_ask(const struct jit_process *process, const char **ret_why,
                               const char **ret_helps);

struct java_child {
    pid_t pid; /* 0: none */
    int answer, tmp;
    int64_t started_ns;
    char trigger[32]; /* the file that it removes, unless it is ended */
};

enum java_outcome {
    JAVA_RUNNING,
    JAVA_DONE,
    JAVA_REFUSED,   /* for good; the text says why */
    JAVA_TIMED_OUT, /* killed, or the JVM did not open its socket */
};

struct java_result {
    int64_t took_ns; /* what the JVM needed to write its map */
    char text[256];
};

/* Starts the child; `tmp` is the process's /tmp. */
int java_child_start(const struct jit_process *process, int tmp, struct java_child *ret,
                     struct err *err);

/* Never waits. The child is gone once it is not JAVA_RUNNING. */
enum java_outcome java_child_check(struct java_child *child, struct java_result *ret);

/* Ends it at once. */
void java_child_end(struct java_child *child);
