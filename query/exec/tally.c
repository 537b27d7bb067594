/* GROUP BY by one dictionary's codes, without a look at groups row by row.
 *
 *   batch ─ one dictionary, the other keys constant (a minute) ─▶ count[code]++, sum[code] += value
 *   code not met before ─▶ keys.c: number of its group, at once
 *   another minute, another dictionary, no more rows ─▶ states of the groups of all codes met
 *
 * A row costs an increment in a table that the first cache holds, and no number is looked up for
 * it. Rows of two buckets within a batch are cut where the bucket changes. What is taken so:
 * count(*), with a FILTER too, and sum and avg of doubles and of integers of at most 32 bits. Other
 * calls of the same GROUP BY get the groups' numbers by code, row by row, as ever.
 *
 * A batch with NULLs or infinities among what is added up goes the long way, and so do all others
 * of its tier; one with doubles outside of the window that the tier's first had makes all that
 * follow compensated sums. Which rows are added up together, and how, follows from the tier's rows
 * alone, so that sums of doubles are the same whoever makes a portion (partial.c).
 *
 * count[code] has UNMET in it until the code has a group: one load says both. */
#include "query/exec/tally.h"

#include "query/kernel/kernel.h"
#include "storage/base/fault.h"

#include <string.h>

#define UNMET 0x80000000U
#define ROWS_MAX (1U << TALLY_ROWS_BIT)
#define CODES_MAX 256   /* tables of more are no better than the states */
#define MEMORY_SHARE 64 /* of the query's memory: what tables take */
#define RANGES_MAX 8    /* of a batch: more are not worth the cuts */

enum tally_way { TALLY_NOT, TALLY_ROWS, TALLY_SELECTED, TALLY_DOUBLES, TALLY_INTS };

struct tally_call {
    enum tally_way way;
    void *places; /* by code: uint32_t; by code and lane: struct tally_sum, int64_t */
    size_t capacity;
    enum { WINDOW_UNKNOWN, WINDOW_HOLDS, WINDOW_BROKEN } window_state; /* of the tier */
    struct tally_window window;
    /* Of the current batch. */
    uint32_t *kept;
    size_t kept_count, kept_next;
    struct column argument;
};

struct tally {
    struct exec_memory memory;
    size_t call_count;
    struct tally_call *calls; /* of the group, by index */
    bool is_all;              /* no call wants groups row by row */
    bool is_off;              /* of the tier */
    size_t key_count, varying;
    struct column *one; /* keys as they are asked for: constants, and codes not met before */
    int64_t *constants; /* by key */
    uint64_t dictionary_id;
    uint32_t *counts; /* by code and lane */
    size_t count_capacity;
    uint32_t groups[CODES_MAX], met[CODES_MAX]; /* by code; codes, in the order they were met */
    uint32_t code_count, met_count, row_count;
};

/* --- which calls --- */

static enum tally_way way_of(const struct aggregate_call *call)
{
    const struct aggregate *aggregate = call->aggregate;
    if (call->is_distinct || call->order_by != NULL || call->order_count != 0 ||
        aggregate->take == NULL)
        return TALLY_NOT;
    if (aggregate->need == NEED_ROWS && call->argument_count == 0)
        return call->filter != NULL ? TALLY_SELECTED : TALLY_ROWS;
    if (aggregate->need != NEED_SUM || call->argument_count != 1 || call->filter != NULL)
        return TALLY_NOT;
    switch (call->arguments[0]->type.id) {
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return TALLY_DOUBLES;
    case TYPE_INT2:
    case TYPE_INT4:
        return TALLY_INTS;
    default:
        return TALLY_NOT;
    }
}

/* What a call's table takes for a code. */
static size_t place_size(enum tally_way way)
{
    return way == TALLY_DOUBLES    ? sizeof(struct tally_sum) * TALLY_LANES
           : way == TALLY_INTS     ? sizeof(int64_t) * TALLY_LANES
           : way == TALLY_SELECTED ? sizeof(uint32_t)
                                   : 0;
}

