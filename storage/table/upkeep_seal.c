/* Sealing: frozen segments become files, and readers get those instead.
 *
 *   inputs    the first frozen segments of a table, in position order, as many as one file takes
 *   write     sealed_write(): the file is durable and checked; nobody knows of it
 *   edit      the manifest has the file and the table's new sealed position; durable
 *   swap      the closed list has the file in their place; their memory goes with the last reader
 *
 * Between any two of these the store may stop: before the edit the file is one that nobody names,
 * and the log still has the rows; after it replay leaves them out. A table that was dropped or
 * truncated meanwhile no longer has the inputs: then the file is given up again. Merging takes the
 * same steps from other inputs. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define FREE_MEMORY_KEPT ((size_t)256 << 20)
#define TRIM_PERIOD_US INT64_C(60000000)
#include <stdlib.h>

/* --- the steps --- */

static void remember_orphan(struct store *store, uint64_t number)
{
    struct upkeep *upkeep = &store->upkeep;
    upkeep->orphans =
        memory_realloc(upkeep->orphans, (upkeep->orphan_count + 1) * sizeof(*upkeep->orphans));
    upkeep->orphans[upkeep->orphan_count++] = number;
}

static void unlink_segment(struct store *store, uint64_t number)
{
    char path[SEALED_PATH_SIZE];
    sealed_path(store->options.directory, number, path, sizeof(path));
    (void)store->upkeep_io->ops->unlink(store->upkeep_io, path,
                                        NULL); /* else the next start does */
}

/* manifest_append(), and what must be remembered when it fails. */
static enum err upkeep_append(struct store *store, const struct manifest_edit *edit,
                              struct error *error)
{
    struct upkeep *upkeep = &store->upkeep;
    struct manifest_edit rest = *edit;
    enum err err = OK;
    if (fault_is("upkeep.edit_in_halves") && edit->add_count != 0) {
        struct manifest_edit half = {.add_count = edit->add_count, .add = edit->add};
        err = manifest_append(store->manifest, &half, error);
        rest.add_count = 0;
    }
    if (err == OK)
        err = manifest_append(store->manifest, &rest, error);
    if (err != OK) {
        /* On the disk the edit may stand: what it names must not go before another edit says that
         * it does not. */
        for (size_t i = 0; i < edit->add_count; i++)
            remember_orphan(store, edit->add[i].number);
        return err;
    }
    for (size_t i = 0; i < upkeep->orphan_count; i++)
        unlink_segment(store, upkeep->orphans[i]);
    upkeep->orphan_count = 0;
    return OK;
}

/* Where the inputs lie in the list; -1 if they are not there, one behind the other. */
static int32_t find_inputs(const struct segment_list *closed, const struct segment_list *inputs)
{
    if (closed == NULL)
        return -1;
    for (uint32_t at = 0; at + inputs->count <= closed->count; at++) {
        uint32_t i = 0;
        while (i < inputs->count && closed->entries[at + i].sealed == inputs->entries[i].sealed &&
               closed->entries[at + i].segment == inputs->entries[i].segment)
            i++;
        if (i == inputs->count)
            return (int32_t)at;
    }
    return -1;
}

static struct segment_list *list_with(const struct segment_list *closed, uint32_t at,
                                      uint32_t gone_count, const struct segment_entry *entries,
                                      uint32_t count)
{
    uint32_t total = closed->count - gone_count + count;
    struct segment_entry *all = memory_alloc((total + 1) * sizeof(*all));
    for (uint32_t i = 0; i < at; i++)
        all[i] = closed->entries[i];
    for (uint32_t i = 0; i < count; i++)
        all[at + i] = entries[i];
    for (uint32_t i = at + count; i < total; i++)
        all[i] = closed->entries[i - count + gone_count];
    struct segment_list *list = segment_list_create(all, total);
    memory_free(all);
    return list;
}

bool upkeep_swap(struct store *store, uint32_t table_id, const struct segment_list *inputs,
                 const struct segment_entry *entries, uint32_t count)
{
    struct catalog *old = NULL;
    mutex_lock(&store->change_mutex);
    int32_t index = catalog_find_id(store->catalog, table_id);
    struct segment_list *closed = index >= 0 ? store->catalog->tables[index].closed : NULL;
    int32_t at = find_inputs(closed, inputs);
    if (at >= 0) {
        struct segment_list *list = list_with(closed, (uint32_t)at, inputs->count, entries, count);
        struct catalog *next = catalog_set_closed(store->catalog, (uint32_t)index, list);
        segment_list_unref(list);
        mutex_lock(&store->publish_mutex);
        old = store->catalog;
        store->catalog = next;
        mutex_unlock(&store->publish_mutex);
    }
    mutex_unlock(&store->change_mutex);
    if (old != NULL)
        catalog_unref(old);
    return old != NULL;
}

static_assert(offsetof(struct sealed_info, number) == 0, "looked for by its first member");

static int by_number(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return left < right ? -1 : left > right;
}

