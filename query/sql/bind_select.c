/* SELECT, clause by clause in the order of their meaning:
 *
 *   FROM ▶ WHERE ▶ GROUP BY, aggregates ▶ HAVING ▶ targets (and what ORDER BY needs besides) ▶
 * DISTINCT ▶ ORDER BY, LIMIT ▶ the targets alone
 *
 * Names follow PostgreSQL: GROUP BY looks among the input's columns first and the output's names
 * second, ORDER BY the other way round; a bare integer is the place of a target in both.
 *
 * Longer than most files, since all its parts work on one select_state. */
#include "query/sql/bind.h"
#include "query/sql/shape.h"

#include "storage/base/number.h"

#include <assert.h>

struct target {
    struct slice name;
    struct expr *expr;
};

struct select_state {
    struct binder *b;
    const struct ast_select *select;
    struct scope scope;
    size_t target_count, target_capacity;
    struct target *targets;
    size_t key_count, key_capacity;
    struct expr **keys;
    struct grouping_sets sets;
    struct expr *having;
    size_t
        *order_target; /* per ORDER BY item: index into targets, from target_count on into extras */
    size_t *distinct_target; /* the same of DISTINCT ON */
    size_t extra_count;
    struct expr **extras; /* expressions of ORDER BY and DISTINCT ON that are no targets */
    bool is_grouped;
};

static void add_target(struct select_state *s, struct slice name, struct expr *expr)
{
    s->targets = bind_grow(s->b->arena, s->targets, s->target_count, &s->target_capacity,
                           sizeof(*s->targets));
    s->targets[s->target_count++] = (struct target){.name = name, .expr = expr};
}

static enum err expand_star(struct select_state *s, const struct ast_node *star)
{
    size_t found = 0;
    size_t count = s->scope.column_count;
    uint32_t *order = arena_alloc_array(s->b->arena, count + 1, sizeof(*order));
    if (star->field_count == 0)
        count = scope_star(&s->scope, order);
    for (uint32_t place = 0; place < count; place++) {
        uint32_t index = star->field_count == 0 ? order[place] : place;
        const struct scope_column *column = &s->scope.columns[index];
        if (column->is_hidden || !scope_column_matches(column, star->fields, star->field_count))
            continue;
        add_target(s, column->name,
                   build_column(&s->b->build, index, column->type, star->position));
        found++;
    }
    if (found > 0)
        return OK;
    if (star->field_count > 0) {
        for (size_t index = 0; index < s->scope.relation_count; index++)
            if (slice_equal(s->scope.relations[index].name, star->fields[star->field_count - 1]))
                return OK;
        return bind_error(s->b, star->position, "42P01",
                          "missing FROM-clause entry for table \"%.*s\"",
                          SLICE_ARGS(star->fields[star->field_count - 1]));
    }
    if (s->select->from_count == 0)
        return bind_error(s->b, star->position, "42601",
                          "SELECT * with no tables specified is not valid");
    return OK;
}

static enum err bind_targets(struct select_state *s)
{
    s->scope.is_aggregate_allowed = s->scope.is_over_allowed = s->scope.is_series_allowed = true;
    for (size_t index = 0; index < s->select->target_count; index++) {
        const struct ast_target *target = &s->select->targets[index];
        enum err result;
        if (target->node->kind == AST_STAR) {
            result = expand_star(s, target->node);
        } else {
            struct expr *expr;
            result = bind_expr(s->b, &s->scope, target->node, &expr);
            if (result == OK)
                add_target(s, target->alias.size > 0 ? target->alias : bind_label(target->node),
                           expr);
        }
        if (result != OK)
            return result;
    }
    if (s->target_count > SCHEMA_COLUMNS_MAX * 4)
        return bind_error(s->b, 0, "54011", "target lists can have at most %d entries",
                          SCHEMA_COLUMNS_MAX * 4);
    return OK;
}

/* --- GROUP BY and ORDER BY items --- */

static bool is_bare_name(const struct ast_node *node)
{
    return node->kind == AST_COLUMN && node->field_count == 1;
}

