/* jitdump.h: the jit-PID.dump that JITs write for `perf inject --jit`: a header, then records, of
 * which those that tell where code is are taken (linux tools/perf/Documentation/
 * jitdump-specification.txt).
 *
 *   header  u32 magic, version, total_size, elf_mach, pad, pid; u64 timestamp, flags
 *   record  u32 id, total_size; u64 timestamp; then by its id:
 *     LOAD  u32 pid, tid; u64 vma, code_addr, code_size, code_index; name and NUL; the code
 *     MOVE  u32 pid, tid; u64 vma, old_code_addr, new_code_addr, code_size, code_index
 *
 * Lines (DEBUG_INFO) are passed over: V8 counts their addresses from 64 bytes before the code, as
 * the ELF file that perf makes of it has them, others from the code, and nothing tells which. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct jit_index;
struct jit_time;

#define JITDUMP_HEADER_SIZE 40u
#define JITDUMP_RECORD_SIZE 16u /* what all records begin with */
#define JITDUMP_LOAD_SIZE   56u /* up to the name */

struct jitdump_header {
    uint32_t size; /* where the first record begins */
    uint32_t machine, pid;
    bool own_clock; /* timestamps are of the architecture's counter, not CLOCK_MONOTONIC */
};

enum jitdump_kind { JITDUMP_LOAD, JITDUMP_MOVE, JITDUMP_CLOSE, JITDUMP_OTHER };

struct jitdump_record {
    enum jitdump_kind kind;
    uint32_t size; /* of the whole record */
    uint64_t timestamp;
    uint64_t code, size_of_code;
    uint64_t from;    /* MOVE: where it was */
    const char *name; /* LOAD: in the bytes; its NUL is not counted */
    size_t name_len;
};

/* -EAGAIN: more bytes are needed; -EBADMSG: it is none, or of the other byte order, which no
 * process of this machine writes. */
int jitdump_read_header(const void *bytes, size_t len, struct jitdump_header *ret);

/* `bytes`: from a record's start on; a LOAD's code need not be among them. Errors as above; of
 * a name that does not end within `len` bytes only those are taken if `cut`. */
int jitdump_read_record(const void *bytes, size_t len, bool cut, struct jitdump_record *ret);

/* How far a file has been read; zero at first. */
struct jitdump_cursor {
    uint64_t offset;
    bool own_clock;
    bool closed; /* nothing follows, or what follows makes no sense */
};

/* Takes the whole records from the cursor on, of a file of `size` bytes, into the index. `when`:
 * between which readings they were written, for those whose own time cannot be (it is no time of
 * that process's life until now). `since_ns`: when that life began. -EBADMSG: it is no jitdump, or
 * not one any more; -ESTALE: not the file of which the cursor tells. */
int jitdump_read(int fd, uint64_t size, struct jitdump_cursor *cursor, struct jit_index *index,
                 uint64_t since_ns, const struct jit_time *when, struct err *err);
