/* A bound that moves while a scan goes on (struct scan_bound), against a sealed segment.
 *
 *   block   its zone has nothing within the bound: it is left out, unread
 *   rows    held against the bound before all conditions, on encoded values: once the best rows of
 *           a top-N are there next to none is left, and no other column of theirs is read
 *
 * It becomes a sift like the filter's conditions, made anew when the bound has moved, within a
 * block too. What has no NULL in a block is all the same to a bound that lets NULLs pass; a block
 * that has some is not held against it row by row. Zones of several columns put the blocks in an
 * order: the best first, so that the bound gets close soon (cursor_zone). */
#include "storage/segment/cursor.h"

#include "storage/base/fault.h"

#include <assert.h>

static enum err make_bound(struct cursor *cursor, struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    const struct scan_bound *bound = cursor->filter->bound;
    struct sift sift;
    bool passes, is_told, was_loose = sieve->is_loose;
    sieve->has_bound = sieve->bound_is_empty = false;
    sieve->bound_passes_null = bound->passes_null;
    arena_reset(&sieve->bound_arena);
    enum err err = sieve_make_sift(cursor, &bound->condition, &sieve->bound_arena, &sift, &passes,
                                   &is_told, error);
    sieve->is_loose = was_loose; /* it is not of the filter */
    if (err != OK)
        return err;
    const struct cursor_column *column = &cursor->columns[bound->condition.column];
    passes = passes && !bound->is_never;
    if (column->sealed == NULL) { /* one value for all rows */
        bool is_null = column->definition->missing.is_null;
        sieve->bound_is_empty = !passes && !(bound->passes_null && is_null);
        return OK;
    }
    if (!passes && !bound->passes_null) {
        sieve->bound_is_empty = true;
        return OK;
    }
    if (!passes) { /* nothing but NULLs */
        sift = (struct sift){.way = SIFT_NULL, .column = &cursor->columns[bound->condition.column]};
        sieve->bound_passes_null = false;
    } else if (!is_told || (sift.way == SIFT_NOT_NULL && bound->passes_null)) {
        return OK;
    }
    sieve->sifts[-1] = sift;
    sieve->has_bound = true;
    return OK;
}

enum err bound_follow(struct cursor *cursor, struct error *error)
{
    struct sieve *sieve = &cursor->place.sieve;
    const struct scan_bound *bound = cursor->filter == NULL ? NULL : cursor->filter->bound;
    if (bound == NULL || bound->version == sieve->bound_version)
        return OK;
    enum err err = make_bound(cursor, error);
    sieve->bound_version = err == OK ? bound->version : 0;
    return err;
}

/* --- zones --- */

enum err cursor_zone(struct cursor *cursor, size_t morsel, size_t column, struct scan_zone *out,
                     struct error *error)
{
    struct morsel_place place = view_morsel_place(cursor->view, morsel);
    const struct cursor_column *asked = &cursor->columns[column];
    const struct sealed_footer *footer;
    *out = (struct scan_zone){0};
    if (place.entry == NULL || place.entry->sealed == NULL)
        return OK;
    enum err err = sealed_open(place.entry->sealed, &footer, error);
    if (err != OK)
        return err;
    const struct sealed_column *sealed = sealed_column_find(footer, asked->definition->id);
    if (sealed == NULL || sealed->entry_count != 0 || sealed->type.id != asked->definition->type.id)
        return OK;
    enum block_class class = block_class_of(sealed->type.id);
    const struct block_zone *zone = &sealed->blocks[place.index].zone;
    out->is_known = class == BLOCK_INTEGER || class == BLOCK_FLOAT;
    out->has_null = zone->null_count != 0;
    out->has_range = zone->has_range;
    out->least = zone->min;
    out->greatest = zone->max;
    return OK;
}
