/* Sealed segments at a start: which of those the manifest names belong to which table.
 *
 * A table gets its segments where it comes into being: with the checkpoint, or at the CREATE that
 * replay meets. At a TRUNCATE it keeps those whose rows came after it (sealed before the crash, of
 * records that replay has still to pass and leaves out). What nobody has at the end belonged to
 * tables that were dropped or rows that were truncated while upkeep had not yet said so.
 *
 * No segment file is opened here: the directory is listed once, so that one that is missing is told
 * at the start and not by the first query that needs it. */
#include "storage/table/private.h"

#include "storage/base/logger.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUFFIX ".fseg"
#define DIGITS 16

static int by_position(const void *a, const void *b)
{
    const struct sealed_info *left = *(const struct sealed_info *const *)a;
    const struct sealed_info *right = *(const struct sealed_info *const *)b;
    if (left->first_position != right->first_position)
        return left->first_position < right->first_position ? -1 : 1;
    return left->number < right->number ? -1 : left->number > right->number;
}

/* The manifest's segments of a table from a position on, in position order; freed by the caller. */
static const struct sealed_info **segments_of(const struct manifest *manifest, uint32_t table_id,
                                              uint64_t truncated_position, uint32_t *count)
{
    size_t total;
    const struct sealed_info *all = manifest_segments(manifest, &total);
    const struct sealed_info **found = memory_alloc((total + 1) * sizeof(*found));
    *count = 0;
    for (size_t i = 0; i < total; i++) {
        if (all[i].table_id == table_id && all[i].last_position >= truncated_position)
            found[(*count)++] = &all[i];
    }
    if (*count > 1)
        qsort(found, *count, sizeof(*found), by_position);
    return found;
}

void store_attach(struct store *store, struct catalog *catalog, uint32_t table_id)
{
    int32_t index = catalog_find_id(catalog, table_id);
    assert(index >= 0);
    struct table_view *view = &catalog->tables[index];
    uint32_t count;
    const struct sealed_info **infos =
        segments_of(store->manifest, table_id, view->truncated_position, &count);
    struct segment_entry *entries = memory_alloc_zero((count + 1) * sizeof(*entries));
    for (uint32_t i = 0; i < count; i++)
        entries[i].sealed = sealed_create(store->source, infos[i]);
    struct segment_list *list = segment_list_create(entries, count);
    for (uint32_t i = 0; i < count; i++)
        sealed_unref(entries[i].sealed);
    segment_list_unref(view->closed);
    view->closed = list;
    memory_free(entries);
    memory_free(infos);
}

/* --- files --- */

struct listing {
    struct store *store;
    uint64_t *numbers; /* rising, as names are sorted */
    size_t count, capacity;
};

static void segments_path(const struct store *store, char *out)
{
    const char *directory = store->options.directory;
    int length = snprintf(out, SEALED_PATH_SIZE, "%s%s%s", directory, directory[0] == 0 ? "" : "/",
                          SEALED_DIRECTORY);
    assert(length > 0 && length < SEALED_PATH_SIZE);
}

/* 0: not a segment's. */
static uint64_t number_of(const char *name)
{
    uint64_t number = 0;
    for (size_t i = 0; i < DIGITS; i++) {
        const char *digit = name[i] == 0 ? NULL : strchr("0123456789abcdef", name[i]);
        if (digit == NULL)
            return 0;
        number = number << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    return strcmp(name + DIGITS, SUFFIX) == 0 ? number : 0;
}

static void add_number(void *context, const char *name)
{
    struct listing *listing = context;
    uint64_t number = number_of(name);
    if (number == 0)
        return;
    if (listing->count == listing->capacity) {
        listing->capacity = listing->capacity * 2 + 64;
        listing->numbers =
            memory_realloc(listing->numbers, listing->capacity * sizeof(*listing->numbers));
    }
    listing->numbers[listing->count++] = number;
}

static bool has_number(const struct listing *listing, uint64_t number)
{
    size_t first = 0, last = listing->count;
    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (listing->numbers[middle] < number)
            first = middle + 1;
        else
            last = middle;
    }
    return first < listing->count && listing->numbers[first] == number;
}

