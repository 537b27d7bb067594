/* The queries under way: for freshet.queries and for cancelling by id. One list under one lock: a
 * server runs tens of them, and each takes the lock a handful of times. */
#include "query/engine.h"
#include "storage/base/clock.h"

void registry_init(struct query_registry *registry)
{
    registry->first = NULL;
    mutex_init(&registry->mutex);
}

void registry_deinit(struct query_registry *registry)
{
    mutex_deinit(&registry->mutex);
}

/* Ids are each role's own: nobody learns of another's by the answer to theirs. */
static bool is_taken_by(const struct query_registry *registry, const struct query_entry *entry)
{
    const struct query_entry *other = registry->first;
    while (other != NULL &&
           !(strcmp(other->query_id, entry->query_id) == 0 && other->user_id == entry->user_id))
        other = other->next;
    return other != NULL;
}

static void put_first(struct query_registry *registry, struct query_entry *entry)
{
    entry->previous = NULL;
    entry->next = registry->first;
    if (entry->next != NULL)
        entry->next->previous = entry;
    registry->first = entry;
}

static void take_out(struct query_registry *registry, struct query_entry *entry)
{
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        registry->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
}

enum err registry_add(struct query_registry *registry, struct query_entry *entry, bool is_id_chosen,
                      struct error *error)
{
    mutex_lock(&registry->mutex);
    bool is_taken = is_id_chosen && is_taken_by(registry, entry);
    if (!is_taken)
        put_first(registry, entry);
    mutex_unlock(&registry->mutex);
    if (is_taken)
        return error_set(error, ERR_INPUT, "22023",
                         "a query with query_id \"%s\" is already running", entry->query_id);
    return OK;
}

void registry_remove(struct query_registry *registry, struct query_entry *entry)
{
    mutex_lock(&registry->mutex);
    take_out(registry, entry);
    mutex_unlock(&registry->mutex);
}

void registry_replace(struct query_registry *registry, struct query_entry *other,
                      struct query_entry *entry)
{
    mutex_lock(&registry->mutex);
    take_out(registry, other);
    put_first(registry, entry);
    if (atomic_load_explicit(&other->is_cancelled, memory_order_relaxed))
        atomic_store_explicit(&entry->is_cancelled, true, memory_order_relaxed);
    mutex_unlock(&registry->mutex);
}

void registry_set_exec(struct query_registry *registry, struct query_entry *entry,
                       const struct exec *exec)
{
    mutex_lock(&registry->mutex);
    entry->exec = exec;
    mutex_unlock(&registry->mutex);
}

void registry_set_clock(struct query_registry *registry, struct query_entry *entry,
                        int64_t cpu_clock, int64_t begin_us)
{
    mutex_lock(&registry->mutex);
    if (cpu_clock == 0)
        entry->cpu_used_us += clock_thread_cpu_us() - entry->cpu_begin_us;
    entry->cpu_clock = cpu_clock;
    entry->cpu_begin_us = begin_us;
    mutex_unlock(&registry->mutex);
}

bool registry_cancel(struct query_registry *registry, struct slice query_id,
                     const struct asker *asker)
{
    bool is_found = false;
    mutex_lock(&registry->mutex);
    for (struct query_entry *entry = registry->first; entry != NULL; entry = entry->next) {
        if (!slice_equal(slice_from_cstr(entry->query_id), query_id) ||
            !query_entry_is_seen(entry, asker))
            continue;
        atomic_store_explicit(&entry->is_cancelled, true, memory_order_relaxed);
        is_found = true;
    }
    mutex_unlock(&registry->mutex);
    return is_found;
}

void registry_visit(struct query_registry *registry,
                    void (*visit)(void *context, const struct query_entry *entry), void *context)
{
    mutex_lock(&registry->mutex);
    for (const struct query_entry *entry = registry->first; entry != NULL; entry = entry->next)
        visit(context, entry);
    mutex_unlock(&registry->mutex);
}
