/* Which type is which over PostgreSQL's wire.
 *
 * Ours have one number each. Of the numbers that clients name, many have no type here: those that
 * are integers or text by another name are taken as these, and so are their arrays. */
#include "storage/column/binary_form.h"

uint32_t type_oid(enum type_id id)
{
    static const uint16_t oids[TYPE_COUNT] = {
        [TYPE_UNKNOWN] = OID_UNKNOWN,
        [TYPE_BOOL] = OID_BOOL,
        [TYPE_INT2] = OID_INT2,
        [TYPE_INT4] = OID_INT4,
        [TYPE_INT8] = OID_INT8,
        [TYPE_FLOAT4] = OID_FLOAT4,
        [TYPE_FLOAT8] = OID_FLOAT8,
        [TYPE_NUMERIC] = OID_NUMERIC,
        [TYPE_TEXT] = OID_TEXT,
        [TYPE_VARCHAR] = OID_VARCHAR,
        [TYPE_TIMESTAMPTZ] = OID_TIMESTAMPTZ,
        [TYPE_TIMESTAMP] = OID_TIMESTAMP,
        [TYPE_DATE] = OID_DATE,
        [TYPE_INTERVAL] = OID_INTERVAL,
        [TYPE_UUID] = OID_UUID,
        [TYPE_BYTEA] = OID_BYTEA,
        [TYPE_JSONB] = OID_JSONB,
        [TYPE_JSON] = OID_JSON,
        [TYPE_TEXT_ARRAY] = OID_TEXT_ARRAY,
        [TYPE_INT8_ARRAY] = OID_INT8_ARRAY,
        [TYPE_JSONB_ARRAY] = 3807,
        [TYPE_UUID_ARRAY] = 2951,
        [TYPE_NUMERIC_ARRAY] = 1231,
        [TYPE_INTERVAL_ARRAY] = 1187,
        [TYPE_TIMESTAMPTZ_ARRAY] = 1185,
        [TYPE_DATE_ARRAY] = 1182,
        [TYPE_TIMESTAMP_ARRAY] = 1115,
        [TYPE_FLOAT8_ARRAY] = 1022,
        [TYPE_FLOAT4_ARRAY] = 1021,
        [TYPE_BYTEA_ARRAY] = 1001,
        [TYPE_BOOL_ARRAY] = 1000,
        [TYPE_JSON_ARRAY] = 199,
        [TYPE_INT4_ARRAY] = 1007,
        [TYPE_INT2_ARRAY] = 1005,
    };
    return id < TYPE_COUNT ? oids[id] : OID_UNKNOWN;
}

bool type_of_oid(uint32_t oid, struct type *out)
{
    static const struct {
        uint16_t oid;
        uint8_t type;
    } others[] = {
        {0, TYPE_UNKNOWN},
        {OID_CHAR, TYPE_TEXT},
        {OID_NAME, TYPE_TEXT},
        {OID_BPCHAR, TYPE_TEXT},
        {OID_REGPROC, TYPE_INT8},
        {OID_OID, TYPE_INT8},
        {OID_XID, TYPE_INT8},
        {OID_REGCLASS, TYPE_INT8},
        {OID_REGTYPE, TYPE_INT8},
        {OID_REGNAMESPACE, TYPE_INT8},
        {1028 /* oid[] */, TYPE_INT8_ARRAY},
        {1002 /* "char"[] */, TYPE_TEXT_ARRAY},
        {1003 /* name[] */, TYPE_TEXT_ARRAY},
        {1014 /* bpchar[] */, TYPE_TEXT_ARRAY},
        {1015 /* varchar[] */, TYPE_TEXT_ARRAY},
    };
    for (enum type_id id = TYPE_UNKNOWN; id < TYPE_COUNT; id++)
        if (type_oid(id) == oid) {
            *out = type_of(id);
            return true;
        }
    for (size_t index = 0; index < array_count(others); index++)
        if (others[index].oid == oid) {
            *out = type_of((enum type_id)others[index].type);
            return true;
        }
    return false;
}