/* The numbers of the sealed ones that the manifest still has, rising. */
static uint64_t *numbers_of(const struct store *store, const struct segment_list *list,
                            size_t *count)
{
    uint32_t total = list != NULL ? list->count : 0;
    uint64_t *numbers = memory_alloc((total + 1) * sizeof(*numbers));
    size_t live_count;
    const struct sealed_info *live = manifest_segments(store->manifest, &live_count);
    *count = 0;
    for (uint32_t i = 0; i < total; i++) {
        if (list->entries[i].sealed == NULL)
            continue;
        uint64_t number = sealed_info(list->entries[i].sealed)->number;
        if (live_count != 0 && bsearch(&number, live, live_count, sizeof(*live), by_number) != NULL)
            numbers[(*count)++] = number;
    }
    qsort(numbers, *count, sizeof(*numbers), by_number);
    return numbers;
}

static void discard(const struct segment_list *list)
{
    for (uint32_t i = 0; list != NULL && i < list->count; i++) {
        if (list->entries[i].sealed != NULL)
            sealed_discard(list->entries[i].sealed);
    }
}

enum err upkeep_remove(struct store *store, const struct segment_list *closed,
                       const struct manifest_sealed *until, struct error *error)
{
    struct manifest_edit edit = {.sealed = until};
    uint64_t *numbers = numbers_of(store, closed, &edit.remove_count);
    edit.remove = numbers;
    edit.sealed_count =
        until != NULL && !fault_is("upkeep.loss_forgotten") &&
        until->position > manifest_sealed_position(store->manifest, until->table_id);
    enum err err = OK;
    if (edit.remove_count != 0)
        err = upkeep_append(store, &edit, error);
    memory_free(numbers);
    if (err == OK)
        discard(closed);
    return err;
}

/* Where a table lost what it had: it is in the list of what waits to be removed. */
static struct manifest_sealed loss_of(struct store *store, uint32_t table_id)
{
    struct manifest_sealed until = {.table_id = table_id};
    mutex_lock(&store->change_mutex);
    for (const struct dropped *dropped = store->dropped; dropped != NULL; dropped = dropped->next) {
        if (dropped->until.table_id == table_id && dropped->until.position > until.position)
            until.position = dropped->until.position;
    }
    mutex_unlock(&store->change_mutex);
    return until;
}

/* The file is there and durable: the manifest gets to know, then the readers. */
static enum err install(struct store *store, const struct sealed_info *info,
                        const struct segment_list *inputs, struct error *error)
{
    size_t remove_count;
    uint64_t *numbers = numbers_of(store, inputs, &remove_count);
    struct manifest_sealed sealed = {.table_id = info->table_id, .position = info->last_position};
    bool is_new = sealed.position > manifest_sealed_position(store->manifest, sealed.table_id) &&
                  !fault_is("upkeep.sealed_position");
    if (fault_is("upkeep.sealed_position_off"))
        sealed.position++;
    struct manifest_edit edit = {.add_count = 1,
                                 .add = info,
                                 .remove_count = remove_count,
                                 .remove = numbers,
                                 .sealed_count = is_new,
                                 .sealed = &sealed};
    if (fault_is("upkeep.delete_before_manifest")) {
        for (size_t i = 0; i < remove_count; i++)
            unlink_segment(store, numbers[i]);
    }
    enum err err = upkeep_append(store, &edit, error);
    memory_free(numbers);
    if (err != OK)
        return err;
    struct segment_entry entry = {
        .sealed = sealed_create(store->source, info),
        .published = {.rows = info->row_count,
                      .first_position = info->first_position,
                      .last_position = info->last_position},
    };
    if (upkeep_swap(store, info->table_id, inputs, &entry, 1)) {
        discard(inputs);
    } else {
        struct segment_list *given_up = segment_list_create(&entry, 1);
        struct manifest_sealed until = loss_of(store, info->table_id);
        err = upkeep_remove(store, given_up, &until, error);
        segment_list_unref(given_up);
    }
    sealed_unref(entry.sealed);
    return err;
}

static uint64_t first_position_of(const struct segment_entry *entry)
{
    return entry->sealed != NULL ? sealed_info(entry->sealed)->first_position
                                 : entry->published.first_position;
}

static uint64_t last_position_of(const struct segment_entry *entry)
{
    return entry->sealed != NULL ? sealed_info(entry->sealed)->last_position
                                 : entry->published.last_position;
}

enum err upkeep_write(struct store *store, const struct schema *schema, struct segment_list *inputs,
                      struct error *error)
{
    const struct table_view view = {.schema = schema, .closed = inputs};
    const struct seal_options options = {
        .io = store->upkeep_io,
        .directory = store->options.directory,
        .number = manifest_next_number(store->manifest),
        .view = &view,
        .created_at_us = clock_wall_us(),
        .first_position = first_position_of(&inputs->entries[0]),
        .last_position = last_position_of(&inputs->entries[inputs->count - 1]),
        .pause = upkeep_pause,
        .context = store,
        .budget = &store->upkeep.budget,
        .learnt = store->upkeep.learnt,
        .room = &store->room,
    };
    struct sealed_info info;
    enum err err = sealed_write(&options, &info, error);
    /* Sealing leaves tens of megabytes free in the heap of whichever worker did it. The next one
     * wants some of them again: giving all back each time held acknowledgements up for 50 ms, and
     * the page faults afterwards cost as much as a part of the sealing. */
    int64_t now_us = clock_monotonic_us();
    if (store->options.is_threaded && now_us >= store->upkeep.next_trim_us) {
        memory_trim(FREE_MEMORY_KEPT);
        store->upkeep.next_trim_us = now_us + TRIM_PERIOD_US;
    }
    return err == OK ? install(store, &info, inputs, error) : err;
}

