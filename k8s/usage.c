/* usage.c: takes hierarchies and /proc, gives what each container and systemd unit used since the
 * scan before. See usage.h.
 *
 * A scan walks the hierarchies for the cgroups that are a container or a unit, or lie below one;
 * reads the processes of each; then reads the cgroups' own files and tells them. */
#include "k8s/usage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "k8s/cgroup.h"
#include "k8s/usage_files.h"
#include "k8s/usage_known.h"

#define DIRS_PER_CGROUP 8u /* that are walked, of those a container may make below itself */
#define NETWORK_TRIES   8u /* processes of a cgroup that may end while their network is looked up */

struct usage_cgroup {
    uint32_t scan; /* that saw it last */
    unsigned hierarchy;
    uint64_t inode;                     /* there */
    bool is_new;                        /* it began since the scan before */
    bool read;                          /* `previous` is of the scan before */
    bool partial;                       /* some of its processes were not read */
    struct cgroup_id *id;               /* NULL: it is part of its owner */
    struct usage_cgroup *owner, *above; /* itself or the next one that has an id; the next above */
    struct usage_known *first;          /* processes */
    size_t count;
    uint64_t sums[USAGE_FIGURE_COUNT]; /* of its processes and those below */
    uint64_t previous[USAGE_COUNTER_COUNT];
    int64_t read_ns;
    UT_hash_handle hh;
    char path[];
};

struct network {
    uint64_t inode;
    uint32_t scan;
    uint64_t rx, tx, grown_rx, grown_tx;
    UT_hash_handle hh;
};

struct usage_scanner {
    struct usage_config config;
    struct usage_processes processes;
    struct usage_cgroup *cgroups;
    struct network *networks;
    uint64_t host_network; /* 0: not told */
    struct buf text;
    uint32_t *pids;
    struct usage_process *told; /* room for the processes of one cgroup */
    size_t told_room;
    uint32_t cgroup_count, part_count, process_count; /* of this scan */
    uint64_t dropped;
    bool whole, was_whole;       /* this scan and the one before saw all cgroups there were */
    int64_t scan_ns, scanned_ns; /* when this one and the one before began; CLOCK_BOOTTIME */
    int64_t tick_ns, to_real_ns;
    uint64_t page_bytes;
};

int usage_scanner_new(const struct usage_config *config, struct usage_scanner **ret,
                      struct err *err)
{
    struct usage_scanner *s = calloc(1, sizeof(*s));
    if (!s)
        return err_errno(err, -ENOMEM, "reading what containers use");
    s->config = *config;
    s->processes.full_commands = config->full_commands;
    s->processes.proc = config->proc;
    s->tick_ns = NS_PER_SEC / sysconf(_SC_CLK_TCK);
    s->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    s->pids = calloc(config->max_processes + 1, sizeof(*s->pids));
    if (!s->pids) {
        free(s);
        return err_errno(err, -ENOMEM, "reading what containers use");
    }
    *ret = s;
    return 0;
}

static void forget_cgroup(struct usage_scanner *s, struct usage_cgroup *c)
{
    HASH_DEL(s->cgroups, c);
    free(c->id);
    free(c);
}

void usage_scanner_free(struct usage_scanner **scanner)
{
    struct usage_scanner *s = *scanner;
    if (!s)
        return;
    struct usage_cgroup *c, *next;
    HASH_ITER (hh, s->cgroups, c, next)
        forget_cgroup(s, c);
    struct network *n, *next_network;
    HASH_ITER (hh, s->networks, n, next_network) {
        HASH_DEL(s->networks, n);
        free(n);
    }
    usage_processes_free(&s->processes);
    buf_free(&s->text);
    free(s->pids);
    free(s->told);
    free(s);
    *scanner = NULL;
}

uint64_t usage_scan_dropped(const struct usage_scanner *scanner)
{
    return scanner->dropped;
}

/* ---- cgroups */

struct walk {
    struct usage_scanner *s;
    unsigned hierarchy;
};

static struct usage_cgroup *find_cgroup(struct usage_scanner *s, const char *path, size_t len)
{
    struct usage_cgroup *c;
    HASH_FIND(hh, s->cgroups, path, len, c);
    return c;
}

