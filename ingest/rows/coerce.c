/* Cells to values.
 *
 *                boolean   number            text                      object, array
 *   boolean      as is     '1', '0' as text  PostgreSQL's input        22P02
 *   integers     22P02     integral, range   PostgreSQL's input        22P02
 *   floats       22P02     nearest           PostgreSQL's input        22P02
 *   numeric      22P02     rounded to scale  PostgreSQL's input        22P02
 *   text         'true'    as written        as is                     source text
 *   json, jsonb  source    source            source (JSON), checked (CSV)   source text
 *   times        22007     epoch by size     RFC 3339, epoch, PostgreSQL's   22007
 *   arrays       22P02     22P02             '{…}'                     elements, one dimension
 *
 * Integers take integral numbers however they are written (1.0, 1e3). Numbers whose mantissa fits
 * 19 digits need no second look at their text: integers multiply, doubles use one exact
 * multiplication or division where mantissa and power are exact in a double (Clinger 1990), the
 * rest goes through the correctly rounding parser of base. */
#include "ingest/rows/coerce.h"

#include "storage/base/json.h"
#include "storage/base/number.h"

#include <assert.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#define ARRAY_DEPTH_MAX 64

static const struct text_context utc = {0};

static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

enum coerce coerce_of(enum type_id id, int64_t *min, int64_t *max)
{
    *min = INT64_MIN;
    *max = INT64_MAX;
    switch (id) {
    case TYPE_BOOL:
        return COERCE_BOOL;
    case TYPE_INT2:
        *min = INT16_MIN;
        *max = INT16_MAX;
        return COERCE_INT;
    case TYPE_INT4:
        *min = INT32_MIN;
        *max = INT32_MAX;
        return COERCE_INT;
    case TYPE_INT8:
        return COERCE_INT;
    case TYPE_FLOAT4:
        return COERCE_FLOAT4;
    case TYPE_FLOAT8:
        return COERCE_FLOAT8;
    case TYPE_NUMERIC:
        return COERCE_NUMERIC;
    case TYPE_TEXT:
        return COERCE_TEXT;
    case TYPE_VARCHAR:
        return COERCE_VARCHAR;
    case TYPE_TIMESTAMPTZ:
        return COERCE_TIMESTAMPTZ;
    case TYPE_TIMESTAMP:
        return COERCE_TIMESTAMP;
    case TYPE_UUID:
        return COERCE_UUID;
    case TYPE_JSON:
    case TYPE_JSONB:
        return COERCE_JSON;
    default:
        return type_is_array(id) ? COERCE_ARRAY : COERCE_PARSE;
    }
}

static struct slice shown(struct slice text)
{
    return text.size <= 64 ? text : slice_of(text.data, 64);
}

static enum err refuse(const struct rows_column *column, struct slice text, struct error *error)
{
    bool is_time = column->coerce == COERCE_TIMESTAMPTZ || column->coerce == COERCE_TIMESTAMP;
    struct slice part = shown(text);
    return error_set(error, ERR_INPUT, is_time ? "22007" : "22P02",
                     "invalid input syntax for type %s: \"%.*s\"",
                     type_name(column->definition->type.id), SLICE_ARGS(part));
}

static enum err refuse_range(const struct rows_column *column, struct slice text,
                             struct error *error)
{
    struct slice part = shown(text);
    return error_set(error, ERR_INPUT, "22003", "value \"%.*s\" is out of range for type %s",
                     SLICE_ARGS(part), type_name(column->definition->type.id));
}

/* --- numbers --- */

bool decimal_parse(struct slice text, struct decimal *out)
{
    const char *p = text.data, *end = text.data + text.size;
    *out = (struct decimal){.text = text, .is_exact = true};
    if (p < end && *p == '-') {
        out->is_negative = true;
        p++;
    }
    const char *digits = p;
    int significant = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (out->mantissa != 0 || *p != '0')
            significant++;
        out->mantissa = out->mantissa * 10 + (uint64_t)(*p - '0');
    }
    if (p == digits || (*digits == '0' && p - digits > 1))
        return false;
    if (p < end && *p == '.') {
        const char *fraction = ++p;
        for (; p < end && *p >= '0' && *p <= '9'; p++) {
            if (out->mantissa != 0 || *p != '0')
                significant++;
            out->mantissa = out->mantissa * 10 + (uint64_t)(*p - '0');
        }
        if (p == fraction)
            return false;
        out->exponent = -(int32_t)(p - fraction);
    }
    if (p < end && (*p | 0x20) == 'e') {
        p++;
        bool is_negative = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        const char *first = p;
        int32_t exponent = 0;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            exponent = exponent < 100000 ? exponent * 10 + (*p - '0') : exponent;
        if (p == first)
            return false;
        out->exponent += is_negative ? -exponent : exponent;
    }
    out->is_exact = significant <= 19 && text.size < 4096;
    return p == end;
}

