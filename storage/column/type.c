/* The type table, and what does not depend on text: order, hashes, bytes, arrays.
 *
 * One row a type says its name as PostgreSQL's format_type prints it, its physical class, its width
 * in chunks and its other names. Everything else switches on the physical class, of which there are
 * six. */
#include "storage/column/type.h"

#include "storage/base/hash.h"

#include <assert.h>
#include <math.h>

#define ARRAY_NULL UINT32_MAX
#define NAMES_MAX 6
#define NUMERIC_BYTES 18 /* in an array */
#define INTERVAL_BYTES 16

#define ARRAY(name, element, is_storable, ...)                                                     \
    {                                                                                              \
        name, PHYSICAL_TEXT, 0, is_storable, {__VA_ARGS__}, element                                \
    }

static const struct {
    const char *name;
    enum physical physical;
    uint8_t width; /* stored; 0: variable */
    bool is_storable;
    const char *names[NAMES_MAX]; /* besides `name` */
    uint8_t element;              /* of an array */
} types[TYPE_COUNT] = {
    [TYPE_UNKNOWN] = {"unknown", PHYSICAL_TEXT, 0, false, {0}, 0},
    [TYPE_BOOL] = {"boolean", PHYSICAL_BOOL, 1, true, {"bool"}, 0},
    [TYPE_INT2] = {"smallint", PHYSICAL_INT, 2, true, {"int2"}, 0},
    [TYPE_INT4] = {"integer", PHYSICAL_INT, 4, true, {"int4", "int"}, 0},
    [TYPE_INT8] = {"bigint", PHYSICAL_INT, 8, true, {"int8"}, 0},
    [TYPE_FLOAT4] = {"real", PHYSICAL_FLOAT, 4, true, {"float4"}, 0},
    [TYPE_FLOAT8] = {"double precision", PHYSICAL_FLOAT, 8, true, {"float8", "float", "double"}, 0},
    [TYPE_NUMERIC] = {"numeric", PHYSICAL_NUMERIC, 8, true, {"decimal", "dec"}, 0},
    [TYPE_TEXT] = {"text", PHYSICAL_TEXT, 0, true, {0}, 0},
    [TYPE_VARCHAR] = {"character varying", PHYSICAL_TEXT, 0, true, {"varchar", "char varying"}, 0},
    [TYPE_TIMESTAMPTZ] = {"timestamp with time zone", PHYSICAL_INT, 8, true, {"timestamptz"}, 0},
    [TYPE_TIMESTAMP] = {"timestamp without time zone", PHYSICAL_INT, 8, true, {"timestamp"}, 0},
    [TYPE_DATE] = {"date", PHYSICAL_INT, 4, true, {0}, 0},
    [TYPE_INTERVAL] = {"interval", PHYSICAL_INTERVAL, 0, false, {0}, 0},
    [TYPE_UUID] = {"uuid", PHYSICAL_TEXT, 16, true, {0}, 0},
    [TYPE_BYTEA] = {"bytea", PHYSICAL_TEXT, 0, true, {0}, 0},
    [TYPE_JSONB] = {"jsonb", PHYSICAL_TEXT, 0, true, {0}, 0},
    [TYPE_JSON] = {"json", PHYSICAL_TEXT, 0, true, {0}, 0},
    [TYPE_TEXT_ARRAY] = ARRAY("text[]", TYPE_TEXT, true, "_text"),
    [TYPE_INT8_ARRAY] = ARRAY("bigint[]", TYPE_INT8, true, "_int8", "int8[]"),
    [TYPE_BOOL_ARRAY] = ARRAY("boolean[]", TYPE_BOOL, true, "_bool", "bool[]"),
    [TYPE_INT2_ARRAY] = ARRAY("smallint[]", TYPE_INT2, true, "_int2", "int2[]"),
    [TYPE_INT4_ARRAY] = ARRAY("integer[]", TYPE_INT4, true, "_int4", "int4[]", "int[]"),
    [TYPE_FLOAT4_ARRAY] = ARRAY("real[]", TYPE_FLOAT4, true, "_float4", "float4[]"),
    [TYPE_FLOAT8_ARRAY] =
        ARRAY("double precision[]", TYPE_FLOAT8, true, "_float8", "float8[]", "float[]"),
    [TYPE_NUMERIC_ARRAY] = ARRAY("numeric[]", TYPE_NUMERIC, true, "_numeric", "decimal[]"),
    [TYPE_TIMESTAMPTZ_ARRAY] = ARRAY("timestamp with time zone[]", TYPE_TIMESTAMPTZ, true,
                                     "_timestamptz", "timestamptz[]"),
    [TYPE_TIMESTAMP_ARRAY] =
        ARRAY("timestamp without time zone[]", TYPE_TIMESTAMP, true, "_timestamp", "timestamp[]"),
    [TYPE_DATE_ARRAY] = ARRAY("date[]", TYPE_DATE, true, "_date"),
    [TYPE_INTERVAL_ARRAY] = ARRAY("interval[]", TYPE_INTERVAL, false, "_interval"),
    [TYPE_UUID_ARRAY] = ARRAY("uuid[]", TYPE_UUID, true, "_uuid"),
    [TYPE_BYTEA_ARRAY] = ARRAY("bytea[]", TYPE_BYTEA, true, "_bytea"),
    [TYPE_JSONB_ARRAY] = ARRAY("jsonb[]", TYPE_JSONB, true, "_jsonb"),
    [TYPE_JSON_ARRAY] = ARRAY("json[]", TYPE_JSON, true, "_json"),
};
static_assert(TYPE_TEXT_ARRAY == 18 && TYPE_COUNT == TYPE_JSON_ARRAY + 1,
              "arrays are one run at the end: type_is_array()");

