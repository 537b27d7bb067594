/* Aggregates without rows: what a scan knows of a morsel goes straight into their states.
 *
 *   group without keys ── which aggregates, of which columns ──▶ scan
 *   scan: morsel sought ── all rows pass, or bitmaps name them ──▶ count, least, greatest, sum
 *                       └─ else, and for the other aggregates ───▶ rows
 *
 * So count(*) under an indexed condition is the size of a set, max(ts) of a table is in the
 * footers, and sum(amount) is added up while it is packed. A column that all of its aggregates have
 * from the morsel is not read. An aggregate takes part if it has no FILTER and no DISTINCT and is
 * of a column as it stands. */
#include "query/exec/digest.h"

#include "query/exec/group.h"

#include <assert.h>

struct digest_taker {
    const struct aggregate *aggregate;
    size_t offset;
};

struct digest_takers {
    struct group_tier *const *tier;
    size_t count;
    struct digest_taker list[];
};

static enum err take(void *context, const struct scan_extent *extents, struct error *error)
{
    const struct digest_takers *takers = context;
    struct group_tier *tier = *takers->tier;
    enum err err = OK;
    for (size_t i = 0; err == OK && i < takers->count; i++)
        err = takers->list[i].aggregate->take(tier->states + takers->list[i].offset, &extents[i],
                                              &tier->aggregate_memory, error);
    return err == OK ? exec_memory_settle(&tier->aggregate_arena, error) : err;
}

/* What a morsel can be asked of a column of this type. */
static bool can_know(struct type type, enum aggregate_need need)
{
    enum physical physical = type_physical(type.id);
    switch (need) {
    case NEED_NULLS:
        return true;
    case NEED_RANGE:
        return physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT ||
               physical == PHYSICAL_NUMERIC || type.id == TYPE_TEXT || type.id == TYPE_VARCHAR;
    case NEED_SUM:
        return physical == PHYSICAL_INT || physical == PHYSICAL_FLOAT ||
               physical == PHYSICAL_NUMERIC;
    default:
        return false;
    }
}

bool digest_item(const struct plan *scan, const struct aggregate_call *call,
                 struct scan_digest_item *item)
{
    enum aggregate_need need = call->aggregate->need;
    *item = (struct scan_digest_item){0};
    if (call->filter != NULL || call->is_distinct || call->order_by != NULL ||
        call->order_count != 0)
        return false;
    if (need == NEED_ROWS)
        return true;
    if (call->argument_count != 1 || call->arguments[0]->kind != EXPR_COLUMN ||
        call->arguments[0]->column >= scan->column_count)
        return false;
    item->has_column = true;
    item->column = call->arguments[0]->column;
    item->want = need == NEED_SUM     ? SCAN_WANT_SUM
                 : need == NEED_RANGE ? SCAN_WANT_RANGE
                                      : SCAN_WANT_NULLS;
    return can_know(scan->columns[item->column].type, need);
}

static void is_read(void *context, uint32_t column)
{
    ((bool *)context)[column] = false;
}

static void read_columns(const struct aggregate_call *call, bool *is_unread)
{
    for (size_t i = 0; i < call->argument_count; i++)
        expr_visit_columns(call->arguments[i], is_read, is_unread);
    if (call->filter != NULL)
        expr_visit_columns(call->filter, is_read, is_unread);
    if (call->order_by != NULL)
        expr_visit_columns(call->order_by, is_read, is_unread);
}

bool digest_open(struct exec_node *scan, struct digest_call *calls, size_t count,
                 struct group_tier *const *tier)
{
    const struct plan *plan = scan->plan;
    struct arena *arena = &scan->exec->arena;
    struct scan_digest_item *items = arena_alloc_array(arena, count, sizeof(*items));
    struct digest_takers *takers =
        arena_alloc_zero(arena, sizeof(*takers) + count * sizeof(*takers->list));
    bool *is_unread = arena_alloc(arena, plan->column_count + 1);
    size_t item_count = 0;
    memset(is_unread, true, plan->column_count);
    for (size_t i = 0; i < count; i++) {
        calls[i].is_digested = digest_item(plan, calls[i].call, &items[item_count]);
        if (calls[i].is_digested)
            takers->list[item_count++] = (struct digest_taker){
                .aggregate = calls[i].call->aggregate, .offset = calls[i].offset};
        else
            read_columns(calls[i].call, is_unread);
    }
    if (item_count == 0)
        return false;
    takers->tier = tier;
    takers->count = item_count;
    struct scan_digest *digest = arena_alloc_zero(arena, sizeof(*digest));
    *digest = (struct scan_digest){.item_count = item_count,
                                   .items = items,
                                   .is_unread = is_unread,
                                   .is_all = item_count == count,
                                   .take = take,
                                   .context = takers};
    exec_scan_digest(scan, digest);
    return true;
}
