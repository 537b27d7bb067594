/* Aggregate calls: which aggregate a name and argument types mean, with the arguments cast to what
 * it takes.
 *
 * Among those of one name and number of arguments the closest wins: an exact type before one that
 * takes anything, then a literal that is text, then the preferred type an argument can become. Two
 * that are equally close are 42725. Leading arguments that an aggregate wants as constants (the
 * fraction of a percentile, the span of a funnel) leave the row arguments here and stand in
 * call->direct; keys of ORDER BY within the call are appended to them. */
#include "query/expr/resolve.h"

#include "query/func/aggregate.h"
#include "storage/column/binary_form.h"

#include <assert.h>

bool build_is_aggregate(struct slice name)
{
    return aggregate_next(name, NULL) != NULL;
}

/* How close a type is to a declared one; -1: it cannot become it. */
static int closeness(enum type_id from, uint8_t to)
{
    if (from == to)
        return 8;
    if (to == AGGREGATE_ANY)
        return 6;
    if (!type_can_become(from, (enum type_id)to))
        return -1;
    if (from == TYPE_UNKNOWN)
        return to == TYPE_TEXT ? 5 : to < TYPE_COUNT && type_is_array((enum type_id)to) ? 0 : 1;
    return type_is_preferred((enum type_id)to) ? 4 : 0;
}

static size_t direct_count(const struct aggregate *a)
{
    size_t count = 0;
    while (count < AGGREGATE_DIRECT_MAX && a->direct[count] != 0)
        count++;
    return count;
}

/* Arguments of a row, at least. */
static size_t row_count(const struct aggregate *a)
{
    if (a->argument == AGGREGATE_NONE)
        return 0;
    size_t count = 1;
    while (count <= array_count(a->more) && a->more[count - 1] != 0)
        count++;
    return count;
}

/* The declared type of the row argument at `index`. */
static uint8_t declared(const struct aggregate *a, size_t index)
{
    size_t last = row_count(a) - 1;
    if (index > last)
        index = last;
    return index == 0 ? a->argument : a->more[index - 1];
}

static const struct aggregate *choose(struct slice name, struct expr *const *arguments,
                                      size_t count, bool *is_ambiguous)
{
    const struct aggregate *best = NULL;
    int best_score = -1;
    *is_ambiguous = false;
    for (const struct aggregate *a = aggregate_next(name, NULL); a != NULL;
         a = aggregate_next(name, a)) {
        size_t direct = direct_count(a), rows = row_count(a);
        bool fits = a->is_variadic ? count >= direct + rows : count == direct + rows;
        int score = 0;
        for (size_t i = 0; i < count && fits; i++) {
            uint8_t type = i < direct ? a->direct[i] : declared(a, i - direct);
            int one = closeness(arguments[i]->type.id, type);
            fits = one >= 0;
            score += one;
        }
        if (!fits || a->argument == AGGREGATE_NONE || score < best_score)
            continue;
        *is_ambiguous = score == best_score;
        best = a;
        best_score = score;
    }
    return *is_ambiguous ? NULL : best;
}

