/* Walks over whole plans: every expression of every node. */
#include "query/plan/rewrite.h"

struct visit {
    void (*visit)(void *context, const struct expr *expr);
    void *context;
};

static void visit_expr(const struct visit *v, const struct expr *expr)
{
    if (expr != NULL)
        v->visit(v->context, expr);
}

static void visit_exprs(const struct visit *v, struct expr *const *exprs, size_t count)
{
    for (size_t index = 0; index < count; index++)
        visit_expr(v, exprs[index]);
}

static void visit_aggregate(const struct visit *v, const struct aggregate_call *call)
{
    visit_exprs(v, call->arguments, call->argument_count);
    visit_expr(v, call->filter);
    visit_expr(v, call->order_by);
}

static void visit_keys(const struct visit *v, const struct sort_key *keys, size_t count)
{
    for (size_t index = 0; index < count; index++)
        visit_expr(v, keys[index].expr);
}

static void visit_lookup(const struct visit *v, const struct plan *plan)
{
    visit_exprs(v, plan->lookup.keys, plan->lookup.key_count);
    visit_exprs(v, plan->lookup.values, plan->lookup.key_count);
    visit_expr(v, plan->lookup.condition);
    visit_keys(v, plan->lookup.order, plan->lookup.order_count);
    for (size_t index = 0; index < plan->lookup.bound_count; index++)
        visit_expr(v, plan->lookup.bounds[index].value);
}

/* Stands for all that a node this file does not know may hold: every slot. */
#define SLOT_ANY UINT32_MAX
static const struct expr unknown = {
    .kind = EXPR_OUTER, .type = {.id = TYPE_UNKNOWN}, .parameter = SLOT_ANY};

static void visit_node(const struct visit *v, const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_SCAN:
        visit_expr(v, plan->scan.filter);
        break;
    case PLAN_PROVIDER:
        visit_expr(v, plan->provider.filter);
        break;
    case PLAN_VALUES:
        visit_exprs(v, plan->values.cells, plan->values.row_count * plan->column_count);
        break;
    case PLAN_FILTER:
        visit_expr(v, plan->filter.predicate);
        break;
    case PLAN_PROJECT:
        visit_exprs(v, plan->project.exprs, plan->column_count);
        break;
    case PLAN_GROUP:
        visit_exprs(v, plan->group.keys, plan->group.key_count);
        for (size_t index = 0; index < plan->group.aggregate_count; index++)
            visit_aggregate(v, &plan->group.aggregates[index]);
        break;
    case PLAN_SORT:
    case PLAN_LIMIT:
        visit_keys(v, plan->sort.keys, plan->sort.key_count);
        visit_expr(v, plan->sort.limit);
        visit_expr(v, plan->sort.offset);
        break;
    case PLAN_JOIN:
    case PLAN_APPLY:
        visit_exprs(v, plan->join.left_keys, plan->join.key_count);
        visit_exprs(v, plan->join.right_keys, plan->join.key_count);
        visit_expr(v, plan->join.condition);
        visit_exprs(v, plan->join.arguments, plan->join.slots.count);
        break;
    case PLAN_LOOKUP:
        visit_lookup(v, plan);
        break;
    case PLAN_FIRST:
        visit_exprs(v, plan->first.keys, plan->first.key_count);
        break;
    case PLAN_SERIES:
        for (size_t index = 0; index < plan->series.call_count; index++)
            visit_exprs(v, plan->series.calls[index].arguments,
                        plan->series.calls[index].argument_count);
        break;
    case PLAN_UNION_ALL:
    case PLAN_SET:
    case PLAN_HOP:
    case PLAN_RECURSION:
    case PLAN_WORKING:
        break;
    case PLAN_WINDOW:
        visit_keys(v, plan->window.keys, plan->window.key_count);
        for (size_t index = 0; index < plan->window.call_count; index++) {
            visit_aggregate(v, &plan->window.calls[index].aggregate);
            visit_expr(v, plan->window.calls[index].frame.start_offset);
            visit_expr(v, plan->window.calls[index].frame.end_offset);
        }
        break;
    default:
        visit_expr(v, &unknown);
        break;
    }
}

void plan_visit_node(const struct plan *plan, void (*visit)(void *context, const struct expr *expr),
                     void *context)
{
    visit_node(&(struct visit){visit, context}, plan);
}

void plan_visit(const struct plan *plan, void (*visit)(void *context, const struct expr *expr),
                void *context)
{
    visit_node(&(struct visit){visit, context}, plan);
    for (size_t index = 0; index < plan->child_count; index++)
        plan_visit(plan->children[index], visit, context);
}

/* --- what a plan or an expression takes of the query around --- */

static bool is_slot(const struct subplan_slots *slots, uint32_t slot)
{
    if (slots == NULL || slot == SLOT_ANY)
        return true;
    for (size_t index = 0; index < slots->count; index++)
        if (slots->slots[index] == slot)
            return true;
    return false;
}

bool expr_uses_slots(const struct expr *expr, const struct subplan_slots *slots)
{
    if (expr->kind == EXPR_OUTER && is_slot(slots, expr->parameter))
        return true;
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (expr_uses_slots(expr->arguments[index], slots))
            return true;
    return false;
}

struct slot_search {
    const struct subplan_slots *slots;
    bool is_found, is_volatile;
};

static void search(void *context, const struct expr *expr)
{
    struct slot_search *s = context;
    s->is_found = s->is_found || expr_uses_slots(expr, s->slots);
    s->is_volatile = s->is_volatile || expr_is_volatile(expr);
}

bool plan_uses_slots(const struct plan *plan, const struct subplan_slots *slots)
{
    struct slot_search s = {.slots = slots};
    plan_visit(plan, search, &s);
    return s.is_found;
}

bool plan_is_volatile(const struct plan *plan)
{
    struct slot_search s = {0};
    plan_visit(plan, search, &s);
    return s.is_volatile;
}
