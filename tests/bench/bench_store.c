/* bench_store.c: the store beside a table with a row for each sample, on the same batches in one
 * run: rows a second in, bytes a row on disk, one pod's last hour. The peer is given an advantage:
 * it keeps no stacks, and its strings are numbers already.
 *
 *     bench_store [NODES [MINUTES [SAMPLES]]]    SAMPLES of a node and 30 s window */
#include <assert.h>
#include <ftw.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "fleet.h"
#include "server/store.h"

#define WINDOW_NS (30 * NS_PER_SEC)
#define SLOT_NS   (10 * NS_PER_SEC)
/* 2026-11-23 10:00 UTC */
#define START_NS   (1795428000 * NS_PER_SEC)
#define REPEATS    5
#define STACKS_MAX 1000000

struct bench {
    struct fleet_config config;
    uint32_t windows;
    char dir[64];
};

struct result {
    uint64_t rows, samples, bytes;
    double ingest_s, ingest_cpu_s;
    struct answer {
        double ms, names_ms;
        uint64_t rows, samples;
        uint64_t *stacks;
    } pod, all;
};

static double since(clockid_t clock, int64_t start_ns)
{
    return (double)(clock_ns(clock) - start_ns) / (double)NS_PER_SEC;
}

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_store: %s: %s\n", what, why);
    exit(1);
}

static double peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

/* ---- the store */

static int add_row(void *ctx, const struct store_row *row)
{
    struct answer *a = ctx;
    if (a->stacks && a->rows < STACKS_MAX)
        a->stacks[a->rows] = row->stack;
    a->rows++;
    a->samples += row->samples;
    return 0;
}

static int count_frames(void *ctx, uint64_t stack, const struct store_frame *frames, size_t count)
{
    *(uint64_t *)ctx += count;
    return 0;
}

/* The best of some times, in CPU time: others use the machine too. */
static struct answer ask_store(struct store *s, const struct store_query *q)
{
    struct answer best = {.ms = 1e9, .names_ms = 1e9};
    struct err err = {0};
    for (int i = 0; i < REPEATS; i++) {
        struct answer a = {.stacks = q->stacks ? malloc(STACKS_MAX * sizeof(uint64_t)) : NULL};
        uint64_t frames = 0;
        int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        if (s->ops->query(s, q, add_row, &a, &err) < 0)
            die("query", err.text);
        a.ms = since(CLOCK_THREAD_CPUTIME_ID, start) * 1000;
        start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        if (a.stacks && s->ops->stacks(s, a.stacks, a.rows, count_frames, &frames, &err) < 0)
            die("stacks", err.text);
        a.names_ms = since(CLOCK_THREAD_CPUTIME_ID, start) * 1000;
        free(a.stacks);
        a.ms = a.ms < best.ms ? a.ms : best.ms;
        a.names_ms = a.names_ms < best.names_ms ? a.names_ms : best.names_ms;
        best = a;
    }
    return best;
}

static void ask_store_all(struct bench *b, struct store *s, struct result *r)
{
    char pod[64];
    struct store_query q = {.start_ms = START_NS / NS_PER_MS,
                            .end_ms = START_NS / NS_PER_MS + 3600000};
    q.groups[q.group_count++] = "process";
    r->all = ask_store(s, &q);
    fleet_pod(b->config.nodes / 2, 4, pod, sizeof(pod));
    q.filters[q.filter_count++] = (struct store_label){"pod", pod};
    q.stacks = true;
    r->pod = ask_store(s, &q);
}

static struct result run_store(struct bench *b)
{
    struct result r = {0};
    struct store *s;
    struct err err = {0};
    struct store_stats stats;
    struct fleet *fleet = fleet_new(&b->config);
    if (store_sqlite_open(b->dir, &s, &err) < 0)
        die("opening", err.text);
    for (uint32_t w = 0; w < b->windows; w++)
        for (uint32_t n = 0; n < b->config.nodes; n++) {
            bool duplicate;
            const struct batch *batch = fleet_batch(fleet, n, w);
            int64_t start = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
            if (s->ops->ingest(s, batch, &duplicate, &err) < 0)
                die("ingest", err.text);
            r.ingest_s += since(CLOCK_MONOTONIC, start);
            r.ingest_cpu_s += since(CLOCK_THREAD_CPUTIME_ID, cpu);
            r.rows += batch->sample_count;
        }
    ask_store_all(b, s, &r);
    s->ops->close(s);
    if (store_sqlite_open(b->dir, &s, &err) < 0 || s->ops->stats(s, &stats, &err) < 0)
        die("opening", err.text);
    r.bytes = stats.bytes_on_disk;
    r.samples = stats.samples;
    s->ops->close(s);
    fleet_free(fleet);
    return r;
}

/* ---- the peer */

static void run_sql(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    return stmt;
}

static void insert_batch(sqlite3 *db, sqlite3_stmt *insert, struct fleet *fleet,
                         const struct batch *b, uint32_t node)
{
    run_sql(db, "BEGIN");
    for (const struct batch_sample *s = b->samples; s < b->samples + b->sample_count; s++) {
        const int64_t columns[] = {(b->start_ns + s->slot * b->slot_ns) / NS_PER_SEC,
                                   node * 1000 + s->process / 3, /* pod */
                                   node,
                                   s->process,
                                   s->thread,
                                   s->cpu,
                                   fleet_stack(fleet, s->stack),
                                   s->count};
        for (size_t i = 0; i < ARRAY_LEN(columns); i++)
            sqlite3_bind_int64(insert, (int)i + 1, columns[i]);
        if (sqlite3_step(insert) != SQLITE_DONE)
            die("insert", sqlite3_errmsg(db));
        sqlite3_reset(insert);
    }
    run_sql(db, "COMMIT");
}

