/* The kinds with typing rules of their own: conditions, CASE and its like by the common type, IN,
 * ANY and ALL.
 *
 * The common type is PostgreSQL's: the first known type, replaced by a later one of the same
 * category that the first can become but not the other way round, unless the first is its
 * category's preferred type. IN follows what PostgreSQL makes of it: two or more elements without
 * columns are one list of their common type; the others are compared one by one. */
#include "query/expr/resolve.h"

#include "storage/column/binary_form.h"

#include <assert.h>
#include <string.h>

static bool can_become_now(struct builder *b, struct expr *in, struct type type)
{
    (void)b;
    return in->type.id == TYPE_UNKNOWN || cast_exists(in->type.id, type.id, CAST_ASSIGNMENT);
}

enum err build_condition(struct builder *b, struct expr *in, const char *clause, struct expr **out)
{
    struct type boolean = type_of(TYPE_BOOL);
    if (!can_become_now(b, in, boolean))
        return build_fail(b, "42804", in->text_position,
                          "argument of %s must be type boolean, not type %s", clause,
                          type_name(in->type.id));
    return build_cast(b, in, boolean, CAST_ASSIGNMENT, in->text_position, out);
}

/* Gives the type, TYPE_UNKNOWN for a mismatch (then *culprit). */
static enum type_id common_type(struct expr *const *exprs, size_t count, size_t *culprit)
{
    enum type_id type = TYPE_UNKNOWN;
    *culprit = 0;
    for (size_t i = 0; i < count; i++) {
        enum type_id next = exprs[i]->type.id;
        if (next == TYPE_UNKNOWN || next == type)
            continue;
        if (type == TYPE_UNKNOWN) {
            type = next;
        } else if (type_category(next) != type_category(type)) {
            *culprit = i;
            return TYPE_UNKNOWN;
        } else if (!type_is_preferred(type) && type_can_become(type, next) &&
                   !type_can_become(next, type)) {
            type = next;
        }
    }
    return type == TYPE_UNKNOWN ? TYPE_TEXT : type;
}

/* What all that have a type call it, if they agree. */
static uint8_t common_alias(struct expr *const *exprs, size_t count)
{
    const struct expr *first = NULL;
    for (size_t i = 0; i < count; i++) {
        if (exprs[i]->type.id == TYPE_UNKNOWN)
            continue;
        if (first != NULL &&
            (exprs[i]->type.id != first->type.id || exprs[i]->type.alias != first->type.alias))
            return ALIAS_NONE;
        first = exprs[i];
    }
    return first == NULL ? ALIAS_NONE : first->type.alias;
}

enum err build_common_type(struct builder *b, struct expr *const *exprs, size_t count,
                           const char *what, struct type *out)
{
    size_t culprit;
    enum type_id type = common_type(exprs, count, &culprit);
    if (type == TYPE_UNKNOWN) {
        enum type_id before = common_type(exprs, culprit, &(size_t){0});
        return build_fail(b, "42804", exprs[culprit]->text_position,
                          "%s types %s and %s cannot be matched", what, type_name(before),
                          type_name(exprs[culprit]->type.id));
    }
    *out = type_of(type);
    bool is_same = count > 0;
    for (size_t i = 1; i < count; i++)
        is_same &= type_equal(exprs[i]->type, exprs[0]->type);
    if (is_same && exprs[0]->type.id == type)
        *out = exprs[0]->type;
    out->alias = common_alias(exprs, count);
    for (size_t i = 0; i < count; i++) {
        if (!type_can_become(exprs[i]->type.id, type))
            return build_fail(b, "42846", exprs[i]->text_position,
                              "%s could not convert type %s to %s", what,
                              type_name(exprs[i]->type.id), type_name(type));
    }
    return OK;
}

/* Casts arguments[first], arguments[first + step] … to one type. */
static enum err coerce_each(struct builder *b, struct expr **arguments, size_t count,
                            struct type type)
{
    for (size_t i = 0; i < count; i++) {
        enum err err = build_coerce(b, &arguments[i], type);
        if (err != OK)
            return err;
    }
    return OK;
}

