/* PostgreSQL's binary forms, as its send functions write values and its receive functions read
 * them, and the numbers (OIDs) by which its types go over the wire. */
#ifndef FRESHET_STORAGE_COLUMN_BINARY_FORM_H
#define FRESHET_STORAGE_COLUMN_BINARY_FORM_H

#include "storage/column/column.h"

enum oid {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_CHAR = 18,
    OID_NAME = 19,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_REGPROC = 24,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_XID = 28,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_UNKNOWN = 705,
    OID_TEXT_ARRAY = 1009,
    OID_INT8_ARRAY = 1016,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMP = 1114,
    OID_TIMESTAMPTZ = 1184,
    OID_INTERVAL = 1186,
    OID_NUMERIC = 1700,
    OID_REGCLASS = 2205,
    OID_REGTYPE = 2206,
    OID_UUID = 2950,
    OID_JSONB = 3802,
    OID_REGNAMESPACE = 4089
};

/* What a type is on the wire; 705 for TYPE_UNKNOWN. */
uint32_t type_oid(enum type_id id);
/* The type that takes the values of `oid`: bigint for oid and its kin, text for name and its kin,
 * bigint[] and text[] for arrays of these. 0 and 705 are TYPE_UNKNOWN. False if
 * there is none. */
bool type_of_oid(uint32_t oid, struct type *out);

/* The same with its alias, which has a number of its own. */
uint32_t alias_oid(enum type_alias alias);
static inline uint32_t type_wire_oid(struct type type)
{
    return type.alias == ALIAS_NONE ? type_oid((enum type_id)type.id)
                                    : alias_oid((enum type_alias)type.alias);
}
/* ALIAS_NONE if it is no alias's; of the array of such elements, ALIAS_NONE if there is none. */
enum type_alias alias_of_oid(uint32_t oid);
enum type_alias alias_array(enum type_alias element);
enum type_alias alias_element(enum type_alias array);
/* Makes a value one of the alias: names of 63 bytes at most and a "char" of one character are cut;
 * 22003 for numbers that do not fit. `wraps`: -1 is 4294967295. */
MUST_CHECK enum err alias_fit(struct value *value, enum type_alias alias, bool wraps,
                              struct error *error);
/* A field of a row, for values of a type with an alias, which fit. */
void alias_send(const struct column *column, size_t row, enum type_alias alias, struct writer *out);
void alias_send_text(const struct column *column, size_t row, enum type_alias alias,
                     const struct text_context *context, struct writer *out);

/* The binary form of a value; NULL writes nothing. */
void value_send(const struct value *value, struct writer *out);
/* A field of a row, as DataRow and COPY have it: a length of 4 bytes and the value, -1 for NULL. */
void column_send(const struct column *column, size_t row, struct writer *out);
/* The same in text form. */
void column_send_text(const struct column *column, size_t row, const struct text_context *context,
                      struct writer *out);

/* Bytes in the binary form of `oid` to a value of the type that type_of_oid() says. Payloads are
 * borrowed or in the arena. 22P03: not the form; 22021: not UTF-8; 22003, 22008: out of our range;
 * 22P02: not JSON; 0A000: an oid or an array that there is no type for. */
MUST_CHECK enum err oid_receive(uint32_t oid, struct slice bytes, struct arena *arena,
                                struct value *out, struct error *error);
/* The same for the type's own oid, its modifiers applied (22001, 22003). */
MUST_CHECK enum err type_receive(struct type type, struct slice bytes, struct arena *arena,
                                 struct value *out, struct error *error);
/* A value as one of another type, as assignment would have it, by its text where there is no
 * shorter way. 22003, 22P02 … */
MUST_CHECK enum err value_convert(const struct value *value, struct type type,
                                  const struct text_context *context, struct arena *arena,
                                  struct value *out, struct error *error);

#endif
