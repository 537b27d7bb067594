/* JOIN: ON, USING and NATURAL. Joins are made as written, with the whole ON condition;
 * query/plan/push.c moves conditions down and finds the hash keys.
 *
 * USING compares a column of the left side with one of the right side, and makes one of them: the
 * left one for INNER and LEFT, the right one for RIGHT, whichever is not NULL for FULL. Where the
 * one is an expression (FULL, or a common type that it has not), a projection above the join adds
 * it as a column. The two stay there for whoever names their table. */
#include "query/sql/bind.h"

#include "query/plan/rewrite.h"
#include "query/sql/shape.h"

enum err bind_new_join(struct binder *b, struct plan *left, struct plan *right, enum join_kind kind,
                       struct plan **out)
{
    struct plan *plan;
    enum err result =
        bind_new_plan(b, PLAN_JOIN, left->column_count + right->column_count, 2, &plan);
    if (result != OK)
        return result;
    memcpy(plan->columns, left->columns, left->column_count * sizeof(*plan->columns));
    memcpy(plan->columns + left->column_count, right->columns,
           right->column_count * sizeof(*plan->columns));
    plan->children[0] = left;
    plan->children[1] = right;
    plan->join.kind = kind;
    *out = plan;
    return OK;
}

enum err bind_right_item(struct binder *b, struct scope *around, const struct ast_from *from,
                         enum join_kind kind, struct plan *left, struct plan **out)
{
    const struct scope *before = around->lateral;
    struct correlation correlation = {.around = around,
                                      .beyond = before != NULL ? before : around->outer,
                                      .is_refused = kind == JOIN_RIGHT || kind == JOIN_FULL};
    struct scope border = {.correlation = &correlation};
    struct plan *right;
    around->lateral = &border;
    enum err result = bind_from_item(b, around, from, &right);
    around->lateral = before;
    if (result == OK)
        result = bind_new_join(b, left, right, kind, out);
    if (result != OK || correlation.count == 0)
        return result;
    (*out)->kind = PLAN_APPLY;
    (*out)->join.slots = (struct subplan_slots){correlation.count, correlation.slots};
    (*out)->join.arguments = correlation.arguments;
    return OK;
}

enum err bind_widen(struct binder *b, struct plan *child, size_t extra, struct plan **out)
{
    struct plan *plan;
    enum err result = bind_new_plan(b, PLAN_PROJECT, child->column_count + extra, 1, &plan);
    if (result != OK)
        return result;
    memcpy(plan->columns, child->columns, child->column_count * sizeof(*plan->columns));
    plan->children[0] = child;
    plan->project.exprs = arena_alloc_array(b->arena, plan->column_count, sizeof(struct expr *));
    for (uint32_t index = 0; index < child->column_count; index++)
        plan->project.exprs[index] = build_column(&b->build, index, child->columns[index].type, 0);
    *out = plan;
    return OK;
}

/* --- USING --- */

struct using_pair {
    struct slice name;
    uint32_t left, right; /* of the join's columns */
    struct expr *merged;
};

struct join_state {
    struct binder *b;
    const struct ast_from *from;
    struct scope sides;
    size_t left_count;        /* columns */
    struct scope left, right; /* the two alone: views of `sides` */
    size_t pair_count;
    struct using_pair *pairs;
};

static enum err find_side(struct join_state *s, const struct scope *scope, const char *side,
                          struct slice name, uint32_t *column)
{
    size_t found = scope_find_name(scope, name, column);
    if (found == 1)
        return OK;
    if (found > 1)
        return bind_error(s->b, s->from->position, "42702",
                          "common column name \"%.*s\" appears more than once in %s table",
                          SLICE_ARGS(name), side);
    return bind_error(s->b, s->from->position, "42703",
                      "column \"%.*s\" specified in USING clause does not exist in %s table",
                      SLICE_ARGS(name), side);
}

