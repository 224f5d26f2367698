/* spool.h: batches wait on disk until the server has them.
 *
 * A directory of
 *   0001790000001000000.batch  a batch, whole, as it will be sent; its name is its sequence number,
 *                              so that names sort by age
 *   lock                       flock(2)ed by the process that uses the directory; holds the highest
 *                              number whose batch has left it
 *   bad-NAME                   moved aside: refused by the server, unreadable, or no batch
 *   .NAME.tmp                  being written; removed at open
 * State is in the names alone: a process killed at any point leaves a spool that the next one opens
 * without repair. A batch is there from the moment spool_put returns 0, also after a power cut.
 *
 * One thread may put while another ships; counts may be read from any. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct spool;

/* Batches moved aside that are kept to be looked at; the oldest make room. */
#define SPOOL_MAX_BAD 16

/* name, help. */
#define SPOOL_GAUGES(X)                                                            \
    X(waiting_batches, "Batches in the spool that wait to be sent.")               \
    X(waiting_bytes, "Bytes of the batches that wait to be sent.")                 \
    X(bad_batches, "Batches in the spool that were moved aside, to be looked at.") \
    X(disk_bytes, "Disk space that all files of the spool take, in whole 4 KiB blocks.")
#define SPOOL_COUNTERS(X)                                                         \
    X(put_batches, "Batches written to the spool.")                               \
    X(put_failed, "Batches lost because they could not be written to the spool.") \
    X(dropped_batches, "Batches dropped unsent because the spool was full.")      \
    X(dropped_bytes, "Bytes of the batches dropped because the spool was full.")  \
    X(moved_aside, "Batches moved aside: refused by the server, unreadable or no batch.")

struct spool_stats {
#define X(name, help) uint64_t name;
    SPOOL_GAUGES(X)
    SPOOL_COUNTERS(X)
#undef X
};

/* Makes the directory where it is missing (mode 0700). All its files together take at most
 * `max_bytes` of disk. -EBUSY when another spool holds it. Files whose names
 * are none of ours are left alone. */
int spool_open(const char *dir, uint64_t max_bytes, struct spool **ret, struct err *err);
void spool_free(struct spool **spool);

/* The highest sequence number that was ever put, also by earlier processes, whether it is still
 * there or not; 0 if there was none. The next batch's must be higher. */
uint64_t spool_last_seq(struct spool *spool);

/* Writes the batch so that it outlives a crash. Makes room by dropping the oldest. On failure
 * (-ENOSPC: the disk is full; -EFBIG: the batch alone is over max_bytes; -EINVAL: seq is not above
 * the last) the batch is not there, counted in put_failed, and all others are as they were. */
int spool_put(struct spool *spool, uint64_t seq, const void *bytes, size_t len, struct err *err);

/* Replaces what `buf` (without a limit) holds by the oldest batch. -ENODATA when none waits. A file
 * that cannot be read or is no batch is moved aside and the next taken; other errors (-ENOMEM,
 * -EMFILE) are the process's own, and the batch stays. */
int spool_oldest(struct spool *spool, struct buf *buf, uint64_t *ret_seq, struct err *err);

/* The server has it: removes the batch. */
void spool_done(struct spool *spool, uint64_t seq);

/* The server refused it for good: moves it aside and logs the reason. */
void spool_reject(struct spool *spool, uint64_t seq, const char *reason);

void spool_read_stats(struct spool *spool, struct spool_stats *ret);
