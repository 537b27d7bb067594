/* The commit record: rows of tables, sections of the folders to the right and at most one change,
 * in one payload. The bytes are specified in FORMAT.md, "Commit records". */
#ifndef FRESHET_STORAGE_LOG_RECORD_H
#define FRESHET_STORAGE_LOG_RECORD_H

#include "storage/column/stored.h"
#include "storage/store.h"

struct record {
    int64_t at_us;
    uint32_t rows_count;
    const struct stored_rows *rows;
    uint32_t section_count;
    const struct record_section *sections;
    enum change_kind change;
    uint32_t change_table_id;
    struct slice change_schema; /* CREATE and ALTER: schema_write's bytes, not looked into here */
};

/* Writing: begin, any number of the others, then set the time at any moment. `out` is empty at the
 * start. */
void record_begin(struct writer *out);
void record_add_rows(struct writer *out, const struct schema *schema, const uint32_t *column_ids,
                     const struct batch *batch);
void record_add_section(struct writer *out, uint32_t kind, struct slice bytes);
void record_add_change(struct writer *out, enum change_kind kind, uint32_t table_id,
                       const struct schema *schema);
/* The parts of another record, behind those that are there. */
void record_append(struct writer *out, struct slice other);
void record_set_time(struct writer *out, int64_t at_us);

/* Points into `payload`, which must be aligned to 8 (else it is copied into the arena); arrays of
 * parts lie in the arena. ERR_CORRUPT on anything that record_* does not write. */
MUST_CHECK enum err record_decode(struct slice payload, struct arena *arena, struct record *out,
                                  struct error *error);

#endif
