/* config.h: podflame-server's settings. */
#pragma once

#include <stdint.h>

#include "base/log.h"
#include "base/options.h"

struct err;

struct config {
    char *listen, *allow_hosts, *ui_dir;
    char *data_dir;
    int64_t retention_ns;
    uint64_t max_bytes, max_body;
    char *log_level;
};

extern const struct option_set config_options;

/* error, warning, info or debug. */
int config_read_log_level(const struct config *config, enum log_level *ret, struct err *err);
