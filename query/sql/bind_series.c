/* Functions in FROM: generate_series, unnest and their like, plain functions as one row, ROWS FROM
 * and WITH ORDINALITY. Arguments may name what stands before in FROM (LATERAL), whose values are
 * slots then. unnest of several arrays is as many functions side by side; string_to_table and its
 * like are one function over the array that another gives. */
#include "query/sql/bind.h"

#include "query/func/func.h"
#include "query/func/series.h"
#include "query/sql/shape.h"

bool bind_is_series(struct slice name)
{
    return series_find(name, NULL) != NULL || series_over_array_find(name) != NULL;
}

static enum err missing(struct binder *b, const char *sqlstate, struct slice name,
                        struct expr *const *arguments, size_t count, int32_t position)
{
    struct writer types;
    writer_init(&types);
    for (size_t index = 0; index < count; index++)
        writer_printf(&types, "%s%s", index > 0 ? ", " : "",
                      type_name((enum type_id)arguments[index]->type.id));
    bind_error(b, position, sqlstate, "function %.*s(%.*s) %s", SLICE_ARGS(name),
               SLICE_ARGS(writer_as_slice(&types)),
               sqlstate[4] == '3' ? "does not exist" : "is not unique");
    writer_deinit(&types);
    error_hint(b->error, "You might need to add explicit type casts.");
    return ERR_INPUT;
}

static bool can_take(enum type_id given, enum type_id wanted)
{
    return given == wanted || given == TYPE_UNKNOWN || cast_exists(given, wanted, CAST_IMPLICIT);
}

/* Among the functions of one name that could take the arguments: the one with most types met
 * exactly, the first of these; of times timestamptz, which is preferred. */
static const struct series_function *choose(struct slice name, struct expr *const *arguments,
                                            size_t count, bool *is_ambiguous)
{
    const struct series_function *best = NULL;
    size_t best_exact = 0, known = 0, possible = 0;
    for (size_t index = 0; index < count; index++)
        known += arguments[index]->type.id != TYPE_UNKNOWN;
    for (const struct series_function *f = series_find(name, NULL); f != NULL;
         f = f + 1 < series_functions + series_function_count ? series_find(name, f + 1) : NULL) {
        size_t exact = 0;
        bool is_possible = count >= f->argument_min && count <= f->argument_max;
        for (size_t index = 0; index < count && is_possible; index++) {
            enum type_id given = (enum type_id)arguments[index]->type.id;
            is_possible = can_take(given, (enum type_id)f->arguments[index]);
            exact += given == f->arguments[index];
        }
        possible += is_possible;
        if (!is_possible || (best != NULL && exact <= best_exact))
            continue;
        best = f;
        best_exact = exact;
    }
    *is_ambiguous = possible > 1 && known == 0;
    return *is_ambiguous ? NULL : best;
}

static enum err type_series(struct binder *b, struct slice name, struct expr **arguments,
                            size_t count, int32_t position, struct series_call *call)
{
    bool is_ambiguous;
    call->function = choose(name, arguments, count, &is_ambiguous);
    if (call->function == NULL)
        return missing(b, is_ambiguous ? "42725" : "42883", name, arguments, count, position);
    enum err result = OK;
    for (size_t index = 0; index < count && result == OK; index++)
        result = build_cast(&b->build, arguments[index],
                            type_of((enum type_id)call->function->arguments[index]), CAST_IMPLICIT,
                            position, &arguments[index]);
    call->argument_count = (uint32_t)count;
    call->arguments = arguments;
    call->column_count = call->function->column_count;
    return result;
}

enum err bind_series_call(struct binder *b, struct slice name, struct expr **arguments,
                          size_t count, int32_t position, struct series_call *call)
{
    const struct series_over_array *over = series_over_array_find(name);
    if (over == NULL)
        return type_series(b, name, arguments, count, position, call);
    struct expr **whole = arena_alloc_array(b->arena, 1, sizeof(*whole));
    enum err result =
        build_call(&b->build, slice_from_cstr(over->array), arguments, count, position, whole);
    if (result != OK) /* named as it was written */
        return missing(b, "42883", name, arguments, count, position);
    return type_series(b, slice_from_cstr(over->series), whole, 1, position, call);
}

/* --- FROM --- */

struct series_list {
    size_t call_count, call_capacity;
    struct series_call *calls;
    size_t column_count, column_capacity;
    struct plan_column *columns;
    bool is_named; /* one function, whose one column takes the alias */
};

