/* Values from text and to text: PostgreSQL's input and output functions, and its to_json. One
 * switch a direction; the types whose form is more than a call have a function of their own above
 * it. */
#include "storage/column/type.h"

#include "storage/base/json.h"
#include "storage/base/number.h"

#include <assert.h>
#include <math.h>

#define QUOTE_SIZE_MAX 200
#define JSON_DEPTH_MAX 1024
#define SCRATCH_MAX ((size_t)64 << 10)

static const struct timezone *zone_of(const struct text_context *context)
{
    return context != NULL && context->zone != NULL ? context->zone : timezone_utc;
}

static enum err bad_syntax(const char *type, struct slice text, struct error *error)
{
    return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type %s: \"%.*s\"", type,
                     SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)));
}

/* --- reading --- */

/* Any unambiguous beginning of the words, and 1 and 0. */
static enum err parse_bool(struct slice text, bool *out, struct error *error)
{
    static const struct {
        const char *word;
        size_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    struct slice s = slice_trim(text);
    for (size_t index = 0; index < array_count(words); index++) {
        size_t size = strlen(words[index].word);
        if (s.size >= words[index].least && s.size <= size &&
            slice_equal_ignore_case(s, slice_of(words[index].word, s.size))) {
            *out = words[index].value;
            return OK;
        }
    }
    return bad_syntax("boolean", text, error);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hex digits, a hyphen allowed after every four, braces around. */
static enum err parse_uuid(struct slice text, struct arena *arena, struct slice *out,
                           struct error *error)
{
    unsigned char *bytes = arena_alloc(arena, 16);
    struct slice s = text;
    if (s.size >= 2 && s.data[0] == '{' && s.data[s.size - 1] == '}')
        s = slice_of(s.data + 1, s.size - 2);
    size_t used = 0, index = 0;
    for (; used < 16 && index + 2 <= s.size; used++) {
        int high = hex_digit(s.data[index]);
        int low = hex_digit(s.data[index + 1]);
        if (high < 0 || low < 0)
            break;
        bytes[used] = (unsigned char)(high << 4 | low);
        index += 2;
        if (index < s.size && s.data[index] == '-' && used % 2 == 1 && used < 15)
            index++;
    }
    if (used != 16 || index != s.size)
        return bad_syntax("uuid", text, error);
    *out = slice_of(bytes, 16);
    return OK;
}

static enum err parse_bytea_hex(struct slice text, struct arena *arena, struct slice *out,
                                struct error *error)
{
    char *bytes = arena_alloc(arena, text.size / 2);
    size_t used = 0;
    for (size_t index = 2; index < text.size;) {
        char c = text.data[index];
        if (c == ' ' || (c >= '\t' && c <= '\r')) {
            index++;
            continue;
        }
        int high = hex_digit(c);
        if (high < 0)
            return error_set(
                error, ERR_INPUT, "22023", "invalid hexadecimal digit: \"%.*s\"",
                SLICE_ARGS(slice_cut(slice_of(text.data + index, text.size - index), 1)));
        int low = index + 1 < text.size ? hex_digit(text.data[index + 1]) : -1;
        if (low < 0)
            return error_set(error, ERR_INPUT, "22023",
                             "invalid hexadecimal data: odd number of digits");
        bytes[used++] = (char)(high << 4 | low);
        index += 2;
    }
    *out = slice_of(bytes, used);
    return OK;
}

/* \x0a…, or the escape format: \\ and \ooo. */
static enum err parse_bytea(struct slice text, struct arena *arena, struct slice *out,
                            struct error *error)
{
    if (slice_starts_with(text, SLICE("\\x")))
        return parse_bytea_hex(text, arena, out, error);
    char *bytes = arena_alloc(arena, text.size);
    size_t used = 0;
    for (size_t index = 0; index < text.size;) {
        const char *p = text.data + index;
        size_t left = text.size - index;
        if (*p != '\\') {
            bytes[used++] = *p;
            index++;
        } else if (left >= 2 && p[1] == '\\') {
            bytes[used++] = '\\';
            index += 2;
        } else if (left >= 4 && p[1] >= '0' && p[1] <= '3' && p[2] >= '0' && p[2] <= '7' &&
                   p[3] >= '0' && p[3] <= '7') {
            bytes[used++] = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
            index += 4;
        } else {
            return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type bytea");
        }
    }
    *out = slice_of(bytes, used);
    return OK;
}

static enum err check_json(const char *type, struct slice text, struct error *error)
{
    struct json_parser parser;
    json_parser_init(&parser, text, JSON_DEPTH_MAX);
    enum json_token token = json_next(&parser);
    if (token != JSON_END && json_skip(&parser, token))
        token = json_next(&parser);
    else if (token == JSON_END)
        token = JSON_ERROR;
    else
        token = parser.error_text != NULL ? JSON_ERROR : token;
    if (token == JSON_END)
        return OK;
    if (parser.error_text != NULL && parser.depth >= JSON_DEPTH_MAX)
        return error_set(error, ERR_LIMIT, "54001", "%s value is nested too deeply", type);
    return error_set(error, ERR_INPUT, "22P02", "invalid input syntax for type %s", type);
}

/* --- arrays: {a,"b c",NULL} --- */

struct array_parser {
    struct slice whole, text; /* text: without blanks around it */
    size_t index;
    char *copy; /* of all elements, one behind another: together no longer than the text */
    struct writer out;
    uint32_t count;
};

static void skip_space(struct array_parser *parser)
{
    while (parser->index < parser->text.size &&
           (parser->text.data[parser->index] == ' ' ||
            (parser->text.data[parser->index] >= '\t' && parser->text.data[parser->index] <= '\r')))
        parser->index++;
}

static bool at(const struct array_parser *parser, char c)
{
    return parser->index < parser->text.size && parser->text.data[parser->index] == c;
}

/* One element's text, quotes and backslashes taken off; false for the form. */
static bool take_element(struct array_parser *parser, struct slice *out, bool *is_quoted)
{
    char *copy = parser->copy;
    size_t used = 0, kept = 0; /* kept: without trailing blanks outside of quotes */
    skip_space(parser);
    *is_quoted = at(parser, '"');
    if (*is_quoted)
        parser->index++;
    for (;; parser->index++) {
        if (parser->index >= parser->text.size)
            return false;
        char c = parser->text.data[parser->index];
        bool is_escaped = c == '\\';
        if (is_escaped && ++parser->index >= parser->text.size)
            return false;
        if (is_escaped)
            c = parser->text.data[parser->index];
        else if (*is_quoted ? c == '"' : c == ',' || c == '}')
            break;
        else if (!*is_quoted && (c == '"' || c == '{'))
            return false;
        copy[used++] = c;
        bool is_blank = c == ' ' || (c >= '\t' && c <= '\r');
        if (*is_quoted || is_escaped || !is_blank)
            kept = used;
    }
    if (*is_quoted) {
        parser->index++;
        skip_space(parser);
    }
    *out = slice_of(copy, kept);
    parser->copy += used;
    return (*is_quoted || kept > 0) && (at(parser, ',') || at(parser, '}'));
}

static enum err malformed_array(struct slice text, struct error *error)
{
    return error_set(error, ERR_INPUT, "22P02", "malformed array literal: \"%.*s\"",
                     SLICE_ARGS(slice_cut(text, QUOTE_SIZE_MAX)));
}

/* What stands between the braces. An element's payload lies in `scratch`, until it is written. */
static enum err parse_elements(struct array_parser *parser, struct type type,
                               const struct text_context *context, struct arena *scratch,
                               struct error *error)
{
    struct type element_type = type;
    element_type.id = (uint8_t)type_element((enum type_id)type.id);
    bool is_open = !at(parser, '}');
    while (is_open) {
        struct value element = {.type = element_type};
        struct slice item;
        bool is_quoted;
        if (!take_element(parser, &item, &is_quoted))
            return malformed_array(parser->whole, error);
        element.is_null = !is_quoted && slice_equal_ignore_case(item, SLICE("null"));
        if (element_type.id == TYPE_TEXT) {
            element.text = item;
        } else if (!element.is_null) {
            enum err err = type_parse(element_type, item, context, scratch, &element, error);
            if (err != OK)
                return err;
        }
        array_write_element(&parser->out, &element);
        if (scratch->total > SCRATCH_MAX)
            arena_reset(scratch);
        parser->count++;
        is_open = at(parser, ',');
        parser->index += is_open;
    }
    return parser->index + 1 == parser->text.size ? OK : malformed_array(parser->whole, error);
}

static enum err parse_array(struct type type, struct slice text, const struct text_context *context,
                            struct arena *arena, struct slice *out, struct error *error)
{
    struct array_parser parser = {.whole = text, .text = slice_trim(text)};
    if (!at(&parser, '{'))
        return malformed_array(text, error);
    parser.index++;
    skip_space(&parser);
    if (at(&parser, '{'))
        return error_set(error, ERR_UNSUPPORTED, NULL,
                         "arrays of more than one dimension are not supported");
    struct arena scratch;
    arena_init(&scratch);
    parser.copy = arena_alloc(arena, parser.text.size);
    writer_init(&parser.out);
    writer_u32(&parser.out, 0);
    enum err err = parse_elements(&parser, type, context, &scratch, error);
    if (err == OK) {
        writer_patch_u32(&parser.out, 0, parser.count);
        *out = arena_copy(arena, writer_as_slice(&parser.out));
    }
    writer_deinit(&parser.out);
    arena_deinit(&scratch);
    return err;
}

/* What is too long may end in blanks only, which are cut. */
static enum err fit_varchar(struct type type, struct slice text, struct slice *out,
                            struct error *error)
{
    *out = text;
    if (type.length == 0 || text.size <= type.length)
        return OK;
    size_t index = 0;
    for (uint32_t characters = 0; index < text.size; index++) {
        bool is_start = ((unsigned char)text.data[index] & 0xC0) != 0x80;
        if (is_start && characters++ == type.length)
            break;
    }
    out->size = index;
    for (; index < text.size; index++)
        if (text.data[index] != ' ')
            return error_set(error, ERR_INPUT, "22001",
                             "value too long for type character varying(%u)", type.length);
    return OK;
}

static enum err parse_numeric(struct type type, struct slice text, struct numeric *out,
                              struct error *error)
{
    enum err err = numeric_parse(text, out, error);
    if (err == OK && type.precision != 0)
        err = numeric_fit(*out, type.precision, type.scale, out, error);
    return err;
}

enum err type_parse(struct type type, struct slice text, const struct text_context *context,
                    struct arena *arena, struct value *out, struct error *error)
{
    const struct timezone *zone = zone_of(context);
    int64_t now = context != NULL ? context->now_us : 0;
    int64_t local_now = timezone_to_local(zone, now);
    enum err err;
    *out = (struct value){.type = type};
    if (type_is_array((enum type_id)type.id))
        return parse_array(type, text, context, arena, &out->text, error);
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
        return parse_bool(text, &out->b, error);
    case TYPE_INT2:
        return int_parse(text, INT16_MIN, INT16_MAX, "smallint", &out->i, error);
    case TYPE_INT4:
        return int_parse(text, INT32_MIN, INT32_MAX, "integer", &out->i, error);
    case TYPE_INT8:
        return int_parse(text, INT64_MIN, INT64_MAX, "bigint", &out->i, error);
    case TYPE_FLOAT4:
        return float4_parse(text, &out->f, error);
    case TYPE_FLOAT8:
        return float8_parse(text, &out->f, error);
    case TYPE_NUMERIC:
        return parse_numeric(type, text, &out->n, error);
    case TYPE_TIMESTAMPTZ:
        return timestamptz_parse(text, zone, now, &out->i, error);
    case TYPE_TIMESTAMP:
        return timestamp_parse(text, local_now, &out->i, error);
    case TYPE_DATE:
        return date_parse(text, local_now, &out->i, error);
    case TYPE_INTERVAL:
        return interval_parse(text, &out->interval, error);
    case TYPE_UUID:
        return parse_uuid(text, arena, &out->text, error);
    case TYPE_BYTEA:
        return parse_bytea(text, arena, &out->text, error);
    case TYPE_VARCHAR:
        return fit_varchar(type, text, &out->text, error);
    case TYPE_JSON:
    case TYPE_JSONB:
        err = check_json(type_name(type.id), text, error);
        out->text = slice_trim(text);
        return err;
    default:
        break;
    }
    out->text = text;
    return OK;
}

/* --- printing --- */

static void print_hex(struct slice bytes, struct writer *out)
{
    static const char digits[] = "0123456789abcdef";
    char *p = writer_reserve(out, 2 * bytes.size);
    for (size_t index = 0; p != NULL && index < bytes.size; index++) {
        *p++ = digits[(unsigned char)bytes.data[index] >> 4];
        *p++ = digits[(unsigned char)bytes.data[index] & 15];
    }
    if (p != NULL)
        out->size += 2 * bytes.size;
}

static void print_uuid(struct slice bytes, struct writer *out)
{
    static const uint8_t sizes[] = {4, 2, 2, 2, 6};
    assert(bytes.size == 16);
    for (size_t group = 0, index = 0; group < 5; index += sizes[group], group++) {
        if (group > 0)
            writer_u8(out, '-');
        print_hex(slice_of(bytes.data + index, sizes[group]), out);
    }
}

static bool needs_quotes(struct slice text)
{
    if (text.size == 0 || slice_equal_ignore_case(text, SLICE("null")))
        return true;
    for (size_t index = 0; index < text.size; index++) {
        char c = text.data[index];
        if (c == '{' || c == '}' || c == ',' || c == '"' || c == '\\' || c == ' ' ||
            (c >= '\t' && c <= '\r'))
            return true;
    }
    return false;
}

static void print_quoted(struct slice text, struct writer *out)
{
    writer_u8(out, '"');
    for (size_t index = 0; index < text.size; index++) {
        if (text.data[index] == '"' || text.data[index] == '\\')
            writer_u8(out, '\\');
        writer_u8(out, (uint8_t)text.data[index]);
    }
    writer_u8(out, '"');
}

static void print_array(const struct value *value, const struct text_context *context,
                        struct writer *out)
{
    struct array_reader array;
    struct value element;
    struct writer form; /* of an element that is no text yet */
    writer_init(&form);
    writer_u8(out, '{');
    if (array_begin(&array, (enum type_id)value->type.id, value->text)) {
        while (array_next(&array, &element)) {
            if (array.index > 1)
                writer_u8(out, ',');
            if (element.is_null) {
                writer_cstr(out, "NULL");
                continue;
            }
            struct slice text = element.text;
            if (element.type.id == TYPE_INT8) {
                int_print(element.i, out);
                continue;
            }
            if (element.type.id != TYPE_TEXT) {
                writer_reset(&form);
                value_print(&element, context, &form);
                text = writer_as_slice(&form);
            }
            if (needs_quotes(text))
                print_quoted(text, out);
            else
                writer_slice(out, text);
        }
    }
    writer_u8(out, '}');
    writer_deinit(&form);
}

static void print_styled(const struct value *value, const struct text_context *context,
                         enum time_style style, struct writer *out)
{
    if (type_is_array((enum type_id)value->type.id)) {
        print_array(value, context, out);
        return;
    }
    switch ((enum type_id)value->type.id) {
    case TYPE_BOOL:
        writer_u8(out, value->b ? 't' : 'f');
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        int_print(value->i, out);
        return;
    case TYPE_FLOAT4:
        float4_print(value->f, out);
        return;
    case TYPE_FLOAT8:
        float8_print(value->f, out);
        return;
    case TYPE_NUMERIC:
        numeric_print(value->n, out);
        return;
    case TYPE_TIMESTAMPTZ:
        timestamptz_print(value->i, zone_of(context), style, out);
        return;
    case TYPE_TIMESTAMP:
        timestamp_print(value->i, style, out);
        return;
    case TYPE_DATE:
        date_print(value->i, out);
        return;
    case TYPE_INTERVAL:
        interval_print(value->interval, out);
        return;
    case TYPE_UUID:
        print_uuid(value->text, out);
        return;
    case TYPE_BYTEA:
        writer_cstr(out, "\\x");
        print_hex(value->text, out);
        return;
    default:
        break;
    }
    writer_slice(out, value->text);
}

void value_print(const struct value *value, const struct text_context *context, struct writer *out)
{
    if (!value->is_null)
        print_styled(value, context, TIME_STYLE_SQL, out);
}

static void print_json_array(const struct value *value, const struct text_context *context,
                             struct writer *out)
{
    struct array_reader array;
    struct value element;
    writer_u8(out, '[');
    if (array_begin(&array, value->type.id, value->text)) {
        while (array_next(&array, &element)) {
            if (array.index > 1)
                writer_u8(out, ',');
            value_print_json(&element, context, out);
        }
    }
    writer_u8(out, ']');
}

static bool is_bare_in_json(const struct value *value)
{
    switch ((enum type_id)value->type.id) {
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_JSON:
    case TYPE_JSONB:
        return true;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return isfinite(value->f);
    case TYPE_NUMERIC:
        return value->n.kind == NUMERIC_FINITE;
    default:
        return false;
    }
}

void value_print_json(const struct value *value, const struct text_context *context,
                      struct writer *out)
{
    if (value->is_null) {
        writer_cstr(out, "null");
    } else if (value->type.id == TYPE_BOOL) {
        writer_cstr(out, value->b ? "true" : "false");
    } else if (type_is_array((enum type_id)value->type.id)) {
        print_json_array(value, context, out);
    } else if (is_bare_in_json(value)) {
        print_styled(value, context, TIME_STYLE_JSON, out);
    } else if (value->type.id == TYPE_TEXT || value->type.id == TYPE_VARCHAR ||
               value->type.id == TYPE_UNKNOWN) {
        json_write_string(out, value->text);
    } else { /* forms of our own hold nothing to escape but the backslash of bytea */
        writer_u8(out, '"');
        if (value->type.id == TYPE_BYTEA)
            writer_u8(out, '\\');
        print_styled(value, context, TIME_STYLE_JSON, out);
        writer_u8(out, '"');
    }
}
