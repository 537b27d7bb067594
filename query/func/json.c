/* -> ->> #> #>> and the like on json and jsonb, whose values are JSON text.
 *
 * A path step walks the text with the one tokenizer and borrows the part it finds: nothing is
 * built. Of equal keys the last counts. A string taken as text is unescaped, null as text is NULL,
 * everything else is its own text. Malformed text cannot come from a column (it is checked on the
 * way in); should it, the step finds nothing. */
#include "query/func/json.h"

#include "query/func/text.h"

/* One value inside a JSON text. */
struct element {
    enum json_token kind;
    struct slice text; /* as written, quotes included */
    bool is_found;
};

enum err json_give(struct call *call, struct writer *writer, struct value *out)
{
    struct slice text = writer_as_slice(writer);
    enum err err = OK;
    if (writer->failed)
        err = text_too_large(call);
    else if (call->function->result != TYPE_JSONB)
        out->text = arena_copy(call->arena, text);
    else if ((err = jsonb_room(call->context->budget, text, call->error)) == OK)
        err = jsonb_normalize(text, call->arena, &out->text, call->error);
    writer_deinit(writer);
    return err;
}

enum err jsonb_read(struct call *call, struct slice text, struct json_value **out)
{
    enum err err = jsonb_room(call->context->budget, text, call->error);
    if (err == OK)
        err = json_parse(text, call->arena, JSON_DEPTH_MAX, out, call->error);
    if (err == OK)
        jsonb_sort(*out);
    return err;
}

/* Reads the value whose first token is `token`. */
static struct element read_value(struct json_parser *parser, struct slice text,
                                 enum json_token token)
{
    size_t start = parser->token_offset;
    if (token == JSON_ERROR || token == JSON_END || !json_skip(parser, token))
        return (struct element){0};
    return (struct element){token, slice_of(text.data + start, parser->offset - start), true};
}

static struct element whole(struct slice text)
{
    struct json_parser parser;
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    return read_value(&parser, text, json_next(&parser));
}

static bool key_is(struct json_parser *parser, struct slice key, struct arena *arena)
{
    struct slice plain = parser->text;
    if (parser->has_escape && !json_unescape(parser->text, arena, &plain))
        return false;
    return slice_equal(plain, key);
}

static struct element by_key(struct slice text, struct slice key, struct arena *arena)
{
    struct json_parser parser;
    struct element found = {0};
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    if (json_next(&parser) != JSON_OBJECT_BEGIN)
        return found;
    while (json_next(&parser) == JSON_KEY) {
        bool is_wanted = key_is(&parser, key, arena);
        struct element value = read_value(&parser, text, json_next(&parser));
        if (!value.is_found)
            return value;
        if (is_wanted)
            found = value;
    }
    return found;
}

static int64_t array_length(struct slice text)
{
    struct json_parser parser;
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    if (json_next(&parser) != JSON_ARRAY_BEGIN)
        return -1;
    int64_t count = 0;
    for (enum json_token token; (token = json_next(&parser)) != JSON_ARRAY_END; count++) {
        if (!read_value(&parser, text, token).is_found)
            return -1;
    }
    return count;
}

/* From the end for negative indexes. */
static struct element by_index(struct slice text, int64_t index)
{
    struct json_parser parser;
    if (index < 0) {
        int64_t count = array_length(text);
        index += count;
        if (count < 0 || index < 0)
            return (struct element){0};
    }
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    if (json_next(&parser) != JSON_ARRAY_BEGIN)
        return (struct element){0};
    for (enum json_token token; (token = json_next(&parser)) != JSON_ARRAY_END; index--) {
        struct element value = read_value(&parser, text, token);
        if (!value.is_found || index == 0)
            return value;
    }
    return (struct element){0};
}