void tally_open(struct exec_node *node)
{
    struct group *group = node->state;
    struct arena *arena = &node->exec->arena;
    const struct plan *plan = node->plan;
    bool is_any = false, has_text = false;
    size_t each = TALLY_LANES * sizeof(uint32_t);
    struct tally *tally = arena_alloc_zero(arena, sizeof(*tally));
    tally->key_count = plan->group.key_count;
    for (size_t i = 0; i < tally->key_count; i++)
        has_text = has_text || type_physical(group->key_types[i].id) == PHYSICAL_TEXT;
    tally->call_count = group->call_count;
    tally->calls = arena_alloc_zero(arena, (group->call_count + 1) * sizeof(*tally->calls));
    tally->is_all = true;
    for (size_t i = 0; i < group->call_count; i++) {
        struct tally_call *call = &tally->calls[i];
        call->way = way_of(group->calls[i].call);
        group->calls[i].is_tallied = call->way != TALLY_NOT;
        is_any = is_any || call->way != TALLY_NOT;
        each += place_size(call->way);
        tally->is_all = tally->is_all && call->way != TALLY_NOT;
        if (call->way == TALLY_SELECTED)
            call->kept = arena_alloc_array(arena, VECTOR_ROWS_MAX + 16, sizeof(*call->kept));
    }
    if (!is_any || !has_text || each * CODES_MAX > node->exec->budget->limit / MEMORY_SHARE)
        return;
    tally->one = arena_alloc_zero(arena, tally->key_count * sizeof(*tally->one));
    tally->constants = arena_alloc_zero(arena, tally->key_count * sizeof(*tally->constants));
    exec_memory_init(&tally->memory, node->exec->budget);
    group->tally = tally;
}

void tally_close(struct tally *tally)
{
    if (tally == NULL)
        return;
    struct exec_memory *memory = &tally->memory;
    for (size_t i = 0; i < tally->call_count; i++)
        exec_memory_release(memory, tally->calls[i].places,
                            tally->calls[i].capacity * place_size(tally->calls[i].way));
    exec_memory_release(memory, tally->counts, tally->count_capacity * sizeof(*tally->counts));
    exec_memory_deinit(memory);
}

/* --- the tables --- */

/* Between two sets of rows every place is as this leaves it. */
static void clear_codes(struct tally *tally, uint32_t begin, uint32_t end)
{
    for (size_t i = (size_t)begin * TALLY_LANES; i < (size_t)end * TALLY_LANES; i++)
        tally->counts[i] = UNMET;
    for (size_t a = 0; a < tally->call_count; a++) {
        struct tally_call *call = &tally->calls[a];
        size_t each = place_size(call->way);
        if (call->way != TALLY_NOT && call->way != TALLY_ROWS)
            memset((char *)call->places + begin * each, 0, (end - begin) * each);
    }
}

static void forget(struct tally *tally)
{
    for (uint32_t i = 0; i < tally->met_count; i++)
        clear_codes(tally, tally->met[i], tally->met[i] + 1);
    tally->met_count = tally->row_count = 0;
    tally->dictionary_id = 0;
}

void tally_reset(struct group *group)
{
    struct tally *tally = group->tally;
    if (tally == NULL)
        return;
    forget(tally);
    tally->is_off = false;
    for (size_t a = 0; a < tally->call_count; a++)
        tally->calls[a].window_state = WINDOW_UNKNOWN;
}

/* Places for the codes of a dictionary, all clear. */
static enum err cover(struct tally *tally, uint32_t code_count, struct error *error)
{
    struct exec_memory *memory = &tally->memory;
    if (code_count <= tally->code_count)
        return OK;
    enum err err =
        exec_memory_grow(memory, (void **)&tally->counts, &tally->count_capacity,
                         (size_t)code_count * TALLY_LANES, sizeof(*tally->counts), error);
    for (size_t a = 0; err == OK && a < tally->call_count; a++) {
        struct tally_call *call = &tally->calls[a];
        if (call->way != TALLY_NOT && call->way != TALLY_ROWS)
            err = exec_memory_grow(memory, &call->places, &call->capacity, code_count,
                                   place_size(call->way), error);
    }
    if (err != OK)
        return err;
    tally->code_count = code_count;
    clear_codes(tally, 0, code_count);
    return OK;
}

/* --- to the states --- */