static void add_column(struct binder *b, struct series_list *list, struct slice name,
                       struct type type)
{
    list->columns = bind_grow(b->arena, list->columns, list->column_count, &list->column_capacity,
                              sizeof(*list->columns));
    list->columns[list->column_count++] = (struct plan_column){name, type};
}

static void add_call(struct binder *b, struct series_list *list, const struct series_call *call,
                     struct slice name)
{
    list->calls = bind_grow(b->arena, list->calls, list->call_count, &list->call_capacity,
                            sizeof(*list->calls));
    list->calls[list->call_count++] = *call;
    if (call->function == NULL)
        add_column(b, list, name, call->arguments[0]->type);
    for (size_t index = 0; call->function != NULL && index < call->column_count; index++) {
        const char *own = call->function->names[index];
        add_column(b, list, own != NULL ? slice_from_cstr(own) : name,
                   type_of((enum type_id)call->function->columns[index]));
        list->is_named = own == NULL;
    }
}

static enum err add_function(struct binder *b, struct scope *scope, const struct ast_node *node,
                             struct series_list *list)
{
    struct expr **arguments =
        arena_alloc_array(b->arena, (size_t)node->count + 1, sizeof(struct expr *));
    struct series_call call = {0};
    list->is_named = true;
    bool is_series = node->kind == AST_CALL && bind_is_series(node->text);
    bool is_unnest = is_series && slice_equal(node->text, SLICE("unnest")) && node->count > 1;
    enum err result = OK;
    if (!is_series) { /* one row: its value */
        result = bind_expr(b, scope, node, &arguments[0]);
        if (result != OK)
            return result;
        arguments[0] = build_finish(&b->build, arguments[0]);
        call = (struct series_call){.argument_count = 1, .arguments = arguments, .column_count = 1};
        add_call(b, list, &call, bind_label(node));
        return OK;
    }
    if (!is_unnest && bind_can_lift(b))
        shape_mark_values(b->context->shape, node, b->arena);
    for (uint32_t index = 0; index < node->count && result == OK; index++)
        result = bind_expr(b, scope, node->arguments[index], &arguments[index]);
    for (uint32_t index = 0; is_unnest && index < node->count && result == OK; index++) {
        result = bind_series_call(b, node->text, arguments + index, 1, node->position, &call);
        if (result == OK)
            add_call(b, list, &call, node->text);
    }
    if (result != OK || is_unnest)
        return result;
    result = bind_series_call(b, node->text, arguments, node->count, node->position, &call);
    if (result == OK)
        add_call(b, list, &call, node->text);
    return result;
}

enum err bind_series_plan(struct binder *b, const struct series_call *calls, size_t call_count,
                          const struct plan_column *columns, size_t column_count, struct plan **out)
{
    enum err result = bind_new_plan(b, PLAN_SERIES, column_count, 0, out);
    if (result != OK)
        return result;
    memcpy((*out)->columns, columns, column_count * sizeof(*columns));
    (*out)->series.call_count = call_count;
    (*out)->series.calls = arena_alloc_array(b->arena, call_count, sizeof(*calls));
    memcpy((*out)->series.calls, calls, call_count * sizeof(*calls));
    return OK;
}

enum err bind_series(struct binder *b, struct scope *scope, const struct ast_from *from,
                     struct plan **out)
{
    struct scope inner = {.outer = scope->lateral != NULL ? scope->lateral : scope->outer,
                          .ctes = scope->ctes,
                          .clause = "functions in FROM"};
    struct series_list list = {0};
    enum err result = OK;
    for (size_t index = 0; index < from->function_count && result == OK; index++)
        result = add_function(b, &inner, from->functions[index], &list);
    if (result != OK)
        return result;
    if (list.call_count == 1 && list.is_named && from->alias.size > 0)
        list.columns[0].name = from->alias;
    if (from->has_ordinality)
        add_column(b, &list, SLICE("ordinality"), type_of(TYPE_INT8));
    result = bind_series_plan(b, list.calls, list.call_count, list.columns, list.column_count, out);
    if (result != OK)
        return result;
    (*out)->series.has_ordinality = from->has_ordinality;
    struct ast_from named = *from;
    if (named.alias.size == 0)
        named.alias = from->functions[0]->text;
    return bind_add_columns(b, scope, &named, SLICE(""), named.alias, *out);
}
