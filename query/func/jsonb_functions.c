/* jsonb: containment, joining, deleting, setting, printing.
 *
 * The values become trees in the batch's arena, are changed there and written as jsonb writes them
 * (jsonb.c). Depth is bounded by the parser. Containment and lists of keys compare each with each,
 * so they look at the clock now and then. */
#include "query/func/json.h"

#include "query/func/text.h"
#include "storage/base/number.h"

#include <string.h>

static enum err give_tree(struct call *call, const struct json_value *tree, struct value *out)
{
    struct writer writer;
    text_begin(&writer);
    jsonb_write(tree, &writer);
    bool failed = writer.failed;
    if (!failed)
        out->text = arena_copy(call->arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return failed ? error_set(call->error, ERR_INPUT, "54000", "the jsonb value is too large") : OK;
}

static bool is_object(const struct json_value *value)
{
    return value->kind == JSON_OBJECT_BEGIN;
}
static bool is_array(const struct json_value *value)
{
    return value->kind == JSON_ARRAY_BEGIN;
}
static bool is_scalar(const struct json_value *value)
{
    return !is_object(value) && !is_array(value);
}

/* --- containment --- */

static bool same_scalar(const struct json_value *a, const struct json_value *b)
{
    struct numeric x, y;
    if (a->kind != b->kind)
        return false;
    if (a->kind == JSON_NUMBER && numeric_parse(a->text, &x, NULL) == OK &&
        numeric_parse(b->text, &y, NULL) == OK)
        return numeric_compare(x, y) == 0;
    return (a->kind != JSON_STRING && a->kind != JSON_NUMBER) || slice_equal(a->text, b->text);
}

struct comparison {
    struct call *call;
    size_t steps;
    enum err err;
};

#define STEPS_PER_LOOK ((size_t)1 << 16)

static bool is_stopped(struct comparison *c, size_t steps)
{
    c->steps += steps;
    if (c->steps < STEPS_PER_LOOK || c->err != OK)
        return c->err != OK;
    c->steps = 0;
    c->err = call_look(c->call);
    return c->err != OK;
}

static bool contains(struct comparison *c, const struct json_value *outer,
                     const struct json_value *inner);

static bool array_contains(struct comparison *c, const struct json_value *outer,
                           const struct json_value *wanted)
{
    for (const struct json_value *item = outer->child; item != NULL; item = item->next) {
        if (is_stopped(c, 1))
            return false;
        if (item->kind != wanted->kind)
            continue;
        if (is_scalar(wanted) ? same_scalar(item, wanted) : contains(c, item, wanted))
            return true;
    }
    return false;
}

static bool contains(struct comparison *c, const struct json_value *outer,
                     const struct json_value *inner)
{
    if (is_stopped(c, 1) || outer->kind != inner->kind)
        return false;
    if (is_scalar(outer))
        return same_scalar(outer, inner);
    for (const struct json_value *item = inner->child; item != NULL; item = item->next) {
        const struct json_value *found = NULL;
        if (is_array(outer)) {
            if (!array_contains(c, outer, item))
                return false;
            continue;
        }
        found = is_stopped(c, outer->count) ? NULL : json_get_slice(outer, item->key);
        if (found == NULL || !contains(c, found, item))
            return false;
    }
    return true;
}

enum { LEFT_CONTAINS, RIGHT_CONTAINS };

static enum err contains_row(struct call *call, const struct value *a, size_t count,
                             struct value *out)
{
    (void)count;
    int left = call->function->operation == LEFT_CONTAINS ? 0 : 1;
    struct json_value *outer, *inner;
    struct comparison c = {.call = call};
    enum err err = jsonb_read(call, a[left].text, &outer);
    if (err == OK)
        err = jsonb_read(call, a[1 - left].text, &inner);
    if (err != OK)
        return err;
    out->b = is_array(outer) && is_scalar(inner) ? array_contains(&c, outer, inner)
                                                 : contains(&c, outer, inner);
    return c.err;
}

/* --- keys: ?| and ?& --- */

static bool has_key(const struct json_value *value, struct slice key)
{
    if (is_object(value))
        return json_get_slice(value, key) != NULL;
    if (!is_array(value))
        return value->kind == JSON_STRING && slice_equal(value->text, key);
    for (const struct json_value *item = value->child; item != NULL; item = item->next)
        if (item->kind == JSON_STRING && slice_equal(item->text, key))
            return true;
    return false;
}

enum { ANY_KEY, ALL_KEYS };

static enum err keys_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct json_value *tree;
    struct array_reader keys;
    bool wants_all = call->function->operation == ALL_KEYS;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err != OK)
        return err;
    if (!array_begin(&keys, TYPE_TEXT_ARRAY, a[1].text))
        return call_bad_array(call);
    out->b = wants_all;
    for (struct value key; err == OK && out->b == wants_all && array_next(&keys, &key);) {
        if (!key.is_null && has_key(tree, key.text) != wants_all)
            out->b = !wants_all;
        err = call_look(call);
    }
    return err;
}

