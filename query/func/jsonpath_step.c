/* Steps of SQL/JSON paths, keys, subscripts, levels, filters and methods: each on one value, and
 * what is there goes at once to the node behind it. */
#include "query/func/jsonpath_private.h"

#include "storage/base/number.h"

#include <assert.h>
#include <math.h>

/* The step on each element. */
static enum status each_element(struct run *r, struct jsonpath_node *node,
                                const struct json_value *array, struct jsonpath_result *out)
{
    enum status sum = MISSING;
    for (const struct json_value *item = array->child; item != NULL; item = item->next)
        if (!run_goes_on(&sum, run_evaluate(r, node, item, false, out), out))
            break;
    return sum;
}

/* What comes behind the node, on each member or element. */
static enum status each_child(struct run *r, const struct jsonpath_node *node,
                              const struct json_value *value, struct jsonpath_result *out)
{
    enum status sum = MISSING;
    for (const struct json_value *item = value->child; item != NULL; item = item->next)
        if (!run_goes_on(&sum, run_follow(r, node, item, out), out))
            break;
    return sum;
}

static enum status key_step(struct run *r, struct jsonpath_node *node,
                            const struct json_value *value, bool takes_apart,
                            struct jsonpath_result *out)
{
    if (run_is_array(value) && takes_apart)
        return each_element(r, node, value, out);
    if (!run_is_object(value))
        return r->is_lenient
                   ? MISSING
                   : FAIL(r, "2203A", "jsonpath member accessor can only be applied to an object");
    const struct json_value *found = json_get_slice(value, node->text);
    if (found != NULL)
        return run_follow(r, node, found, out);
    return r->is_lenient ? MISSING
                         : FAIL(r, "2203A", "JSON object does not contain key \"%.*s\"",
                                SLICE_ARGS(node->text));
}

static enum status any_key_step(struct run *r, struct jsonpath_node *node,
                                const struct json_value *value, bool takes_apart,
                                struct jsonpath_result *out)
{
    if (run_is_object(value))
        return each_child(r, node, value, out);
    if (run_is_array(value) && takes_apart)
        return each_element(r, node, value, out);
    return r->is_lenient
               ? MISSING
               : FAIL(r, "2203C",
                      "jsonpath wildcard member accessor can only be applied to an object");
}

static enum status any_element_step(struct run *r, struct jsonpath_node *node,
                                    const struct json_value *value, struct jsonpath_result *out)
{
    if (run_is_array(value))
        return each_child(r, node, value, out);
    if (run_is_lax(r))
        return run_follow(r, node, value, out);
    return r->is_lenient ? MISSING
                         : FAIL(r, "22039",
                                "jsonpath wildcard array accessor can only be applied to an array");
}

/* Values `level` and more levels below what the step was applied to. */
static enum status below(struct run *r, const struct jsonpath_node *node,
                         const struct json_value *value, int32_t level, struct jsonpath_result *out)
{
    enum status sum = MISSING;
    const struct json_value *first = level > node->last ? NULL : value->child;
    for (const struct json_value *item = first; item != NULL; item = item->next) {
        bool is_leaf = !run_is_object(item) && !run_is_array(item);
        bool is_last = node->first == JSONPATH_LEVEL_LAST && node->last == JSONPATH_LEVEL_LAST;
        if ((level >= node->first || (is_last && is_leaf)) &&
            !run_goes_on(&sum, run_follow(r, node, item, out), out))
            return sum;
        if (is_leaf || level >= node->last)
            continue;
        if (++r->depth > RUN_DEPTH_MAX)
            return run_stop(r, error_set(r->given->call->error, ERR_LIMIT, "54001",
                                         "a jsonpath goes too deep"));
        bool more = run_goes_on(&sum, below(r, node, item, level + 1, out), out);
        r->depth--;
        if (!more)
            return sum;
    }
    return sum;
}

/* As in PostgreSQL, an error on the value itself is forgotten where there is something below it. */
static enum status any_level_step(struct run *r, struct jsonpath_node *node,
                                  const struct json_value *value, struct jsonpath_result *out)
{
    enum status sum = MISSING;
    bool is_lenient = r->is_lenient, is_leaf = !run_is_object(value) && !run_is_array(value);
    r->is_lenient = true; /* for what is behind it, too */
    if (node->first == 0)
        sum = run_follow(r, node, value, out);
    bool is_done = sum == STOPPED || (sum == FAILED && (is_leaf || r->is_throwing)) ||
                   (sum == FOUND && out == NULL);
    if (!is_done && !is_leaf)
        sum = below(r, node, value, 1, out);
    r->is_lenient = is_lenient;
    return sum;
}

