/* Values to PostgreSQL's binary forms: what its send functions write.
 *
 *   bool 1 byte · integers and floats their own width · date int32 days and times int64
 *   microseconds, both from 2000-01-01 · interval int64 microseconds, int32 days, int32 months ·
 *   uuid 16 bytes · text, bytea, json their bytes · jsonb a version byte 1 and its text
 *   numeric   int16 groups, weight of the first, sign, digits after the point; then the groups, of
 *             four decimal digits each, without groups of zeros at either end
 *   array     int32 dimensions (0 or 1), has NULL, oid of the elements; of the dimension int32
 *             count, lower bound 1; then each element with its length, -1 for NULL
 *
 * All of it is big-endian. */
#include "storage/column/binary_form.h"

#include <assert.h>

#define EPOCH_DAYS INT64_C(10957) /* from 1970-01-01 to 2000-01-01 */
#define EPOCH_US (EPOCH_DAYS * MICROSECONDS_PER_DAY)
#define NUMERIC_GROUPS_MAX 12 /* 38 digits and a point anywhere among them */

static void send_numeric(struct numeric n, struct writer *out)
{
    static const uint16_t signs[] = {
        [NUMERIC_NAN] = 0xC000, [NUMERIC_INFINITY] = 0xD000, [NUMERIC_MINUS_INFINITY] = 0xF000};
    if (n.kind != NUMERIC_FINITE) {
        writer_be32(out, 0);
        writer_be16(out, signs[n.kind]);
        writer_be16(out, n.kind == NUMERIC_NAN ? 0 : 0x20);
        return;
    }
    unsigned __int128 rest =
        n.digits < 0 ? -(unsigned __int128)n.digits : (unsigned __int128)n.digits;
    uint16_t groups[NUMERIC_GROUPS_MAX]; /* the last one first */
    size_t count = 0, first = 0;
    int32_t weight = -(n.scale + 3) / 4; /* of groups[0] */
    if (rest != 0 && n.scale % 4 != 0) {
        static const uint16_t powers[] = {1, 10, 100, 1000};
        unsigned taken = powers[n.scale % 4]; /* digits of the last, incomplete group */
        groups[count++] = (uint16_t)((unsigned)(rest % taken) * (10000 / taken));
        rest /= taken;
    }
    for (; rest > UINT64_MAX; rest /= 10000)
        groups[count++] = (uint16_t)(rest % 10000);
    for (uint64_t low = (uint64_t)rest; low != 0; low /= 10000)
        groups[count++] = (uint16_t)(low % 10000);
    assert(count <= NUMERIC_GROUPS_MAX);
    weight += (int32_t)count - 1;
    while (count > 0 && groups[count - 1] == 0) {
        count--;
        weight--;
    }
    while (first < count && groups[first] == 0)
        first++;
    writer_be16(out, (uint16_t)(count - first));
    writer_be16(out, count == first ? 0 : (uint16_t)weight);
    writer_be16(out, n.digits < 0 ? 0x4000 : 0);
    writer_be16(out, (uint16_t)n.scale);
    while (count > first)
        writer_be16(out, groups[--count]);
}

static uint64_t time_sent(int64_t us)
{
    return (uint64_t)(us == TIME_INFINITY || us == TIME_MINUS_INFINITY ? us : us - EPOCH_US);
}

static uint32_t date_sent(int64_t days)
{
    return (uint32_t)(days == DATE_INFINITY || days == DATE_MINUS_INFINITY ? days
                                                                           : days - EPOCH_DAYS);
}

static void send_float4(double value, struct writer *out)
{
    float narrow = (float)value;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof(bits));
    writer_be32(out, bits);
}

static void send_float8(double value, struct writer *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    writer_be64(out, bits);
}

static void send_interval(struct interval interval, struct writer *out)
{
    writer_be64(out, (uint64_t)interval.microseconds);
    writer_be32(out, (uint32_t)interval.days);
    writer_be32(out, (uint32_t)interval.months);
}

/* A length is known late: its place is kept and filled in. */
static void end_field(struct writer *out, size_t length_at)
{
    if (!out->failed)
        writer_patch_be32(out, length_at, (uint32_t)(out->size - length_at - 4));
}

static void send_array(const struct value *value, struct writer *out)
{
    struct array_reader array;
    struct value element;
    uint32_t element_oid = type_oid(type_element((enum type_id)value->type.id));
    bool is_whole = array_begin(&array, (enum type_id)value->type.id, value->text);
    uint32_t count = is_whole ? array.count : 0;
    size_t has_null_at = out->size + 4;
    writer_be32(out, count > 0);
    writer_be32(out, 0);
    writer_be32(out, element_oid);
    if (count == 0)
        return;
    writer_be32(out, count);
    writer_be32(out, 1);
    bool has_null = false;
    while (array_next(&array, &element)) {
        has_null |= element.is_null;
        size_t size_at = out->size;
        writer_be32(out, UINT32_MAX);
        if (element.is_null)
            continue;
        value_send(&element, out);
        end_field(out, size_at);
    }
    if (!out->failed)
        writer_patch_be32(out, has_null_at, has_null);
}

void value_send(const struct value *value, struct writer *out)
{
    if (value->is_null)
        return;
    if (type_is_array((enum type_id)value->type.id)) {
        send_array(value, out);
        return;
    }
    switch ((enum type_id)value->type.id) {
    case TYPE_BOOL:
        writer_u8(out, value->b);
        return;
    case TYPE_INT2:
        writer_be16(out, (uint16_t)value->i);
        return;
    case TYPE_INT4:
        writer_be32(out, (uint32_t)value->i);
        return;
    case TYPE_INT8:
        writer_be64(out, (uint64_t)value->i);
        return;
    case TYPE_FLOAT4:
        send_float4(value->f, out);
        return;
    case TYPE_FLOAT8:
        send_float8(value->f, out);
        return;
    case TYPE_NUMERIC:
        send_numeric(value->n, out);
        return;
    case TYPE_TIMESTAMPTZ:
    case TYPE_TIMESTAMP:
        writer_be64(out, time_sent(value->i));
        return;
    case TYPE_DATE:
        writer_be32(out, date_sent(value->i));
        return;
    case TYPE_INTERVAL:
        send_interval(value->interval, out);
        return;
    case TYPE_JSONB:
        writer_u8(out, 1);
        break;
    default:
        break;
    }
    writer_slice(out, value->text);
}

void column_send(const struct column *column, size_t row, struct writer *out)
{
    struct value value = column_value(column, row);
    size_t length_at = out->size;
    writer_be32(out, UINT32_MAX);
    if (value.is_null)
        return;
    value_send(&value, out);
    end_field(out, length_at);
}

void column_send_text(const struct column *column, size_t row, const struct text_context *context,
                      struct writer *out)
{
    struct value value = column_value(column, row);
    size_t length_at = out->size;
    writer_be32(out, UINT32_MAX);
    if (value.is_null)
        return;
    value_print(&value, context, out);
    end_field(out, length_at);
}