/* The integer a number is, if it is one. 22P02 for a fraction, 22003 past int64. */
static enum err decimal_to_int(const struct rows_column *column, const struct decimal *number,
                               int64_t *out, struct error *error)
{
    unsigned __int128 value = number->mantissa;
    int32_t exponent = number->exponent;
    if (!number->is_exact) {
        /* Many digits, as in 1.00000000000000000000. */
        struct numeric n;
        if (numeric_parse(number->text, &n, error) != OK)
            return refuse_range(column, number->text, error);
        struct numeric whole = numeric_truncate(n, 0);
        if (numeric_compare(whole, n) != 0)
            return refuse(column, number->text, error);
        return numeric_to_int(whole, out, error);
    }
    for (; exponent < 0 && value != 0; exponent++) {
        if (value % 10 != 0)
            return refuse(column, number->text, error);
        value /= 10;
    }
    for (; exponent > 0 && value != 0; exponent--) {
        value *= 10;
        if (value > (unsigned __int128)1 << 64)
            return refuse_range(column, number->text, error);
    }
    uint64_t limit = (uint64_t)INT64_MAX + (number->is_negative ? 1 : 0);
    if (value > limit)
        return refuse_range(column, number->text, error);
    *out = number->is_negative ? (int64_t)(0 - (uint64_t)value) : (int64_t)value;
    return OK;
}

static enum err decimal_to_double(const struct decimal *number, double *out, struct error *error)
{
    if (number->is_exact && number->mantissa <= (UINT64_C(1) << 53) && number->exponent >= -22 &&
        number->exponent <= 22) {
        double value = (double)number->mantissa;
        if (number->exponent < 0)
            value /= exact_powers[-number->exponent];
        else
            value *= exact_powers[number->exponent];
        *out = number->is_negative ? -value : value;
        return OK;
    }
    return float8_parse(number->text, out, error);
}

/* |v| < 5e9 seconds, < 5e12 milliseconds, < 5e15 microseconds, else nanoseconds. */
static enum err epoch_time(const struct rows_column *column, const struct decimal *number,
                           int64_t *out, struct error *error)
{
    struct numeric n;
    if (number->is_exact && number->exponent == 0 && number->mantissa <= INT64_MAX) {
        n = numeric_from_int(number->is_negative ? -(int64_t)number->mantissa
                                                 : (int64_t)number->mantissa);
    } else if (numeric_parse(number->text, &n, error) != OK || n.kind != NUMERIC_FINITE) {
        return refuse_range(column, number->text, error);
    }
    struct numeric size = n.digits < 0 ? numeric_negate(n) : n;
    int64_t factor = 0, divisor = 0;
    if (numeric_compare(size, numeric_from_int(INT64_C(5000000000))) < 0)
        factor = 1000000;
    else if (numeric_compare(size, numeric_from_int(INT64_C(5000000000000))) < 0)
        factor = 1000;
    else if (numeric_compare(size, numeric_from_int(INT64_C(5000000000000000))) < 0)
        factor = 1;
    else
        divisor = 1000;
    struct numeric us, rounded;
    enum err err = OK;
    if (divisor != 0) {
        us = numeric_truncate(n, 0);
        int64_t ns;
        if (numeric_to_int(us, &ns, error) != OK)
            return refuse_range(column, number->text, error);
        *out = ns / divisor - (ns % divisor < 0 ? 1 : 0);
        return OK;
    }
    err = numeric_multiply(n, numeric_from_int(factor), &us, error);
    if (err == OK)
        err = numeric_round(us, 0, &rounded, error);
    if (err == OK)
        err = numeric_to_int(rounded, out, error);
    return err;
}

enum err coerce_bool(const struct rows_column *column, bool value, struct value *out,
                     struct error *error)
{
    struct slice source = value ? SLICE("true") : SLICE("false");
    switch ((enum coerce)column->coerce) {
    case COERCE_BOOL:
        out->b = value;
        return OK;
    case COERCE_TEXT:
    case COERCE_JSON:
        out->text = source;
        return OK;
    case COERCE_VARCHAR:
        return coerce_text(column, source, NULL, out, error);
    default:
        return refuse(column, source, error);
    }
}

