/* PostgreSQL's binary forms to values (binary_send.c has the bytes): hostile bytes, every length
 * checked before it is believed, arrays of one dimension only, nothing kept that a value of ours
 * cannot hold. */
#include "storage/column/binary_form.h"

#include <assert.h>

#define EPOCH_DAYS INT64_C(10957) /* from 1970-01-01 to 2000-01-01 */
#define EPOCH_US (EPOCH_DAYS * MICROSECONDS_PER_DAY)
#define NUMERIC_SCALE_MAX 0x3FFF

static enum err malformed(const char *type, struct error *error)
{
    return error_set(error, ERR_INPUT, "22P03", "incorrect binary data format in type %s", type);
}

static enum err out_of_range(const char *sqlstate, const char *type, struct error *error)
{
    return error_set(error, ERR_INPUT, sqlstate, "value out of range for type %s", type);
}

/* --- numeric --- */

struct groups {
    struct reader reader;
    int32_t count, weight, scale;
    uint16_t sign;
};

/* Digits after the point that are not 0 and not of the scale are cut, as numeric_recv() cuts them.
 */
static enum err gather_groups(struct groups *in, struct numeric *out, struct error *error)
{
    unsigned __int128 digits = 0;
    int32_t scale = 0; /* of `digits` */
    for (int32_t index = 0; index < in->count; index++) {
        uint16_t group = reader_be16(&in->reader);
        int32_t after = 4 * (index - in->weight); /* digits after the point up to this group */
        if (in->reader.failed || group > 9999)
            return malformed("numeric", error);
        int32_t cut = after - in->scale;
        if (cut >= 4)
            continue;
        unsigned unit = cut <= 0 ? 10000 : cut == 1 ? 1000 : cut == 2 ? 100 : 10;
        unsigned kept = cut <= 0 ? group : (unsigned)(group / (10000 / unit));
        if (digits == 0 && kept == 0)
            continue;
        unsigned __int128 limit = (unsigned __int128)numeric_power10(NUMERIC_DIGITS_MAX);
        if (digits > (limit - 1 - kept) / unit)
            return out_of_range("22003", "numeric", error);
        digits = digits * unit + kept;
        scale = cut <= 0 ? after : in->scale;
    }
    for (; scale < in->scale || scale < 0; scale++) { /* groups of zeros that were not sent */
        if (digits == 0) {
            scale = in->scale;
            break;
        }
        if (digits > (unsigned __int128)numeric_power10(NUMERIC_DIGITS_MAX - 1) - 1)
            return out_of_range("22003", "numeric", error);
        digits *= 10;
    }
    if (scale > NUMERIC_DIGITS_MAX)
        return out_of_range("22003", "numeric", error);
    __int128 value = in->sign == 0x4000 ? -(__int128)digits : (__int128)digits;
    *out = numeric_from_int128(value, scale);
    return OK;
}

static enum err receive_numeric(struct slice bytes, struct numeric *out, struct error *error)
{
    struct groups in = {.reader = reader_of(bytes)};
    in.count = reader_be16(&in.reader);
    in.weight = (int16_t)reader_be16(&in.reader);
    in.sign = reader_be16(&in.reader);
    in.scale = reader_be16(&in.reader);
    if (in.reader.failed || reader_left(&in.reader) != 2 * (size_t)in.count ||
        in.scale > NUMERIC_SCALE_MAX)
        return malformed("numeric", error);
    switch (in.sign) {
    case 0xC000:
        *out = (struct numeric){.kind = NUMERIC_NAN};
        return OK;
    case 0xD000:
        *out = (struct numeric){.kind = NUMERIC_INFINITY};
        return OK;
    case 0xF000:
        *out = (struct numeric){.kind = NUMERIC_MINUS_INFINITY};
        return OK;
    case 0:
    case 0x4000:
        return gather_groups(&in, out, error);
    default:
        return malformed("numeric", error);
    }
}

/* --- times --- */

static enum err receive_time(const char *type, uint64_t bits, int64_t *out, struct error *error)
{
    int64_t us = (int64_t)bits;
    *out = us;
    if (us == TIME_INFINITY || us == TIME_MINUS_INFINITY)
        return OK;
    if (us < TIME_MIN - EPOCH_US || us > TIME_MAX - EPOCH_US)
        return out_of_range("22008", type, error);
    *out = us + EPOCH_US;
    return OK;
}

