/* Parameters while a statement is built: $1 … by number, parameter('name') by name.
 *
 * The rules are PostgreSQL's for parameters of types not given. A parameter begins as unknown, as a
 * string literal does, and the first cast that its place asks for is its type from there on; later
 * places see it as of that type. A place that was bound before and is cast to another type is
 * 42P08; a place that never asks for a type (IS NULL, count, concat) leaves it unknown, which is
 * 42P18 if no other place knew, and 42P08 if one did.
 *
 * A few places take constants only (the size of a window, the fraction of a percentile). There a
 * harmless constant stands in, so that types and columns can be told before there are values, and
 * the statement is built again with the values as constants when it is run. */
#include "query/expr/resolve.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool is_unknown_parameter(const struct expr *expr)
{
    return expr->kind == EXPR_BOUND && expr->type.id == TYPE_UNKNOWN;
}

static struct parameter *list_at(struct builder *b, struct parameter_list *list, size_t index)
{
    if (index >= list->capacity) {
        size_t capacity = list->capacity == 0 ? 8 : list->capacity * 2;
        while (capacity <= index)
            capacity *= 2;
        struct parameter *items = arena_alloc_zero(b->arena, capacity * sizeof(*items));
        if (list->count > 0)
            memcpy(items, list->items, list->count * sizeof(*items));
        list->items = items;
        list->capacity = capacity;
    }
    if (index >= list->count)
        list->count = index + 1;
    return &list->items[index];
}

static enum err find_named(struct builder *b, struct slice name, int32_t position, size_t *index)
{
    struct parameter_list *named = &b->parameters->named;
    for (*index = 0; *index < named->count; ++*index)
        if (slice_equal(named->items[*index].name, name))
            return OK;
    if (named->count == NAMED_PARAMETERS_MAX)
        return build_fail(b, "54000", position, "a statement has at most %d named parameters",
                          NAMED_PARAMETERS_MAX);
    list_at(b, named, named->count)->name = name;
    return OK;
}

static struct parameter *parameter_of(const struct builder *b, const struct expr *expr)
{
    return expr->parameter < BOUND_NAMED_FIRST
               ? &b->parameters->numbered.items[expr->parameter]
               : &b->parameters->named.items[expr->parameter - BOUND_NAMED_FIRST];
}

enum err build_parameter(struct builder *b, uint32_t number, struct slice name, int32_t position,
                         struct expr **out)
{
    struct parameters *parameters = b->parameters;
    bool is_allowed = parameters != NULL &&
                      (number > 0 ? parameters->is_numbered_allowed : parameters->is_named_allowed);
    if (!is_allowed || number > PARAMETERS_MAX)
        return number > 0 ? build_fail(b, "42P02", position, "there is no parameter $%u", number)
                          : build_fail(b, "42P02", position, "there is no parameter \"%.*s\"",
                                       SLICE_ARGS(name));
    size_t index = number - 1;
    enum err err = number > 0 ? OK : find_named(b, name, position, &index);
    if (err != OK)
        return err;
    struct parameter *parameter =
        list_at(b, number > 0 ? &parameters->numbered : &parameters->named, index);
    parameter->is_used = true;
    if (parameters->values != NULL) {
        size_t at = number > 0 ? index : parameters->numbered_value_count + index;
        if (at >= parameters->value_count) /* of a view that is another one by now */
            return build_fail(b, "40001", position,
                              "the parameters changed while the query was planned; try again");
        *out = build_constant(b, &parameters->values[at], position);
        (*out)->type = parameters->values[at].type;
        return OK;
    }
    *out = build_expr(b, EXPR_BOUND, parameter->type, 0, position);
    (*out)->parameter = (uint32_t)(number > 0 ? index : BOUND_NAMED_FIRST + index);
    return OK;
}

void build_give_types(struct builder *b, const struct type *types, size_t count)
{
    assert(count <= PARAMETERS_MAX);
    for (size_t i = 0; i < count; i++)
        list_at(b, &b->parameters->numbered, i)->type = types[i];
}

