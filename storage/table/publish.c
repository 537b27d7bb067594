/* From the log to the readers: what the log calls back with.
 *
 *   replay   decode, apply, extension, publish       one record at a time, read by others meanwhile
 *   apply    decode, append rows unseen              while the group is being written
 *   publish  extension, counts and position          after the sync
 *   abandon  forget what was applied                 after the second failure
 *
 * Acknowledged = durable = visible: `publish` comes after the sync and before any `done`. It makes
 * the whole group visible in one critical section, which sets as many counters as the group has
 * parts; a new catalog is built outside of it. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <assert.h>

static void extension_apply(struct store *store, const struct effect *effect)
{
    const struct store_extension *extension = &store->options.extension;
    if (extension->apply == NULL)
        return;
    arena_reset(&store->scratch);
    struct record_view view = effect_view(effect, &store->scratch);
    extension->apply(extension->context, &view);
}

/* The sealed ones of a list; what waits in memory is not held back. */
static struct segment_list *sealed_of(const struct segment_list *closed)
{
    uint32_t count = 0;
    while (closed != NULL && count < closed->count && closed->entries[count].sealed != NULL)
        count++;
    return count != 0 ? segment_list_create(closed->entries, count) : NULL;
}

/* Sealed segments that a change takes out of the catalog: upkeep takes them out of the manifest. */
static void note_dropped(struct store *store, const struct effect *effect,
                         const struct catalog *catalog)
{
    if (effect->change != CHANGE_DROP && effect->change != CHANGE_TRUNCATE)
        return;
    int32_t index = catalog_find_id(catalog, effect->change_table_id);
    assert(index >= 0);
    struct dropped *dropped = memory_alloc(sizeof(*dropped));
    *dropped = (struct dropped){
        .until = {.table_id = effect->change_table_id, .position = effect->position},
        .closed = sealed_of(catalog->tables[index].closed),
        .next = store->dropped};
    store->dropped = dropped;
}

static void wake_waiters(struct store *store)
{
    if (atomic_load_explicit(&store->waiter_count, memory_order_seq_cst) == 0)
        return;
    mutex_lock(&store->wait_mutex);
    condition_broadcast(&store->waited);
    mutex_unlock(&store->wait_mutex);
}

static void set_visible(struct store *store, uint64_t position)
{
    atomic_store_explicit(&store->position, position, memory_order_seq_cst);
}

/* --- replay --- */

/* Nothing there is of later records than the last one replayed: no rows, and no segment that was
 * written when its table had another definition, which may lack columns that are still to be
 * dropped. */
static bool is_whole(const struct store *store, const struct catalog *catalog, uint64_t position)
{
    if (fault_is("store.readable_early"))
        return true;
    if (position < store->readable_position)
        return false;
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct segment_list *closed = catalog->tables[i].closed;
        for (uint32_t e = 0; closed != NULL && e < closed->count; e++) {
            const struct sealed *sealed = closed->entries[e].sealed;
            if (sealed != NULL &&
                sealed_info(sealed)->schema_version > catalog->tables[i].schema->version)
                return false;
        }
    }
    return true;
}

void store_look_readable(struct store *store, uint64_t position)
{
    if (!store_is_readable(store) && is_whole(store, store->catalog, position))
        atomic_store_explicit(&store->is_readable, true, memory_order_release);
}

/* As publishing does it, a record at a time: segments that were read before a change may still be
 * read after it. */
static void publish_replayed(struct store *store, const struct effect *effect)
{
    struct catalog *old = store->catalog;
    if (effect->position > store->readable_position)
        note_dropped(store, effect, old);
    struct catalog *next = effect_change(effect, catalog_ref(old));
    if (effect->change == CHANGE_CREATE || effect->change == CHANGE_TRUNCATE)
        store_attach(store, next, effect->change_table_id);
    effect_locate(effect, next);
    mutex_lock(&store->publish_mutex);
    effect_publish(effect, next);
    store->catalog = next;
    set_visible(store, effect->position);
    mutex_unlock(&store->publish_mutex);
    catalog_unref(old);
    if (effect->position == store->readable_position || effect->change != CHANGE_NONE)
        store_look_readable(store, effect->position);
    wake_waiters(store);
}

enum err store_replay(void *context, uint64_t position, struct slice payload, struct error *error)
{
    struct store *store = context;
    /* Readable from the start: the checkpoint has everything that these did. */
    if (position <= store->checkpoint_position && store_is_readable(store))
        return OK;
    if (fault_is("store.slow_replay"))
        clock_sleep_us(20000);
    arena_reset(&store->replay_arena);
    struct record record;
    struct effect effect = {0};
    enum err err = record_decode(payload, &store->replay_arena, &record, error);
    if (err == OK)
        err = applier_apply(&store->applier, position, &record, NULL, &store->replay_arena, &effect,
                            error);
    if (err == OK) {
        /* Up to the checkpoint its state holds all but the rows. */
        if (position > store->checkpoint_position || fault_is("store.extension_replayed_twice"))
            extension_apply(store, &effect);
        publish_replayed(store, &effect);
    }
    effect_deinit(&effect);
    if (err == OK && store->options.replayed != NULL)
        store->options.replayed(store->options.replayed_context, store);
    return err;
}

