/* recording.h: raw rings in a file, to be fed through the same code again.
 *
 *   offset size  what                                        all little endian
 *        0    4  "PFRR"
 *        4    4  version, 1
 *        8    8  sample_type and
 *       16    8  registers of all events (struct record_format)
 *       24    8  period_ns
 *       32    8  time of the records' clock at the start
 *       40    8  what to add to it to get the wall clock
 *       48    4  the kernel's perf_event_max_stack
 *       52    4  zero
 *       56    -  chunks: u32 kind, u32 ring, u64 n, and for all but TURN n bytes, a multiple of 8
 *
 * RING: bytes of a ring, behind those of its last chunk; records may lie across. KNOWN: records of
 * what /proc told, before all that follows and before the turn at hand. TURN: n is the time up to
 * which the rings were merged then. MEMORY: u64 pid, u64 address, u64 length, and so many bytes
 * that the process had there, filled up to a multiple of 8: read on the way, for the turn at hand.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/merge.h"
#include "agent/record.h"

struct err;
struct recorder;
struct replay;
struct ring;

#define RECORDING_MAGIC       "PFRR"
#define RECORDING_VERSION     1u
#define RECORDING_HEADER_SIZE 56u
#define RECORDING_MAX_RINGS   8192u
#define RECORDING_MAX_CHUNK   (16u << 20)

enum recording_chunk {
    RECORDING_RING = 1,
    RECORDING_KNOWN = 2,
    RECORDING_TURN = 3,
    RECORDING_MEMORY = 4
};

struct recording_info {
    struct record_format format;
    uint64_t period_ns, start;
    int64_t to_real_ns;
    uint32_t chain_max;
};

/* ---- writing, by the sampling thread; the first error ends it and is told by close */

int recorder_open(const char *path, const struct recording_info *info, struct recorder **ret,
                  struct err *err);
/* The ring of that number begins anew, as when its CPU came back. */
void recorder_reset_ring(struct recorder *recorder, uint32_t id);
/* What the ring holds and has not been written yet. */
void recorder_put_ring(struct recorder *recorder, const struct ring *ring);
void recorder_put_known(struct recorder *recorder, const struct record *record);
void recorder_put_memory(struct recorder *recorder, pid_t pid, uint64_t address, const void *bytes,
                         size_t len);
void recorder_put_turn(struct recorder *recorder, uint64_t until);
int recorder_close(struct recorder **recorder, struct err *err);

/* ---- reading; untrusted bytes */

int replay_open(const char *path, struct replay **ret, struct recording_info *ret_info,
                struct err *err);
void replay_free(struct replay **replay);

/* Calls `fn` with each record of the next turn, in the order of their time. 1, 0 at the end,
 * -EBADMSG with the place in the file, or what `fn` returned. A file that ends within a chunk (its
 * writer was killed) ends before it. */
int replay_turn(struct replay *replay, merge_fn fn, void *ctx, uint64_t *ret_until,
                struct err *err);

/* What process `pid` had at `address` when that was read for the turns so far, or for the one at
 * hand: only what was asked for then, by its start, can be had. Gives how many of `len` bytes. */
size_t replay_read_memory(void *replay, pid_t pid, uint64_t address, void *to, size_t len);