static enum err add_pair(struct join_state *s, struct slice name)
{
    struct using_pair *pair = &s->pairs[s->pair_count];
    for (size_t index = 0; index < s->pair_count; index++)
        if (slice_equal(s->pairs[index].name, name))
            return bind_error(s->b, s->from->position, "42701",
                              "column name \"%.*s\" appears more than once in USING clause",
                              SLICE_ARGS(name));
    pair->name = name;
    enum err result = find_side(s, &s->left, "left", name, &pair->left);
    if (result == OK)
        result = find_side(s, &s->right, "right", name, &pair->right);
    if (result == OK)
        s->pair_count++;
    return result;
}

/* NATURAL: names that both sides have, in the left one's order. */
static enum err add_common(struct join_state *s)
{
    uint32_t *order = arena_alloc_array(s->b->arena, s->left.column_count + 1, sizeof(*order));
    size_t count = scope_star(&s->left, order);
    s->pairs = arena_alloc_zero(s->b->arena, (count + 1) * sizeof(*s->pairs));
    for (size_t index = 0; index < count; index++) {
        struct slice name = s->left.columns[order[index]].name;
        uint32_t unused;
        enum err result = scope_find_name(&s->right, name, &unused) == 0 ? OK : add_pair(s, name);
        if (result != OK)
            return result;
    }
    return OK;
}

static enum err bind_pairs(struct join_state *s)
{
    const struct ast_from *from = s->from;
    if (from->is_natural)
        return add_common(s);
    s->pairs = arena_alloc_zero(s->b->arena, (from->using_count + 1) * sizeof(*s->pairs));
    for (size_t index = 0; index < from->using_count; index++) {
        enum err result = add_pair(s, from->using_names[index]);
        if (result != OK)
            return result;
    }
    return OK;
}

/* left = right AND …, and what each pair becomes. */
static enum err compare_pairs(struct join_state *s, struct plan *join)
{
    struct builder *build = &s->b->build;
    struct expr_list tests = {0};
    for (size_t index = 0; index < s->pair_count; index++) {
        struct using_pair *pair = &s->pairs[index];
        pair->right += (uint32_t)s->left_count;
        struct expr *both[2] = {
            build_column(build, pair->left, join->columns[pair->left].type, s->from->position),
            build_column(build, pair->right, join->columns[pair->right].type, s->from->position)};
        struct expr *test;
        struct type type;
        enum err result =
            build_operator(build, SLICE("="), both[0], both[1], s->from->position, &test);
        if (result == OK)
            result = build_common_type(build, both, 2, "JOIN/USING", &type);
        for (size_t side = 0; side < 2 && result == OK; side++)
            result = build_cast(build, both[side], type, CAST_IMPLICIT, 0, &both[side]);
        if (result == OK && s->from->join == AST_JOIN_FULL)
            result = build_node(build, EXPR_COALESCE, false, both, 2, 0, &pair->merged);
        else
            pair->merged = both[s->from->join == AST_JOIN_RIGHT ? 1 : 0];
        if (result != OK)
            return result;
        expr_list_add(s->b->arena, &tests, test);
    }
    join->join.condition = expr_join(s->b->arena, &tests);
    return OK;
}

