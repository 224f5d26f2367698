/* sources.h: where what is known of pods comes from, told with every answer about them. */
#pragma once

#include <stdbool.h>

struct api;
struct buf;

/* `,"sources":[...]`; `agents`: what they said of pods is part of the answer. */
int sources_put(struct api *api, bool agents, struct buf *out);

/* The same for Prometheus; nothing if no API server is followed. */
int sources_put_metrics(struct api *api, struct buf *out);
