/* Values for parameters: from JSON or text to the types that the statement found.
 *
 *   JSON                    parameter of type        becomes
 *   null                    any                      NULL
 *   "text", 12.50, true     any                      what the type's input function reads of it
 *   […]                     an array                 the array, element by element
 *   {…}, […]                any other                the source text, as above (json, text)
 *
 * An array of a million elements goes from the request's bytes straight into the one payload that
 * the run then borrows; it is charged as it grows. */
#include "query/parameter.h"

#include "storage/base/json.h"
#include "storage/column/binary_form.h"

#include <assert.h>

#define JSON_DEPTH_MAX 1000
#define CHARGE_STEP ((size_t)1 << 20)

/* --- JSON to a list --- */

static struct query_parameter *list_add(struct arena *arena, struct query_parameter **list,
                                        size_t *count, size_t *capacity)
{
    if (*count == *capacity) {
        size_t wider = *capacity == 0 ? 8 : *capacity * 2;
        struct query_parameter *items = arena_alloc_zero(arena, wider * sizeof(*items));
        if (*count > 0)
            memcpy(items, *list, *count * sizeof(*items));
        *list = items;
        *capacity = wider;
    }
    return &(*list)[(*count)++];
}

static enum err broken(const struct json_parser *parser, struct error *error)
{
    return error_set(error, ERR_INPUT, "22023", "params are not JSON: %s at byte %zu",
                     parser->error_text == NULL ? "the end came too early" : parser->error_text,
                     parser->offset + 1);
}

/* One value: its source. */
static enum err read_value(struct json_parser *parser, enum json_token token,
                           struct query_parameter *out, struct error *error)
{
    size_t begin = parser->token_offset;
    if (token == JSON_ERROR || token == JSON_END || !json_skip(parser, token))
        return broken(parser, error);
    out->kind = token == JSON_NULL ? PARAMETER_NULL : PARAMETER_JSON;
    out->text = slice_of(parser->data + begin, parser->offset - begin);
    return OK;
}

enum err parameters_from_json(struct slice text, struct arena *arena, struct query_parameter **out,
                              size_t *count, struct error *error)
{
    struct json_parser parser;
    size_t capacity = 0;
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    enum json_token token = json_next(&parser);
    bool is_object = token == JSON_OBJECT_BEGIN;
    size_t limit = is_object ? NAMED_PARAMETERS_MAX : PARAMETERS_MAX;
    *out = NULL;
    *count = 0;
    if (token == JSON_ERROR)
        return broken(&parser, error);
    if (!is_object && token != JSON_ARRAY_BEGIN)
        return error_set(error, ERR_INPUT, "22023",
                         "params must be an array, or an object of names");
    for (;;) {
        token = json_next(&parser);
        if (token == JSON_ARRAY_END || token == JSON_OBJECT_END)
            return json_next(&parser) == JSON_END ? OK : broken(&parser, error);
        if (*count == limit)
            return error_set(error, ERR_LIMIT, "54000", "there can be at most %zu params", limit);
        struct query_parameter *item = list_add(arena, out, count, &capacity);
        if (is_object) {
            if (token != JSON_KEY)
                return broken(&parser, error);
            if (!json_unescape(parser.text, arena, &item->name) || item->name.size == 0)
                return error_set(error, ERR_INPUT, "22023", "a name in params is not a text");
            token = json_next(&parser);
        }
        enum err err = read_value(&parser, token, item, error);
        if (err != OK)
            return err;
    }
}

/* --- one value --- */

struct target {
    struct type type;
    const struct text_context *context;
    struct budget *budget;
    struct arena *arena;
};

static enum err charge(const struct target *target, size_t size, struct error *error)
{
    return target->budget == NULL ? OK : budget_charge(target->budget, size, error);
}

/* Elements of one array, written where the value will lie. */
struct array_maker {
    const struct target *target;
    struct writer out;
    size_t charged;
    uint32_t count;
};

