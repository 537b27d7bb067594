/* INTERSECT, EXCEPT and DISTINCT ON: rows told apart by numbers for their keys (keys.c).
 *
 * The left side's rows are numbered by all their columns and counted, the right side's are looked
 * up and counted; what comes out is each number so many times:
 *
 *   INTERSECT      once if the right side has it      ALL: the lesser of both counts
 *   EXCEPT         once if it has not                 ALL: what the left side has more
 *
 * in order of first sight. The right side keeps nothing. Where the left side's rows do not fit the
 * query's memory, those that are new from then on are put aside in 32 parts by their hash, and so
 * are rows of the right side that are not known:
 *
 *   tier 0   reads the children ── known ──▶ counts
 *                               ── others, once it is frozen ──▶ parts of both sides on disk
 *            gives its rows, forgets them
 *   tier 1   reads both sides of part 0 … 31 as tier 0 read the children, by five more bits
 *
 * A row and all that are equal to it are in one tier: in the one that knew it first, or in one
 * part. DISTINCT ON hands on the rows that make a new number as they come, so it needs no order
 * below beyond the one that says which row is first. */
#include "query/exec/keys.h"
#include "query/exec/spill.h"

#include "storage/base/fault.h"

#include <assert.h>
#include <string.h>

/* --- INTERSECT, EXCEPT --- */

enum set_side { SET_LEFT, SET_RIGHT, SET_SIDES };

struct set_counts {
    uint64_t of[SET_SIDES];
};

/* The rows of the children, or of a part of them. */
struct set_tier {
    struct exec_memory memory;
    struct tuple_table rows;
    struct set_counts *counts; /* by number */
    size_t counts_capacity, known;
    struct spill_stream *sources[SET_SIDES]; /* NULL: the children */
    struct spill_stream *parts[SET_SIDES];   /* frozen: SPILL_PARTS of each; NULL: it is not */
    size_t used_before;                      /* of the query's memory */
    bool is_built;
    uint32_t next;  /* number to be given */
    uint64_t given; /* of it */
    unsigned next_part;
};

struct set {
    struct type *types;
    struct set_tier tiers[SPILL_DEPTH_MAX];
    size_t tier_count;
};

static struct set_tier *last_tier(struct set *set)
{
    return &set->tiers[set->tier_count - 1];
}

static void open_tier(struct exec_node *node, struct spill_stream *left, struct spill_stream *right)
{
    struct set *set = node->state;
    struct budget *budget = node->exec->budget;
    assert(set->tier_count < SPILL_DEPTH_MAX);
    struct set_tier *tier = &set->tiers[set->tier_count++];
    *tier = (struct set_tier){.sources = {left, right}};
    tier->used_before = atomic_load_explicit(&budget->used, memory_order_relaxed);
    exec_memory_init(&tier->memory, budget);
    tuple_table_init(&tier->rows, set->types, node->plan->column_count, &tier->memory);
}

/* Rows and counts; parts stay. */
static void forget_rows(struct set_tier *tier)
{
    if (tier->memory.budget == NULL)
        return;
    tuple_table_deinit(&tier->rows);
    exec_memory_release(&tier->memory, tier->counts, tier->counts_capacity * sizeof(*tier->counts));
    exec_memory_deinit(&tier->memory);
    tier->memory.budget = NULL;
}

static void drop_tier(struct set *set)
{
    struct set_tier *tier = &set->tiers[--set->tier_count];
    forget_rows(tier);
    for (int side = 0; side < SET_SIDES; side++) {
        for (size_t i = 0; tier->parts[side] != NULL && i < SPILL_PARTS; i++)
            spill_stream_deinit(&tier->parts[side][i]);
        memory_free(tier->parts[side]);
    }
}

static enum err set_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct set *set = node->state;
    const struct plan *plan = node->plan;
    set->types = arena_alloc_array(&node->exec->arena, plan->column_count, sizeof(*set->types));
    for (size_t index = 0; index < plan->column_count; index++)
        set->types[index] = plan->columns[index].type;
    open_tier(node, NULL, NULL);
    return OK;
}