enum err coerce_number(const struct rows_column *column, const struct decimal *number,
                       struct arena *arena, struct value *out, struct error *error)
{
    enum err err;
    switch ((enum coerce)column->coerce) {
    case COERCE_INT:
        if (number->exponent == 0 && number->is_exact && number->mantissa <= INT64_MAX)
            out->i = number->is_negative ? -(int64_t)number->mantissa : (int64_t)number->mantissa;
        else if ((err = decimal_to_int(column, number, &out->i, error)) != OK)
            return err;
        return out->i < column->min || out->i > column->max
                   ? refuse_range(column, number->text, error)
                   : OK;
    case COERCE_FLOAT8:
        return decimal_to_double(number, &out->f, error);
    case COERCE_FLOAT4:
        return float4_parse(number->text, &out->f, error);
    case COERCE_NUMERIC: {
        struct numeric n;
        if (number->is_exact && number->exponent <= 0 && number->exponent >= -18 &&
            number->mantissa <= INT64_MAX) {
            __int128 digits = number->mantissa;
            n = numeric_from_int128(number->is_negative ? -digits : digits, -number->exponent);
        } else if ((err = numeric_parse(number->text, &n, error)) != OK) {
            return err;
        }
        return numeric_fit(n, column->definition->type.precision, column->definition->type.scale,
                           &out->n, error);
    }
    case COERCE_TIMESTAMPTZ:
    case COERCE_TIMESTAMP:
        return epoch_time(column, number, &out->i, error);
    case COERCE_TEXT:
    case COERCE_JSON:
        out->text = number->text;
        return OK;
    case COERCE_BOOL:
    case COERCE_VARCHAR:
        return coerce_text(column, number->text, arena, out, error);
    default:
        return refuse(column, number->text, error);
    }
}

/* --- text --- */

#if !defined(__x86_64__)
/* Value of a hexadecimal digit, with a bit that says that it is one. */
#define IS_HEX 0x40
#define HEX_DIGIT(c, value) [c] = IS_HEX | (value)
static const uint8_t hex_digits[256] = {
    HEX_DIGIT('0', 0),  HEX_DIGIT('1', 1),  HEX_DIGIT('2', 2),  HEX_DIGIT('3', 3),
    HEX_DIGIT('4', 4),  HEX_DIGIT('5', 5),  HEX_DIGIT('6', 6),  HEX_DIGIT('7', 7),
    HEX_DIGIT('8', 8),  HEX_DIGIT('9', 9),  HEX_DIGIT('a', 10), HEX_DIGIT('b', 11),
    HEX_DIGIT('c', 12), HEX_DIGIT('d', 13), HEX_DIGIT('e', 14), HEX_DIGIT('f', 15),
    HEX_DIGIT('A', 10), HEX_DIGIT('B', 11), HEX_DIGIT('C', 12), HEX_DIGIT('D', 13),
    HEX_DIGIT('E', 14), HEX_DIGIT('F', 15),
};
#endif

