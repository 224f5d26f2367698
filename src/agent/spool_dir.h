/* spool_dir.h: the names in a spool's directory, for spool.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct err;

#define SPOOL_NAME_MAX 40

/* A file of the spool: its name follows from its number. */
struct spool_file {
    uint64_t seq;
    uint64_t bytes;
};

void spool_batch_name(uint64_t seq, char ret_name[SPOOL_NAME_MAX]);
void spool_bad_name(uint64_t seq, char ret_name[SPOOL_NAME_MAX]);

/* Oldest first. Zero-initialised is empty. */
struct spool_files {
    struct spool_file *files;
    size_t count, cap;
};

struct spool_listing {
    struct spool_files batches, bad;
    size_t foreign; /* files whose names are none of ours */
};

/* Lists the directory and removes temporary files that a killed process has left. */
int spool_dir_scan(int dir_fd, struct spool_listing *listing, struct err *err);
void spool_listing_free(struct spool_listing *listing);
