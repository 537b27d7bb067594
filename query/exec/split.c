/* Very many groups by two threads: each reads all rows, and groups those of its half of a key's
 * values.
 *
 *   rows ─▶ query's thread: values whose hash is even ─▶ first tier  ─┐
 *        └▶ helper:         … and odd                 ─▶ second tier ─┴▶ by first row ─▶ groups
 *
 * A group is of one thread alone, which meets its rows in their order. So there is nothing to be
 * added up, any aggregate will do, and each state is, to the last bit, the one that one thread
 * would have made: sums of doubles, sketches, lists, what DISTINCT has seen. What it costs is that
 * rows are read twice, and that those of a half are picked; threads that each group what they read
 * (span.c) do not pay that, but for the groups that both have met, one by one. So this is for
 * many groups to the rows, or aggregates that are not added up, and it is known which these are
 * once the plan has run (group_sizes.c).
 *
 * With each group goes where its first row is. Numbers are given in that order within a half, so
 * the groups come out merged by it: as one thread would have met them.
 *
 * The helper (crew.c) comes if there is a permit to spare, and may go after any morsel. What it has
 * not read of its half the query's thread reads when it is through with its own, unless another
 * helper has come. Rows are never put aside here: where memory gets short, or a helper fails, all
 * of it is forgotten and one thread begins anew, which puts aside, or meets the error. */
#include "query/exec/split.h"

#include "query/exec/partial.h"
#include "query/exec/span.h"
#include "query/exec/tally.h"
#include "query/kernel/kernel.h"

#include "storage/base/fault.h"
#include "storage/base/hash.h"

#include <assert.h>
#include <string.h>

/* Rows that two threads are worth it for, and how many of them a group has at most: with more, what
 * both have met is soon added up. */
#define SPLIT_ROWS_MIN ((uint64_t)200 << 10)
#define ROWS_PER_GROUP 16
/* States, and tables of keys, past what the second cache holds by far: below that a row of light
 * aggregates costs little more than to be picked. */
#define FAR_BYTES ((uint64_t)16 << 20)
#define KEY_BYTES 4
/* What tables take of a group, and of a pair, at least. */
#define GROUP_BYTES 24
#define PAIR_BYTES 8
/* Integers this close together are of one half, as are their places in an array (keys.c): a line of
 * the cache has sixteen. */
#define NEIGHBOUR_BITS 4

/* --- which plans --- */

static bool is_call_for(const struct aggregate_call *call)
{
    return call->order_count == 0 && partial_call_is_steady(call);
}

bool split_is_chain(const struct plan *group)
{
    size_t length = 0;
    const struct plan *plan = group->children[0];
    for (; plan->kind == PLAN_FILTER || plan->kind == PLAN_PROJECT; plan = plan->children[0])
        length++;
    return plan->kind == PLAN_SCAN && length < PARTIAL_CHAIN_MAX;
}

/* The key of most values that is a column of integers or texts; false: there is none. */
static bool find_column(const struct exec_node *node, struct split *split)
{
    const struct group *group = node->state;
    const struct tuple_table *keys = &group->tiers[0].keys;
    uint32_t most = 0;
    for (size_t i = 0; i < keys->column_count; i++) {
        const struct expr *key = node->plan->group.keys[i];
        enum physical physical = type_physical(key->type.id);
        if (key->kind != EXPR_COLUMN || keys->columns[i].expected <= most ||
            (physical != PHYSICAL_INT && physical != PHYSICAL_TEXT))
            continue;
        most = split->value_count = keys->columns[i].expected;
        split->column = key->column;
        split->physical = physical;
    }
    return most != 0;
}

/* A few words that a row is added to. */
static bool is_light(const struct aggregate_call *call)
{
    return !call->is_distinct && (aggregate_is_of(call->aggregate, &aggregates_sum) ||
                                  aggregate_is_of(call->aggregate, &aggregates_bool) ||
                                  aggregate_is_of(call->aggregate, &aggregates_extreme));
}

/* Counts of different values, about: what a row costs is soon paid twice where its half is told by
 * a text's bytes, once a dictionary. 4 M rows of users by 50,000 pages took 200 ms of CPU for 90.
 */
