/* Values of a statement's parameters, as callers have them, and what a statement makes of them. */
#ifndef FRESHET_QUERY_PARAMETER_H
#define FRESHET_QUERY_PARAMETER_H

#include "query/plan/plan.h"

/* One value as it came. */
struct query_parameter {
    struct slice name; /* empty: $1 … by their order */
    enum {
        PARAMETER_NULL,
        PARAMETER_TEXT, /* text: what the type's input function reads */
        PARAMETER_JSON, /* text: JSON source, checked */
        PARAMETER_VALUE /* value: of the statement's type already */
    } kind;
    struct slice text;
    struct value value;
};

/* `text`, an array or an object of JSON, as a list in the arena that borrows it. 22023, 54000. */
MUST_CHECK enum err parameters_from_json(struct slice text, struct arena *arena,
                                         struct query_parameter **out, size_t *count,
                                         struct error *error);
/* A value for each parameter of the statement, defaults put in, and room for those of its lifted
 * literals behind them; payloads in the arena or borrowed
 * and charged to the budget. 08P01: too many or too few by number; 42P02: a name that is missing
 * or unknown; 22023: one given twice; 22P02 …: not of the type. */
MUST_CHECK enum err parameters_bind(const struct statement *statement,
                                    const struct query_parameter *given, size_t count,
                                    const struct text_context *context, struct budget *budget,
                                    struct arena *arena, struct value **out, struct error *error);

#endif