static struct scan_extent extent_of(const struct tally *tally, const struct tally_call *call,
                                    uint32_t code)
{
    struct scan_extent extent = {0};
    size_t first = (size_t)code * TALLY_LANES;
    for (size_t lane = 0; call->way != TALLY_SELECTED && lane < TALLY_LANES; lane++)
        extent.row_count += tally->counts[first + lane];
    if (call->way == TALLY_SELECTED)
        extent.row_count = ((const uint32_t *)call->places)[code];
    for (size_t lane = 0; call->way == TALLY_INTS && lane < TALLY_LANES; lane++)
        extent.sum += ((const int64_t *)call->places)[first + lane];
    const struct tally_sum *sums = call->places;
    for (size_t lane = 0; call->way == TALLY_DOUBLES && lane < TALLY_LANES; lane++) {
        double value = sums[first + lane].sum, before = extent.total, sum = before + value;
        double part = sum - before;
        extent.total = sum;
        extent.lost += (before - (sum - part)) + (value - part) + sums[first + lane].lost;
    }
    return extent;
}

enum err tally_flush(struct exec_node *node, struct group_tier *tier, struct error *error)
{
    struct group *group = node->state;
    struct tally *tally = group->tally;
    enum err err = OK;
    if (tally == NULL)
        return OK;
    for (size_t a = 0; err == OK && a < tally->call_count; a++) {
        const struct tally_call *call = &tally->calls[a];
        const struct aggregate *aggregate = group->calls[a].call->aggregate;
        char *states = tier->states + group->calls[a].state_offset;
        uint32_t end = tally->met_count;
        if (fault_is("tally.flush_last") && end > 1)
            end--;
        for (uint32_t i = 0; err == OK && call->way != TALLY_NOT && i < end; i++) {
            uint32_t code = tally->met[i];
            struct scan_extent extent = extent_of(tally, call, code);
            if (extent.row_count != 0)
                err = aggregate->take(states + tally->groups[code] * group->stride, &extent,
                                      &tier->aggregate_memory, error);
        }
    }
    forget(tally);
    return err;
}

/* --- rows in --- */

/* Finds the key that is of a dictionary's codes; the others have to be whole numbers. */
static bool is_for(struct exec_node *node, const struct column *keys, size_t *varying)
{
    const struct group *group = node->state;
    const struct tally *tally = group->tally;
    size_t found = 0;
    for (size_t i = 0; i < tally->key_count; i++) {
        const struct column *key = &keys[i];
        if (key->validity != NULL)
            return false;
        if (key->form == COLUMN_DICTIONARY) {
            *varying = i;
            found++;
        } else if (type_physical(group->key_types[i].id) != PHYSICAL_INT)
            return false;
    }
    if (found != 1)
        return false;
    const struct column *codes = &keys[*varying];
    return codes->dictionary_id != 0 && codes->dictionary_count <= CODES_MAX;
}

/* Rows from `begin` on for which all keys but the codes are the same. */
static size_t range_end(const struct tally *tally, const struct column *keys, size_t varying,
                        size_t begin, size_t row_count)
{
    size_t end = row_count;
    for (size_t i = 0; i < tally->key_count; i++) {
        if (i == varying || keys[i].form == COLUMN_CONSTANT)
            continue;
        size_t row = begin + 1;
        while (row < end && keys[i].i[row] == keys[i].i[begin])
            row++;
        end = row;
    }
    return end;
}

/* Where a batch is cut; 0: into too many. */
static size_t find_ranges(const struct tally *tally, const struct column *keys, size_t varying,
                          size_t row_count, size_t ends[RANGES_MAX])
{
    size_t count = 0;
    for (size_t row = 0; row < row_count; row = ends[count++]) {
        if (count == RANGES_MAX)
            return 0;
        ends[count] = range_end(tally, keys, varying, row, row_count);
    }
    return count;
}

/* Are they to be added up in two parts? Once some are not none is, in this tier. */
static enum err look_at_doubles(struct exec_node *node, struct group_tier *tier,
                                struct tally_call *call, size_t count, struct error *error)
{
    const double *values = call->argument.f;
    bool holds =
        (call->window_state == WINDOW_UNKNOWN && tally_window_make(values, count, &call->window)) ||
        (call->window_state == WINDOW_HOLDS && tally_window_holds(&call->window, values, count));
    bool is_broken = !holds && call->window_state == WINDOW_HOLDS;
    call->window_state = holds ? WINDOW_HOLDS : WINDOW_BROKEN;
    return is_broken ? tally_flush(node, tier, error) : OK;
}

