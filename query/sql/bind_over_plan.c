/* Calls with OVER as steps of the plan, above FROM, WHERE, GROUP BY and HAVING:
 *
 *   … ▶ PROJECT (keys that are no columns) ▶ SORT by partition, order ▶ WINDOW ▶ SORT ▶ WINDOW …
 *
 * Calls of one partition and order share a WINDOW, whatever their frames. Longer orders come first,
 * so that a window whose keys begin the last sort's needs no sort of its own. */
#include "query/sql/bind.h"

#include "query/func/aggregate.h"
#include "query/func/over.h"

bool bind_same_keys(const struct over_call *a, const struct over_call *b, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        const struct sort_key *x = &a->keys[index];
        const struct sort_key *y = &b->keys[index];
        if (x->is_descending != y->is_descending || x->is_nulls_first != y->is_nulls_first ||
            !expr_equal(x->expr, y->expr))
            return false;
    }
    return true;
}

/* Keys that are no columns become columns, so that what is sorted by and what partitions are told
 * by is one value. */
static enum err make_keys(struct binder *b, struct scope *scope, struct plan **plan)
{
    struct plan *child = *plan;
    struct expr **extra = NULL;
    size_t count = 0, capacity = 0;
    for (size_t index = 0; index < scope->over_count; index++) {
        for (size_t k = 0; k < scope->overs[index].key_count; k++) {
            struct expr **key = &scope->overs[index].keys[k].expr;
            if ((*key)->kind == EXPR_COLUMN)
                continue;
            size_t found = 0;
            while (found < count && !expr_equal(extra[found], *key))
                found++;
            if (found == count) {
                extra = bind_grow(b->arena, extra, count, &capacity, sizeof(*extra));
                extra[count++] = *key;
            }
            *key = build_column(&b->build, (uint32_t)(child->column_count + found), (*key)->type,
                                (*key)->text_position);
        }
    }
    if (count == 0)
        return OK;
    struct plan *project;
    enum err result = bind_new_plan(b, PLAN_PROJECT, child->column_count + count, 1, &project);
    if (result != OK)
        return result;
    project->children[0] = child;
    project->project.exprs =
        arena_alloc_array(b->arena, project->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < project->column_count; index++) {
        bool is_old = index < child->column_count;
        struct expr *expr = is_old ? build_column(&b->build, index, child->columns[index].type, 0)
                                   : extra[index - child->column_count];
        project->project.exprs[index] = expr;
        project->columns[index] = (struct plan_column){
            is_old ? child->columns[index].name : SLICE("?column?"), expr->type};
    }
    *plan = project;
    return OK;
}

static struct sort_key *copy_keys(struct binder *b, const struct over_call *over)
{
    struct sort_key *keys = arena_alloc_array(b->arena, over->key_count + 1, sizeof(*keys));
    if (over->key_count > 0)
        memcpy(keys, over->keys, over->key_count * sizeof(*keys));
    return keys;
}

/* A WINDOW for overs[first] and those like it; `columns` says where each came to lie. */
static enum err put_window(struct binder *b, struct scope *scope, size_t first, uint32_t *columns,
                           struct plan **plan)
{
    const struct over_call *model = &scope->overs[first];
    struct plan *child = *plan;
    struct window_call *calls = arena_alloc_array(b->arena, scope->over_count, sizeof(*calls));
    size_t count = 0;
    for (size_t index = first; index < scope->over_count; index++) {
        const struct over_call *over = &scope->overs[index];
        if (columns[index] != UINT32_MAX || over->key_count != model->key_count ||
            over->partition_count != model->partition_count ||
            !bind_same_keys(over, model, model->key_count))
            continue;
        columns[index] = (uint32_t)(child->column_count + count);
        calls[count++] = over->call;
    }
    struct plan *window;
    enum err result = bind_new_plan(b, PLAN_WINDOW, child->column_count + count, 1, &window);
    if (result != OK)
        return result;
    memcpy(window->columns, child->columns, child->column_count * sizeof(*child->columns));
    for (size_t index = 0; index < count; index++) {
        const struct window_call *call = &calls[index];
        const char *name =
            call->function != NULL ? call->function->name : call->aggregate.aggregate->name;
        window->columns[child->column_count + index] =
            (struct plan_column){slice_from_cstr(name), call->aggregate.type};
    }
    window->children[0] = child;
    window->window.partition_count = model->partition_count;
    window->window.key_count = model->key_count;
    window->window.keys = copy_keys(b, model);
    window->window.call_count = count;
    window->window.calls = calls;
    *plan = window;
    return OK;
}

static struct expr *place_columns(struct binder *b, struct expr *in, const uint32_t *columns)
{
    if (in->kind == EXPR_COLUMN && bind_has_over(in))
        return build_column(&b->build, columns[in->column - OVER_COLUMN_FIRST], in->type,
                            in->text_position);
    if (!bind_has_over(in))
        return in;
    struct expr *copy = arena_alloc(b->arena, sizeof(*copy));
    *copy = *in;
    copy->arguments = arena_alloc_array(b->arena, in->argument_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < in->argument_count; index++)
        copy->arguments[index] = place_columns(b, in->arguments[index], columns);
    return copy;
}

enum err bind_over_plan(struct binder *b, struct scope *scope, struct expr **exprs, size_t count,
                        struct plan **plan)
{
    uint32_t *columns = arena_alloc_array(b->arena, scope->over_count, sizeof(*columns));
    for (size_t index = 0; index < scope->over_count; index++)
        columns[index] = UINT32_MAX;
    const struct over_call *sorted = NULL;
    enum err result = make_keys(b, scope, plan);
    while (result == OK) {
        size_t next = SIZE_MAX;
        for (size_t index = 0; index < scope->over_count; index++)
            if (columns[index] == UINT32_MAX &&
                (next == SIZE_MAX || scope->overs[index].key_count > scope->overs[next].key_count))
                next = index;
        if (next == SIZE_MAX)
            break;
        const struct over_call *over = &scope->overs[next];
        if (over->key_count > 0 &&
            (sorted == NULL || !bind_same_keys(sorted, over, over->key_count))) {
            result = bind_sort(b, over->keys, over->key_count, plan);
            sorted = over;
        }
        if (result == OK)
            result = put_window(b, scope, next, columns, plan);
    }
    for (size_t index = 0; index < count && result == OK; index++)
        exprs[index] = place_columns(b, exprs[index], columns);
    return result;
}
