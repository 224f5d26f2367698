/* sources.h: where what is known of pods comes from, told with every answer about them. */
#pragma once

struct api;
struct buf;

/* `,"sources":[...]` */
int sources_put(struct api *api, struct buf *out);

/* The same for Prometheus; nothing if no API server is followed. */
int sources_put_metrics(struct api *api, struct buf *out);
