/* Literals as values: a plan that gets them when it runs serves every text of its shape.
 *
 *   Scan: t >= '2026-05-01' AND n > 5     ▶     Scan: t >= lifted(1) AND n > lifted(2)
 *
 * The text is bound, typed and planned with the literals as they stand, so names, types and errors
 * are what they are without this. At the end a literal becomes a value if all that was made of it
 * stands beside a comparison or in an IN list of a scan's filter, where the scan asks for it when
 * it opens, or of an aggregate's FILTER, or is an argument of a function in FROM that gives rows,
 * or the LIMIT or OFFSET of the outermost query: then nothing else can depend on it. Where it went
 * elsewhere besides (into a truth that was folded, a join's condition, the filter of a group) it
 * stays what it is, and texts that differ in it do not share the plan. What was computed of
 * literals ('…'::timestamptz - interval '1 day') is one value, computed again for each text; a cast
 * that depends on the zone (TIMESTAMP '…' beside a timestamptz) is computed when the query runs. */
#include "query/func/func.h"
#include "query/plan/rewrite.h"
#include "storage/base/fault.h"

struct lifter {
    struct builder *build;
    const struct text_shape *shape;
    bool *is_fixed; /* by literal */
    bool has_changed;
    struct lifted_list *out;
    size_t capacity;
};

/* --- which --- */

static bool is_marked(const struct expr *expr)
{
    return expr->kind == EXPR_CONSTANT && (expr->literal != 0 || expr->folded != NULL);
}

static bool has_fixed(const struct lifter *l, const struct expr *expr)
{
    bool has = expr->literal != 0 && l->is_fixed[expr->literal - 1];
    has = has || (expr->folded != NULL && has_fixed(l, expr->folded));
    for (uint32_t i = 0; !has && i < expr->argument_count; i++)
        has = has_fixed(l, expr->arguments[i]);
    return has;
}

static void fix(void *context, const struct expr *expr)
{
    struct lifter *l = context;
    if (expr->literal != 0 && !l->is_fixed[expr->literal - 1])
        l->is_fixed[expr->literal - 1] = l->has_changed = true;
    if (expr->folded != NULL)
        fix(l, expr->folded);
    for (uint32_t i = 0; i < expr->argument_count; i++)
        fix(l, expr->arguments[i]);
}

static bool is_comparison(const struct expr *expr)
{
    static const char *const names[] = {"=", "<>", "<", "<=", ">", ">="};
    bool is = expr->kind == EXPR_IN;
    for (size_t i = 0; !is && i < array_count(names); i++)
        is = expr_is_operator(expr, names[i]);
    return is;
}

static bool is_logic(const struct expr *expr)
{
    return expr->kind == EXPR_AND || expr->kind == EXPR_OR || expr->kind == EXPR_NOT;
}

/* Not through a cast of a text ('now'), which would be read when a row is met, whatever it says. */
static bool is_value(const struct expr *expr)
{
    while (expr->kind == EXPR_CAST && !is_marked(expr) &&
           (type_physical((enum type_id)expr->arguments[0]->type.id) != PHYSICAL_TEXT ||
            fault_is("cache.shape_lifts_texts")))
        expr = expr->arguments[0];
    return is_marked(expr);
}

static void fix_value(struct lifter *l, const struct expr *expr)
{
    if (!is_value(expr) || has_fixed(l, expr))
        fix(l, expr);
}

static void fix_filter(struct lifter *l, const struct expr *expr)
{
    bool is_test = is_comparison(expr);
    if (!is_test && !is_logic(expr)) {
        fix(l, expr);
        return;
    }
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        const struct expr *argument = expr->arguments[i];
        if (!is_test)
            fix_filter(l, argument);
        else
            fix_value(l, argument);
    }
}

static bool is_liftable(const struct lifter *l, const struct expr *expr)
{
    return expr != NULL && is_marked(expr) && !has_fixed(l, expr);
}

/* How many rows it gives is asked when it opens, too. */
static void fix_limited(struct lifter *l, const struct plan *plan)
{
    struct plan rest = *plan;
    if (is_liftable(l, rest.sort.limit))
        rest.sort.limit = NULL;
    if (is_liftable(l, rest.sort.offset))
        rest.sort.offset = NULL;
    plan_visit_node(&rest, fix, l);
}

