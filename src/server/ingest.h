/* ingest.h: the bytes of a posted batch become a stored batch; what became of them is counted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct hot_objects;
struct ingest;
struct store;

/* name, help: each is a counter of /metrics, and a member of struct ingest_counts. Every batch that
 * was received is exactly one of stored, duplicate, malformed, too_large, unknown_version,
 * bad_clock and failed. */
#define INGEST_COUNTERS(X)                                                                        \
    X(bytes_received, "Bytes of batches received, as they came over the network.")                \
    X(batches_received, "Batches received.")                                                      \
    X(batches_stored, "Batches that are on disk for good.")                                       \
    X(batches_duplicate, "Batches that had been stored before, and were acknowledged again.")     \
    X(batches_malformed, "Batches refused because their bytes or fields make no sense.")          \
    X(batches_too_large, "Batches refused because they are over a limit of the batch format.")    \
    X(batches_unknown_version, "Batches refused because their format version is not known here.") \
    X(batches_bad_clock, "Batches refused because their window lies more than a day ahead.")      \
    X(batches_failed, "Batches that the store could not commit; their agents send them again.")   \
    X(samples_stored, "Samples in the stored batches.")

struct ingest_counts {
#define X(name, help) uint64_t name;
    INGEST_COUNTERS(X)
#undef X
};

/* The store must outlive it. */
int ingest_new(struct store *store, struct ingest **ret, struct err *err);
void ingest_free(struct ingest **ingest);

/* Has stored batches' samples counted by object, too; before batches come. It must outlive it. */
void ingest_count_objects(struct ingest *ingest, struct hot_objects *objects);

/* From any thread. 0: the batch is on disk for good; *ret_stored is false if it had been there
 * before. -EBADMSG, -EFBIG or -EPROTONOSUPPORT: the batch is bad, and sending it again is no use.
 * Anything else: the store could not commit; send it again later. */
int ingest_batch(struct ingest *ingest, const void *bytes, size_t len, bool *ret_stored,
                 struct err *err);

void ingest_read_counts(struct ingest *ingest, struct ingest_counts *ret);
