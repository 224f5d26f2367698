/* ship.h: a thread that takes the oldest batch from the spool to the server, until none waits.
 *
 * A batch leaves the spool when the server has said that it is stored, or that it never will be
 * (400, 413, 415, 422). After anything else (no connection, 429, 5xx, an answer that is not a
 * podflame-server's) the same batch is sent again later: order is kept, nothing is lost. Between
 * tries it waits from backoff_min_ns to backoff_max_ns, doubling and jittered, or as long as the
 * server's Retry-After asks. */
#pragma once

#include <stdint.h>

struct err;
struct ship;
struct spool;

struct ship_config {
    const char *server;     /* "http://127.0.0.1:7357", http or https, a path may follow */
    const char *ca_file;    /* PEM; NULL: the system's certificate authorities */
    const char *user_agent; /* "podflamed/0.1.0" */
    int64_t silence_ns;     /* a server that is silent for longer has failed; 0: 30 s */
    int64_t backoff_min_ns; /* 0: 0.25 s */
    int64_t backoff_max_ns; /* 0: 30 s */
};

/* name, help. */
#define SHIP_COUNTERS(X)                                                                \
    X(shipped_batches, "Batches that the server has stored.")                           \
    X(shipped_bytes, "Bytes of the batches that the server has stored.")                \
    X(duplicate_batches, "Shipped batches that the server had had before.")             \
    X(ship_failures, "Tries to send a batch that failed and were or will be repeated.") \
    X(rejected_batches, "Batches that the server refused for good.")

struct ship_counts {
#define X(name, help) uint64_t name;
    SHIP_COUNTERS(X)
#undef X
    int64_t failing_since_ns; /* CLOCK_REALTIME; 0: the last try succeeded */
    char last_error[512];     /* of the last failure or refusal; "" if there was none */
};

/* Copies the config. -EINVAL for a server that is no http or https URL. The first call of the
 * process must come before other threads use libcurl. The spool must outlive it. */
int ship_start(const struct ship_config *config, struct spool *spool, struct ship **ret,
               struct err *err);

/* There is a new batch in the spool. From any thread. */
void ship_wake(struct ship *ship);

/* Sends what waits as long as each try succeeds, for `within_ns` at most; then ends the thread. A
 * wait between tries is cut short for one last try. What is left stays in the spool. */
void ship_stop(struct ship **ship, int64_t within_ns);

/* From any thread. */
void ship_read_counts(struct ship *ship, struct ship_counts *ret);
