/* json and jsonb beside arrays: objects from keys and values in arrays, arrays as JSON; and json
 * without members that are null. */
#include "query/func/json.h"

#include "query/func/text.h"

/* --- objects from arrays --- */

static enum err write_member(struct call *call, const struct value *key, const struct value *value,
                             bool is_first, struct writer *out)
{
    if (key->is_null)
        return error_set(call->error, ERR_INPUT, "22004", "null value not allowed for object key");
    writer_cstr(out, is_first ? "" : ", ");
    json_write_string(out, key->text);
    writer_cstr(out, " : ");
    if (value->is_null)
        writer_cstr(out, "null");
    else
        json_write_string(out, value->text);
    return OK;
}

/* (keys and values by turns), or (keys, values) */
static enum err object_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    struct array_reader keys, values;
    struct value key, value;
    struct writer writer;
    bool is_first = true, is_one = count == 1;
    if (!array_begin(&keys, TYPE_TEXT_ARRAY, a[0].text) ||
        !array_begin(&values, TYPE_TEXT_ARRAY, a[count - 1].text))
        return call_bad_array(call);
    if (is_one ? keys.count % 2 != 0 : keys.count != values.count)
        return error_set(call->error, ERR_INPUT, "2202E",
                         is_one ? "array must have even number of elements"
                                : "mismatched array dimensions");
    text_begin(&writer);
    writer_u8(&writer, '{');
    enum err err = OK;
    while (err == OK && array_next(&keys, &key) && array_next(is_one ? &keys : &values, &value)) {
        err = write_member(call, &key, &value, is_first, &writer);
        is_first = false;
    }
    writer_u8(&writer, '}');
    if (err == OK)
        return json_give(call, &writer, out);
    writer_deinit(&writer);
    return err;
}

/* --- arrays as json --- */

static enum err array_to_json_row(struct call *call, const struct value *a, size_t count,
                                  struct value *out)
{
    struct array_reader array;
    struct value element;
    struct writer writer;
    struct text_context context = {.zone = call->context->zone};
    bool has_lines = count > 1 && a[1].b, is_first = true;
    if (!array_begin(&array, a[0].type.id, a[0].text))
        return call_bad_array(call);
    text_begin(&writer);
    writer_u8(&writer, '[');
    while (array_next(&array, &element)) {
        writer_cstr(&writer, is_first ? "" : has_lines ? ",\n " : ",");
        value_print_json(&element, &context, &writer);
        is_first = false;
    }
    writer_u8(&writer, ']');
    return json_give(call, &writer, out);
}

/* --- without nulls --- */

/* Without blanks, and without members that are null. Depth is bounded by the parser. */
static void write_stripped(const struct json_value *value, struct writer *out)
{
    bool is_object = value->kind == JSON_OBJECT_BEGIN, is_first = true;
    if (!is_object && value->kind != JSON_ARRAY_BEGIN) {
        if (value->kind == JSON_STRING)
            json_write_string(out, value->text);
        else
            writer_slice(out, value->kind == JSON_NUMBER  ? value->text
                              : value->kind == JSON_TRUE  ? SLICE("true")
                              : value->kind == JSON_FALSE ? SLICE("false")
                                                          : SLICE("null"));
        return;
    }
    writer_u8(out, is_object ? '{' : '[');
    for (const struct json_value *item = value->child; item != NULL; item = item->next) {
        if (is_object && item->kind == JSON_NULL)
            continue;
        writer_cstr(out, is_first ? "" : ",");
        is_first = false;
        if (is_object) {
            json_write_string(out, item->key);
            writer_u8(out, ':');
        }
        write_stripped(item, out);
    }
    writer_u8(out, is_object ? '}' : ']');
}

static enum err strip_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct json_value *tree;
    struct writer writer;
    enum err err = jsonb_room(call->context->budget, a[0].text, call->error);
    if (err == OK)
        err = json_parse(a[0].text, call->arena, JSON_DEPTH_MAX, &tree, call->error);
    if (err != OK)
        return err;
    text_begin(&writer);
    write_stripped(tree, &writer);
    return json_give(call, &writer, out);
}

#define T TYPE_TEXT
#define TA TYPE_TEXT_ARRAY
#define J TYPE_JSON
#define F TEXT_FUNCTION
#define OBJECT(name, to)                                                                           \
    F(name, 1, LIST(TA), to, 0, object_row, "an object of keys and values by turns",               \
      name "('{a,1,b,2}'::text[])")                                                                \
    F(name, 2, LIST(TA, TA), to, 0, object_row, "an object of keys and values",                    \
      name "('{a,b}'::text[], '{1,2}'::text[])")
#define TO_JSON(array, element, literal, item)                                                     \
    F("array_to_json", 1, LIST(array), J, 0, array_to_json_row, "the array as json",               \
      "array_to_json(" literal ")")                                                                \
    F("array_to_json", 2, LIST(array, TYPE_BOOL), J, 0, array_to_json_row,                         \
      "the array as json, a line an element", "array_to_json(" literal ", true)")

/* clang-format off */
static const struct function functions[] = {
    OBJECT("json_object", TYPE_JSON)
    OBJECT("jsonb_object", TYPE_JSONB)
    FOR_COMPARED_ARRAYS(TO_JSON)
    FOR_OTHER_ARRAYS(TO_JSON)
    F("json_strip_nulls", 1, LIST(J), J, 0, strip_row, "without members that are null",
      "json_strip_nulls('{\"a\": null, \"b\": 1}')")
};
/* clang-format on */

const struct function_group functions_json_array = {functions, array_count(functions)};
