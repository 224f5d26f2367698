/* config.h: podflame-server's settings. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/options.h"

struct config {
    char *listen, *allow_hosts, *ui_dir;
    char *data_dir;
    int64_t retention_ns;
    uint64_t max_bytes, max_body;
    char *debug_dirs, *debuginfod;
    uint64_t symbol_bytes, debuginfod_bytes;
    int64_t symbol_ns, debuginfod_interval_ns, debuginfod_timeout_ns;
    char *api_server, *api_token, *api_ca;
    bool api_insecure;
    char *log_level;
};

extern const struct option_set config_options;