/* --- the table --- */

enum physical type_physical(enum type_id id)
{
    assert(id >= 0 && id < TYPE_COUNT);
    return types[id].physical;
}

size_t physical_size(enum physical physical)
{
    static const size_t sizes[] = {
        [PHYSICAL_BOOL] = sizeof(uint8_t),      [PHYSICAL_INT] = sizeof(int64_t),
        [PHYSICAL_FLOAT] = sizeof(double),      [PHYSICAL_NUMERIC] = sizeof(struct numeric),
        [PHYSICAL_TEXT] = sizeof(struct slice), [PHYSICAL_INTERVAL] = sizeof(struct interval),
    };
    assert((size_t)physical < array_count(sizes));
    return sizes[physical];
}

size_t type_stored_width(enum type_id id)
{
    assert(id >= 0 && id < TYPE_COUNT);
    return types[id].width;
}

bool type_is_storable(enum type_id id)
{
    assert(id >= 0 && id < TYPE_COUNT);
    return types[id].is_storable;
}

const char *type_name(enum type_id id)
{
    assert(id >= 0 && id < TYPE_COUNT);
    return types[id].name;
}

void type_print(struct type type, struct writer *out)
{
    if (type_is_array((enum type_id)type.id) && type.precision != 0) {
        type.id = (uint8_t)type_element((enum type_id)type.id);
        type_print(type, out);
        writer_cstr(out, "[]");
        return;
    }
    writer_cstr(out, type_name(type.id));
    if (type.id == TYPE_NUMERIC && type.precision != 0)
        writer_printf(out, "(%u,%u)", type.precision, type.scale);
    else if (type.id == TYPE_VARCHAR && type.length != 0)
        writer_printf(out, "(%u)", type.length);
}

bool type_find(struct slice name, enum type_id *out)
{
    name = slice_trim(name);
    struct slice schema = SLICE("pg_catalog.");
    if (name.size > schema.size &&
        slice_equal_ignore_case(slice_of(name.data, schema.size), schema))
        name = slice_of(name.data + schema.size, name.size - schema.size);
    for (int id = TYPE_UNKNOWN; id < TYPE_COUNT; id++) {
        bool is_found = slice_equal_ignore_case(name, slice_from_cstr(types[id].name));
        for (size_t index = 0; index < NAMES_MAX && types[id].names[index] != NULL; index++)
            is_found |= slice_equal_ignore_case(name, slice_from_cstr(types[id].names[index]));
        if (is_found) {
            *out = (enum type_id)id;
            return true;
        }
    }
    return false;
}

/* --- arrays --- */

