/* counters.h: what the agent counts of itself, declared once: /metrics and the batches' counters
 * are made from this list. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* name, help */
#define AGENT_COUNTERS(X)                                                                          \
    X(samples, "Samples taken in.")                                                                \
    X(samples_kernel, "Samples whose CPU was in the kernel.")                                      \
    X(samples_dropped, "Samples that had no place left in a window, or no memory.")                \
    X(samples_other, "Samples whose rare stack went to [other] at the cap.")                       \
    X(samples_no_stack, "Samples without any frame.")                                              \
    X(samples_no_process, "Samples of a process that no record told of, not in /proc either.")     \
    X(samples_idle, "Samples of the idle task, dropped.")                                          \
    X(samples_outsiders, "Samples of processes outside a sidecar's pid namespace, dropped.")       \
    X(lost_records, "Records that the kernel had no room for in a ring.")                          \
    X(lost_samples, "Samples that the kernel says it lost (LOST_SAMPLES).")                        \
    X(throttles, "Times the kernel paused an event for taking too much time.")                     \
    X(records, "Records taken in, samples among them.")                                            \
    X(records_garbled, "Records or ring contents that made no sense.")                             \
    X(rescans, "Times /proc was read again: records were lost, or a CPU came online.")             \
    X(maps_rescans, "Times a process's maps were read again for an address outside all.")          \
    X(stacks_bottom, "User stacks unwound to the thread's first function.")                        \
    X(stacks_truncated, "Stacks cut: longer than the copied part of the stack, or the callchain.") \
    X(stacks_no_rule, "Stacks that ended where nothing tells the caller.")                         \
    X(stacks_unmapped, "Stacks that ended where what should have been a caller is no code.")       \
    X(stacks_stuck, "Stacks that ended because memory contradicts the unwind rules.")              \
    X(stacks_kernel_only,                                                                          \
      "Stacks without a user part: kernel threads, and processes in execve(2).")                   \
    X(stacks_pending, "Stacks unwound before their object's unwind table was there.")              \
    X(frames_table, "Callers found by an unwind table.")                                           \
    X(frames_libunwind, "Callers found by libunwind, where a table's rules are too small.")        \
    X(frames_code, "Callers found by following the code to where it returns.")                     \
    X(frames_frame_pointer, "Callers found by the frame pointer.")                                 \
    X(frames_live, "Callers found in the stack's memory as it was a moment later (live-tail).")    \
    X(frames_scan, "Callers found by scanning above an interrupted function.")                     \
    X(frames_chain, "User frames taken from the kernel's callchain.")                              \
    X(peeks, "Times another process's memory was read: code without CFI, the rest of a stack.")    \
    X(peeks_late, "Of these, how often it did not come within milliseconds, and was given up.")    \
    X(peeks_refused, "Times code was not read since much had been of late.")                       \
    X(tables_built, "Unwind tables built from an object's CFI.")                                   \
    X(tables_loaded, "Unwind tables read back from disk.")                                         \
    X(tables_dropped, "Unwind tables dropped from memory at its cap.")                             \
    X(files_opened, "Executable files opened to be named from.")                                   \
    X(files_not_opened, "Executable files that could not be found again as they were mapped.")     \
    X(opens_dropped, "Files not looked for because too many waited for it.")                       \
    X(symbol_workers_started, "Processes started to read DWARF.")                                  \
    X(symbol_workers_failed, "Of these, how many died of what they read, or did not answer.")      \
    X(jit_files_read, "Times a perf map or jitdump was read for what it told anew.")               \
    X(jit_files_refused, "Processes whose perf map or jitdump is not to be believed, or broken.")  \
    X(jit_processes_dropped, "Processes with JIT code that were too many to look after.")          \
    X(java_asked, "Times a JVM told the names of its methods.")                                    \
    X(java_refused, "JVMs that are left alone, since they cannot or will not tell.")               \
    X(java_timeouts, "Times a JVM did not answer in time.")                                        \
    X(unsymbolized_no_file, "Samples whose innermost frame has no name: its file was not found.")  \
    X(unsymbolized_no_elf, "Samples whose innermost frame has no name: its file is no ELF file.")  \
    X(unsymbolized_no_symbol, "Samples whose innermost frame has no name: no symbol covers it.")   \
    X(unsymbolized_jit, "Samples whose innermost frame has no name: memory without a file.")       \
    X(unsymbolized_kernel, "Samples whose innermost frame has no name: not in kallsyms.")          \
    X(samples_excluded, "Samples of pods, or of none, that include and exclude leave out.")        \
    X(samples_unidentified, "Samples left out since include or exclude ask what is not known.")    \
    X(windows, "Windows closed.")                                                                  \
    X(windows_dropped, "Windows lost because naming did not keep up, or memory ran out.")          \
    X(batches_failed, "Batches that could not be encoded or spooled.")                             \
    X(usage_readings, "Readings of what a container or systemd unit uses.")                        \
    X(usage_dropped, "Cgroups, processes and readings that were too many, or came too late.")      \
    X(facts_dropped, "Pods and containers of which more was known than a batch has room for.")     \
    X(usage_failed, "Times that nothing of what containers use could be read.")                    \
    X(usage_cpu_us, "Microseconds of CPU time that it took to read what containers use.")

struct counters {
#define X(name, help) _Atomic uint64_t name;
    AGENT_COUNTERS(X)
#undef X
};

#define counter_add(counters, name, n) \
    atomic_fetch_add_explicit(&(counters)->name, (uint64_t)(n), memory_order_relaxed)

enum {
#define X(name, help) COUNTER_##name,
    AGENT_COUNTERS(X)
#undef X
        COUNTER_COUNT
};

struct counters_snapshot {
    uint64_t v[COUNTER_COUNT];
};

static inline struct counters_snapshot counters_read(struct counters *counters)
{
    struct counters_snapshot s;
#define X(name, help) \
    s.v[COUNTER_##name] = atomic_load_explicit(&counters->name, memory_order_relaxed);
    AGENT_COUNTERS(X)
#undef X
    return s;
}
