/* Sorts of which only the first rows of each key are wanted:
 *
 *   First by k ◀ Sort by k, …                                       one row of each k
 *   Filter: place <= 3 ◀ Window: row_number() AS place ◀ Sort by partition, order      three of
 * each
 *
 * The sort is told how many of its keys are the key, and how many rows: then it may leave out rows
 * that cannot be among these (exec/heads.c). What is above stays and has the last word. A window
 * may only number rows by what comes before them: row_number and rank give the first rows the same
 * numbers, whatever is missing behind. */
#include "query/plan/rewrite.h"

#include "query/func/over.h"

#define HEAD_ROWS_MAX 16

/* DISTINCT ON: its keys are the first ones of the sort, in any order. */
static void first_heads(struct arena *arena, struct plan *first)
{
    size_t count = first->first.key_count;
    struct expr **keys = arena_alloc_array(arena, count + 1, sizeof(struct expr *));
    memcpy(keys, first->first.keys, count * sizeof(struct expr *));
    struct plan *plan = first->children[0];
    for (; plan->kind == PLAN_PROJECT; plan = plan->children[0])
        for (size_t index = 0; index < count; index++)
            keys[index] = expr_substitute(keys[index], plan->project.exprs, arena);
    if (plan->kind != PLAN_SORT || plan->sort.limit != NULL || plan->sort.offset != NULL)
        return;
    size_t found = 0;
    for (size_t index = 0; index < plan->sort.key_count; index++, found++) {
        size_t at = 0;
        while (at < count && !expr_equal(keys[at], plan->sort.keys[index].expr))
            at++;
        if (at == count)
            break;
    }
    for (size_t index = 0; index < count; index++) {
        size_t at = 0;
        while (at < found && !expr_equal(keys[index], plan->sort.keys[at].expr))
            at++;
        if (at == found)
            return;
    }
    plan->sort.head_keys = found;
    plan->sort.head_rows = found > 0;
    plan->sort.has_head_order = plan->sort.key_count > found;
}

/* `#column <= n` and its like: how many numbers from 1 on can meet it; 0: it is something else. */
static size_t numbers_below(const struct expr *test, uint32_t *column)
{
    static const struct {
        const char *name, *swapped;
        int64_t more;
    } table[] = {{"<=", ">=", 0}, {"<", ">", -1}, {"=", "=", 0}};
    if (test->kind != EXPR_CALL || test->argument_count != 2)
        return 0;
    bool is_swapped = test->arguments[0]->kind == EXPR_CONSTANT;
    const struct expr *number = test->arguments[is_swapped ? 1 : 0];
    const struct expr *bound = test->arguments[is_swapped ? 0 : 1];
    if (number->kind != EXPR_COLUMN || bound->kind != EXPR_CONSTANT || bound->constant.is_null ||
        type_physical((enum type_id)bound->type.id) != PHYSICAL_INT ||
        !type_is_alike(number->type, bound->type))
        return 0;
    for (size_t index = 0; index < array_count(table); index++) {
        if (!expr_is_operator(test, is_swapped ? table[index].swapped : table[index].name))
            continue;
        int64_t rows = bound->constant.i;
        if (rows < 1 || rows > HEAD_ROWS_MAX || rows + table[index].more < 1)
            return 0;
        *column = number->column;
        return (size_t)(rows + table[index].more);
    }
    return 0;
}

static bool is_numbering(const struct plan *window)
{
    for (size_t index = 0; index < window->window.call_count; index++) {
        const struct over_function *function = window->window.calls[index].function;
        if (function == NULL || (function->kind != OVER_ROW_NUMBER && function->kind != OVER_RANK))
            return false;
    }
    return interval_span(window->window.gap) == 0;
}

/* Does the sort begin with the window's keys? */
static bool is_sorted_for(const struct plan *window, const struct plan *sort)
{
    if (sort->kind != PLAN_SORT || sort->sort.limit != NULL || sort->sort.offset != NULL ||
        sort->sort.key_count < window->window.key_count)
        return false;
    for (size_t index = 0; index < window->window.key_count; index++) {
        const struct sort_key *a = &window->window.keys[index], *b = &sort->sort.keys[index];
        if (!expr_equal(a->expr, b->expr) || a->is_descending != b->is_descending ||
            a->is_nulls_first != b->is_nulls_first)
            return false;
    }
    return true;
}

static void window_heads(struct arena *arena, struct plan *filter)
{
    struct expr_list tests = {0};
    expr_split(arena, filter->filter.predicate, &tests);
    for (size_t index = 0; index < tests.count; index++) {
        const struct expr *test = tests.items[index];
        struct plan *plan = filter->children[0];
        for (; plan->kind == PLAN_PROJECT; plan = plan->children[0])
            test = expr_substitute(test, plan->project.exprs, arena);
        if (plan->kind != PLAN_WINDOW)
            return;
        struct plan *sort = plan->children[0];
        uint32_t column = 0;
        size_t rows = numbers_below(test, &column);
        if (rows == 0 || column < sort->column_count || plan->window.partition_count == 0 ||
            !is_numbering(plan) || !is_sorted_for(plan, sort))
            continue;
        if (plan->window.key_count == plan->window.partition_count &&
            plan->window.calls[column - sort->column_count].function->kind == OVER_RANK)
            continue; /* without an order all rows are the first */
        sort->sort.head_keys = plan->window.partition_count;
        sort->sort.head_rows = rows;
        /* What the sort orders by behind the window's keys does not tell who is first. */
        sort->sort.has_head_order = plan->window.key_count > plan->window.partition_count;
        return;
    }
}

void plan_heads(struct builder *build, struct plan *plan)
{
    if (plan->kind == PLAN_FIRST)
        first_heads(build->arena, plan);
    else if (plan->kind == PLAN_FILTER)
        window_heads(build->arena, plan);
    for (size_t index = 0; index < plan->child_count; index++)
        plan_heads(build, plan->children[index]);
}