enum type_id type_element(enum type_id id)
{
    assert(id >= 0 && id < TYPE_COUNT);
    return (enum type_id)types[id].element;
}

enum type_id type_array_of(enum type_id element)
{
    if (element == TYPE_VARCHAR)
        element = TYPE_TEXT;
    for (int id = TYPE_TEXT_ARRAY; id < TYPE_COUNT && element != TYPE_UNKNOWN; id++)
        if (types[id].element == element)
            return (enum type_id)id;
    return TYPE_UNKNOWN;
}

bool array_begin(struct array_reader *array, enum type_id array_type, struct slice payload)
{
    assert(type_is_array(array_type));
    *array =
        (struct array_reader){.reader = reader_of(payload), .element = type_element(array_type)};
    array->count = reader_u32(&array->reader);
    return !array->reader.failed && array->count <= payload.size / 4;
}

static bool read_numeric(struct reader *reader, struct numeric *out)
{
    struct slice digits = reader_bytes(reader, sizeof(out->digits));
    *out = (struct numeric){.scale = reader_u8(reader), .kind = reader_u8(reader)};
    if (reader->failed || out->scale > NUMERIC_DIGITS_MAX || out->kind > NUMERIC_MINUS_INFINITY)
        return false;
    memcpy(&out->digits, digits.data, sizeof(out->digits));
    __int128 limit = numeric_power10(NUMERIC_DIGITS_MAX);
    return out->digits < limit && out->digits > -limit;
}

static void write_numeric(struct numeric n, struct writer *out)
{
    writer_bytes(out, &n.digits, sizeof(n.digits));
    writer_u8(out, (uint8_t)n.scale);
    writer_u8(out, (uint8_t)n.kind);
}

static void read_interval(struct reader *reader, struct interval *out)
{
    out->months = (int32_t)reader_u32(reader);
    out->days = (int32_t)reader_u32(reader);
    out->microseconds = reader_i64(reader);
}

static void write_interval(struct interval interval, struct writer *out)
{
    writer_u32(out, (uint32_t)interval.months);
    writer_u32(out, (uint32_t)interval.days);
    writer_i64(out, interval.microseconds);
}

bool array_next(struct array_reader *array, struct value *element)
{
    if (array->index >= array->count)
        return false;
    array->index++;
    uint32_t size = reader_u32(&array->reader);
    *element = (struct value){.type = type_of(array->element), .is_null = size == ARRAY_NULL};
    if (element->is_null)
        return !array->reader.failed;
    struct slice bytes;
    switch (type_physical(array->element)) {
    case PHYSICAL_TEXT:
        element->text = reader_bytes(&array->reader, size);
        return !array->reader.failed && (array->element != TYPE_UUID || size == 16);
    case PHYSICAL_INT:
        element->i = reader_i64(&array->reader);
        break;
    case PHYSICAL_BOOL:
        element->b = reader_u8(&array->reader) == 1;
        break;
    case PHYSICAL_FLOAT:
        bytes = reader_bytes(&array->reader, sizeof(element->f));
        if (bytes.size == sizeof(element->f))
            memcpy(&element->f, bytes.data, sizeof(element->f));
        break;
    case PHYSICAL_NUMERIC:
        return read_numeric(&array->reader, &element->n);
    case PHYSICAL_INTERVAL:
        read_interval(&array->reader, &element->interval);
        break;
    }
    return !array->reader.failed;
}

static size_t element_size(const struct value *element, enum type_id type)
{
    if (element->is_null)
        return 0;
    switch (type_physical(type)) {
    case PHYSICAL_TEXT:
        return element->text.size;
    case PHYSICAL_BOOL:
        return 1;
    case PHYSICAL_NUMERIC:
        return NUMERIC_BYTES;
    case PHYSICAL_INTERVAL:
        return INTERVAL_BYTES;
    case PHYSICAL_INT:
    case PHYSICAL_FLOAT:
        break;
    }
    return sizeof(int64_t);
}

