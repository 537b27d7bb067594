/* JSON texts in jsonb's order. For query/func and query/expr. */
#ifndef FRESHET_QUERY_FUNC_JSON_H
#define FRESHET_QUERY_FUNC_JSON_H

#include "storage/base/arena.h"
#include "storage/base/bytes.h"
#include "storage/base/json.h"

#define JSON_DEPTH_MAX 1024

struct call;
struct value;

/* As jsonb's output function writes it: one blank behind ":" and ",", of equal keys the last, keys
 * by length and then bytes, numbers without exponent. In the arena. 22P02 for malformed text. */
MUST_CHECK enum err jsonb_normalize(struct slice text, struct arena *arena, struct slice *out,
                                    struct error *error);
/* 53200 where the query's memory has no room for the tree of a text. */
MUST_CHECK enum err jsonb_room(struct budget *budget, struct slice text, struct error *error);
/* The same from a tree, whose objects are put in order and rid of equal keys. */
void jsonb_sort(struct json_value *value);
void jsonb_write(const struct json_value *value, struct writer *out);
/* The tree of an argument, in order. query/func/json.c, as the next */
MUST_CHECK enum err jsonb_read(struct call *call, struct slice text, struct json_value **out);
/* What was written, as the call's type, and an end to the writer. */
MUST_CHECK enum err json_give(struct call *call, struct writer *writer, struct value *out);

#endif