static struct usage_cgroup *find_parent(struct usage_scanner *s, const char *path)
{
    const char *slash = strrchr(path, '/');
    struct usage_cgroup *c = find_cgroup(s, path, (size_t)(slash - path));
    return c && c->scan == s->processes.scan ? c : NULL;
}

/* A container's own cgroup is the outermost that names it; what is below is part of it. Units
 * inside a container are the container's own affair. */
static bool has_own_id(const struct cgroup_id *id, const struct usage_cgroup *parent)
{
    static const struct cgroup_id none;
    const struct cgroup_id *above = parent ? parent->owner->id : &none;
    if (*id->container_id)
        return strcmp(id->container_id, above->container_id) != 0;
    return *id->unit && strcmp(id->unit, above->unit) != 0;
}

static struct usage_cgroup *add_cgroup(struct usage_scanner *s, const char *path)
{
    size_t len = strlen(path);
    struct usage_cgroup *c = calloc(1, sizeof(*c) + len + 1);
    if (!c)
        return NULL;
    memcpy(c->path, path, len + 1);
    HASH_ADD_KEYPTR(hh, s->cgroups, c->path, len, c);
    return c;
}

static int set_id(struct usage_cgroup *c, const struct cgroup_id *id, bool own)
{
    free(c->id);
    c->id = own ? malloc(sizeof(*c->id)) : NULL;
    if (own && !c->id)
        return -ENOMEM;
    if (own)
        *c->id = *id;
    return 0;
}

static int note_cgroup(void *ctx, uint64_t inode, const char *path)
{
    struct walk *w = ctx;
    struct usage_scanner *s = w->s;
    struct usage_cgroup *parent = find_parent(s, path), *c = find_cgroup(s, path, strlen(path));
    if (c && c->scan == s->processes.scan)
        return 0; /* another hierarchy had it */
    struct cgroup_id id;
    cgroup_parse_path(path, strlen(path), &id);
    bool own = has_own_id(&id, parent);
    if (!own && !parent)
        return 0;
    if (own ? s->cgroup_count >= s->config.max_cgroups
            : s->part_count >= s->config.max_cgroups * DIRS_PER_CGROUP) {
        s->dropped++;
        return 0;
    }
    (*(own ? &s->cgroup_count : &s->part_count))++;
    bool was = c && (c->hierarchy != w->hierarchy || c->inode == inode);
    /* Only of what was looked for is absence known. */
    bool looked = s->was_whole || (c && c->scan + 1 == s->processes.scan);
    if (!c)
        c = add_cgroup(s, path);
    if (!c || set_id(c, &id, own) < 0)
        return -ENOMEM;
    c->is_new = !was && looked;
    c->read = c->read && was;
    c->scan = s->processes.scan;
    c->hierarchy = w->hierarchy;
    c->inode = inode;
    c->owner = own ? c : parent->owner;
    c->above = own ? (parent ? parent->owner : NULL) : NULL;
    c->first = NULL;
    c->count = 0;
    c->partial = false;
    return 0;
}

/* Controllers that share a mount, as cpu,cpuacct, are one hierarchy. */
static bool is_walked(const struct usage_scanner *s, unsigned hierarchy)
{
    struct stat this, other;
    const int *fds = s->config.hierarchies;
    if (fds[hierarchy] < 0 || fstat(fds[hierarchy], &this) < 0)
        return false;
    for (unsigned i = 0; i < hierarchy; i++)
        if (fds[i] >= 0 && fstat(fds[i], &other) == 0 && other.st_dev == this.st_dev &&
            other.st_ino == this.st_ino)
            return false;
    return true;
}

static int find_cgroups(struct usage_scanner *s, struct err *err)
{
    struct usage_cgroup *c, *next;
    s->cgroup_count = s->part_count = 0;
    for (unsigned i = 0; i < USAGE_HIERARCHY_COUNT; i++) {
        struct walk walk = {s, i};
        if (!is_walked(s, i))
            continue;
        int r = cgroup_walk(s->config.hierarchies[i], s->config.max_cgroups * DIRS_PER_CGROUP,
                            note_cgroup, &walk, err);
        if (r == -E2BIG)
            s->dropped++; /* what was seen is told */
        else if (r < 0)
            return r == -ENOMEM ? err_errno(err, r, "reading what containers use") : r;
    }
    HASH_ITER (hh, s->cgroups, c, next)
        if (c->scan != s->processes.scan)
            forget_cgroup(s, c);
    s->whole = s->dropped == 0;
    return 0;
}

