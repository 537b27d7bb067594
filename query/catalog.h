/* Rows of pg_catalog and information_schema. A row begins with what its relation's declaration says
 * (query/func/catalog.h); cells are then set by name. Internal to query/catalog*.c. */
#ifndef FRESHET_QUERY_CATALOG_H
#define FRESHET_QUERY_CATALOG_H

#include "query/engine.h"
#include "query/func/catalog.h"

struct catalog_rows;

struct catalog_provider {
    struct query_engine *engine;
    const struct table_provider *provider;
    const struct value *defaults; /* by column */
    void (*fill)(struct catalog_rows *rows);
};

struct catalog_rows {
    const struct catalog_provider *relation;
    struct provider_scan *scan;
    struct value *cells; /* of the row under way */
};

void catalog_row_begin(struct catalog_rows *rows);
void catalog_row_end(struct catalog_rows *rows);
/* Each asserts that there is a column of that name. */
void catalog_set_int(struct catalog_rows *rows, const char *name, int64_t value);
void catalog_set_bool(struct catalog_rows *rows, const char *name, bool value);
void catalog_set_text(struct catalog_rows *rows, const char *name, struct slice text);
void catalog_set_cstr(struct catalog_rows *rows, const char *name, const char *text);

/* One relation that pg_class, pg_attribute and information_schema tell of. */
struct catalog_item {
    int64_t oid, schema_oid;
    const char *schema_name;
    struct slice name;
    const struct table_view *view;            /* a table, else NULL */
    const struct view_definition *definition; /* a view made by CREATE VIEW, else NULL */
    const struct schema *indexed;             /* an index: its table, else NULL */
    uint32_t indexed_column;                  /* … and the place of its column */
    const struct table_provider *provider;
    const struct catalog_relation *relation; /* of provider, NULL for schema freshet */
    size_t column_count;
    char kind;
};
/* All of them, in the order of their names' schemas. */
void catalog_each(struct catalog_rows *rows,
                  void (*visit)(struct catalog_rows *rows, const struct catalog_item *item));

struct catalog_column {
    struct slice name;
    struct type type;
    int64_t type_oid;
    bool is_not_null;
    struct slice default_text, comment;
};
struct catalog_column catalog_column_get(const struct catalog_item *item, size_t index);

struct catalog_filler {
    const char *name;
    void (*fill)(struct catalog_rows *rows);
};
extern const struct catalog_filler catalog_fillers[], catalog_information_fillers[];
extern const size_t catalog_filler_count, catalog_information_filler_count;

/* --- query/catalog_roles.c: of both schemas --- */

extern const struct catalog_filler catalog_role_fillers[];
extern const size_t catalog_role_filler_count;
/* relacl of a table or view; empty: nothing has been granted. */
struct slice catalog_acl(struct catalog_rows *rows, const struct catalog_item *item);

#endif
