/* CREATE MATERIALIZED VIEW … WITH (rollup = 'true'): is the query one whose groups can be made
 * segment by segment and added up? One table, keys, aggregates that merge, and nothing that is
 * another value tomorrow. Whatever else a view may be is refused by its name. */
#include "query/sql/bind.h"

#include "query/func/aggregate.h"
#include "query/plan/rollup.h"

static enum err refuse(struct binder *b, int32_t position, const char *what)
{
    bind_error(b, position, "0A000", "%s in a rollup is not supported", what);
    error_hint(b->error, "a rollup is SELECT keys, aggregates FROM table [WHERE …] GROUP BY keys");
    return ERR_UNSUPPORTED;
}

static int32_t position_of(const struct ast_node *node, int32_t otherwise)
{
    return node != NULL && node->position > 0 ? node->position : otherwise;
}

/* Clauses that have no place in it. */
static enum err check_clauses(struct binder *b, const struct ast_select *select, int32_t position)
{
    if (select->kind != SELECT_PLAIN)
        return refuse(b, position, "VALUES, UNION, INTERSECT or EXCEPT");
    if (select->cte_count > 0)
        return refuse(b, position, "WITH");
    if (select->is_distinct || select->distinct_count > 0)
        return refuse(b, position, "DISTINCT");
    if (select->having != NULL)
        return refuse(b, position_of(select->having, position), "HAVING");
    if (select->order_count > 0)
        return refuse(b, position_of(select->order[0].node, position), "ORDER BY");
    if (select->limit != NULL || select->offset != NULL)
        return refuse(b,
                      position_of(select->limit != NULL ? select->limit : select->offset, position),
                      "LIMIT or OFFSET");
    if (select->window_count > 0)
        return refuse(b, select->windows[0]->position, "WINDOW");
    if (select->group_count == 0)
        return refuse(b, position, "a query without GROUP BY");
    for (size_t index = 0; index < select->group_count; index++)
        if (select->group[index]->kind == AST_GROUPING_SET)
            return refuse(b, position_of(select->group[index], position), "a grouping set");
    if (select->from_count != 1 || select->from[0]->kind == FROM_JOIN)
        return refuse(b, select->from_count > 0 ? select->from[0]->position : position,
                      "FROM of anything but one table");
    return select->from[0]->sample == NULL ? OK
                                           : refuse(b, select->from[0]->position, "TABLESAMPLE");
}

/* The GROUP, with only projections above it; NULL: there is something else. */
static const struct plan *find_group(const struct plan *plan)
{
    while (plan->kind == PLAN_PROJECT)
        plan = plan->children[0];
    return plan->kind == PLAN_GROUP ? plan : NULL;
}

static bool is_one_table(const struct plan *plan)
{
    while (plan->kind == PLAN_PROJECT || plan->kind == PLAN_FILTER)
        plan = plan->children[0];
    return plan->kind == PLAN_SCAN;
}

static enum err check_steady(struct binder *b, const struct expr *expr)
{
    const struct expr *loose = rollup_find_loose(expr);
    if (loose == NULL)
        return OK;
    return refuse(b, loose->text_position,
                  expr_is_subquery(loose)     ? "a subquery"
                  : loose->kind == EXPR_BOUND ? "a parameter"
                                              : "a value that depends on more than the row");
}

/* Values of these types that are equal are the same in every way: what is computed of a group's key
 * is what would have been computed of its rows'. */
static bool is_key_type(struct type type)
{
    switch (type.id) {
    case TYPE_BOOL:
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_TEXT:
    case TYPE_VARCHAR:
    case TYPE_UUID:
    case TYPE_DATE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return true;
    default:
        return false;
    }
}

static enum err check_call(struct binder *b, const struct aggregate_call *call)
{
    if (call->is_distinct)
        return refuse(b, call->text_position, "DISTINCT of an aggregate");
    if (!rollup_is_mergeable(call->aggregate) || call->order_by != NULL || call->order_count > 0)
        return refuse(b, call->text_position, "an aggregate that does not add up from parts");
    enum err result = call->filter == NULL ? OK : check_steady(b, call->filter);
    for (uint32_t index = 0; index < call->argument_count && result == OK; index++)
        result = check_steady(b, call->arguments[index]);
    return result;
}

static enum err check_below(struct binder *b, const struct plan *plan)
{
    enum err result = OK;
    for (; plan->kind != PLAN_SCAN && result == OK; plan = plan->children[0]) {
        if (plan->kind == PLAN_FILTER)
            result = check_steady(b, plan->filter.predicate);
        for (size_t index = 0;
             plan->kind == PLAN_PROJECT && index < plan->column_count && result == OK; index++)
            result = check_steady(b, plan->project.exprs[index]);
    }
    return result;
}

enum err bind_check_rollup(struct binder *b, const struct ast_statement *ast,
                           const struct view_dependencies *depends, const struct plan *plan)
{
    int32_t position = ast->command->text_position;
    enum err result = check_clauses(b, ast->select, position);
    if (result != OK)
        return result;
    const struct plan *group = find_group(plan);
    if (depends->views.count > 0)
        return refuse(b, ast->select->from[0]->position, "a view");
    if (depends->tables.count != 1 || group == NULL || !is_one_table(group->children[0]))
        return refuse(b, position, "anything but one table grouped");
    for (size_t index = 0; index < group->group.key_count && result == OK; index++) {
        const struct expr *key = group->group.keys[index];
        result = check_steady(b, key);
        if (result == OK && !is_key_type(key->type))
            result = refuse(b, key->text_position,
                            "a key that is no boolean, integer, text, date, timestamp or uuid");
    }
    for (size_t index = 0; index < group->group.aggregate_count && result == OK; index++)
        result = check_call(b, &group->group.aggregates[index]);
    return result == OK ? check_below(b, group->children[0]) : result;
}
