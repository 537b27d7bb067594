/* Commits under construction, and their way through the gate.
 *
 * A commit is encoded while it is built, on the thread that has the batch in its cache, and lies so
 * that a large one goes to disk from where it is. Submitting takes the submit lock for the checks
 * and the position; `done` takes it too before anything is freed, so the submitter may read the
 * entry until it lets go. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"

#include <assert.h>

/* --- buffers --- */

/* Memory that was used a moment ago is there and in some cache. A buffer of a megabyte that comes
 * from the allocator and goes back to it is a page fault every 4 KiB, each time. */
static struct writer take_buffer(struct store *store)
{
    struct writer buffer;
    writer_init_block(&buffer, LOG_ENTRY_HEAD);
    mutex_lock(&store->spare_mutex);
    if (store->spare_count > 0)
        buffer = store->spare[--store->spare_count];
    mutex_unlock(&store->spare_mutex);
    return buffer;
}

static void give_buffer(struct store *store, struct writer *buffer)
{
    bool is_kept = false;
    if (buffer->capacity > 0 && buffer->capacity <= COMMIT_SPARE_SIZE_MAX) {
        writer_reset(buffer);
        mutex_lock(&store->spare_mutex);
        is_kept = store->spare_count < COMMIT_SPARES;
        if (is_kept)
            store->spare[store->spare_count++] = *buffer;
        mutex_unlock(&store->spare_mutex);
    }
    if (!is_kept)
        writer_deinit(buffer);
}

/* Huge pages: the kernel takes hold of one once for a write, not of every 4 KiB of it (25 ns an
 * event of 1 KB), and the disk gets one piece. Two for a batch of messages that has grown behind a
 * slow log: what comes from the allocator may be cleared each time. There are few, made when they
 * are first wanted; who finds none takes what the allocator has. */
static bool take_large(struct store *store, struct writer *buffer)
{
    writer_init_block(buffer, LOG_ENTRY_HEAD);
    mutex_lock(&store->spare_mutex);
    bool is_spare = store->large_count > 0;
    bool is_new = !is_spare && store->large_made < COMMIT_LARGE;
    if (is_spare)
        *buffer = store->large[--store->large_count];
    store->large_made += is_new;
    mutex_unlock(&store->spare_mutex);
    if (is_new)
        (void)writer_reserve(buffer, COMMIT_LARGE_SIZE);
    assert(buffer->capacity == (is_spare || is_new ? COMMIT_LARGE_SIZE : 0));
    return is_spare || is_new;
}

/* One that has grown is no such page any more. */
static void give_large(struct store *store, struct writer *buffer)
{
    bool is_large = buffer->capacity == COMMIT_LARGE_SIZE;
    mutex_lock(&store->spare_mutex);
    if (is_large) {
        writer_reset(buffer);
        store->large[store->large_count++] = *buffer;
    } else {
        store->large_made--;
    }
    mutex_unlock(&store->spare_mutex);
    if (!is_large)
        give_buffer(store, buffer);
}

void commit_buffers_init(struct store *store)
{
    mutex_init(&store->spare_mutex);
}

void commit_buffers_deinit(struct store *store)
{
    for (uint32_t i = 0; i < store->spare_count; i++)
        writer_deinit(&store->spare[i]);
    for (uint32_t i = 0; i < store->large_count; i++)
        writer_deinit(&store->large[i]);
    assert(store->large_count == store->large_made);
    mutex_deinit(&store->spare_mutex);
}

/* --- building --- */

struct commit *commit_create(struct store *store)
{
    struct commit *commit = memory_alloc_zero(sizeof(*commit));
    commit->store = store;
    commit->bytes = take_buffer(store);
    commit->bytes.limit = LOG_RECORD_SIZE_MAX;
    arena_init(&commit->arena);
    record_begin(&commit->bytes);
    return commit;
}

void commit_destroy(struct commit *commit)
{
    for (struct commit_part *part = commit->parts; part != NULL; part = part->next)
        schema_unref(part->gate.schema);
    schema_unref(commit->change_schema);
    if (commit->charged != 0)
        budget_release(&commit->store->budget, commit->charged);
    if (commit->has_large)
        give_large(commit->store, &commit->bytes);
    else
        give_buffer(commit->store, &commit->bytes);
    arena_deinit(&commit->arena);
    memory_free(commit);
}

