/* What a snapshot sees of one table. Filled by storage/table/snapshot.c, read by cursor.c and
 * view.c. */
#ifndef FRESHET_STORAGE_SEGMENT_VIEW_H
#define FRESHET_STORAGE_SEGMENT_VIEW_H

#include "storage/segment/mutable.h"
#include "storage/store.h"

/* What is published of a segment, set as one under the store's publishing lock. */
struct published {
    uint64_t rows;
    uint32_t chunk_count;
    uint64_t first_position, last_position; /* of records with rows here; 0: none */
};

struct table_view {
    const struct schema *schema;
    struct segment *segment; /* both held by the snapshot's catalog */
    struct published published;
};

/* Rows of a morsel: up to the next chunk, or to the end of the view. */
struct morsel_range view_morsel(const struct table_view *view, uint32_t chunk_index);

#endif
