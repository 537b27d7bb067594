/* Membership: x IN (list), x IN (subquery), x op ANY|ALL (array).
 *
 * A list of constants, an array of constants and a subquery's rows become a set once: open
 * addressing over 64-bit hashes, integers and times with a loop of their own. A list with columns
 * in it is compared argument by argument. The answer is NULL where x is NULL (and the list not
 * empty), or where x is not found and the list holds a NULL. */
#include "query/expr/node.h"

#include "storage/base/hash.h"

#include <string.h>

struct value_set {
    struct arena arena;
    struct value *values; /* NULL if is_int */
    uint32_t *slots;      /* index + 1, 0 free; a power of two */
    size_t mask, count, row_count;
    bool has_null, is_int, is_borrowing; /* texts of a value that outlives the set */
    int64_t *keys;                       /* is_int: the values, densely */
    struct budget *budget;
    size_t charged;
};

static uint64_t key_hash(const struct value_set *set, const struct value *value)
{
    return set->is_int ? hash_mix((uint64_t)value->i) : value_hash(value);
}

static bool key_equal(const struct value_set *set, size_t index, const struct value *value)
{
    return set->is_int ? set->keys[index] == value->i
                       : value_compare(&set->values[index], value) == 0;
}

static bool set_has(const struct value_set *set, const struct value *value)
{
    for (size_t slot = key_hash(set, value) & set->mask; set->slots[slot] != 0;
         slot = (slot + 1) & set->mask) {
        if (key_equal(set, set->slots[slot] - 1, value))
            return true;
    }
    return false;
}

static struct value_set *set_create(enum type_id type, size_t capacity)
{
    struct value_set *set = memory_alloc_zero(sizeof(*set));
    arena_init(&set->arena);
    size_t size = 8;
    while (size < capacity * 2)
        size *= 2;
    set->mask = size - 1;
    set->slots = arena_alloc_zero(&set->arena, size * sizeof(uint32_t));
    set->is_int = type_physical(type) == PHYSICAL_INT;
    if (set->is_int)
        set->keys = arena_alloc_array(&set->arena, capacity + 1, sizeof(int64_t));
    else
        set->values = arena_alloc_array(&set->arena, capacity + 1, sizeof(struct value));
    return set;
}

static void set_add(struct value_set *set, const struct value *value)
{
    set->row_count++;
    if (value->is_null) {
        set->has_null = true;
        return;
    }
    if (set_has(set, value))
        return;
    struct value copy = *value;
    if (type_physical(copy.type.id) == PHYSICAL_TEXT && !set->is_borrowing)
        copy.text = arena_copy(&set->arena, copy.text);
    size_t slot = key_hash(set, &copy) & set->mask;
    while (set->slots[slot] != 0)
        slot = (slot + 1) & set->mask;
    if (set->is_int)
        set->keys[set->count] = copy.i;
    else
        set->values[set->count] = copy;
    set->slots[slot] = (uint32_t)++set->count;
}

void value_set_destroy(struct value_set *set)
{
    if (set == NULL)
        return;
    if (set->charged > 0)
        budget_release(set->budget, set->charged);
    arena_deinit(&set->arena);
    memory_free(set);
}

static bool is_constant_list(const struct expr *expr)
{
    for (uint32_t i = 1; i < expr->argument_count; i++) {
        if (expr->arguments[i]->kind != EXPR_CONSTANT && expr->arguments[i]->kind != EXPR_BOUND)
            return false;
    }
    return true;
}

static enum err set_prepare(struct frame *frame, struct node *node)
{
    const struct expr *expr = node->expr;
    if (expr->kind == EXPR_IN) {
        node->set = set_create(expr->arguments[0]->type.id, expr->argument_count);
        for (uint32_t i = 1; i < expr->argument_count; i++)
            set_add(node->set, expr->arguments[i]->kind == EXPR_BOUND
                                   ? eval_bound(frame->evaluator->context, expr->arguments[i])
                                   : &expr->arguments[i]->constant);
        return OK;
    }
    const struct parameter_rows *subquery;
    enum err err = parameter_get(frame, expr->parameter, NULL, &subquery);
    if (err != OK)
        return err;
    node->set = set_create(expr->arguments[0]->type.id, subquery->row_count);
    for (size_t row = 0; row < subquery->row_count; row++) {
        struct value value = column_value(&subquery->columns[0], row);
        set_add(node->set, &value);
    }
    return OK;
}

/* Integers and times against a set without NULL: no value is built, and a short list is compared in
 * a row. */
