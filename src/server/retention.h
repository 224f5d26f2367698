/* retention.h: keeps a store within its age and its bytes. */
#pragma once

#include <stdint.h>

struct err;
struct retention;
struct store;

struct retention_config {
    int64_t retention_ns; /* what is older goes; 0: no limit */
    uint64_t max_bytes;   /* on disk; 0: no limit */
};

/* One pass, as of `now_ms` since 1970. */
int retention_run(struct store *store, const struct retention_config *config, int64_t now_ms,
                  struct err *err);

/* A thread that makes a pass at once and then every minute, and logs what fails. The store must
 * outlive it; retention_stop waits for the pass that runs. */
int retention_start(struct store *store, const struct retention_config *config,
                    struct retention **ret, struct err *err);
void retention_stop(struct retention **retention);
