/* A table definition made ready for decoding: names compiled, DEFAULTs bound. Shared by reference
 * count. */
#ifndef FRESHET_INGEST_DEFINITION_H
#define FRESHET_INGEST_DEFINITION_H

#include "ingest/ingest.h"
#include "ingest/rows/rows.h"

struct definition {
    _Atomic uint32_t references;
    const struct schema *schema;
    struct mapping *mapping;
    struct expr **defaults; /* one a column, NULL: none */
    struct arena arena;
};

/* With one reference, and one of its own of the schema. An error: `map` or a DEFAULT of it cannot
 * be bound. */
MUST_CHECK enum err definition_create(const struct schema *schema,
                                      const struct ingest_options *options, struct definition **out,
                                      struct error *error);
struct definition *definition_ref(struct definition *definition);
void definition_unref(struct definition *definition); /* NULL is fine */

/* DEFAULTs of one statement: now() is its start. */
struct definition_defaults {
    struct definition *definition;
    int64_t now_us;
    struct rows_defaults interface; /* give &interface to rows */
};
void definition_defaults_init(struct definition_defaults *defaults, struct definition *definition,
                              int64_t now_us);

#endif