static enum status read_subscript(struct run *r, struct jsonpath_node *node,
                                  const struct json_value *value, int64_t *out)
{
    struct jsonpath_result found = {0};
    struct numeric number;
    enum status status = run_evaluate(r, node, value, run_is_lax(r), &found);
    if (status == FAILED || status == STOPPED)
        return status;
    if (found.count != 1 || found.items[0]->kind != JSON_NUMBER)
        return FAIL(r, "22033", "jsonpath array subscript is not a single numeric value");
    status = run_read_number(r, found.items[0], &number);
    if (status != FOUND)
        return status;
    if (numeric_to_int(numeric_truncate(number, 0), out, NULL) != OK || *out > INT32_MAX ||
        *out < INT32_MIN)
        return FAIL(r, "22033", "jsonpath array subscript is out of integer range");
    return FOUND;
}

/* The elements of an array by number, for several subscripts; NULL: not worth it. */
static const struct json_value **list_elements(struct run *r, const struct jsonpath_node *first,
                                               const struct json_value *array)
{
    if (first->next == NULL || !run_is_array(array) || array->count < 16)
        return NULL;
    const struct json_value **elements =
        arena_alloc_array(r->given->call->arena, array->count, sizeof(*elements));
    size_t count = 0;
    for (const struct json_value *item = array->child; item != NULL; item = item->next)
        elements[count++] = item;
    assert(count == array->count);
    return elements;
}

/* The element of that number, of one that is no array itself; NULL past the end. */
static const struct json_value *element_at(const struct json_value *value,
                                           const struct json_value **elements, int64_t index)
{
    if (!run_is_array(value))
        return index == 0 ? value : NULL;
    if (index >= (int64_t)value->count)
        return NULL;
    if (elements != NULL)
        return elements[index];
    const struct json_value *item = value->child;
    for (int64_t i = 0; i < index; i++)
        item = item->next;
    return item;
}

static enum status range_step(struct run *r, const struct jsonpath_node *node,
                              const struct jsonpath_node *range, const struct json_value *value,
                              const struct json_value **elements, struct jsonpath_result *out)
{
    int64_t from, to, size = run_is_array(value) ? (int64_t)value->count : 1;
    enum status sum = read_subscript(r, range->left, value, &from);
    to = from;
    if (sum == FOUND && range->right != NULL)
        sum = read_subscript(r, range->right, value, &to);
    if (sum != FOUND)
        return sum;
    if (!r->is_lenient && (from < 0 || from > to || to >= size))
        return FAIL(r, "22033", "jsonpath array subscript is out of bounds");
    from = from < 0 ? 0 : from;
    const struct json_value *item = element_at(value, elements, from);
    sum = MISSING;
    for (int64_t i = from; i <= to && item != NULL; i++) {
        if (!run_goes_on(&sum, run_follow(r, node, item, out), out))
            break;
        item = run_is_array(value) ? item->next : NULL;
    }
    return sum;
}

static enum status subscript_step(struct run *r, struct jsonpath_node *node,
                                  const struct json_value *value, struct jsonpath_result *out)
{
    if (!run_is_array(value) && !run_is_lax(r))
        return r->is_lenient
                   ? MISSING
                   : FAIL(r, "22039", "jsonpath array accessor can only be applied to an array");
    const struct json_value *array = r->array;
    const struct json_value **elements = list_elements(r, node->left, value);
    enum status sum = MISSING;
    for (const struct jsonpath_node *range = node->left; range != NULL; range = range->next) {
        r->array = value;
        if (!run_goes_on(&sum, range_step(r, node, range, value, elements, out), out))
            break;
    }
    r->array = array;
    return sum;
}

static enum status filter_step(struct run *r, struct jsonpath_node *node,
                               const struct json_value *value, bool takes_apart,
                               struct jsonpath_result *out)
{
    if (run_is_array(value) && takes_apart)
        return each_element(r, node, value, out);
    const struct json_value *current = r->current;
    r->current = value;
    enum truth truth = run_decide(r, node->left, value);
    r->current = current;
    return truth == ENDED ? STOPPED : truth == YES ? run_follow(r, node, value, out) : MISSING;
}

/* --- methods --- */

static enum status number_method(struct run *r, struct jsonpath_node *node,
                                 const struct json_value *value, struct jsonpath_result *out)
{
    struct numeric n;
    if (value->kind != JSON_NUMBER)
        return FAIL(r, "22036", "jsonpath item method .%s() can only be applied to a numeric value",
                    jsonpath_method_name(node->method));
    enum status status = run_read_number(r, value, &n);
    if (status != FOUND)
        return status;
    if (node->method == METHOD_CEILING)
        n = numeric_ceil(n);
    else if (node->method == METHOD_FLOOR)
        n = numeric_floor(n);
    else if (n.digits < 0)
        n = numeric_negate(n);
    return run_follow(r, node, run_make_number(r, n), out);
}

