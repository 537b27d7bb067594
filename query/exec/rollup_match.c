/* Does a rollup hold what a query asks, exactly?
 *
 *   table, definition, zone   the same
 *   WHERE    what the rollup has, and more over its keys: event time against bounds, conditions
 *   GROUP BY what follows from its keys; coarser buckets, where its own lie in them whole
 *   calls    states of its calls; FILTER over its keys
 *
 * Everything is compared with its values in it, so a panel whose literals were lifted out of the
 * text is matched as the text reads. Time is derived in UTC alone, where buckets follow each other
 * without gaps and end where the next begins; in other zones only the same bucket is the same. */
#include "query/exec/rollup.h"

#include "query/func/func.h"
#include "storage/base/fault.h"

#include <string.h>

struct matcher {
    struct exec *exec;
    struct arena *arena;
    const struct rollup *rollup;
    const struct rollup_form *query;
    struct rollup_use *use;
};

static bool is_utc(const struct matcher *m)
{
    return m->exec->eval.zone == timezone_utc;
}

static int32_t time_column(const struct matcher *m)
{
    return m->rollup->form.schema->time_column;
}

/* --- buckets --- */

/* Do all buckets of the rollup lie in one of the other's? They are of equal length, or calendar
 * months over days; groups are looked at once more (rollup_run.c). */
static bool is_coarser(const struct matcher *m, const struct rollup_bucket *other)
{
    int64_t start, end, other_start, other_end;
    const struct eval_context *context = &m->exec->eval;
    if (fault_is("rollup.bucket_edges"))
        return true;
    return rollup_bucket_find(&m->rollup->bucket, context, 0, &start, &end) &&
           rollup_bucket_find(other, context, start, &other_start, &other_end) &&
           other_start <= start && other_end >= end &&
           (other_end - other_start) % (end - start) == 0 &&
           (start - other_start) % (end - start) == 0;
}

/* Where the event time stands in a bucket of it; NULL: it is none. */
static struct expr **find_bucket(struct matcher *m, struct expr *expr, struct rollup_bucket *out)
{
    uint32_t time = (uint32_t)time_column(m);
    struct expr **argument;
    if (rollup_bucket_make(expr, time, m->arena, out))
        return &expr->arguments[out->time];
    return rollup_bucket_make_epoch(expr, time, out, &argument) ? argument : NULL;
}

/* A bucket of event time: the same of the rollup's bucket. */
static struct expr *derive_bucket(struct matcher *m, const struct expr *expr)
{
    struct rollup_bucket bucket;
    if (m->rollup->time_key < 0 || !is_utc(m) || expr->kind != EXPR_CALL)
        return NULL;
    struct expr *copy = expr_copy(expr, NULL, m->arena);
    struct expr **time = find_bucket(m, copy, &bucket);
    if (time == NULL || !is_coarser(m, &bucket))
        return NULL;
    struct rollup_bucket *coarse =
        arena_alloc_array(m->arena, m->use->coarse_count + 1, sizeof(*coarse));
    if (m->use->coarse_count != 0)
        memcpy(coarse, m->use->coarse, m->use->coarse_count * sizeof(*coarse));
    coarse[m->use->coarse_count++] = bucket;
    m->use->coarse = coarse;
    (*time)->column = (uint32_t)m->rollup->time_key;
    return copy;
}

/* --- expressions --- */

/* Over the rollup's keys; NULL: it does not follow from them. */
static struct expr *derive(struct matcher *m, const struct expr *expr)
{
    const struct rollup_form *form = &m->rollup->form;
    struct expr *copy = arena_alloc(m->arena, sizeof(*copy));
    for (size_t key = 0; key < form->key_count; key++)
        if (rollup_is_same(expr, form->keys[key])) {
            *copy = (struct expr){.kind = EXPR_COLUMN, .type = expr->type, .column = (uint32_t)key};
            return copy;
        }
    if (expr->kind == EXPR_COLUMN)
        return NULL;
    struct expr *bucket = derive_bucket(m, expr);
    if (bucket != NULL)
        return bucket;
    if (!expr_is_zoned(expr))
        return NULL;
    *copy = *expr;
    copy->arguments = arena_alloc_array(m->arena, expr->argument_count + 1, sizeof(struct expr *));
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        copy->arguments[i] = derive(m, expr->arguments[i]);
        if (copy->arguments[i] == NULL)
            return NULL;
    }
    return copy;
}

