/* Scalar functions and operators: const descriptors, one array a file, found by name. Operators are
 * functions named
 * "+", "<", "~~". A function has a row form, a vector form, or both; the vector form must give what
 * the row form gives. */
#ifndef FRESHET_QUERY_FUNC_FUNC_H
#define FRESHET_QUERY_FUNC_FUNC_H

#include "query/expr/eval.h"
#include "storage/column/column.h"

#define FUNCTION_ARGUMENTS_MAX 7

/* Argument types that stand for several. */
enum { TYPE_ANY_NONARRAY = 200, TYPE_ANY = 201 };

enum volatility { IMMUTABLE, STABLE, VOLATILE };

/* What one call sees. State lives as long as the evaluator. */
struct call {
    const struct eval_context *context;
    const struct function *function;
    struct type type;    /* of the result */
    struct arena *arena; /* for results' payloads: one batch */
    struct error *error;
    void *state; /* compiled regular expressions and the like; NULL at first */
    void (*state_free)(void *state);
};

/* One batch for a vector form, which may answer VECTOR_DECLINED: then the row form does it. Every
 * argument is FLAT or CONSTANT. Rows are selection[0 … count-1], or 0 … count-1 where it is NULL.
 * `validity` joins the arguments' (NULL: no NULLs); only valid selected rows may raise. `out` is
 * zeroed. */
#define VECTOR_DECLINED ERR_BUSY
struct vector {
    const struct column *arguments;
    size_t row_count, count;
    const uint32_t *selection;
    const uint8_t *validity;
    void *out;
};

struct function {
    const char *name;
    uint8_t argument_count;
    bool is_variadic;      /* the rest are any number of any type, each as text or as it is */
    uint8_t variadic;      /* … of this type only; 0: any */
    bool is_null_tolerant; /* not strict: called with NULLs too */
    uint8_t volatility;
    uint8_t arguments[FUNCTION_ARGUMENTS_MAX];
    uint8_t result;
    /* Cross-type comparisons: arguments are cast to this before the call; 0: as declared. */
    uint8_t evaluate_as;
    uint8_t operation; /* for forms shared by several descriptors */
    /* out->type is set and is_null false on entry. */
    enum err (*row)(struct call *call, const struct value *arguments, size_t count,
                    struct value *out);
    enum err (*vector)(struct call *call, const struct vector *vector);
    const char *doc, *example;
};

/* The declared type of an argument; the open end of a variadic takes anything. */
static inline enum type_id function_argument(const struct function *function, size_t index)
{
    int type = index < function->argument_count ? function->arguments[index]
               : function->variadic != 0        ? function->variadic
                                                : TYPE_ANY;
    return (enum type_id)type;
}

struct function_group {
    const struct function *functions;
    size_t count;
};

/* All of them, group by group: group 0, 1 … until NULL. */
const struct function_group *function_table(size_t index);
/* The next function of that name after `last` (NULL: the first), NULL at the end. */
const struct function *function_next(struct slice name, const struct function *last);
/* "integer + text", "lower(integer)": for messages. */
bool function_is_operator(const struct function *function);

/* The groups, each defined in the file of its name. */
extern const struct function_group functions_compare, functions_arith, functions_bits,
    functions_math, functions_math_numeric, functions_text, functions_misc, functions_bytea,
    functions_pattern, functions_regex, functions_time, functions_time_arith, functions_extract,
    functions_json, functions_array, functions_regex_functions, functions_format_time,
    functions_format_number, functions_format_number_parse, functions_format_parse, functions_jsonb,
    functions_array_elements, functions_quote, functions_sha, functions_width_bucket,
    functions_math_degrees, functions_math_exact, functions_bytes, functions_unicode,
    functions_time_parts, functions_jsonpath, functions_json_array, functions_catalog,
    functions_catalog_rights, functions_catalog_functions;

/* Is one value that of every row of the batch, and cheap to tell? query/func/time_bucket.c */
bool function_is_whole(struct call *call, const struct vector *vector, struct value *out);

/* The bucket [*start, *end) of the first row's time, for functions that put times into buckets:
 * arguments as of a vector form, whose values the time's are at `us`, and no other argument's.
 * False: not such a function, not its time (an origin, say), or a bucket that has no ends.
 * query/func/time_bucket.c */
bool function_bucket(const struct function *function, const struct eval_context *context,
                     const struct column *arguments, const int64_t *us, int64_t *start,
                     int64_t *end);

/* --- casts: query/func/cast.c --- */
/* May a value of type `from` become `to` in this context? */
bool cast_exists(enum type_id from, enum type_id to, int context);
/* One value, NULL passes. is_explicit: varchar(n) cuts silently. */
enum err cast_value(struct call *call, const struct value *in, bool is_explicit, struct value *out);
/* Does the conversion depend on settings (time zone), or can it be folded? */
bool cast_is_immutable(enum type_id from, enum type_id to);
/* Is the cast only a new name for the same memory form? */
bool cast_is_relabel(struct type from, struct type to, const struct timezone *zone);
/* Fast forms over FLAT or CONSTANT columns; false if there is none for this pair. */
bool cast_vector(struct call *call, struct type from, const struct vector *vector,
                 enum err *result);

/* Text of a value as its output function writes it, in the arena. */
struct slice value_to_text(const struct value *value, const struct eval_context *context,
                           struct arena *arena);

/* Inside of long loops: gives way to others, as exec_check() does; 57014 when the query was
 * cancelled or is out of time. */
MUST_CHECK enum err context_look(const struct eval_context *context, struct error *error);
/* For long loops inside of one call: 57014 when the query was cancelled or is out of time. */
MUST_CHECK enum err call_look(struct call *call);
/* A long loop inside of one call: looks every so many bytes, and charges what its writer has grown
 * to, since that is not the batch's memory and others have their turn meanwhile. Ended by
 * labour_end(), which gives the charge back. */
struct labour {
    struct call *call;
    const struct writer *writer; /* may be NULL */
    size_t done;                 /* since the last look */
    size_t charged;
};
#define LABOUR_PER_LOOK ((size_t)256 << 10)
MUST_CHECK enum err labour_look(struct labour *labour);
void labour_end(struct labour *labour);
static inline enum err labour_step(struct labour *labour, size_t bytes)
{
    labour->done += bytes;
    return labour->done < LABOUR_PER_LOOK ? OK : labour_look(labour);
}
/* An array for as long as the batch; 53200 where the query's memory has no room for it. The batch
 * is charged for it later, with all else it holds. */
MUST_CHECK enum err call_array(struct call *call, size_t count, size_t size, void **out);
/* An argument that is no array value: ERR_CORRUPT. */
enum err call_bad_array(struct call *call);
/* 22003 "integer out of range" */
enum err error_out_of_range(struct error *error, const char *what);
/* interval * number, fractions carried down. */
enum err interval_multiply(struct interval interval, double factor, struct interval *out,
                           struct error *error);
enum err interval_divide(struct interval interval, double divisor, struct interval *out,
                         struct error *error);
/* The window [*start, *end) of `size` that holds the time: whole months, or days and time, aligned
 * to 2000-01-03 00:00 on the zone's clock (months to 2000-01-01). 22023 for a size that is not
 * positive or mixes months with days. */
MUST_CHECK enum err window_find(int64_t us, struct interval size, const struct timezone *zone,
                                int64_t *start, int64_t *end, struct error *error);

/* Types, as one argument of a macro of a table of functions. */
#define LIST(...)                                                                                  \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

#endif
