/* layout.h: the store's files, written once, here.
 *
 *   DIR/lock                    flock(2)ed by the one process that has the store open
 *   DIR/YYYY-MM-DD.db           one day of UTC: an SQLite database in WAL mode, with its -wal and
 * -shm DIR/.YYYY-MM-DD.db.tmp      a day being made; it gets its name when it is whole, and is
 * removed when the store opens DIR/YYYY-MM-DD.db.aside-N   a day SQLite could not read, and was
 * moved out of the way. It counts for --max-bytes and goes with its day. `sqlite3 FILE .recover`
 * may read what is left of it.
 *
 * A day is complete in itself, dictionary and all: retention is unlink(2), and a damaged file takes
 * no other day with it. application_id is DAY_APPLICATION_ID, user_version is DAY_VERSION.
 *
 * Whatever is named often is kept once a day and named by a number of that day: strings, objects,
 * frames, stacks, series. X_key finds the number by an XXH3 128-bit hash of what the thing says
 * (hashes.c), so that the same stack has one hash in every day and on every node. String 0 is "",
 * stack 0 is the stack without frames; neither has a row.
 *
 *   string     id, text
 *   object     id, kind, flags, path (string), build_id
 *   frame      id, kind, object, address (as a signed number), name, file (string), line
 *   stack      id, top (the first 8 bytes of its hash as a signed number: store_row's stack),
 * frames (varints: frame ids, root first) series     id, node, process, cgroup (string), labels
 * (varints: key and value strings in turn) X_key      hash (16 bytes: high half first, big endian),
 * id sample     type (SAMPLE_CPU), t (minute of the day), series, part, data (blob.h). A minute's
 *              windows are merged into one part as long as that is small. Type SAMPLE_USAGE: what
 *              the cgroup of a series without process used (usage_blob.h); SAMPLE_PROCESSES: its
 *              processes, of the minute's last reading alone (usage_list.h).
 *   batch      node, boot (string), seq: the batch's identity, in the same transaction as its
 *              samples; start_ms, end_ms; home (1 in the day its window starts in, which counts
 * it); counters (varints: name string and value in turn; empty where not home) node       node,
 * boot (string); kernel, arch, agent (string), cpus: as the last window had them; first_ms,
 * last_ms; batches, samples (stored in this day)
 *
 *   fact       type (FACT_POD, FACT_CONTAINER), node, id (string: a pod's uid, a container's id):
 * what the last window that told it said, and when windows did: first_ms, last_ms; data (varints,
 * in the order of struct batch_pod and batch_container, their strings and ms, without the id; then
 * a pod's labels, key and value). In the day the window starts in. The table is missing in days
 * before there were any, until they are written to.
 *
 * A batch is stored when every day it touches has its row in `batch`: the day its window starts in,
 * and each day one of its slots starts in. Transactions over several databases are atomic only with
 * a rollback journal, not with WAL; so each day takes its part on its own, once, and a crash
 * between two days is mended by the agent sending the batch again. */
#pragma once

#include <stdint.h>

#define DAY_APPLICATION_ID 0x50464c4d /* "PFLM" */
#define DAY_VERSION        1

/* The types of `sample`. */
#define SAMPLE_CPU       1
#define SAMPLE_USAGE     2
#define SAMPLE_PROCESSES 3

/* The types of `fact`. */
#define FACT_POD       1
#define FACT_CONTAINER 2

#define MS_PER_DAY      86400000ll
#define MS_PER_MINUTE   60000ll
#define MINUTES_PER_DAY 1440

/* Floors, so that a time before 1970 is a day before it. */
static inline int64_t day_of_ms(int64_t ms)
{
    return ms / MS_PER_DAY - (ms % MS_PER_DAY < 0);
}