static struct answer ask_peer(sqlite3 *db, const char *sql, int64_t pod)
{
    struct answer best = {.ms = 1e9};
    sqlite3_stmt *q = prepare(db, sql);
    sqlite3_bind_int64(q, 1, pod);
    sqlite3_bind_int64(q, 2, START_NS / NS_PER_SEC);
    for (int i = 0; i < REPEATS; i++) {
        struct answer a = {0};
        int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        while (sqlite3_step(q) == SQLITE_ROW) {
            a.rows++;
            a.samples += (uint64_t)sqlite3_column_int64(q, 0);
        }
        sqlite3_reset(q);
        a.ms = since(CLOCK_THREAD_CPUTIME_ID, start) * 1000;
        a.ms = a.ms < best.ms ? a.ms : best.ms;
        best = a;
    }
    sqlite3_finalize(q);
    return best;
}

static void ask_peer_all(struct bench *b, sqlite3 *db, struct result *r)
{
    r->pod = ask_peer(db,
                      "SELECT sum(count) FROM sample WHERE pod=?1 AND t>=?2 AND t<?2+3600"
                      " GROUP BY process, stack",
                      b->config.nodes / 2 * 1000 + 4 / 3);
    r->all = ask_peer(db,
                      "SELECT sum(count) FROM sample WHERE t>=?2+?1 AND t<?2+3600"
                      " GROUP BY process",
                      0);
}

static struct result run_peer(struct bench *b)
{
    struct result r = {0};
    char path[128];
    sqlite3 *db;
    struct stat st;
    struct fleet *fleet = fleet_new(&b->config);
    snprintf(path, sizeof(path), "%s/peer.sqlite", b->dir);
    if (sqlite3_open(path, &db) != SQLITE_OK)
        die(path, sqlite3_errmsg(db));
    run_sql(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-32768;"
                "PRAGMA wal_autocheckpoint=4000;"
                "CREATE TABLE sample(t INTEGER, pod INTEGER, node INTEGER, process INTEGER,"
                " thread INTEGER, cpu INTEGER, stack INTEGER, count INTEGER);"
                "CREATE INDEX by_pod ON sample(pod, t);");
    sqlite3_stmt *insert = prepare(db, "INSERT INTO sample VALUES(?1,?2,?3,?4,?5,?6,?7,?8)");
    for (uint32_t w = 0; w < b->windows; w++)
        for (uint32_t n = 0; n < b->config.nodes; n++) {
            const struct batch *batch = fleet_batch(fleet, n, w);
            int64_t start = clock_ns(CLOCK_MONOTONIC), cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
            insert_batch(db, insert, fleet, batch, n);
            r.ingest_s += since(CLOCK_MONOTONIC, start);
            r.ingest_cpu_s += since(CLOCK_THREAD_CPUTIME_ID, cpu);
            r.rows += batch->sample_count;
        }
    ask_peer_all(b, db, &r);
    sqlite3_finalize(insert);
    sqlite3_close(db);
    if (stat(path, &st) == 0)
        r.bytes = (uint64_t)st.st_size;
    fleet_free(fleet);
    return r;
}

/* ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    return remove(path);
}

static void print(const char *name, const struct result *r)
{
    printf("%-16s %10.0f %10.0f %8.2f %8.1f %10.1f %10.1f\n", name, (double)r->rows / r->ingest_s,
           (double)r->rows / r->ingest_cpu_s, (double)r->bytes / (double)r->rows,
           (double)r->bytes / 1048576, r->pod.ms, r->all.ms);
}

int main(int argc, char **argv)
{
    struct bench b = {.config = {.nodes = argc > 1 ? (uint32_t)atoi(argv[1]) : 50,
                                 .processes = 300,
                                 .samples = argc > 3 ? (uint32_t)atoi(argv[3]) : 2000,
                                 .start_ns = START_NS,
                                 .window_ns = WINDOW_NS,
                                 .slot_ns = SLOT_NS},
                      .windows = 2 * (argc > 2 ? (uint32_t)atoi(argv[2]) : 60)};
    const char *tmp = getenv("TMPDIR");
    snprintf(b.dir, sizeof(b.dir), "%.30s/bench-store.XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(b.dir))
        die(b.dir, "cannot be made");
    printf("%u nodes of %u processes, %u windows of 30 s, %u samples each, 10 s slots\n",
           b.config.nodes, b.config.processes, b.windows, b.config.samples);
    printf("%-16s %10s %10s %8s %8s %10s %10s\n", "", "rows/s", "of CPU", "B/row", "MiB",
           "pod 1h ms", "all 1h ms");
    struct result ours = run_store(&b);
    print("podflame", &ours);
    double rss = peak_mib();
    struct result peer = run_peer(&b);
    print("row per sample", &peer);
    printf("%-16s %9.1fx %9.1fx %7.1fx %7.1fx %9.1fx %9.1fx\n", "ratio",
           peer.ingest_s / ours.ingest_s, peer.ingest_cpu_s / ours.ingest_cpu_s,
           (double)peer.bytes / (double)ours.bytes, (double)peer.bytes / (double)ours.bytes,
           peer.pod.ms / ours.pod.ms, peer.all.ms / ours.all.ms);
    printf("the pod: %" PRIu64 " rows, %" PRIu64 " samples, its stacks' frames in %.1f ms\n",
           ours.pod.rows, ours.pod.samples, ours.pod.names_ms);
    printf("peak RSS with the store, all batches made here: %.0f MiB\n", rss);
    nftw(b.dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    bool same = ours.pod.samples == peer.pod.samples && ours.all.samples == peer.all.samples;
    if (!same)
        die("the answers", "differ");
    return 0;
}