static bool is_sketch(const struct aggregate_call *call)
{
    return !call->is_distinct && aggregate_is_of(call->aggregate, &aggregates_distinct);
}

/* Do so many groups, and pairs of DISTINCT, about fit where rows are not put aside yet? */
static bool has_room(const struct exec_node *node, uint64_t groups, uint64_t weight)
{
    const struct group *group = node->state;
    uint64_t bytes = groups * (group->stride + GROUP_BYTES) + (weight - groups) * PAIR_BYTES;
    return bytes < SIZE_MAX / 2 && !span_is_short(node, (size_t)bytes);
}

/* Are many groups to be expected, or such as several threads cannot make in any other way, and more
 * to be done for a row than to read it twice and to pick it? */
static bool pays(const struct split *split, uint64_t rows)
{
    const struct exec_node *node = split->node;
    const struct group *group = node->state;
    const struct group_tier *tier = &group->tiers[0];
    uint64_t groups = tuple_table_expected(&tier->keys), weight = groups;
    bool is_added_up = span_is_for(node->plan), is_heavy = false, is_heavier = false;
    for (size_t i = 0; i < group->call_count; i++) {
        const struct aggregate_call *call = group->calls[i].call;
        if (is_added_up && call->aggregate->adopt != NULL)
            return false; /* results are shared among threads, too */
        is_heavy = is_heavy || !is_light(call);
        is_heavier = is_heavier || !(is_light(call) || is_sketch(call));
        weight += call->is_distinct ? tier->own[i].distinct.others_expected : 0;
    }
    /* Codes of dictionaries are looked up by both. */
    bool is_coded = split->physical == PHYSICAL_TEXT && split->value_count <= rows / ROWS_PER_GROUP;
    return rows >= SPLIT_ROWS_MIN && groups != 0 && (is_heavier || !is_coded) &&
           has_room(node, groups, weight) &&
           (is_heavy || groups * (group->stride + KEY_BYTES) > FAR_BYTES) &&
           (!is_added_up || weight > rows / ROWS_PER_GROUP);
}

/* Rows that a tally takes together are added up together. */
static bool is_tallied_double(const struct group *group, const struct group_call *call)
{
    return group->tally != NULL && call->is_tallied && call->call->argument_count != 0 &&
           type_physical(call->call->arguments[0]->type.id) == PHYSICAL_FLOAT;
}

static bool is_for(const struct exec_node *node)
{
    const struct group *group = node->state;
    bool is = node->plan->group.key_count != 0 && partial_rows_are_steady(node->plan) &&
              split_is_chain(node->plan);
    for (size_t i = 0; is && i < group->call_count; i++)
        is = is_call_for(group->calls[i].call) && !is_tallied_double(group, &group->calls[i]);
    return is;
}

/* --- rows of a half --- */

/* Not by the bits that tables by hash go by. */
static inline unsigned half_of_int(int64_t value)
{
    uint64_t word = (uint64_t)value >> NEIGHBOUR_BITS;
    return (unsigned)(((word ^ word >> 29) * 0xD6E8FEB86659FD93ULL) >> 63);
}

static inline unsigned half_of_text(struct slice text)
{
    return (unsigned)(hash_mix(hash64(text.data, text.size)) & 1);
}

/* Of codes that rows have, once each. */
static enum err know_codes(struct half *half, const struct column *column, size_t count,
                           struct error *error)
{
    enum err err = exec_memory_grow(&half->memory, (void **)&half->halves, &half->halves_capacity,
                                    column->dictionary_count, sizeof(*half->halves), error);
    if (err != OK)
        return err;
    if (column->dictionary_id == 0 || half->dictionary_id != column->dictionary_id)
        half->code_count = 0;
    half->dictionary_id = column->dictionary_id;
    if (half->code_count < column->dictionary_count) {
        memset(half->halves + half->code_count, 0, column->dictionary_count - half->code_count);
        half->code_count = column->dictionary_count;
    }
    for (size_t row = 0; row < count; row++) {
        uint32_t code = column->codes[row];
        bool is_null = column->validity != NULL && column->validity[row] == 0;
        if (!is_null && half->halves[code] == 0)
            half->halves[code] = (uint8_t)(half_of_text(column->dictionary[code]) + 1);
    }
    return OK;
}

