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
    {"debug-dir", OPTION_STRING, AT(debug_dirs), "DIRS", "/usr/lib/debug", 0, 0, "Names",
     "Directories, with colons between them, of debug files (or programs that are not stripped) "
     "for "
     "what nodes could not name: DIR/.build-id/xx/yyyy.debug, DIR/BUILD-ID/debuginfo as "
     "debuginfod's clients have it, or DIR/BUILD-ID.debug. A file that is put there names samples "
     "that are stored already, too, within a minute, or at once on SIGHUP."},
    {"symbol-cache", OPTION_BYTES, AT(symbol_bytes), "SIZE", "64MiB", 1 << 20, UINT64_C(1) << 40,
     "Names", "Memory for what debug files said."},
    {"symbol-time", OPTION_DURATION, AT(symbol_ns), "TIME", "1s", 0, 60 * NS_PER_SEC, "Names",
     "How long a flamegraph waits for debug files to be read; what is not named by then is named "
     "in "
     "the next. 0s: they are not read."},
    {"debuginfod", OPTION_STRING, AT(debuginfod), "URLS", NULL, 0, 0, "Names",
     "Servers that speak debuginfod's protocol, with blanks or commas between them, to fetch debug "
     "files from that no debug-dir has: those of the objects with most samples first. They learn "
     "the build-ids of what runs here. Empty: nothing is fetched."},
    {"debuginfod-cache", OPTION_BYTES, AT(debuginfod_bytes), "SIZE", "2GiB", 1 << 20,
     UINT64_C(1) << 50, "Names",
     "Disk space for fetched files, in the data directory; those used least go. One file takes "
     "half "
     "of it at most."},
    {"debuginfod-interval", OPTION_DURATION, AT(debuginfod_interval_ns), "TIME", "10s",
     100 * NS_PER_MS, 86400 * NS_PER_SEC, "Names",
     "How long to wait between one file and the next; longer while servers do not answer."},
    {"debuginfod-timeout", OPTION_DURATION, AT(debuginfod_timeout_ns), "TIME", "90s", NS_PER_SEC,
     900 * NS_PER_SEC, "Names",
     "How long such a server may be silent; it may have to unpack a package first."},
    {"api-server", OPTION_STRING, AT(api_server), "URL", NULL, 0, 0, "Cluster",
     "The Kubernetes API server to follow: https://HOST:PORT. It tells which namespaces, pods, "
     "services, workloads and nodes there are, and names samples whose node did not know the "
     "names yet. Not set: that of the pod this runs in, if it has a service account's token; "
     "empty: none. The account needs to list and watch these; what it may not is left out."},
    {"api-token", OPTION_STRING, AT(api_token), "FILE", NULL, 0, 0, "Cluster",
     "A file with the bearer token for it, read again for each request. Not set: the pod's own, "
     "for the pod's own API server."},
    {"api-ca", OPTION_STRING, AT(api_ca), "FILE", NULL, 0, 0, "Cluster",
     "A file with the certificates (PEM) of the authorities that may vouch for it. Not set: the "
     "pod's own, for the pod's own API server; otherwise the system's."},
    {"api-insecure", OPTION_BOOL, AT(api_insecure), NULL, "false", 0, 0, "Cluster",
     "Whether any certificate will do. Whoever can pose as the API server then gets the token."},
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
        "is logged, and all stay as they were. Look for new debug files.\n"
        ".SH FILES\n"
        ".TP\n.I /var/lib/podflame-server\nThe profiles: one file a day.\n"
        ".TP\n.I /var/lib/podflame-server/debuginfod\nFetched debug files; may be removed.\n"
        ".SH SEE ALSO\n.BR podflamed (8),\n.BR podflame (1)\n",
    .man_section = 8,
    .defs = defs,
    .count = ARRAY_LEN(defs),
    .default_file = "/etc/podflame/podflame-server.conf",
};
