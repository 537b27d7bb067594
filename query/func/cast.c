/* Casts: which exist in which context, and how one value is converted.
 *
 * The table of contexts is PostgreSQL's pg_cast for the types here: widening numbers and date ->
 * timestamp
 * -> timestamptz happen by themselves, narrowing on assignment, boolean <-> integer only when
 * written. Everything becomes text on assignment and text becomes anything when written, through
 * the type's output and input functions.
 *
 * Conversion is by source class, then the target's modifiers (varchar(n), numeric(p, s)) are
 * applied. */
#include "query/func/func.h"

#include "query/expr/build.h"
#include "storage/base/fault.h"
#include "storage/base/json.h"
#include "storage/base/number.h"
#include "storage/column/binary_form.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define BIT(type) (1u << (type))
#define INTS (BIT(TYPE_INT2) | BIT(TYPE_INT4) | BIT(TYPE_INT8))
#define FLOATS (BIT(TYPE_FLOAT4) | BIT(TYPE_FLOAT8))
#define NUMBERS (INTS | FLOATS | BIT(TYPE_NUMERIC))
#define TEXTS (BIT(TYPE_TEXT) | BIT(TYPE_VARCHAR))

static_assert(TYPE_TEXT_ARRAY < 32, "types that are no arrays are bits of one word");

/* By source type: targets of implicit, assignment and explicit casts. */
static const struct {
    uint32_t implicit, assignment, explicit;
} casts[TYPE_TEXT_ARRAY] = {
    [TYPE_BOOL] = {0, TEXTS, BIT(TYPE_INT4)},
    [TYPE_INT2] = {BIT(TYPE_INT4) | BIT(TYPE_INT8) | FLOATS | BIT(TYPE_NUMERIC), TEXTS, 0},
    [TYPE_INT4] = {BIT(TYPE_INT8) | FLOATS | BIT(TYPE_NUMERIC), BIT(TYPE_INT2) | TEXTS,
                   BIT(TYPE_BOOL)},
    [TYPE_INT8] = {FLOATS | BIT(TYPE_NUMERIC), BIT(TYPE_INT2) | BIT(TYPE_INT4) | TEXTS, 0},
    [TYPE_FLOAT4] = {BIT(TYPE_FLOAT8), NUMBERS | TEXTS, 0},
    [TYPE_FLOAT8] = {0, NUMBERS | TEXTS, 0},
    [TYPE_NUMERIC] = {FLOATS, INTS | TEXTS, 0},
    [TYPE_TEXT] = {BIT(TYPE_VARCHAR), 0, ~0u},
    [TYPE_VARCHAR] = {BIT(TYPE_TEXT), 0, ~0u},
    [TYPE_TIMESTAMPTZ] = {0, BIT(TYPE_TIMESTAMP) | BIT(TYPE_DATE) | TEXTS, 0},
    [TYPE_TIMESTAMP] = {BIT(TYPE_TIMESTAMPTZ), BIT(TYPE_DATE) | TEXTS, 0},
    [TYPE_DATE] = {BIT(TYPE_TIMESTAMP) | BIT(TYPE_TIMESTAMPTZ), TEXTS, 0},
    [TYPE_INTERVAL] = {0, TEXTS, 0},
    [TYPE_UUID] = {0, TEXTS, 0},
    [TYPE_BYTEA] = {0, TEXTS, 0},
    [TYPE_JSONB] = {0, BIT(TYPE_JSON) | TEXTS, NUMBERS | BIT(TYPE_BOOL)},
    [TYPE_JSON] = {0, BIT(TYPE_JSONB) | TEXTS, 0},
};

static bool is_time(enum type_id type)
{
    return type == TYPE_TIMESTAMPTZ || type == TYPE_TIMESTAMP || type == TYPE_DATE;
}
static bool is_text(enum type_id type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR || type == TYPE_UNKNOWN;
}
static bool is_int(enum type_id type)
{
    return type >= TYPE_INT2 && type <= TYPE_INT8;
}