/* NULL is of the first half. */
static unsigned half_of(const struct half *half, const struct column *column,
                        enum physical physical, size_t row)
{
    if (column_is_null(column, row))
        return 0;
    if (column->form == COLUMN_DICTIONARY)
        return half->halves[column->codes[row]] - 1U;
    size_t index = column_index(column, row);
    return physical == PHYSICAL_INT ? half_of_int(column->i[index])
                                    : half_of_text(column->text[index]);
}

/* Into `rows` those of the batch that are of the half `which`. */
static enum err pick_rows(struct split *split, unsigned which, const struct batch *in,
                          uint32_t *rows, size_t *count, struct error *error)
{
    struct half *half = &split->halves[which];
    const struct column *column = &in->columns[split->column];
    uint8_t mask[VECTOR_ROWS_MAX];
    *count = 0;
    if (column->form == COLUMN_DICTIONARY) {
        enum err err = know_codes(half, column, in->row_count, error);
        if (err != OK)
            return err;
    }
    if (column->form == COLUMN_FLAT && column->validity == NULL &&
        split->physical == PHYSICAL_INT) {
        const int64_t *values = column->i;
        for (size_t row = 0; row < in->row_count; row++)
            mask[row] = half_of_int(values[row]) == which;
    } else if (column->form == COLUMN_CONSTANT) {
        memset(mask, half_of(half, column, split->physical, 0) == which, in->row_count);
    } else {
        for (size_t row = 0; row < in->row_count; row++)
            mask[row] = half_of(half, column, split->physical, row) == which;
    }
    *count = select_mask(mask, NULL, in->row_count, rows);
    return OK;
}

/* Where the first rows of groups are that this batch has brought: from number `known` on. */
static enum err note_first_rows(struct half *half, uint32_t known, const uint32_t *ids,
                                const uint32_t *rows, size_t count, uint64_t begin,
                                struct error *error)
{
    size_t groups = half->tier->keys.count, expected = tuple_table_expected(&half->tier->keys);
    size_t wanted = key_wanted(half->first_capacity, groups + 1, expected,
                               sizeof(*half->first_rows), half->memory.budget);
    enum err err =
        exec_memory_grow(&half->memory, (void **)&half->first_rows, &half->first_capacity, wanted,
                         sizeof(*half->first_rows), error);
    for (size_t i = 0; err == OK && known < groups && i < count; i++) {
        half->first_rows[known] = begin + rows[i]; /* overwritten until the row is that group's */
        known += ids[i] == known;
    }
    if (err == OK)
        half->first_rows[groups] = UINT64_MAX;
    assert(err != OK || known == groups);
    return err;
}

/* The rows of a batch, which begins at that row, that are of a half. */
static enum err add_batch(struct split *split, unsigned which, struct exec_node *node,
                          const struct batch *in, uint64_t begin, struct error *error)
{
    struct half *half = &split->halves[which];
    uint32_t rows[VECTOR_ROWS_MAX + 16], ids[VECTOR_ROWS_MAX], known = half->tier->keys.count;
    struct batch own = *in;
    size_t count;
    enum err err = pick_rows(split, which, in, rows, &count, error);
    if (err != OK || count == 0)
        return err;
    if (count != in->row_count) {
        arena_reset(&half->scratch);
        struct column *columns =
            arena_alloc_array(&half->scratch, in->column_count, sizeof(*columns));
        for (size_t i = 0; i < in->column_count; i++)
            columns[i] = column_gather(&in->columns[i], rows, count, &half->scratch);
        own.columns = columns;
        own.row_count = count;
    }
    if (fault_is("split.row_lost") && count > 1)
        own.row_count--;
    err = group_add_whole(node, half->tier, &own, ids, error);
    return err == OK ? note_first_rows(half, known, ids, rows, own.row_count, begin, error) : err;
}

/* --- reading --- */

static enum err check_clock(struct split *split, size_t row_count, struct error *error)
{
    split->unchecked += row_count;
    if (split->unchecked < EXEC_CHECK_ROWS)
        return OK;
    split->unchecked = 0;
    return exec_check(split->node->exec, error);
}

