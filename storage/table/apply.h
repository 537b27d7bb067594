/* The applier: what records do to the tables, ahead of anyone seeing it.
 *
 * Log thread only. It keeps the tables as of the last applied record; what each record did is an
 * `effect`, which is published once the record is durable or forgotten if the write failed. */
#ifndef FRESHET_STORAGE_TABLE_APPLY_H
#define FRESHET_STORAGE_TABLE_APPLY_H

#include "storage/log/record.h"
#include "storage/table/catalog.h"

struct applied_table {
    uint32_t table_id;
    const struct schema *schema;
    struct segment *segment;
};

struct applier {
    struct pool *pool;
    struct applied_table *tables; /* by id */
    uint32_t table_count, table_capacity;
    uint32_t table_id_max; /* ever seen */
};

struct effect_part {
    uint32_t table_id;
    const struct schema *schema; /* NULL: the table is gone, the rows went nowhere */
    struct segment *segment;
    uint64_t rows; /* of the segment after this record */
    uint32_t chunk_count;
    int32_t index; /* in the catalog, by effect_locate; -1: nobody will see these rows */
};

struct effect { /* holds references; arrays lie in the arena given to applier_apply */
    uint64_t position;
    const struct record *record;
    struct effect_part *parts; /* one per record->rows */
    enum change_kind change;   /* NONE too if the record's change does not count */
    uint32_t change_table_id;
    const struct schema *schema;
    struct segment *segment;
};

void applier_init(struct applier *applier, struct pool *pool);
void applier_deinit(struct applier *applier);
/* Back to what a catalog says, at its published rows. */
void applier_reset(struct applier *applier, const struct catalog *catalog);
/* Appends rows and makes the change. `is_data_only`: the catalog is from after this record already
 * (a checkpoint), so of changes only TRUNCATE counts and rows of unknown tables are left out.
 * ERR_CORRUPT: a definition that cannot be read; nothing has changed then. */
MUST_CHECK enum err applier_apply(struct applier *applier, uint64_t position,
                                  const struct record *record, bool is_data_only,
                                  struct arena *arena, struct effect *out, struct error *error);
void effect_deinit(struct effect *effect);
/* The record as extensions see it. */
struct record_view effect_view(const struct effect *effect, struct arena *arena);
/* The catalog after the effect's change: a new version, or the same one. Takes over the reference
 * given. */
struct catalog *effect_change(const struct effect *effect, struct catalog *catalog);
/* Finds the parts' places in the catalog that effect_publish is for. */
void effect_locate(const struct effect *effect, const struct catalog *catalog);
/* Sets the rows in the catalog; under the publishing lock if others can see it. */
void effect_publish(const struct effect *effect, struct catalog *catalog);

#endif