bool cast_exists(enum type_id from, enum type_id to, int context)
{
    if (from == to || from == TYPE_UNKNOWN)
        return true;
    if (from >= TYPE_COUNT || to >= TYPE_COUNT || to == TYPE_UNKNOWN)
        return false;
    if (type_is_array(from) && type_is_array(to)) /* as of their elements */
        return cast_exists(type_element(from), type_element(to), context);
    if (type_is_array(from))
        return context >= CAST_ASSIGNMENT && is_text(to);
    if (type_is_array(to))
        return context >= CAST_EXPLICIT && is_text(from);
    uint32_t targets = casts[from].implicit;
    if (context >= CAST_ASSIGNMENT)
        targets |= casts[from].assignment;
    if (context >= CAST_EXPLICIT)
        targets |= casts[from].explicit;
    return (targets & BIT(to)) != 0;
}

bool cast_is_immutable(enum type_id from, enum type_id to)
{
    from = type_is_array(from) ? type_element(from) : from;
    to = type_is_array(to) ? type_element(to) : to;
    if (is_time(to) && is_text(from))
        return false; /* 'now' and the zone */
    bool crosses_zone = (from == TYPE_TIMESTAMPTZ) != (to == TYPE_TIMESTAMPTZ);
    return !crosses_zone || from == to;
}

bool cast_is_relabel(struct type from, struct type to, const struct timezone *zone)
{
    if (to.alias != ALIAS_NONE && to.alias != from.alias)
        return false; /* checked or cut */
    if (to.id == from.id)
        return to.length == 0 && to.precision == 0;
    if (is_text(to.id) && is_text(from.id))
        return to.length == 0;
    if (is_int(from.id) && is_int(to.id))
        return from.id < to.id;
    if (from.id == TYPE_FLOAT4 && to.id == TYPE_FLOAT8)
        return true;
    if ((from.id == TYPE_TIMESTAMP && to.id == TYPE_TIMESTAMPTZ) ||
        (from.id == TYPE_TIMESTAMPTZ && to.id == TYPE_TIMESTAMP))
        return zone == timezone_utc || zone == NULL;
    return (from.id == TYPE_JSON && to.id == TYPE_JSONB) ||
           (from.id == TYPE_JSONB && to.id == TYPE_JSON);
}

/* --- numbers --- */

static enum err check_int(struct call *call, int64_t value, struct value *out)
{
    enum type_id to = out->type.id;
    if ((to == TYPE_INT2 && (value < INT16_MIN || value > INT16_MAX)) ||
        (to == TYPE_INT4 && (value < INT32_MIN || value > INT32_MAX)))
        return error_out_of_range(call->error, type_name(to));
    out->i = value;
    return OK;
}

static enum err float_to_real(struct call *call, double value, struct value *out)
{
    float single = (float)value;
    if (isinf(single) && !isinf(value))
        return error_set(call->error, ERR_INPUT, "22003", "value out of range: overflow");
    if (single == 0 && value != 0)
        return error_set(call->error, ERR_INPUT, "22003", "value out of range: underflow");
    out->f = single;
    return OK;
}

static enum err from_int(struct call *call, const struct value *in, struct value *out)
{
    switch (out->type.id) {
    case TYPE_FLOAT4:
        out->f = (float)in->i;
        return OK;
    case TYPE_FLOAT8:
        out->f = (double)in->i;
        return OK;
    case TYPE_NUMERIC:
        out->n = numeric_from_int(in->i);
        return OK;
    case TYPE_BOOL:
        out->b = in->i != 0;
        return OK;
    default:
        return check_int(call, in->i, out);
    }
}

static enum err from_float(struct call *call, const struct value *in, struct value *out)
{
    switch (out->type.id) {
    case TYPE_FLOAT4:
        return float_to_real(call, in->f, out);
    case TYPE_FLOAT8:
        out->f = in->f;
        return OK;
    case TYPE_NUMERIC:
        return numeric_from_double(in->f, in->type.id == TYPE_FLOAT4 ? 6 : 15, &out->n,
                                   call->error);
    default: {
        double rounded = rint(in->f);
        if (!(rounded >= -9223372036854775808.0 && rounded < 9223372036854775808.0))
            return error_out_of_range(call->error, type_name(out->type.id));
        return check_int(call, (int64_t)rounded, out);
    }
    }
}

