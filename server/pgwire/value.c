/* Types and parameters of the wire.
 *
 * What clients are told of types comes from the rows of pg_type that our own catalogue shows, so
 * that both say the same. Clients name the least integer type that holds a value (psycopg), or none
 * at all and expect that we find it out (pgx), so a parameter is read by the type its sender had in
 * mind and then made one of the type that the statement wants. */
#include "server/pgwire/value.h"

#include "query/func/catalog.h"

#include <assert.h>

struct value_description value_describe(struct type type)
{
    if (type.id == TYPE_UNKNOWN)
        type.id = TYPE_TEXT;
    const struct catalog_type *row = catalog_type_by_oid(type_wire_oid(type));
    assert(row != NULL);
    return (struct value_description){.oid = (uint32_t)row->oid,
                                      .array_oid = (uint32_t)row->array,
                                      .size = (int16_t)row->size,
                                      .modifier = (int32_t)catalog_type_modifier(type)};
}

enum err value_parameter_type(uint32_t oid, struct type *out, struct error *error)
{
    if (type_of_oid(oid, out))
        return OK;
    const struct catalog_type *row = catalog_type_by_oid(oid);
    if (row != NULL)
        return error_set(error, ERR_UNSUPPORTED, NULL, "parameters of type %s are not supported",
                         row->name);
    return error_set(error, ERR_INPUT, "42704", "type with OID %u does not exist", oid);
}

static enum err check_text(struct slice text, struct error *error)
{
    if (utf8_validate(text) == text.size &&
        (text.size == 0 || memchr(text.data, 0, text.size) == NULL))
        return OK;
    return error_set(error, ERR_INPUT, "22021", "invalid byte sequence for encoding \"UTF8\"");
}

static enum err read_given(const struct value_given *given, struct type type,
                           const struct text_context *context, struct arena *arena,
                           struct value *out, struct error *error)
{
    struct value received;
    if (given->format == VALUE_TEXT) {
        enum err err = check_text(given->bytes, error);
        return err == OK ? type_parse(type, given->bytes, context, arena, out, error) : err;
    }
    uint32_t oid =
        given->oid == 0 || given->oid == OID_UNKNOWN ? value_describe(type).oid : given->oid;
    enum err err = oid_receive(oid, given->bytes, arena, &received, error);
    return err == OK ? value_convert(&received, type, context, arena, out, error) : err;
}

enum err value_parameter(size_t number, const struct value_given *given, struct type type,
                         const struct text_context *context, struct arena *arena,
                         struct query_parameter *out, struct error *error)
{
    struct error reason;
    *out = (struct query_parameter){.kind = PARAMETER_NULL};
    if (given->is_null)
        return OK;
    out->kind = PARAMETER_VALUE;
    enum err err = read_given(given, type, context, arena, &out->value, &reason);
    if (err != OK)
        error_set(error, err, reason.sqlstate, "%.400s (parameter $%zu)", reason.text, number);
    return err;
}