/* FILTERs and arguments of the calls that are taken, for the whole batch. *fits false: not to be
 * added up like this. */
static enum err evaluate(struct exec_node *node, struct group_tier *tier, const struct batch *in,
                         bool *fits, struct error *error)
{
    struct group *group = node->state;
    struct tally *tally = group->tally;
    enum err err = OK;
    *fits = true;
    for (size_t a = 0; err == OK && *fits && a < tally->call_count; a++) {
        struct tally_call *call = &tally->calls[a];
        if (call->way == TALLY_SELECTED) {
            call->kept_next = 0;
            err = evaluator_filter(group->calls[a].filter, in, NULL, 0, call->kept,
                                   &call->kept_count, error);
        } else if (call->way == TALLY_DOUBLES || call->way == TALLY_INTS) {
            struct column *argument = &call->argument;
            err = evaluator_run(group->calls[a].arguments[0], in, NULL, 0, argument, error);
            *fits = err == OK && argument->form == COLUMN_FLAT && argument->validity == NULL;
            if (*fits && call->way == TALLY_DOUBLES) {
                err = look_at_doubles(node, tier, call, in->row_count, error);
                *fits =
                    call->window_state == WINDOW_HOLDS || !has_infinite(argument->f, in->row_count);
            }
        }
    }
    return err;
}

/* Makes the table one of these constants and this dictionary. */
static enum err turn(struct exec_node *node, struct group_tier *tier, const struct column *keys,
                     size_t varying, size_t row, size_t row_count, struct error *error)
{
    struct tally *tally = ((struct group *)node->state)->tally;
    bool is_same = tally->dictionary_id == keys[varying].dictionary_id &&
                   tally->varying == varying &&
                   keys[varying].dictionary_count <= tally->code_count &&
                   tally->row_count + row_count < ROWS_MAX;
    for (size_t i = 0; i < tally->key_count; i++)
        if (i != varying && !fault_is("tally.other_bucket"))
            is_same = is_same && tally->constants[i] == keys[i].i[column_index(&keys[i], row)];
    if (is_same)
        return OK;
    enum err err = tally_flush(node, tier, error);
    if (err == OK)
        err = cover(tally, keys[varying].dictionary_count, error);
    if (err != OK)
        return err;
    tally->varying = varying;
    tally->dictionary_id = keys[varying].dictionary_id;
    for (size_t i = 0; i < tally->key_count; i++) {
        if (i == varying)
            continue;
        tally->constants[i] = keys[i].i[column_index(&keys[i], row)];
        tally->one[i] = keys[i];
        tally->one[i].form = COLUMN_CONSTANT;
        tally->one[i].i = &tally->constants[i];
    }
    return OK;
}

/* Codes that have no group yet and were counted just now, in the order of the rows. */
static uint32_t find_fresh(struct tally *tally, const uint32_t *codes, uint32_t *fresh)
{
    bool is_fresh[CODES_MAX] = {false};
    uint32_t count = 0, found = 0;
    for (uint32_t code = 0; code < tally->code_count; code++) {
        uint32_t *places = &tally->counts[(size_t)code * TALLY_LANES], most = 0;
        for (size_t lane = 0; lane < TALLY_LANES; lane++)
            most = places[lane] > most ? places[lane] : most;
        if (most <= UNMET)
            continue;
        for (size_t lane = 0; lane < TALLY_LANES; lane++)
            places[lane] &= ~UNMET;
        is_fresh[code] = true;
        count++;
    }
    for (size_t row = 0; found < count; row++)
        if (is_fresh[codes[row]]) {
            is_fresh[codes[row]] = false;
            fresh[found++] = codes[row];
        }
    return count;
}

/* Groups for them. */
static enum err meet(struct exec_node *node, struct group_tier *tier, const struct column *column,
                     const uint32_t *codes, struct error *error)
{
    struct tally *tally = ((struct group *)node->state)->tally;
    uint32_t ids[CODES_MAX], *fresh = &tally->met[tally->met_count];
    uint32_t fresh_count = find_fresh(tally, codes, fresh);
    struct column *key = &tally->one[tally->varying];
    *key = *column;
    key->codes = fresh;
    enum err err = tuple_table_ids(&tier->keys, tally->one, NULL, fresh_count, true, ids, error);
    if (err != OK)
        return err;
    for (uint32_t i = 0; i < fresh_count; i++)
        tally->groups[fresh[i]] = ids[i];
    tally->met_count += fresh_count;
    return group_grow_states(node, tier, error);
}

