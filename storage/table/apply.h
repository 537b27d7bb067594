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
    struct segment *segment;    /* the open one */
    struct published published; /* of it, as of the last applied record */
    /* Replay: rows up to here are in sealed segments or came with the checkpoint. */
    uint64_t floor_position;
};

struct manifest;

struct applier {
    struct pool *pool;
    uint64_t seal_rows; /* a segment that has so many, or so many bytes, is closed */
    size_t seal_bytes;
    /* Replay only. Up to the checkpoint's position the borders of segments are those the checkpoint
     * knows: none is closed by size. */
    const struct manifest *manifest; /* for the floors of tables it creates; NULL: live */
    uint64_t checkpoint_position;
    /* Of the newest checkpoint, which may not be the one that could be read: up to there segments
     * keep the borders that it knows. */
    uint64_t border_position;
    struct applied_table *tables; /* by id */
    uint32_t table_count, table_capacity;
    uint32_t table_id_max; /* ever seen */
};

struct effect_part {
    uint32_t table_id;
    const struct schema *schema; /* NULL: the table is gone, the rows went nowhere */
    struct segment *segment;
    struct published published; /* of the segment after this record */
    int32_t index; /* in the catalog, by effect_locate; -1: nobody will see these rows */
};

/* A segment closed before the record's rows, and the one opened in its place. */
struct effect_rotation {
    uint32_t table_id;
    struct segment *closed;
    struct published published; /* its final counts */
    struct segment *opened;
};

/* Which segments a record closes besides those that are full. */
struct rotation_wish {
    bool is_all; /* of every table with rows */
    uint32_t table_count;
    const uint32_t *table_ids;
};

struct effect { /* holds references; arrays lie in the arena given to applier_apply */
    uint64_t position;
    const struct record *record;
    struct effect_part *parts; /* one per record->rows */
    enum change_kind change;   /* NONE too if the record's change does not count */
    uint32_t change_table_id;
    const struct schema *schema;
    struct segment *segment;
    uint32_t rotation_count;
    struct effect_rotation *rotations;
};

void applier_init(struct applier *applier, struct pool *pool);
void applier_deinit(struct applier *applier);
/* Back to what a catalog says, at its published rows. */
void applier_reset(struct applier *applier, const struct catalog *catalog);
/* Rows of the table up to a position are elsewhere: replay leaves them out. */
void applier_set_floor(struct applier *applier, uint32_t table_id, uint64_t position);
/* Makes the change, closes segments that are full or wished closed, appends rows. Up to
 * applier->checkpoint_position the catalog is from after the record already, so of changes only
 * TRUNCATE counts and rows of unknown tables are left out. ERR_CORRUPT: a definition that cannot be
 * read; nothing has changed then. */
MUST_CHECK enum err applier_apply(struct applier *applier, uint64_t position,
                                  const struct record *record, const struct rotation_wish *wish,
                                  struct arena *arena, struct effect *out, struct error *error);
void effect_deinit(struct effect *effect);
/* Whether publishing it takes a new version of the catalog. */
static inline bool effect_changes_catalog(const struct effect *effect)
{
    return effect->change != CHANGE_NONE || effect->rotation_count != 0;
}
/* The record as extensions see it. */
struct record_view effect_view(const struct effect *effect, struct arena *arena);
/* The catalog after the effect's change and rotations: a new version, or the same one. Takes over
 * the reference given. */
struct catalog *effect_change(const struct effect *effect, struct catalog *catalog);
/* Finds the parts' places in the catalog that effect_publish is for. */
void effect_locate(const struct effect *effect, const struct catalog *catalog);
/* Sets the rows in the catalog; under the publishing lock if others can see it. */
void effect_publish(const struct effect *effect, struct catalog *catalog);

#endif
