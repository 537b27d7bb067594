/* The JSON tokenizer and the small DOM over it.
 *
 *   top ──value──▶ top                       (any number of values in sequence)
 *   '{' ▶ object_first ──key──▶ value ──▶ after ──','──▶ key …      '}' pops
 *   '[' ▶ array_first ──value──▶ after ──','──▶ value …             ']' pops
 *
 * What lies open is a bit a level, so depth costs neither recursion nor allocation. Strings are
 * passed over 16 bytes a step while they are plain ASCII; only strings with bytes past 0x7F pay for
 * the UTF-8 check. A key token takes its colon with it, so that after it the offset stands at the
 * value. */
#include "storage/base/json.h"

#include <assert.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define DEPTH_LIMIT 1024

enum state {
    STATE_TOP,
    STATE_VALUE,
    STATE_ARRAY_FIRST,
    STATE_OBJECT_FIRST,
    STATE_KEY,
    STATE_AFTER
};

void json_parser_init(struct json_parser *parser, struct slice text, uint32_t depth_max)
{
    assert(depth_max <= DEPTH_LIMIT);
    *parser = (struct json_parser){
        .data = text.data, .size = text.size, .depth_max = depth_max, .state = STATE_TOP};
}

void json_parser_init_deep(struct json_parser *parser, struct slice text, uint8_t *stack,
                           uint32_t depth_max)
{
    *parser = (struct json_parser){.data = text.data,
                                   .size = text.size,
                                   .depth_max = depth_max,
                                   .state = STATE_TOP,
                                   .deep_stack = stack};
}

static enum json_token fail(struct json_parser *parser, size_t offset, const char *text)
{
    parser->offset = offset;
    parser->error_text = text;
    return JSON_ERROR;
}

static void skip_space(struct json_parser *parser)
{
    while (parser->offset < parser->size) {
        char c = parser->data[parser->offset];
        if (c != ' ' && c != '\n' && c != '\t' && c != '\r')
            return;
        parser->offset++;
    }
}

/* --- strings --- */

/* The first byte from `index` on that is not plain inside a string: quote, backslash, control or >=
 * 0x80. */
static size_t skip_plain(const char *data, size_t index, size_t size)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i space = _mm_set1_epi8(0x20);
    for (; index + 16 <= size; index += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(data + index));
        __m128i special =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        /* Signed compare: bytes from 0x80 on are negative, so they are below the space as well. */
        special = _mm_or_si128(special, _mm_cmplt_epi8(bytes, space));
        int mask = _mm_movemask_epi8(special);
        if (mask != 0)
            return index + (size_t)__builtin_ctz((unsigned)mask);
    }
#endif
    while (index < size) {
        unsigned char c = (unsigned char)data[index];
        if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80)
            break;
        index++;
    }
    return index;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of the escape at `index` (which is a backslash), 0 if it is none. */