/* An ordinal: *target. False in *is_ordinal for everything else. */
static enum err find_ordinal(struct select_state *s, const struct ast_node *node,
                             const char *clause, bool *is_ordinal, size_t *target)
{
    int64_t place = 0;
    *is_ordinal = false;
    if (node->kind == AST_STRING || node->kind == AST_NULL || node->kind == AST_BOOL)
        return bind_error(s->b, node->position, "42601", "non-integer constant in %s", clause);
    if (node->kind != AST_NUMBER)
        return OK;
    if (int_parse(node->text, INT64_MIN, INT64_MAX, "integer", &place, NULL) != OK)
        return bind_error(s->b, node->position, "42601", "non-integer constant in %s", clause);
    if (place < 1 || (uint64_t)place > s->target_count)
        return bind_error(s->b, node->position, "42P10", "%s position %lld is not in select list",
                          clause, (long long)place);
    *is_ordinal = true;
    *target = (size_t)place - 1;
    return OK;
}

/* A target of that output name; 42702 if different ones bear it. */
static enum err find_alias(struct select_state *s, const struct ast_node *node, const char *clause,
                           bool *is_found, size_t *target)
{
    *is_found = false;
    for (size_t index = 0; index < s->target_count; index++) {
        if (!slice_equal(s->targets[index].name, node->fields[0]))
            continue;
        if (*is_found && !expr_equal(s->targets[index].expr, s->targets[*target].expr))
            return bind_error(s->b, node->position, "42702", "%s \"%.*s\" is ambiguous", clause,
                              SLICE_ARGS(node->fields[0]));
        if (!*is_found)
            *target = index;
        *is_found = true;
    }
    return OK;
}

static bool has_aggregate(const struct expr *expr)
{
    if (expr->kind == EXPR_COLUMN)
        return expr->column >= AGGREGATE_COLUMN_FIRST && expr->column < SERIES_COLUMN_FIRST &&
               (expr->column < OVER_COLUMN_FIRST || expr->column >= GROUPING_COLUMN_FIRST);
    for (uint32_t index = 0; index < expr->argument_count; index++)
        if (has_aggregate(expr->arguments[index]))
            return true;
    return false;
}

static enum err check_comparable(struct select_state *s, const struct expr *expr)
{
    if (expr->type.id != TYPE_JSON)
        return OK;
    bind_error(s->b, expr->text_position, "42883",
               "could not identify an equality operator for type json");
    error_hint(s->b->error, "use jsonb, or cast to text");
    return ERR_INPUT;
}

static enum err add_key(struct select_state *s, struct expr *key, int32_t position, size_t *number)
{
    if (has_aggregate(key))
        return bind_error(s->b, position, "42803",
                          "aggregate functions are not allowed in GROUP BY");
    if (bind_has_over(key))
        return bind_error(s->b, position, "42P20", "window functions are not allowed in GROUP BY");
    enum err result = check_comparable(s, key);
    if (result != OK)
        return result;
    for (*number = 0; *number < s->key_count; (*number)++)
        if (expr_equal(s->keys[*number], key))
            return OK;
    if (s->key_count == SCHEMA_COLUMNS_MAX * 4)
        return bind_error(s->b, position, "54011", "GROUP BY can have at most %d keys",
                          SCHEMA_COLUMNS_MAX * 4);
    s->keys = bind_grow(s->b->arena, s->keys, s->key_count, &s->key_capacity, sizeof(*s->keys));
    s->keys[s->key_count++] = key;
    return OK;
}

static enum err bind_key(void *context, const struct ast_node *node, size_t *number)
{
    struct select_state *s = context;
    size_t target = 0;
    bool is_found = false;
    struct expr *key;
    enum err result = find_ordinal(s, node, "GROUP BY", &is_found, &target);
    if (result == OK && !is_found && is_bare_name(node) &&
        !scope_has_column(&s->scope, node->fields[0]))
        result = find_alias(s, node, "GROUP BY", &is_found, &target);
    if (result == OK && is_found) {
        key = s->targets[target].expr;
    } else if (result == OK) {
        s->scope.is_aggregate_allowed = s->scope.is_over_allowed = false;
        s->scope.is_series_allowed = true;
        s->scope.clause = "GROUP BY";
        result = bind_expr(s->b, &s->scope, node, &key);
        if (result == OK)
            key = build_finish(&s->b->build, key);
    }
    return result != OK ? result : add_key(s, key, node->position, number);
}

