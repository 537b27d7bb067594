/* A projection right below a projection or a GROUP is put into it, so that a sub-select or tumble()
 * costs no pass of its own. Only if nothing is computed twice by it: an expression that is more
 * than a column or a constant must be used at most once above. */
#include "query/plan/rewrite.h"

struct uses {
    uint32_t *counts;
};

static void count_use(void *context, uint32_t column)
{
    struct uses *uses = context;
    uses->counts[column]++;
}

static void count_group(const struct plan *plan, struct uses *uses)
{
    for (size_t index = 0; index < plan->group.key_count; index++)
        expr_visit_columns(plan->group.keys[index], count_use, uses);
    for (size_t index = 0; index < plan->group.aggregate_count; index++) {
        const struct aggregate_call *call = &plan->group.aggregates[index];
        for (uint32_t argument = 0; argument < call->argument_count; argument++)
            expr_visit_columns(call->arguments[argument], count_use, uses);
        if (call->filter != NULL)
            expr_visit_columns(call->filter, count_use, uses);
        if (call->order_by != NULL)
            expr_visit_columns(call->order_by, count_use, uses);
    }
}

static bool can_merge(struct builder *build, const struct plan *plan, const struct plan *below)
{
    struct uses uses = {.counts =
                            arena_alloc_zero(build->arena, below->column_count * sizeof(uint32_t))};
    if (plan->kind == PLAN_GROUP)
        count_group(plan, &uses);
    else
        for (size_t index = 0; index < plan->column_count; index++)
            expr_visit_columns(plan->project.exprs[index], count_use, &uses);
    for (size_t index = 0; index < below->column_count; index++) {
        const struct expr *expr = below->project.exprs[index];
        bool is_plain = expr->kind == EXPR_COLUMN || expr->kind == EXPR_CONSTANT;
        if (uses.counts[index] > 0 && !is_plain &&
            (uses.counts[index] > 1 || expr_is_volatile(expr)))
            return false;
    }
    return true;
}

static void merge_group(struct builder *build, struct plan *plan, struct expr *const *exprs)
{
    struct arena *arena = build->arena;
    for (size_t index = 0; index < plan->group.key_count; index++)
        plan->group.keys[index] = expr_substitute(plan->group.keys[index], exprs, arena);
    for (size_t index = 0; index < plan->group.aggregate_count; index++) {
        struct aggregate_call *call = &plan->group.aggregates[index];
        for (uint32_t argument = 0; argument < call->argument_count; argument++)
            call->arguments[argument] = expr_substitute(call->arguments[argument], exprs, arena);
        if (call->filter != NULL)
            call->filter = expr_substitute(call->filter, exprs, arena);
        if (call->order_by != NULL)
            call->order_by = expr_substitute(call->order_by, exprs, arena);
    }
}

struct plan *plan_merge(struct builder *build, struct plan *plan)
{
    for (size_t index = 0; index < plan->child_count; index++)
        plan->children[index] = plan_merge(build, plan->children[index]);
    if (plan->kind != PLAN_PROJECT && plan->kind != PLAN_GROUP)
        return plan;
    struct plan *below = plan->children[0];
    if (below->kind != PLAN_PROJECT || !can_merge(build, plan, below))
        return plan;
    if (plan->kind == PLAN_GROUP)
        merge_group(build, plan, below->project.exprs);
    else
        for (size_t index = 0; index < plan->column_count; index++)
            plan->project.exprs[index] =
                expr_substitute(plan->project.exprs[index], below->project.exprs, build->arena);
    plan->children[0] = below->children[0];
    return plan;
}