/* Writes the element as a result: JSON, or text. */
static enum err give(struct call *call, struct element element, bool as_text, struct value *out)
{
    out->is_null = !element.is_found || (as_text && element.kind == JSON_NULL);
    out->text = element.text;
    if (out->is_null || !as_text || element.kind != JSON_STRING)
        return OK;
    struct slice raw = slice_of(element.text.data + 1, element.text.size - 2);
    out->is_null = !json_unescape(raw, call->arena, &out->text);
    return OK;
}

enum { AS_JSON, AS_TEXT };

/* A scalar is to jsonb, not to json, an array of itself. */
static struct element by_jsonb_index(struct slice text, int64_t index)
{
    struct element element = whole(text);
    bool is_scalar = element.kind != JSON_OBJECT_BEGIN && element.kind != JSON_ARRAY_BEGIN;
    element.is_found = element.is_found && (index == 0 || index == -1);
    return is_scalar ? element : by_index(text, index);
}

static enum err key_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    return give(call, by_key(a[0].text, a[1].text, call->arena),
                call->function->operation == AS_TEXT, out);
}

static enum err index_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct element element = a[0].type.id == TYPE_JSONB ? by_jsonb_index(a[0].text, a[1].i)
                                                        : by_index(a[0].text, a[1].i);
    return give(call, element, call->function->operation == AS_TEXT, out);
}

static bool read_index(struct slice text, int64_t *out)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    size_t i = is_negative ? 1 : 0;
    if (i == text.size || text.size > 10)
        return false;
    int64_t value = 0;
    for (; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (text.data[i] - '0');
    }
    *out = is_negative ? -value : value;
    return true;
}

static struct element take_step(struct element element, struct slice step, struct arena *arena)
{
    int64_t index;
    if (element.kind == JSON_OBJECT_BEGIN)
        return by_key(element.text, step, arena);
    if (element.kind == JSON_ARRAY_BEGIN && read_index(step, &index))
        return by_index(element.text, index);
    return (struct element){0};
}

static enum err path_row(struct call *call, const struct value *a, size_t count, struct value *out)
{
    (void)count;
    struct array_reader path;
    struct element element = whole(a[0].text);
    if (!array_begin(&path, TYPE_TEXT_ARRAY, a[1].text))
        return call_bad_array(call);
    for (struct value step; element.is_found && array_next(&path, &step);) {
        if (step.is_null)
            element.is_found = false;
        else
            element = take_step(element, step.text, call->arena);
    }
    return give(call, element, call->function->operation == AS_TEXT, out);
}

/* The steps are arguments. */
static enum err extract_row(struct call *call, const struct value *a, size_t count,
                            struct value *out)
{
    struct element element = whole(a[0].text);
    for (size_t i = 1; i < count && element.is_found; i++)
        element = take_step(element, a[i].text, call->arena);
    return give(call, element, call->function->operation == AS_TEXT, out);
}

/* --- questions --- */

static enum err exists_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    out->b = by_key(a[0].text, a[1].text, call->arena).is_found;
    if (out->b)
        return OK;
    struct json_parser parser; /* a string in an array counts too */
    json_parser_init(&parser, a[0].text, JSON_DEPTH_MAX);
    enum json_token token = json_next(&parser);
    if (token == JSON_STRING)
        out->b = key_is(&parser, a[1].text, call->arena);
    if (token != JSON_ARRAY_BEGIN)
        return OK;
    while ((token = json_next(&parser)) != JSON_ARRAY_END && !out->b) {
        if (token == JSON_STRING)
            out->b = key_is(&parser, a[1].text, call->arena);
        if (!read_value(&parser, a[0].text, token).is_found)
            return OK;
    }
    return OK;
}

static enum err typeof_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)call, (void)count;
    switch (whole(a[0].text).kind) {
    case JSON_OBJECT_BEGIN:
        out->text = SLICE("object");
        break;
    case JSON_ARRAY_BEGIN:
        out->text = SLICE("array");
        break;
    case JSON_STRING:
        out->text = SLICE("string");
        break;
    case JSON_NUMBER:
        out->text = SLICE("number");
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        out->text = SLICE("boolean");
        break;
    default:
        out->text = SLICE("null");
        break;
    }
    return OK;
}