static enum status double_method(struct run *r, struct jsonpath_node *node,
                                 const struct json_value *value, struct jsonpath_result *out)
{
    double x;
    struct numeric n;
    if (value->kind != JSON_NUMBER && value->kind != JSON_STRING)
        return FAIL(
            r, "22036",
            "jsonpath item method .double() can only be applied to a string or numeric value");
    bool is_good = float8_parse(value->text, &x, NULL) == OK;
    if (value->kind == JSON_NUMBER)
        return is_good ? run_follow(r, node, value, out)
                       : FAIL(r, "22036",
                              "numeric argument of jsonpath item method .double() is out of range "
                              "for type double precision");
    if (!is_good || !isfinite(x) || numeric_from_double(x, 15, &n, NULL) != OK)
        return FAIL(r, "22036",
                    "string argument of jsonpath item method .double() is not a valid "
                    "representation of a double precision number");
    return run_follow(r, node, run_make_number(r, n), out);
}

static void add_member(struct json_value *object, const char *key, struct json_value *value)
{
    struct json_value **place = &object->child;
    while (*place != NULL)
        place = &(*place)->next;
    value->key = slice_from_cstr(key);
    *place = value;
    object->count++;
}

/* Members as objects of id, key and value; the id tells members of different objects apart. */
static enum status keyvalue_method(struct run *r, struct jsonpath_node *node,
                                   const struct json_value *value, struct jsonpath_result *out)
{
    if (!run_is_object(value))
        return FAIL(r, "2203C",
                    "jsonpath item method .keyvalue() can only be applied to an object");
    enum status sum = MISSING;
    size_t id = (size_t)(value->text.data - r->given->value->text.data);
    bool is_inside =
        value->text.data >= r->given->value->text.data && id <= r->given->value->text.size;
    for (const struct json_value *item = value->child; item != NULL; item = item->next) {
        struct json_value *object = run_make(r, JSON_OBJECT_BEGIN, (struct slice){0});
        struct json_value *copy = arena_alloc(r->arena, sizeof(*copy));
        *copy = *item;
        copy->next = NULL;
        add_member(object, "id",
                   run_make(r, JSON_NUMBER,
                            slice_from_cstr(arena_printf(r->arena, "%zu", is_inside ? id : 0))));
        add_member(object, "key", run_make(r, JSON_STRING, item->key));
        add_member(object, "value", copy);
        if (!run_goes_on(&sum, run_follow(r, node, object, out), out))
            break;
    }
    return sum;
}

static struct slice type_text(const struct json_value *value)
{
    switch (value->kind) {
    case JSON_OBJECT_BEGIN:
        return SLICE("object");
    case JSON_ARRAY_BEGIN:
        return SLICE("array");
    case JSON_STRING:
        return SLICE("string");
    case JSON_NUMBER:
        return SLICE("number");
    case JSON_NULL:
        return SLICE("null");
    default:
        return SLICE("boolean");
    }
}

static enum status method_step(struct run *r, struct jsonpath_node *node,
                               const struct json_value *value, bool takes_apart,
                               struct jsonpath_result *out)
{
    if (node->method == METHOD_TYPE)
        return run_follow(r, node, run_make(r, JSON_STRING, type_text(value)), out);
    if (node->method == METHOD_SIZE) {
        if (!run_is_array(value) && !run_is_lax(r))
            return r->is_lenient
                       ? MISSING
                       : FAIL(r, "22039",
                              "jsonpath item method .size() can only be applied to an array");
        int64_t size = run_is_array(value) ? (int64_t)value->count : 1;
        return run_follow(r, node, run_make_number(r, numeric_from_int(size)), out);
    }
    if (run_is_array(value) && takes_apart)
        return each_element(r, node, value, out);
    if (node->method == METHOD_DOUBLE)
        return double_method(r, node, value, out);
    if (node->method == METHOD_KEYVALUE)
        return keyvalue_method(r, node, value, out);
    return number_method(r, node, value, out);
}

enum status run_step(struct run *r, struct jsonpath_node *node, const struct json_value *value,
                     bool takes_apart, struct jsonpath_result *out)
{
    switch (node->kind) {
    case JSONPATH_KEY:
        return key_step(r, node, value, takes_apart, out);
    case JSONPATH_ANY_KEY:
        return any_key_step(r, node, value, takes_apart, out);
    case JSONPATH_ANY_ELEMENT:
        return any_element_step(r, node, value, out);
    case JSONPATH_SUBSCRIPT:
        return subscript_step(r, node, value, out);
    case JSONPATH_ANY_LEVEL:
        return any_level_step(r, node, value, out);
    case JSONPATH_FILTER:
        return filter_step(r, node, value, takes_apart, out);
    default:
        return method_step(r, node, value, takes_apart, out);
    }
}
