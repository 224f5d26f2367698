/* format.h: the batch, as it lies in the spool and travels to the server. Written once, here.
 *
 *   offset  size  what
 *        0     4  "PFLM"
 *        4     1  version, 1
 *        5     1  compression, 1 = one zstd frame with a content checksum (RFC 8878)
 *        6     2  zero
 *        8     4  length of the body before compression, little endian
 *       12     -  the compressed body
 *
 * The body is one msgpack map with string keys. A reader skips keys it does not know, so that a
 * field may be added without a new version; a version changes only when old readers would be wrong.
 * Where a key is said to hold columns, its value is a map from column name to an array, and all
 * arrays have one length: row i is the i-th of each. "string", "object", "frame", "stack" and
 * "process" in a column are row numbers in that table.
 *
 *   key        value
 *   node       map: name, boot_id, kernel, arch, agent (all str), cpus (uint)
 *   seq        uint below 2^63; with node and boot_id the batch's identity. Grows by each batch of
 *              an agent.
 *   window     map: start_ns, end_ns (wall clock, nanoseconds since 1970), slot_ns, period_ns
 *              (nanoseconds of CPU that one sample stands for)
 *   strings    array of str, UTF-8; row 0 is ""
 *   objects    columns: path (string), kind (enum object_kind), build_id (bin, 0-20 bytes),
 *              flags (OBJECT_*)
 *   frames     columns: kind (enum frame_kind), object, address (uint), name (string, 0: unnamed),
 *              file (string, 0: unknown), line (uint, 0: unknown)
 *   stacks     columns: parent (stack), frame, methods (WIRE_METHODS: how the callers of what ends
 *              here were found, of all its samples; 0 where none ends; the column may be
 *              missing). A node of a tree of calls; row 0 is the root, which has no frame; a
 *              parent's row comes before its children's. A stack is named by its leaf's row.
 *   processes  columns: pid, ppid (uint, in the agent's pid namespace), start_ns (wall clock, 0:
 *              unknown), name, exe, cgroup (string)
 *   labels     columns: process, key (string), value (string): what is known of a process beyond
 *              its own row (namespace, pod, container, unit ...)
 *   samples    columns: slot (uint, (time - start_ns) / slot_ns), process, thread (string: its
 *              name), cpu (uint), stack, count (uint, at least 1)
 *   usage      columns: time_ns (within the window), span_ns (what the counters count over, up to
 *              time_ns; 0: they are not known yet), cgroup (string: the path of a container or
 *              systemd unit; all below it is counted, too), network (uint of 64 bits: rows with the
 *              same one of a node share a network namespace, and its traffic; 0: it is the node's
 *              own), summed (bit i: the i-th figure is the sum over the processes that were there),
 *              and a column for each of WIRE_USAGE, a uint below 2^63 or nil: not known
 *   usage_labels     columns: cgroup, key, value (string): as labels, of a cgroup in usage
 *   usage_processes  columns: usage (row there), pid, threads (uint), start_ns (as processes'),
 *              exe, command (string; with its arguments only where the agent is told to),
 *              cpu_user_ns, cpu_system_ns, rss_bytes, virtual_bytes (uint below 2^63 or nil)
 *   counters   map from name to uint below 2^63: the agent's own counts within this
 *              window (src/agent/counters.h)
 *
 * The tables of usage are missing where there is none, and in batches of agents that tell none.
 *
 * All uints but frames' addresses, networks and those said to be below 2^63 fit 32 bits; times are
 * at least 0. Names are free of NUL bytes. An encoder repairs what is not UTF-8 and cuts what is
 * too long, so that no container's odd name makes a batch undeliverable; a decoder refuses both.
 *
 * A frame's address is the ELF virtual address that nm(1) prints, or the start of the symbol when
 * the frame has a name and its object not OBJECT_EXACT; of an object with OBJECT_FILE_OFFSETS the
 * offset in the file, since the file could not be read to translate it; of JIT code 0 when it has a
 * name, since it lies elsewhere in each process. Kernel frames count from _stext: no KASLR address
 * leaves the node. Callers' addresses lie inside the call, not behind it.
 */
#pragma once

#include <stdint.h>

#include "wire/figures.h"

#define WIRE_MAGIC       "PFLM"
#define WIRE_VERSION     1
#define WIRE_ZSTD        1
#define WIRE_HEADER_SIZE 12

#define WIRE_CONTENT_TYPE "application/vnd.podflame.batch"

/* What a decoder accepts; an encoder keeps within them. A batch over one of them is refused with
 * the limit's name. A node of 256 CPUs at 100 Hz takes 768,000 samples in 30 s. */
#define WIRE_MAX_COMPRESSED      (32u << 20) /* bytes */
#define WIRE_MAX_BODY            (64u << 20) /* bytes */
#define WIRE_MAX_STRINGS         1000000u
#define WIRE_MAX_STRING          16384u /* bytes of one string */
#define WIRE_MAX_OBJECTS         100000u
#define WIRE_MAX_FRAMES          1000000u
#define WIRE_MAX_STACKS          2000000u
#define WIRE_MAX_DEPTH           1024u /* frames from root to leaf */
#define WIRE_MAX_PROCESSES       1000000u
#define WIRE_MAX_LABELS          4000000u
#define WIRE_MAX_SAMPLES         2000000u
#define WIRE_MAX_COUNTERS        256u
#define WIRE_MAX_USAGE           50000u /* 2000 cgroups, every 10 s, for 4 minutes */
#define WIRE_MAX_USAGE_LABELS    400000u
#define WIRE_MAX_USAGE_PROCESSES 200000u
#define WIRE_MAX_BUILD_ID        20u
#define WIRE_MAX_WINDOW_NS \
    3600000000000ll                     /* an hour: bounds the slots and days one batch touches */
#define WIRE_MAX_PERIOD_NS 1000000000ll /* count times period_ns stays below 2^63 */

enum object_kind {
    OBJECT_NONE = 0,   /* no object: markers */
    OBJECT_ELF = 1,    /* a file; path is what the process mapped, in its own mount namespace */
    OBJECT_KERNEL = 2, /* path is "[kernel]" or a module's "[name]" */
    OBJECT_VDSO = 3,   /* "[vdso]" */
    OBJECT_ANON = 4, /* executable memory without a file: JIT code; path is "[anon]" or the like */
};
#define OBJECT_KIND_LAST OBJECT_ANON

#define OBJECT_FILE_OFFSETS 1u /* its frames' addresses are offsets in the file */
#define OBJECT_DELETED      2u /* the file was unlinked or replaced while it was mapped */
#define OBJECT_EXACT        4u /* its named frames, too, have the sample's own address */

enum frame_kind {
    FRAME_USER = 1,    /* machine code of an object */
    FRAME_KERNEL = 2,  /* shown with _[k] in folded output */
    FRAME_JIT = 3,     /* _[j] */
    FRAME_INLINED = 4, /* _[i]: inlined into the frame below it (its parent in the tree) */
    FRAME_MARKER = 5,  /* says something of the stack: [truncated]; see src/agent/marker.h */
};
#define FRAME_KIND_LAST FRAME_MARKER

/* Bit i of stacks.methods is the i-th of these, by the names of unwind/unwind.h, whose order is its
 * own. New ones come last; a reader passes over bits it does not know. */
#define WIRE_METHODS(X) X(table) X(frame_pointer) X(scan) X(chain) X(libunwind) X(code) X(live)

enum wire_method {
#define X(name) WIRE_METHOD_##name,
    WIRE_METHODS(X)
#undef X
        WIRE_METHOD_COUNT
};