/* --- joining --- */

static struct json_value *wrap(struct call *call, struct json_value *value)
{
    if (is_array(value))
        return value;
    struct json_value *array = arena_alloc_zero(call->arena, sizeof(*array));
    array->kind = JSON_ARRAY_BEGIN;
    array->child = value;
    array->count = 1;
    return array;
}

static enum err join_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct json_value *left, *right;
    enum err err = jsonb_read(call, a[0].text, &left);
    if (err == OK)
        err = jsonb_read(call, a[1].text, &right);
    if (err != OK)
        return err;
    if (!is_object(left) || !is_object(right)) {
        left = wrap(call, left);
        right = wrap(call, right);
    }
    struct json_value **end = &left->child;
    while (*end != NULL)
        end = &(*end)->next;
    *end = right->child;
    left->count += right->count;
    jsonb_sort(left);
    return give_tree(call, left, out);
}

/* --- deleting --- */

static void remove_item(struct json_value *container, struct json_value **place)
{
    *place = (*place)->next;
    container->count--;
}

static void delete_key(struct json_value *value, struct slice key)
{
    for (struct json_value **place = &value->child; *place != NULL;) {
        struct json_value *item = *place;
        bool is_it = is_object(value) ? slice_equal(item->key, key)
                                      : item->kind == JSON_STRING && slice_equal(item->text, key);
        if (is_it)
            remove_item(value, place);
        else
            place = &item->next;
    }
}

static enum err refuse_scalar(struct call *call, const struct json_value *value, const char *what)
{
    return !is_scalar(value) ? OK : error_set(call->error, ERR_INPUT, "22023", "%s", what);
}

static enum err delete_key_row(struct call *call, const struct value *a, size_t count,
                               struct value *out)
{
    (void)count;
    struct json_value *tree;
    struct array_reader keys;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err == OK)
        err = refuse_scalar(call, tree, "cannot delete from scalar");
    if (err != OK)
        return err;
    if (a[1].type.id != TYPE_TEXT_ARRAY) {
        delete_key(tree, a[1].text);
    } else if (array_begin(&keys, TYPE_TEXT_ARRAY, a[1].text)) {
        for (struct value key; err == OK && array_next(&keys, &key); err = call_look(call))
            if (!key.is_null)
                delete_key(tree, key.text);
    }
    return err != OK ? err : give_tree(call, tree, out);
}

/* The place of an element by number, from the end for negatives; NULL: there is none. */
static struct json_value **find_index(struct json_value *array, int64_t index)
{
    if (index < 0)
        index += (int64_t)array->count;
    if (index < 0 || index >= (int64_t)array->count)
        return NULL;
    struct json_value **place = &array->child;
    while (index-- > 0)
        place = &(*place)->next;
    return place;
}

static enum err delete_index_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    (void)count;
    struct json_value *tree;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err == OK)
        err = refuse_scalar(call, tree, "cannot delete from scalar");
    if (err == OK && is_object(tree))
        err = error_set(call->error, ERR_INPUT, "22023",
                        "cannot delete from object using integer index");
    if (err != OK)
        return err;
    struct json_value **place = find_index(tree, a[1].i);
    if (place != NULL)
        remove_item(tree, place);
    return give_tree(call, tree, out);
}

/* --- paths --- */

struct change {
    struct call *call;
    struct value *steps;
    size_t step_count;
    struct json_value *value; /* NULL: delete */
    bool is_insert, is_after, creates;
};

static enum err step_index(const struct change *change, size_t step, int64_t *out)
{
    struct slice text = change->steps[step].text;
    if (int_parse(text, INT32_MIN, INT32_MAX, "integer", out, NULL) == OK)
        return OK;
    return error_set(change->call->error, ERR_INPUT, "22P02",
                     "path element at position %zu is not an integer: \"%.*s\"", step + 1,
                     SLICE_ARGS(text));
}

