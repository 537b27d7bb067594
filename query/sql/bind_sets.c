/* ROLLUP, CUBE and GROUPING SETS: a tree of sets to a list of sets of keys, each a bit mask. Items
 * of GROUP BY multiply: each set of the one with each of the other. grouping(…) is a column of its
 * own, since it says nothing but which set a row is of. */
#include "query/sql/bind.h"

#define SETS_MAX 4096
#define CUBE_MAX 12

struct set_list {
    size_t count, capacity;
    uint64_t *sets;
};

static enum err add_set(struct binder *b, struct set_list *list, uint64_t set)
{
    if (list->count == SETS_MAX)
        return bind_error(b, 0, "54001", "too many grouping sets present (maximum %d)", SETS_MAX);
    list->sets = bind_grow(b->arena, list->sets, list->count, &list->capacity, sizeof(*list->sets));
    list->sets[list->count++] = set;
    return OK;
}

/* The keys of one element of ROLLUP or CUBE, or of a row. */
static enum err bind_row(struct binder *b, const struct ast_node *node, const struct set_keys *keys,
                         uint64_t *set)
{
    size_t key;
    *set = 0;
    if (node->kind == AST_GROUPING_SET && node->sets != SETS_ROW)
        return bind_error(b, node->position, "42601", "syntax error in GROUP BY");
    for (uint32_t index = 0; node->kind == AST_GROUPING_SET && index < node->count; index++) {
        uint64_t inner;
        enum err result = bind_row(b, node->arguments[index], keys, &inner);
        if (result != OK)
            return result;
        *set |= inner;
    }
    if (node->kind == AST_GROUPING_SET)
        return OK;
    enum err result = keys->bind(keys->context, node, &key);
    if (result == OK && key >= 64)
        return bind_error(b, node->position, "54011", "grouping sets can have at most 64 keys");
    *set = result == OK ? (uint64_t)1 << key : 0;
    return result;
}

static enum err expand_cube(struct binder *b, const struct ast_node *node, const uint64_t *parts,
                            struct set_list *out)
{
    if (node->count > CUBE_MAX)
        return bind_error(b, node->position, "54011", "CUBE is limited to %d elements", CUBE_MAX);
    enum err result = OK;
    for (uint32_t left_out = 0; left_out < (uint32_t)1 << node->count && result == OK; left_out++) {
        uint64_t set = 0;
        for (uint32_t part = 0; part < node->count; part++)
            if ((left_out >> (node->count - 1 - part) & 1) == 0)
                set |= parts[part];
        result = add_set(b, out, set);
    }
    return result;
}

static enum err expand_rollup(struct binder *b, const struct ast_node *node, const uint64_t *parts,
                              struct set_list *out)
{
    enum err result = OK;
    for (uint32_t count = node->count + 1; count-- > 0 && result == OK;) {
        uint64_t set = 0;
        for (uint32_t part = 0; part < count; part++)
            set |= parts[part];
        result = add_set(b, out, set);
    }
    return result;
}

static enum err expand(struct binder *b, const struct ast_node *node, const struct set_keys *keys,
                       struct set_list *out)
{
    enum err result = OK;
    if (node->kind == AST_GROUPING_SET && node->sets == SETS_LIST) {
        for (uint32_t index = 0; index < node->count && result == OK; index++)
            result = expand(b, node->arguments[index], keys, out);
        return result;
    }
    if (node->kind != AST_GROUPING_SET || node->sets == SETS_ROW) {
        uint64_t set;
        result = bind_row(b, node, keys, &set);
        return result != OK ? result : add_set(b, out, set);
    }
    uint64_t *parts = arena_alloc_array(b->arena, (size_t)node->count + 1, sizeof(*parts));
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        result = bind_row(b, node->arguments[index], keys, &parts[index]);
    if (result != OK)
        return result;
    return node->sets == SETS_CUBE ? expand_cube(b, node, parts, out)
                                   : expand_rollup(b, node, parts, out);
}

static enum err multiply(struct binder *b, const struct set_list *left,
                         const struct set_list *right, struct set_list *out)
{
    *out = (struct set_list){0};
    for (size_t i = 0; i < left->count; i++)
        for (size_t j = 0; j < right->count; j++) {
            enum err result = add_set(b, out, left->sets[i] | right->sets[j]);
            if (result != OK)
                return result;
        }
    return OK;
}

static void drop_equal(struct set_list *list)
{
    size_t kept = 0;
    for (size_t index = 0; index < list->count; index++) {
        size_t at = 0;
        while (at < kept && list->sets[at] != list->sets[index])
            at++;
        if (at == kept)
            list->sets[kept++] = list->sets[index];
    }
    list->count = kept;
}

