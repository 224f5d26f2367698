/* selector.h: which pods are meant: "namespace=shop,pod=web-*; label.tier=test".
 *
 * Selectors are separated by ';'. One has terms, separated by ',', all of which must hold:
 *     namespace=GLOB  pod=GLOB  label.KEY=GLOB
 * In a GLOB, '*' stands for any text and '?' for one character. A label that a pod has not got
 * matches no GLOB. */
#pragma once

#include <stdbool.h>

struct err;
struct pod_fact;
struct selectors;

/* -EINVAL: the error shows the term. An empty text has no selector, which matches nothing. */
int selectors_parse(const char *text, struct selectors **ret, struct err *err);
void selectors_free(struct selectors **selectors);

/* NULL-safe. */
bool selectors_are_empty(const struct selectors *selectors);

enum selectors_match {
    SELECTORS_NO,
    SELECTORS_YES,
    SELECTORS_UNKNOWN, /* it depends on what is not known of the pod */
};

/* Whether one of them means the pod; NULL: nothing is known of it. Labels that are NULL are not
 * known, as in pods.h. */
enum selectors_match selectors_match(const struct selectors *selectors, const struct pod_fact *pod);
