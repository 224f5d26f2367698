/* process_kit.c: takes forks, names, mappings and exits as words, gives them as records. See
 * process_kit.h. */
#include "process_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/mman.h>

#include "agent/object.h"
#include "agent/record.h"

int make_tables(void **state)
{
    static struct tables t;
    assert_int_equal(objects_new(&t.objects, NULL), 0);
    assert_int_equal(processes_new(t.objects, LINGER, &t.processes, NULL), 0);
    *state = &t;
    return 0;
}

/* objects_free asserts that every reference has come back. */
int free_tables(void **state)
{
    struct tables *t = *state;
    processes_free(&t->processes);
    processes_free(&t->processes);
    objects_free(&t->objects);
    return 0;
}

void apply(struct tables *t, const struct record *record)
{
    assert_int_equal(processes_apply(t->processes, record), 0);
}

void fork_of(struct tables *t, uint32_t parent, uint32_t pid, uint64_t time)
{
    apply(t,
          &(struct record){
              .kind = RECORD_FORK, .pid = pid, .tid = pid, .time = time, .task = {parent, parent}});
}

void thread_of(struct tables *t, uint32_t pid, uint32_t tid)
{
    apply(t, &(struct record){.kind = RECORD_FORK, .pid = pid, .tid = tid, .task = {pid, pid}});
}

void exit_of(struct tables *t, uint32_t pid, uint32_t tid, uint64_t time)
{
    apply(t, &(struct record){.kind = RECORD_EXIT, .pid = pid, .tid = tid, .time = time});
}

void comm(struct tables *t, uint32_t pid, uint32_t tid, const char *name, bool exec)
{
    apply(t, &(struct record){.kind = RECORD_COMM, .pid = pid, .tid = tid, .comm = {name, exec}});
}

void map(struct tables *t, uint32_t pid, uint64_t start, uint64_t len, uint64_t offset,
         const char *path)
{
    apply(t, &(struct record){.kind = RECORD_MMAP,
                              .pid = pid,
                              .tid = pid,
                              .mmap = {.start = start,
                                       .len = len,
                                       .file_offset = offset,
                                       .prot = PROT_READ | PROT_EXEC,
                                       .path = path}});
}

struct process *process(const struct tables *t, uint32_t pid)
{
    struct process *p = processes_find(t->processes, pid);
    assert_non_null(p);
    return p;
}

bool is_alive(const struct tables *t, uint32_t pid)
{
    return processes_find(t->processes, pid);
}

/* The path and offset at an address, as text; "" where nothing is mapped. */
const char *at(const struct tables *t, uint32_t pid, uint64_t address)
{
    static char text[256];
    const struct mapping *m = process_find_mapping(process(t, pid), address);
    text[0] = 0;
    if (m)
        snprintf(text, sizeof(text), "%s+%lx", m->object->path,
                 (unsigned long)(address - m->start + m->file_offset));
    return text;
}

/* A running program with a mapping or two. */
void start_program(struct tables *t, uint32_t pid)
{
    fork_of(t, 1, pid, 1000);
    comm(t, pid, pid, "program", true);
    map(t, pid, 0x400000, 0x1000, 0x2000, "/bin/program");
    map(t, pid, 0x700000, 0x1000, 0, "/lib/libc.so");
}
