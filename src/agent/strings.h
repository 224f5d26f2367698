/* strings.h: each text once, by number. */
#pragma once

#include <stdint.h>

struct err;
struct strings;

int strings_new(uint32_t max, struct strings **ret, struct err *err);
void strings_free(struct strings **strings);
void strings_clear(struct strings *strings);

/* The text's number; it is copied when it is new. -ENOSPC at max, -ENOMEM. */
int strings_add(struct strings *strings, const char *text, uint32_t *ret);

uint32_t strings_count(const struct strings *strings);

/* All texts by number, valid until the next call of add or clear. */
const char *const *strings_list(const struct strings *strings);