static enum err from_numeric(struct call *call, const struct value *in, struct value *out)
{
    switch (out->type.id) {
    case TYPE_FLOAT4:
        return float_to_real(call, numeric_to_double(in->n), out);
    case TYPE_FLOAT8:
        out->f = numeric_to_double(in->n);
        return OK;
    case TYPE_NUMERIC:
        out->n = in->n;
        return OK;
    default: {
        if (in->n.kind != NUMERIC_FINITE)
            return error_set(call->error, ERR_UNSUPPORTED, "0A000", "cannot convert %s to %s",
                             in->n.kind == NUMERIC_NAN ? "NaN" : "infinity",
                             type_name(out->type.id));
        int64_t integer;
        struct numeric n = fault_is("cast.no_rounding") ? numeric_truncate(in->n, 0) : in->n;
        if (numeric_to_int(n, &integer, NULL) != OK)
            return error_out_of_range(call->error, type_name(out->type.id));
        return check_int(call, integer, out);
    }
    }
}

/* --- times --- */

static bool is_infinite_time(int64_t us)
{
    return us == TIME_INFINITY || us == TIME_MINUS_INFINITY;
}

static int64_t floor_days(int64_t us)
{
    int64_t days = us / MICROSECONDS_PER_DAY;
    return us % MICROSECONDS_PER_DAY < 0 ? days - 1 : days;
}

static enum err from_date(struct call *call, int64_t days, struct value *out)
{
    if (out->type.id == TYPE_DATE) {
        out->i = days;
        return OK;
    }
    int64_t us;
    if (days == DATE_INFINITY || days == DATE_MINUS_INFINITY)
        us = days == DATE_INFINITY ? TIME_INFINITY : TIME_MINUS_INFINITY;
    else if (__builtin_mul_overflow(days, MICROSECONDS_PER_DAY, &us) || us == TIME_INFINITY)
        return error_set(call->error, ERR_INPUT, "22008", "date out of range for timestamp");
    else if (out->type.id == TYPE_TIMESTAMPTZ && !fault_is("cast.zone_forgotten"))
        us = timezone_to_utc(call->context->zone, us);
    out->i = us;
    return OK;
}

static enum err from_time(struct call *call, const struct value *in, struct value *out)
{
    int64_t us = in->i;
    if (is_infinite_time(us)) {
        out->i = us;
        if (out->type.id == TYPE_DATE)
            out->i = us == TIME_INFINITY ? DATE_INFINITY : DATE_MINUS_INFINITY;
        return OK;
    }
    bool has_zone = in->type.id == TYPE_TIMESTAMPTZ;
    if (has_zone && out->type.id != TYPE_TIMESTAMPTZ)
        us = timezone_to_local(call->context->zone, us);
    else if (!has_zone && out->type.id == TYPE_TIMESTAMPTZ)
        us = timezone_to_utc(call->context->zone, us);
    out->i = out->type.id == TYPE_DATE ? floor_days(us) : us;
    return OK;
}

/* --- json and arrays --- */

static enum err from_jsonb(struct call *call, const struct value *in, struct value *out)
{
    struct json_parser parser;
    json_parser_init(&parser, in->text, 1024);
    enum json_token token = json_next(&parser);
    if (token == JSON_NUMBER && out->type.id != TYPE_BOOL) {
        struct value number = {.type = type_of(TYPE_NUMERIC)};
        enum err err = numeric_parse(parser.text, &number.n, call->error);
        return err != OK ? err : from_numeric(call, &number, out);
    }
    if ((token == JSON_TRUE || token == JSON_FALSE) && out->type.id == TYPE_BOOL) {
        out->b = token == JSON_TRUE;
        return OK;
    }
    const char *kind = token == JSON_STRING         ? "string"
                       : token == JSON_OBJECT_BEGIN ? "object"
                       : token == JSON_ARRAY_BEGIN  ? "array"
                       : token == JSON_NULL         ? "null"
                       : token == JSON_NUMBER       ? "numeric"
                                                    : "boolean";
    return error_set(call->error, ERR_INPUT, "22023", "cannot cast jsonb %s to type %s", kind,
                     type_name(out->type.id));
}

