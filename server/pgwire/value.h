/* Types and values on PostgreSQL's wire: what RowDescription says of a column, what Parse's numbers
 * mean, and what Bind's bytes are. The forms themselves are storage/column/binary_form.h. */
#ifndef FRESHET_SERVER_PGWIRE_VALUE_H
#define FRESHET_SERVER_PGWIRE_VALUE_H

#include "query/parameter.h"
#include "storage/column/binary_form.h"

enum value_format { VALUE_TEXT = 0, VALUE_BINARY = 1 };

/* Of a column or parameter, as pg_type says it. */
struct value_description {
    uint32_t oid, array_oid;
    int16_t size;     /* typlen: -1 varying, -2 of unknown */
    int32_t modifier; /* -1: none */
};
/* TYPE_UNKNOWN is described as text: that is what it has become by the time somebody asks. */
struct value_description value_describe(struct type type);

/* A type that a client names for a parameter; 0 and unknown leave it to be found out. 0A000 if
 * there is nothing like it here. */
MUST_CHECK enum err value_parameter_type(uint32_t oid, struct type *out, struct error *error);

struct value_given {
    uint32_t oid; /* as Parse named it; 0: it did not */
    enum value_format format;
    bool is_null;
    struct slice bytes;
};
/* The bytes of a parameter to a value of the statement's type, for parameters_bind(). Binary bytes
 * are of the oid named, or else of the statement's type; they and text are converted where the two
 * differ. Payloads in the arena or borrowed. 22P03, 22P02, 22003, 22021 …, naming the parameter
 * (from 1). */
MUST_CHECK enum err value_parameter(size_t number, const struct value_given *given,
                                    struct type type, const struct text_context *context,
                                    struct arena *arena, struct query_parameter *out,
                                    struct error *error);

/* One field of a DataRow, called `alias` by what described it. */
static inline void value_field(const struct column *column, size_t row, enum type_alias alias,
                               enum value_format format, const struct text_context *context,
                               struct writer *out)
{
    if (alias != ALIAS_NONE && format == VALUE_BINARY)
        alias_send(column, row, alias, out);
    else if (alias != ALIAS_NONE)
        alias_send_text(column, row, alias, context, out);
    else if (format == VALUE_BINARY)
        column_send(column, row, out);
    else
        column_send_text(column, row, context, out);
}

#endif
