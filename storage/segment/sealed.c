/* A sealed segment: what the manifest says of it, and when somebody needs it, its footer.
 *
 * Life: the catalog's list of closed segments holds a reference, and so does every list that an
 * older snapshot still has. `sealed_discard` says that no manifest names the file any more; the
 * last reference then takes the file along. So a query reads on undisturbed in segments that were
 * merged away or ran out of retention under it. */
#include "storage/base/logger.h"
#include "storage/base/metrics.h"
#include "storage/segment/source.h"

#include <assert.h>
#include <stdio.h>

struct sealed *sealed_create(struct sealed_source *source, const struct sealed_info *info)
{
    assert(info->row_count > 0 && info->row_count <= SEALED_ROWS_MAX);
    struct sealed *sealed = memory_alloc_zero(sizeof(*sealed));
    atomic_init(&sealed->references, 1);
    atomic_init(&sealed->is_discarded, false);
    atomic_init(&sealed->is_damaged, false);
    atomic_init(&sealed->is_unreadable, false);
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
    source_forget(sealed);
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

void sealed_note_damage(struct sealed *sealed, const char *text)
{
    if (atomic_exchange_explicit(&sealed->is_damaged, true, memory_order_relaxed))
        return;
    metric_add(&metrics.damaged_segments, 1);
    logger_write(LOG_ERROR, "a segment cannot be read, it is not merged any more reason=\"%s\"",
                 text);
}

void sealed_note_unreadable(struct sealed *sealed, const char *text)
{
    atomic_fetch_add_explicit(&sealed->failed_reads, 1, memory_order_relaxed);
    if (!atomic_exchange_explicit(&sealed->is_unreadable, true, memory_order_relaxed))
        logger_write(LOG_ERROR, "a segment could not be read error=\"%s\"", text);
}

void sealed_note_read(struct sealed *sealed)
{
    if (atomic_load_explicit(&sealed->is_unreadable, memory_order_relaxed))
        atomic_store_explicit(&sealed->is_unreadable, false, memory_order_relaxed);
}

bool sealed_is_damaged(const struct sealed *sealed)
{
    return atomic_load_explicit(&sealed->is_damaged, memory_order_relaxed);
}

bool sealed_is_unreadable(const struct sealed *sealed)
{
    return sealed_is_damaged(sealed) || sealed->failed_rewrites >= SEALED_REWRITES_MAX ||
           atomic_load_explicit(&sealed->is_unreadable, memory_order_relaxed);
}

void sealed_rewrite_begin(struct sealed *sealed)
{
    sealed->reads_before = atomic_load_explicit(&sealed->failed_reads, memory_order_relaxed);
}

bool sealed_rewrite_failed(struct sealed *sealed)
{
    if (sealed_is_damaged(sealed))
        return true;
    if (atomic_load_explicit(&sealed->failed_reads, memory_order_relaxed) == sealed->reads_before)
        return false;
    if (++sealed->failed_rewrites == SEALED_REWRITES_MAX) {
        char path[SEALED_PATH_SIZE];
        sealed_path("", sealed->info.number, path, sizeof(path));
        metric_add(&metrics.damaged_segments, 1);
        logger_write(LOG_ERROR,
                     "a segment could not be read %d times, it is not merged until the next start"
                     " file=%s",
                     SEALED_REWRITES_MAX, path);
    }
    return true;
}

void sealed_path(const char *directory, uint64_t number, char *out, size_t out_size)
{
    int length = snprintf(out, out_size, "%s%s" SEALED_DIRECTORY "/%016llx.fseg", directory,
                          directory[0] == 0 ? "" : "/", (unsigned long long)number);
    assert(length > 0 && (size_t)length < out_size);
}

/* The footer says the same as the manifest, or one of them is not what was written. */
static bool is_same(const struct sealed_info *info, const struct sealed_footer *footer)
{
    return footer->number == info->number && footer->table_id == info->table_id &&
           footer->row_count == info->row_count;
}

static enum err contents_read(struct sealed *sealed, struct sealed_contents *contents,
                              struct error *error)
{
    const struct sealed_info *info = &sealed->info;
    void *bytes = memory_alloc(info->footer_size);
    struct error cause = {0};
    enum err err = source_read_footer(sealed, bytes, error);
    if (err == OK) {
        err = footer_read(slice_of(bytes, info->footer_size), info->bytes, &contents->arena,
                          &contents->footer, &cause);
        if (err == OK && !is_same(info, &contents->footer))
            err = error_set(&cause, ERR_CORRUPT, NULL, "the footer is another segment's");
        if (err != OK) {
            char path[SEALED_PATH_SIZE];
            struct error told;
            sealed_path("", info->number, path, sizeof(path));
            error_set(&told, err, NULL, "segment file %s, offset %llu: %s", path,
                      (unsigned long long)info->footer_offset, cause.text);
            if (err == ERR_CORRUPT)
                sealed_note_damage(sealed, told.text);
            if (error != NULL)
                *error = told;
        }
    }
    memory_free(bytes);
    return err;
}

/* Nothing is locked while the file is read: of several threads that come first at once, one leaves
 * its footer and the others free theirs. */
enum err sealed_open(struct sealed *sealed, const struct sealed_footer **footer,
                     struct error *error)
{
    struct sealed_contents *known = atomic_load_explicit(&sealed->contents, memory_order_acquire);
    if (known == NULL) {
        struct sealed_contents *contents = memory_alloc_zero(sizeof(*contents));
        arena_init(&contents->arena);
        enum err err = contents_read(sealed, contents, error);
        if (err != OK) {
            contents_destroy(contents);
            return err;
        }
        contents->dictionary_id = source_take_ids(sealed->source, contents->footer.column_count);
        if (atomic_compare_exchange_strong_explicit(&sealed->contents, &known, contents,
                                                    memory_order_acq_rel, memory_order_acquire))
            known = contents;
        else
            contents_destroy(contents);
    }
    *footer = &known->footer;
    return OK;
}

uint64_t sealed_dictionary_id(const struct sealed *sealed, const struct sealed_column *column)
{
    const struct sealed_contents *contents =
        atomic_load_explicit(&sealed->contents, memory_order_acquire);
    return contents->dictionary_id + (uint64_t)(column - contents->footer.columns);
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
