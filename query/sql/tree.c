/* Reading libpg_query's tree, for all that converts it: fields by name, errors with their place.
 *
 * A place in the tree is a byte, from 0; callers see characters, from 1, so it is converted by a
 * table of how many characters stand before each POSITION_STEP bytes (none for ASCII text).
 *
 * Zero values are left out of the JSON, and so, by a fault of libpg_query 15-4.0.0, are integers
 * below zero: those are read from the text. */
#include "query/sql/convert.h"
#include "query/sql/lexer.h"
#include "query/sql/sql.h"
#include "storage/base/number.h"

#include <stdarg.h>
#include <stdio.h>

#define POSITION_STEP 256

/* --- positions --- */

void tree_count_characters(struct converter *c)
{
    struct slice text = c->text;
    size_t total = utf8_count(text);
    if (total == text.size)
        return;
    size_t steps = text.size / POSITION_STEP + 1;
    c->character_counts = arena_alloc_array(c->arena, steps, sizeof(uint32_t));
    uint32_t count = 0;
    for (size_t step = 0; step < steps; step++) {
        size_t begin = step * POSITION_STEP;
        size_t size = text.size - begin < POSITION_STEP ? text.size - begin : POSITION_STEP;
        c->character_counts[step] = count;
        count += (uint32_t)utf8_count(slice_of(text.data + begin, size));
    }
}

size_t tree_offset(const struct converter *c, const struct json_value *fields)
{
    int64_t offset;
    const struct json_value *location = fields == NULL ? NULL : json_get(fields, "location");
    if (location == NULL ||
        int_parse(location->text, 0, (int64_t)c->text.size, "integer", &offset, NULL) != OK)
        return c->text.size;
    return (size_t)offset;
}

int32_t tree_position(const struct converter *c, const struct json_value *fields)
{
    size_t offset = tree_offset(c, fields);
    if (offset >= c->text.size)
        return 0;
    if (c->character_counts == NULL)
        return (int32_t)offset + 1;
    size_t begin = offset / POSITION_STEP * POSITION_STEP;
    return (int32_t)(c->character_counts[offset / POSITION_STEP] +
                     utf8_count(slice_of(c->text.data + begin, offset - begin)) + 1);
}

/* --- fields --- */

struct tree_node tree_unwrap(const struct json_value *value)
{
    if (value == NULL || value->kind != JSON_OBJECT_BEGIN || value->child == NULL)
        return (struct tree_node){.type = SLICE("")};
    return (struct tree_node){.type = value->child->key, .fields = value->child};
}

bool tree_is(const struct tree_node *node, const char *type)
{
    return slice_equal(node->type, slice_from_cstr(type));
}

const struct json_value *tree_get(const struct json_value *fields, const char *key)
{
    const struct json_value *value = fields == NULL ? NULL : json_get(fields, key);
    return value == NULL || value->kind == JSON_NULL ? NULL : value;
}

struct slice tree_text(const struct json_value *fields, const char *key)
{
    const struct json_value *value = tree_get(fields, key);
    return value == NULL ? (struct slice){0} : value->text;
}

bool tree_bool(const struct json_value *fields, const char *key)
{
    const struct json_value *value = tree_get(fields, key);
    return value != NULL && value->kind == JSON_TRUE;
}

bool tree_text_is(const struct json_value *fields, const char *key, const char *want)
{
    return slice_equal(tree_text(fields, key), slice_from_cstr(want));
}

size_t tree_count(const struct json_value *list)
{
    return list == NULL ? 0 : list->count;
}

struct slice tree_string(struct converter *c, const struct json_value *wrapped)
{
    struct tree_node node = tree_unwrap(wrapped);
    return arena_copy(c->arena, tree_text(node.fields, "sval"));
}

size_t tree_strings(struct converter *c, const struct json_value *list, struct slice **out)
{
    size_t count = 0;
    *out = arena_alloc_array(c->arena, tree_count(list), sizeof(**out));
    for (const struct json_value *item = list == NULL ? NULL : list->child; item != NULL;
         item = item->next)
        (*out)[count++] = tree_string(c, item);
    return count;
}

struct slice tree_digits(struct converter *c, const struct json_value *integer, size_t offset)
{
    struct slice digits = tree_text(integer, "ival");
    if (digits.size > 0)
        return arena_copy(c->arena, digits);
    /* Zero, or below it: the JSON leaves out both. The text says which. */
    struct lexer lexer = {.text = c->text, .offset = offset};
    bool is_negative = false;
    for (enum lexer_token token; (token = lexer_next(&lexer)) != LEXER_END;) {
        char symbol = token == LEXER_SYMBOL ? lexer.token.data[0] : 0;
        if (token == LEXER_NUMBER)
            return is_negative
                       ? slice_from_cstr(arena_printf(c->arena, "-%.*s", SLICE_ARGS(lexer.token)))
                       : arena_copy(c->arena, lexer.token);
        if (symbol != '-' && symbol != '(')
            break;
        is_negative = is_negative != (symbol == '-');
    }
    return SLICE("0");
}

bool tree_integer(struct converter *c, const struct json_value *constant, int64_t *out)
{
    struct tree_node node = tree_unwrap(constant);
    const struct json_value *integer =
        tree_is(&node, "A_Const") ? tree_get(node.fields, "ival") : NULL;
    if (integer == NULL)
        return false;
    struct slice digits = tree_digits(c, integer, tree_offset(c, node.fields));
    return int_parse(digits, INT64_MIN, INT64_MAX, "integer", out, NULL) == OK;
}

/* --- errors and depth --- */

enum err convert_error(struct converter *c, int32_t position, const char *sqlstate,
                       const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(c->error, ERR_INPUT, sqlstate, "%s", text);
    if (c->error != NULL)
        c->error->text_position = position;
    return ERR_INPUT;
}

enum err convert_unsupported(struct converter *c, int32_t position, const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    error_set(c->error, ERR_UNSUPPORTED, "0A000", "%s is not supported", text);
    if (c->error != NULL)
        c->error->text_position = position;
    return ERR_UNSUPPORTED;
}

enum err convert_enter(struct converter *c, int32_t position)
{
    if (++c->depth <= SQL_DEPTH_MAX)
        return OK;
    error_set(c->error, ERR_LIMIT, "54001", "the statement is nested more than %d levels deep",
              SQL_DEPTH_MAX);
    if (c->error != NULL)
        c->error->text_position = position;
    return ERR_LIMIT;
}