void array_write_element(struct writer *out, const struct value *element)
{
    size_t size = element_size(element, (enum type_id)element->type.id);
    assert(size < ARRAY_NULL);
    writer_u32(out, element->is_null ? ARRAY_NULL : (uint32_t)size);
    if (element->is_null)
        return;
    switch (type_physical((enum type_id)element->type.id)) {
    case PHYSICAL_TEXT:
        writer_slice(out, element->text);
        break;
    case PHYSICAL_INT:
        writer_i64(out, element->i);
        break;
    case PHYSICAL_BOOL:
        writer_u8(out, element->b);
        break;
    case PHYSICAL_FLOAT:
        writer_bytes(out, &element->f, sizeof(element->f));
        break;
    case PHYSICAL_NUMERIC:
        write_numeric(element->n, out);
        break;
    case PHYSICAL_INTERVAL:
        write_interval(element->interval, out);
        break;
    }
}

struct slice array_build(enum type_id array_type, const struct value *elements, size_t count,
                         struct arena *arena)
{
    assert(type_is_array(array_type));
    enum type_id type = type_element(array_type);
    size_t size = 4;
    for (size_t index = 0; index < count; index++)
        size += 4 + element_size(&elements[index], type);
    assert(count < ARRAY_NULL && size < ARRAY_NULL);
    struct writer out = {.data = arena_alloc(arena, size), .capacity = size};
    writer_u32(&out, (uint32_t)count);
    for (size_t index = 0; index < count; index++) {
        struct value element = elements[index];
        element.type = type_of(type);
        array_write_element(&out, &element);
    }
    assert(out.size == size); /* so the arena's memory was never grown out of */
    return writer_as_slice(&out);
}

/* NULL elements come last and equal each other, as in PostgreSQL. */
static int array_compare(enum type_id type, struct slice a, struct slice b)
{
    struct array_reader left, right;
    struct value x, y;
    if (!array_begin(&left, type, a) || !array_begin(&right, type, b))
        return slice_compare(a, b);
    for (;;) {
        bool has_x = array_next(&left, &x);
        bool has_y = array_next(&right, &y);
        if (!has_x || !has_y)
            return has_x - has_y;
        int order = x.is_null || y.is_null ? x.is_null - y.is_null : value_compare(&x, &y);
        if (order != 0)
            return order;
    }
}

/* --- order and hashes --- */

static int float_compare(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b) > 0 ? 1 : isnan(a) == isnan(b) ? 0 : -1;
    return (a > b) - (a < b);
}

int value_compare(const struct value *a, const struct value *b)
{
    assert(!a->is_null && !b->is_null);
    assert(type_physical(a->type.id) == type_physical(b->type.id));
    switch (type_physical(a->type.id)) {
    case PHYSICAL_BOOL:
        return a->b - b->b;
    case PHYSICAL_INT:
        return (a->i > b->i) - (a->i < b->i);
    case PHYSICAL_FLOAT:
        return float_compare(a->f, b->f);
    case PHYSICAL_NUMERIC:
        return numeric_compare(a->n, b->n);
    case PHYSICAL_TEXT:
        if (type_is_array((enum type_id)a->type.id))
            return array_compare(a->type.id, a->text, b->text);
        return slice_compare(a->text, b->text);
    case PHYSICAL_INTERVAL: {
        __int128 x = interval_span(a->interval), y = interval_span(b->interval);
        return (x > y) - (x < y);
    }
    }
    return 0;
}

static uint64_t float_hash(double value)
{
    uint64_t bits;
    if (value == 0)
        value = 0; /* -0 too */
    if (isnan(value))
        return hash_mix(UINT64_C(0x7ff8000000000000));
    memcpy(&bits, &value, sizeof(bits));
    return hash_mix(bits);
}

/* Elements that are equal hash equal: numerics of other scale, -0 and 0. */
static uint64_t array_hash(const struct value *value)
{
    struct array_reader array;
    struct value element;
    uint64_t hash = 0;
    if (!array_begin(&array, (enum type_id)value->type.id, value->text))
        return hash64(value->text.data, value->text.size);
    while (array_next(&array, &element))
        hash = hash_mix(hash ^ value_hash(&element)) + array.index;
    return hash;
}