static bool derive_keys(struct matcher *m)
{
    struct rollup_use *use = m->use;
    use->key_count = m->query->key_count;
    use->keys = arena_alloc_array(m->arena, use->key_count + 1, sizeof(struct expr *));
    for (size_t i = 0; i < use->key_count; i++) {
        use->keys[i] = derive(m, m->query->keys[i]);
        if (use->keys[i] == NULL)
            return false;
    }
    return true;
}

/* --- conditions --- */

static bool is_among(const struct expr *expr, const struct expr_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (rollup_is_same(expr, list->items[i]))
            return true;
    return false;
}

static bool is_time(const struct matcher *m, const struct expr *expr)
{
    return expr->kind == EXPR_COLUMN && time_column(m) >= 0 &&
           expr->column == (uint32_t)time_column(m) && expr->type.id == TYPE_TIMESTAMPTZ;
}

/* Event time against a value, as "not before" or "before" it. */
static bool take_bound(struct matcher *m, const struct expr *expr)
{
    enum compare_operation operation;
    struct rollup_use *use = m->use;
    if (expr->kind != EXPR_CALL || expr->argument_count != 2 ||
        use->bound_count == PARTIAL_BOUNDS_MAX)
        return false;
    bool is_swapped = !is_time(m, expr->arguments[0]);
    const struct expr *constant = expr->arguments[is_swapped ? 0 : 1];
    if (!is_time(m, expr->arguments[is_swapped ? 1 : 0]) || constant->kind != EXPR_CONSTANT ||
        constant->constant.is_null || constant->type.id != TYPE_TIMESTAMPTZ ||
        !expr_comparison(expr, is_swapped, &operation) || operation == COMPARE_EQ)
        return false;
    struct rollup_bound bound = {.us = constant->constant.i,
                                 .is_from = operation == COMPARE_GE || operation == COMPARE_GT};
    bool is_next = operation == COMPARE_GT || operation == COMPARE_LE;
    if (is_next && bound.us >= INT64_MAX - 1)
        return false;
    bound.us += is_next;
    bound.has_bucket =
        m->rollup->time_key >= 0 && is_utc(m) &&
        rollup_bucket_find(&m->rollup->bucket, &m->exec->eval, bound.us, &bound.begin, &bound.end);
    use->bounds[use->bound_count++] = bound;
    return true;
}

/* "is not NULL" of a column that never is. */
static bool is_always(const struct matcher *m, const struct expr *expr)
{
    return expr->kind == EXPR_IS_NULL && expr->is_negated &&
           expr->arguments[0]->kind == EXPR_COLUMN &&
           m->rollup->form.schema->columns[expr->arguments[0]->column].is_not_null;
}

static bool derive_conditions(struct matcher *m)
{
    const struct expr_list *ours = &m->rollup->form.conditions, *asked = &m->query->conditions;
    struct expr_list rest = {0};
    for (size_t i = 0; i < ours->count; i++)
        if (!is_always(m, ours->items[i]) && !is_among(ours->items[i], asked) &&
            !fault_is("rollup.filter_ignored"))
            return false;
    for (size_t i = 0; i < asked->count; i++) {
        if (is_always(m, asked->items[i]) || is_among(asked->items[i], ours) ||
            take_bound(m, asked->items[i]))
            continue;
        struct expr *derived = derive(m, asked->items[i]);
        if (derived == NULL)
            return false;
        expr_list_add(m->arena, &rest, derived);
    }
    m->use->condition = expr_join(m->arena, &rest);
    return true;
}

/* --- calls --- */

static bool are_same(const struct expr *a, const struct expr *b)
{
    return a == NULL || b == NULL ? a == b : rollup_is_same(a, b);
}

/* count of what is never NULL is count(*). */
static bool is_row_count(const struct matcher *m, const struct rollup_call *call)
{
    bool is_count = strcmp(call->aggregate->name, "count") == 0;
    const struct expr *of = call->argument_count == 1 ? call->arguments[0] : NULL;
    return is_count && (of == NULL || (of->kind == EXPR_COLUMN &&
                                       m->rollup->form.schema->columns[of->column].is_not_null));
}

static bool is_same_call(const struct matcher *m, const struct rollup_call *asked,
                         const struct rollup_call *ours)
{
    if (is_row_count(m, asked) && is_row_count(m, ours))
        return true;
    bool is = rollup_is_one_state(asked->aggregate, ours->aggregate) &&
              asked->argument_count == ours->argument_count;
    for (uint32_t i = 0; is && i < asked->argument_count; i++)
        is = rollup_is_same(asked->arguments[i], ours->arguments[i]);
    return is;
}