static enum err build_case(struct builder *b, struct expr *node)
{
    uint32_t count = node->argument_count, result_count = 0;
    /* The ELSE weighs first in choosing the type. */
    struct expr **results = arena_alloc_array(b->arena, count + 1, sizeof(*results));
    results[result_count++] =
        count % 2 == 1 ? node->arguments[count - 1] : build_null(b, node->text_position);
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        enum err err = build_condition(b, node->arguments[i], "CASE/WHEN", &node->arguments[i]);
        if (err != OK)
            return err;
        results[result_count++] = node->arguments[i + 1];
    }
    enum err err = build_common_type(b, results, result_count, "CASE", &node->type);
    if (err != OK)
        return err;
    for (uint32_t i = 1; i < count; i += 2) {
        err = build_coerce(b, &node->arguments[i], node->type);
        if (err != OK)
            return err;
    }
    return count % 2 == 1 ? build_coerce(b, &node->arguments[count - 1], node->type) : OK;
}

/* nullif(date, timestamptz) is a date: CASE WHEN a = b THEN NULL ELSE a END. */
static enum err build_mixed_nullif(struct builder *b, struct expr *node,
                                   const struct function *function)
{
    struct expr **sides = node->arguments;
    node->kind = EXPR_CASE;
    node->type = sides[0]->type;
    node->argument_count = 3;
    node->arguments = arena_alloc_array(b->arena, 3, sizeof(struct expr *));
    struct value null = {.type = node->type, .is_null = true};
    node->arguments[1] = build_constant(b, &null, node->text_position);
    node->arguments[2] = sides[0];
    return build_chosen(b, function, sides, 2, node->text_position, &node->arguments[0]);
}

/* NULLIF, IS DISTINCT: both sides as "=" wants them. */
static enum err build_equal_pair(struct builder *b, struct expr *node)
{
    const struct function *function;
    enum err err =
        build_operator_find(b, SLICE("="), node->arguments[0]->type.id, node->arguments[1]->type.id,
                            false, node->text_position, &function);
    if (err != OK)
        return err;
    if (node->kind == EXPR_NULLIF && function->evaluate_as != 0)
        return build_mixed_nullif(b, node, function);
    struct type first = node->arguments[0]->type;
    for (size_t i = 0; i < 2 && err == OK; i++) {
        uint8_t type = function->evaluate_as != 0 ? function->evaluate_as : function->arguments[i];
        err = build_coerce(b, &node->arguments[i], type_of(type));
    }
    node->function = function;
    if (node->kind == EXPR_NULLIF) {
        node->type = node->arguments[0]->type;
        node->type.alias = first.id == node->type.id ? first.alias : ALIAS_NONE;
    }
    return err;
}

/* --- IN --- */

static enum err build_in_list(struct builder *b, bool is_negated, struct expr *left,
                              struct expr **items, size_t count, int32_t position,
                              struct expr **out)
{
    struct expr **all = arena_alloc_array(b->arena, count + 1, sizeof(*all));
    all[0] = left;
    memcpy(all + 1, items, count * sizeof(*items));
    size_t culprit;
    enum type_id type = common_type(all, count + 1, &culprit);
    if (type == TYPE_UNKNOWN) { /* compared one by one: the operator that is missing is named */
        struct expr *none;
        for (size_t i = 0; i < count; i++) {
            enum err err = build_operator(b, is_negated ? SLICE("<>") : SLICE("="), left, items[i],
                                          position, &none);
            if (err != OK)
                return err;
        }
        return build_fail(b, "42804", position, "IN types %s and %s cannot be matched",
                          type_name(left->type.id), type_name(all[culprit]->type.id));
    }
    enum err err = coerce_each(b, all + 1, count, type_of(type));
    const struct function *function = NULL;
    if (err == OK)
        err = build_operator_find(b, is_negated ? SLICE("<>") : SLICE("="), left->type.id, type,
                                  false, position, &function);
    if (err != OK)
        return err;
    struct expr *node = build_expr(b, EXPR_IN, type_of(TYPE_BOOL), (uint32_t)count + 1, position);
    node->is_negated = is_negated;
    for (size_t i = 0; i <= count && err == OK; i++) {
        uint8_t to = function->evaluate_as != 0 ? function->evaluate_as
                                                : function->arguments[i == 0 ? 0 : 1];
        node->arguments[i] = all[i];
        err = build_coerce(b, &node->arguments[i], type_of(to));
    }
    *out = err == OK ? build_fold(b, node) : NULL;
    return err;
}