uint64_t value_hash(const struct value *value)
{
    if (value->is_null)
        return 0;
    switch (type_physical(value->type.id)) {
    case PHYSICAL_BOOL:
        return hash_mix(value->b);
    case PHYSICAL_INT:
        return hash_mix((uint64_t)value->i);
    case PHYSICAL_FLOAT:
        return float_hash(value->f);
    case PHYSICAL_NUMERIC:
        return numeric_hash(value->n);
    case PHYSICAL_TEXT:
        if (type_is_array((enum type_id)value->type.id))
            return array_hash(value);
        return hash64(value->text.data, value->text.size);
    case PHYSICAL_INTERVAL: {
        __int128 span = interval_span(value->interval);
        return hash_mix((uint64_t)span ^ hash_mix((uint64_t)(span >> 64)));
    }
    }
    return 0;
}

/* --- bytes --- */

/* id u8 | precision u8 | scale u8 | length u32 */
void type_write(struct type type, struct writer *out)
{
    writer_u8(out, type.id);
    writer_u8(out, type.precision);
    writer_u8(out, type.scale);
    writer_u32(out, type.length);
}

struct type type_read(struct reader *reader)
{
    struct type type = {.id = reader_u8(reader)};
    type.precision = reader_u8(reader);
    type.scale = reader_u8(reader);
    type.length = reader_u32(reader);
    if (type.id >= TYPE_COUNT || type.precision > NUMERIC_DIGITS_MAX ||
        type.scale > type.precision) {
        reader->failed = true;
        return type_of(TYPE_UNKNOWN);
    }
    return type;
}

/* is_null u8 | unless NULL: bool u8, integers and floats 8 bytes, numeric 16 digits + 1 scale + 1
 * kind, text varint length + bytes, interval 4 + 4 + 8 */
void value_write_bare(const struct value *value, struct writer *out)
{
    writer_u8(out, value->is_null);
    if (value->is_null)
        return;
    switch (type_physical(value->type.id)) {
    case PHYSICAL_BOOL:
        writer_u8(out, value->b);
        break;
    case PHYSICAL_INT:
        writer_i64(out, value->i);
        break;
    case PHYSICAL_FLOAT:
        writer_bytes(out, &value->f, sizeof(value->f));
        break;
    case PHYSICAL_NUMERIC:
        write_numeric(value->n, out);
        break;
    case PHYSICAL_TEXT:
        writer_text(out, value->text);
        break;
    case PHYSICAL_INTERVAL:
        write_interval(value->interval, out);
        break;
    }
}

void value_write(const struct value *value, struct writer *out)
{
    type_write(value->type, out);
    value_write_bare(value, out);
}

static bool read_payload(struct reader *reader, struct arena *arena, struct value *out)
{
    struct slice bytes;
    uint8_t flag;
    switch (type_physical(out->type.id)) {
    case PHYSICAL_BOOL:
        flag = reader_u8(reader);
        out->b = flag == 1;
        return flag <= 1;
    case PHYSICAL_INT:
        out->i = reader_i64(reader);
        return true;
    case PHYSICAL_FLOAT:
        bytes = reader_bytes(reader, sizeof(out->f));
        if (bytes.size == sizeof(out->f))
            memcpy(&out->f, bytes.data, sizeof(out->f));
        return true;
    case PHYSICAL_NUMERIC:
        return read_numeric(reader, &out->n);
    case PHYSICAL_TEXT:
        bytes = reader_text(reader);
        if (!reader->failed)
            out->text = arena_copy(arena, bytes);
        return out->type.id != TYPE_UUID || bytes.size == 16;
    case PHYSICAL_INTERVAL:
        read_interval(reader, &out->interval);
        return true;
    }
    return false;
}

enum err value_read_bare(struct reader *reader, struct type type, struct arena *arena,
                         struct value *out)
{
    *out = (struct value){.type = type};
    uint8_t flag = reader_u8(reader);
    out->is_null = flag == 1;
    bool is_good = flag <= 1;
    if (is_good && !reader->failed && !out->is_null)
        is_good = read_payload(reader, arena, out);
    return is_good && !reader->failed ? OK : ERR_CORRUPT;
}

enum err value_read(struct reader *reader, struct arena *arena, struct value *out)
{
    return value_read_bare(reader, type_read(reader), arena, out);
}
