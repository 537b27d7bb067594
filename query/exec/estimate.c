/* How many rows an operator may give: a guess from the snapshot's counts, made when a run opens, so
 * that plans stay free of the data they run over. Only ever used to choose between two ways that
 * give the same rows. */
#include "query/exec/operator.h"

#define PROVIDER_ROWS 1000
/* A filter is taken to keep one row in so many, a GROUP BY to have one group for so many. */
#define FILTER_SHARE 4
#define GROUP_SHARE 10

static uint64_t clamp_limit(const struct plan *plan, uint64_t rows)
{
    const struct expr *limit = plan->sort.limit;
    bool is_known = limit != NULL && limit->kind == EXPR_CONSTANT && !limit->constant.is_null &&
                    limit->constant.i >= 0;
    return is_known && (uint64_t)limit->constant.i < rows ? (uint64_t)limit->constant.i : rows;
}

static uint64_t estimate_join(struct exec *exec, const struct plan *plan)
{
    uint64_t left = exec_estimate(exec, plan->children[0]);
    uint64_t right = exec_estimate(exec, plan->children[1]);
    if (plan->join.kind == JOIN_SEMI || plan->join.kind == JOIN_ANTI)
        return left;
    if (plan->join.key_count > 0 || right == 0)
        return left > right ? left : right;
    return left > UINT64_MAX / right ? UINT64_MAX : left * right;
}

uint64_t exec_estimate(struct exec *exec, const struct plan *plan)
{
    const struct table_view *view;
    uint64_t rows = 0;
    switch (plan->kind) {
    case PLAN_SCAN:
        view = exec->snapshot == NULL
                   ? NULL
                   : snapshot_find_id(exec->snapshot, plan->scan.schema->table_id);
        rows = view == NULL ? 0 : table_view_rows(view);
        return plan->scan.filter == NULL ? rows : rows / FILTER_SHARE;
    case PLAN_PROVIDER:
        return PROVIDER_ROWS;
    case PLAN_VALUES:
        return plan->values.row_count;
    case PLAN_FILTER:
        return exec_estimate(exec, plan->children[0]) / FILTER_SHARE;
    case PLAN_GROUP:
        return plan->group.key_count == 0 ? 1
                                          : exec_estimate(exec, plan->children[0]) / GROUP_SHARE;
    case PLAN_SORT:
    case PLAN_LIMIT:
        return clamp_limit(plan, exec_estimate(exec, plan->children[0]));
    case PLAN_JOIN:
    case PLAN_APPLY:
        return estimate_join(exec, plan);
    default:
        for (size_t index = 0; index < plan->child_count; index++)
            rows += exec_estimate(exec, plan->children[index]);
        return rows;
    }
}