enum err parameter_become(struct builder *b, struct expr *in, struct type type, int32_t position)
{
    struct parameter *parameter = parameter_of(b, in);
    type = (struct type){.id = type.id, .alias = type.alias}; /* no modifiers */
    if (parameter->type.id != TYPE_UNKNOWN && parameter->type.id != type.id) {
        char text[24];
        bool is_named = parameter->name.size > 0;
        snprintf(text, sizeof(text), "$%u", in->parameter + 1);
        build_fail(b, "42P08", in->text_position,
                   "inconsistent types deduced for parameter %.*s: %s versus %s",
                   SLICE_ARGS(is_named ? parameter->name : slice_from_cstr(text)),
                   type_name((enum type_id)parameter->type.id), type_name((enum type_id)type.id));
        return ERR_INPUT;
    }
    parameter->type = type;
    in->type = type;
    if (position > 0 && (in->text_position == 0 || position < in->text_position))
        in->text_position = position; /* the leftmost, as PostgreSQL has it */
    return OK;
}

/* --- constants wanted --- */

static bool has_parameter(const struct expr *expr)
{
    if (expr->kind == EXPR_BOUND)
        return true;
    for (uint32_t i = 0; i < expr->argument_count; i++)
        if (has_parameter(expr->arguments[i]))
            return true;
    return false;
}

void build_want_constant(struct builder *b, struct expr **expr)
{
    if ((*expr)->kind == EXPR_CONSTANT || !has_parameter(*expr))
        return;
    assert(b->parameters != NULL);
    b->parameters->needs_values = true;
    struct value value = {.type = (*expr)->type};
    switch (type_physical((enum type_id)value.type.id)) {
    case PHYSICAL_BOOL:
        break;
    case PHYSICAL_INT:
        value.i = 1;
        break;
    case PHYSICAL_FLOAT:
        value.f = 1;
        break;
    case PHYSICAL_NUMERIC:
        value.n = numeric_from_int(1);
        break;
    case PHYSICAL_TEXT: /* a pattern of one step, the name of a zone, an array of nothing */
        value.text = SLICE("UTC");
        if (type_is_array((enum type_id)value.type.id))
            value.text = array_build((enum type_id)value.type.id, NULL, 0, b->arena);
        break;
    case PHYSICAL_INTERVAL:
        value.interval.days = 1;
        break;
    }
    *expr = build_constant(b, &value, (*expr)->text_position);
}

/* --- at the end --- */

enum err build_check_parameter(struct builder *b, const struct expr *expr)
{
    if (is_unknown_parameter(expr)) {
        const struct parameter *parameter = parameter_of(b, expr);
        const char *code = parameter->type.id == TYPE_UNKNOWN ? "42P18" : "42P08";
        if (parameter->name.size > 0)
            return build_fail(b, code, expr->text_position,
                              "could not determine data type of parameter \"%.*s\"",
                              SLICE_ARGS(parameter->name));
        return build_fail(b, code, expr->text_position,
                          "could not determine data type of parameter $%u", expr->parameter + 1);
    }
    for (uint32_t i = 0; i < expr->argument_count; i++) {
        enum err err = build_check_parameter(b, expr->arguments[i]);
        if (err != OK)
            return err;
    }
    return OK;
}

enum err build_check_parameters(struct builder *b)
{
    const struct parameters *parameters = b->parameters;
    if (parameters == NULL || parameters->values != NULL)
        return OK;
    for (size_t i = 0; i < parameters->numbered.count; i++)
        if (parameters->numbered.items[i].type.id == TYPE_UNKNOWN)
            return build_fail(b, "42P18", 0, "could not determine data type of parameter $%zu",
                              i + 1);
    for (size_t i = 0; i < parameters->named.count; i++)
        if (parameters->named.items[i].type.id == TYPE_UNKNOWN)
            return build_fail(b, "42P18", 0, "could not determine data type of parameter \"%.*s\"",
                              SLICE_ARGS(parameters->named.items[i].name));
    return OK;
}