/* Codes and texts are in the record as well. */
static size_t row_size(const struct schema *schema)
{
    size_t size = 0;
    for (uint32_t i = 0; i < schema->column_count; i++)
        size += type_stored_width(schema->columns[i].type.id);
    return size;
}

void commit_add_rows(struct commit *commit, const struct schema *schema, const uint32_t *column_ids,
                     const struct batch *batch)
{
    if (batch->row_count == 0)
        return;
    record_add_rows(&commit->bytes, schema, column_ids, batch);
    commit->rows_size += batch->row_count * row_size(schema);
    struct commit_part *part = arena_alloc(&commit->arena, sizeof(*part));
    uint32_t *ids = arena_alloc_array(&commit->arena, batch->column_count, sizeof(*ids));
    memcpy(ids, column_ids, batch->column_count * sizeof(*ids));
    *part = (struct commit_part){.gate = {.schema = schema_ref(schema),
                                          .column_ids = ids,
                                          .column_count = batch->column_count},
                                 .next = commit->parts};
    commit->parts = part;
}

void commit_add_section(struct commit *commit, uint32_t kind, struct slice bytes)
{
    if (fault_is("store.sections_apart")) {
        if (commit->split == NULL)
            commit->split = commit_create(commit->store);
        commit = commit->split;
    }
    record_add_section(&commit->bytes, kind, bytes);
}

void commit_set_change(struct commit *commit, enum change_kind kind, uint32_t table_id,
                       struct schema *schema)
{
    assert(commit->change == CHANGE_NONE);
    assert(schema == NULL || schema->table_id == table_id);
    commit->change = kind;
    commit->change_table_id = table_id;
    commit->change_schema = schema;
    record_add_change(&commit->bytes, kind, table_id, schema);
}

/* Into a large buffer, if there is one. */
static void enlarge(struct commit *commit)
{
    struct writer large;
    if (!take_large(commit->store, &large))
        return;
    large.limit = commit->bytes.limit;
    writer_slice(&large, writer_as_slice(&commit->bytes));
    give_buffer(commit->store, &commit->bytes);
    commit->bytes = large;
    commit->has_large = true;
}

void commit_reserve(struct commit *commit, size_t size)
{
    if (commit->bytes.failed || size >= LOG_RECORD_SIZE_MAX - IO_ALIGNMENT)
        return;
    size += IO_ALIGNMENT; /* what fills its last block on disk */
    size_t total = commit->bytes.size + size;
    if (!commit->has_large && total >= COMMIT_LARGE_MIN && total <= COMMIT_LARGE_SIZE)
        enlarge(commit);
    (void)writer_reserve(&commit->bytes, size);
}

void commit_append(struct commit *commit, struct commit *from)
{
    assert(commit->change == CHANGE_NONE && from->change == CHANGE_NONE);
    if (from->bytes.failed)
        commit->bytes.failed = true;
    else
        record_append(&commit->bytes, writer_as_slice(&from->bytes));
    for (struct commit_part *part = from->parts; part != NULL; part = part->next) {
        struct commit_part *copy = arena_alloc(&commit->arena, sizeof(*copy));
        size_t size = part->gate.column_count * sizeof(uint32_t);
        *copy = *part;
        copy->gate.column_ids =
            memcpy(arena_alloc(&commit->arena, size), part->gate.column_ids, size);
        copy->next = commit->parts;
        commit->parts = copy;
    }
    from->parts = NULL; /* their references have moved */
    commit->rows_size += from->rows_size;
    commit->charged += from->charged;
    from->charged = 0;
    if (from->split != NULL && commit->split == NULL)
        commit->split = from->split;
    else if (from->split != NULL)
        commit_append(commit->split, from->split);
    from->split = NULL;
    commit_destroy(from);
}

size_t commit_size(const struct commit *commit)
{
    return commit->bytes.size;
}

/* --- submitting --- */

static enum err check(struct store *store, struct commit *commit, struct error *error)
{
    if (commit->bytes.failed)
        return error_set(error, ERR_LIMIT, "54000", "a commit can have at most %zu bytes",
                         LOG_RECORD_SIZE_MAX);
    enum err err = gate_check_change(&store->gate, commit->change, commit->change_table_id,
                                     commit->change_schema, error);
    for (struct commit_part *part = commit->parts; part != NULL && err == OK; part = part->next)
        err = gate_check_rows(&store->gate, &part->gate, commit->change_schema, error);
    return err;
}