static size_t escape_size(const char *data, size_t index, size_t size)
{
    if (index + 1 >= size)
        return 0;
    switch (data[index + 1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        if (index + 6 > size)
            return 0;
        for (size_t digit = index + 2; digit < index + 6; digit++)
            if (hex_digit(data[digit]) < 0)
                return 0;
        return 6;
    default:
        return 0;
    }
}

/* At the opening quote. Leaves the offset behind the closing one. */
static enum json_token scan_string(struct json_parser *parser, enum json_token token)
{
    size_t start = parser->offset + 1;
    size_t index = start;
    bool has_high = false;
    parser->has_escape = false;
    for (;;) {
        index = skip_plain(parser->data, index, parser->size);
        if (index >= parser->size)
            return fail(parser, index, "the string does not end");
        unsigned char c = (unsigned char)parser->data[index];
        if (c == '"')
            break;
        if (c >= 0x80) {
            has_high = true;
            index++;
        } else if (c == '\\') {
            size_t size = escape_size(parser->data, index, parser->size);
            if (size == 0)
                return fail(parser, index, "wrong escape in a string");
            parser->has_escape = true;
            index += size;
        } else {
            return fail(parser, index, "control character in a string");
        }
    }
    parser->text = slice_of(parser->data + start, index - start);
    if (has_high) {
        size_t wrong = utf8_validate(parser->text);
        if (wrong != parser->text.size)
            return fail(parser, start + wrong, "the string is not valid UTF-8");
    }
    parser->offset = index + 1;
    return token;
}

/* --- scalars --- */

static size_t skip_digits(const struct json_parser *parser, size_t index)
{
    while (index < parser->size && parser->data[index] >= '0' && parser->data[index] <= '9')
        index++;
    return index;
}

static enum json_token scan_number(struct json_parser *parser)
{
    size_t start = parser->offset;
    size_t index = start + (parser->data[start] == '-');
    size_t end = skip_digits(parser, index);
    if (end == index || (parser->data[index] == '0' && end > index + 1))
        return fail(parser, index, "wrong number");
    if (end < parser->size && parser->data[end] == '.') {
        index = end + 1;
        end = skip_digits(parser, index);
        if (end == index)
            return fail(parser, index, "digits are missing after the point");
    }
    if (end < parser->size && (parser->data[end] | 0x20) == 'e') {
        index = end + 1;
        if (index < parser->size && (parser->data[index] == '+' || parser->data[index] == '-'))
            index++;
        end = skip_digits(parser, index);
        if (end == index)
            return fail(parser, index, "digits are missing in the exponent");
    }
    parser->text = slice_of(parser->data + start, end - start);
    parser->offset = end;
    return JSON_NUMBER;
}

static enum json_token scan_word(struct json_parser *parser, const char *word,
                                 enum json_token token)
{
    size_t size = strlen(word);
    if (parser->size - parser->offset < size ||
        memcmp(parser->data + parser->offset, word, size) != 0)
        return fail(parser, parser->offset, "a value is expected");
    parser->text = slice_of(parser->data + parser->offset, size);
    parser->offset += size;
    return token;
}

/* --- structure --- */

static bool is_in_object(const struct json_parser *parser)
{
    uint32_t level = parser->depth - 1;
    const uint8_t *stack = parser->deep_stack != NULL ? parser->deep_stack : parser->stack;
    return (stack[level / 8] >> (level % 8) & 1) != 0;
}

static enum json_token push(struct json_parser *parser, bool is_object)
{
    if (parser->depth >= parser->depth_max)
        return fail(parser, parser->offset, "nested too deeply");
    uint32_t level = parser->depth++;
    uint8_t bit = (uint8_t)(1u << (level % 8));
    uint8_t *stack = parser->deep_stack != NULL ? parser->deep_stack : parser->stack;
    if (is_object)
        stack[level / 8] |= bit;
    else
        stack[level / 8] &= (uint8_t)~bit;
    parser->offset++;
    parser->state = is_object ? STATE_OBJECT_FIRST : STATE_ARRAY_FIRST;
    return is_object ? JSON_OBJECT_BEGIN : JSON_ARRAY_BEGIN;
}

static void value_done(struct json_parser *parser)
{
    parser->state = parser->depth == 0 ? STATE_TOP : STATE_AFTER;
}

static enum json_token pop(struct json_parser *parser, bool is_object)
{
    assert(parser->depth > 0);
    parser->offset++;
    parser->depth--;
    value_done(parser);
    return is_object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token scan_value(struct json_parser *parser)
{
    enum json_token token;
    switch (parser->data[parser->offset]) {
    case '{':
        return push(parser, true);
    case '[':
        return push(parser, false);
    case '"':
        token = scan_string(parser, JSON_STRING);
        break;
    case 't':
        token = scan_word(parser, "true", JSON_TRUE);
        break;
    case 'f':
        token = scan_word(parser, "false", JSON_FALSE);
        break;
    case 'n':
        token = scan_word(parser, "null", JSON_NULL);
        break;
    default:
        if (parser->data[parser->offset] != '-' &&
            skip_digits(parser, parser->offset) == parser->offset)
            return fail(parser, parser->offset, "a value is expected");
        token = scan_number(parser);
    }
    if (token != JSON_ERROR)
        value_done(parser);
    return token;
}

static enum json_token scan_key(struct json_parser *parser)
{
    if (parser->data[parser->offset] != '"')
        return fail(parser, parser->offset, "a name in quotes is expected");
    if (scan_string(parser, JSON_KEY) == JSON_ERROR)
        return JSON_ERROR;
    skip_space(parser);
    if (parser->offset >= parser->size || parser->data[parser->offset] != ':')
        return fail(parser, parser->offset, "':' is expected");
    parser->offset++;
    parser->state = STATE_VALUE;
    return JSON_KEY;
}

/* After a value inside something: a comma, or its end. */
static bool take_comma(struct json_parser *parser, enum json_token *token)
{
    bool is_object = is_in_object(parser);
    char c = parser->data[parser->offset];
    if (c == (is_object ? '}' : ']')) {
        *token = pop(parser, is_object);
        return false;
    }
    if (c != ',') {
        *token = fail(parser, parser->offset,
                      is_object ? "',' or '}' is expected" : "',' or ']' is expected");
        return false;
    }
    parser->offset++;
    parser->state = is_object ? STATE_KEY : STATE_VALUE;
    skip_space(parser);
    return true;
}

enum json_token json_next(struct json_parser *parser)
{
    enum json_token token;
    if (parser->error_text != NULL)
        return JSON_ERROR;
    skip_space(parser);
    parser->token_offset = parser->offset;
    if (parser->offset >= parser->size) {
        if (parser->state == STATE_TOP)
            return JSON_END;
        return fail(parser, parser->size, "the text ends too early");
    }
    if (parser->state == STATE_AFTER) {
        if (!take_comma(parser, &token))
            return token;
        parser->token_offset = parser->offset;
        if (parser->offset >= parser->size)
            return fail(parser, parser->size, "the text ends too early");
    }
    char c = parser->data[parser->offset];
    switch ((enum state)parser->state) {
    case STATE_OBJECT_FIRST:
        return c == '}' ? pop(parser, true) : scan_key(parser);
    case STATE_KEY:
        return scan_key(parser);
    case STATE_ARRAY_FIRST:
        return c == ']' ? pop(parser, false) : scan_value(parser);
    default:
        return scan_value(parser);
    }
}

bool json_skip(struct json_parser *parser, enum json_token token)
{
    if (token == JSON_KEY)
        token = json_next(parser);
    if (token == JSON_ERROR || token == JSON_END)
        return false;
    if (token != JSON_OBJECT_BEGIN && token != JSON_ARRAY_BEGIN)
        return true;
    uint32_t outside = parser->depth - 1;
    while (parser->depth > outside) {
        token = json_next(parser);
        if (token == JSON_ERROR || token == JSON_END)
            return false;
    }
    return true;
}

/* --- escapes --- */

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (size_t index = 0; index < 4; index++)
        value = value << 4 | (uint32_t)hex_digit(p[index]);
    return value;
}

/* The code point of the \u at `index`; *size is 6 or, for a pair, 12. 0 if it is none that we take.
 */
static uint32_t unescape_unicode(struct slice raw, size_t index, size_t *size)
{
    uint32_t high = hex4(raw.data + index + 2);
    *size = 6;
    if (high < 0xD800 || high > 0xDFFF)
        return high;
    bool has_low = high < 0xDC00 && index + 12 <= raw.size && raw.data[index + 6] == '\\' &&
                   raw.data[index + 7] == 'u' && escape_size(raw.data, index + 6, raw.size) == 6;
    uint32_t low = has_low ? hex4(raw.data + index + 8) : 0;
    if (low < 0xDC00 || low > 0xDFFF)
        return 0;
    *size = 12;
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
}

bool json_unescape(struct slice raw, struct arena *arena, struct slice *out)
{
    const char *first = raw.size == 0 ? NULL : memchr(raw.data, '\\', raw.size);
    if (first == NULL) {
        *out = raw;
        return true;
    }
    char *copy = arena_alloc(arena, raw.size); /* the escaped form is never shorter */
    size_t used = (size_t)(first - raw.data);
    memcpy(copy, raw.data, used);
    for (size_t index = used; index < raw.size;) {
        if (raw.data[index] != '\\') {
            copy[used++] = raw.data[index++];
            continue;
        }
        size_t size = escape_size(raw.data, index, raw.size);
        if (size == 0)
            return false;
        if (size == 2) {
            static const char from[] = "\"\\/bfnrt";
            static const char to[] = "\"\\/\b\f\n\r\t";
            copy[used++] = to[strchr(from, raw.data[index + 1]) - from];
        } else {
            uint32_t code_point = unescape_unicode(raw, index, &size);
            if (code_point == 0)
                return false;
            used += utf8_encode(code_point, copy + used);
        }
        index += size;
    }
    *out = slice_of(copy, used);
    return true;
}

void json_write_string(struct writer *out, struct slice text)
{
    writer_u8(out, '"');
    size_t index = 0;
    while (index < text.size) {
        size_t start = index;
        for (;;) {
            index = skip_plain(text.data, index, text.size);
            if (index >= text.size || (unsigned char)text.data[index] < 0x80)
                break;
            index++;
        }
        writer_bytes(out, text.data + start, index - start);
        if (index >= text.size)
            break;
        static const char names[] = "\bb\ff\nn\rr\tt\"\"\\\\";
        char c = text.data[index++];
        size_t pair = 0;
        while (pair < sizeof(names) - 1 && names[pair] != c)
            pair += 2;
        if (pair < sizeof(names) - 1) {
            writer_u8(out, '\\');
            writer_u8(out, (uint8_t)names[pair + 1]);
        } else {
            writer_printf(out, "\\u%04x", (unsigned)(unsigned char)c);
        }
    }
    writer_u8(out, '"');
}

/* --- the DOM --- */

struct builder {
    struct json_parser parser;
    struct arena *arena;
    struct json_value *open[DEPTH_LIMIT + 1]; /* containers, outermost first */
    struct json_value *last[DEPTH_LIMIT + 1]; /* the newest child of each */
};

static struct json_value *add_value(struct builder *builder, enum json_token kind, struct slice key)
{
    struct json_value *value = arena_alloc_zero(builder->arena, sizeof(*value));
    value->kind = kind;
    value->key = key;
    value->text = builder->parser.text;
    /* push() has already counted a container that begins here. */
    bool is_container = kind == JSON_OBJECT_BEGIN || kind == JSON_ARRAY_BEGIN;
    uint32_t level = builder->parser.depth - (is_container ? 1 : 0);
    if (level > 0) {
        struct json_value *parent = builder->open[level];
        if (builder->last[level] == NULL)
            parent->child = value;
        else
            builder->last[level]->next = value;
        builder->last[level] = value;
        parent->count++;
    }
    if (is_container) {
        builder->open[level + 1] = value;
        builder->last[level + 1] = NULL;
        value->text = slice_of(builder->parser.data + builder->parser.token_offset, 0);
    }
    return value;
}

/* Builds one value. NULL on error: the parser's, or a string that cannot be unescaped. */
static struct json_value *build(struct builder *builder)
{
    struct json_parser *parser = &builder->parser;
    struct json_value *root = NULL;
    struct slice key = {0};
    do {
        enum json_token token = json_next(parser);
        if (token == JSON_END)
            fail(parser, parser->offset, "a value is expected");
        if (token == JSON_ERROR || token == JSON_END)
            return NULL;
        if (token == JSON_OBJECT_END || token == JSON_ARRAY_END) {
            struct json_value *closed = builder->open[parser->depth + 1];
            closed->text.size = (size_t)(parser->data + parser->offset - closed->text.data);
            continue;
        }
        struct slice text = parser->text;
        if ((token == JSON_KEY || token == JSON_STRING) &&
            !json_unescape(parser->text, builder->arena, &text)) {
            fail(parser, parser->token_offset, "a string holds a character that is not text");
            return NULL;
        }
        parser->text = text;
        if (token == JSON_KEY) {
            key = text;
            continue;
        }
        struct json_value *value = add_value(builder, token, key);
        key = (struct slice){0};
        root = root == NULL ? value : root;
    } while (parser->depth > 0 || root == NULL);
    return root;
}

enum err json_parse(struct slice text, struct arena *arena, uint32_t depth_max,
                    struct json_value **out, struct error *error)
{
    return json_parse_rest(text, 0, arena, depth_max, out, error);
}

enum err json_parse_rest(struct slice text, size_t begin, struct arena *arena, uint32_t depth_max,
                         struct json_value **out, struct error *error)
{
    struct builder *builder = memory_alloc(sizeof(*builder));
    builder->arena = arena;
    json_parser_init(&builder->parser, text, depth_max);
    builder->parser.offset = begin;
    struct json_value *root = build(builder);
    if (root != NULL && json_next(&builder->parser) != JSON_END) {
        if (builder->parser.error_text == NULL)
            fail(&builder->parser, builder->parser.token_offset, "something follows the value");
        root = NULL;
    }
    enum err err = OK;
    if (root == NULL) {
        size_t offset = builder->parser.offset;
        size_t position = utf8_count(slice_of(text.data, offset)) + 1;
        err = error_set(error, ERR_INPUT, "22P02", "invalid JSON: %s at character %zu",
                        builder->parser.error_text, position);
        if (error != NULL)
            error->text_position = (int64_t)position;
    } else {
        *out = root;
    }
    memory_free(builder);
    return err;
}

const struct json_value *json_get_slice(const struct json_value *object, struct slice key)
{
    const struct json_value *found = NULL;
    if (object == NULL || object->kind != JSON_OBJECT_BEGIN)
        return NULL;
    for (const struct json_value *member = object->child; member != NULL; member = member->next)
        if (slice_equal(member->key, key))
            found = member;
    return found;
}

const struct json_value *json_get(const struct json_value *object, const char *key)
{
    return json_get_slice(object, slice_from_cstr(key));
}
