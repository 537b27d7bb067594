/* A sealed segment: what the manifest says of it, and when somebody needs it, its footer.
 *
 * Life: the catalog's list of closed segments holds a reference, and so does every list that an
 * older snapshot still has. `sealed_discard` says that no manifest names the file any more; the
 * last reference then takes the file along. So a query reads on undisturbed in segments that were
 * merged away or ran out of retention under it. */
#include "storage/segment/source.h"

#include <assert.h>
#include <stdio.h>

struct sealed *sealed_create(struct sealed_source *source, const struct sealed_info *info)
{
    assert(info->row_count > 0 && info->row_count <= SEALED_ROWS_MAX);
    struct sealed *sealed = memory_alloc_zero(sizeof(*sealed));
    atomic_init(&sealed->references, 1);
    atomic_init(&sealed->is_discarded, false);
    atomic_init(&sealed->contents, NULL);
    sealed->source = source;
    sealed->info = *info;
    return sealed;
}

struct sealed *sealed_ref(struct sealed *sealed)
{
    atomic_fetch_add_explicit(&sealed->references, 1, memory_order_relaxed);
    return sealed;
}

static void contents_destroy(struct sealed_contents *contents)
{
    if (contents == NULL)
        return;
    arena_deinit(&contents->arena);
    memory_free(contents);
}

void sealed_unref(struct sealed *sealed)
{
    /* acq_rel: whoever frees has seen every other owner's last use. */
    uint32_t before = atomic_fetch_sub_explicit(&sealed->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before != 1)
        return;
    cache_drop(source_cache(sealed->source), &sealed->anchor);
    source_forget(sealed->source, sealed);
    if (atomic_load_explicit(&sealed->is_discarded, memory_order_relaxed))
        source_remove(sealed->source, sealed->info.number);
    contents_destroy(atomic_load_explicit(&sealed->contents, memory_order_relaxed));
    memory_free(sealed);
}

const struct sealed_info *sealed_info(const struct sealed *sealed)
{
    return &sealed->info;
}

void sealed_discard(struct sealed *sealed)
{
    atomic_store_explicit(&sealed->is_discarded, true, memory_order_relaxed);
}

void sealed_path(const char *directory, uint64_t number, char *out, size_t out_size)
{
    int length = snprintf(out, out_size, "%s%s" SEALED_DIRECTORY "/%016llx.fseg", directory,
                          directory[0] == 0 ? "" : "/", (unsigned long long)number);
    assert(length > 0 && (size_t)length < out_size);
}

const struct sealed_footer *sealed_footer_known(const struct sealed *sealed)
{
    struct sealed_contents *contents =
        atomic_load_explicit(&sealed->contents, memory_order_acquire);
    return contents == NULL ? NULL : &contents->footer;
}

const struct sealed_column *sealed_column_find(const struct sealed_footer *footer,
                                               uint32_t column_id)
{
    uint32_t first = 0, last = footer->column_count;
    while (first < last) {
        uint32_t middle = first + (last - first) / 2;
        if (footer->columns[middle].column_id == column_id)
            return &footer->columns[middle];
        if (footer->columns[middle].column_id < column_id)
            first = middle + 1;
        else
            last = middle;
    }
    return NULL;
}
