/* Which column a field of an event goes to: a table definition compiled for looking up names.
 *
 * Immutable once made, shared by reference count between the batches of one definition. */
#ifndef FRESHET_INGEST_ROWS_MAPPING_H
#define FRESHET_INGEST_ROWS_MAPPING_H

#include "ingest/rows/shape.h"
#include "storage/column/schema.h"

/* How a field names a column; a lower rank wins within a row, whatever the order of the fields. */
enum mapping_rank { RANK_EXACT, RANK_IGNORE_CASE, RANK_MAP, RANK_NESTED };

struct mapping_ref {
    uint32_t column; /* index into schema->columns */
    enum mapping_rank rank;
    const struct mapping_ref *next;
};

struct mapping_node;
struct mapping_child {
    struct slice name;
    const struct mapping_ref *refs; /* columns that take this field's value */
    struct mapping_node *node;      /* fields of the object below that matter, NULL: none */
    struct mapping_child *next;     /* private: in a bucket */
};

struct mapping;
/* 22023 when `map` is not an object of column names to pointers. */
MUST_CHECK enum err mapping_create(const struct schema *schema, struct mapping **out,
                                   struct error *error);
struct mapping *mapping_ref(struct mapping *mapping);
void mapping_unref(struct mapping *mapping); /* NULL is fine */
const struct schema *mapping_schema(const struct mapping *mapping);
const struct mapping_node *mapping_root(const struct mapping *mapping);

/* The child of a node by exact name, or NULL. */
const struct mapping_child *mapping_find(const struct mapping_node *node, struct slice name);
/* The only column equal to `name` but for ASCII case, or NULL (none, or more than one). */
const struct mapping_ref *mapping_find_ignore_case(const struct mapping *mapping,
                                                   struct slice name);

/* What batches before learned of a text column: true if its values hardly repeat. A hint: relaxed.
 */
bool mapping_is_distinct(const struct mapping *mapping, uint32_t column);
void mapping_set_distinct(struct mapping *mapping, uint32_t column, bool is_distinct);

/* Shapes that streams into this table had, at most SHAPES_MAX; NULL past the last. They live as
 * long as the mapping. Any thread. */
const struct shape *mapping_shape(const struct mapping *mapping, size_t index);
/* Takes over a shape made by memory_alloc; false if there is no room for it. */
bool mapping_add_shape(struct mapping *mapping, struct shape *shape);

#endif