static void fix_group(struct lifter *l, const struct plan *plan)
{
    struct plan rest = *plan;
    size_t count = plan->group.aggregate_count;
    rest.group.aggregates =
        arena_alloc_array(l->build->arena, count + 1, sizeof(*rest.group.aggregates));
    for (size_t i = 0; i < count; i++) {
        rest.group.aggregates[i] = plan->group.aggregates[i];
        rest.group.aggregates[i].filter = NULL;
        if (plan->group.aggregates[i].filter != NULL)
            fix_filter(l, plan->group.aggregates[i].filter);
    }
    plan_visit_node(&rest, fix, l);
}

static void fix_arguments(struct lifter *l, const struct series_call *call)
{
    for (uint32_t i = 0; i < call->argument_count; i++)
        fix_value(l, call->arguments[i]);
}

static void fix_plan(struct lifter *l, const struct plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->kind == PLAN_SORT || plan->kind == PLAN_LIMIT)
        fix_limited(l, plan);
    else if (plan->kind == PLAN_SERIES)
        for (size_t i = 0; i < plan->series.call_count; i++)
            fix_arguments(l, &plan->series.calls[i]);
    else if (plan->kind == PLAN_GROUP)
        fix_group(l, plan);
    else if (plan->kind != PLAN_SCAN)
        plan_visit_node(plan, fix, l);
    else if (plan->scan.filter != NULL)
        fix_filter(l, plan->scan.filter);
    for (size_t i = 0; i < plan->child_count; i++)
        fix_plan(l, plan->children[i]);
}

/* --- lifting --- */

static struct expr *bound(struct lifter *l, size_t item, struct type type, int32_t position)
{
    struct expr *expr = arena_alloc_zero(l->build->arena, sizeof(*expr));
    expr->kind = EXPR_BOUND;
    expr->type = type;
    expr->text_position = position;
    expr->parameter = BOUND_LIFTED_FIRST + (uint32_t)item;
    return expr;
}

static size_t add(struct lifter *l, struct lifted item)
{
    struct lifted_list *out = l->out;
    for (size_t i = 0; item.formula == NULL && i < out->count; i++)
        if (out->items[i].formula == NULL && out->items[i].literal == item.literal &&
            type_equal(out->items[i].type, item.type))
            return i;
    if (out->count == l->capacity) {
        l->capacity = l->capacity == 0 ? 8 : l->capacity * 2;
        struct lifted *items = arena_alloc_array(l->build->arena, l->capacity, sizeof(*items));
        if (out->count > 0)
            memcpy(items, out->items, out->count * sizeof(*items));
        out->items = items;
    }
    out->items[out->count] = item;
    return out->count++;
}

static struct expr *lift_literal(struct lifter *l, const struct expr *expr)
{
    uint32_t literal = expr->literal - 1;
    l->out->is_lifted[literal] = true;
    size_t item = add(l, (struct lifted){.literal = literal, .type = expr->constant.type});
    return bound(l, item, expr->type, expr->text_position);
}

/* What a constant was folded from, with values in place of literals. */
static struct expr *unfold(struct lifter *l, const struct expr *expr)
{
    if (expr->folded != NULL)
        return unfold(l, expr->folded);
    if (is_marked(expr))
        return lift_literal(l, expr);
    struct expr *copy = arena_alloc(l->build->arena, sizeof(*copy));
    *copy = *expr;
    if (expr->argument_count > 0)
        copy->arguments =
            arena_alloc_array(l->build->arena, expr->argument_count, sizeof(struct expr *));
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = unfold(l, expr->arguments[i]);
    return copy;
}

static struct expr *lift_constant(struct lifter *l, const struct expr *expr)
{
    if (expr->literal != 0)
        return lift_literal(l, expr);
    struct expr *formula = unfold(l, expr->folded);
    size_t item = add(l, (struct lifted){.type = expr->type, .formula = formula});
    return bound(l, item, expr->type, expr->text_position);
}

/* A copy: parts of it may stand in other plans too. */
static struct expr *lift_value(struct lifter *l, struct expr *expr)
{
    if (!is_value(expr) || has_fixed(l, expr))
        return expr;
    if (is_marked(expr))
        return lift_constant(l, expr);
    struct expr *copy = arena_alloc(l->build->arena, sizeof(*copy));
    *copy = *expr;
    copy->arguments = arena_alloc_array(l->build->arena, 1, sizeof(struct expr *));
    copy->arguments[0] = lift_value(l, expr->arguments[0]);
    return copy;
}