/* --- which is next --- */

/* Frozen segments at the end of a closed list. */
static uint32_t frozen_begin(const struct segment_list *closed)
{
    uint32_t begin = closed->count;
    while (begin > 0 && closed->entries[begin - 1].segment != NULL)
        begin--;
    return begin;
}

bool upkeep_has_frozen(struct store *store, uint64_t position)
{
    struct catalog *catalog = store_catalog(store);
    bool has = false;
    for (uint32_t i = 0; i < catalog->table_count && !has; i++) {
        const struct segment_list *closed = catalog->tables[i].closed;
        uint32_t begin = closed != NULL ? frozen_begin(closed) : 0;
        has = closed != NULL && begin < closed->count &&
              closed->entries[begin].published.first_position <= position;
    }
    catalog_unref(catalog);
    return has;
}

size_t upkeep_frozen_count(struct store *store)
{
    struct catalog *catalog = store_catalog(store);
    size_t count = 0;
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct segment_list *closed = catalog->tables[i].closed;
        count += closed != NULL ? closed->count - frozen_begin(closed) : 0;
    }
    catalog_unref(catalog);
    return count;
}

struct candidate {
    const struct table_view *view;
    uint32_t begin;
    size_t bytes;
    uint64_t first_position;
};

/* Short of memory: what frees most. Else the oldest, which is what the log waits for. */
static bool is_before(const struct candidate *a, const struct candidate *b, bool is_urgent)
{
    return is_urgent ? a->bytes > b->bytes : a->first_position < b->first_position;
}

static struct candidate choose(const struct catalog *catalog, bool is_urgent)
{
    struct candidate best = {0};
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct segment_list *closed = catalog->tables[i].closed;
        if (closed == NULL)
            continue;
        struct candidate one = {.view = &catalog->tables[i], .begin = frozen_begin(closed)};
        if (one.begin == closed->count)
            continue;
        one.first_position = closed->entries[one.begin].published.first_position;
        for (uint32_t e = one.begin; e < closed->count; e++)
            one.bytes += segment_bytes(closed->entries[e].segment);
        if (best.view == NULL || is_before(&one, &best, is_urgent))
            best = one;
    }
    return best;
}

/* The first frozen one and neighbours, as many as one file takes. */
static struct segment_list *inputs_of(const struct store *store, const struct candidate *candidate)
{
    const struct segment_list *closed = candidate->view->closed;
    uint32_t end = candidate->begin + 1;
    uint64_t rows = closed->entries[candidate->begin].published.rows;
    while (end < closed->count &&
           rows + closed->entries[end].published.rows <= store->applier.seal_rows)
        rows += closed->entries[end++].published.rows;
    return segment_list_create(&closed->entries[candidate->begin], end - candidate->begin);
}

enum err upkeep_seal(struct store *store, bool *did, struct error *error)
{
    struct catalog *catalog = store_catalog(store);
    bool is_urgent = atomic_load_explicit(&store->upkeep.is_urgent, memory_order_relaxed) &&
                     store->upkeep.goal_position == 0;
    struct candidate candidate = choose(catalog, is_urgent);
    enum err err = OK;
    *did = candidate.view != NULL;
    if (*did) {
        struct segment_list *inputs = inputs_of(store, &candidate);
        store->upkeep.work = UPKEEP_SEALING;
        int64_t begin_us = clock_monotonic_us();
        err = upkeep_write(store, candidate.view->schema, inputs, error);
        if (err == OK) {
            metric_add(&metrics.seals, 1);
            metric_add(&metrics.sealed_rows, (int64_t)inputs->row_count);
            latency_record(LATENCY_SEAL, clock_monotonic_us() - begin_us);
        }
        segment_list_unref(inputs);
    }
    catalog_unref(catalog);
    return err;
}

/* --- dropped tables --- */

enum err upkeep_drop(struct store *store, bool *did, struct error *error)
{
    mutex_lock(&store->change_mutex);
    struct dropped *dropped = store->dropped;
    if (dropped != NULL)
        store->dropped = dropped->next;
    mutex_unlock(&store->change_mutex);
    *did = dropped != NULL;
    if (dropped == NULL)
        return OK;
    store->upkeep.work = UPKEEP_DROPPING;
    enum err err = upkeep_remove(store, dropped->closed, &dropped->until, error);
    if (err != OK) { /* again later */
        mutex_lock(&store->change_mutex);
        dropped->next = store->dropped;
        store->dropped = dropped;
        mutex_unlock(&store->change_mutex);
        return err;
    }
    segment_list_unref(dropped->closed);
    memory_free(dropped);
    return OK;
}
