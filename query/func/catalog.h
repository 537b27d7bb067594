/* What PostgreSQL's catalogue says of a system without schemas or types of one's own: its
 * relations, its types, and the numbers (OIDs) that ours have in it. */
#ifndef FRESHET_QUERY_FUNC_CATALOG_H
#define FRESHET_QUERY_FUNC_CATALOG_H

#include "query/asker.h"
#include "storage/base/arena.h"
#include "storage/column/type.h"

/* Numbers of PostgreSQL, which tools know by heart, and ours where it has none. */
enum {
    OID_PG_CATALOG = 11,
    OID_PUBLIC = 2200,
    OID_INFORMATION_SCHEMA = 13216,
    OID_FRESHET = 13900,
    OID_BITMAP = 13910, /* the access method of indexes */
    OID_ROLE = 10,
    OID_DATABASE = 5,
    OID_CLASS_RELATION = 1259, /* pg_class, in pg_description */
    OID_CLASS_FUNCTION = 1255, /* pg_proc */
    OID_RECORD = 2249,
    OID_ANY = 2276, /* these: types that stand for several */
    OID_ANYARRAY = 2277,
    OID_ANYELEMENT = 2283,
    OID_ANYNONARRAY = 2776,
    OID_INTERNAL = 12,  /* the language of functions */
    OID_READER = 13901, /* the kinds of roles, as roles that others are members of */
    OID_WRITER = 13902,
    OID_ADMIN = 13903,
    OID_ROLE_FIRST = 20000,
    /* By their places. PostgreSQL leaves 8000 to 9999 to others and fixes none up to 11999. */
    OID_FUNCTION_FIRST = 8000,
    OID_FUNCTION_END = 12000,
    OID_FRESHET_FIRST = 14000, /* relations of schema freshet, in the order they register */
    OID_TABLE_FIRST = 16384,
    OID_TABLE_STEP = 4096, /* between two tables: room for what belongs to them */
    /* From a table's number: defaults of its columns, by place, then their indexes. Views have ids
     * of their own, so theirs lie between those of tables. */
    OID_DEFAULT_FIRST = 1,
    OID_INDEX_FIRST = 1025,
    OID_VIEW = 3072,
};

#define CATALOG_ROLE "freshet"
#define CATALOG_DATABASE "freshet"

static inline int64_t table_oid(uint32_t table_id)
{
    return OID_TABLE_FIRST + (int64_t)table_id * OID_TABLE_STEP;
}

/* The table of that number, -1 if it is no table's. */
static inline int64_t table_id_of_oid(int64_t oid)
{
    if (oid < OID_TABLE_FIRST || (oid - OID_TABLE_FIRST) % OID_TABLE_STEP != 0)
        return -1;
    return (oid - OID_TABLE_FIRST) / OID_TABLE_STEP;
}

static inline int64_t view_oid(uint32_t view_id)
{
    return table_oid(view_id) + OID_VIEW;
}

/* The index of a column, by its place. */
static inline int64_t index_oid(uint32_t table_id, uint32_t column)
{
    return table_oid(table_id) + OID_INDEX_FIRST + column;
}

/* The view of that number, -1 if it is no view's. */
static inline int64_t view_id_of_oid(int64_t oid)
{
    return oid < OID_VIEW ? -1 : table_id_of_oid(oid - OID_VIEW);
}

struct catalog_relation {
    const char *schema, *name;
    uint16_t oid;
    char kind; /* 'r' or 'v', as relkind */
    const char *columns;
};

extern const struct catalog_relation catalog_tables[], catalog_views[], catalog_information[];
extern const size_t catalog_tables_count, catalog_views_count, catalog_information_count;

size_t catalog_relation_count(void);
const struct catalog_relation *catalog_relation(size_t index);
/* NULL if there is none. */
const struct catalog_relation *catalog_relation_by_oid(int64_t oid);
const struct catalog_relation *catalog_relation_by_name(struct slice schema, struct slice name);

struct eval_context;
struct schema;
struct view_definition;

/* What statements made, by number. NULL, or false: there is none. */
const struct schema *catalog_find_table(const struct eval_context *context, int64_t oid);
const struct schema *catalog_find_index(const struct eval_context *context, int64_t oid,
                                        uint32_t *column);