/* --- rows in --- */

/* Before so many rows of the left side: freezes the tier where that is due. */
static void check_room(struct exec_node *node, struct set_tier *tier, size_t row_count)
{
    const struct set *set = node->state;
    size_t used = atomic_load_explicit(&node->exec->budget->used, memory_order_relaxed);
    size_t own = used > tier->used_before ? used - tier->used_before : 0;
    size_t need = tuple_table_growth(&tier->rows, row_count) + exec_memory_step(&tier->memory) +
                  exec_memory_growth(tier->counts_capacity, tier->rows.count + row_count,
                                     sizeof(*tier->counts));
    bool is_last = set->tier_count == SPILL_DEPTH_MAX;
    if (tier->parts[SET_LEFT] != NULL || is_last || tier->rows.count == 0 ||
        !spill_is_due(node->exec, own, need))
        return;
    for (int side = 0; side < SET_SIDES; side++) {
        tier->parts[side] = memory_alloc_zero(SPILL_PARTS * sizeof(*tier->parts[side]));
        for (size_t i = 0; i < SPILL_PARTS; i++)
            spill_stream_init(&tier->parts[side][i], node, set->types, node->plan->column_count);
    }
}

static enum err put_aside(struct exec_node *node, struct set_tier *tier, enum set_side side,
                          const struct batch *in, const uint32_t *selection, size_t count,
                          struct error *error)
{
    const struct set *set = node->state;
    uint64_t hashes[VECTOR_ROWS_MAX];
    struct spill_stream *streams[SPILL_PARTS];
    for (size_t part = 0; part < SPILL_PARTS; part++)
        streams[part] = &tier->parts[side][part];
    tuple_hashes(in->columns, node->plan->column_count, selection, count, hashes);
    return spill_write_parts(streams, set->tier_count - 1, in, selection, count, hashes, error);
}

static enum err count_rows(struct exec_node *node, const struct batch *in, enum set_side side,
                           struct error *error)
{
    struct set_tier *tier = last_tier(node->state);
    uint32_t ids[VECTOR_ROWS_MAX], others[VECTOR_ROWS_MAX];
    size_t other_count = 0;
    if (side == SET_LEFT)
        check_room(node, tier, in->row_count);
    bool is_frozen = tier->parts[side] != NULL, is_insert = side == SET_LEFT && !is_frozen;
    enum err err =
        tuple_table_ids(&tier->rows, in->columns, NULL, in->row_count, is_insert, ids, error);
    if (err == OK)
        err = exec_memory_grow(&tier->memory, (void **)&tier->counts, &tier->counts_capacity,
                               tier->rows.count, sizeof(*tier->counts), error);
    if (err != OK)
        return err;
    for (; tier->known < tier->rows.count; tier->known++)
        tier->counts[tier->known] = (struct set_counts){0};
    for (uint32_t row = 0; row < in->row_count; row++) {
        if (ids[row] != KEY_NONE)
            tier->counts[ids[row]].of[side]++;
        else
            others[other_count++] = row;
    }
    if (!is_frozen || other_count == 0 ||
        (side == SET_RIGHT && fault_is("setop.right_not_put_aside")))
        return OK;
    return put_aside(node, tier, side, in, others, other_count, error);
}

static enum err count_left(struct exec_node *node, const struct batch *in, struct error *error)
{
    return count_rows(node, in, SET_LEFT, error);
}

static enum err count_right(struct exec_node *node, const struct batch *in, struct error *error)
{
    return count_rows(node, in, SET_RIGHT, error);
}