static enum err add_element(struct array_maker *maker, enum json_token token, struct slice text,
                            struct arena *scratch, struct error *error)
{
    struct type type = type_of(type_element((enum type_id)maker->target->type.id));
    bool is_text = type.id == TYPE_TEXT;
    struct value element = {.type = type, .is_null = token == JSON_NULL};
    enum err err = OK;
    if (!element.is_null && !is_text)
        err = type_parse(type, text, maker->target->context, scratch, &element, error);
    if (err != OK)
        return err;
    element.text = is_text ? text : element.text;
    array_write_element(&maker->out, &element);
    maker->count++;
    if (err == OK && maker->out.capacity > maker->charged + CHARGE_STEP) {
        err = charge(maker->target, maker->out.capacity - maker->charged, error);
        if (err == OK)
            maker->charged = maker->out.capacity;
    }
    return err;
}

static enum err read_elements(struct array_maker *maker, struct slice json, struct error *error)
{
    struct json_parser parser;
    struct arena scratch; /* an unescaped element at a time */
    enum err err = OK;
    json_parser_init(&parser, json, JSON_DEPTH_MAX);
    enum json_token token = json_next(&parser);
    assert(token == JSON_ARRAY_BEGIN);
    arena_init(&scratch);
    while (err == OK && (token = json_next(&parser)) != JSON_ARRAY_END) {
        struct slice text = token == JSON_TRUE    ? SLICE("true")
                            : token == JSON_FALSE ? SLICE("false")
                                                  : parser.text;
        if (token == JSON_OBJECT_BEGIN || token == JSON_ARRAY_BEGIN)
            err = error_set(error, ERR_INPUT, "22023", "arrays have one dimension");
        else if (token == JSON_STRING && parser.has_escape &&
                 !json_unescape(parser.text, &scratch, &text))
            err = error_set(error, ERR_INPUT, "22P05", "a text has an invalid escape");
        if (err == OK)
            err = add_element(maker, token, text, &scratch, error);
        if (scratch.total > CHARGE_STEP)
            arena_reset(&scratch);
    }
    arena_deinit(&scratch);
    return err;
}

static enum err read_array(const struct target *target, struct slice json, struct value *out,
                           struct error *error)
{
    struct array_maker maker = {.target = target};
    writer_init(&maker.out);
    writer_u32(&maker.out, 0);
    enum err err = read_elements(&maker, json, error);
    if (err == OK && maker.out.failed)
        err = error_set(error, ERR_LIMIT, "54000", "the array is too large");
    if (err == OK) {
        writer_patch_u32(&maker.out, 0, maker.count);
        err = charge(target, maker.out.size, error);
    }
    if (err == OK)
        *out = (struct value){.type = target->type,
                              .text = arena_copy(target->arena, writer_as_slice(&maker.out))};
    writer_deinit(&maker.out);
    if (maker.charged > 0 && target->budget != NULL)
        budget_release(target->budget, maker.charged);
    return err;
}

static enum err read_text(const struct target *target, struct slice text, struct value *out,
                          struct error *error)
{
    enum err err = charge(target, text.size, error);
    if (err != OK)
        return err;
    if (utf8_validate(text) != text.size || memchr(text.data, 0, text.size) != NULL)
        return error_set(error, ERR_INPUT, "22021", "invalid byte sequence for encoding \"UTF8\"");
    *out = (struct value){.type = target->type};
    err = type_parse(target->type, text, target->context, target->arena, out, error);
    out->type = target->type;
    return err;
}

static enum err read_json(const struct target *target, struct slice json, struct value *out,
                          struct error *error)
{
    struct json_parser parser;
    struct slice text = json;
    json_parser_init(&parser, json, JSON_DEPTH_MAX);
    enum json_token token = json_next(&parser);
    bool is_array = type_is_array((enum type_id)target->type.id);
    if (token == JSON_ARRAY_BEGIN && is_array)
        return read_array(target, json, out, error);
    if (token == JSON_STRING && !json_unescape(parser.text, target->arena, &text))
        return error_set(error, ERR_INPUT, "22P05", "a text has an invalid escape");
    return read_text(target, text, out, error);
}

/* --- all of them --- */

