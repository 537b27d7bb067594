/* The front door: opens, closes, waits and tells. What happens between:
 *
 *   commit.c    a commit is built, checked at the gate, given a position     any thread, in turn
 *   log         group, write, sync                                          log thread
 *   publish.c   rows appended meanwhile; after the sync visible              log thread
 *   snapshot.c  a moment is taken; cursors read it                          any thread
 *
 * Opening: lock the directory, load the newest checkpoint (catalog and extension as of its
 * position), replay the log (all rows are in it; state only from behind the checkpoint), start the
 * log thread. Closing writes a checkpoint, so that a clean start replays rows only. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <assert.h>

#define LOG_FILE_SIZE ((size_t)64 << 20)

static void destroy(struct store *store)
{
    if (store->log != NULL)
        log_close(store->log);
    gate_deinit(&store->gate);
    applier_deinit(&store->applier);
    catalog_unref(store->catalog);
    arena_deinit(&store->scratch);
    arena_deinit(&store->replay_arena);
    mutex_deinit(&store->submit_mutex);
    mutex_deinit(&store->publish_mutex);
    mutex_deinit(&store->wait_mutex);
    condition_deinit(&store->waited);
    pool_destroy(store->pool); /* asserts that no snapshot is left */
    memory_free(store);
}

static struct store *create(const struct store_options *options)
{
    struct store *store = memory_alloc_zero(sizeof(*store));
    store->options = *options;
    store->budget.name = "rows memory";
    store->budget.limit = options->rows_memory_limit != 0 ? options->rows_memory_limit : SIZE_MAX;
    store->pool = pool_create(&store->budget);
    store->catalog = catalog_create();
    store->applied_last = &store->applied_first;
    applier_init(&store->applier, store->pool);
    gate_init(&store->gate);
    arena_init(&store->scratch);
    arena_init(&store->replay_arena);
    mutex_init(&store->submit_mutex);
    mutex_init(&store->publish_mutex);
    mutex_init(&store->wait_mutex);
    condition_init(&store->waited);
    return store;
}

static enum err open_log(struct store *store, struct error *error)
{
    const struct store_options *options = &store->options;
    const struct log_options log_options = {
        .io = options->io,
        .directory = options->directory,
        .file_size = options->log_file_size != 0 ? options->log_file_size : LOG_FILE_SIZE,
        .piece_size = options->log_piece_size,
        .first_position = 1,
        .recover_point_in_time = options->recover_point_in_time,
        .context = store,
        .replay = store_replay,
        .apply = store_apply,
        .abandon = store_abandon,
        .publish = store_publish,
    };
    enum err err = log_open(&log_options, &store->log, error);
    if (err != OK)
        return err;
    uint64_t position = store_position(store);
    if (position < store->checkpoint_position)
        return error_set(error, ERR_CORRUPT, NULL,
                         "the log ends at position %llu, before the checkpoint at %llu",
                         (unsigned long long)position,
                         (unsigned long long)store->checkpoint_position);
    return OK;
}

enum err store_open(const struct store_options *options, struct store **out, struct error *error)
{
    struct io *io = options->io;
    enum err err = io->ops->lock(io, error);
    if (err == OK && options->directory[0] != 0)
        err = io->ops->mkdir(io, options->directory, error);
    if (err != OK)
        return err;
    struct store *store = create(options);
    err = options->recover_point_in_time ? store_forget_checkpoints(store, error)
                                         : store_load(store, error);
    if (err == OK)
        err = open_log(store, error);
    if (err != OK) {
        destroy(store);
        return err;
    }
    arena_reset(&store->replay_arena);
    gate_reset(&store->gate, store->catalog);
    if (atomic_load(&store->next_table_id) <= store->applier.table_id_max)
        atomic_store(&store->next_table_id, store->applier.table_id_max + 1);
    if (options->is_threaded)
        log_start(store->log);
    *out = store;
    return OK;
}

void store_close(struct store *store)
{
    while (!store->options.is_threaded && log_run(store->log))
        continue;
    log_stop(store->log);
    struct log_status status;
    log_status(store->log, &status);
    uint64_t position = store_position(store);
    if (!status.is_failed && position > store->checkpoint_position) {
        struct error error = {0};
        /* Only a shortcut for the next start. */
        if (store_save(store, store->catalog, position, &error) != OK)
            logger_write(LOG_WARN, "no checkpoint at the end reason=\"%s\"", error.text);
    }
    destroy(store);
}

bool store_run(struct store *store)
{
    assert(!store->options.is_threaded);
    return log_run(store->log);
}

void store_status(struct store *store, struct store_status *out)
{
    struct log_status log;
    log_status(store->log, &log);
    *out = (struct store_status){
        .position = store_position(store),
        .rows_memory_used = atomic_load_explicit(&store->budget.used, memory_order_relaxed),
        .rows_memory_limit = store->budget.limit,
        .log_bytes = log.bytes,
        .log_files = log.file_count,
        .is_failed = log.is_failed,
        .failure = log.failure,
    };
}

void store_revive(struct store *store)
{
    log_revive(store->log);
}

uint32_t store_next_table_id(struct store *store)
{
    return atomic_fetch_add_explicit(&store->next_table_id, 1, memory_order_relaxed);
}

uint64_t store_position(struct store *store)
{
    return atomic_load_explicit(&store->position, memory_order_acquire);
}

static enum err wait_threaded(struct store *store, uint64_t position, int64_t timeout_us)
{
    int64_t deadline_us = clock_monotonic_us() + timeout_us;
    enum err err = OK;
    mutex_lock(&store->wait_mutex);
    atomic_fetch_add_explicit(&store->waiter_count, 1, memory_order_seq_cst);
    while (atomic_load_explicit(&store->position, memory_order_seq_cst) < position) {
        int64_t left_us = deadline_us - clock_monotonic_us();
        if (left_us <= 0) {
            err = ERR_TIMEOUT;
            break;
        }
        (void)condition_wait_for(&store->waited, &store->wait_mutex, left_us);
    }
    atomic_fetch_sub_explicit(&store->waiter_count, 1, memory_order_relaxed);
    mutex_unlock(&store->wait_mutex);
    return err;
}

enum err store_wait(struct store *store, uint64_t position, int64_t timeout_us, struct error *error)
{
    enum err err = OK;
    if (store_position(store) >= position)
        return OK;
    if (store->options.is_threaded) {
        err = wait_threaded(store, position, timeout_us);
    } else {
        while (store_position(store) < position && store_run(store))
            continue;
        err = store_position(store) >= position ? OK : ERR_TIMEOUT;
    }
    if (err != OK)
        return error_set(error, err, NULL, "position %llu was not reached in time",
                         (unsigned long long)position);
    return OK;
}
