/* The front door: opens, closes, waits and tells. What happens between:
 *
 *   commit.c    a commit is built, checked at the gate, given a position     any thread, in turn
 *   log         group, write, sync                                          log thread
 *   publish.c   rows appended meanwhile; after the sync visible              log thread
 *   snapshot.c  a moment is taken; cursors read it                          any thread
 *
 *   upkeep*.c   rows sealed, segments merged, checkpoints, log files recycled  workers
 *
 * Opening: lock the directory, replay the manifest, load the newest checkpoint (catalog and
 * extension as of its position, sealed segments attached, rows of quiet tables), replay the log
 * from where the checkpoint needs it (rows that are not sealed; state only from behind the
 * checkpoint), start the log thread. Closing seals and writes a checkpoint, so that a clean start
 * replays nothing.
 *
 *   needed   checkpoint   sealed   end        positions: the log is replayed from the first on, and
 *     |----------|----------|-------|         what it has reached is whole from the third on: there
 *                            readable         is nothing of a later record, and nothing is missing
 *
 * Without rows to come for the checkpoint, and nothing sealed behind it, the store is readable at
 * the checkpoint, before the log is read. */
#include "storage/table/private.h"

#include "storage/log/checkpoint.h"

#include "storage/stock.h"

#include "storage/base/clock.h"
#include "storage/base/logger.h"

#include <assert.h>

#define LOG_FILE_SIZE ((size_t)64 << 20)
#define SEAL_ROWS ((uint64_t)1 << 20)
#define SEAL_BYTES_MAX ((size_t)512 << 20)
#define SEAL_AGE_US (INT64_C(3600) * 1000000)
#define CARRY_ROWS 65536
#define CARRY_BYTES ((size_t)256 << 20)
#define LOG_BYTES_MAX ((size_t)512 << 20)
#define MERGE_SEGMENTS_MIN 4
#define ROOM_SHARE 4 /* of the stock: what is made present for sealing, beside it */

static void destroy(struct store *store)
{
    if (store->log != NULL)
        log_close(store->log);
    gate_deinit(&store->gate);
    applier_deinit(&store->applier);
    while (store->dropped != NULL) { /* the next start takes them out of the manifest */
        struct dropped *dropped = store->dropped;
        store->dropped = dropped->next;
        segment_list_unref(dropped->closed);
        memory_free(dropped);
    }
    catalog_unref(store->catalog);
    if (store->source != NULL)
        sealed_source_destroy(store->source);
    if (store->manifest != NULL)
        manifest_close(store->manifest);
    if (store->upkeep_io != NULL)
        store->upkeep_io->ops->destroy(store->upkeep_io);
    if (store->side_io != NULL)
        store->side_io->ops->destroy(store->side_io);
    mutex_deinit(&store->side_mutex);
    upkeep_deinit(&store->upkeep);
    mutex_deinit(&store->change_mutex);
    arena_deinit(&store->scratch);
    arena_deinit(&store->replay_arena);
    mutex_deinit(&store->submit_mutex);
    commit_buffers_deinit(store);
    mutex_deinit(&store->publish_mutex);
    mutex_deinit(&store->wait_mutex);
    condition_deinit(&store->waited);
    pool_destroy(store->pool); /* asserts that no snapshot is left */
    room_deinit(&store->room);
    memory_free(store);
}

static void set_defaults(struct store_options *options)
{
    size_t eighth = options->rows_memory_limit != 0 ? options->rows_memory_limit / 8 : SIZE_MAX;
    if (options->seal_rows == 0)
        options->seal_rows = SEAL_ROWS;
    if (options->seal_bytes == 0)
        options->seal_bytes = eighth < SEAL_BYTES_MAX ? eighth : SEAL_BYTES_MAX;
    if (options->seal_age_us == 0)
        options->seal_age_us = SEAL_AGE_US;
    if (options->carry_rows == 0)
        options->carry_rows = CARRY_ROWS;
    if (options->carry_bytes == 0)
        options->carry_bytes = CARRY_BYTES;
    if (options->log_bytes_max == 0)
        options->log_bytes_max = LOG_BYTES_MAX;
    if (options->merge_segments_min == 0)
        options->merge_segments_min = MERGE_SEGMENTS_MIN;
}