static enum err length_row(struct call *call, const struct value *a, size_t count,
                           struct value *out)
{
    (void)count;
    out->i = array_length(a[0].text);
    if (out->i >= 0)
        return OK;
    return error_set(call->error, ERR_INPUT, "22023", "cannot get array length of %s",
                     whole(a[0].text).kind == JSON_OBJECT_BEGIN ? "a non-array" : "a scalar");
}

#define T TYPE_TEXT
#define OF(json, name)                                                                             \
    TEXT_FUNCTION("->", 2, LIST(json, T), json, AS_JSON, key_row, "the value of a key",            \
                  "'{\"a\": 1}'::" name " -> 'a'")                                                 \
    TEXT_FUNCTION("->", 2, LIST(json, TYPE_INT4), json, AS_JSON, index_row,                        \
                  "the element of an array, from 0", "'[1, 2]'::" name " -> 1")                    \
    TEXT_FUNCTION("->>", 2, LIST(json, T), T, AS_TEXT, key_row, "the value of a key, as text",     \
                  "'{\"a\": 1}'::" name " ->> 'a'")                                                \
    TEXT_FUNCTION("->>", 2, LIST(json, TYPE_INT4), T, AS_TEXT, index_row,                          \
                  "the element of an array, as text", "'[1, 2]'::" name " ->> 1")                  \
    TEXT_FUNCTION("#>", 2, LIST(json, TYPE_TEXT_ARRAY), json, AS_JSON, path_row,                   \
                  "the value at a path", "'{\"a\": [1]}'::" name " #> '{a,0}'")                    \
    TEXT_FUNCTION("#>>", 2, LIST(json, TYPE_TEXT_ARRAY), T, AS_TEXT, path_row,                     \
                  "the value at a path, as text", "'{\"a\": [1]}'::" name " #>> '{a,0}'")
#define EXTRACT(name_text, from, to, kind, doc_text)                                               \
    {.name = name_text,                                                                            \
     .argument_count = 1,                                                                          \
     .arguments = {from},                                                                          \
     .is_variadic = true,                                                                          \
     .variadic = T,                                                                                \
     .result = to,                                                                                 \
     .operation = kind,                                                                            \
     .row = extract_row,                                                                           \
     .doc = doc_text,                                                                              \
     .example = name_text "('{\"a\": [\"x\"]}', 'a', '0')"},
#define F TEXT_FUNCTION

/* clang-format off */
static const struct function functions[] = {
    OF(TYPE_JSONB, "jsonb")
    OF(TYPE_JSON, "json")
    EXTRACT("json_extract_path", TYPE_JSON, TYPE_JSON, AS_JSON, "the value at a path")
    EXTRACT("jsonb_extract_path", TYPE_JSONB, TYPE_JSONB, AS_JSON, "the value at a path")
    EXTRACT("json_extract_path_text", TYPE_JSON, T, AS_TEXT, "the value at a path, as text")
    EXTRACT("jsonb_extract_path_text", TYPE_JSONB, T, AS_TEXT, "the value at a path, as text")
    F("?", 2, LIST(TYPE_JSONB, T), TYPE_BOOL, 0, exists_row, "is there such a key or element",
      "'{\"a\": 1}'::jsonb ? 'a'")
    F("jsonb_typeof", 1, LIST(TYPE_JSONB), T, 0, typeof_row, "what kind of value",
      "jsonb_typeof('1')")
    F("json_typeof", 1, LIST(TYPE_JSON), T, 0, typeof_row, "what kind of value",
      "json_typeof('1')")
    F("jsonb_array_length", 1, LIST(TYPE_JSONB), TYPE_INT4, 0, length_row, "how many elements",
      "jsonb_array_length('[1, 2]')")
    F("json_array_length", 1, LIST(TYPE_JSON), TYPE_INT4, 0, length_row, "how many elements",
      "json_array_length('[1, 2]')")
};
/* clang-format on */

const struct function_group functions_json = {functions, array_count(functions)};
