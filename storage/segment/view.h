/* What a snapshot sees of one table. Filled by storage/table/snapshot.c, read by cursor.c and
 * view.c. */
#ifndef FRESHET_STORAGE_SEGMENT_VIEW_H
#define FRESHET_STORAGE_SEGMENT_VIEW_H

#include "storage/segment/mutable.h"
#include "storage/segment/sealed.h"
#include "storage/store.h"

/* What is published of a segment, set as one under the store's publishing lock. */
struct published {
    uint64_t rows;
    uint32_t chunk_count;
    uint64_t first_position, last_position; /* of records with rows here; 0: none */
};

/* One segment that takes no more rows: sealed, or mutable and waiting to be sealed. */
struct segment_entry {
    struct sealed *sealed;   /* or */
    struct segment *segment; /* frozen at `published` */
    struct published published;
    int64_t closed_at_us; /* frozen: when */
};

/* The closed segments of a table in position order; immutable, shared by count. */
struct segment_list {
    _Atomic uint32_t references;
    uint32_t count;
    uint64_t row_count;
    uint64_t morsel_count;
    uint64_t *first_rows;    /* per entry, and row_count behind the last */
    uint64_t *first_morsels; /* the same for morsels */
    struct segment_entry entries[];
};

/* Takes references to the segments of `entries`; NULL for none. segment_list_ref/unref take NULL.
 */
struct segment_list *segment_list_create(const struct segment_entry *entries, uint32_t count);
struct segment_list *segment_list_ref(struct segment_list *list);
void segment_list_unref(struct segment_list *list);

struct table_view {
    const struct schema *schema;
    struct segment_list *closed; /* NULL: none */
    struct segment *segment;     /* the open one; NULL only in views made for sealing */
    struct published published;  /* of the open one */
    uint64_t truncated_position; /* of the last TRUNCATE; 0: none */
    uint64_t replay_position; /* loading a checkpoint: rows up to here are not in the log's part */
    /* The snapshot's: what cursors over the view handed out of the cache stays as long as it does.
     * NULL: as long as the cursor. */
    struct view_pins *pins;
    /* All held by the snapshot's catalog. */
};

struct cache_entry;
struct view_pin {
    struct view_pin *next;
    struct cache_entry *entry;
};
#define VIEW_PIN_LISTS 64
struct view_pins {                                    /* by the entry's address */
    _Atomic(struct view_pin *) lists[VIEW_PIN_LISTS]; /* pushed by any thread, taken at the end */
};
void view_pins_init(struct view_pins *pins);
/* Takes the reference. An entry that is there already is not held twice (but by two threads at the
 * same moment); false then. */
bool view_pins_add(struct view_pins *pins, struct cache_entry *entry);
void view_pins_release(struct view_pins *pins);

/* Where a morsel lies: an entry of `closed` (or the open segment: entry NULL) and its block or
 * chunk there. */
struct morsel_place {
    const struct segment_entry *entry;
    uint32_t index;
};
struct morsel_place view_morsel_place(const struct table_view *view, size_t morsel);

#endif