#define SHORT_LIST 8
static void set_run_ints(const struct value_set *set, const struct column *in, struct rows rows,
                         bool is_negated, uint8_t *out)
{
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        int64_t key = in->i[column_index(in, row)];
        bool is_found = false;
        if (set->count <= SHORT_LIST) {
            for (size_t i = 0; i < set->count; i++)
                is_found |= set->keys[i] == key;
        } else {
            size_t slot = hash_mix((uint64_t)key) & set->mask;
            for (; set->slots[slot] != 0 && !is_found; slot = (slot + 1) & set->mask)
                is_found = set->keys[set->slots[slot] - 1] == key;
        }
        out[row] = is_found != is_negated;
    }
}

static enum err set_test(struct frame *frame, struct node *node, struct rows rows, bool is_negated,
                         struct column *out)
{
    struct column in;
    enum err err = node_run(frame, &node->children[0], rows, &in);
    if (err != OK)
        return err;
    const struct value_set *set = node->set;
    *out = result_create(frame, node->expr->type);
    uint8_t *values = (uint8_t *)out->values;
    if (set->is_int && !set->has_null && set->row_count > 0 && in.form != COLUMN_CONSTANT) {
        set_run_ints(set, &in, rows, is_negated, values);
        out->validity = in.validity;
        return OK;
    }
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        if (set->row_count == 0) {
            values[row] = is_negated;
            continue;
        }
        struct value value = column_value(&in, row);
        bool is_found = !value.is_null && set_has(set, &value);
        if (value.is_null || (!is_found && set->has_null))
            result_set_null(frame, out, row);
        else
            values[row] = is_found != is_negated;
    }
    return OK;
}

static enum err set_run(struct frame *frame, struct node *node, struct rows rows,
                        struct column *out)
{
    enum err err = node->set == NULL ? set_prepare(frame, node) : OK;
    return err != OK ? err : set_test(frame, node, rows, node->expr->is_negated, out);
}

static enum err list_run(struct frame *frame, struct node *node, struct rows rows,
                         struct column *out)
{
    uint32_t count = node->expr->argument_count;
    struct column *columns;
    enum err err = node_run_children(frame, node, rows, &columns);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        struct value value = column_value(&columns[0], row);
        bool is_found = false, has_null = value.is_null;
        for (uint32_t i = 1; i < count && !value.is_null && !is_found; i++) {
            struct value item = column_value(&columns[i], row);
            has_null |= item.is_null;
            is_found = !item.is_null && value_compare(&value, &item) == 0;
        }
        if (!is_found && has_null)
            result_set_null(frame, out, row);
        else
            ((uint8_t *)out->values)[row] = is_found != node->expr->is_negated;
    }
    return OK;
}

enum err in_run(struct frame *frame, struct node *node, struct rows rows, struct column *out)
{
    if (node->expr->kind == EXPR_IN && !is_constant_list(node->expr))
        return list_run(frame, node, rows, out);
    return set_run(frame, node, rows, out);
}

/* --- ANY and ALL --- */

#define COMPARISON_LABOUR 64 /* in bytes of a text, so to speak */

static enum type_id compared_type(const struct expr *expr)
{
    const struct function *function = expr->function;
    return (enum type_id)(function->evaluate_as != 0 ? function->evaluate_as
                                                     : function->arguments[1]);
}

/* numeric = ANY (bigint[]), timestamptz = ANY (date[]) */
static enum err as_compared(struct node *node, const struct value *element, struct value *out)
{
    enum type_id type = compared_type(node->expr);
    *out = *element;
    if (element->is_null || element->type.id == type)
        return OK;
    *out = (struct value){.type = type_of(type)};
    return cast_value(&node->call, element, false, out);
}

static enum err compare_elements(struct node *node, const struct value *left,
                                 const struct value *array, struct labour *labour,
                                 struct value *out)
{
    bool is_all = node->expr->is_all, has_null = false;
    struct array_reader reader;
    if (!array_begin(&reader, array->type.id, array->text))
        return error_set(node->call.error, ERR_CORRUPT, NULL, "an array value is malformed");
    out->b = is_all;
    for (struct value element; array_next(&reader, &element);) {
        enum err err = labour_step(labour, COMPARISON_LABOUR);
        if (err != OK)
            return err;
        if (element.is_null || left->is_null) {
            has_null = true;
            continue;
        }
        struct value pair[2] = {*left, element}, result = {.type = type_of(TYPE_BOOL)};
        err = as_compared(node, &element, &pair[1]);
        if (err == OK)
            err = node->expr->function->row(&node->call, pair, 2, &result);
        if (err != OK)
            return err;
        if (result.is_null)
            has_null = true;
        else if (result.b != is_all) {
            out->b = result.b;
            return OK;
        }
    }
    out->is_null = has_null;
    return OK;
}

