/* The catalog: which tables there are, as immutable versions.
 *
 * A version is a list in name order. Only the newest version's `published` pairs change, under the
 * store's publishing lock; everything else in a version stays as it is until its last reference
 * goes. */
#ifndef FRESHET_STORAGE_TABLE_CATALOG_H
#define FRESHET_STORAGE_TABLE_CATALOG_H

#include "storage/segment/view.h"

struct catalog {
    _Atomic uint32_t references;
    uint32_t table_count;
    struct table_view tables[];
};

struct catalog *catalog_create(void); /* empty, one reference */
struct catalog *catalog_ref(struct catalog *catalog);
void catalog_unref(struct catalog *catalog);
/* -1: none. */
int32_t catalog_find_id(const struct catalog *catalog, uint32_t table_id);
/* A new version with a change in it: CREATE takes schema and segment, ALTER the schema, TRUNCATE
 * the segment; each gets references of its own. A change to a table that is not there changes
 * nothing. */
/* A TRUNCATE drops the closed list too. */
struct catalog *catalog_change(const struct catalog *catalog, enum change_kind kind,
                               uint32_t table_id, const struct schema *schema,
                               struct segment *segment);
/* A new version in which the open segment of a table is closed as `entry` and another one is open.
 */
struct catalog *catalog_rotate(const struct catalog *catalog, uint32_t index,
                               const struct segment_entry *entry, struct segment *opened);
/* A new version in which a table has another closed list, of which a reference is taken; NULL:
 * none.
 */
struct catalog *catalog_set_closed(const struct catalog *catalog, uint32_t index,
                                   struct segment_list *closed);

#endif