bool bind_has_sets(const struct ast_select *select)
{
    for (size_t index = 0; index < select->group_count; index++)
        if (select->group[index]->kind == AST_GROUPING_SET)
            return true;
    return false;
}

enum err bind_sets(struct binder *b, const struct ast_select *select, const struct set_keys *keys,
                   struct grouping_sets *out)
{
    struct set_list all = {0};
    enum err result = add_set(b, &all, 0);
    for (size_t index = 0; index < select->group_count && result == OK; index++) {
        struct set_list item = {0};
        struct set_list product;
        result = expand(b, select->group[index], keys, &item);
        if (result == OK)
            result = multiply(b, &all, &item, &product);
        if (result == OK)
            all = product;
    }
    if (select->is_group_distinct)
        drop_equal(&all);
    out->count = all.count;
    out->sets = all.sets;
    return result;
}

enum err bind_grouping(struct binder *b, struct scope *scope, const struct ast_node *node,
                       struct expr **out)
{
    if (!scope->is_aggregate_allowed || scope->is_in_aggregate)
        return bind_error(b, node->position, "42803", "grouping operations are not allowed in %s",
                          scope->is_in_aggregate  ? "aggregate functions"
                          : scope->clause == NULL ? "this place"
                                                  : scope->clause);
    if (node->count >= 32)
        return bind_error(b, node->position, "54023", "GROUPING must have fewer than 32 arguments");
    struct grouping_call call = {
        .position = node->position,
        .count = node->count,
        .arguments = arena_alloc_array(b->arena, (size_t)node->count + 1, sizeof(struct expr *))};
    for (uint32_t index = 0; index < node->count; index++) {
        enum err result = bind_expr(b, scope, node->arguments[index], &call.arguments[index]);
        if (result != OK)
            return result;
    }
    size_t index = scope->grouping_count;
    scope->groupings = bind_grow(b->arena, scope->groupings, index, &scope->grouping_capacity,
                                 sizeof(*scope->groupings));
    scope->groupings[scope->grouping_count++] = call;
    *out = build_column(&b->build, GROUPING_COLUMN_FIRST + (uint32_t)index, type_of(TYPE_INT4),
                        node->position);
    return OK;
}

/* What grouping(…) gives for each set: a bit an argument, the last the lowest, 1: not grouped by.
 */
static enum err find_masks(struct binder *b, const struct grouping_call *call,
                           const struct grouping_sets *sets, struct expr *const *keys,
                           size_t key_count, int64_t *masks, size_t stride)
{
    for (uint32_t argument = 0; argument < call->count; argument++) {
        size_t key = 0;
        while (key < key_count && !expr_equal(keys[key], call->arguments[argument]))
            key++;
        if (key == key_count)
            return bind_error(
                b, call->position, "42803",
                "arguments to GROUPING must be grouping expressions of the associated "
                "query level");
        for (size_t set = 0; set < sets->count; set++)
            masks[set * stride] = masks[set * stride] << 1 | ((sets->sets[set] >> key & 1) == 0);
    }
    return OK;
}

enum err bind_expand(struct binder *b, const struct scope *scope, const struct grouping_sets *sets,
                     struct expr **keys, size_t key_count, struct plan **plan)
{
    struct plan *child = *plan;
    struct plan *expand;
    size_t mask_count = scope->grouping_count;
    enum err result =
        bind_new_plan(b, PLAN_EXPAND, child->column_count + key_count + 1 + mask_count, 1, &expand);
    if (result != OK)
        return result;
    memcpy(expand->columns, child->columns, child->column_count * sizeof(*child->columns));
    expand->children[0] = child;
    expand->expand.key_count = key_count;
    expand->expand.keys = keys;
    expand->expand.set_count = sets->count;
    expand->expand.sets = sets->sets;
    expand->expand.mask_count = mask_count;
    expand->expand.masks =
        arena_alloc_zero(b->arena, (sets->count * mask_count + 1) * sizeof(int64_t));
    struct plan_column *columns = expand->columns + child->column_count;
    for (size_t key = 0; key < key_count; key++)
        columns[key] = (struct plan_column){SLICE("?column?"), keys[key]->type};
    columns[key_count] = (struct plan_column){SLICE("set"), type_of(TYPE_INT8)};
    for (size_t index = 0; index < mask_count && result == OK; index++) {
        columns[key_count + 1 + index] =
            (struct plan_column){SLICE("grouping"), type_of(TYPE_INT4)};
        result = find_masks(b, &scope->groupings[index], sets, keys, key_count,
                            expand->expand.masks + index, mask_count);
    }
    *plan = expand;
    return result;
}