static enum err receive_date(uint32_t bits, int64_t *out, struct error *error)
{
    int64_t days = (int32_t)bits;
    *out = days;
    if (days == DATE_INFINITY || days == DATE_MINUS_INFINITY)
        return OK;
    *out = days + EPOCH_DAYS;
    if (*out < TIME_MIN / MICROSECONDS_PER_DAY || *out > TIME_MAX / MICROSECONDS_PER_DAY)
        return out_of_range("22008", "date", error);
    return OK;
}

/* --- texts --- */

static enum err receive_text(struct slice bytes, struct slice *out, struct error *error)
{
    if (utf8_validate(bytes) != bytes.size ||
        (bytes.size > 0 && memchr(bytes.data, 0, bytes.size) != NULL))
        return error_set(error, ERR_INPUT, "22021", "invalid byte sequence for encoding \"UTF8\"");
    *out = bytes;
    return OK;
}

static enum err receive_json(struct type type, struct slice bytes, struct arena *arena,
                             struct value *out, struct error *error)
{
    if (type.id == TYPE_JSONB) {
        if (bytes.size == 0 || bytes.data[0] != 1)
            return malformed("jsonb", error);
        bytes = slice_of(bytes.data + 1, bytes.size - 1);
    }
    enum err err = receive_text(bytes, &bytes, error);
    return err == OK ? type_parse(type, bytes, NULL, arena, out, error) : err;
}

/* --- arrays --- */

static enum err receive_elements(struct reader *reader, uint32_t count, uint32_t element_oid,
                                 enum type_id element, struct arena *arena, struct writer *out,
                                 struct error *error)
{
    for (uint32_t index = 0; index < count; index++) {
        struct value value = {.type = type_of(element)}, sent;
        uint32_t size = reader_be32(reader);
        value.is_null = size == UINT32_MAX;
        if (!value.is_null) {
            struct slice bytes = reader_bytes(reader, size);
            if (reader->failed)
                break;
            enum err err = oid_receive(element_oid, bytes, arena, &sent, error);
            if (err == OK)
                err = value_convert(&sent, type_of(element), NULL, arena, &value, error);
            if (err != OK)
                return err;
        }
        array_write_element(out, &value);
    }
    return reader->failed || reader_left(reader) > 0 ? malformed("array", error) : OK;
}

static enum err receive_array(struct type type, struct slice bytes, struct arena *arena,
                              struct slice *out, struct error *error)
{
    struct reader reader = reader_of(bytes);
    uint32_t dimensions = reader_be32(&reader);
    uint32_t has_null = reader_be32(&reader);
    uint32_t element_oid = reader_be32(&reader);
    uint32_t count = 0;
    struct type element;
    if (reader.failed || has_null > 1)
        return malformed("array", error);
    if (dimensions > 1)
        return error_set(error, ERR_UNSUPPORTED, NULL,
                         "arrays of more than one dimension are not supported");
    if (!type_of_oid(element_oid, &element) || type_is_array((enum type_id)element.id))
        return malformed("array", error);
    if (dimensions == 1) {
        count = reader_be32(&reader);
        reader_be32(&reader); /* lower bound: ours begin at 1 */
        if (reader.failed || count > reader_left(&reader) / 4)
            return malformed("array", error);
    }
    struct writer list;
    writer_init(&list);
    writer_u32(&list, count);
    enum err err = receive_elements(&reader, count, element_oid,
                                    type_element((enum type_id)type.id), arena, &list, error);
    if (err == OK)
        *out = arena_copy(arena, writer_as_slice(&list));
    writer_deinit(&list);
    return err;
}

/* --- all --- */

/* Bytes of a fixed width, as a number; oid and its kin are bigint here but four bytes there. */
static bool fixed_width(uint32_t oid, struct type type, size_t *width)
{
    switch ((enum type_id)type.id) {
    case TYPE_BOOL:
        *width = 1;
        return true;
    case TYPE_INT2:
        *width = 2;
        return true;
    case TYPE_INT4:
    case TYPE_FLOAT4:
    case TYPE_DATE:
        *width = 4;
        return true;
    case TYPE_INT8:
        *width = oid == OID_INT8 ? 8 : 4;
        return true;
    case TYPE_FLOAT8:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMPTZ:
        *width = 8;
        return true;
    default:
        return false;
    }
}

static uint64_t read_bits(struct slice bytes)
{
    uint64_t bits = 0;
    for (size_t index = 0; index < bytes.size; index++)
        bits = bits << 8 | (uint8_t)bytes.data[index];
    return bits;
}