/* The rows of a half of a morsel. Not locked. *is_whole false: they are not all there. */
static enum err read_morsel(struct split *split, unsigned which, struct exec_node *node,
                            bool *is_whole, struct error *error)
{
    const struct group *group = node->state;
    struct half *half = &split->halves[which];
    uint64_t row = (uint64_t)half->at << 32;
    size_t morsel = split->morsels[half->at];
    *is_whole = false;
    exec_scan_range(partial_scan(node), morsel, morsel + 1);
    for (;;) {
        struct batch in;
        bool is_late = group->is_unwanted != NULL &&
                       atomic_load_explicit(group->is_unwanted, memory_order_relaxed);
        if (is_late || (fault_is("split.no_memory") && half->at > 2) ||
            span_is_short(node, group_need(group, half->tier, VECTOR_ROWS_MAX)))
            return OK;
        enum err err = exec_next(node->children[0], &in, error);
        if (err == OK && in.row_count == 0) {
            *is_whole = true;
            return OK;
        }
        if (err == OK && which == 0)
            node->exec->actual[node->plan->id].rows_in += in.row_count;
        if (err == OK)
            err = add_batch(split, which, node, &in, row, error);
        row += in.row_count;
        if (err == OK && node == split->node)
            err = check_clock(split, in.row_count, error);
        if (err != OK)
            return err;
    }
}

/* The next morsel of a half that nobody is at; the crew is locked, and let go meanwhile. What fails
 * for want of memory, or for a helper, is nothing: one thread begins anew. */
static enum err read_next(struct split *split, unsigned which, struct exec_node *node,
                          struct error *error)
{
    struct half *half = &split->halves[which];
    struct partial_counted counted = partial_counted(node);
    bool is_whole = false;
    half->reader = node;
    crew_unlock(split->crew);
    enum err err = read_morsel(split, which, node, &is_whole, error);
    if (which != 0)
        partial_count_back(node, &counted);
    crew_lock(split->crew);
    half->reader = NULL;
    half->at++;
    split->is_failed = split->is_failed || err != OK || !is_whole;
    crew_tell(split->crew);
    return err;
}

static bool is_read(const struct split *split, const struct half *half)
{
    return half->at == split->morsel_count;
}

/* A helper's next morsel. */
static bool help(void *context, struct exec_node *node)
{
    struct split *split = context;
    struct half *half = &split->halves[1];
    struct error ignored; /* the query's thread meets it */
    if (split->is_failed || half->reader != NULL || is_read(split, half))
        return false;
    return read_next(split, 1, node, &ignored) == OK && !split->is_failed &&
           !fault_is("split.helper_goes");
}

/* Both halves, as far as nobody else does. */
static enum err read_all(struct split *split, struct error *error)
{
    struct half *own = &split->halves[0], *other = &split->halves[1];
    enum err err = OK;
    crew_lock(split->crew);
    while (err == OK && !split->is_failed && !(is_read(split, own) && is_read(split, other))) {
        if (!is_read(split, own)) {
            if (other->reader == NULL && !is_read(split, other) && !crew_is_called(split->crew))
                crew_call(split->crew);
            err = read_next(split, 0, split->node, error);
        } else if (other->reader == NULL) {
            err = read_next(split, 1, split->node, error);
        } else {
            err = crew_wait(split->crew, split->node->exec, error);
        }
    }
    crew_unlock(split->crew);
    return err;
}

/* --- begin and end --- */

static uint64_t list_morsels(struct split *split, size_t first)
{
    const struct exec_node *scan = partial_scan(split->node);
    const struct table_view *view = exec_scan_view(scan);
    size_t end = table_view_morsel_count(view);
    uint64_t rows = 0;
    split->morsels =
        arena_alloc_array(&split->node->exec->arena, end - first + 1, sizeof(*split->morsels));
    for (size_t morsel = first; morsel < end; morsel++) {
        struct morsel_range range = table_view_morsel(view, morsel);
        if (exec_scan_can_skip(scan, morsel))
            continue;
        rows += range.end - range.begin;
        split->morsels[split->morsel_count++] = morsel;
    }
    return rows;
}

