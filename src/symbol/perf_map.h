/* perf_map.h: /tmp/perf-PID.map, which JITs write for perf(1): a line "START SIZE name" for each
 * piece of code, in hexadecimal, with or without 0x (linux tools/perf/Documentation/
 * jit-interface.txt; HotSpot's Compiler.perfmap has it). Names may hold spaces. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;
struct jit_index;
struct jit_time;

struct perf_map_line {
    uint64_t start, size;
    const char *name; /* in the text; not NUL-terminated */
    size_t name_len;
};

struct perf_map_parser {
    const char *at, *end;
};

void perf_map_init(struct perf_map_parser *parser, const void *text, size_t len);

/* 1: a line; -EBADMSG: one without sense was passed over; 0: from parser->at on there is no whole
 * line. */
int perf_map_next(struct perf_map_parser *parser, struct perf_map_line *ret);

#define PERF_MAP_MAX (256u << 20) /* bytes of a file that are ever read */

/* How far a file has been read; zero at first. */
struct perf_map_cursor {
    uint64_t offset;  /* of the first line that has not been taken */
    uint64_t garbled; /* lines without sense so far */
    char before[32];  /* the bytes before it: another file has others there */
    size_t before_len;
};

/* Takes the whole lines from the cursor on, of a file of `size` bytes, into the index; a line that
 * has not been written to its end waits for the next reading. -ESTALE: it is not the file any more
 * of which the cursor tells; -EFBIG past PERF_MAP_MAX; what pread(2) says; -ENOMEM. */
int perf_map_read(int fd, uint64_t size, struct perf_map_cursor *cursor, struct jit_index *index,
                  const struct jit_time *when, struct err *err);