static enum err from_array(struct call *call, const struct value *in, struct value *out)
{
    struct array_reader array;
    if (!array_begin(&array, in->type.id, in->text))
        return call_bad_array(call);
    struct value *elements;
    size_t count = 0;
    struct type element =
        out->type; /* of an array's numeric(p, s) the modifiers are the elements' */
    element.id = (uint8_t)type_element((enum type_id)out->type.id);
    element.alias = (uint8_t)alias_element((enum type_alias)out->type.alias);
    enum err err =
        call_array(call, (size_t)array.count + 1, sizeof(struct value), (void **)&elements);
    if (err != OK)
        return err;
    for (struct value item; array_next(&array, &item); count++) {
        elements[count] = (struct value){.type = element};
        err = cast_value(call, &item, true, &elements[count]);
        if (err != OK)
            return err;
    }
    out->text = array_build(out->type.id, elements, count, call->arena);
    return OK;
}

/* --- text --- */

struct slice value_to_text(const struct value *value, const struct eval_context *context,
                           struct arena *arena)
{
    enum type_id type = value->type.id;
    if (is_text(type) || type == TYPE_JSONB || type == TYPE_JSON)
        return value->text;
    struct writer writer;
    writer_init(&writer);
    struct text_context text_context = {.zone = context->zone, .now_us = context->now_us};
    value_print(value, &text_context, &writer);
    struct slice text = arena_copy(arena, writer_as_slice(&writer));
    writer_deinit(&writer);
    return text;
}

/* The parser's lists of elements grow by doubling and all stay in the batch's arena. */
static enum err array_room(struct call *call, struct slice text)
{
    struct budget *budget = call->context->budget;
    size_t count = 1;
    for (size_t i = 0; i < text.size; i++)
        count += text.data[i] == ',';
    enum err err =
        budget == NULL ? OK : budget_charge(budget, 4 * count * sizeof(struct value), call->error);
    if (err == OK && budget != NULL)
        budget_release(budget, 4 * count * sizeof(struct value));
    return err;
}

static enum err from_text(struct call *call, const struct value *in, struct value *out)
{
    bool is_array = type_is_array((enum type_id)out->type.id);
    if (is_array) {
        enum err room = array_room(call, in->text);
        if (room != OK)
            return room;
    }
    struct type bare = is_array ? out->type : type_of(out->type.id), full = out->type;
    struct text_context context = {.zone = call->context->zone, .now_us = call->context->now_us};
    enum err err = type_parse(bare, in->text, &context, call->arena, out, call->error);
    out->type = full;
    return err;
}

/* --- modifiers --- */

static size_t prefix_size(struct slice text, size_t characters)
{
    size_t offset = 0;
    for (size_t i = 0; i < characters && offset < text.size; i++) {
        offset++;
        while (offset < text.size && ((unsigned char)text.data[offset] & 0xC0) == 0x80)
            offset++;
    }
    return offset;
}

static enum err apply_modifiers(struct call *call, bool is_explicit, struct value *out)
{
    if (out->type.id == TYPE_NUMERIC && out->type.precision != 0)
        return numeric_fit(out->n, out->type.precision, out->type.scale, &out->n, call->error);
    if (out->type.id != TYPE_VARCHAR || out->type.length == 0)
        return OK;
    size_t size = prefix_size(out->text, out->type.length);
    if (!is_explicit) {
        for (size_t i = size; i < out->text.size; i++) {
            if (out->text.data[i] != ' ')
                return error_set(call->error, ERR_INPUT, "22001",
                                 "value too long for type character varying(%u)", out->type.length);
        }
    }
    out->text.size = size;
    return OK;
}

