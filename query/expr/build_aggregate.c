/* Aggregate calls: which aggregate a name and an argument type mean, with the argument cast to what
 * it takes. Among those of one name an exact argument type wins, then the preferred type the
 * argument can become, then the only one left. */
#include "query/expr/resolve.h"

#include "query/func/aggregate.h"

bool build_is_aggregate(struct slice name)
{
    return aggregate_next(name, NULL) != NULL;
}

static const struct aggregate *choose(struct slice name, enum type_id type, bool *is_ambiguous)
{
    const struct aggregate *best = NULL;
    size_t possible = 0;
    *is_ambiguous = false;
    for (const struct aggregate *a = aggregate_next(name, NULL); a != NULL;
         a = aggregate_next(name, a)) {
        if (a->argument == AGGREGATE_NONE)
            continue;
        if (a->argument == AGGREGATE_ANY || a->argument == type)
            return a;
        if (!type_can_become(type, a->argument))
            continue;
        bool is_text = type == TYPE_UNKNOWN && a->argument == TYPE_TEXT;
        if (is_text || (type != TYPE_UNKNOWN && type_is_preferred(a->argument))) {
            best = a;
            possible = 1;
            if (is_text)
                return a;
        } else if (best == NULL || !type_is_preferred(best->argument)) {
            best = a;
            possible++;
        }
    }
    *is_ambiguous = possible > 1;
    return possible == 1 ? best : NULL;
}

static enum err fail_missing(struct builder *b, const struct aggregate_request *request,
                             bool is_ambiguous)
{
    struct writer types;
    writer_init(&types);
    for (size_t i = 0; i < request->argument_count; i++)
        writer_printf(&types, "%s%s", i > 0 ? ", " : "", type_name(request->arguments[i]->type.id));
    if (request->order_by != NULL)
        writer_printf(&types, "%s%s", types.size > 0 ? ", " : "",
                      type_name(request->order_by->type.id));
    build_fail(b, is_ambiguous ? "42725" : "42883", request->position, "function %.*s(%.*s) %s",
               SLICE_ARGS(request->name), SLICE_ARGS(writer_as_slice(&types)),
               is_ambiguous ? "is not unique" : "does not exist");
    error_hint(b->error,
               is_ambiguous
                   ? "Could not choose a best candidate function. You might need to add explicit "
                     "type casts."
                   : "No function matches the given name and argument types. You might need to add "
                     "explicit type casts.");
    writer_deinit(&types);
    return ERR_INPUT;
}

/* percentile_cont(fraction) WITHIN GROUP (ORDER BY x): the fraction is one constant. */
static enum err ordered_set(struct builder *b, const struct aggregate_request *request,
                            struct aggregate_call *out)
{
    if (request->order_by == NULL)
        return build_fail(b, "42809", request->position,
                          "WITHIN GROUP is required for ordered-set aggregate %.*s",
                          SLICE_ARGS(request->name));
    if (request->is_distinct)
        return build_fail(b, "42809", request->position, "cannot use DISTINCT with WITHIN GROUP");
    bool is_ambiguous;
    const struct aggregate *aggregate =
        choose(request->name, request->order_by->type.id, &is_ambiguous);
    if (aggregate == NULL || request->argument_count != 1)
        return fail_missing(b, request, is_ambiguous);
    struct expr *fraction = request->arguments[0];
    if (!type_can_become(fraction->type.id, TYPE_FLOAT8))
        return fail_missing(b, request, false);
    enum err err = build_coerce(b, &fraction, type_of(TYPE_FLOAT8));
    if (err != OK)
        return err;
    if (fraction->kind != EXPR_CONSTANT)
        return build_fail(b, "0A000", request->position, "the fraction of %.*s must be a constant",
                          SLICE_ARGS(request->name));
    out->aggregate = aggregate;
    out->direct = fraction->constant;
    out->order_by = request->order_by;
    out->is_descending = request->is_descending;
    return build_coerce(b, &out->order_by, type_of(aggregate->argument));
}

static enum err plain(struct builder *b, const struct aggregate_request *request,
                      struct aggregate_call *out)
{
    if (request->order_by != NULL)
        return build_fail(b, "42809", request->position,
                          "%.*s is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                          SLICE_ARGS(request->name));
    if (request->argument_count == 0 && slice_equal(request->name, SLICE("count")))
        return build_fail(b, "42809", request->position,
                          "count(*) must be used to call a parameterless aggregate "
                          "function");
    bool is_ambiguous = false;
    if (request->argument_count != 1)
        return fail_missing(b, request, false);
    struct expr *argument = request->arguments[0];
    out->aggregate = choose(request->name, argument->type.id, &is_ambiguous);
    if (out->aggregate == NULL)
        return fail_missing(b, request, is_ambiguous);
    enum err err = OK;
    if (out->aggregate->argument == AGGREGATE_ANY)
        argument = build_finish(b, argument);
    else
        err = build_coerce(b, &argument, type_of(out->aggregate->argument));
    out->arguments = arena_alloc_array(b->arena, 1, sizeof(struct expr *));
    out->arguments[0] = argument;
    out->argument_count = 1;
    return err;
}

enum err build_aggregate(struct builder *b, const struct aggregate_request *request,
                         struct aggregate_call *out)
{
    *out = (struct aggregate_call){.is_distinct = request->is_distinct,
                                   .is_star = request->is_star,
                                   .text_position = request->position};
    const struct aggregate *first = aggregate_next(request->name, NULL);
    enum err err;
    if (first == NULL)
        return fail_missing(b, request, false);
    if (request->is_star) {
        if (first->argument != AGGREGATE_NONE)
            return fail_missing(b, request, false);
        out->aggregate = first;
        err = OK;
    } else if (first->is_ordered_set) {
        err = ordered_set(b, request, out);
    } else {
        err = plain(b, request, out);
    }
    if (err == OK && request->filter != NULL)
        err = build_condition(b, request->filter, "FILTER", &out->filter);
    if (err != OK)
        return err;
    uint8_t result = out->aggregate->result;
    out->type = type_of(result == AGGREGATE_SAME ? out->aggregate->argument : (enum type_id)result);
    return OK;
}