static enum err receive_fixed(uint32_t oid, uint64_t bits, struct value *out, struct error *error)
{
    uint32_t low = (uint32_t)bits;
    float narrow;
    switch ((enum type_id)out->type.id) {
    case TYPE_BOOL:
        out->b = bits != 0;
        return OK;
    case TYPE_INT2:
        out->i = (int16_t)bits;
        return OK;
    case TYPE_INT4:
        out->i = (int32_t)bits;
        return OK;
    case TYPE_INT8:
        out->i = oid == OID_INT8 ? (int64_t)bits : (int64_t)low;
        return OK;
    case TYPE_FLOAT4:
        memcpy(&narrow, &low, sizeof(narrow));
        out->f = (double)narrow;
        return OK;
    case TYPE_FLOAT8:
        memcpy(&out->f, &bits, sizeof(out->f));
        return OK;
    case TYPE_DATE:
        return receive_date(low, &out->i, error);
    default:
        return receive_time(type_name((enum type_id)out->type.id), bits, &out->i, error);
    }
}

/* type: of that oid. */
static enum err receive(uint32_t oid, struct type type, struct slice bytes, struct arena *arena,
                        struct value *out, struct error *error)
{
    size_t width;
    *out = (struct value){.type = type};
    if (fixed_width(oid, type, &width))
        return bytes.size == width ? receive_fixed(oid, read_bits(bytes), out, error)
                                   : malformed(type_name((enum type_id)type.id), error);
    if (type_is_array((enum type_id)type.id))
        return receive_array(type, bytes, arena, &out->text, error);
    switch ((enum type_id)type.id) {
    case TYPE_NUMERIC:
        return receive_numeric(bytes, &out->n, error);
    case TYPE_INTERVAL:
        if (bytes.size != 16)
            return malformed("interval", error);
        out->interval.microseconds = (int64_t)read_bits(slice_of(bytes.data, 8));
        out->interval.days = (int32_t)read_bits(slice_of(bytes.data + 8, 4));
        out->interval.months = (int32_t)read_bits(slice_of(bytes.data + 12, 4));
        return OK;
    case TYPE_UUID:
        out->text = bytes;
        return bytes.size == 16 ? OK : malformed("uuid", error);
    case TYPE_BYTEA:
        out->text = bytes;
        return OK;
    case TYPE_JSON:
    case TYPE_JSONB:
        return receive_json(type, bytes, arena, out, error);
    default:
        return receive_text(bytes, &out->text, error);
    }
}

enum err oid_receive(uint32_t oid, struct slice bytes, struct arena *arena, struct value *out,
                     struct error *error)
{
    struct type type;
    if (!type_of_oid(oid, &type))
        return error_set(error, ERR_UNSUPPORTED, NULL,
                         "binary values of the type with oid %u are not supported", oid);
    return receive(oid, type, bytes, arena, out, error);
}

static bool is_integer(enum type_id id)
{
    return id == TYPE_INT2 || id == TYPE_INT4 || id == TYPE_INT8;
}

static enum err convert_integer(int64_t i, struct type type, struct value *out, struct error *error)
{
    int64_t max = type.id == TYPE_INT2 ? INT16_MAX : type.id == TYPE_INT4 ? INT32_MAX : INT64_MAX;
    *out = (struct value){.type = type, .i = i};
    return i > max || i < -max - 1 ? error_set(error, ERR_INPUT, "22003", "%s out of range",
                                               type_name((enum type_id)type.id))
                                   : OK;
}

enum err value_convert(const struct value *value, struct type type,
                       const struct text_context *context, struct arena *arena, struct value *out,
                       struct error *error)
{
    *out = *value;
    out->type = type;
    if (value->is_null || (value->type.id == type.id && type.length == 0 && type.precision == 0))
        return OK;
    if (is_integer((enum type_id)value->type.id) && is_integer((enum type_id)type.id))
        return convert_integer(value->i, type, out, error);
    if (value->type.id == TYPE_NUMERIC && type.id == TYPE_NUMERIC)
        return numeric_fit(value->n, type.precision, type.scale, &out->n, error);
    struct writer text;
    writer_init(&text);
    value_print(value, context, &text);
    struct slice copy = arena_copy(arena, writer_as_slice(&text));
    writer_deinit(&text);
    return type_parse(type, copy, context, arena, out, error);
}

enum err type_receive(struct type type, struct slice bytes, struct arena *arena, struct value *out,
                      struct error *error)
{
    struct value received;
    enum type_id id = (enum type_id)type.id;
    if (type.length == 0 && type.precision == 0) { /* it is what it is */
        enum err whole = receive(type_oid(id), type_of(id), bytes, arena, out, error);
        out->type = type;
        return whole;
    }
    enum err err = receive(type_oid(id), type_of(id), bytes, arena, &received, error);
    return err == OK ? value_convert(&received, type, NULL, arena, out, error) : err;
}
