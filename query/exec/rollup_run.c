/* Portions of a query answered by a rollup's parts.
 *
 *   part ─ groups ─ within the bounds of time ─ condition ─▶ keys of the query ─▶ first tier
 *
 * A portion is answered whole or not at all. A bound of time that is an edge between two buckets
 * takes groups or leaves them; one within a bucket leaves all portions alone that have rows in that
 * bucket. States are added in the order of groups, portion by portion, like those of rows. */
#include "query/exec/rollup.h"

#include "storage/base/fault.h"

#include <assert.h>

/* --- which --- */

/* Are the rows of each group all on one side of the bound? Where no bucket is known all rows must
 * meet it: there is none at -infinity, and no edge there either. */
static bool is_clear(const struct rollup_bound *bound, int64_t min_us, int64_t max_us)
{
    bool is_met = bound->is_from ? min_us >= bound->us : max_us < bound->us;
    bool is_edge = bound->begin == bound->us;
    bool is_apart = is_edge || max_us < bound->begin || min_us >= bound->end;
    return is_met || (bound->has_bucket && is_apart) || fault_is("rollup.bound_in_bucket");
}

static bool are_bounds_clear(const struct rollup_use *use, const struct table_view *view,
                             const struct portion *portion)
{
    for (size_t morsel = portion->begin; use->bound_count != 0 && morsel < portion->end; morsel++) {
        int64_t min_us, max_us;
        if (!table_view_morsel_times(view, morsel, &min_us, &max_us))
            return false;
        for (size_t i = 0; i < use->bound_count; i++)
            if (!is_clear(&use->bounds[i], min_us, max_us))
                return false;
    }
    return true;
}

/* Do the rollup's buckets that have groups lie whole in one of each coarser kind? */
static bool are_buckets_whole(const struct rollup_use *use, const struct partial *part)
{
    const struct rollup *rollup = use->rollup;
    const struct eval_context *context = &use->exec->eval;
    if (use->coarse_count == 0 && use->bound_count == 0)
        return true;
    if (rollup->time_key < 0) /* bounds that all rows meet */
        return use->coarse_count == 0;
    const struct column *times = &part->keys[rollup->time_key];
    int64_t last = 0, start, end, other_start, other_end;
    for (size_t i = 0; i < part->group_count; i++) {
        if (column_is_null(times, i))
            return false;
        if (i > 0 && times->i[i] == last)
            continue;
        last = times->i[i];
        if (use->coarse_count != 0 &&
            (!rollup_bucket_find(&rollup->bucket, context, last, &start, &end) || start != last))
            return false;
        for (size_t c = 0; c < use->coarse_count; c++)
            if (!rollup_bucket_find(&use->coarse[c], context, last, &other_start, &other_end) ||
                ((other_start > start || other_end < end) && !fault_is("rollup.bucket_edges")))
                return false;
    }
    return true;
}

struct partial *rollup_find(struct rollup_use *use, const struct table_view *view,
                            const struct portion *portion)
{
    if (!portion->home.is_sealed || !are_bounds_clear(use, view, portion))
        return NULL;
    struct morsel_home home = portion->home;
    if (fault_is("rollup.stale_after_truncate"))
        home.segment = use->rollup->cover_count > 0 ? use->rollup->covers[0].segment : 0;
    struct partial *part = rollup_find_part(use->rollup, home);
    if (part != NULL && are_buckets_whole(use, part))
        return part;
    partial_unref(part);
    return NULL;
}

/* --- run --- */

void rollup_use_open(struct rollup_use *use)
{
    struct exec *exec = use->exec;
    use->key_evaluators = exec_evaluators(exec, use->keys, use->key_count);
    use->filter = use->condition == NULL ? NULL : evaluator_create(use->condition, &exec->eval);
    use->call_filters =
        arena_alloc_zero(&exec->arena, (use->call_count + 1) * sizeof(*use->call_filters));
    for (size_t i = 0; i < use->call_count; i++)
        if (use->calls[i].filter != NULL)
            use->call_filters[i] = evaluator_create(use->calls[i].filter, &exec->eval);
}

void rollup_use_close(struct rollup_use *use)
{
    if (use == NULL || use->key_evaluators == NULL)
        return;
    exec_evaluators_destroy(use->key_evaluators, use->key_count);
    if (use->filter != NULL)
        evaluator_destroy(use->filter);
    for (size_t i = 0; i < use->call_count; i++)
        if (use->call_filters[i] != NULL)
            evaluator_destroy(use->call_filters[i]);
    use->key_evaluators = NULL;
}

