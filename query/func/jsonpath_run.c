/* SQL/JSON paths over values, as the standard and PostgreSQL 15 have them.
 *
 * A node gets one value and gives any number, each at once to the node behind it; what leaves the
 * last one is an item of the result. In lax mode arrays are taken apart where a step wants
 * something else, and what is not there is nothing; in strict mode it is an error. Within a
 * predicate an error is the answer "unknown". Errors of that kind are FAILED and told only where
 * somebody is going to read them; everything else (time, memory, a variable that is not there)
 * ends the run.
 *
 * Depth is that of the path plus that of the value, both bounded; time is bounded by the clock, and
 * what is made on the way by the query's memory. */
#include "query/func/jsonpath_private.h"

#include <assert.h>
#include <string.h>

#define STEPS_PER_LOOK 1024
#define ARENA_LOOK ((size_t)1 << 20) /* held by paths of the batch's rows before */

/* One more item, FOUND. */
static enum status append(struct run *r, struct jsonpath_result *out,
                          const struct json_value *value)
{
    if (out == NULL)
        return FOUND;
    if (out->count == out->capacity) {
        size_t capacity = out->capacity == 0 ? 4 : 2 * out->capacity;
        void *items;
        enum err err = call_array(r->given->call, capacity, sizeof(*out->items), &items);
        if (err != OK)
            return run_stop(r, err);
        if (out->count > 0)
            memcpy(items, out->items, out->count * sizeof(*out->items));
        out->items = items;
        out->capacity = capacity;
    }
    out->items[out->count++] = value;
    return FOUND;
}

enum status run_follow(struct run *r, const struct jsonpath_node *node,
                       const struct json_value *value, struct jsonpath_result *out)
{
    return node->next == NULL ? append(r, out, value)
                              : run_evaluate(r, node->next, value, run_is_lax(r), out);
}

/* One of several results: false when no more are to be asked for. */
bool run_goes_on(enum status *sum, enum status one, const struct jsonpath_result *out)
{
    if (one == FOUND || one == FAILED || one == STOPPED)
        *sum = one;
    return one == MISSING || (one == FOUND && out != NULL);
}

struct json_value *run_make(struct run *r, enum json_token kind, struct slice text)
{
    struct json_value *value = arena_alloc_zero(r->arena, sizeof(*value));
    value->kind = kind;
    value->text = text;
    return value;
}