static struct store *create(const struct store_options *options)
{
    struct store *store = memory_alloc_zero(sizeof(*store));
    store->options = *options;
    set_defaults(&store->options);
    store->budget.name = "rows memory";
    store->budget.limit = options->rows_memory_limit != 0 ? options->rows_memory_limit : SIZE_MAX;
    store->pool = pool_create(&store->budget);
    store->catalog = catalog_create();
    store->applied_last = &store->applied_first;
    applier_init(&store->applier, store->pool);
    store->applier.seal_rows = store->options.seal_rows;
    store->applier.seal_bytes = store->options.seal_bytes;
    upkeep_init(&store->upkeep);
    mutex_init(&store->change_mutex);
    mutex_init(&store->side_mutex);
    gate_init(&store->gate);
    arena_init(&store->scratch);
    arena_init(&store->replay_arena);
    mutex_init(&store->submit_mutex);
    commit_buffers_init(store);
    mutex_init(&store->publish_mutex);
    mutex_init(&store->wait_mutex);
    condition_init(&store->waited);
    return store;
}

/* The oldest log file that any of the checkpoints needs; 0: all. */
static uint64_t keep_file(const struct store *store)
{
    uint64_t file = UINT64_MAX;
    for (size_t i = 0; i < MANIFEST_CHECKPOINT_COUNT; i++) {
        struct manifest_checkpoint checkpoint;
        if (!manifest_checkpoint(store->manifest, i, &checkpoint))
            return 0;
        file = checkpoint.first_log_file < file ? checkpoint.first_log_file : file;
    }
    return file;
}

static enum err open_log(struct store *store, uint64_t first_file, struct error *error)
{
    const struct store_options *options = &store->options;
    const struct log_options log_options = {
        .io = options->io,
        .directory = options->directory,
        .file_size = options->log_file_size != 0 ? options->log_file_size : LOG_FILE_SIZE,
        .piece_size = options->log_piece_size,
        .first_position = 1,
        .recover_point_in_time = options->recover_point_in_time,
        .first_file = first_file,
        .keep_file = keep_file(store),
        .context = store,
        .replay = store_replay,
        .apply = store_apply,
        .abandon = store_abandon,
        .publish = store_publish,
    };
    return log_open(&log_options, &store->log, error);
}

/* Up to where checkpoint and sealed segments reach. Of a newer checkpoint that could not be read:
 * segments were removed before it that tables of the older one had. */
static void find_readable(struct store *store)
{
    uint64_t position = store->applier.border_position;
    size_t count;
    const struct manifest_sealed *sealed = manifest_sealed_positions(store->manifest, &count);
    for (size_t i = 0; i < count; i++) {
        if (sealed[i].position > position)
            position = sealed[i].position;
    }
    store->readable_position = position;
    if (position != 0 && position == store->upkeep.needed_position[0]) /* no rows are to come */
        store_look_readable(store, store->checkpoint_position);
}

/* What is sealed and what the checkpoint has was in the log before. */
static enum err check_end(const struct store *store, struct error *error)
{
    uint64_t needed = store->readable_position;
    struct log_status status;
    log_status(store->log, &status);
    if (status.durable_position >= needed)
        return OK;
    return error_set(error, ERR_CORRUPT, NULL,
                     "the log ends at position %llu, but checkpoint and sealed segments reach %llu",
                     (unsigned long long)status.durable_position, (unsigned long long)needed);
}

static enum err open_segments(struct store *store, struct error *error)
{
    const struct store_options *options = &store->options;
    const struct sealed_source_options source_options = {
        .io = options->io, .directory = options->directory, .cache_size = options->cache_size};
    store->source = sealed_source_create(&source_options);
    enum err err = io_clone_roaming(options->io, &store->upkeep_io, error);
    if (err == OK && options->recover_point_in_time)
        err = store_forget_checkpoints(store, error);
    else if (err == OK)
        err = store_refuse_strangers(store, error);
    if (err == OK)
        err = manifest_open(store->upkeep_io, options->directory, &store->manifest, error);
    return err == OK ? store_check_segments(store, error) : err;
}

/* The newest checkpoint, and where the log has to be read from. */
static enum err load(struct store *store, struct error *error)
{
    enum err err = open_segments(store, error);
    if (err != OK)
        return err;
    store->applier.manifest = store->manifest;
    err = store_load(store, &store->first_log_file, error);
    if (err == OK)
        find_readable(store);
    return err;
}

/* Segments that nobody has: of before the replay, and of what it has dropped. */
static void tidy(struct store *store)
{
    struct error reason = {0};
    bool did = true;
    enum err err = store_tidy_segments(store, &reason);
    while (err == OK && did)
        err = upkeep_drop(store, &did, &reason);
    if (err != OK)
        logger_write(LOG_WARN, "segments that nobody has stay for now reason=\"%s\"", reason.text);
    store->upkeep.work = UPKEEP_IDLE;
    checkpoint_remove_stale(store->manifest);
}

static enum err replay(struct store *store, struct error *error)
{
    enum err err = open_log(store, store->first_log_file, error);
    if (err == OK)
        err = check_end(store, error);
    if (err != OK)
        return err;
    store->applier.manifest = NULL;
    tidy(store);
    struct log_status status;
    log_status(store->log, &status);
    atomic_store_explicit(&store->position, status.durable_position, memory_order_release);
    atomic_store_explicit(&store->is_readable, true, memory_order_release);
    return OK;
}