/* --- live --- */

void store_apply(void *context, struct log_entry *entry)
{
    struct store *store = context;
    struct commit *commit = entry->context;
    struct error error = {0};
    enum err err = record_decode(entry->payload, &commit->arena, &commit->record, &error);
    if (err == OK)
        err = applier_apply(&store->applier, entry->position, &commit->record, commit->wish,
                            &commit->arena, &commit->effect, &error);
    assert(err == OK); /* we wrote it, and the gate has seen it */
    commit->next = NULL;
    *store->applied_last = commit;
    store->applied_last = &commit->next;
    if (fault_is("store.extension_before_durable"))
        extension_apply(store, &commit->effect);
    if (fault_is("store.visible_before_durable"))
        store_publish(store, entry->position);
}

void store_abandon(void *context, uint64_t position)
{
    struct store *store = context;
    assert(position == store_position(store) || fault_is("store.visible_before_durable"));
    for (struct commit *commit = store->applied_first; commit != NULL; commit = commit->next)
        effect_deinit(&commit->effect);
    store->applied_first = NULL;
    store->applied_last = &store->applied_first;
    struct catalog *catalog = store_catalog(store);
    applier_reset(&store->applier, catalog);
    mutex_lock(&store->submit_mutex);
    gate_reset(&store->gate, catalog);
    mutex_unlock(&store->submit_mutex);
    catalog_unref(catalog);
}

/* Takes the commits up to `position` off the applied list. */
static struct commit *take_applied(struct store *store, uint64_t position, bool *has_change)
{
    struct commit *first = store->applied_first;
    struct commit **last = &store->applied_first;
    *has_change = false;
    while (*last != NULL && (*last)->entry.position <= position) {
        *has_change |= effect_changes_catalog(&(*last)->effect) || (*last)->capture != NULL;
        last = &(*last)->next;
    }
    if (last == &store->applied_first)
        return NULL;
    store->applied_first = *last;
    *last = NULL;
    if (store->applied_first == NULL)
        store->applied_last = &store->applied_first;
    return first;
}

static void extension_publish(struct store *store, const struct effect *effect)
{
    if (!fault_is("store.extension_before_durable"))
        extension_apply(store, effect);
}

/* A group without DDL: counters of the catalog that is there. */
static void publish_rows(struct store *store, struct commit *first, uint64_t position)
{
    for (struct commit *commit = first; commit != NULL; commit = commit->next) {
        extension_publish(store, &commit->effect);
        effect_locate(&commit->effect, store->catalog);
    }
    mutex_lock(&store->publish_mutex);
    for (struct commit *commit = first; commit != NULL; commit = commit->next)
        effect_publish(&commit->effect, store->catalog);
    set_visible(store, position);
    mutex_unlock(&store->publish_mutex);
}

/* A group with DDL, closed segments or a checkpoint: a catalog of its own, record by record, then
 * swapped in. */
static struct catalog *publish_changes(struct store *store, struct commit *first, uint64_t position)
{
    struct catalog *next = catalog_change(store->catalog, CHANGE_NONE, 0, NULL, NULL);
    for (struct commit *commit = first; commit != NULL; commit = commit->next) {
        extension_publish(store, &commit->effect);
        note_dropped(store, &commit->effect, next);
        next = effect_change(&commit->effect, next);
        effect_locate(&commit->effect, next);
        effect_publish(&commit->effect, next);
        if (commit->capture != NULL)
            capture_take(store, next, commit->entry.position, commit->capture);
    }
    mutex_lock(&store->publish_mutex);
    struct catalog *old = store->catalog;
    store->catalog = next;
    set_visible(store, position);
    mutex_unlock(&store->publish_mutex);
    return old;
}

void store_publish(void *context, uint64_t position)
{
    struct store *store = context;
    bool has_change;
    struct catalog *old = NULL;
    struct commit *first = take_applied(store, position, &has_change);
    mutex_lock(&store->change_mutex);
    if (has_change)
        old = publish_changes(store, first, position);
    else
        publish_rows(store, first, position);
    mutex_unlock(&store->change_mutex);
    if (old != NULL)
        catalog_unref(old);
    wake_waiters(store);
}

struct catalog *store_catalog(struct store *store)
{
    mutex_lock(&store->publish_mutex);
    struct catalog *catalog = catalog_ref(store->catalog);
    mutex_unlock(&store->publish_mutex);
    return catalog;
}