static enum err read_part(struct exec_node *node, struct spill_stream *source, enum set_side side,
                          struct error *error)
{
    for (;;) {
        struct batch in;
        enum err err = spill_stream_read(source, VECTOR_ROWS_MAX, true, &in, error);
        if (err == OK && in.row_count == 0) {
            spill_stream_deinit(source); /* its memory is for the rows */
            return OK;
        }
        if (err == OK)
            err = count_rows(node, &in, side, error);
        if (err != OK)
            return err;
    }
}

/* What is in hand of a side's parts goes to the file, and its memory is the other side's. */
static enum err end_side(struct set_tier *tier, enum set_side side, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; err == OK && tier->parts[side] != NULL && i < SPILL_PARTS; i++)
        err = spill_stream_end(&tier->parts[side][i], error);
    return err;
}

/* The right side is not asked for anything where the left one has no rows. */
static enum err build_tier(struct exec_node *node, struct error *error)
{
    struct set_tier *tier = last_tier(node->state);
    bool is_part = tier->sources[SET_LEFT] != NULL;
    enum err err = is_part ? read_part(node, tier->sources[SET_LEFT], SET_LEFT, error)
                           : exec_each(node, 0, count_left, error);
    if (err == OK)
        err = end_side(tier, SET_LEFT, error);
    if (err == OK && is_part)
        err = read_part(node, tier->sources[SET_RIGHT], SET_RIGHT, error);
    else if (err == OK && tier->rows.count > 0)
        err = exec_each(node, 1, count_right, error);
    if (err == OK)
        err = end_side(tier, SET_RIGHT, error);
    tier->is_built = true;
    return err;
}

/* The next part of the last tier becomes one of its own; without any the tier goes. */
static void next_part(struct exec_node *node)
{
    struct set *set = node->state;
    struct set_tier *tier = last_tier(set);
    forget_rows(tier);
    while (tier->parts[SET_LEFT] != NULL && tier->next_part < SPILL_PARTS) {
        unsigned part = tier->next_part++;
        struct spill_stream *left = &tier->parts[SET_LEFT][part];
        struct spill_stream *right = &tier->parts[SET_RIGHT][part];
        if (left->row_count != 0) {
            open_tier(node, left, right);
            return;
        }
        spill_stream_deinit(right);
    }
    drop_tier(set);
}

/* --- rows out --- */

static uint64_t copies(const struct plan *plan, struct set_counts counts)
{
    uint64_t left = counts.of[SET_LEFT], right = counts.of[SET_RIGHT];
    if (!plan->set.is_all)
        return (right > 0) != plan->set.is_except;
    if (plan->set.is_except)
        return left <= right ? 0 : fault_is("setop.except_all") ? left : left - right;
    return left < right ? left : right;
}

/* Up to a batch of the tier's rows; none: all were given. */
static void give_rows(struct exec_node *node, struct set_tier *tier, struct batch *out)
{
    const struct plan *plan = node->plan;
    arena_reset(&node->scratch);
    struct column *columns =
        arena_alloc_array(&node->scratch, plan->column_count + 1, sizeof(*columns));
    uint32_t *selection = arena_alloc_array(&node->scratch, VECTOR_ROWS_MAX, sizeof(*selection));
    size_t count = 0;
    uint32_t first = tier->next;
    while (tier->next < tier->rows.count && count < VECTOR_ROWS_MAX) {
        if (count == 0)
            first = tier->next;
        if (tier->next - first >= VECTOR_ROWS_MAX)
            break;
        uint64_t left = copies(plan, tier->counts[tier->next]) - tier->given;
        for (; left > 0 && count < VECTOR_ROWS_MAX; left--, tier->given++)
            selection[count++] = tier->next - first;
        if (left > 0)
            break;
        tier->next++;
        tier->given = 0;
    }
    *out = (struct batch){.column_count = plan->column_count, .columns = columns};
    if (count == 0)
        return;
    tuple_table_keys(&tier->rows, first, selection[count - 1] + (size_t)1, &node->scratch, columns);
    for (size_t index = 0; index < plan->column_count; index++)
        columns[index] = column_gather(&columns[index], selection, count, &node->scratch);
    out->row_count = count;
}