static void add_item(struct json_value *container, struct json_value **place,
                     struct json_value *value)
{
    value->next = *place;
    *place = value;
    container->count++;
}

static enum err change_object(const struct change *change, struct json_value *object, size_t step,
                              struct json_value ***descend)
{
    struct slice key = change->steps[step].text;
    struct json_value **place = &object->child;
    bool is_last = step + 1 == change->step_count;
    while (*place != NULL && !slice_equal((*place)->key, key))
        place = &(*place)->next;
    if (*place != NULL && !is_last) {
        *descend = place;
        return OK;
    }
    if (!is_last)
        return OK;
    if (*place != NULL && change->value == NULL) {
        remove_item(object, place);
    } else if (*place != NULL && change->is_insert) {
        return error_set(change->call->error, ERR_INPUT, "22023", "cannot replace existing key");
    } else if (*place != NULL) {
        change->value->next = (*place)->next;
        change->value->key = key;
        *place = change->value;
    } else if (change->value != NULL && change->creates) {
        change->value->key = key;
        add_item(object, place, change->value);
        jsonb_sort(object);
    }
    return OK;
}

static enum err change_array(const struct change *change, struct json_value *array, size_t step,
                             struct json_value ***descend)
{
    int64_t index;
    enum err err = step_index(change, step, &index);
    if (err != OK)
        return err;
    struct json_value **place = find_index(array, index);
    if (step + 1 < change->step_count) {
        *descend = place;
    } else if (place == NULL) {
        if (change->value == NULL || !change->creates)
            return OK;
        place = &array->child;
        while (index >= 0 && *place != NULL)
            place = &(*place)->next;
        add_item(array, place, change->value);
    } else if (change->value == NULL) {
        remove_item(array, place);
    } else if (change->is_insert) {
        add_item(array, change->is_after ? &(*place)->next : place, change->value);
    } else {
        change->value->next = (*place)->next;
        *place = change->value;
    }
    return OK;
}

static enum err apply_change(const struct change *change, struct json_value *tree)
{
    for (size_t step = 0; step < change->step_count && !is_scalar(tree); step++) {
        struct json_value **next = NULL;
        if (change->steps[step].is_null)
            return error_set(change->call->error, ERR_INPUT, "22004",
                             "path element at position %zu is null", step + 1);
        enum err err = is_object(tree) ? change_object(change, tree, step, &next)
                                       : change_array(change, tree, step, &next);
        if (err != OK || next == NULL)
            return err;
        tree = *next;
    }
    return OK;
}

static enum err change_path(struct call *call, const struct value *a, struct change *change,
                            struct value *out)
{
    struct array_reader path;
    struct json_value *tree;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err == OK && change->value == NULL)
        err = refuse_scalar(call, tree, "cannot delete path in scalar");
    else if (err == OK)
        err = refuse_scalar(call, tree, "cannot set path in scalar");
    if (err != OK)
        return err;
    if (!array_begin(&path, TYPE_TEXT_ARRAY, a[1].text))
        return call_bad_array(call);
    if (tree->count == 0 && !change->creates) /* nothing to find, so the path is not looked at */
        return give_tree(call, tree, out);
    change->call = call;
    change->steps = arena_alloc_array(call->arena, path.count + 1, sizeof(*change->steps));
    while (array_next(&path, &change->steps[change->step_count]))
        change->step_count++;
    err = apply_change(change, tree);
    return err != OK ? err : give_tree(call, tree, out);
}

static enum err delete_path_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    (void)count;
    return change_path(call, a, &(struct change){.creates = false}, out);
}

enum { SET, INSERT };

static enum err set_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    bool is_insert = call->function->operation == INSERT, flag = count > 3 ? a[3].b : !is_insert;
    struct change change = {
        .is_insert = is_insert, .is_after = is_insert && flag, .creates = is_insert || flag};
    enum err err = jsonb_read(call, a[2].text, &change.value);
    return err != OK ? err : change_path(call, a, &change, out);
}

/* --- printing --- */

static void strip_nulls(struct json_value *value)
{
    for (struct json_value **place = &value->child; *place != NULL;) {
        strip_nulls(*place);
        if (is_object(value) && (*place)->kind == JSON_NULL)
            remove_item(value, place);
        else
            place = &(*place)->next;
    }
}

