/* selector.c: takes a text, gives which pods it means. See selector.h. */
#include "k8s/selector.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "k8s/facts.h"

enum term_field { TERM_NAMESPACE, TERM_POD, TERM_LABEL };

struct term {
    enum term_field field;
    bool starts; /* a selector of its own */
    const char *key, *glob;
};

struct selectors {
    char *text; /* the terms point into it */
    struct term *terms;
    size_t count;
};

void selectors_free(struct selectors **selectors)
{
    if (!*selectors)
        return;
    free((*selectors)->text);
    free((*selectors)->terms);
    free(*selectors);
    *selectors = NULL;
}

bool selectors_are_empty(const struct selectors *selectors)
{
    return !selectors || !selectors->count;
}

/* ---- from text */

static char *strip(char *text)
{
    text += strspn(text, " \t");
    size_t len = strlen(text);
    while (len && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = 0;
    return text;
}

static int parse_term(char *text, struct term *ret, struct err *err)
{
    static const char label[] = "label.";
    static const char form[] = "it must be namespace=GLOB, pod=GLOB or label.KEY=GLOB";
    char *name = strip(text), *glob = strchr(name, '=');
    if (!glob)
        return err_set(err, -EINVAL, "\"%s\" has no '='; %s", name, form);
    *glob++ = 0;
    name = strip(name);
    glob = strip(glob);
    bool is_label = strncmp(name, label, strlen(label)) == 0;
    if (is_label && name[strlen(label)])
        *ret = (struct term){TERM_LABEL, false, name + strlen(label), glob};
    else if (strcmp(name, "namespace") == 0)
        *ret = (struct term){TERM_NAMESPACE, false, NULL, glob};
    else if (strcmp(name, "pod") == 0)
        *ret = (struct term){TERM_POD, false, NULL, glob};
    else
        return err_set(err, -EINVAL, "\"%s=%s\" is no term of a selector; %s", name, glob, form);
    /* Only a label can be empty. */
    if (!glob[0] && ret->field != TERM_LABEL)
        return err_set(err, -EINVAL, "\"%s=\" has nothing behind it", name);
    return 0;
}

static int parse_selector(struct selectors *s, char *text, struct err *err)
{
    size_t first = s->count;
    char *term;
    if (!*strip(text))
        return 0; /* a ';' too many */
    while ((term = strsep(&text, ","))) {
        int r = parse_term(term, &s->terms[s->count], err);
        if (r < 0)
            return r;
        s->terms[s->count].starts = s->count == first;
        s->count++;
    }
    return 0;
}

int selectors_parse(const char *text, struct selectors **ret, struct err *err)
{
    _cleanup_(selectors_free) struct selectors *s = calloc(1, sizeof(*s));
    if (s)
        s->text = strdup(text);
    if (s && s->text)
        s->terms = calloc(strlen(text) + 1, sizeof(*s->terms));
    if (!s || !s->text || !s->terms)
        return err_errno(err, -ENOMEM, "a selector");
    char *rest = s->text, *one;
    while ((one = strsep(&rest, ";"))) {
        int r = parse_selector(s, one, err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(s);
    return 0;
}

/* ---- matching */

/* In time of the product of the lengths: only the last '*' is ever gone back to. */
static bool matches(const char *glob, const char *text)
{
    const char *star = NULL, *from = NULL;
    while (*text) {
        if (*glob == '*') {
            star = ++glob;
            from = text;
        } else if (*glob == '?' || *glob == *text) {
            glob++;
            text++;
        } else if (star) {
            glob = star;
            text = ++from;
        } else {
            return false;
        }
    }
    return glob[strspn(glob, "*")] == 0;
}

static enum selectors_match match_text(const char *glob, const char *text)
{
    if (!text)
        return SELECTORS_UNKNOWN;
    return matches(glob, text) ? SELECTORS_YES : SELECTORS_NO;
}

static enum selectors_match match_term(const struct term *t, const struct pod_fact *pod)
{
    if (!pod)
        return SELECTORS_UNKNOWN;
    if (t->field != TERM_LABEL)
        return match_text(t->glob, t->field == TERM_POD ? pod->name : pod->namespace);
    if (!pod->labels)
        return SELECTORS_UNKNOWN;
    for (size_t i = 0; i < pod->label_count; i++)
        if (strcmp(pod->labels[i].key, t->key) == 0)
            return match_text(t->glob, pod->labels[i].value);
    return SELECTORS_NO;
}

/* The selector that begins at *at, which is moved behind it: what is not known does not matter
 * where another term does not hold. */
static enum selectors_match match_one(const struct selectors *s, size_t *at,
                                      const struct pod_fact *pod)
{
    enum selectors_match all = SELECTORS_YES;
    do {
        enum selectors_match term = match_term(&s->terms[(*at)++], pod);
        if (term == SELECTORS_NO || all == SELECTORS_YES)
            all = term;
    } while (*at < s->count && !s->terms[*at].starts);
    return all;
}

enum selectors_match selectors_match(const struct selectors *selectors, const struct pod_fact *pod)
{
    enum selectors_match any = SELECTORS_NO;
    for (size_t at = 0; at < selectors->count;) {
        enum selectors_match one = match_one(selectors, &at, pod);
        if (one == SELECTORS_YES)
            return one;
        if (one == SELECTORS_UNKNOWN)
            any = one;
    }
    return any;
}
