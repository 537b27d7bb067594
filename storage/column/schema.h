/* Table definitions: immutable once made, shared by reference count, found by id. */
#ifndef FRESHET_STORAGE_COLUMN_SCHEMA_H
#define FRESHET_STORAGE_COLUMN_SCHEMA_H

#include "storage/column/type.h"

#define SCHEMA_COLUMNS_MAX 1024
#define IDENTIFIER_SIZE_MAX 63 /* bytes, PostgreSQL's */

struct column_definition {
    uint32_t id; /* never reused in a table; readers map columns by it */
    struct slice name;
    struct type type;
    bool is_not_null;
    struct slice
        default_text;     /* SQL expression as PostgreSQL deparses it for people, empty: none */
    struct value missing; /* what rows older than the column read as; NULL without a default */
    struct slice comment;
    /* Bitmap index: by rule, by CREATE INDEX, or not (DROP INDEX of the rule's). */
    enum index_policy { INDEX_AUTO = 0, INDEX_ON = 1, INDEX_OFF = 2 } index;
    struct slice index_name; /* INDEX_ON: its name; else empty */
};

enum late_policy { LATE_AMEND };
enum unknown_policy { UNKNOWN_IGNORE, UNKNOWN_REJECT };

struct table_options { /* WITH (…), parsed; `text` keeps each as written for freshet.tables.options
                        */
    int64_t lateness_us;  /* 30 s */
    int64_t future_us;    /* 1 d */
    int64_t retention_us; /* 0: for ever */
    enum unknown_policy unknown;
    int32_t rest_column, whole_column; /* index into columns, -1 none */
    struct slice map;                  /* JSON object: column -> RFC 6901 pointer; empty: none */
    struct slice text;                 /* JSON object of the options as given */
};

struct schema {
    uint32_t table_id;
    uint32_t version;       /* of the definition, grows by ALTER */
    uint32_t index_version; /* grows by CREATE and DROP INDEX: older segments are written anew */
    struct slice name;      /* in schema public */
    struct slice comment;
    uint32_t column_count;
    struct column_definition *columns; /* live columns in order */
    uint32_t next_column_id;
    int32_t time_column; /* index into columns, -1: none */
    struct table_options options;
    int64_t created_at_us;
    /* private: */
    _Atomic uint32_t references;
    struct arena arena; /* everything above lies in it */
};

/* One reference, empty, to be filled before it is shared; memory from schema->arena. */
struct schema *schema_create(void);
struct schema *schema_copy(const struct schema *schema); /* deep, one reference, for ALTER */
const struct schema *schema_ref(const struct schema *schema);
void schema_unref(const struct schema *schema);
/* Index of a column by exact name, -1 if none. */
int32_t schema_find(const struct schema *schema, struct slice name);
int32_t schema_find_id(const struct schema *schema, uint32_t column_id);
/* Names distinct and within limits, at most SCHEMA_COLUMNS_MAX, types storable, time column
 * timestamptz. */
MUST_CHECK enum err schema_validate(const struct schema *schema, struct error *error);
void schema_write(const struct schema *schema, struct writer *out);
MUST_CHECK enum err schema_read(struct reader *reader, struct schema **out, struct error *error);

#endif
