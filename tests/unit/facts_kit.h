/* facts_kit.h: facts as lines of text, to be read and compared. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "k8s/facts.h"

/* Takes what a source says:
 *     pod UID NAMESPACE/NAME node=... ip=... phase=... owner=KIND/NAME started=... label=value ...
 *     container ID pod=UID name=... app running restarts=0 image=... reason=... runtime=...
 * What the source does not say is left out. */
struct facts_kit {
    struct facts_sink sink; /* give this to the source */
    struct buf text;
    size_t pods, containers;
    uint64_t dropped;
    int answer; /* what the sink shall say; 0 */
};

void facts_kit_init(struct facts_kit *kit);
void facts_kit_free(struct facts_kit *kit);

/* Fails the test, and shows the text, unless it has this line. */
void facts_kit_has(const struct facts_kit *kit, const char *line);

/* Fails the test, and shows how they differ, unless the lines are those of the file in
 * tests/golden/k8s, in any order. */
void facts_kit_equals(const struct facts_kit *kit, const char *golden);

/* Fails the test, and shows the error, unless these words are in it. */
void assert_words(const struct err *err, const char *words);

/* Appends a file of tests/golden/k8s. */
void golden_read(const char *name, struct buf *buf);