static enum err bind_keys(struct select_state *s)
{
    struct set_keys keys = {.context = s, .bind = bind_key};
    enum err result = OK;
    if (bind_has_sets(s->select))
        return bind_sets(s->b, s->select, &keys, &s->sets);
    for (size_t index = 0; index < s->select->group_count && result == OK; index++) {
        size_t unused;
        result = bind_key(s, s->select->group[index], &unused);
    }
    return result;
}

/* A target or an extra that is this expression; *place counts extras from target_count on. */
static bool find_expr(const struct select_state *s, const struct expr *expr, size_t *place)
{
    for (*place = 0; *place < s->target_count + s->extra_count; (*place)++) {
        const struct expr *other = *place < s->target_count ? s->targets[*place].expr
                                                            : s->extras[*place - s->target_count];
        if (expr_equal(other, expr))
            return true;
    }
    return false;
}

/* An item of ORDER BY or DISTINCT ON. */
static enum err bind_item(struct select_state *s, const struct ast_node *node, const char *clause,
                          size_t *place)
{
    bool is_found = false;
    enum err result = find_ordinal(s, node, clause, &is_found, place);
    if (result == OK && !is_found && is_bare_name(node))
        result = find_alias(s, node, clause, &is_found, place);
    if (result != OK)
        return result;
    if (is_found)
        return check_comparable(s, s->targets[*place].expr);
    struct expr *expr;
    s->scope.is_aggregate_allowed = s->scope.is_over_allowed = s->scope.is_series_allowed = true;
    result = bind_expr(s->b, &s->scope, node, &expr);
    if (result != OK)
        return result;
    expr = build_finish(&s->b->build, expr);
    if (!find_expr(s, expr, place)) {
        if (s->select->is_distinct)
            return bind_error(
                s->b, node->position, "42P10",
                "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
        s->extras[s->extra_count++] = expr;
    }
    return check_comparable(s, expr);
}

/* DISTINCT ON keeps the first row of each key, so ORDER BY has to begin with all of the key. */
static enum err check_first(struct select_state *s)
{
    const struct ast_select *select = s->select;
    size_t met = 0, order = 0;
    bool *is_met = arena_alloc_zero(s->b->arena, select->distinct_count + 1);
    for (; order < select->order_count && met < select->distinct_count; order++) {
        bool is_key = false;
        for (size_t index = 0; index < select->distinct_count; index++) {
            if (s->distinct_target[index] != s->order_target[order])
                continue;
            met += !is_met[index];
            is_met[index] = is_key = true;
        }
        if (!is_key)
            return bind_error(s->b, select->distinct[0]->position, "42P10",
                              "SELECT DISTINCT ON expressions must match initial ORDER BY "
                              "expressions");
    }
    return OK;
}

static enum err bind_items(struct select_state *s)
{
    const struct ast_select *select = s->select;
    enum err result = OK;
    for (size_t index = 0; index < select->order_count && result == OK; index++)
        result = bind_item(s, select->order[index].node, "ORDER BY", &s->order_target[index]);
    for (size_t index = 0; index < select->distinct_count && result == OK; index++)
        result = bind_item(s, select->distinct[index], "DISTINCT ON", &s->distinct_target[index]);
    return result != OK || select->distinct_count == 0 ? result : check_first(s);
}

static void init_items(struct select_state *s)
{
    const struct ast_select *select = s->select;
    struct arena *arena = s->b->arena;
    s->order_target = arena_alloc_zero(arena, select->order_count * sizeof(size_t));
    s->distinct_target = arena_alloc_zero(arena, select->distinct_count * sizeof(size_t));
    s->extras = arena_alloc_zero(arena, (select->order_count + select->distinct_count) *
                                            sizeof(struct expr *));
}

/* --- limits --- */

static enum err bind_limit(struct binder *b, struct scope *scope, const struct ast_node *node,
                           const char *clause, const char *sqlstate, struct expr **out)
{
    *out = NULL;
    if (node == NULL || node->kind == AST_NULL)
        return OK;
    scope->clause = clause;
    struct expr *expr;
    enum err result = bind_expr(b, scope, node, &expr);
    if (result == OK && expr->type.id != TYPE_UNKNOWN &&
        type_physical((enum type_id)expr->type.id) != PHYSICAL_INT &&
        type_physical((enum type_id)expr->type.id) != PHYSICAL_FLOAT &&
        type_physical((enum type_id)expr->type.id) != PHYSICAL_NUMERIC)
        return bind_error(b, node->position, "42804",
                          "argument of %s must be type bigint, not type %s", clause,
                          type_name((enum type_id)expr->type.id));
    if (result == OK)
        result =
            build_cast(&b->build, expr, type_of(TYPE_INT8), CAST_ASSIGNMENT, node->position, &expr);
    if (result != OK)
        return result;
    if (expr->kind == EXPR_CONSTANT && !expr->constant.is_null && expr->constant.i < 0)
        return bind_error(b, node->position, sqlstate, "%s must not be negative", clause);
    if (expr->kind != EXPR_CONSTANT || !expr->constant.is_null)
        *out = expr;
    return OK;
}

static enum err bind_limits(struct binder *b, const struct scope *outer,
                            const struct cte_scope *ctes, const struct ast_select *select,
                            struct expr **limit, struct expr **offset)
{
    struct scope scope = {.outer = outer, .ctes = ctes};
    /* Plans depend on how many rows a query inside of another gives. */
    if (b->build.is_literal_fixed != NULL && select == b->outermost) {
        shape_mark_limit(b->context->shape, select->limit, b->arena);
        shape_mark_limit(b->context->shape, select->offset, b->arena);
    }
    enum err result = bind_limit(b, &scope, select->limit, "LIMIT", "2201W", limit);
    return result != OK ? result : bind_limit(b, &scope, select->offset, "OFFSET", "2201X", offset);
}

/* --- the plan above FROM and WHERE --- */

/* All expressions that live above the GROUP, through bind_group and back. */
static enum err apply_group(struct select_state *s, struct plan **plan)
{
    size_t over_count = bind_over_exprs(&s->scope, NULL);
    size_t count =
        s->target_count + s->extra_count + 1 + over_count + bind_series_exprs(&s->scope, NULL);
    struct expr **exprs = arena_alloc_array(s->b->arena, count, sizeof(*exprs));
    struct expr **having = &exprs[s->target_count + s->extra_count];
    for (size_t index = 0; index < s->target_count; index++)
        exprs[index] = s->targets[index].expr;
    for (size_t index = 0; index < s->extra_count; index++)
        exprs[s->target_count + index] = s->extras[index];
    *having = s->having;
    bind_over_exprs(&s->scope, having + 1);
    bind_series_exprs(&s->scope, having + 1 + over_count);
    struct group_request request = {.keys = s->keys,
                                    .key_count = s->key_count,
                                    .sets = s->sets,
                                    .exprs = exprs,
                                    .expr_count = count};
    enum err result = bind_group(s->b, &s->scope, &request, plan);
    if (result != OK)
        return result;
    for (size_t index = 0; index < s->target_count; index++)
        s->targets[index].expr = exprs[index];
    for (size_t index = 0; index < s->extra_count; index++)
        s->extras[index] = exprs[s->target_count + index];
    bind_over_replace(&s->scope, having + 1);
    bind_series_replace(&s->scope, having + 1 + over_count);
    return s->having == NULL ? OK : bind_filter(s->b, *plan, *having, plan);
}

/* Targets and extras to an array with room for `more`, and back. */
static struct expr **gather_exprs(const struct select_state *s, size_t more)
{
    size_t count = s->target_count + s->extra_count;
    struct expr **exprs = arena_alloc_array(s->b->arena, count + more + 1, sizeof(*exprs));
    for (size_t index = 0; index < count; index++)
        exprs[index] =
            index < s->target_count ? s->targets[index].expr : s->extras[index - s->target_count];
    return exprs;
}

static void scatter_exprs(struct select_state *s, struct expr *const *exprs)
{
    for (size_t index = 0; index < s->target_count; index++)
        s->targets[index].expr = exprs[index];
    for (size_t index = 0; index < s->extra_count; index++)
        s->extras[index] = exprs[s->target_count + index];
}

/* Calls with OVER, of targets and of ORDER BY. */
static enum err apply_over(struct select_state *s, struct plan **plan)
{
    size_t count = s->target_count + s->extra_count;
    size_t series_count = bind_series_exprs(&s->scope, NULL);
    if (s->scope.over_count == 0)
        return OK;
    struct expr **exprs = gather_exprs(s, series_count);
    bind_series_exprs(&s->scope, exprs + count);
    enum err result = bind_over_plan(s->b, &s->scope, exprs, count + series_count, plan);
    if (result != OK)
        return result;
    scatter_exprs(s, exprs);
    bind_series_replace(&s->scope, exprs + count);
    return OK;
}

/* Functions that give rows: before the GROUP where a key has one, with the keys and what stands in
 * calls with OVER; else after all of it. */
static enum err apply_series(struct select_state *s, bool is_before, struct plan **plan)
{
    size_t count = s->target_count + s->extra_count;
    size_t over_count = bind_over_exprs(&s->scope, NULL), more = 0;
    bool is_in_keys = false;
    for (size_t key = 0; key < s->key_count; key++)
        is_in_keys = is_in_keys || bind_has_series(s->keys[key]);
    if (s->scope.series_count == 0 || (is_before && !is_in_keys))
        return OK;
    struct expr **exprs = gather_exprs(s, over_count + s->key_count);
    if (is_before) {
        bind_over_exprs(&s->scope, exprs + count);
        for (size_t key = 0; key < s->key_count; key++)
            exprs[count + over_count + key] = s->keys[key];
        more = over_count + s->key_count;
    }
    enum err result = bind_series_join(s->b, &s->scope, exprs, count + more, plan);
    if (result != OK)
        return result;
    scatter_exprs(s, exprs);
    if (is_before)
        bind_over_replace(&s->scope, exprs + count);
    for (size_t key = 0; is_before && key < s->key_count; key++)
        s->keys[key] = exprs[count + over_count + key];
    return OK;
}

static enum err apply_targets(struct select_state *s, size_t extra_count, struct plan **plan)
{
    struct plan *project;
    enum err result = bind_new_plan(s->b, PLAN_PROJECT, s->target_count + extra_count, 1, &project);
    if (result != OK)
        return result;
    project->children[0] = *plan;
    project->project.exprs =
        arena_alloc_array(s->b->arena, project->column_count, sizeof(struct expr *));
    for (size_t index = 0; index < project->column_count; index++) {
        bool is_target = index < s->target_count;
        struct expr *expr = is_target ? s->targets[index].expr : s->extras[index - s->target_count];
        project->project.exprs[index] = expr;
        project->columns[index].name = is_target ? s->targets[index].name : SLICE("?column?");
        project->columns[index].type = expr->type;
    }
    *plan = project;
    return OK;
}

static enum err apply_distinct(struct select_state *s, struct plan **plan)
{
    struct plan *group;
    struct plan *child = *plan;
    enum err result = bind_new_plan(s->b, PLAN_GROUP, child->column_count, 1, &group);
    if (result != OK)
        return result;
    memcpy(group->columns, child->columns, child->column_count * sizeof(*child->columns));
    group->children[0] = child;
    group->group.key_count = child->column_count;
    group->group.keys = arena_alloc_array(s->b->arena, child->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < child->column_count; index++) {
        result = check_comparable(s, s->targets[index].expr);
        if (result != OK)
            return result;
        group->group.keys[index] = build_column(&s->b->build, index, child->columns[index].type, 0);
    }
    *plan = group;
    return OK;
}

/* The node of ORDER BY and LIMIT: columns[i] is item i's. */
static enum err put_order(struct binder *b, const struct ast_order *orders, size_t count,
                          const size_t *columns, struct plan **plan)
{
    struct plan *sort;
    struct plan *child = *plan;
    enum err result =
        bind_new_plan(b, count > 0 ? PLAN_SORT : PLAN_LIMIT, child->column_count, 1, &sort);
    if (result != OK)
        return result;
    memcpy(sort->columns, child->columns, child->column_count * sizeof(*child->columns));
    sort->children[0] = child;
    sort->sort.key_count = count;
    sort->sort.keys = arena_alloc_zero(b->arena, count * sizeof(*sort->sort.keys));
    for (size_t index = 0; index < count; index++) {
        const struct ast_order *order = &orders[index];
        sort->sort.keys[index] = (struct sort_key){
            .expr = build_column(&b->build, (uint32_t)columns[index],
                                 child->columns[columns[index]].type, order->node->position),
            .is_descending = order->is_descending,
            .is_nulls_first = order->is_nulls_first};
    }
    *plan = sort;
    return OK;
}

/* DISTINCT ON, over rows in their final order. */
static enum err put_first(struct select_state *s, struct plan **plan)
{
    struct plan *first;
    struct plan *child = *plan;
    size_t count = s->select->distinct_count;
    enum err result = bind_new_plan(s->b, PLAN_FIRST, child->column_count, 1, &first);
    if (result != OK)
        return result;
    memcpy(first->columns, child->columns, child->column_count * sizeof(*child->columns));
    first->children[0] = child;
    first->first.key_count = count;
    first->first.keys = arena_alloc_array(s->b->arena, count, sizeof(struct expr *));
    for (size_t index = 0; index < count; index++) {
        size_t column = s->distinct_target[index];
        first->first.keys[index] =
            build_column(&s->b->build, (uint32_t)column, child->columns[column].type, 0);
    }
    *plan = first;
    return OK;
}

/* ORDER BY, DISTINCT ON and LIMIT over *plan: the targets, then the extras. */
static enum err apply_order(struct select_state *s, struct plan **plan)
{
    const struct ast_select *select = s->select;
    size_t order_count = select->order_count;
    struct expr *limit;
    struct expr *offset;
    enum err result = bind_limits(s->b, s->scope.outer, s->scope.ctes, select, &limit, &offset);
    if (result == OK && select->distinct_count > 0) {
        if (order_count > 0)
            result = put_order(s->b, select->order, order_count, s->order_target, plan);
        if (result == OK)
            result = put_first(s, plan);
        order_count = 0;
    }
    if (result != OK || (order_count == 0 && limit == NULL && offset == NULL))
        return result;
    result = put_order(s->b, select->order, order_count, s->order_target, plan);
    if (result != OK)
        return result;
    (*plan)->sort.limit = limit;
    (*plan)->sort.offset = offset;
    return OK;
}

static enum err build_above(struct select_state *s, struct plan **plan)
{
    enum err result = apply_series(s, true, plan);
    if (result == OK && s->is_grouped)
        result = apply_group(s, plan);
    if (result == OK)
        result = apply_over(s, plan);
    if (result == OK)
        result = apply_series(s, false, plan);
    if (result == OK)
        result = apply_targets(s, s->extra_count, plan);
    if (result == OK && s->select->is_distinct)
        result = apply_distinct(s, plan);
    if (result == OK)
        result = apply_order(s, plan);
    if (result != OK || s->extra_count == 0)
        return result;
    for (uint32_t index = 0; index < s->target_count; index++)
        s->targets[index].expr = build_column(&s->b->build, index, s->targets[index].expr->type, 0);
    return apply_targets(s, 0, plan);
}

static enum err bind_where(struct select_state *s, struct plan **plan)
{
    struct expr *where = NULL;
    s->scope.is_aggregate_allowed = s->scope.is_over_allowed = s->scope.is_series_allowed = false;
    if (s->select->where == NULL)
        return OK;
    if (bind_can_lift(s->b))
        shape_mark(s->b->context->shape, s->select->where, s->b->arena);
    enum err result = bind_condition(s->b, &s->scope, s->select->where, "WHERE", &where);
    return result != OK ? result : bind_filter(s->b, *plan, where, plan);
}

static enum err bind_plain(struct binder *b, const struct scope *outer,
                           const struct cte_scope *ctes, const struct ast_select *select,
                           bool keeps_unknown, struct plan **out)
{
    struct select_state s = {
        .b = b, .select = select, .scope = {.outer = outer, .ctes = ctes, .select = select}};
    init_items(&s);
    s.scope.clause = "FROM";
    struct plan *plan;
    enum err result = bind_from_list(b, &s.scope, select->from, select->from_count, &plan);
    if (result == OK)
        result = bind_targets(&s); /* before WHERE: the order decides the types of parameters */
    if (result == OK)
        result = bind_where(&s, &plan);
    bool is_bare = keeps_unknown && !select->is_distinct && select->distinct_count == 0 &&
                   select->group_count == 0 && select->order_count == 0 && select->limit == NULL &&
                   select->offset == NULL;
    for (size_t index = 0; index < s.target_count && result == OK && !is_bare; index++)
        s.targets[index].expr = build_finish(&b->build, s.targets[index].expr);
    if (result == OK)
        result = bind_keys(&s);
    s.scope.is_aggregate_allowed = true;
    s.scope.is_over_allowed = s.scope.is_series_allowed = false;
    if (result == OK && select->having != NULL)
        result = bind_condition(b, &s.scope, select->having, "HAVING", &s.having);
    if (result == OK)
        result = bind_items(&s);
    if (result == OK)
        result = bind_over_definitions(b, &s.scope);
    s.is_grouped = select->group_count > 0 || select->having != NULL ||
                   s.scope.aggregate_count > 0 || s.scope.grouping_count > 0;
    if (result == OK)
        result = build_above(&s, &plan);
    *out = plan;
    return result;
}

enum err bind_order_set(struct binder *b, const struct scope *outer, const struct cte_scope *ctes,
                        const struct ast_select *select, struct plan **plan)
{
    struct select_state s = {.b = b, .select = select, .scope = {.outer = outer, .ctes = ctes}};
    for (uint32_t index = 0; index < (*plan)->column_count; index++) {
        struct scope_column column = {.name = (*plan)->columns[index].name,
                                      .type = (*plan)->columns[index].type};
        scope_add_column(b, &s.scope, &column);
        add_target(&s, column.name, build_column(&b->build, index, column.type, 0));
    }
    init_items(&s);
    enum err result = bind_items(&s);
    if (result == OK && select->kind == SELECT_SET && s.extra_count > 0) {
        result = bind_unsupported(b, 0, "an expression in ORDER BY of UNION, INTERSECT or EXCEPT");
        error_hint(b->error, "Only result column names can be used, not expressions or functions.");
    }
    if (result == OK && s.scope.aggregate_count > 0)
        result = bind_unsupported(b, 0, "an aggregate in ORDER BY of VALUES");
    if (result != OK)
        return result;
    if (s.extra_count > 0)
        return build_above(&s, plan);
    return apply_order(&s, plan);
}

const struct cte_scope *bind_with(struct binder *b, const struct scope *outer,
                                  const struct cte_scope *ctes, const struct ast_select *select)
{
    for (size_t index = 0; index < select->cte_count; index++) {
        struct cte_scope *entry = arena_alloc(b->arena, sizeof(*entry));
        *entry = (struct cte_scope){.cte = &select->ctes[index], .outer = ctes, .around = outer};
        ctes = entry;
    }
    return ctes;
}

enum err bind_select(struct binder *b, const struct scope *outer, const struct cte_scope *ctes,
                     const struct ast_select *select, bool keeps_unknown, struct plan **out)
{
    ctes = bind_with(b, outer, ctes, select);
    if (select->kind == SELECT_PLAIN)
        return bind_plain(b, outer, ctes, select, keeps_unknown, out);
    enum err result = select->kind == SELECT_VALUES
                          ? bind_values(b, outer, ctes, select, out)
                          : bind_set_operation(b, outer, ctes, select, out);
    return result != OK ? result : bind_order_set(b, outer, ctes, select, out);
}
