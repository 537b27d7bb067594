/* What the files that run SQL/JSON paths share. */
#ifndef FRESHET_QUERY_FUNC_JSONPATH_PRIVATE_H
#define FRESHET_QUERY_FUNC_JSONPATH_PRIVATE_H

#include "query/func/jsonpath_run.h"

#define RUN_DEPTH_MAX 20000

enum status { FOUND, MISSING, FAILED, STOPPED };
enum truth { NO, YES, UNKNOWN, ENDED };

struct run {
    const struct jsonpath_run *given;
    struct arena *arena;
    const struct json_value *current; /* @ */
    const struct json_value *array;   /* that `last` is of; a scalar is an array of itself */
    bool is_throwing, is_lenient;     /* lenient: what is not there is nothing */
    size_t steps, depth;
    size_t charged; /* of what the arena holds */
    enum err err;   /* why it STOPPED */
};

static inline bool run_is_lax(const struct run *r)
{
    return !r->given->path->is_strict;
}

static inline enum status run_stop(struct run *r, enum err err)
{
    r->err = err;
    return STOPPED;
}

static inline bool run_is_object(const struct json_value *value)
{
    return value->kind == JSON_OBJECT_BEGIN;
}

static inline bool run_is_array(const struct json_value *value)
{
    return value->kind == JSON_ARRAY_BEGIN;
}

/* An error of the value, told only if it is going to be read. */
#define FAIL(r, sqlstate, ...)                                                                     \
    ((r)->is_throwing ? (void)error_set((r)->given->call->error, ERR_INPUT, sqlstate, __VA_ARGS__) \
                      : (void)0,                                                                   \
     FAILED)

/* A node and what is behind it, on one value. takes_apart: an array where the step wants something
 * else gives its elements instead. out NULL: the first item ends it. */
enum status run_evaluate(struct run *r, struct jsonpath_node *node, const struct json_value *value,
                         bool takes_apart, struct jsonpath_result *out);
/* The same for steps only; query/func/jsonpath_step.c. */
enum status run_step(struct run *r, struct jsonpath_node *node, const struct json_value *value,
                     bool takes_apart, struct jsonpath_result *out);
/* A predicate; query/func/jsonpath_test.c. */
enum truth run_decide(struct run *r, struct jsonpath_node *node, const struct json_value *value);
/* What came out of a node, to what is behind it. */
enum status run_follow(struct run *r, const struct jsonpath_node *node,
                       const struct json_value *value, struct jsonpath_result *out);
/* One of several results: false when no more are to be asked for. */
bool run_goes_on(enum status *sum, enum status one, const struct jsonpath_result *out);
/* All values of an expression where an error is no error but an answer; in lax mode elements
 * instead of arrays, if asked for. */
enum status run_values_quietly(struct run *r, struct jsonpath_node *node,
                               const struct json_value *value, bool takes_apart,
                               struct jsonpath_result *out);
struct json_value *run_make(struct run *r, enum json_token kind, struct slice text);
const struct json_value *run_make_number(struct run *r, struct numeric number);
/* Numbers of more digits than there are here are errors of the value. */
enum status run_read_number(struct run *r, const struct json_value *value, struct numeric *out);
/* Counts a step: the query was cancelled, or is out of time or memory. */
bool run_is_out_of_time(struct run *r);

#endif