/* ---- processes */

static int read_processes(struct usage_scanner *s, struct usage_cgroup *c)
{
    bool more;
    size_t room = s->config.max_processes - s->process_count;
    size_t count = usage_read_pids(s->config.hierarchies, c->path, &s->text, s->pids, room, &more);
    if (more) {
        c->owner->partial = true;
        s->dropped++;
    }
    for (size_t i = 0; i < count; i++) {
        struct usage_known *p;
        int r = usage_process_read(&s->processes, s->pids[i], &s->text, &p);
        if (r == -ENOMEM)
            return r;
        if (r < 0)
            continue;
        p->next = c->owner->first;
        c->owner->first = p;
        c->owner->count++;
        s->process_count++;
    }
    return 0;
}

static void add_to(uint64_t *sum, uint64_t value)
{
    if (*sum == USAGE_UNKNOWN || value == USAGE_UNKNOWN || __builtin_add_overflow(*sum, value, sum))
        *sum = USAGE_UNKNOWN;
}

static uint64_t scaled(uint64_t value, uint64_t factor)
{
    return value == USAGE_UNKNOWN || __builtin_mul_overflow(value, factor, &value) ? USAGE_UNKNOWN
                                                                                   : value;
}

static void add_process(struct usage_scanner *s, uint64_t *sums, const struct usage_known *p)
{
    uint64_t tick = (uint64_t)s->tick_ns;
    add_to(&sums[USAGE_cpu_user_ns], scaled(p->grown[TALLY_USER], tick));
    add_to(&sums[USAGE_cpu_system_ns], scaled(p->grown[TALLY_SYSTEM], tick));
    add_to(&sums[USAGE_minor_faults], p->grown[TALLY_MINOR]);
    add_to(&sums[USAGE_major_faults], p->grown[TALLY_MAJOR]);
    add_to(&sums[USAGE_block_read_bytes], p->grown[TALLY_BLOCK_READ]);
    add_to(&sums[USAGE_block_write_bytes], p->grown[TALLY_BLOCK_WRITE]);
    add_to(&sums[USAGE_char_read_bytes], p->grown[TALLY_CHAR_READ]);
    add_to(&sums[USAGE_char_write_bytes], p->grown[TALLY_CHAR_WRITE]);
    add_to(&sums[USAGE_rss_bytes], scaled(p->stat.rss, s->page_bytes));
    add_to(&sums[USAGE_virtual_bytes], p->stat.virtual_bytes);
    add_to(&sums[USAGE_processes], 1);
    add_to(&sums[USAGE_threads], p->stat.threads);
}

/* What no process can tell stays unknown. */
static void clear_sums(uint64_t *sums)
{
    static const uint8_t summed[] = {
        USAGE_cpu_user_ns,     USAGE_cpu_system_ns,    USAGE_minor_faults,
        USAGE_major_faults,    USAGE_block_read_bytes, USAGE_block_write_bytes,
        USAGE_char_read_bytes, USAGE_char_write_bytes, USAGE_rss_bytes,
        USAGE_virtual_bytes,   USAGE_processes,        USAGE_threads,
    };
    usage_clear(sums);
    for (size_t i = 0; i < ARRAY_LEN(summed); i++)
        sums[summed[i]] = 0;
}

static int find_processes(struct usage_scanner *s, struct err *err)
{
    s->process_count = 0;
    for (struct usage_cgroup *c = s->cgroups; c; c = c->hh.next)
        if (read_processes(s, c) < 0)
            return err_errno(err, -ENOMEM, "reading what containers use");
    usage_processes_settle(&s->processes);
    for (struct usage_cgroup *c = s->cgroups; c; c = c->hh.next)
        if (c->id)
            clear_sums(c->sums);
    for (struct usage_cgroup *c = s->cgroups; c; c = c->hh.next)
        for (struct usage_cgroup *to = c->id ? c : NULL; to; to = to->above) {
            for (struct usage_known *p = c->first; p; p = p->next)
                add_process(s, to->sums, p);
            if (c->partial)
                usage_clear(to->sums);
        }
    return 0;
}

/* ---- networks */

/* Each is read once a scan, by one of its processes. One that was not there in the scan before
 * began since if that process did; if not, its counts are of a time that nobody knows. */
