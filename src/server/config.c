/* config.c: podflame-server's settings, declared once. See config.h. */
#include "server/config.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "wire/format.h"

#define AT(m)  offsetof(struct config, m)
#define DAY_NS (86400 * NS_PER_SEC)

static const struct option_def defs[] = {
    {"listen", OPTION_STRING, AT(listen), "HOST:PORT", "127.0.0.1:7357", 0, 0, "Network",
     "Where to listen: HOST:PORT, [IPV6]:PORT, or :PORT for all addresses; port 0 takes any that "
     "is "
     "free and logs it. There is no authentication: whoever reaches the port sees every profile, "
     "and may post batches."},
    {"allow-hosts", OPTION_STRING, AT(allow_hosts), "NAMES", NULL, 0, 0, "Network",
     "Names, with commas between them, by which browsers may reach a server that listens on "
     "loopback (through a proxy, say); * for any. Addresses and localhost always may. Any other "
     "name is refused, since a foreign page's name can be made to point here."},
    {"max-body", OPTION_BYTES, AT(max_body), "SIZE", "32MiB", 1024, WIRE_MAX_COMPRESSED, "Network",
     "The largest batch to take."},
    {"ui-dir", OPTION_STRING, AT(ui_dir), "DIR", PF_UI_DIR, 0, 0, "Network",
     "Where the files of the web page lie."},
    {"data-dir", OPTION_STRING, AT(data_dir), "DIR", "/var/lib/podflame-server", 0, 0, "Store",
     "Where the profiles are kept; made if it is missing. One server at a time uses it."},
    {"retention", OPTION_DURATION, AT(retention_ns), "DURATION", "7d", 0, 3650 * DAY_NS, "Store",
     "How long profiles are kept; 0 for ever. Read again on SIGHUP."},
    {"max-bytes", OPTION_BYTES, AT(max_bytes), "SIZE", "0", 0, INT64_MAX, "Store",
     "How large the store may grow: beyond it the oldest profiles go, whatever their age. 0 for no "
     "limit. Read again on SIGHUP."},
    {"log-level", OPTION_STRING, AT(log_level), "LEVEL", "info", 0, 0, "Logging",
     "The least urgent lines to log on stderr: error, warning, info or debug, which has a line for "
     "each request. Read again on SIGHUP."},
};

const struct option_set config_options = {
    .program = "podflame-server",
    .summary = "collect, store and show CPU profiles of nodes",
    .synopsis_tail = "",
    .description =
        "podflame-server takes the batches of samples that podflamed on each node sends, keeps "
        "them "
        "in a directory of SQLite files, and answers questions about them: the web page under /, "
        "flamegraphs as JSON or as folded lines under /api/v1/flame, and lists of processes and "
        "nodes. It needs no privileges but to write its data directory.",
    .man_tail =
        ".SH SIGNALS\n"
        ".TP\n.B SIGTERM, SIGINT\n"
        "Take no new connection, finish the requests under way, close the store and end.\n"
        ".TP\n.B SIGHUP\n"
        "Read the settings again and apply those that say so above. A setting that is wrong "
        "is logged, and all stay as they were.\n"
        ".SH FILES\n"
        ".TP\n.I /var/lib/podflame-server\nThe profiles: one file a day.\n"
        ".SH SEE ALSO\n.BR podflamed (8),\n.BR podflame (1)\n",
    .man_section = 8,
    .defs = defs,
    .count = ARRAY_LEN(defs),
    .default_file = "/etc/podflame/podflame-server.conf",
};
