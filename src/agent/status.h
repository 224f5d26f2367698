/* status.h: the agent's own /metrics (Prometheus) and /healthz over HTTP. */
#pragma once

struct counters;
struct err;
struct namer;
struct sampler;
struct ship;
struct sources;
struct spool;
struct status;

struct status_sources {
    struct counters *counters;
    struct spool *spool;
    struct ship *ship; /* may be NULL */
    struct namer *namer;
    struct sampler *sampler; /* may be NULL */
    struct sources *sources; /* of pods */
};

/* `address`: HOST:PORT; the one that was got is logged. The sources must outlive it. */
int status_start(const char *address, const struct status_sources *sources, struct status **ret,
                 struct err *err);

/* Another shipper took over; the old one is not touched after the call. */
void status_set_ship(struct status *status, struct ship *ship);
void status_stop(struct status **status);