static enum err strip_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct json_value *tree;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err != OK)
        return err;
    strip_nulls(tree);
    return give_tree(call, tree, out);
}

static void write_indent(struct writer *out, size_t depth)
{
    writer_u8(out, '\n');
    for (size_t i = 0; i < depth; i++)
        writer_cstr(out, "    ");
}

static void write_pretty(const struct json_value *value, size_t depth, struct writer *out)
{
    if (is_scalar(value)) {
        jsonb_write(value, out);
        return;
    }
    writer_u8(out, is_object(value) ? '{' : '[');
    for (const struct json_value *item = value->child; item != NULL && !out->failed;
         item = item->next) {
        write_indent(out, depth + 1);
        if (is_object(value)) {
            json_write_string(out, item->key);
            writer_cstr(out, ": ");
        }
        write_pretty(item, depth + 1, out);
        if (item->next != NULL)
            writer_u8(out, ',');
    }
    write_indent(out, depth);
    writer_u8(out, is_object(value) ? '}' : ']');
}

static enum err pretty_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    struct json_value *tree;
    enum err err = jsonb_read(call, a[0].text, &tree);
    if (err != OK)
        return err;
    struct writer writer;
    text_begin(&writer);
    write_pretty(tree, 0, &writer);
    return text_end(call, &writer, OK, out);
}

/* --- making --- */

static void write_json(struct call *call, const struct value *value, struct writer *out)
{
    struct text_context context = {.zone = call->context->zone};
    value_print_json(value, &context, out);
}

static enum err to_json_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    (void)count;
    struct writer writer;
    text_begin(&writer);
    write_json(call, &a[0], &writer);
    return json_give(call, &writer, out);
}

static enum err build_array_row(struct call *call, const struct value *a, size_t count,
                                struct value *out)
{
    struct writer writer;
    text_begin(&writer);
    writer_u8(&writer, '[');
    for (size_t i = 0; i < count; i++) {
        writer_cstr(&writer, i > 0 ? ", " : "");
        write_json(call, &a[i], &writer);
    }
    writer_u8(&writer, ']');
    return json_give(call, &writer, out);
}

static enum err build_object_row(struct call *call, const struct value *a, size_t count,
                                 struct value *out)
{
    if (count % 2 != 0)
        return error_set(call->error, ERR_INPUT, "22023",
                         "argument list must have even number of elements");
    for (size_t i = 0; i < count; i += 2) {
        if (a[i].is_null)
            return error_set(call->error, ERR_INPUT, "22023", "argument %zu cannot be null", i + 1);
        if (a[i].type.id == TYPE_JSON || a[i].type.id == TYPE_JSONB)
            return error_set(call->error, ERR_INPUT, "22023",
                             "key value must be scalar, not array, composite, or json");
    }
    struct writer writer;
    text_begin(&writer);
    writer_u8(&writer, '{');
    for (size_t i = 0; i < count; i += 2) {
        writer_cstr(&writer, i > 0 ? ", " : "");
        if (a[i].type.id == TYPE_TIMESTAMP || a[i].type.id == TYPE_TIMESTAMPTZ)
            write_json(call, &a[i], &writer);
        else
            json_write_string(&writer, a[i].type.id == TYPE_BOOL
                                           ? (a[i].b ? SLICE("true") : SLICE("false"))
                                           : value_to_text(&a[i], call->context, call->arena));
        writer_cstr(&writer, " : ");
        write_json(call, &a[i + 1], &writer);
    }
    writer_u8(&writer, '}');
    return json_give(call, &writer, out);
}

#define J TYPE_JSONB
#define T TYPE_TEXT
#define TA TYPE_TEXT_ARRAY
#define F TEXT_FUNCTION
#define MAKE(name_text, count, first, to, variadic, row_form, doc_text, example_text)              \
    {.name = name_text,                                                                            \
     .argument_count = count,                                                                      \
     .arguments = {first},                                                                         \
     .result = to,                                                                                 \
     .is_variadic = variadic,                                                                      \
     .is_null_tolerant = variadic,                                                                 \
     .volatility = STABLE,                                                                         \
     .row = row_form,                                                                              \
     .doc = doc_text,                                                                              \
     .example = example_text},