/* The sides' columns, and the merged ones, of which those that are expressions come last. */
static enum err merge_pairs(struct join_state *s, struct plan **plan)
{
    size_t extra = 0;
    for (size_t index = 0; index < s->pair_count; index++)
        extra += s->pairs[index].merged->kind != EXPR_COLUMN;
    struct plan *wide = *plan;
    enum err result = extra == 0 ? OK : bind_widen(s->b, *plan, extra, &wide);
    if (result != OK)
        return result;
    uint32_t next = (uint32_t)(*plan)->column_count;
    struct scope_merged *old = s->sides.merged;
    size_t old_count = s->sides.merged_count;
    s->sides.merged = NULL;
    s->sides.merged_count = s->sides.merged_capacity = 0;
    for (size_t index = 0; index < s->pair_count; index++) {
        const struct using_pair *pair = &s->pairs[index];
        struct scope_merged merged = {.name = pair->name, .column = pair->merged->column};
        s->sides.columns[pair->left].is_merged = s->sides.columns[pair->right].is_merged = true;
        if (pair->merged->kind != EXPR_COLUMN) {
            struct scope_column column = {
                .name = pair->name, .type = pair->merged->type, .is_merged = true};
            merged.column = next;
            wide->project.exprs[next] = pair->merged;
            wide->columns[next++] = (struct plan_column){pair->name, pair->merged->type};
            scope_add_column(s->b, &s->sides, &column);
        }
        scope_add_merged(s->b, &s->sides, &merged);
    }
    for (size_t index = 0; index < old_count; index++) {
        bool is_taken = false;
        for (size_t pair = 0; pair < s->pair_count; pair++)
            is_taken = is_taken || slice_equal(s->pairs[pair].name, old[index].name);
        if (!is_taken)
            scope_add_merged(s->b, &s->sides, &old[index]);
    }
    *plan = wide;
    return OK;
}

/* --- FULL --- */

static bool is_left_column(const struct expr *expr, size_t left_count, bool *is_mixed)
{
    uint32_t least;
    uint32_t greatest;
    *is_mixed = !expr_column_range(expr, &least, &greatest) ||
                (least < left_count) != (greatest < left_count);
    return least < left_count;
}

/* PostgreSQL has no way to run other FULL joins, and says so. */
static enum err check_full(const struct join_state *s, const struct plan *join)
{
    if (s->from->join != AST_JOIN_FULL || join->join.condition == NULL ||
        join->join.condition->kind == EXPR_CONSTANT)
        return OK;
    struct expr_list parts = {0};
    expr_split(s->b->arena, join->join.condition, &parts);
    for (size_t index = 0; index < parts.count; index++) {
        const struct expr *part = parts.items[index];
        bool is_mixed[2];
        if (expr_is_operator(part, "=") &&
            is_left_column(part->arguments[0], s->left_count, &is_mixed[0]) !=
                is_left_column(part->arguments[1], s->left_count, &is_mixed[1]) &&
            !is_mixed[0] && !is_mixed[1])
            return OK;
    }
    error_set(s->b->error, ERR_UNSUPPORTED, "0A000",
              "FULL JOIN is only supported with merge-joinable or hash-joinable join conditions");
    return ERR_UNSUPPORTED;
}

/* --- the join --- */

/* The right side's columns apart from the left one's, as USING looks for names. */
static void split_sides(struct join_state *s, size_t left_merged)
{
    s->left = s->right = s->sides;
    s->left.column_count = s->left_count;
    s->left.merged_count = left_merged;
    s->right.columns = s->sides.columns + s->left_count;
    s->right.column_count = s->sides.column_count - s->left_count;
    s->right.merged_count = s->sides.merged_count - left_merged;
    s->right.merged =
        arena_alloc_array(s->b->arena, s->right.merged_count + 1, sizeof(*s->right.merged));
    for (size_t index = 0; index < s->right.merged_count; index++) {
        struct scope_merged *merged = &s->right.merged[index];
        *merged = s->sides.merged[left_merged + index];
        merged->column -= (uint32_t)s->left_count;
        merged->first -= (uint32_t)s->left_count;
    }
}

static enum err bind_sides(struct join_state *s, struct plan **out)
{
    static const enum join_kind kinds[] = {[AST_JOIN_INNER] = JOIN_INNER,
                                           [AST_JOIN_LEFT] = JOIN_LEFT,
                                           [AST_JOIN_CROSS] = JOIN_CROSS,
                                           [AST_JOIN_RIGHT] = JOIN_RIGHT,
                                           [AST_JOIN_FULL] = JOIN_FULL};
    struct binder *b = s->b;
    struct plan *left;
    enum err result = bind_from_item(b, &s->sides, s->from->left, &left);
    size_t left_merged = s->sides.merged_count;
    s->left_count = s->sides.column_count;
    if (result == OK)
        result = bind_right_item(b, &s->sides, s->from->right, kinds[s->from->join], left, out);
    if (result != OK)
        return result;
    split_sides(s, left_merged);
    return OK;
}