static enum err build_in(struct builder *b, bool is_negated, struct expr **arguments, size_t count,
                         int32_t position, struct expr **out)
{
    struct expr **parts = arena_alloc_array(b->arena, count + 1, sizeof(*parts));
    struct expr **fixed = arena_alloc_array(b->arena, count + 1, sizeof(*fixed));
    size_t part_count = 0, fixed_count = 0;
    for (size_t i = 1; i < count; i++) {
        if (!expr_has_kind(arguments[i], EXPR_COLUMN))
            fixed[fixed_count++] = arguments[i];
    }
    bool has_list = fixed_count > 1;
    if (has_list) {
        enum err err = build_in_list(b, is_negated, arguments[0], fixed, fixed_count, position,
                                     &parts[part_count++]);
        if (err != OK)
            return err;
    }
    for (size_t i = 1; i < count; i++) {
        if (has_list && !expr_has_kind(arguments[i], EXPR_COLUMN))
            continue;
        enum err err = build_operator(b, is_negated ? SLICE("<>") : SLICE("="), arguments[0],
                                      arguments[i], position, &parts[part_count++]);
        if (err != OK)
            return err;
    }
    if (part_count == 1) {
        *out = parts[0];
        return OK;
    }
    return build_node(b, is_negated ? EXPR_AND : EXPR_OR, false, parts, part_count, position, out);
}

/* --- all kinds --- */

static const char *condition_clause(enum expr_kind kind, bool is_negated)
{
    switch (kind) {
    case EXPR_AND:
        return "AND";
    case EXPR_OR:
        return "OR";
    case EXPR_NOT:
        return "NOT";
    case EXPR_IS_TRUE:
        return is_negated ? "IS NOT TRUE" : "IS TRUE";
    case EXPR_IS_FALSE:
        return is_negated ? "IS NOT FALSE" : "IS FALSE";
    default:
        return is_negated ? "IS NOT UNKNOWN" : "IS UNKNOWN";
    }
}

static enum err build_uniform(struct builder *b, struct expr *node, const char *what)
{
    enum err err = build_common_type(b, node->arguments, node->argument_count, what, &node->type);
    return err != OK ? err : coerce_each(b, node->arguments, node->argument_count, node->type);
}

static enum err build_array(struct builder *b, struct expr *node)
{
    struct type element;
    if (node->argument_count == 0)
        return build_fail(b, "42P18", node->text_position, "cannot determine type of empty array");
    enum err err = build_common_type(b, node->arguments, node->argument_count, "ARRAY", &element);
    if (err != OK)
        return err;
    node->type = type_of(type_array_of((enum type_id)element.id));
    if (node->type.id == TYPE_UNKNOWN)
        return build_fail(b, "0A000", node->text_position, "arrays of %s are not supported",
                          type_name(element.id));
    node->type.alias = (uint8_t)alias_array((enum type_alias)element.alias);
    uint8_t alias = alias_element((enum type_alias)node->type.alias);
    element = type_of(type_element((enum type_id)node->type.id));
    element.alias = alias;
    return coerce_each(b, node->arguments, node->argument_count, element);
}

enum err build_typed_array(struct builder *b, struct expr **items, size_t count, struct type type,
                           int32_t position, struct expr **out)
{
    assert(type_is_array((enum type_id)type.id));
    struct type element = type;
    element.id = (uint8_t)type_element((enum type_id)type.id);
    element.alias = (uint8_t)alias_element((enum type_alias)type.alias);
    struct expr *node =
        build_expr(b, EXPR_ARRAY, type_of((enum type_id)type.id), (uint32_t)count, position);
    node->type.alias = type.alias;
    for (size_t i = 0; i < count; i++) {
        enum err err = build_cast(b, items[i], element, CAST_EXPLICIT, items[i]->text_position,
                                  &node->arguments[i]);
        if (err != OK)
            return err;
    }
    *out = build_fold(b, node);
    return OK;
}

static enum err type_node(struct builder *b, struct expr *node)
{
    switch (node->kind) {
    case EXPR_AND:
    case EXPR_OR:
    case EXPR_NOT:
    case EXPR_IS_TRUE:
    case EXPR_IS_FALSE:
    case EXPR_IS_UNKNOWN:
        for (uint32_t i = 0; i < node->argument_count; i++) {
            enum err err = build_condition(b, node->arguments[i],
                                           condition_clause(node->kind, node->is_negated),
                                           &node->arguments[i]);
            if (err != OK)
                return err;
        }
        return OK;
    case EXPR_IS_NULL:
        if (!is_unknown_parameter(node->arguments[0]))
            node->arguments[0] = build_finish(b, node->arguments[0]);
        return OK;
    case EXPR_CASE:
        return build_case(b, node);
    case EXPR_COALESCE:
        return build_uniform(b, node, "COALESCE");
    case EXPR_GREATEST:
        return build_uniform(b, node, "GREATEST");
    case EXPR_LEAST:
        return build_uniform(b, node, "LEAST");
    case EXPR_NULLIF:
    case EXPR_IS_DISTINCT:
        return build_equal_pair(b, node);
    case EXPR_ARRAY:
        return build_array(b, node);
    default:
        return build_fail(b, "0A000", node->text_position, "this expression is not supported");
    }
}