static enum err set_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct set *set = node->state;
    while (set->tier_count > 0) {
        struct set_tier *tier = last_tier(set);
        enum err err = OK;
        if (tier->memory.budget == NULL) { /* all it knew was given */
            next_part(node);
            continue;
        }
        if (!tier->is_built)
            err = build_tier(node, error);
        if (err == OK)
            err = exec_check(node->exec, error);
        if (err != OK)
            return err;
        give_rows(node, tier, out);
        if (out->row_count != 0)
            return OK;
        next_part(node);
    }
    *out = (struct batch){.column_count = node->plan->column_count};
    return OK;
}

static void set_close(struct exec_node *node)
{
    struct set *set = node->state;
    while (set->tier_count > 0)
        drop_tier(set);
}

const struct exec_operator exec_set_operator = {
    .name = "set",
    .state_size = sizeof(struct set),
    .open = set_open,
    .next = set_next,
    .close = set_close,
};

/* --- DISTINCT ON --- */

struct first {
    struct exec_memory memory;
    struct tuple_table keys;
    struct evaluator **exprs;
};

static enum err first_open(struct exec_node *node, struct error *error)
{
    (void)error;
    struct first *first = node->state;
    const struct plan *plan = node->plan;
    exec_memory_init(&first->memory, node->exec->budget);
    first->exprs = exec_evaluators(node->exec, plan->first.keys, plan->first.key_count);
    struct type *types =
        arena_alloc_array(&node->exec->arena, plan->first.key_count, sizeof(*types));
    for (size_t index = 0; index < plan->first.key_count; index++)
        types[index] = plan->first.keys[index]->type;
    tuple_table_init(&first->keys, types, plan->first.key_count, &first->memory);
    return OK;
}

static enum err first_next(struct exec_node *node, struct batch *out, struct error *error)
{
    struct first *first = node->state;
    const struct plan *plan = node->plan;
    for (;;) {
        struct batch in;
        enum err err = exec_next(node->children[0], &in, error);
        if (err != OK || in.row_count == 0)
            return err;
        node->exec->actual[plan->id].rows_in += in.row_count;
        arena_reset(&node->scratch);
        struct column *keys =
            arena_alloc_array(&node->scratch, plan->first.key_count, sizeof(*keys));
        uint32_t ids[VECTOR_ROWS_MAX];
        err = exec_evaluate(first->exprs, plan->first.key_count, &in, keys, error);
        uint32_t next = first->keys.count;
        if (err == OK)
            err = tuple_table_ids(&first->keys, keys, NULL, in.row_count, true, ids, error);
        if (err == OK)
            err = exec_check(node->exec, error);
        if (err != OK)
            return err;
        uint32_t *selection = arena_alloc_array(&node->scratch, in.row_count, sizeof(*selection));
        size_t count = 0;
        for (uint32_t row = 0; row < in.row_count; row++) {
            if (ids[row] != next)
                continue;
            selection[count++] = row;
            next++;
        }
        if (count == 0)
            continue;
        struct column *columns =
            arena_alloc_array(&node->scratch, in.column_count + 1, sizeof(*columns));
        for (size_t index = 0; index < in.column_count; index++)
            columns[index] = column_gather(&in.columns[index], selection, count, &node->scratch);
        *out =
            (struct batch){.row_count = count, .column_count = in.column_count, .columns = columns};
        return OK;
    }
}

static void first_close(struct exec_node *node)
{
    struct first *first = node->state;
    if (first->memory.budget == NULL)
        return;
    exec_evaluators_destroy(first->exprs, node->plan->first.key_count);
    tuple_table_deinit(&first->keys);
    exec_memory_deinit(&first->memory);
}

const struct exec_operator exec_first_operator = {
    .name = "first",
    .state_size = sizeof(struct first),
    .open = first_open,
    .next = first_next,
    .close = first_close,
};