/* The first tier is the group's own, which is empty; the other one lies behind it, where tiers of
 * rows put aside would be. */
static void open_halves(struct split *split)
{
    struct exec_node *node = split->node;
    struct group *group = node->state;
    group->tiers[1] = (struct group_tier){0};
    group_tier_open(node, &group->tiers[1]);
    for (unsigned i = 0; i < HALVES; i++) {
        struct half *half = &split->halves[i];
        half->tier = &group->tiers[i];
        half->tier->is_portion = true;
        group_sizes_expect(node, half->tier, HALVES);
        exec_memory_init(&half->memory, node->exec->budget);
        arena_init(&half->scratch);
    }
}

static void free_half(struct half *half)
{
    exec_memory_release(&half->memory, half->first_rows,
                        half->first_capacity * sizeof(*half->first_rows));
    exec_memory_release(&half->memory, half->halves, half->halves_capacity);
    exec_memory_deinit(&half->memory);
    arena_deinit(&half->scratch);
    half->first_rows = NULL;
    half->halves = NULL;
}

static void empty_first_tier(struct exec_node *node)
{
    struct group *group = node->state;
    group_tier_forget(node, &group->tiers[0]);
    group->tiers[0] = (struct group_tier){0};
    group_tier_open(node, &group->tiers[0]);
}

/* As if nothing had been read. */
static void forget(struct split *split, size_t first, const struct partial_counted *counted)
{
    struct exec_node *node = split->node;
    struct group *group = node->state;
    crew_close(split->crew);
    for (unsigned i = 0; i < HALVES; i++)
        free_half(&split->halves[i]);
    group_tier_free(node, &group->tiers[1]);
    crew_end(split->crew);
    empty_first_tier(node);
    group_sizes_expect(node, &group->tiers[0], 1);
    partial_count_back(node, counted);
    const struct exec_node *scan = partial_scan(node);
    exec_scan_range(partial_scan(node), first, table_view_morsel_count(exec_scan_view(scan)));
}

/* If a helper comes: both halves are empty then, whatever was there before. */
static bool begin(struct split *split, const struct partial_counted *sampled)
{
    crew_lock(split->crew);
    crew_call(split->crew);
    bool is_called = crew_is_called(split->crew);
    if (is_called && sampled != NULL)
        empty_first_tier(split->node);
    if (is_called && sampled != NULL && !fault_is("split.sample_counted"))
        partial_count_back(split->node, sampled);
    if (is_called)
        open_halves(split); /* nobody is at them before the crew is let go */
    crew_unlock(split->crew);
    return is_called;
}

enum err split_read(struct exec_node *node, size_t first, const struct partial_counted *sampled,
                    enum split_end *end, struct error *error)
{
    struct group *group = node->state;
    const struct group_tier *tier = &group->tiers[0];
    *end = SPLIT_NOT;
    if (node->exec->is_fork || node->exec->workers == NULL || tier->parts != NULL ||
        (tier->keys.count != 0 && sampled == NULL) || !is_for(node))
        return OK;
    struct split *split = arena_alloc_zero(&node->exec->arena, sizeof(*split));
    split->node = node;
    if (!find_column(node, split) || !pays(split, list_morsels(split, first)))
        return OK;
    split->crew = crew_create(node, (struct crew_work){.run = help, .context = split});
    if (split->crew == NULL)
        return OK;
    if (!begin(split, sampled)) {
        crew_end(split->crew);
        return OK;
    }
    struct partial_counted counted = partial_counted(node);
    enum err err = read_all(split, error);
    if (err == OK && !split->is_failed) {
        crew_close(split->crew);
        group->split = split;
        *end = SPLIT_DONE;
        return OK;
    }
    forget(split, first, &counted);
    *end = SPLIT_ANEW;
    return err == ERR_CANCELLED || err == ERR_TIMEOUT ? err : OK;
}

const struct group_tier *split_tier(const struct split *split)
{
    return split->halves[1].tier;
}

void split_close(struct split *split)
{
    if (split == NULL)
        return;
    crew_close(split->crew);
    for (unsigned i = 0; i < HALVES; i++)
        free_half(&split->halves[i]);
    group_tier_free(split->node, split->halves[1].tier);
    crew_end(split->crew);
}