static enum err blame(const struct parameter *parameter, size_t index, enum err err,
                      struct error *error)
{
    struct error before = *error;
    if (parameter->name.size > 0)
        error_set(error, err, before.sqlstate, "parameter \"%.*s\": %s",
                  SLICE_ARGS(parameter->name), before.text);
    else
        error_set(error, err, before.sqlstate, "parameter $%zu: %s", index + 1, before.text);
    memcpy(error->hint, before.hint, sizeof(error->hint));
    return err;
}

static enum err read_one(const struct parameter *parameter, const struct query_parameter *given,
                         const struct target *target, struct value *out, struct error *error)
{
    *out = (struct value){.type = target->type, .is_null = true};
    if (given == NULL && !parameter->has_default &&
        (parameter->is_bare || !parameter->has_own_default))
        return error_set(error, ERR_INPUT, "42P02", "a value is missing");
    if (given == NULL)
        return parameter->has_default && !parameter->is_null_default
                   ? read_text(target, parameter->default_text, out, error)
                   : OK;
    switch (given->kind) {
    case PARAMETER_NULL:
        return OK;
    case PARAMETER_TEXT:
        return read_text(target, given->text, out, error);
    case PARAMETER_JSON:
        return read_json(target, given->text, out, error);
    case PARAMETER_VALUE:
        break;
    }
    if (given->value.type.id == target->type.id) {
        *out = given->value;
        return OK;
    }
    /* It was read by the types of a plan that is stale by now: the table is another one. */
    return value_convert(&given->value, target->type, target->context, target->arena, out, error);
}

static enum err bind_one(const struct parameter *parameter, const struct query_parameter *given,
                         const struct target *target, struct value *out, struct error *error)
{
    enum err err = read_one(parameter, given, target, out, error);
    return err != OK ? err : alias_fit(out, (enum type_alias)target->type.alias, true, error);
}

static const struct query_parameter *find_given(const struct query_parameter *given, size_t count,
                                                struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equal(given[i].name, name))
            return &given[i];
    return NULL;
}

/* Names that are there twice, or that the statement has not. */
static enum err check_names(const struct statement *statement, const struct query_parameter *given,
                            size_t count, struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        if (given[i].name.size == 0)
            continue;
        int shown = (int)(given[i].name.size < 80 ? given[i].name.size : 80);
        if (find_given(given, i, given[i].name) != NULL)
            return error_set(error, ERR_INPUT, "22023", "parameter \"%.*s\" is given twice", shown,
                             given[i].name.data);
        bool is_known = false;
        for (size_t at = statement->numbered_count; at < statement->parameter_count; at++)
            is_known = is_known || slice_equal(statement->parameters[at].name, given[i].name);
        if (!is_known)
            return error_set(error, ERR_INPUT, "42P02", "there is no parameter \"%.*s\"", shown,
                             given[i].name.data);
    }
    return OK;
}

enum err parameters_bind(const struct statement *statement, const struct query_parameter *given,
                         size_t count, const struct text_context *context, struct budget *budget,
                         struct arena *arena, struct value **out, struct error *error)
{
    size_t by_number = 0;
    while (by_number < count && given[by_number].name.size == 0)
        by_number++;
    if (by_number != statement->numbered_count)
        return error_set(error, ERR_INPUT, "08P01",
                         "%zu parameters by number are given, but the statement requires %zu",
                         by_number, statement->numbered_count);
    enum err err = check_names(statement, given, count, error);
    *out = arena_alloc_zero(arena, (statement->parameter_count + statement->lifted.count + 1) *
                                       sizeof(**out));
    for (size_t i = 0; i < statement->parameter_count && err == OK; i++) {
        const struct parameter *parameter = &statement->parameters[i];
        const struct query_parameter *one =
            i < by_number ? &given[i] : find_given(given, count, parameter->name);
        struct target target = {
            .type = parameter->type, .context = context, .budget = budget, .arena = arena};
        err = bind_one(parameter, one, &target, &(*out)[i], error);
        if (err != OK)
            err = blame(parameter, i, err, error);
    }
    return err;
}