static enum err convert(struct call *call, const struct value *in, struct value *out)
{
    enum type_id from = in->type.id, to = out->type.id;
    if (is_text(to)) {
        if (from == TYPE_BOOL)
            out->text = in->b ? SLICE("true") : SLICE("false");
        else
            out->text = value_to_text(in, call->context, call->arena);
        return OK;
    }
    if (is_text(from))
        return from_text(call, in, out);
    bool is_same = to == from && out->type.precision == 0 && out->type.alias == ALIAS_NONE;
    if (type_is_array(from) && !is_same)
        return from_array(call, in, out);
    switch (from) {
    case TYPE_BOOL:
        if (to == TYPE_INT4)
            out->i = in->b;
        else
            out->b = in->b;
        return OK;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
        return from_int(call, in, out);
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        return from_float(call, in, out);
    case TYPE_NUMERIC:
        return from_numeric(call, in, out);
    case TYPE_DATE:
        return from_date(call, in->i, out);
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        return from_time(call, in, out);
    case TYPE_INTERVAL:
        out->interval = in->interval;
        return OK;
    case TYPE_JSONB:
        if (to != TYPE_JSON && to != TYPE_JSONB)
            return from_jsonb(call, in, out);
        break;
    default:
        break;
    }
    out->text = in->text;
    return OK;
}

enum err cast_value(struct call *call, const struct value *in, bool is_explicit, struct value *out)
{
    if (in->is_null) {
        out->is_null = true;
        return OK;
    }
    enum err err = convert(call, in, out);
    if (err == OK)
        err = apply_modifiers(call, is_explicit, out);
    /* -1 is 4294967295 as an integer and as a text; as a bigint it is out of range. */
    bool wraps = in->type.id != TYPE_INT8;
    return err != OK ? err : alias_fit(out, (enum type_alias)out->type.alias, wraps, call->error);
}

/* --- whole batches --- */

static void ints_to_floats(const struct vector *v, bool is_single)
{
    const int64_t *in = v->arguments[0].i;
    double *out = v->out;
    for (size_t i = 0; i < v->row_count; i++)
        out[i] = is_single ? (double)(float)in[i] : (double)in[i];
}

/* False where a row, wanted or not, has no whole number of that type: then they go one by one. */
static bool floats_to_ints(const struct vector *v, enum type_id to)
{
    const double *in = v->arguments[0].f;
    int64_t *out = v->out;
    double least = to == TYPE_INT8 ? -0x1p63 : to == TYPE_INT4 ? -0x1p31 : -0x1p15;
    bool is_whole = true;
    for (size_t i = 0; i < v->row_count; i++) {
        double rounded = rint(in[i]);
        bool fits = rounded >= least && rounded < -least;
        out[i] = (int64_t)(fits ? rounded : 0);
        is_whole = is_whole && fits;
    }
    return is_whole;
}

static void ints_to_numerics(const struct vector *v)
{
    const int64_t *in = v->arguments[0].i;
    struct numeric *out = v->out;
    for (size_t i = 0; i < v->row_count; i++)
        out[i] = (struct numeric){.digits = in[i]};
}

static void times_to_dates(const struct vector *v)
{
    const int64_t *in = v->arguments[0].i;
    int64_t *out = v->out;
    for (size_t i = 0; i < v->row_count; i++)
        out[i] = in[i] == TIME_INFINITY         ? DATE_INFINITY
                 : in[i] == TIME_MINUS_INFINITY ? DATE_MINUS_INFINITY
                                                : floor_days(in[i]);
}

bool cast_vector(struct call *call, struct type from, const struct vector *v, enum err *result)
{
    *result = OK;
    struct type to = call->type;
    if (v->arguments[0].form != COLUMN_FLAT || v->count * 4 < v->row_count ||
        to.alias != ALIAS_NONE)
        return false;
    if (is_int(from.id) && (to.id == TYPE_FLOAT8 || to.id == TYPE_FLOAT4)) {
        ints_to_floats(v, to.id == TYPE_FLOAT4);
        return true;
    }
    if ((from.id == TYPE_FLOAT8 || from.id == TYPE_FLOAT4) && is_int(to.id))
        return floats_to_ints(v, (enum type_id)to.id);
    if (is_int(from.id) && to.id == TYPE_NUMERIC && to.precision == 0) {
        ints_to_numerics(v);
        return true;
    }
    if (from.id == TYPE_TIMESTAMP && to.id == TYPE_DATE) {
        times_to_dates(v);
        return true;
    }
    if (from.id == TYPE_TIMESTAMPTZ && to.id == TYPE_DATE && call->context->zone == timezone_utc) {
        times_to_dates(v);
        return true;
    }
    return false;
}