/* Groups whose bucket is within the bounds. Portions were chosen so that each is so whole. */
static size_t select_times(const struct rollup_use *use, const struct batch *in, uint32_t *out)
{
    int32_t key = use->rollup->time_key;
    size_t count = 0;
    for (uint32_t row = 0; row < in->row_count; row++) {
        bool is_in = true;
        for (size_t i = 0; key >= 0 && is_in && i < use->bound_count; i++) {
            const struct rollup_bound *bound = &use->bounds[i];
            if (!bound->has_bucket) /* all rows of the portion meet it */
                continue;
            bool is_from = in->columns[key].i[row] >= bound->us;
            /* A bucket that begins before the bound, all of whose rows meet it: it has no others
             * in this portion. */
            bool is_own = in->columns[key].i[row] == bound->begin && bound->begin != bound->us;
            is_in = is_own || is_from == bound->is_from;
        }
        out[count] = row;
        count += is_in;
    }
    return count;
}

/* Rows of a batch of groups that the query asks for. */
static enum err select_groups(const struct rollup_use *use, const struct batch *in, uint32_t *out,
                              size_t *count, struct error *error)
{
    uint32_t times[VECTOR_ROWS_MAX];
    if (use->filter == NULL) {
        *count = select_times(use, in, out);
        return OK;
    }
    size_t time_count = select_times(use, in, times);
    *count = 0;
    return time_count == 0
               ? OK
               : evaluator_filter(use->filter, in, times, time_count, out, count, error);
}

/* Numbers of the query's groups, by row of the batch. */
static enum err number_groups(struct exec_node *node, const struct rollup_use *use,
                              const struct batch *in, const uint32_t *rows, size_t count,
                              uint32_t *ids, struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    struct column *keys = arena_alloc_array(&node->scratch, use->key_count + 1, sizeof(*keys));
    enum err err = OK;
    for (size_t i = 0; err == OK && i < use->key_count; i++)
        err = evaluator_run(use->key_evaluators[i], in, rows, count, &keys[i], error);
    if (err == OK && use->key_count != 0)
        err = tuple_table_ids(&tier->keys, keys, rows, count, true, ids, error);
    return err == OK && use->key_count != 0 ? group_grow_states(node, tier, error) : err;
}

static enum err add_call(struct exec_node *node, const struct rollup_use *use, size_t call,
                         const struct batch *in, const char *states, size_t stride,
                         const uint32_t *rows, size_t count, const uint32_t *ids,
                         struct error *error)
{
    struct group *group = node->state;
    struct group_tier *tier = &group->tiers[0];
    uint32_t kept[VECTOR_ROWS_MAX];
    enum err err = OK;
    if (use->call_filters[call] != NULL && !fault_is("rollup.call_filter")) {
        err = evaluator_filter(use->call_filters[call], in, rows, count, kept, &count, error);
        rows = kept;
    }
    const struct aggregate *aggregate = group->calls[call].call->aggregate;
    char *to = tier->states + group->calls[call].state_offset;
    const char *from = states + use->calls[call].offset;
    for (size_t i = 0; err == OK && i < count; i++)
        err = aggregate->combine(to + ids[rows[i]] * group->stride, from + rows[i] * stride,
                                 &tier->aggregate_memory, error);
    return err;
}

enum err rollup_combine(struct exec_node *node, struct rollup_use *use, const struct partial *part,
                        struct error *error)
{
    struct group *group = node->state;
    size_t key_count = use->rollup->form.key_count;
    uint32_t rows[VECTOR_ROWS_MAX], ids[VECTOR_ROWS_MAX] = {0};
    enum err err = OK;
    assert(part->stride == use->rollup->stride);
    for (size_t first = 0; err == OK && first < part->group_count; first += VECTOR_ROWS_MAX) {
        size_t left = part->group_count - first, count = 0;
        arena_reset(&node->scratch);
        struct batch in = {.row_count = left < VECTOR_ROWS_MAX ? left : VECTOR_ROWS_MAX,
                           .column_count = key_count};
        in.columns = arena_alloc_array(&node->scratch, key_count + 1, sizeof(*in.columns));
        for (size_t i = 0; i < key_count; i++)
            in.columns[i] = column_from(&part->keys[i], first);
        err = select_groups(use, &in, rows, &count, error);
        if (err == OK && count != 0)
            err = number_groups(node, use, &in, rows, count, ids, error);
        for (size_t call = 0; err == OK && count != 0 && call < group->call_count; call++)
            err = add_call(node, use, call, &in, part->states + first * part->stride, part->stride,
                           rows, count, ids, error);
        if (err == OK)
            err = exec_memory_settle(&group->tiers[0].aggregate_arena, error);
    }
    return err;
}