/* Types whose values lie alike and compare alike. */
static bool is_alike(enum type_id a, enum type_id b)
{
    bool is_int = a >= TYPE_INT2 && a <= TYPE_INT8 && b >= TYPE_INT2 && b <= TYPE_INT8;
    bool is_text = (a == TYPE_TEXT || a == TYPE_VARCHAR) && (b == TYPE_TEXT || b == TYPE_VARCHAR);
    return a == b || is_int || is_text;
}

/* Elements that become values of another type before they are compared. */
static bool is_read(const struct expr *expr)
{
    return !is_alike(type_element((enum type_id)expr->arguments[1]->type.id), compared_type(expr));
}

/* x = ANY and x <> ALL of an array that is one and the same for the whole run, compared as of the
 * type of x: as good as IN, and made a set likewise. */
static bool is_set_test(const struct expr *expr)
{
    const struct expr *array = expr->arguments[1];
    const char *name = expr->function->name;
    if ((array->kind != EXPR_BOUND && array->kind != EXPR_CONSTANT) ||
        strcmp(name, expr->is_all ? "<>" : "=") != 0)
        return false;
    return is_alike((enum type_id)expr->arguments[0]->type.id, compared_type(expr));
}

#define SET_COUNT_MIN 8

static enum err array_set_prepare(struct frame *frame, struct node *node, const struct value *array)
{
    struct array_reader reader;
    struct budget *budget = frame->evaluator->context->budget;
    bool is_reading = is_read(node->expr);
    if (!array_begin(&reader, array->type.id, array->text))
        return error_set(frame->error, ERR_CORRUPT, NULL, "an array value is malformed");
    enum type_id type = is_reading ? compared_type(node->expr) : reader.element;
    size_t charge =
        reader.count *
        (type_physical(type) == PHYSICAL_INT ? sizeof(int64_t) + 16 : sizeof(struct value) + 16);
    charge += is_reading && type_physical(type) == PHYSICAL_TEXT ? array->text.size : 0;
    enum err err = budget != NULL ? budget_charge(budget, charge, frame->error) : OK;
    if (err != OK)
        return err;
    node->set = set_create(type, reader.count);
    node->set->is_borrowing = !is_reading;
    node->set->budget = budget;
    node->set->charged = budget == NULL ? 0 : charge;
    struct labour labour = {.call = &node->call};
    struct value value;
    for (struct value element; err == OK && array_next(&reader, &element);) {
        err = is_reading ? as_compared(node, &element, &value) : OK;
        if (err == OK)
            set_add(node->set, is_reading ? &value : &element);
        if (err == OK)
            err = labour_step(&labour, COMPARISON_LABOUR);
    }
    if (err != OK) {
        value_set_destroy(node->set);
        node->set = NULL;
    }
    return err;
}

/* The array, if there is one and a set pays. */
static enum err find_array_set(struct frame *frame, struct node *node)
{
    const struct expr *array = node->expr->arguments[1];
    if (node->set != NULL || !is_set_test(node->expr))
        return OK;
    const struct value *value =
        array->kind == EXPR_BOUND ? eval_bound(frame->evaluator->context, array) : &array->constant;
    struct array_reader reader;
    if (value->is_null || !array_begin(&reader, value->type.id, value->text) ||
        (reader.count < SET_COUNT_MIN && !is_read(node->expr)))
        return OK;
    return array_set_prepare(frame, node, value);
}

enum err array_compare_run(struct frame *frame, struct node *node, struct rows rows,
                           struct column *out)
{
    struct column left, array;
    node->call.context = frame->evaluator->context;
    node->call.arena = &frame->evaluator->batch;
    node->call.error = frame->error;
    enum err err = find_array_set(frame, node);
    if (err != OK || node->set != NULL)
        return err != OK ? err : set_test(frame, node, rows, node->expr->is_all, out);
    err = node_run(frame, &node->children[0], rows, &left);
    if (err == OK)
        err = node_run(frame, &node->children[1], rows, &array);
    if (err != OK)
        return err;
    *out = result_create(frame, node->expr->type);
    struct labour labour = {.call = &node->call};
    for (size_t k = 0; k < rows.count; k++) {
        size_t row = rows_at(rows, k);
        struct value a = column_value(&left, row), b = column_value(&array, row);
        struct value result = {.type = node->expr->type, .is_null = b.is_null};
        if (!b.is_null)
            err = compare_elements(node, &a, &b, &labour, &result);
        if (err != OK)
            return err;
        result_set(frame, out, row, &result);
    }
    return OK;
}
