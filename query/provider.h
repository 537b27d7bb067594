/* Table providers: relations that are not user tables (system tables, catalogues). The folders to
 * the right register theirs at start; they can be queried and joined like any table. */
#ifndef FRESHET_QUERY_PROVIDER_H
#define FRESHET_QUERY_PROVIDER_H

#include "query/asker.h"
#include "storage/column/column.h"
#include "storage/store.h"

struct provider_column {
    const char *name;
    struct type type;
};

/* A prepared statement of the session that asks. */
struct prepared_entry {
    struct slice name, text; /* text: without passwords */
    int64_t prepared_at_us;
    bool is_from_sql; /* by PREPARE */
    size_t type_count;
    const struct value *type_oids; /* of its parameters */
};

struct eval_context; /* query/expr/eval.h */

struct provider_scan {
    const struct eval_context *context;
    struct snapshot *snapshot; /* of what the asker may see */
    const struct asker *asker; /* NULL: everybody may everything */
    struct arena *arena;       /* for payloads; lives as long as the query */
    struct column_builder
        *builders; /* one per provider column: add one value to each for every row */
    struct budget *budget;
};

/* Which rows are for an asker who may not see every table. */
enum provider_sight {
    SIGHT_SEEN,     /* of tables they may see, by the column table_name; without one, none */
    SIGHT_READABLE, /* of tables they may read: the rows hold what the tables do */
    SIGHT_CHOSEN,   /* those that the provider gives: it asks by itself */
};

struct table_provider {
    const char *schema_name; /* "freshet" */
    const char *name;
    size_t column_count;
    const struct provider_column
        *columns; /* behind them hidden_count more, which * does not give */
    void *context;
    enum err (*scan)(void *context, struct provider_scan *scan, struct error *error);
    size_t hidden_count;
    enum provider_sight sight;
};

/* Helpers: add one cell to builders[index]. */
void provider_text(struct provider_scan *scan, size_t index, struct slice text);
void provider_cstr(struct provider_scan *scan, size_t index, const char *text);
void provider_int(struct provider_scan *scan, size_t index,
                  int64_t value); /* any integer, time or date column */
void provider_float(struct provider_scan *scan, size_t index, double value);
void provider_bool(struct provider_scan *scan, size_t index, bool value);
void provider_null(struct provider_scan *scan, size_t index);

#endif