enum err store_open_begin(const struct store_options *options, struct store **out,
                          struct error *error)
{
    struct io *io = options->io;
    enum err err = io->ops->lock(io, error);
    if (err == OK && options->directory[0] != 0)
        err = io->ops->mkdir(io, options->directory, error);
    if (err != OK)
        return err;
    struct store *store = create(options);
    err = load(store, error);
    if (err != OK)
        destroy(store);
    else
        *out = store;
    return err;
}

enum err store_open_end(struct store *store, struct error *error)
{
    enum err err = replay(store, error);
    if (err != OK)
        return err;
    arena_reset(&store->replay_arena);
    gate_reset(&store->gate, store->catalog);
    if (atomic_load(&store->next_table_id) <= store->applier.table_id_max)
        atomic_store(&store->next_table_id, store->applier.table_id_max + 1);
    if (store->options.is_threaded)
        log_start(store->log);
    return OK;
}

void store_stock(struct store *store, size_t size)
{
    size_t room_size;
    mutex_lock(&store->upkeep.mutex);
    void *room = room_fix(&store->room, size / ROOM_SHARE, &room_size);
    mutex_unlock(&store->upkeep.mutex);
    pool_stock(store->pool, size, room, room_size);
}

void store_discard(struct store *store)
{
    destroy(store);
}

enum err store_open(const struct store_options *options, struct store **out, struct error *error)
{
    struct store *store;
    enum err err = store_open_begin(options, &store, error);
    if (err != OK)
        return err;
    err = store_open_end(store, error);
    if (err != OK)
        store_discard(store);
    else
        *out = store;
    return err;
}

bool store_is_readable(struct store *store)
{
    return atomic_load_explicit(&store->is_readable, memory_order_acquire);
}

/* Only a shortcut for the next start. The log thread is gone: its state is ours. */
static void save_last(struct store *store)
{
    struct log_status status;
    log_status(store->log, &status);
    uint64_t position = store_position(store);
    if (status.is_failed || position <= store->upkeep.checkpoint_position)
        return;
    struct capture capture = {0};
    struct error error = {0};
    writer_init(&capture.extension);
    capture_take(store, store->catalog, position, &capture);
    if (store_save(store, &capture, &error) != OK)
        logger_write(LOG_WARN, "no checkpoint at the end reason=\"%s\"", error.text);
    capture_deinit(&capture);
}

void store_close(struct store *store)
{
    while (!store->options.is_threaded && log_run(store->log))
        continue;
    store_upkeep_stop(store);
    log_stop(store->log);
    upkeep_finish(store);
    save_last(store);
    destroy(store);
}

bool store_run(struct store *store)
{
    return !store->options.is_threaded && log_run(store->log);
}

void store_status(struct store *store, struct store_status *out)
{
    struct log_status log;
    log_status(store->log, &log);
    *out = (struct store_status){
        .position = store_position(store),
        .rows_memory_used = atomic_load_explicit(&store->budget.used, memory_order_relaxed),
        .rows_memory_limit = store->budget.limit,
        .upkeep_memory_used =
            atomic_load_explicit(&store->upkeep.budget.used, memory_order_relaxed),
        .log_bytes = log.bytes,
        .log_files = log.file_count,
        .is_failed = log.is_failed,
        .failure = log.failure,
    };
}

void store_figures(struct store *store, struct store_figures *out)
{
    struct sealed_source_status source;
    sealed_source_status(store->source, &source);
    *out = (struct store_figures){.cache_used = source.cache_used,
                                  .cache_limit = source.cache_limit,
                                  .cache_hits = source.hits,
                                  .cache_misses = source.misses,
                                  .cache_evictions = source.evictions,
                                  .cache_bytes_read = source.bytes_read};
    struct catalog *catalog = store_catalog(store);
    for (uint32_t i = 0; i < catalog->table_count; i++) {
        const struct segment_list *closed = catalog->tables[i].closed;
        for (uint32_t e = 0; closed != NULL && e < closed->count; e++) {
            const struct segment_entry *entry = &closed->entries[e];
            bool is_sealed = entry->sealed != NULL;
            out->sealed_segments += is_sealed;
            out->waiting_segments += !is_sealed;
            out->sealed_rows += is_sealed ? sealed_info(entry->sealed)->row_count : 0;
            out->sealed_bytes += is_sealed ? sealed_info(entry->sealed)->bytes : 0;
            out->waiting_rows += is_sealed ? 0 : entry->published.rows;
        }
    }
    catalog_unref(catalog);
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