/* Counts the rows, with the doubles of one call if there are any to be added in two parts; `done`
 * is that call. */
static uint32_t count_rows(struct tally *tally, const uint32_t *codes, size_t begin, size_t end,
                           size_t *done)
{
    for (*done = 0; *done < tally->call_count; ++*done) {
        struct tally_call *call = &tally->calls[*done];
        if (call->way == TALLY_DOUBLES && call->window_state == WINDOW_HOLDS)
            return tally_parts(&call->window, codes + begin, call->argument.f + begin, end - begin,
                               call->places, tally->counts);
    }
    return tally_rows(codes + begin, end - begin, tally->counts);
}

static void add_call(struct tally_call *call, const uint32_t *codes, size_t begin, size_t end)
{
    size_t first = call->kept_next, count = end - begin;
    switch (call->way) {
    case TALLY_SELECTED:
        while (call->kept_next < call->kept_count && call->kept[call->kept_next] < end)
            call->kept_next++;
        tally_selected(codes, call->kept + first, call->kept_next - first, call->places);
        break;
    case TALLY_INTS:
        tally_ints(codes + begin, call->argument.i + begin, count, call->places);
        break;
    case TALLY_DOUBLES:
        if (call->window_state == WINDOW_HOLDS)
            tally_parts(&call->window, codes + begin, call->argument.f + begin, count, call->places,
                        NULL);
        else
            tally_doubles(codes + begin, call->argument.f + begin, count, call->places);
        break;
    case TALLY_NOT:
    case TALLY_ROWS:
        break;
    }
}

static enum err add_range(struct exec_node *node, struct group_tier *tier,
                          const struct column *column, size_t begin, size_t end, uint32_t *ids,
                          struct error *error)
{
    struct tally *tally = ((struct group *)node->state)->tally;
    const uint32_t *codes = column->codes;
    size_t done;
    uint32_t seen = count_rows(tally, codes, begin, end, &done);
    tally->row_count += (uint32_t)(end - begin);
    enum err err = seen >= UNMET ? meet(node, tier, column, codes + begin, error) : OK;
    if (err != OK)
        return err;
    for (size_t a = 0; a < tally->call_count; a++)
        if (a != done)
            add_call(&tally->calls[a], codes, begin, end);
    for (size_t row = begin; !tally->is_all && row < end; row++)
        ids[row] = tally->groups[codes[row]];
    return OK;
}

enum err tally_add(struct exec_node *node, struct group_tier *tier, const struct batch *in,
                   const struct column *keys, bool *is_taken, struct error *error)
{
    struct group *group = node->state;
    struct tally *tally = group->tally;
    uint32_t ids[VECTOR_ROWS_MAX];
    size_t varying = 0, ends[RANGES_MAX], begin = 0;
    *is_taken = false;
    if (tally->is_off || tier->source != NULL || !is_for(node, keys, &varying))
        return OK;
    size_t range_count = find_ranges(tally, keys, varying, in->row_count, ends);
    if (range_count == 0)
        return OK;
    bool fits;
    enum err err = evaluate(node, tier, in, &fits, error);
    if (err != OK || !fits) {
        tally->is_off = true;
        return err == OK ? tally_flush(node, tier, error) : err;
    }
    *is_taken = true;
    for (size_t i = 0; err == OK && i < range_count; begin = ends[i++]) {
        err = turn(node, tier, keys, varying, begin, ends[i] - begin, error);
        if (err == OK)
            err = add_range(node, tier, &keys[varying], begin, ends[i], ids, error);
    }
    if (err != OK || tally->is_all)
        return err;
    struct group_rows rows = {
        .group = ids, .group_count = tier->keys.count, .count = in->row_count, .is_tallied = true};
    struct group_target target = {.tier = tier, .owner = tier, .rest = tier->own};
    return group_update(node, &target, in, rows, error);
}
