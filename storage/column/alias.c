/* Types of PostgreSQL's catalogue on the wire: bigint, text and arrays of them by other names.
 *
 *   oid, xid     in binary 4 bytes; text as bigint's
 *   name, "char" as text, in both
 *   int2vector, oidvector  text: numbers with spaces between; binary: an array whose subscripts
 *                begin at 0, of elements of 2 or 4 bytes
 *   oid[], name[], "char"[]  arrays with their elements' numbers */
#include "storage/column/binary_form.h"

#include <assert.h>

#define NAME_BYTES_MAX 63

static const struct {
    uint16_t oid, element;
    uint8_t width; /* of integers in binary; 0: no integer */
    bool is_vector;
} aliases[ALIAS_COUNT] = {
    [ALIAS_OID] = {OID_OID, 0, 4, false},
    [ALIAS_XID] = {OID_XID, 0, 4, false},
    [ALIAS_NAME] = {OID_NAME, 0, 0, false},
    [ALIAS_CHAR] = {OID_CHAR, 0, 0, false},
    [ALIAS_INT2VECTOR] = {22, OID_INT2, 2, true},
    [ALIAS_OIDVECTOR] = {30, OID_OID, 4, true},
    [ALIAS_OID_ARRAY] = {1028, OID_OID, 4, false},
    [ALIAS_NAME_ARRAY] = {1003, OID_NAME, 0, false},
    [ALIAS_CHAR_ARRAY] = {1002, OID_CHAR, 0, false},
};

uint32_t alias_oid(enum type_alias alias)
{
    assert(alias > ALIAS_NONE && alias < ALIAS_COUNT);
    return aliases[alias].oid;
}

enum type_alias alias_of_oid(uint32_t oid)
{
    enum type_alias alias = (enum type_alias)(ALIAS_COUNT - 1);
    while (alias > ALIAS_NONE && aliases[alias].oid != oid)
        alias--;
    return alias;
}

enum type_alias alias_array(enum type_alias element)
{
    switch (element) {
    case ALIAS_OID:
        return ALIAS_OID_ARRAY;
    case ALIAS_NAME:
        return ALIAS_NAME_ARRAY;
    case ALIAS_CHAR:
        return ALIAS_CHAR_ARRAY;
    default:
        return ALIAS_NONE;
    }
}

enum type_alias alias_element(enum type_alias array)
{
    return array == ALIAS_NONE || aliases[array].element == 0
               ? ALIAS_NONE
               : alias_of_oid(aliases[array].element);
}

/* --- what fits --- */

static enum err refuse(enum type_alias alias, struct error *error)
{
    return error_set(error, ERR_INPUT, "22003", "%s out of range",
                     aliases[alias].width == 2 ? "smallint"
                     : alias == ALIAS_XID      ? "xid"
                                               : "OID");
}

static bool integer_fits(int64_t value, unsigned width)
{
    return width == 2 ? value >= INT16_MIN && value <= INT16_MAX
                      : value >= 0 && value <= UINT32_MAX;
}

static enum err fit_elements(const struct value *value, enum type_alias alias, struct error *error)
{
    struct array_reader array;
    struct value element;
    bool is_whole = array_begin(&array, (enum type_id)value->type.id, value->text);
    while (is_whole && array_next(&array, &element))
        if (!element.is_null && !integer_fits(element.i, aliases[alias].width))
            return refuse(alias, error);
    return OK;
}

/* Without half a character at the end. */
static size_t cut_size(struct slice text, size_t most)
{
    size_t size = text.size < most ? text.size : most;
    while (size > 0 && size < text.size && ((unsigned char)text.data[size] & 0xC0) == 0x80)
        size--;
    return size;
}

static size_t first_character(struct slice text)
{
    size_t size = text.size > 0;
    while (size > 0 && size < text.size && ((unsigned char)text.data[size] & 0xC0) == 0x80)
        size++;
    return size;
}

enum err alias_fit(struct value *value, enum type_alias alias, bool wraps, struct error *error)
{
    if (value->is_null || alias == ALIAS_NONE)
        return OK;
    if (alias == ALIAS_NAME) {
        value->text.size = cut_size(value->text, NAME_BYTES_MAX);
    } else if (alias == ALIAS_CHAR) {
        value->text.size = first_character(value->text);
    } else if (aliases[alias].element != 0) {
        return aliases[alias].width == 0 ? OK : fit_elements(value, alias, error);
    } else {
        if (wraps && value->i < 0 && value->i >= INT32_MIN)
            value->i += (int64_t)UINT32_MAX + 1;
        return integer_fits(value->i, aliases[alias].width) ? OK : refuse(alias, error);
    }
    return OK;
}

/* --- sending --- */

static void send_integer(int64_t value, unsigned width, struct writer *out)
{
    assert(integer_fits(value, width));
    if (width == 2)
        writer_be16(out, (uint16_t)value);
    else
        writer_be32(out, (uint32_t)value);
}

static void send_elements(const struct value *value, enum type_alias alias, struct writer *out)
{
    struct array_reader array;
    struct value element;
    bool is_whole = array_begin(&array, (enum type_id)value->type.id, value->text);
    uint32_t count = is_whole ? array.count : 0;
    size_t has_null_at = out->size + 4;
    bool has_null = false;
    writer_be32(out, count > 0);
    writer_be32(out, 0);
    writer_be32(out, aliases[alias].element);
    if (count == 0)
        return;
    writer_be32(out, count);
    writer_be32(out, aliases[alias].is_vector ? 0 : 1);
    while (array_next(&array, &element)) {
        has_null |= element.is_null;
        if (element.is_null) {
            writer_be32(out, UINT32_MAX);
        } else if (aliases[alias].width > 0) {
            writer_be32(out, aliases[alias].width);
            send_integer(element.i, aliases[alias].width, out);
        } else {
            writer_be32(out, (uint32_t)element.text.size);
            writer_slice(out, element.text);
        }
    }
    if (!out->failed)
        writer_patch_be32(out, has_null_at, has_null);
}

static void end_field(struct writer *out, size_t length_at)
{
    if (!out->failed)
        writer_patch_be32(out, length_at, (uint32_t)(out->size - length_at - 4));
}

void alias_send(const struct column *column, size_t row, enum type_alias alias, struct writer *out)
{
    struct value value = column_value(column, row);
    size_t length_at = out->size;
    writer_be32(out, UINT32_MAX);
    if (value.is_null)
        return;
    if (aliases[alias].element != 0)
        send_elements(&value, alias, out);
    else if (aliases[alias].width > 0)
        send_integer(value.i, aliases[alias].width, out);
    else
        writer_slice(out, value.text);
    end_field(out, length_at);
}

void alias_send_text(const struct column *column, size_t row, enum type_alias alias,
                     const struct text_context *context, struct writer *out)
{
    struct array_reader array;
    struct value element, value = column_value(column, row);
    size_t length_at = out->size;
    if (value.is_null || !aliases[alias].is_vector) {
        column_send_text(column, row, context, out);
        return;
    }
    writer_be32(out, 0);
    bool is_whole = array_begin(&array, (enum type_id)value.type.id, value.text);
    for (bool is_first = true; is_whole && array_next(&array, &element); is_first = false)
        writer_printf(out, "%s%lld", is_first ? "" : " ",
                      (long long)(element.is_null ? 0 : element.i));
    end_field(out, length_at);
}