static bool derive_call(struct matcher *m, const struct rollup_call *asked,
                        struct rollup_use_call *out)
{
    const struct rollup_form *form = &m->rollup->form;
    struct expr *filter = NULL;
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1 && (asked->filter == NULL || (filter = derive(m, asked->filter)) == NULL))
            return false;
        for (size_t i = 0; i < form->call_count; i++) {
            const struct rollup_call *ours = &form->calls[i];
            bool is_filtered =
                pass == 0 ? are_same(asked->filter, ours->filter) : ours->filter == NULL;
            *out = (struct rollup_use_call){.offset = m->rollup->offsets[i], .filter = filter};
            if (is_filtered && is_same_call(m, asked, ours))
                return true;
        }
    }
    return false;
}

static bool derive_calls(struct matcher *m)
{
    struct rollup_use *use = m->use;
    use->call_count = m->query->call_count;
    use->calls = arena_alloc_zero(m->arena, (use->call_count + 1) * sizeof(*use->calls));
    for (size_t i = 0; i < use->call_count; i++)
        if (!derive_call(m, &m->query->calls[i], &use->calls[i]))
            return false;
    return true;
}

/* --- all of it --- */

static bool is_of_same(const struct matcher *m)
{
    const struct schema *asked = m->query->schema, *ours = m->rollup->form.schema;
    return asked->table_id == ours->table_id && asked->version == ours->version &&
           strcmp(timezone_name(m->exec->eval.zone), timezone_name(m->rollup->zone)) == 0;
}

struct rollup_use *rollup_match(struct exec *exec, const struct plan *group)
{
    struct rollup_form query;
    const struct plan *scan = group->children[0];
    bool is_formed = false;
    while (scan->kind == PLAN_PROJECT || scan->kind == PLAN_FILTER)
        scan = scan->children[0];
    for (size_t i = 0; exec->rollups != NULL && i < exec->rollups->count; i++) {
        struct rollup *rollup = exec->rollups->list[i];
        if (scan->kind != PLAN_SCAN || scan->scan.schema->table_id != rollup->form.schema->table_id)
            continue;
        if (!is_formed && !rollup_form_make(group, &exec->eval, &exec->arena, &query))
            return NULL;
        is_formed = true;
        struct rollup_use *use = arena_alloc_zero(&exec->arena, sizeof(*use));
        struct matcher m = {
            .exec = exec, .arena = &exec->arena, .rollup = rollup, .query = &query, .use = use};
        use->rollup = rollup;
        use->exec = exec;
        if (is_of_same(&m) && derive_keys(&m) && derive_conditions(&m) && derive_calls(&m))
            return use;
    }
    return NULL;
}

/* --- told of --- */

struct slice rollup_shown_name(const struct exec *exec, const struct rollup *rollup)
{
    bool is_seen = asker_rights(exec->asker, rollup->view_id | RIGHT_VIEW) != 0;
    return is_seen ? rollup->name : SLICE("?");
}

static void describe_group(struct exec *exec, const struct plan *plan)
{
    struct plan_actual *actual = &exec->actual[plan->id];
    const struct rollup_use *use = partial_is_for(plan) ? rollup_match(exec, plan) : NULL;
    const struct table_view *view =
        use == NULL ? NULL : snapshot_find_id(exec->snapshot, use->rollup->form.schema->table_id);
    if (view == NULL || table_view_rows(view) < PORTIONS_ROWS_MIN)
        return;
    actual->rollup = rollup_shown_name(exec, use->rollup);
    uint64_t last = 0;
    for (size_t morsel = 0; morsel < table_view_morsel_count(view); morsel++) {
        struct morsel_home home = table_view_morsel_home(view, morsel);
        if (home.is_sealed && home.segment != last && rollup_covers(use->rollup, home.segment))
            actual->rollup_segments++;
        last = home.is_sealed ? home.segment : last;
    }
}

void rollup_describe(struct exec *exec, const struct plan *plan)
{
    if (exec->rollups == NULL)
        return;
    if (plan->kind == PLAN_GROUP)
        describe_group(exec, plan);
    for (size_t i = 0; i < plan->child_count; i++)
        rollup_describe(exec, plan->children[i]);
}