static struct network *read_network(struct usage_scanner *s, uint64_t inode,
                                    const struct usage_known *by)
{
    struct network *n;
    uint64_t rx, tx;
    HASH_FIND(hh, s->networks, &inode, sizeof(inode), n);
    if (n && n->scan == s->processes.scan)
        return n;
    if (usage_read_net_dev(s->config.proc, by->pid, &s->text, &rx, &tx) < 0)
        return NULL;
    bool known = n || (s->was_whole && by->stat.start >= s->processes.since_ticks);
    if (!n) {
        n = calloc(1, sizeof(*n));
        if (!n)
            return NULL;
        n->inode = inode;
        HASH_ADD(hh, s->networks, inode, sizeof(inode), n);
    }
    /* An interface that has gone takes its counts with it. */
    n->grown_rx = !known ? USAGE_UNKNOWN : rx >= n->rx ? rx - n->rx : rx;
    n->grown_tx = !known ? USAGE_UNKNOWN : tx >= n->tx ? tx - n->tx : tx;
    n->rx = rx;
    n->tx = tx;
    n->scan = s->processes.scan;
    return n;
}

static void forget_networks(struct usage_scanner *s)
{
    struct network *n, *next;
    HASH_ITER (hh, s->networks, n, next)
        if (n->scan != s->processes.scan) {
            HASH_DEL(s->networks, n);
            free(n);
        }
}

/* Of the cgroup's processes the one with the lowest pid above the given one. */
static const struct usage_known *next_process(const struct usage_cgroup *c, uint32_t above)
{
    const struct usage_known *lowest = NULL;
    for (const struct usage_known *p = c->first; p; p = p->next)
        if (p->pid > above && (!lowest || p->pid < lowest->pid))
            lowest = p;
    return lowest;
}

/* By the first of its processes that has not gone meanwhile; 0 if it is the node's own. */
static uint64_t find_network(struct usage_scanner *s, const struct usage_cgroup *c,
                             const struct network **ret)
{
    const struct usage_known *p = next_process(c, 0);
    for (unsigned tries = 0; p && tries < NETWORK_TRIES; tries++) {
        char pid[16];
        uint64_t inode;
        snprintf(pid, sizeof(pid), "%u", p->pid);
        if (usage_read_network(s->config.proc, pid, &inode) == 0) {
            if (inode == s->host_network)
                return 0;
            *ret = read_network(s, inode, p);
            if (*ret)
                return inode;
        }
        p = next_process(c, p->pid);
    }
    return 0;
}

static void tell_network(struct usage_scanner *s, const struct usage_cgroup *c,
                         struct usage_reading *to)
{
    const struct network *n;
    if (!s->host_network)
        return;
    to->network = find_network(s, c, &n);
    if (to->network && to->span_ns) {
        to->figures[USAGE_net_rx_bytes] = n->grown_rx;
        to->figures[USAGE_net_tx_bytes] = n->grown_tx;
    }
}

/* ---- figures */

/* v1 lets cpuacct.usage be set back to 0. */
static uint64_t counted(uint64_t now, uint64_t before)
{
    if (now == USAGE_UNKNOWN || before == USAGE_UNKNOWN)
        return USAGE_UNKNOWN;
    return now >= before ? now - before : now;
}

/* User and system are shares of what was measured: each may shrink a little as the other grows. */
static void count_cpu(const uint64_t *now, const uint64_t *before, uint64_t *to)
{
    uint64_t user = now[USAGE_cpu_user_ns], was = before[USAGE_cpu_user_ns];
    if (user == USAGE_UNKNOWN || was == USAGE_UNKNOWN)
        return;
    uint64_t all = counted(user + now[USAGE_cpu_system_ns], was + before[USAGE_cpu_system_ns]);
    uint64_t grown = user > was ? user - was : 0;
    to[USAGE_cpu_user_ns] = grown < all ? grown : all;
    to[USAGE_cpu_system_ns] = all - to[USAGE_cpu_user_ns];
}

static void fill_counters(struct usage_cgroup *c, const uint64_t *now, uint64_t *to)
{
    uint64_t nothing[USAGE_COUNTER_COUNT] = {0};
    const uint64_t *before = c->read ? c->previous : nothing;
    for (unsigned i = 0; i < USAGE_COUNTER_COUNT; i++)
        to[i] = counted(now[i], before[i]);
    count_cpu(now, before, to);
}

