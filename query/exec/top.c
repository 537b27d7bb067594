/* Of a top-N the scan's share.
 *
 *   order   segments by their best zone, and the blocks of each likewise: the first ones have most
 *           of what is wanted
 *   bound   the worst row still wanted, as a condition: what is behind it is not read
 *
 * A row equal to the worst one in the only key loses against it where it comes later, so of
 * integers the bound is moved by one then. "Later" is by the rows' places where morsels are met in
 * another order: strict only once the morsel that holds the worst row is met. Everything here may
 * only let too much pass; the sort drops the rest. */
#include "query/exec/top.h"

#include "storage/base/fault.h"
#include "storage/encoding/encoding.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* --- the bound --- */

bool top_has_bound(struct type type)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
    case TYPE_NUMERIC:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
    case TYPE_DATE:
        return true;
    default:
        return false;
    }
}

void top_init(struct top_bound *top, const struct top_key *key)
{
    *top = (struct top_bound){.is_on = true, .key = *key};
    arena_init(&top->arena);
    top->bound.condition.column = key->column;
}

void top_deinit(struct top_bound *top)
{
    if (top->is_on)
        arena_deinit(&top->arena);
    top->is_on = false;
}

/* The next value on the better side of an integer; false: there is none. */
static bool step(const struct top_bound *top, struct value *value)
{
    if (value->type.id == TYPE_BOOL) {
        if (value->b == top->key.is_descending)
            return false;
        value->b = top->key.is_descending;
        return true;
    }
    return !__builtin_add_overflow(value->i, top->key.is_descending ? 1 : -1, &value->i);
}

static bool can_step(struct type type)
{
    enum physical physical = type_physical((enum type_id)type.id);
    return physical == PHYSICAL_INT || physical == PHYSICAL_BOOL;
}

/* The condition follows from the worst row; none does where nearly all may be better. */
static void make_bound(struct top_bound *top)
{
    struct scan_condition condition = {.test = SCAN_RANGE, .column = top->key.column};
    struct value value = top->worst;
    bool is_never = false, passes_null = top->key.is_nulls_first && !top->key.is_not_null;
    if (value.is_null && !top->key.is_nulls_first)
        return;
    if (value.is_null) {
        condition.test = SCAN_NULL;
        is_never = top->is_strict;
        passes_null = false;
    } else {
        if (type_physical((enum type_id)value.type.id) == PHYSICAL_FLOAT && isnan(value.f))
            return;
        if (top->is_strict && can_step(value.type))
            is_never = !step(top, &value);
        condition.has_low = top->key.is_descending;
        condition.has_high = !top->key.is_descending;
        condition.low = condition.high = value;
    }
    top->bound.condition = condition;
    top->bound.is_never = is_never;
    top->bound.passes_null = passes_null;
    top->bound.version++;
}

/* The same in the terms of zones, so that blocks need not be asked; of integers and doubles. */
static void rank_worst(struct top_bound *top)
{
    const struct value *worst = &top->worst;
    bool is_descending = top->key.is_descending;
    enum physical physical = type_physical((enum type_id)worst->type.id);
    top->has_worst_rank = false;
    if (top->ranks == NULL || worst->is_null)
        return;
    int64_t term;
    if (physical == PHYSICAL_INT)
        term = worst->i;
    else if (physical == PHYSICAL_FLOAT && !isnan(worst->f))
        term = float_order(worst->f == 0 ? (is_descending ? -0.0 : 0.0) : worst->f);
    else
        return;
    top->worst_rank = is_descending ? ~term : term;
    top->has_worst_rank = true;
}

/* A later row that is equal in the only key loses. */
static bool find_strict(const struct top_bound *top)
{
    return top->key.is_only && (!top->key.is_by_place || top->end > top->worst_row);
}

void top_set_worst(struct top_bound *top, const struct value *worst, uint64_t row)
{
    assert(top->is_on);
    bool is_text = type_physical((enum type_id)worst->type.id) == PHYSICAL_TEXT;
    top->worst = *worst;
    if (is_text &&
        !worst->is_null) { /* the cursor may look at the old one until the next is made */
        struct arena old = top->arena;
        arena_init(&top->arena);
        top->worst.text = arena_copy(&top->arena, worst->text);
        arena_deinit(&old);
    }
    top->worst_row = row;
    top->has_worst = true;
    top->is_strict = find_strict(top) || fault_is("topn.equal_lost");
    rank_worst(top);
    make_bound(top);
}

bool top_enter(struct top_bound *top, size_t place, uint64_t end)
{
    top->end = end;
    if (!top->has_worst)
        return true;
    bool was_strict = top->is_strict;
    top->is_strict = find_strict(top) || fault_is("topn.equal_lost");
    if (top->is_strict != was_strict)
        make_bound(top);
    if (!top->has_worst_rank)
        return true;
    bool is_equal_of_use =
        (!top->is_strict || !can_step(top->worst.type)) && !fault_is("topn.prune_equal");
    return top->ranks[place] < top->worst_rank ||
           (is_equal_of_use && top->ranks[place] == top->worst_rank);
}

/* --- the order of morsels --- */

struct place {
    size_t morsel, segment; /* its first morsel */
    int64_t rank, segment_rank;
};

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->segment_rank != y->segment_rank)
        return x->segment_rank < y->segment_rank ? -1 : 1;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->morsel > y->morsel) - (x->morsel < y->morsel);
}

/* Of morsels in memory nothing is known: they come first, and are looked at whatever is in them. */
static int64_t rank_of(const struct scan_zone *zone, const struct top_key *key)
{
    if (!zone->is_known || (zone->has_null && key->is_nulls_first))
        return INT64_MIN;
    if (!zone->has_range)
        return INT64_MAX;
    return key->is_descending ? ~zone->greatest : zone->least;
}

enum err top_order(struct top_bound *top, struct cursor *cursor, const struct table_view *view,
                   bool (*is_skipped)(const void *context, size_t morsel), const void *context,
                   struct arena *arena, struct error *error)
{
    size_t count = table_view_morsel_count(view), segment = 0;
    struct place *places = arena_alloc_array(arena, count + 1, sizeof(*places));
    for (size_t i = 0; i < count; i++) {
        struct morsel_home home = table_view_morsel_home(view, i);
        struct scan_zone zone = {.is_known = home.is_sealed && is_skipped(context, i)};
        enum err err = OK;
        if (home.is_sealed && !zone.is_known)
            err = cursor_zone(cursor, i, top->key.column, &zone, error);
        if (err != OK)
            return err;
        segment = home.index == 0 ? i : segment;
        int64_t rank = rank_of(&zone, &top->key);
        places[i] = (struct place){i, segment, rank, rank};
        if (places[segment].segment_rank > rank)
            places[segment].segment_rank = rank;
    }
    for (size_t i = 0; i < count; i++)
        places[i].segment_rank = places[places[i].segment].segment_rank;
    if (count != 0)
        qsort(places, count, sizeof(*places), compare_places);
    top->order = arena_alloc_array(arena, count + 1, sizeof(*top->order));
    top->ranks = arena_alloc_array(arena, count + 1, sizeof(*top->ranks));
    for (size_t i = 0; i < count; i++) {
        top->order[i] = places[i].morsel;
        top->ranks[i] = places[i].rank;
        top->key.is_by_place = top->key.is_by_place || places[i].morsel != i;
    }
    return OK;
}