const struct json_value *run_make_number(struct run *r, struct numeric number)
{
    struct writer writer;
    writer_init(&writer);
    numeric_print(number, &writer);
    struct slice text = arena_copy(r->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return run_make(r, JSON_NUMBER, text);
}

/* Numbers of more digits than there are here are errors of the value. */
enum status run_read_number(struct run *r, const struct json_value *value, struct numeric *out)
{
    enum err err = numeric_parse(value->text, out, r->is_throwing ? r->given->call->error : NULL);
    return err == OK ? FOUND : FAILED;
}

/* The arena is the batch's, and nobody charges it while a call runs: a single path may make any
 * number of values. */
static enum err charge_arena(struct run *r)
{
    struct budget *budget = r->given->call->context->budget;
    size_t total = r->arena->total;
    if (budget == NULL || total <= r->charged)
        return OK;
    enum err err = budget_charge(budget, total - r->charged, r->given->call->error);
    if (err == OK)
        r->charged = total;
    return err;
}

bool run_is_out_of_time(struct run *r)
{
    if (++r->steps % STEPS_PER_LOOK != 0)
        return false;
    r->err = charge_arena(r);
    if (r->err == OK)
        r->err = call_look(r->given->call);
    return r->err != OK;
}

/* --- several values --- */

/* All the values of an expression; in lax mode elements instead of arrays, if asked for. */
static enum status values_of(struct run *r, struct jsonpath_node *node,
                             const struct json_value *value, bool takes_apart,
                             struct jsonpath_result *out)
{
    struct jsonpath_result whole = {0};
    enum status status = run_evaluate(r, node, value, run_is_lax(r), &whole);
    if (status == FAILED || status == STOPPED)
        return status;
    if (!takes_apart || !run_is_lax(r)) {
        *out = whole;
        return status;
    }
    for (size_t i = 0; i < whole.count; i++) {
        const struct json_value *item = whole.items[i];
        bool is_apart = run_is_array(item);
        for (const struct json_value *one = is_apart ? item->child : item; one != NULL;
             one = is_apart ? one->next : NULL)
            if (append(r, out, one) == STOPPED)
                return STOPPED;
    }
    return FOUND;
}

/* The same where an error is no error but an answer. */
enum status run_values_quietly(struct run *r, struct jsonpath_node *node,
                               const struct json_value *value, bool takes_apart,
                               struct jsonpath_result *out)
{
    bool is_throwing = r->is_throwing;
    r->is_throwing = false;
    enum status status = out != NULL ? values_of(r, node, value, takes_apart, out)
                                     : run_evaluate(r, node, value, run_is_lax(r), NULL);
    r->is_throwing = is_throwing;
    return status;
}

/* --- arithmetic --- */

static enum status calculate(struct run *r, enum jsonpath_kind kind, struct numeric a,
                             struct numeric b, struct numeric *out)
{
    struct error *error = r->is_throwing ? r->given->call->error : NULL;
    enum err err = kind == JSONPATH_PLUS     ? numeric_add(a, b, out, error)
                   : kind == JSONPATH_MINUS  ? numeric_subtract(a, b, out, error)
                   : kind == JSONPATH_TIMES  ? numeric_multiply(a, b, out, error)
                   : kind == JSONPATH_DIVIDE ? numeric_divide(a, b, out, error)
                                             : numeric_modulo(a, b, out, error);
    return err == OK ? FOUND : FAILED;
}

static enum status read_operand(struct run *r, const struct jsonpath_node *node, const char *side,
                                const struct jsonpath_result *found, struct numeric *out)
{
    if (found->count != 1 || found->items[0]->kind != JSON_NUMBER)
        return FAIL(r, "22038", "%s operand of jsonpath operator %s is not a single numeric value",
                    side, jsonpath_operator(node->kind));
    return run_read_number(r, found->items[0], out);
}

/* Both sides are looked for before either is looked at. */
static enum status binary_step(struct run *r, struct jsonpath_node *node,
                               const struct json_value *value, struct jsonpath_result *out)
{
    struct numeric a, b, result;
    struct jsonpath_result left = {0}, right = {0};
    enum status status = values_of(r, node->left, value, true, &left);
    if (status == FOUND || status == MISSING)
        status = values_of(r, node->right, value, true, &right);
    if (status == FOUND || status == MISSING)
        status = read_operand(r, node, "left", &left, &a);
    if (status == FOUND)
        status = read_operand(r, node, "right", &right, &b);
    if (status == FOUND)
        status = calculate(r, node->kind, a, b, &result);
    return status == FOUND ? run_follow(r, node, run_make_number(r, result), out) : status;
}

static enum status unary_step(struct run *r, struct jsonpath_node *node,
                              const struct json_value *value, struct jsonpath_result *out)
{
    struct jsonpath_result found = {0};
    enum status sum = values_of(r, node->left, value, true, &found);
    if (sum == FAILED || sum == STOPPED)
        return sum;
    sum = MISSING;
    for (size_t i = 0; i < found.count; i++) {
        struct numeric n;
        if (found.items[i]->kind != JSON_NUMBER) {
            if (out == NULL && node->next == NULL)
                continue;
            return FAIL(r, "2203B", "operand of unary jsonpath operator %s is not a numeric value",
                        jsonpath_operator(node->kind));
        }
        enum status one = run_read_number(r, found.items[i], &n);
        if (one == FOUND && node->kind == JSONPATH_MINUS)
            n = numeric_negate(n);
        if (one == FOUND)
            one = run_follow(r, node, run_make_number(r, n), out);
        if (!run_goes_on(&sum, one, out))
            break;
    }
    return sum;
}

/* --- nodes --- */

static enum status predicate_value(struct run *r, struct jsonpath_node *node,
                                   const struct json_value *value, struct jsonpath_result *out)
{
    enum truth truth = run_decide(r, node, value);
    if (truth == ENDED)
        return STOPPED;
    if (node->next == NULL && out == NULL)
        return FOUND; /* true, false and unknown alike are a value */
    return run_follow(r, node,
                      run_make(r,
                               truth == YES  ? JSON_TRUE
                               : truth == NO ? JSON_FALSE
                                             : JSON_NULL,
                               truth == YES  ? SLICE("true")
                               : truth == NO ? SLICE("false")
                                             : SLICE("null")),
                      out);
}

static enum status variable(struct run *r, struct jsonpath_node *node, struct jsonpath_result *out)
{
    const struct json_value *found =
        r->given->variables == NULL ? NULL : json_get_slice(r->given->variables, node->text);
    if (found == NULL && r->given->is_operator)
        found = run_make(r, JSON_NULL, SLICE("null"));
    if (found == NULL)
        return run_stop(r, error_set(r->given->call->error, ERR_INPUT, "42704",
                                     "could not find jsonpath variable \"%.*s\"",
                                     SLICE_ARGS(node->text)));
    return run_follow(r, node, found, out);
}

static enum status literal(struct run *r, struct jsonpath_node *node, struct jsonpath_result *out)
{
    enum json_token kind = node->kind == JSONPATH_NULL     ? JSON_NULL
                           : node->kind == JSONPATH_TRUE   ? JSON_TRUE
                           : node->kind == JSONPATH_FALSE  ? JSON_FALSE
                           : node->kind == JSONPATH_STRING ? JSON_STRING
                                                           : JSON_NUMBER;
    return run_follow(r, node, run_make(r, kind, node->text), out);
}

static enum status last_subscript(struct run *r, struct jsonpath_node *node,
                                  struct jsonpath_result *out)
{
    assert(r->array != NULL);
    int64_t count = run_is_array(r->array) ? (int64_t)r->array->count : 1;
    return run_follow(r, node, run_make_number(r, numeric_from_int(count - 1)), out);
}

static enum status evaluate_kind(struct run *r, struct jsonpath_node *node,
                                 const struct json_value *value, bool takes_apart,
                                 struct jsonpath_result *out)
{
    switch (node->kind) {
    case JSONPATH_ROOT:
        return run_follow(r, node, r->given->value, out);
    case JSONPATH_CURRENT:
        return run_follow(r, node, r->current, out);
    case JSONPATH_LAST:
        return last_subscript(r, node, out);
    case JSONPATH_NULL:
    case JSONPATH_TRUE:
    case JSONPATH_FALSE:
    case JSONPATH_NUMBER:
    case JSONPATH_STRING:
        return literal(r, node, out);
    case JSONPATH_VARIABLE:
        return variable(r, node, out);
    case JSONPATH_KEY:
    case JSONPATH_ANY_KEY:
    case JSONPATH_ANY_ELEMENT:
    case JSONPATH_SUBSCRIPT:
    case JSONPATH_ANY_LEVEL:
    case JSONPATH_FILTER:
    case JSONPATH_METHOD:
        return run_step(r, node, value, takes_apart, out);
    case JSONPATH_PLUS:
    case JSONPATH_MINUS:
        if (node->right == NULL)
            return unary_step(r, node, value, out);
        return binary_step(r, node, value, out);
    case JSONPATH_TIMES:
    case JSONPATH_DIVIDE:
    case JSONPATH_MODULO:
        return binary_step(r, node, value, out);
    default:
        return predicate_value(r, node, value, out);
    }
}

enum status run_evaluate(struct run *r, struct jsonpath_node *node, const struct json_value *value,
                         bool takes_apart, struct jsonpath_result *out)
{
    if (run_is_out_of_time(r))
        return STOPPED;
    if (++r->depth > RUN_DEPTH_MAX)
        return run_stop(
            r, error_set(r->given->call->error, ERR_LIMIT, "54001", "a jsonpath goes too deep"));
    enum status status = evaluate_kind(r, node, value, takes_apart, out);
    r->depth--;
    return status;
}

enum err jsonpath_run(const struct jsonpath_run *run, struct jsonpath_result *out)
{
    struct run r = {.given = run,
                    .arena = run->call->arena,
                    .current = run->value,
                    .is_throwing = !run->is_silent,
                    .is_lenient = !run->path->is_strict};
    bool stops_early = run->is_test && !run->path->is_strict;
    *out = (struct jsonpath_result){0};
    enum status status = STOPPED;
    if (r.arena->total > ARENA_LOOK)
        r.err = charge_arena(&r);
    if (r.err == OK)
        status =
            run_evaluate(&r, run->path->root, run->value, run_is_lax(&r), stops_early ? NULL : out);
    if (r.charged != 0)
        budget_release(run->call->context->budget, r.charged);
    if (status == STOPPED)
        return r.err;
    out->is_failed = status == FAILED;
    if (out->is_failed && !run->is_silent)
        return ERR_INPUT; /* told by the one who failed */
    if (stops_early && status == FOUND)
        out->count = 1;
    return OK;
}
