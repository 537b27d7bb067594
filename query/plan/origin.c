/* Where a column of a plan's output comes from: the table and the column in it, if it is that
 * column as it is. Drivers ask the catalogue by these numbers whether a result's column may be NULL
 * and what it is called in its table.
 *
 * Found in the finished plan, not kept along with it: passes may put columns anywhere, and only who
 * describes rows wants to know. A view's columns are those of the tables under it;
 * who describes rows leaves out what their asker may not see. */
#include "query/func/catalog.h"
#include "query/plan/plan.h"

static struct plan_origin of_expr(const struct expr *expr, const struct plan *child)
{
    return expr->kind == EXPR_COLUMN ? plan_origin(child, expr->column) : (struct plan_origin){0};
}

static struct plan_origin of_provider(const struct plan *plan, size_t column)
{
    const struct table_provider *provider = plan->provider.provider;
    const struct catalog_relation *relation = catalog_relation_by_name(
        slice_from_cstr(provider->schema_name), slice_from_cstr(provider->name));
    if (relation == NULL)
        return (struct plan_origin){0};
    return (struct plan_origin){relation->oid, (uint16_t)(plan->provider.columns[column] + 1)};
}

static struct plan_origin of_join(const struct plan *plan, size_t column)
{
    size_t left = plan->children[0]->column_count;
    return column < left ? plan_origin(plan->children[0], column)
                         : plan_origin(plan->children[1], column - left);
}

/* As deep as the plan is, which is bounded where it is made. */
struct plan_origin plan_origin(const struct plan *plan, size_t column)
{
    switch (plan->kind) {
    case PLAN_SCAN:
        return (struct plan_origin){(uint32_t)table_oid(plan->scan.schema->table_id),
                                    (uint16_t)(plan->scan.columns[column] + 1)};
    case PLAN_PROVIDER:
        return of_provider(plan, column);
    case PLAN_PROJECT:
        return of_expr(plan->project.exprs[column], plan->children[0]);
    case PLAN_GROUP:
        return column < plan->group.key_count ? of_expr(plan->group.keys[column], plan->children[0])
                                              : (struct plan_origin){0};
    case PLAN_JOIN:
    case PLAN_APPLY:
        return of_join(plan, column);
    case PLAN_FILTER:
    case PLAN_SORT:
    case PLAN_LIMIT:
    case PLAN_LOOKUP:
    case PLAN_FIRST:
    case PLAN_HOP:
    case PLAN_WINDOW:
        if (column < plan->children[0]->column_count)
            return plan_origin(plan->children[0], column);
        return (struct plan_origin){0};
    default: /* values of several rows' making, or of none */
        return (struct plan_origin){0};
    }
}