static enum err fail_missing(struct builder *b, const struct aggregate_request *request,
                             bool is_ambiguous)
{
    struct writer types;
    writer_init(&types);
    for (size_t i = 0; i < request->argument_count; i++)
        writer_printf(&types, "%s%s", i > 0 ? ", " : "", type_name(request->arguments[i]->type.id));
    for (size_t i = 0; request->is_within && i < request->order_count; i++)
        writer_printf(&types, "%s%s", types.size > 0 ? ", " : "",
                      type_name(request->order_keys[i]->type.id));
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

static enum err take_direct(struct builder *b, const struct aggregate_request *request,
                            struct aggregate_call *out)
{
    size_t count = direct_count(out->aggregate);
    for (size_t i = 0; i < count; i++) {
        struct expr *constant = request->arguments[i];
        struct type type = type_of((enum type_id)out->aggregate->direct[i]);
        enum err err = build_coerce(b, &constant, type);
        if (err != OK)
            return err;
        build_want_constant(b, &constant);
        if (constant->kind != EXPR_CONSTANT)
            return build_fail(b, "0A000", request->position,
                              "argument %zu of %.*s must be a constant", i + 1,
                              SLICE_ARGS(request->name));
        out->direct[i] = constant->constant;
    }
    return OK;
}

static enum err take_argument(struct builder *b, uint8_t type, bool is_distinct,
                              struct expr **argument)
{
    struct type wanted = type_of((enum type_id)type);
    if (type == (*argument)->type.id)
        wanted.alias = (*argument)->type.alias; /* min(oid) is an oid */
    if (type != AGGREGATE_ANY)
        return build_coerce(b, argument, wanted);
    if (is_distinct || !is_unknown_parameter(*argument))
        *argument = build_finish(b, *argument);
    return OK;
}

/* rank(a, b) WITHIN GROUP (ORDER BY x, y DESC): of a row are the keys' directions, the keys, and
 * the values whose place is asked for. */
static enum err hypothetical(struct builder *b, const struct aggregate_request *request,
                             struct aggregate_call *out)
{
    size_t count = request->argument_count;
    if (count != request->order_count) {
        fail_missing(b, request, false);
        error_hint(b->error, "There are as many values as keys of WITHIN GROUP.");
        return ERR_INPUT;
    }
    if (1 + 2 * count > AGGREGATE_ARGUMENTS_MAX)
        return build_fail(b, "54023", request->position, "WITHIN GROUP has at most %d keys",
                          (AGGREGATE_ARGUMENTS_MAX - 1) / 2);
    char *directions = arena_alloc(b->arena, 2 * count);
    out->argument_count = (uint32_t)(1 + 2 * count);
    out->arguments = arena_alloc_array(b->arena, out->argument_count, sizeof(struct expr *));
    for (size_t i = 0; i < count; i++) {
        struct expr *pair[2] = {request->arguments[i], request->order_keys[i]};
        struct type type;
        enum err err = build_common_type(b, pair, 2, "WITHIN GROUP", &type);
        for (size_t k = 0; k < 2 && err == OK; k++)
            err = build_coerce(b, &pair[k], type);
        if (err != OK)
            return err;
        if (expr_has_kind(pair[0], EXPR_COLUMN) || expr_is_volatile(pair[0]))
            return build_fail(b, "0A000", request->position,
                              "argument %zu of %.*s must be a constant", i + 1,
                              SLICE_ARGS(request->name));
        directions[2 * i] = request->orders[i].is_descending ? 'd' : 'a';
        directions[2 * i + 1] = request->orders[i].is_nulls_first ? 'f' : 'l';
        out->arguments[1 + i] = pair[1];
        out->arguments[1 + count + i] = pair[0];
    }
    struct value text = {.type = type_of(TYPE_TEXT), .text = slice_of(directions, 2 * count)};
    out->arguments[0] = build_constant(b, &text, request->position);
    return OK;
}

/* percentile_cont(fraction) WITHIN GROUP (ORDER BY x): the fraction, or the array of them, is one
 * constant. */
static enum err ordered_set(struct builder *b, const struct aggregate_request *request,
                            struct aggregate_call *out)
{
    if (!request->is_within)
        return build_fail(b, "42809", request->position,
                          "WITHIN GROUP is required for ordered-set aggregate %.*s",
                          SLICE_ARGS(request->name));
    if (request->is_distinct)
        return build_fail(b, "42809", request->position, "cannot use DISTINCT with WITHIN GROUP");
    out->aggregate = aggregate_next(request->name, NULL);
    if (out->aggregate->is_hypothetical)
        return hypothetical(b, request, out);
    bool is_ambiguous;
    size_t count = request->argument_count, all_count = count + request->order_count;
    struct expr **all = arena_alloc_array(b->arena, all_count, sizeof(*all));
    for (size_t i = 0; i < all_count; i++)
        all[i] = i < count ? request->arguments[i] : request->order_keys[i - count];
    out->aggregate = choose(request->name, all, all_count, &is_ambiguous);
    if (out->aggregate == NULL)
        return fail_missing(b, request, is_ambiguous);
    out->order_by = request->order_keys[0];
    out->is_descending = request->orders[0].is_descending;
    enum err err = take_direct(b, request, out);
    return err != OK ? err : take_argument(b, out->aggregate->argument, false, &out->order_by);
}

/* DISTINCT of an aggregate that depends on order: PostgreSQL sorts by the arguments that ORDER BY
 * does not name, and every key must be an argument. */
static enum err order_distinct(struct builder *b, const struct aggregate_request *request,
                               struct aggregate_call *out, uint32_t row_arguments)
{
    for (uint32_t k = 0; k < out->order_count; k++) {
        bool is_argument = false;
        for (uint32_t i = 0; i < row_arguments && !is_argument; i++)
            is_argument = expr_equal(out->arguments[i], out->arguments[row_arguments + k]);
        if (!is_argument)
            return build_fail(b, "42P10", request->position,
                              "in an aggregate with DISTINCT, ORDER BY expressions must appear in "
                              "argument list");
    }
    uint32_t given = out->order_count;
    for (uint32_t i = 0; i < row_arguments; i++) {
        bool is_key = false;
        for (uint32_t k = 0; k < given && !is_key; k++)
            is_key = expr_equal(out->arguments[i], out->arguments[row_arguments + k]);
        if (is_key)
            continue;
        out->orders[out->order_count] = (struct aggregate_order){false, false};
        out->arguments[row_arguments + out->order_count++] = out->arguments[i];
    }
    return OK;
}

/* Appends the keys of ORDER BY to the row arguments. */
static enum err take_order(struct builder *b, const struct aggregate_request *request,
                           struct aggregate_call *out)
{
    uint32_t rows = out->argument_count;
    if (!out->aggregate->is_order_sensitive || (request->order_count == 0 && !out->is_distinct))
        return OK;
    out->orders = arena_alloc_array(b->arena, request->order_count + rows, sizeof(*out->orders));
    for (size_t k = 0; k < request->order_count; k++) {
        out->orders[k] = request->orders[k];
        out->arguments[rows + k] = build_finish(b, request->order_keys[k]);
    }
    out->order_count = (uint32_t)request->order_count;
    enum err err = out->is_distinct ? order_distinct(b, request, out, rows) : OK;
    out->argument_count = rows + out->order_count;
    return err;
}

static enum err plain(struct builder *b, const struct aggregate_request *request,
                      struct aggregate_call *out)
{
    if (request->is_within)
        return build_fail(b, "42809", request->position,
                          "%.*s is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                          SLICE_ARGS(request->name));
    if (request->argument_count == 0 && slice_equal(request->name, SLICE("count")))
        return build_fail(b, "42809", request->position,
                          "count(*) must be used to call a parameterless aggregate "
                          "function");
    bool is_ambiguous = false;
    size_t count = request->argument_count;
    out->aggregate = choose(request->name, request->arguments, count, &is_ambiguous);
    if (out->aggregate == NULL)
        return fail_missing(b, request, is_ambiguous);
    size_t direct = direct_count(out->aggregate), rows = count - direct;
    if (rows + rows + request->order_count > AGGREGATE_ARGUMENTS_MAX)
        return build_fail(b, "54023", request->position,
                          "an aggregate takes at most %d arguments and sort keys",
                          AGGREGATE_ARGUMENTS_MAX / 2);
    enum err err = take_direct(b, request, out);
    out->arguments =
        arena_alloc_array(b->arena, rows + rows + request->order_count, sizeof(struct expr *));
    out->argument_count = (uint32_t)rows;
    for (size_t i = 0; i < rows && err == OK; i++) {
        out->arguments[i] = request->arguments[direct + i];
        err =
            take_argument(b, declared(out->aggregate, i), request->is_distinct, &out->arguments[i]);
    }
    return err != OK ? err : take_order(b, request, out);
}

/* The type of the result; false where there is none for these arguments. */
static bool result_type(const struct aggregate_call *call, struct type *out)
{
    uint8_t result = call->aggregate->result;
    *out = type_of((enum type_id)result);
    if (result != AGGREGATE_SAME && result != AGGREGATE_ARRAY)
        return true;
    const struct expr *first = call->order_by != NULL ? call->order_by : call->arguments[0];
    enum type_id type = first->type.id;
    if (result == AGGREGATE_ARRAY) {
        *out = type_of(type_array_of(type));
        out->alias = (uint8_t)alias_array((enum type_alias)first->type.alias);
        return out->id != TYPE_UNKNOWN;
    }
    *out = type_of(type);
    out->alias = first->type.alias;
    return true;
}

enum err build_aggregate(struct builder *b, const struct aggregate_request *request,
                         struct aggregate_call *out)
{
    *out = (struct aggregate_call){.is_distinct = request->is_distinct,
                                   .is_star = request->is_star,
                                   .text_position = request->position};
    const struct aggregate *first = aggregate_next(request->name, NULL);
    if (first == NULL)
        return fail_missing(b, request, false);
    enum err err = OK;
    if (request->is_star) {
        if (first->argument != AGGREGATE_NONE)
            return fail_missing(b, request, false);
        out->aggregate = first;
    } else if (first->is_ordered_set) {
        err = ordered_set(b, request, out);
    } else {
        err = plain(b, request, out);
    }
    if (err == OK && request->filter != NULL)
        err = build_condition(b, request->filter, "FILTER", &out->filter);
    if (err != OK)
        return err;
    if (!result_type(out, &out->type)) {
        const struct expr *of = out->order_by != NULL ? out->order_by : out->arguments[0];
        return build_fail(b, "0A000", request->position,
                          "%.*s of %s is not supported: arrays have one dimension",
                          SLICE_ARGS(request->name), type_name(of->type.id));
    }
    return OK;
}
