/* Views, as query binds them and ingest keeps them. */
#ifndef FRESHET_QUERY_VIEW_H
#define FRESHET_QUERY_VIEW_H

#include "query/asker.h"
#include "storage/column/type.h"

struct view_column {
    struct slice name;
    struct slice
        source; /* its name in the text: another one where CREATE VIEW v (a, b) gave names */
    struct type type;
};

struct view_definition {
    uint32_t id; /* never used again */
    struct slice name;
    struct slice text; /* the SELECT as written: bound anew wherever the view stands */
    size_t column_count;
    struct view_column *columns;    /* what it gives, whatever * in it may have become since */
    size_t table_count, view_count; /* what its own text names */
    uint32_t *table_ids, *view_ids;
    struct slice *table_names, *view_names; /* … by these names; NULL, or empty ones: not known */
    uint64_t *table_marks, *view_marks;     /* … as they were when it was bound: not kept */
    struct slice endpoint;                  /* GET /v1/endpoints/…; empty: none */
    struct slice parameters; /* as "name type, name type = default", for people; may be empty */
    bool is_materialized;    /* WITH (rollup = 'true'): segments are aggregated by it ahead … */
    struct slice zone;       /* … with the times of this zone; empty for others */
};

/* What others see of a view: another mark after a change of that. */
uint64_t view_mark(const struct view_definition *view);
/* False: the asker may not see the view. Its text goes where it names what they may not see. */
bool view_trim(const struct asker *asker, struct view_definition *view);

#endif
