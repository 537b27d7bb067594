/* Rollups: groups made of segments ahead of queries, and queries answered by them.
 *
 *   rollup       a view's GROUP over one table, bound; which segments it covers
 *   shelf        parts of all rollups that are in memory; the others lie in side files
 *   rollup_use   a query's GROUP said by the keys and states of a rollup */
#ifndef FRESHET_QUERY_EXEC_ROLLUP_H
#define FRESHET_QUERY_EXEC_ROLLUP_H

#include "query/exec/partial.h"
#include "query/plan/rollup.h"
#include "storage/base/thread.h"

/* --- rollup.c --- */

/* Any thread. */
struct rollup_shelf {
    struct store *store;
    struct mutex mutex; /* of all covers too */
    size_t used, limit;
    uint64_t clock; /* moves with each use */
    uint64_t loads, evictions;
};

/* What was made of one sealed segment. */
struct rollup_cover {
    uint64_t segment;
    uint64_t rows, groups; /* that its parts have */
    size_t file_size, size;
    uint32_t portion_count;
    struct partial **parts; /* by portion, NULL: none was made of it; all NULL: not in memory */
    uint64_t used_at;
    bool is_failed; /* nothing was made, and will not be until the next start */
};

/* A function of time that gives the start of the bucket [start, end) it falls in, or the epoch
 * divided. */
struct rollup_bucket {
    int64_t width_us;                /* of the epoch's bucket; 0: a function */
    const struct function *function; /* NULL: none */
    struct column arguments[3];
    size_t time; /* which of them */
};

struct rollup {
    _Atomic uint32_t references;
    struct rollup_shelf *shelf;
    uint32_t view_id;
    struct slice name;
    const struct timezone *zone;
    struct statement *statement; /* owns all below */
    struct plan *group;
    struct rollup_form form;
    size_t *offsets, stride; /* of the states of its calls, as a GROUP lays them out */
    int32_t time_key;        /* the key that is a bucket of event time, -1: none */
    struct rollup_bucket bucket;
    uint64_t mark; /* of all that its parts depend on beside the rows */
    /* By segment, rising; under the shelf's mutex. */
    struct rollup_cover *covers;
    size_t cover_count, cover_capacity;
};

struct rollup_set {
    _Atomic uint32_t references;
    uint64_t view_version; /* as of which it was made */
    size_t count;
    struct rollup **list;
};

void rollup_shelf_init(struct rollup_shelf *shelf, struct store *store, size_t limit);
void rollup_shelf_deinit(struct rollup_shelf *shelf);
/* Of a statement that reads the view and nothing else; takes over the reference. NULL: it cannot be
 * one, the reference is dropped. */
struct view_definition;
struct rollup *rollup_create(struct rollup_shelf *shelf, const struct view_definition *view,
                             const struct timezone *zone, struct statement *statement);
void rollup_unref(struct rollup *rollup); /* NULL is nothing */
struct rollup_set *rollup_set_ref(struct rollup_set *set);
void rollup_set_unref(struct rollup_set *set); /* NULL is nothing */
bool rollup_covers(struct rollup *rollup, uint64_t segment);
/* What was made of a portion, from memory or its file; one reference, or NULL. */
struct partial *rollup_find_part(struct rollup *rollup, struct morsel_home home);
/* Takes over the references. */
void rollup_add_cover(struct rollup *rollup, const struct rollup_cover *cover);
/* Those whose segment is not in the list, which rises: were there any? */
bool rollup_drop_others(struct rollup *rollup, const uint64_t *segments, size_t count);
#define ROLLUP_NAME_SIZE 40
void rollup_file_name(uint32_t view_id, uint64_t segment, char *out);
/* False: not a rollup's. */
bool rollup_parse_name(const char *name, uint32_t *view_id, uint64_t *segment);

/* --- rollup_file.c --- */

void rollup_write(const struct rollup *rollup, const struct rollup_cover *cover,
                  struct writer *out);
/* ERR_CORRUPT also where it is of another definition. */
MUST_CHECK enum err rollup_read(const struct rollup *rollup, uint64_t segment, struct slice bytes,
                                struct rollup_cover *out, struct error *error);
void rollup_cover_drop_parts(struct rollup_cover *cover);

/* --- rollup_build.c --- */

/* Groups a sealed segment of the view, portion by portion; it may be that none is made. The exec is
 * of the rollup's statement, over a snapshot that has the segment. */
MUST_CHECK enum err rollup_build(struct exec *exec, struct rollup *rollup, uint64_t segment,
                                 struct rollup_cover *out, struct error *error);

/* --- rollup_match.c, rollup_run.c --- */

struct rollup_bound { /* event time >= us, or < us */
    bool is_from, has_bucket;
    int64_t us, begin, end; /* the rollup's bucket that holds us; !has_bucket: none is known */
};

struct rollup_use {
    struct rollup *rollup; /* of the set that the exec holds */
    struct exec *exec;
    size_t key_count, call_count, coarse_count, bound_count;
    struct expr **keys; /* over the rollup's keys */
    struct expr *condition;
    struct rollup_use_call {
        size_t offset; /* of its state among the rollup's */
        struct expr *filter;
    } * calls;
    struct rollup_bucket *coarse; /* buckets that the rollup's must lie in, each */
    struct rollup_bound bounds[PARTIAL_BOUNDS_MAX];
    /* Run, not described. */
    struct evaluator **key_evaluators, *filter, **call_filters;
};

/* The first of the exec's rollups that answers the group; NULL: none does. In the exec's arena. */
struct rollup_use *rollup_match(struct exec *exec, const struct plan *group);
/* For EXPLAIN: notes in exec->actual which GROUPs of the plan a rollup would answer, and how many
 * segments it covers. */
void rollup_describe(struct exec *exec, const struct plan *plan);
/* The name that the asker is told. */
struct slice rollup_shown_name(const struct exec *exec, const struct rollup *rollup);
void rollup_use_open(struct rollup_use *use);
void rollup_use_close(struct rollup_use *use); /* NULL is nothing */
/* What answers a portion: one reference. NULL: its rows do. */
struct partial *rollup_find(struct rollup_use *use, const struct table_view *view,
                            const struct portion *portion);
/* Adds what is asked of it to the group's first tier. */
MUST_CHECK enum err rollup_combine(struct exec_node *group, struct rollup_use *use,
                                   const struct partial *part, struct error *error);
/* The bucket that holds a time; false: none with ends. */
bool rollup_bucket_find(const struct rollup_bucket *bucket, const struct eval_context *context,
                        int64_t us, int64_t *start, int64_t *end);
/* Of a call over columns of which `time` is the event time's; in the arena. */
bool rollup_bucket_make(const struct expr *call, uint32_t time, struct arena *arena,
                        struct rollup_bucket *out);
/* Of floor(extract(epoch FROM time) / n), times a factor or not: a number of each bucket, the same
 * for all of its times. *argument: where `time` stands in it. */
bool rollup_bucket_make_epoch(const struct expr *expr, uint32_t time, struct rollup_bucket *out,
                              struct expr ***argument);

#endif