static enum err charge(struct commit *commit, size_t size, struct error *error)
{
    if (size <= commit->charged)
        return OK;
    enum err err = budget_charge(&commit->store->budget, size - commit->charged, error);
    if (err == OK)
        commit->charged = size;
    return err;
}

/* Rows must fit the budget with what is there and under way. What carries none gets through always:
 * at the limit, TRUNCATE and DROP are the way out. */
static enum err charge_record(struct commit *commit, struct error *error)
{
    return commit->parts == NULL ? OK : charge(commit, commit->bytes.size, error);
}

enum err commit_charge(struct commit *commit, struct error *error)
{
    size_t size = commit->bytes.size;
    size_t limit = commit->store->budget.limit;
    if (commit->rows_size > size)
        size = commit->rows_size;
    if (size > limit)
        return error_set(error, ERR_LIMIT, "54000",
                         "these rows take more than all the memory for rows (%zu bytes); freshet "
                         "load splits files",
                         limit);
    enum err err = charge(commit, size, error);
    if (err != OK)
        upkeep_make_room(commit->store, size);
    return err;
}

static void entry_done(struct log_entry *entry, enum err result, const struct error *error)
{
    struct commit *commit = entry->context;
    struct store *store = commit->store;
    mutex_lock(&store->submit_mutex); /* the submitter has let go of it */
    mutex_unlock(&store->submit_mutex);
    if (commit->charged != 0)
        budget_release(&store->budget, commit->charged);
    commit->charged = 0;
    effect_deinit(&commit->effect);
    if (commit->done != NULL)
        commit->done(commit->context, entry->position, result, error);
    commit_destroy(commit);
}

enum err store_submit(struct store *store, struct commit *commit, commit_done done, void *context,
                      uint64_t *position, struct error *error)
{
    commit->done = done;
    commit->context = context;
    mutex_lock(&store->submit_mutex);
    enum err err = check(store, commit, error);
    if (err == OK)
        err = charge_record(commit, error);
    if (err == OK) {
        record_set_time(&commit->bytes, clock_wall_us());
        commit->entry.payload = writer_as_slice(&commit->bytes);
        commit->entry.room = commit->bytes.capacity;
        commit->entry.context = commit;
        commit->entry.done = entry_done;
        err = log_submit(store->log, &commit->entry, error);
    }
    if (err == OK) {
        if (position != NULL)
            *position = commit->entry.position;
        gate_change(&store->gate, commit->change, commit->change_table_id, commit->change_schema);
    }
    struct commit *split = commit->split;
    commit->split = NULL;
    mutex_unlock(&store->submit_mutex);
    if (err != OK)
        commit_destroy(commit);
    if (split != NULL && err == OK)
        return store_submit(store, split, NULL, NULL, NULL, error);
    if (split != NULL)
        commit_destroy(split);
    return err;
}

/* --- waiting for one --- */

struct wait {
    struct mutex mutex;
    struct condition changed;
    bool is_done;
    enum err result;
    struct error error;
};

static void wait_done(void *context, uint64_t position, enum err result, const struct error *error)
{
    (void)position;
    struct wait *wait = context;
    mutex_lock(&wait->mutex);
    wait->result = result;
    if (error != NULL)
        wait->error = *error;
    wait->is_done = true;
    condition_signal(&wait->changed);
    mutex_unlock(&wait->mutex);
}

enum err store_commit(struct store *store, struct commit *commit, uint64_t *position,
                      struct error *error)
{
    struct wait wait = {0};
    mutex_init(&wait.mutex);
    condition_init(&wait.changed);
    enum err err = store_submit(store, commit, wait_done, &wait, position, error);
    if (err == OK) {
        while (!store->options.is_threaded && !wait.is_done && store_run(store))
            continue;
        mutex_lock(&wait.mutex);
        while (!wait.is_done)
            condition_wait(&wait.changed, &wait.mutex);
        mutex_unlock(&wait.mutex);
        err = wait.result;
        if (err != OK && error != NULL)
            *error = wait.error;
    }
    condition_deinit(&wait.changed);
    mutex_deinit(&wait.mutex);
    return err;
}