#if defined(__x86_64__)
/* Sixteen hexadecimal digits to their values; false if one is none. */
static inline bool hex_values(__m128i digits, __m128i *out)
{
    __m128i number = _mm_sub_epi8(digits, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(digits, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i is_number = _mm_cmpeq_epi8(_mm_min_epu8(number, _mm_set1_epi8(9)), number);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    __m128i values =
        _mm_or_si128(_mm_and_si128(number, is_number),
                     _mm_and_si128(_mm_add_epi8(letter, _mm_set1_epi8(10)), is_letter));
    /* Pairs to bytes: the first digit, in the low half of a word, is the high one. */
    *out = _mm_and_si128(_mm_or_si128(_mm_slli_epi16(values, 4), _mm_srli_epi16(values, 8)),
                         _mm_set1_epi16(0xFF));
    return _mm_movemask_epi8(_mm_or_si128(is_number, is_letter)) == 0xFFFF;
}

static long long load_digits(const char *p, size_t low, size_t high)
{
    uint32_t a, b;
    memcpy(&a, p + low, sizeof(a));
    memcpy(&b, p + high, sizeof(b));
    return (long long)((uint64_t)b << 32 | a);
}
#endif

bool coerce_uuid(struct slice text, uint8_t *out)
{
    const char *in = text.data;
    if (text.size != 36 || in[8] != '-' || in[13] != '-' || in[18] != '-' || in[23] != '-')
        return false;
#if defined(__x86_64__)
    __m128i low, high;
    bool is_low = hex_values(_mm_set_epi64x(load_digits(in, 9, 14), load_digits(in, 0, 4)), &low);
    bool is_high =
        hex_values(_mm_set_epi64x(load_digits(in, 28, 32), load_digits(in, 19, 24)), &high);
    _mm_storeu_si128((__m128i *)(void *)out, _mm_packus_epi16(low, high));
    return is_low && is_high;
#else
    static const uint8_t places[16] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34};
    uint8_t all = IS_HEX;
    for (size_t i = 0; i < 16; i++) { /* one test at the end: digits are not predictable */
        uint8_t high = hex_digits[(uint8_t)in[places[i]]];
        uint8_t low = hex_digits[(uint8_t)in[places[i] + 1]];
        all &= high & low;
        out[i] = (uint8_t)(high << 4 | (low & 15));
    }
    return (all & IS_HEX) != 0;
#endif
}

static bool uuid_parse(struct slice text, struct arena *arena, struct slice *out)
{
    uint8_t *bytes = arena_alloc(arena, UUID_SIZE);
    *out = slice_of(bytes, UUID_SIZE);
    return coerce_uuid(text, bytes);
}

static enum err time_from_text(const struct rows_column *column, struct slice text,
                               struct value *out, struct error *error)
{
    bool has_zone = column->coerce == COERCE_TIMESTAMPTZ;
    if (has_zone && timestamptz_parse_rfc3339(text, &out->i))
        return OK;
    struct decimal number;
    struct slice trimmed = slice_trim(text);
    if (trimmed.size < 400 && decimal_parse(trimmed, &number))
        return epoch_time(column, &number, &out->i, error);
    return has_zone ? timestamptz_parse(text, timezone_utc, 0, &out->i, error)
                    : timestamp_parse(text, 0, &out->i, error);
}

enum err coerce_text(const struct rows_column *column, struct slice text, struct arena *arena,
                     struct value *out, struct error *error)
{
    if (text.size > ROW_STRING_SIZE_MAX)
        return error_set(error, ERR_INPUT, "54000", "text of %zu bytes is longer than %zu bytes",
                         text.size, ROW_STRING_SIZE_MAX);
    switch ((enum coerce)column->coerce) {
    case COERCE_TEXT:
        out->text = text;
        return OK;
    case COERCE_VARCHAR:
        if (column->definition->type.length == 0 || text.size <= column->definition->type.length) {
            out->text = text;
            return OK;
        }
        break;
    case COERCE_TIMESTAMPTZ:
    case COERCE_TIMESTAMP:
        return time_from_text(column, text, out, error);
    case COERCE_UUID:
        if (uuid_parse(text, arena, &out->text))
            return OK;
        break;
    default:
        break;
    }
    struct type type = column->definition->type;
    enum err err = type_parse(type, text, &utc, arena, out, error);
    out->type = type;
    return err;
}

/* --- objects and arrays --- */

static enum err array_element(enum type_id element_type, const struct json_value *json,
                              struct arena *arena, struct value *out, struct error *error)
{
    *out = (struct value){.type = type_of(element_type)};
    if (json->kind == JSON_NULL) {
        out->is_null = true;
        return OK;
    }
    if (json->kind == JSON_ARRAY_BEGIN)
        return error_set(error, ERR_INPUT, "22P02", "arrays of arrays are not supported");
    if (element_type == TYPE_INT8) {
        const struct column_definition bigint = {.type = type_of(TYPE_INT8)};
        const struct rows_column column = {
            .definition = &bigint, .coerce = COERCE_INT, .min = INT64_MIN, .max = INT64_MAX};
        struct decimal number;
        if (json->kind == JSON_NUMBER && decimal_parse(json->text, &number))
            return coerce_number(&column, &number, NULL, out, error);
        if (json->kind == JSON_STRING)
            return int_parse(json->text, INT64_MIN, INT64_MAX, "bigint", &out->i, error);
        return refuse(&column, json->text, error);
    }
    struct slice text = json->kind == JSON_TRUE    ? SLICE("true")
                        : json->kind == JSON_FALSE ? SLICE("false")
                                                   : json->text;
    if (element_type != TYPE_TEXT)
        return type_parse(type_of(element_type), text, &utc, arena, out, error);
    out->text = text;
    return OK;
}

static enum err array_from_json(const struct rows_column *column, struct slice source,
                                struct arena *arena, struct value *out, struct error *error)
{
    enum type_id type = column->definition->type.id;
    enum type_id element_type = type_element(type);
    struct json_value *json;
    enum err err = json_parse(source, arena, ARRAY_DEPTH_MAX, &json, error);
    if (err != OK)
        return err;
    struct value *elements = arena_alloc_array(arena, json->count, sizeof(*elements));
    size_t count = 0;
    for (const struct json_value *child = json->child; child != NULL; child = child->next) {
        err = array_element(element_type, child, arena, &elements[count++], error);
        if (err != OK)
            return err;
    }
    assert(count == json->count);
    out->text = array_build(type, elements, count, arena);
    return OK;
}

enum err coerce_document(const struct rows_column *column, struct slice source, struct arena *arena,
                         struct value *out, struct error *error)
{
    switch ((enum coerce)column->coerce) {
    case COERCE_TEXT:
    case COERCE_JSON:
        out->text = source;
        return OK;
    case COERCE_VARCHAR:
        return coerce_text(column, source, arena, out, error);
    case COERCE_ARRAY:
        if (source.data[0] == '[')
            return array_from_json(column, source, arena, out, error);
        break;
    default:
        break;
    }
    return refuse(column, source, error);
}