static struct expr **lift_values(struct lifter *l, struct expr *const *exprs, size_t count)
{
    struct expr **out = arena_alloc_array(l->build->arena, count + 1, sizeof(struct expr *));
    for (size_t i = 0; i < count; i++)
        out[i] = lift_value(l, exprs[i]);
    return out;
}

static struct expr *lift_filter(struct lifter *l, const struct expr *expr)
{
    struct expr *copy = arena_alloc(l->build->arena, sizeof(*copy));
    *copy = *expr;
    bool is_test = is_comparison(expr);
    if (!is_test && !is_logic(expr))
        return copy;
    if (is_test) {
        copy->arguments = lift_values(l, expr->arguments, expr->argument_count);
        return copy;
    }
    copy->arguments =
        arena_alloc_array(l->build->arena, expr->argument_count, sizeof(struct expr *));
    for (uint32_t i = 0; i < expr->argument_count; i++)
        copy->arguments[i] = lift_filter(l, expr->arguments[i]);
    return copy;
}

static struct expr *lift_limit(struct lifter *l, struct expr *expr)
{
    if (!is_liftable(l, expr))
        return expr;
    struct expr *lifted = lift_constant(l, expr);
    return fault_is("cache.shape_keeps_limit") ? expr : lifted;
}

static void lift_plan(struct lifter *l, struct plan *plan)
{
    if (plan == NULL)
        return;
    if (plan->kind == PLAN_SCAN && plan->scan.filter != NULL)
        plan->scan.filter = lift_filter(l, plan->scan.filter);
    for (size_t i = 0; plan->kind == PLAN_GROUP && i < plan->group.aggregate_count; i++) {
        struct aggregate_call *call = &plan->group.aggregates[i];
        if (call->filter != NULL)
            call->filter = lift_filter(l, call->filter);
    }
    for (size_t i = 0; plan->kind == PLAN_SERIES && i < plan->series.call_count; i++) {
        struct series_call *call = &plan->series.calls[i];
        call->arguments = lift_values(l, call->arguments, call->argument_count);
    }
    if (plan->kind == PLAN_SORT || plan->kind == PLAN_LIMIT) {
        plan->sort.limit = lift_limit(l, plan->sort.limit);
        plan->sort.offset = lift_limit(l, plan->sort.offset);
    }
    for (size_t i = 0; i < plan->child_count; i++)
        lift_plan(l, plan->children[i]);
}

static void keep_shape(struct lifter *l)
{
    struct arena *arena = l->build->arena;
    struct text_shape *shape = &l->out->shape;
    *shape = *l->shape;
    shape->text = arena_copy(arena, l->shape->text);
    shape->literals = arena_alloc_array(arena, shape->count, sizeof(*shape->literals));
    memcpy(shape->literals, l->shape->literals, shape->count * sizeof(*shape->literals));
}

void plan_lift(struct builder *build, const struct text_shape *shape, struct statement *statement)
{
    struct lifter l = {.build = build,
                       .shape = shape,
                       .is_fixed = build->is_literal_fixed,
                       .has_changed = true,
                       .out = &statement->lifted};
    if (l.is_fixed == NULL)
        return;
    while (l.has_changed) {
        l.has_changed = false;
        fix_plan(&l, statement->plan);
        for (size_t i = 0; i < statement->subplan_count; i++)
            fix_plan(&l, statement->subplans[i]);
    }
    l.out->is_lifted = arena_alloc_zero(build->arena, shape->count * sizeof(bool));
    lift_plan(&l, statement->plan);
    for (size_t i = 0; i < statement->subplan_count; i++)
        lift_plan(&l, statement->subplans[i]);
    l.out->has_shape = l.out->count > 0;
    for (size_t i = 0; i < shape->count; i++) {
        l.out->is_lifted[i] = l.out->is_lifted[i] || shape->literals[i].is_comment;
        l.out->has_shape = l.out->has_shape || shape->literals[i].is_comment;
    }
    if (l.out->has_shape)
        keep_shape(&l);
    if (fault_is("cache.shape_lifts_ordinal")) /* … and everything else */
        memset(l.out->is_lifted, true, shape->count * sizeof(bool));
}
