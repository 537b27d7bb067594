/* WITH RECURSIVE: a query of two sides about UNION, of which the second names the query itself and
 * stands there for the rows that came last.
 *
 * The first side says what names and types there are; the second must come to the same ones. Where
 * the name may not stand is PostgreSQL's rule: once, in FROM of the second side, not in a subquery,
 * not where an outer join could put NULLs, not below an aggregate, INTERSECT or EXCEPT.
 *
 * A query that does not name itself is a plain one, which is known when both sides are bound. They
 * are not bound again then: in a chain of such queries each would double the work of all before. So
 * the first side is bound as for a plain one, where a literal's type may come from the other side,
 * and settled when the second side names it. */
#include "query/sql/bind.h"

static enum err misplaced(struct binder *b, const struct ast_cte *cte, int32_t position,
                          const char *where)
{
    return bind_error(b, position, "42P19",
                      "recursive reference to query \"%.*s\" must not appear %s",
                      SLICE_ARGS(cte->name), where);
}

/* Literals of no type are texts, as where a query is named. */
static enum err settle_base(struct binder *b, struct recursion *recursion)
{
    size_t count = recursion->base->column_count;
    struct type *types = arena_alloc_array(b->arena, count, sizeof(*types));
    recursion->number = b->statement->recursion_count++;
    for (size_t index = 0; index < count; index++) {
        struct type type = recursion->base->columns[index].type;
        types[index] = type.id == TYPE_UNKNOWN ? type_of(TYPE_TEXT) : type;
    }
    return bind_cast_columns(b, &recursion->base, types);
}

enum err bind_working(struct binder *b, const struct scope *scope, const struct ast_from *from,
                      const struct cte_scope *entry, struct plan **out)
{
    struct recursion *recursion = entry->recursion;
    if (!recursion->is_open)
        return misplaced(b, entry->cte, from->position, "within its non-recursive term");
    if (scope->outer != entry->around)
        return misplaced(b, entry->cte, from->position, "within a subquery");
    if (++recursion->use_count > 1)
        return misplaced(b, entry->cte, from->position, "more than once");
    enum err result = settle_base(b, recursion);
    const struct plan *base = recursion->base;
    if (result == OK)
        result = bind_new_plan(b, PLAN_WORKING, base->column_count, 0, out);
    if (result != OK)
        return result;
    for (size_t index = 0; index < base->column_count; index++) {
        (*out)->columns[index] = base->columns[index];
        if (index < entry->cte->column_alias_count)
            (*out)->columns[index].name = entry->cte->column_aliases[index];
    }
    (*out)->recursion.number = recursion->number;
    return OK;
}

/* --- where the name stands --- */

struct path {
    uint32_t number;
    const char *wrong; /* where it stands and must not; NULL: nowhere */
    bool is_ordered;   /* it is below an ORDER BY or a LIMIT */
};

static const char *wrong_in(const struct plan *plan, size_t child)
{
    switch (plan->kind) {
    case PLAN_GROUP:
        return plan->group.aggregate_count > 0 ? "below an aggregate" : NULL;
    case PLAN_SET:
        return plan->set.is_except ? "within EXCEPT" : "within INTERSECT";
    case PLAN_JOIN:
        return plan->join.kind == JOIN_FULL || (plan->join.kind == JOIN_LEFT && child == 1) ||
                       (plan->join.kind == JOIN_RIGHT && child == 0)
                   ? "within an outer join"
                   : NULL;
    case PLAN_APPLY:
        return child == 1 ? "within a subquery" : NULL;
    default:
        return NULL;
    }
}

/* As deep as the plan is, which is bounded where it is made. */
static bool look(const struct plan *plan, struct path *path)
{
    if (plan->kind == PLAN_WORKING)
        return plan->recursion.number == path->number;
    for (size_t child = 0; child < plan->child_count; child++) {
        if (!look(plan->children[child], path))
            continue;
        if (path->wrong == NULL)
            path->wrong = wrong_in(plan, child);
        path->is_ordered |= plan->kind == PLAN_SORT || plan->kind == PLAN_LIMIT;
        return true;
    }
    return false;
}