#define MAKE_FOR(to, prefix)                                                                       \
    MAKE("to_" prefix, 1, TYPE_ANY_NONARRAY, to, false, to_json_row, "the value as " prefix,       \
         "to_" prefix "('a \"b\"'::text)")                                                         \
    MAKE(prefix "_build_array", 0, 0, to, true, build_array_row, "an array of the arguments",      \
         prefix "_build_array(1, 'a', NULL)")                                                      \
    MAKE(prefix "_build_array", 0, 0, to, false, build_array_row, "an empty array",                \
         prefix "_build_array()")                                                                  \
    MAKE(prefix "_build_object", 0, 0, to, true, build_object_row,                                 \
         "an object of the arguments, key and value by turns", prefix "_build_object('a', 1)")     \
    MAKE(prefix "_build_object", 0, 0, to, false, build_object_row, "an empty object",             \
         prefix "_build_object()")

#define ARRAY_TO(array, element, literal, item)                                                    \
    MAKE("to_json", 1, array, TYPE_JSON, false, to_json_row, "the array as json",                  \
         "to_json(" literal ")")                                                                   \
    MAKE("to_jsonb", 1, array, TYPE_JSONB, false, to_json_row, "the array as jsonb",               \
         "to_jsonb(" literal ")")

/* clang-format off */
static const struct function functions[] = {
    F("@>", 2, LIST(J, J), TYPE_BOOL, LEFT_CONTAINS, contains_row, "contains the other",
      "'{\"a\": [1, 2]}'::jsonb @> '{\"a\": [2]}'::jsonb")
    F("<@", 2, LIST(J, J), TYPE_BOOL, RIGHT_CONTAINS, contains_row, "is contained in the other",
      "'[1]'::jsonb <@ '[1, 2]'::jsonb")
    F("?|", 2, LIST(J, TA), TYPE_BOOL, ANY_KEY, keys_row, "has any of these keys or elements",
      "'{\"a\": 1}'::jsonb ?| '{a,b}'::text[]")
    F("?&", 2, LIST(J, TA), TYPE_BOOL, ALL_KEYS, keys_row, "has all of these keys or elements",
      "'{\"a\": 1}'::jsonb ?& '{a,b}'::text[]")
    F("||", 2, LIST(J, J), J, 0, join_row, "both joined",
      "'{\"a\": 1}'::jsonb || '{\"b\": 2}'::jsonb")
    F("-", 2, LIST(J, T), J, 0, delete_key_row, "without that key or element",
      "'{\"a\": 1, \"b\": 2}'::jsonb - 'a'::text")
    F("-", 2, LIST(J, TA), J, 0, delete_key_row, "without these keys or elements",
      "'{\"a\": 1, \"b\": 2}'::jsonb - '{a,b}'::text[]")
    F("-", 2, LIST(J, TYPE_INT4), J, 0, delete_index_row, "without the element of that number",
      "'[1, 2]'::jsonb - 0")
    F("#-", 2, LIST(J, TA), J, 0, delete_path_row, "without what is at the path",
      "'{\"a\": [1, 2]}'::jsonb #- '{a,0}'")
    F("jsonb_set", 3, LIST(J, TA, J), J, SET, set_row, "with a value set at a path",
      "jsonb_set('{\"a\": [1, 2]}', '{a,0}', '7')")
    F("jsonb_set", 4, LIST(J, TA, J, TYPE_BOOL), J, SET, set_row,
      "with a value set at a path, if it is there already for false",
      "jsonb_set('{\"a\": 1}', '{b}', '7', false)")
    F("jsonb_insert", 3, LIST(J, TA, J), J, INSERT, set_row, "with a value put in at a path",
      "jsonb_insert('{\"a\": [1, 2]}', '{a,0}', '7')")
    F("jsonb_insert", 4, LIST(J, TA, J, TYPE_BOOL), J, INSERT, set_row,
      "with a value put in behind a path", "jsonb_insert('[1, 2]', '{0}', '7', true)")
    F("jsonb_strip_nulls", 1, LIST(J), J, 0, strip_row, "without members that are null",
      "jsonb_strip_nulls('{\"a\": null, \"b\": 1}')")
    F("jsonb_pretty", 1, LIST(J), T, 0, pretty_row, "over several lines",
      "jsonb_pretty('{\"a\": 1}')")
    FOR_COMPARED_ARRAYS(ARRAY_TO)
    FOR_OTHER_ARRAYS(ARRAY_TO)
    MAKE_FOR(TYPE_JSON, "json")
    MAKE_FOR(TYPE_JSONB, "jsonb")
};
/* clang-format on */

const struct function_group functions_jsonb = {functions, array_count(functions)};
