/* maps.h: the text of /proc/PID/maps (proc(5); show_map_vma() in fs/proc/task_mmu.c), line by line.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct maps_line {
    uint64_t start, end, file_offset, inode;
    uint32_t major, minor;
    bool executable;
    char path[PATH_MAX]; /* newlines unescaped; "" for anonymous memory */
};

struct maps_parser {
    const char *at, *end;
};

void maps_init(struct maps_parser *parser, const void *text, size_t len);

/* 1 and the next line, 0 at the end, -EBADMSG for a line that is none; the next call goes on behind
 * it. */
int maps_next(struct maps_parser *parser, struct maps_line *ret);
