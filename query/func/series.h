/* Functions that give rows: generate_series, unnest and their like. One at a time they are pulled
 * by query/exec/series.c, so a series of 10^12 rows costs what is asked of it. */
#ifndef FRESHET_QUERY_FUNC_SERIES_H
#define FRESHET_QUERY_FUNC_SERIES_H

#include "query/expr/eval.h"
#include "storage/base/json.h"

#define SERIES_ARGUMENTS_MAX 3
#define SERIES_COLUMNS_MAX 2

struct series;

struct series_function {
    const char *name;
    uint8_t argument_min, argument_max;
    uint8_t arguments[SERIES_ARGUMENTS_MAX]; /* enum type_id */
    uint8_t column_count;
    uint8_t columns[SERIES_COLUMNS_MAX];
    const char *names[SERIES_COLUMNS_MAX]; /* NULL: the alias, or the function's */
    /* `begin` reads the arguments, none of which is NULL; `next` writes a row or says there is none
     * (*has_row is true on entry). Payloads borrow from the arguments or lie in series->row. */
    enum err (*begin)(struct series *series, struct error *error);
    enum err (*next)(struct series *series, struct value *row, bool *has_row, struct error *error);
    const char *doc, *example;
};

struct series {
    const struct series_function *function;
    const struct eval_context *context;
    size_t argument_count;
    struct value arguments[SERIES_ARGUMENTS_MAX];
    struct arena *row; /* of the batch being made */
    bool is_done;
    union {
        struct {
            int64_t next, stop, step;
        } whole;
        struct {
            struct numeric next, stop, step;
        } numeric;
        struct {
            int64_t next, stop;
            struct interval step;
            bool is_down;
        } time;
        struct {
            struct array_reader array;
            uint32_t width; /* elements of a row, where a row is an array of them */
        };
        struct json_parser json;
    };
};

/* Functions whose rows are the elements of what a plain function gives. */
struct series_over_array {
    const char *name, *array, *series;
};
extern const struct series_over_array series_over_arrays[];
extern const size_t series_over_array_count;
/* NULL if there is none of that name. */
const struct series_over_array *series_over_array_find(struct slice name);

extern const struct series_function series_functions[];
extern const size_t series_function_count;
/* The first at or after `from` of that name; NULL at the end. */
const struct series_function *series_find(struct slice name, const struct series_function *from);

#endif