enum err store_refuse_strangers(struct store *store, struct error *error)
{
    struct io *io = store->options.io;
    const char *directory = store->options.directory;
    char path[SEALED_PATH_SIZE];
    struct io_file *file;
    int length =
        snprintf(path, sizeof(path), "%s%smanifest", directory, directory[0] == 0 ? "" : "/");
    assert(length > 0 && (size_t)length < sizeof(path));
    enum err err = io->ops->open(io, path, 0, &file, error);
    if (err == OK)
        return io->ops->close(file, error);
    if (err != ERR_NOT_FOUND)
        return err;
    struct listing listing = {.store = store};
    segments_path(store, path);
    err = io->ops->list(io, path, add_number, &listing, error);
    memory_free(listing.numbers);
    if (err == ERR_NOT_FOUND)
        return OK;
    if (err == OK && listing.count != 0)
        return error_set(error, ERR_CORRUPT, NULL,
                         "the manifest is missing, but %s has %zu segment files, which a start "
                         "without it would remove",
                         path, listing.count);
    return err;
}

enum err store_check_segments(struct store *store, struct error *error)
{
    struct io *io = store->options.io;
    char path[SEALED_PATH_SIZE];
    segments_path(store, path);
    enum err err = io->ops->mkdir(io, path, error);
    if (err == OK)
        err = io->ops->sync_directory(io, store->options.directory, error);
    struct listing listing = {.store = store};
    if (err == OK)
        err = io->ops->list(io, path, add_number, &listing, error);
    size_t count;
    const struct sealed_info *all = manifest_segments(store->manifest, &count);
    for (size_t i = 0; i < count && err == OK; i++) {
        if (has_number(&listing, all[i].number))
            continue;
        sealed_path(store->options.directory, all[i].number, path, sizeof(path));
        err = error_set(error, ERR_CORRUPT, NULL,
                        "the segment file %s is missing: rows of table %u, positions %" PRIu64
                        " to %" PRIu64,
                        path, all[i].table_id, all[i].first_position, all[i].last_position);
    }
    memory_free(listing.numbers);
    return err;
}

static void remove_unnamed(void *context, const char *name)
{
    struct listing *listing = context;
    struct store *store = listing->store;
    uint64_t number = number_of(name);
    if (number != 0 && has_number(listing, number))
        return;
    char directory[SEALED_PATH_SIZE], path[SEALED_PATH_SIZE];
    segments_path(store, directory);
    int length = snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return;
    if (store->options.io->ops->unlink(store->options.io, path, NULL) != OK)
        logger_write(LOG_WARN, "cannot remove an unfinished segment file=%s", path);
}

static bool is_attached(const struct catalog *catalog, const struct sealed_info *info)
{
    int32_t index = catalog_find_id(catalog, info->table_id);
    return index >= 0 && info->last_position >= catalog->tables[index].truncated_position;
}

/* Is it in the list of what upkeep removes, when its readers are gone? */
static bool is_dropped(const struct store *store, const struct sealed_info *info)
{
    for (const struct dropped *dropped = store->dropped; dropped != NULL; dropped = dropped->next) {
        for (uint32_t i = 0; dropped->closed != NULL && i < dropped->closed->count; i++) {
            if (sealed_info(dropped->closed->entries[i].sealed)->number == info->number)
                return true;
        }
    }
    return false;
}

/* What no table has, out of the manifest. Upkeep moves the sealed position of a table it removes
 * something of to where that was lost; here it is not behind a sealed position there is. */
static enum err remove_unattached(struct store *store, struct error *error)
{
    size_t segment_count;
    const struct sealed_info *all = manifest_segments(store->manifest, &segment_count);
    uint64_t *remove = memory_alloc((segment_count + 1) * sizeof(*remove));
    struct manifest_edit edit = {.remove = remove};
    for (size_t i = 0; i < segment_count; i++) {
        if (!is_attached(store->catalog, &all[i]) && !is_dropped(store, &all[i]))
            remove[edit.remove_count++] = all[i].number;
    }
    enum err err = OK;
    if (edit.remove_count != 0)
        err = manifest_append(store->manifest, &edit, error);
    memory_free(remove);
    return err;
}

enum err store_tidy_segments(struct store *store, struct error *error)
{
    enum err err = remove_unattached(store, error);
    if (err != OK)
        return err;
    struct listing named = {.store = store};
    size_t count;
    const struct sealed_info *all = manifest_segments(store->manifest, &count);
    named.numbers = memory_alloc((count + 1) * sizeof(*named.numbers));
    for (size_t i = 0; i < count; i++)
        named.numbers[named.count++] = all[i].number;
    char path[SEALED_PATH_SIZE];
    segments_path(store, path);
    err = store->options.io->ops->list(store->options.io, path, remove_unnamed, &named, error);
    memory_free(named.numbers);
    return err;
}
