/* Records of CSV, whatever the characters it is made of: shared by bodies with a header line
 * (csv.c) and COPY (copy_csv.c). */
#ifndef FRESHET_INGEST_DECODE_CSV_H
#define FRESHET_INGEST_DECODE_CSV_H

#include "ingest/rows/rows.h"

#define CSV_FIELDS_MAX 4096

struct csv_field {
    struct slice text;
    bool is_quoted;
};

struct csv_heading {
    struct slice name;
    struct mapping_ref refs[4];
    size_t ref_count;
    size_t unknown_id;
};

struct csv {
    struct rows *rows;
    struct arena *arena;
    const char *begin, *end;
    char delimiter, quote, escape; /* escape: what stands before a quote that is meant */
    bool is_mixed; /* quotes may begin and end within a field, as PostgreSQL's COPY has it */
    struct slice null;
    const char *too_few, *too_many; /* why such records are rejected */
    size_t heading_count;
    struct csv_heading *headings;
    struct csv_field *fields; /* of the record being read: CSV_FIELDS_MAX */
    size_t field_count;
    bool has_too_many;
};

/* Does the record end at p? */
bool csv_is_record_end(const struct csv *csv, const char *p);
/* One record from p; *next is behind its line end, *raw the record without it. 22P04. */
MUST_CHECK enum err csv_read_record(struct csv *csv, const char *p, const char **next,
                                    struct slice *raw, struct error *error);
/* The record read last as a row that rows_begin() has begun. */
void csv_take_record(struct csv *csv, struct slice raw);

#endif
