/* process.h: who runs: processes, their threads' names and their executable mappings, kept up to
 * date by the kernel's records. A process is (pid, start time): a pid comes again, the pair does
 * not. One thread uses a table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct object;
struct objects;
struct processes;
struct record;

#define PROCESS_COMM_MAX 16 /* TASK_COMM_LEN of the kernel, with the NUL */
#define PROCESS_NAME_MAX 64

struct mapping {
    uint64_t start, end, file_offset;
    struct object *object;
};

struct process {
    uint32_t pid, ppid;
    uint32_t serial;     /* anew at each fork and exec; names one process under one name */
    bool known;          /* false: seen in a sample only */
    uint64_t start_time; /* of the records' clock; 0: unknown */
    const char *name;    /* of the program it executes; a thread may call itself otherwise */
    const char *exe;     /* the path of the file it executes; "" if unknown (a kernel thread) */
    uint64_t cgroup;     /* id; 0: unknown */
    /* The collector's: when it last said that code made at run time is run here. */
    uint32_t made_window;
    uint64_t made_time;
    bool made_reused; /* such code comes where other code was: addresses are told apart by time */
};

/* Exited processes are kept for `linger_ns` of the records' time, since records of their last
 * moments may come late. */
int processes_new(struct objects *objects, uint64_t linger_ns, struct processes **ret,
                  struct err *err);
void processes_free(struct processes **processes);

/* Takes in a MMAP, COMM, FORK or EXIT record. -ENOMEM. */
int processes_apply(struct processes *processes, const struct record *record);

/* NULL if no record told of the pid. Valid until the next call of apply or expire. */
struct process *processes_find(struct processes *processes, uint32_t pid);

/* As find, but makes one without a name if there is none. NULL only without memory. */
struct process *processes_get(struct processes *processes, uint32_t pid, uint64_t time);

/* A copy that stays as the process is now, whatever records tell later; it does not hinder them.
 * NULL without memory. */
struct process *processes_keep(struct processes *processes, const struct process *process);
void processes_let_go(struct processes *processes, struct process **kept);

/* Whether a record told that the thread is there. */
bool processes_know_thread(const struct processes *processes, uint32_t tid);

/* The name that thread goes by; "" if unknown. */
const char *processes_thread_name(const struct processes *processes, uint32_t tid);

/* Names what the process maps: another number means another mapping, 0 none at all. */
uint32_t process_maps_id(const struct process *process);

/* The mapping an address lies in, or NULL. */
const struct mapping *process_find_mapping(const struct process *process, uint64_t address);

/* All of them by address; valid until the next call of apply or expire. */
const struct mapping *process_mappings(const struct process *process, uint32_t *ret_count);

/* Drops processes that exited long enough ago. */
void processes_expire(struct processes *processes, uint64_t now);

/* Exits were missed: takes those for exited at `now` whose pid `is_gone`. */
void processes_find_gone(struct processes *processes, uint64_t now, bool (*is_gone)(uint32_t pid));

size_t processes_count(const struct processes *processes);
