/* static.h: the page's files. */
#pragma once

struct reply;
struct request;

/* Answers a GET or HEAD with the regular file at the request's path below `dir`, index.html for a
 * path that ends in a slash; 304 when the reader has it; 404 for anything else, and for whatever a
 * path or a symbolic link leads to outside of `dir`. */
void static_answer(const char *dir, const struct request *request, struct reply *reply);