/* (a JOIN b) AS j: one relation of all that * gives. */
static enum err add_as_one(struct join_state *s, struct scope *scope, struct plan **plan)
{
    struct binder *b = s->b;
    uint32_t *order = arena_alloc_array(b->arena, s->sides.column_count + 1, sizeof(*order));
    size_t count = scope_star(&s->sides, order);
    struct plan *project;
    enum err result = bind_new_plan(b, PLAN_PROJECT, count, 1, &project);
    if (result != OK)
        return result;
    project->children[0] = *plan;
    project->project.exprs = arena_alloc_array(b->arena, count, sizeof(struct expr *));
    for (size_t index = 0; index < count; index++) {
        struct type type = (*plan)->columns[order[index]].type;
        project->columns[index] = (struct plan_column){s->sides.columns[order[index]].name, type};
        project->project.exprs[index] = build_column(&b->build, order[index], type, 0);
    }
    *plan = project;
    return bind_add_columns(b, scope, s->from, SLICE(""), s->from->alias, project);
}

/* The sides' arrays become those of a scope that has nothing yet, as every join but the last of a
 * chain finds it: copying there would cost the square of the chain's columns. */
static void move_sides(struct join_state *s, struct scope *scope)
{
    scope->columns = s->sides.columns;
    scope->column_count = s->sides.column_count;
    scope->column_capacity = s->sides.column_capacity;
    scope->relations = s->sides.relations;
    scope->relation_count = s->sides.relation_count;
    scope->relation_capacity = s->sides.relation_capacity;
    scope->merged = s->sides.merged;
    scope->merged_count = s->sides.merged_count;
    scope->merged_capacity = s->sides.merged_capacity;
}

static enum err add_sides(struct join_state *s, struct scope *scope)
{
    uint32_t first = (uint32_t)scope->column_count;
    if (scope->relation_count == 0 && first == 0 && scope->merged_count == 0) {
        move_sides(s, scope);
        return OK;
    }
    for (size_t index = 0; index < s->sides.relation_count; index++) {
        const struct scope_relation *relation = &s->sides.relations[index];
        enum err result =
            scope_add_relation(s->b, scope, relation->schema, relation->name, s->from->position);
        if (result != OK)
            return result;
    }
    for (size_t index = 0; index < s->sides.column_count; index++)
        scope_add_column(s->b, scope, &s->sides.columns[index]);
    for (size_t index = 0; index < s->sides.merged_count; index++) {
        struct scope_merged merged = s->sides.merged[index];
        merged.column += first;
        merged.first += first;
        scope_add_merged(s->b, scope, &merged);
    }
    return OK;
}

/* ON sees the two sides only: they are bound in a scope of their own, then added to the one around.
 */
enum err bind_join(struct binder *b, struct scope *scope, const struct ast_from *from,
                   struct plan **out)
{
    struct join_state s = {.b = b,
                           .from = from,
                           .sides = {.outer = scope->outer,
                                     .lateral = scope->lateral,
                                     .ctes = scope->ctes,
                                     .clause = "FROM"}};
    enum err result = bind_sides(&s, out);
    if (result == OK && (from->is_natural || from->using_count > 0)) {
        struct plan *join = *out;
        result = bind_pairs(&s);
        if (result == OK)
            result = compare_pairs(&s, join);
        if (result == OK)
            result = merge_pairs(&s, out);
    } else if (result == OK && from->on != NULL) {
        if (bind_can_lift(b))
            shape_mark(b->context->shape, from->on, b->arena);
        result = bind_condition(b, &s.sides, from->on, "JOIN/ON", &(*out)->join.condition);
        if (result == OK)
            result = check_full(&s, *out);
    }
    if (result != OK)
        return result;
    return from->alias.size > 0 ? add_as_one(&s, scope, out) : add_sides(&s, scope);
}
