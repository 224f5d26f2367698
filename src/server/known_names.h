/* known_names.h: what debug files were found to say, by build-id and address. The objects that were
 * used least go when it becomes too much. One thread at a time. For symbols.c. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "symbol/elf.h"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct chains;
struct known_names;

struct known_key {
    uint8_t len;
    uint8_t build_id[ELF_BUILD_ID_MAX]; /* zero behind its end */
};

struct known_object {
    struct known_key key;
    struct chains *chains;  /* what is known for good */
    struct chains *passing; /* what has to do until more is known; NULL: nothing */
    uint64_t stamp;         /* of the file they are from; 0: there was none */
    int64_t look_again_ns;  /* CLOCK_MONOTONIC: when to look whether that file is still there */
    UT_hash_handle hh;
};

int known_names_new(size_t max_bytes, struct known_names **ret);
void known_names_free(struct known_names **names);
size_t known_names_bytes(const struct known_names *names);

/* NULL: it is not known. */
struct known_object *known_names_find(struct known_names *names, const struct known_key *key);

/* The object, which is made if it is not known. NULL: no memory. */
struct known_object *known_names_add(struct known_names *names, const struct known_key *key);

/* Forgets what is known of the object's addresses. */
int known_object_clear(struct known_object *object);

/* Has every object's file looked for again. */
void known_names_expire(struct known_names *names);

/* To be called when an object has become larger: drops others until all fit. `but`: is not dropped,
 * however large; NULL: all may be. */
void known_names_settle(struct known_names *names, const struct known_object *but);
