/* SQL text to a bound, planned statement. */
#ifndef FRESHET_QUERY_SQL_SQL_H
#define FRESHET_QUERY_SQL_SQL_H

#include "query/plan/literal.h"
#include "query/plan/plan.h"
#include "query/sql/command.h"
#include "query/provider.h"
#include "query/view.h"

#define SQL_TEXT_SIZE_MAX ((size_t)256 << 10)
#define SQL_DEPTH_MAX 1000

struct sql_context {
    struct snapshot *snapshot; /* the catalogue to bind against: what the asker may see … */
    struct snapshot *whole; /* … and all of it, for views, which read with their owner's rights;
                               NULL: the same */
    const struct asker *asker; /* NULL: everybody may everything */
    const struct table_provider *const *providers;
    size_t provider_count;
    const struct timezone *zone;                                               /* session */
    struct slice (*setting)(void *context, struct slice name, bool *is_known); /* for SHOW */
    void *setting_context;
    /* Views by name, or (empty) by id, copied into the arena; NULL: there are none. */
    bool (*find_view)(void *context, struct slice name, uint32_t id, struct arena *arena,
                      struct view_definition *out);
    void *view_context;
    /* Called now and then, with the bytes that the plan has taken so far: gives way to others, and
     * its error ends the preparation. NULL: nothing. */
    enum err (*look)(void *context, size_t bytes, struct error *error);
    void *look_context;
    bool is_unoptimized; /* the plan as the text reads: the passes of query/plan/ are left out */
    /* Types of $1 … given beforehand; TYPE_UNKNOWN: found out as PostgreSQL does. */
    const struct type *parameter_types;
    size_t parameter_type_count;
    /* All values, as statement->parameters has them in a statement with needs_values: they become
     * constants. Else NULL. */
    const struct value *parameter_values;
    size_t parameter_value_count, numbered_value_count;
    const struct text_shape *shape; /* of the text: literals may become values; NULL: they do not */
    bool has_session;               /* BEGIN, PREPARE, DECLARE … have somewhere to be kept */
};

/* One statement. 42601 (syntax, position in characters, hints for other dialects' words),
 * 54000/54001 (text, depth), 0A000 by name for what is not there, 42P01, 42703 …. One reference in
 * *out. Deep trees want a 64 MiB stack: call it in a worker job. */
MUST_CHECK enum err sql_prepare(struct slice text, const struct sql_context *context,
                                struct statement **out, struct error *error);
struct sql_piece {
    struct slice text; /* of the whole, borrowed */
    size_t offset;
};
/* A text to its statements, none of them empty. One needs no parser; several are found by the
 * grammar, so a syntax error in the last is one of the whole text: 42601, as sql_prepare(). */
MUST_CHECK enum err sql_split(struct slice text, struct arena *arena, struct sql_piece **out,
                              size_t *count, struct error *error);
/* A DEFAULT expression as stored in a schema, bound and cast to the column's type; in the arena. */
MUST_CHECK enum err sql_bind_default(const struct schema *schema, uint32_t column,
                                     struct arena *arena, struct expr **out, struct error *error);

/* The text as it may be shown: of one that makes or changes a role, nothing from the first password
 * on. Itself, or in the arena. */
struct slice sql_masked(struct slice text, struct arena *arena);

#endif