static void fill_figures(struct usage_scanner *s, struct usage_cgroup *c, struct usage_reading *r)
{
    uint64_t now[USAGE_FIGURE_COUNT];
    usage_clear(now);
    usage_read_cgroup(s->config.hierarchies, c->path, s->tick_ns, &s->text, now);
    int64_t at = clock_ns(CLOCK_BOOTTIME);
    bool known = c->read || c->is_new;
    r->time_ns = at + s->to_real_ns;
    r->span_ns = !known ? 0 : at - (c->read ? c->read_ns : s->scanned_ns);
    if (r->span_ns > 0)
        fill_counters(c, now, r->figures);
    for (unsigned i = USAGE_COUNTER_COUNT; i < USAGE_FIGURE_COUNT; i++)
        r->figures[i] = now[i];
    for (unsigned i = 0; i < USAGE_FIGURE_COUNT; i++)
        if (r->figures[i] == USAGE_UNKNOWN && c->sums[i] != USAGE_UNKNOWN &&
            (i >= USAGE_COUNTER_COUNT || r->span_ns > 0)) {
            r->figures[i] = c->sums[i];
            r->summed |= 1u << i;
        }
    memcpy(c->previous, now, sizeof(c->previous));
    c->read = true;
    c->read_ns = at;
}
_Static_assert(USAGE_FIGURE_COUNT <= 32, "usage_reading.summed has a bit for each");

/* Told alike each time, though the clocks drift. */
static int64_t start_of(struct usage_scanner *s, struct usage_known *p)
{
    if (!p->start_ns)
        p->start_ns = (int64_t)scaled(p->stat.start, (uint64_t)s->tick_ns) + s->to_real_ns;
    return p->start_ns;
}

static int fill_processes(struct usage_scanner *s, const struct usage_cgroup *c, bool counted_too)
{
    if (c->count > s->told_room) {
        void *told = reallocarray(s->told, c->count, sizeof(*s->told));
        if (!told)
            return -ENOMEM;
        s->told = told;
        s->told_room = c->count;
    }
    uint64_t tick = (uint64_t)s->tick_ns;
    size_t i = 0;
    for (struct usage_known *p = c->first; p; p = p->next)
        s->told[i++] = (struct usage_process){
            .pid = p->pid,
            .threads = p->stat.threads,
            .start_ns = start_of(s, p),
            .exe = p->exe,
            .command = p->command,
            .cpu_user_ns = counted_too ? scaled(p->grown_user, tick) : USAGE_UNKNOWN,
            .cpu_system_ns = counted_too ? scaled(p->grown_system, tick) : USAGE_UNKNOWN,
            .rss_bytes = scaled(p->stat.rss, s->page_bytes),
            .virtual_bytes = p->stat.virtual_bytes,
        };
    return 0;
}

static int tell_cgroup(struct usage_scanner *s, struct usage_cgroup *c, usage_fn fn, void *ctx)
{
    struct usage_reading reading = {.path = c->path, .id = c->id};
    usage_clear(reading.figures);
    fill_figures(s, c, &reading);
    tell_network(s, c, &reading);
    int r = fill_processes(s, c, reading.span_ns > 0);
    return r < 0 ? r : fn(ctx, &reading, s->told, c->count);
}

int usage_scan(struct usage_scanner *scanner, usage_fn fn, void *ctx, struct err *err)
{
    struct usage_scanner *s = scanner;
    s->dropped = 0;
    s->was_whole = s->whole;
    s->whole = false;
    s->processes.scan++;
    s->scanned_ns = s->scan_ns;
    s->scan_ns = clock_ns(CLOCK_BOOTTIME);
    s->processes.since_ticks = (uint64_t)(s->scanned_ns / s->tick_ns);
    s->to_real_ns = clock_ns(CLOCK_REALTIME) - s->scan_ns;
    if (usage_read_network(s->config.proc, "1", &s->host_network) < 0)
        s->host_network = 0;
    int r = find_cgroups(s, err);
    if (r == 0)
        r = find_processes(s, err);
    if (r < 0)
        return r;
    for (struct usage_cgroup *c = s->cgroups; c && r == 0; c = c->hh.next)
        if (c->id)
            r = tell_cgroup(s, c, fn, ctx);
    forget_networks(s);
    if (r == -ENOMEM)
        return err_errno(err, r, "reading what containers use");
    return r;
}