static enum err check_path(struct binder *b, const struct ast_cte *cte, uint32_t number,
                           const struct plan *side)
{
    struct path path = {.number = number};
    look(side, &path);
    if (path.wrong != NULL)
        return misplaced(b, cte, 0, path.wrong);
    return path.is_ordered ? bind_unsupported(b, 0, "ORDER BY or LIMIT in a recursive query") : OK;
}

/* --- the query --- */

static enum err match_types(struct binder *b, const struct ast_cte *cte, struct plan **sides)
{
    size_t count = sides[0]->column_count;
    struct type *types = arena_alloc_array(b->arena, count + 1, sizeof(*types));
    struct plan_column *columns = arena_alloc_array(b->arena, count + 1, sizeof(*columns));
    enum err result = bind_set_types(b, cte->select, sides, "UNION", columns, types);
    for (size_t index = 0; result == OK && index < count; index++) {
        struct type first = sides[0]->columns[index].type;
        if (!type_equal(first, types[index])) {
            result = bind_error(b, 0, "42804",
                                "recursive query \"%.*s\" column %zu has type %s in non-recursive "
                                "term but type %s overall",
                                SLICE_ARGS(cte->name), index + 1, type_name(first.id),
                                type_name(types[index].id));
            error_hint(b->error, "Cast the output of the non-recursive term to the correct type.");
        }
        types[index] = first;
    }
    return result != OK ? result : bind_cast_columns(b, &sides[1], types);
}

static enum err put_recursion(struct binder *b, const struct cte_scope *entry, struct plan **sides,
                              struct plan **out)
{
    enum err result = check_path(b, entry->cte, entry->recursion->number, sides[1]);
    if (result == OK)
        result = match_types(b, entry->cte, sides);
    if (result == OK)
        result = bind_new_plan(b, PLAN_RECURSION, sides[0]->column_count, 2, out);
    if (result != OK)
        return result;
    memcpy((*out)->columns, sides[0]->columns, sides[0]->column_count * sizeof(*(*out)->columns));
    memcpy((*out)->children, sides, 2 * sizeof(*sides));
    (*out)->recursion.number = entry->recursion->number;
    (*out)->recursion.is_distinct = !entry->cte->select->is_all;
    return OK;
}

enum err bind_recursive(struct binder *b, const struct cte_scope *entry, struct plan **out)
{
    const struct ast_select *select = entry->cte->select;
    struct recursion *recursion = arena_alloc_zero(b->arena, sizeof(*recursion));
    struct cte_scope *self = arena_alloc(b->arena, sizeof(*self));
    struct plan *sides[2];
    *self = *entry;
    self->recursion = recursion;
    if (select->kind != SELECT_SET || select->set != SET_UNION || b->statement == NULL)
        return bind_select(b, entry->around, self, select, false, out);
    const struct cte_scope *ctes = bind_with(b, entry->around, self, select);
    enum err result = bind_select(b, entry->around, ctes, select->left, true, &recursion->base);
    recursion->is_open = true;
    if (result == OK)
        result = bind_select(b, entry->around, ctes, select->right, true, &sides[1]);
    if (result != OK)
        return result;
    sides[0] = recursion->base;
    if (recursion->use_count == 0) {
        result = bind_set_sides(b, select, sides, out);
        return result != OK ? result : bind_order_set(b, entry->around, ctes, select, out);
    }
    if (select->order_count > 0 || select->limit != NULL || select->offset != NULL)
        return bind_unsupported(b, 0, "ORDER BY or LIMIT in a recursive query");
    if (entry->cte->column_alias_count > sides[0]->column_count)
        return bind_error(b, 0, "42P10",
                          "WITH query \"%.*s\" has %zu columns available but %zu columns specified",
                          SLICE_ARGS(entry->cte->name), sides[0]->column_count,
                          entry->cte->column_alias_count);
    return put_recursion(b, self, sides, out);
}
