/* Aggregates: states in arrays, updated a batch at a time. */
#ifndef FRESHET_QUERY_FUNC_AGGREGATE_H
#define FRESHET_QUERY_FUNC_AGGREGATE_H

#include "query/expr/expr.h"
#include "storage/column/column.h"
#include "storage/segment/filter.h"

#define AGGREGATE_DIRECT_MAX EXPR_DIRECT_MAX
#define AGGREGATE_ARGUMENTS_MAX 64 /* of a row, with keys of ORDER BY */

/* Where states that grow (percentile_cont, text min/max) take memory: the group operator's arena
 * and budget. */
struct aggregate_memory {
    struct arena *arena;
    struct budget *budget;
    const struct timezone *zone; /* session: for times that become text; NULL: UTC */
};

/* Types that stand for several. AGGREGATE_ARRAY: the array of the argument's. */
enum { AGGREGATE_NONE = 250, AGGREGATE_ANY = 251, AGGREGATE_SAME = 252, AGGREGATE_ARRAY = 253 };

/* What of rows is enough for an aggregate that need not see each. */
enum aggregate_need {
    NEED_VALUES, /* it must */
    NEED_ROWS,   /* scan_extent's row_count */
    NEED_NULLS,
    NEED_RANGE,
    NEED_SUM
};

struct aggregate {
    const char *name;
    const char *doc, *example;
    uint8_t direct[AGGREGATE_DIRECT_MAX]; /* types of the constants that come first in the call, 0
                                             ends: not update's, finish has them in call->direct */
    uint8_t argument; /* then update's first: enum type_id; AGGREGATE_NONE, AGGREGATE_ANY */
    uint8_t more[3];  /* and the others, 0 ends */
    uint8_t result;   /* enum type_id; AGGREGATE_SAME: as the argument; AGGREGATE_ARRAY: of those */
    bool is_variadic; /* any number of its last argument, at least one */
    bool is_ordered_set;  /* percentile_cont: the argument stands in WITHIN GROUP, and is update's
                             only one */
    bool is_hypothetical; /* rank and its like: update's arguments are directions (a or d and f or l
                             for each key, in one text), the keys, and as many values */
    bool is_order_sensitive; /* the result depends on the order rows come in: ORDER BY in the call
                                is carried out; otherwise it is read and left */
    size_t state_size;       /* bytes: 8, or a multiple of 16 and aligned so */
    void (*init)(void *state);
    /* Adds rows: state of row i is states + group[i] * stride (row numbers i from `selection`,
     * NULL: 0 … count-1). `arguments` are FLAT, CONSTANT or DICTIONARY; NULLs are the aggregate's
     * matter (most skip them). Sums of doubles are compensated (Neumaier). group may be NULL: all
     * rows go to the one state (the fast path for totals). Where is_variadic, a column of
     * TYPE_UNKNOWN stands behind the last argument. */
    enum err (*update)(char *states, size_t stride, const uint32_t *group,
                       const uint32_t *selection, size_t count, const struct column *arguments,
                       struct aggregate_memory *memory, struct error *error);
    /* Takes rows 0 … count - 1 away again that were added before, exactly, whatever lies between;
     * NULL: cannot. For frames that slide. */
    void (*remove)(void *state, size_t count, const struct column *arguments);
    /* Other than NEED_VALUES: adds rows by what is known of their argument (a column of the
     * argument's type), for the same result as with update. */
    enum aggregate_need need;
    enum err (*take)(void *state, const struct scan_extent *extent, struct aggregate_memory *memory,
                     struct error *error);
    /* target += source, in segment order; for partial aggregates. */
    enum err (*combine)(void *target, const void *source, struct aggregate_memory *memory,
                        struct error *error);
    /* The same for states that grow, where what the source points to lasts as long as the target:
     * nothing is copied, and the source is empty afterwards; the result is that of the rows in any
     * order. NULL: there is only combine. */
    void (*adopt)(void *target, void *source);
    /* 22003 and the like; payloads in memory->arena. call gives type and direct arguments. The
     * state may take more rows afterwards (windows); the result holds until then. */
    enum err (*finish)(const void *state, const struct aggregate_call *call,
                       struct aggregate_memory *memory, struct value *out, struct error *error);
};

struct aggregate_group {
    const struct aggregate *aggregates;
    size_t count;
};
/* All of them: group 0, 1 … until NULL. */
const struct aggregate_group *aggregate_table(size_t index);
/* The next aggregate of that name after `last` (NULL: the first), NULL at the end. */
const struct aggregate *aggregate_next(struct slice name, const struct aggregate *last);

bool aggregate_is_of(const struct aggregate *aggregate, const struct aggregate_group *group);

extern const struct aggregate_group aggregates_sum, aggregates_bool, aggregates_extreme,
    aggregates_spread, aggregates_list, aggregates_pair, aggregates_rank, aggregates_one,
    aggregates_count, aggregates_distinct, aggregates_percentile, aggregates_event,
    aggregates_place;

/* A state of aggregates_sum or aggregates_bool as bytes, state_size of them, little-endian. What is
 * read can be combined and finished; false: it ends early, or no sum has such a state. */
void aggregate_sum_write(const struct aggregate *aggregate, const void *state, struct writer *out);
bool aggregate_sum_read(const struct aggregate *aggregate, struct reader *in, void *state);

/* What finish gives for `count` states that lie `stride` bytes apart, where the result is int8:
 * into out, and validity (1, or 0 for NULL), *has_null. False: it is another aggregate, or some
 * state's finish fails, and nothing of these is to be used. */
bool aggregate_sum_ints(const struct aggregate_call *call, const char *states, size_t stride,
                        size_t count, int64_t *out, uint8_t *validity, bool *has_null);

/* As combine, for `count` states: source i, `stride` bytes apart, into target ids[i]. False: it is
 * not for this aggregate, and nothing was done. */
bool aggregate_sum_combine(const struct aggregate *aggregate, char *targets, const uint32_t *ids,
                           const char *sources, size_t stride, size_t count);

/* Heads of the functions above, for files with many of them. */
#define AGGREGATE_UPDATE(name)                                                                     \
    enum err name(char *states, size_t stride, const uint32_t *group, const uint32_t *selection,   \
                  size_t count, const struct column *arguments, struct aggregate_memory *memory,   \
                  struct error *error)
#define AGGREGATE_COMBINE(name)                                                                    \
    enum err name(void *target, const void *source, struct aggregate_memory *memory,               \
                  struct error *error)
#define AGGREGATE_FINISH(name)                                                                     \
    enum err name(const void *state, const struct aggregate_call *call,                            \
                  struct aggregate_memory *memory, struct value *out, struct error *error)
#define AGGREGATE_STATE_SIZE(type) ((sizeof(struct type) + 15) / 16 * 16)

/* The state of one row. */
static inline void *aggregate_state(char *states, size_t stride, const uint32_t *group, size_t row)
{
    return group != NULL ? states + (size_t)group[row] * stride : states;
}

#endif