enum err build_node(struct builder *b, enum expr_kind kind, bool is_negated,
                    struct expr **arguments, size_t count, int32_t position, struct expr **out)
{
    if (kind == EXPR_IN)
        return build_in(b, is_negated, arguments, count, position, out);
    struct expr *node = build_expr(b, kind, type_of(TYPE_BOOL), (uint32_t)count, position);
    node->is_negated = is_negated;
    if (count > 0)
        memcpy(node->arguments, arguments, count * sizeof(*arguments));
    enum err err = type_node(b, node);
    if (err == OK)
        *out = build_fold(b, node);
    return err;
}

/* --- ANY, ALL --- */

static bool is_whole_type(enum type_id type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

/* What the array's elements are; an untyped one is taken to be of left's type. */
static enum err find_element(struct builder *b, const struct array_compare *compare,
                             const struct expr *left, struct expr **array, enum type_id *element)
{
    if ((*array)->type.id == TYPE_UNKNOWN) {
        enum type_id type = type_array_of((enum type_id)left->type.id);
        if (type == TYPE_UNKNOWN)
            type = TYPE_TEXT_ARRAY;
        *element = type_element(type);
        return build_coerce(b, array, type_of(type));
    }
    if (type_category((*array)->type.id) != 'A')
        return build_fail(b, "42809", compare->position,
                          "op ANY/ALL (array) requires array on right side");
    *element = type_element((enum type_id)(*array)->type.id);
    return OK;
}

enum err build_array_compare(struct builder *b, const struct array_compare *compare,
                             struct expr *left, struct expr *array, struct expr **out)
{
    enum type_id element = TYPE_UNKNOWN;
    const struct function *function = NULL;
    enum err err = find_element(b, compare, left, &array, &element);
    if (err == OK)
        err = build_operator_find(b, compare->operator_name, left->type.id, element, false,
                                  compare->position, &function);
    if (err != OK)
        return err;
    if (function->result != TYPE_BOOL)
        return build_fail(b, "42809", compare->position,
                          "op ANY/ALL (array) requires operator to yield boolean");
    struct expr *node = build_expr(b, EXPR_ARRAY_COMPARE, type_of(TYPE_BOOL), 2, compare->position);
    node->function = function;
    node->is_all = compare->is_all;
    node->arguments[0] = left;
    node->arguments[1] = array;
    uint8_t as = function->evaluate_as != 0 ? function->evaluate_as : function->arguments[0];
    err = build_coerce(b, &node->arguments[0], type_of((enum type_id)as));
    if (err == OK)
        *out = build_fold(b, node);
    return err;
}

enum err build_list_compare(struct builder *b, const struct array_compare *compare,
                            struct expr *left, struct expr **items, size_t count, struct expr **out)
{
    struct type element;
    enum err err = build_common_type(b, items, count, "ARRAY", &element);
    if (err != OK)
        return err;
    if (count == 0 || type_category(element.id) == 'S' || is_whole_type(element.id)) {
        struct expr *array;
        err = build_node(b, EXPR_ARRAY, false, items, count, compare->position, &array);
        return err != OK ? err : build_array_compare(b, compare, left, array, out);
    }
    struct expr **parts = arena_alloc_array(b->arena, count + 1, sizeof(*parts));
    bool is_in = slice_equal(compare->operator_name, compare->is_all ? SLICE("<>") : SLICE("="));
    parts[0] = left;
    for (size_t i = 0; i < count && err == OK; i++) {
        err = build_coerce(b, &items[i], element);
        parts[i + is_in] = items[i];
        if (err == OK && !is_in)
            err = build_operator(b, compare->operator_name, left, items[i], compare->position,
                                 &parts[i]);
    }
    if (err == OK && !is_in && count == 1)
        *out = parts[0];
    else if (err == OK)
        err = build_node(b,
                         is_in             ? EXPR_IN
                         : compare->is_all ? EXPR_AND
                                           : EXPR_OR,
                         is_in && compare->is_all, parts, count + is_in, compare->position, out);
    return err;
}
