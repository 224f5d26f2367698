/* flame_json.h: a flame as the Flame object of openapi.json. */
#pragma once

struct flame;
struct query;
struct stream;

/* On success the stream owns the flame and the query, and both are left empty. -ENOMEM. */
int flame_json_open(struct flame **flame, struct query *query, struct stream **ret);