bool catalog_find_view(const struct eval_context *context, int64_t oid, struct arena *arena,
                       struct view_definition *out);
/* The number of any relation, 0 if there is none. `schema` empty: where names are looked for. */
int64_t catalog_find_class(const struct eval_context *context, struct slice schema,
                           struct slice name, struct arena *arena);
/* The name of any relation as SQL writes it; empty if there is none. */
struct slice catalog_class_name(const struct eval_context *context, int64_t oid,
                                struct arena *arena);
/* The statement that makes a column's index; or of that its part 1 (0: all), which is the column.
 */
struct slice catalog_index_text(const struct schema *table, uint32_t column, struct arena *arena);
struct slice catalog_index_part(const struct schema *table, uint32_t column, int64_t part,
                                struct arena *arena);

/* The users that the asker may see, read once a run. */
size_t catalog_list_roles(const struct eval_context *context, struct arena *arena,
                          struct role_entry **out);
/* Roles: whoever owns all there is (CATALOG_ROLE), the kinds where there are users, and the users
 * that the asker may see. By number, or (0) by name. */
bool catalog_find_role(const struct eval_context *context, int64_t oid, struct slice name,
                       struct arena *arena, struct role_entry *out);
int64_t catalog_role_oid(const struct role_entry *role);
/* The kind of roles of that place, 0 to 2. */
#define CATALOG_KIND_COUNT 3
struct role_entry catalog_kind(size_t place);

struct catalog_type {
    uint16_t oid;
    const char *name;
    int16_t size;
    char kind, category;
    bool is_preferred;
    uint16_t element, array;
    const char *input, *output;
    uint16_t collation;
    char alignment, storage;
    bool is_by_value;
};

extern const struct catalog_type catalog_types[];
extern const size_t catalog_type_count;

/* What SHOW and current_setting know beside the settings of a request; fixed is NULL for those. */
struct catalog_setting {
    const char *name, *fixed, *description;
};
extern const struct catalog_setting catalog_settings[];
extern const size_t catalog_setting_count;

/* NULL if there is none. Names as format_type writes them, pg_type has them, or with [] behind. */
const struct catalog_type *catalog_type_by_oid(int64_t oid);
const struct catalog_type *catalog_type_by_name(struct slice name);
/* pg_type.oid and pg_attribute.atttypmod of a column's type. */
int64_t catalog_type_oid(enum type_id type);
int64_t catalog_type_modifier(struct type type);
/* format_type(oid, modifier) */
void catalog_type_print(int64_t oid, int64_t modifier, struct writer *out);

/* A row of pg_proc: what PostgreSQL's says of a function, types by their numbers. */
#define CATALOG_ARGUMENTS_MAX 8
struct catalog_function {
    int64_t oid;
    const char *name, *doc; /* name: NULL where there is no function at that place */
    char kind;              /* f, a or w: prokind */
    char volatility;        /* i, s or v: provolatile */
    bool is_strict, gives_set, is_ordered_set, is_hypothetical;
    uint8_t argument_count, direct; /* direct: of them before ORDER BY, if is_ordered_set */
    uint16_t arguments[CATALOG_ARGUMENTS_MAX];
    uint16_t variadic; /* the type of which the last argument is any number; 0: it is not */
    uint16_t result;
    uint8_t out_count; /* columns of the result that have names */
    uint16_t outs[2];
    const char *out_names[2];
};
/* The one at that place, from 0; false behind the last. */
bool catalog_function_at(size_t place, struct catalog_function *out);
bool catalog_function_by_oid(int64_t oid, struct catalog_function *out);

/* The parts of a name in a text, at most part_max, between points with blanks around them: folded,
 * or as they stand in double quotes. How many, 0 if it is malformed; *used: the bytes up to what
 * is no part of it. */
size_t catalog_parse_path(struct slice text, struct arena *arena, struct slice *parts,
                          size_t part_max, size_t *used);
/* [[database.]schema.]name. False if it is malformed, has more parts or is of another database. */
bool catalog_parse_name(struct slice text, struct arena *arena, struct slice *schema,
                        struct slice *name);

#endif
