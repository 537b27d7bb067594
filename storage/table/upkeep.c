/* Upkeep: what is due, who does it, and how it keeps out of the way.
 *
 *   store_upkeep()      every 100 ms or so: something due? then a job for the workers
 *   the job             step after step until nothing is due; each step holds the upkeep mutex
 *   a step              dropped tables · checkpoint · seal · rotate · retention · merge, the first
 * due store_checkpoint()  the same steps on the caller's thread
 *
 * One thing at a time: the manifest has one owner, and two cores have no room for more. Inside of a
 * step the worker's permit is given away every few milliseconds to whoever waits. A job goes behind
 * queries until the rows take more than half of their memory; then it goes before them, since
 * ingest would have to stop.
 *
 * A step that fails is logged and counted, and tried again after a second, two, four … a minute;
 * nothing is lost by waiting, the rows are in the log. */
#include "storage/table/private.h"

#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/worker.h"

#include <assert.h>

#define SECOND_US INT64_C(1000000)
#define LOOK_PERIOD_US SECOND_US
#define RETRY_FIRST_US SECOND_US
#define RETRY_MAX_US (60 * SECOND_US)
#define FINISH_LIMIT_US (15 * SECOND_US) /* of the 28 s a server has to stop */
#define BEHIND_PERIOD_US INT64_C(10000)
#define BEHIND_TURN_US INT64_C(10000)
#define AGE_LARGE_US (60 * SECOND_US)
#define PRESSURE_BYTES_MIN ((size_t)64 << 10)
#define LITTLE_SHARE 16 /* of the memory for rows */

void upkeep_init(struct upkeep *upkeep)
{
    upkeep->budget = (struct budget){.limit = SIZE_MAX, .name = "upkeep"};
    upkeep->learnt = learnt_create();
    mutex_init(&upkeep->mutex);
    condition_init(&upkeep->idle);
}

void upkeep_deinit(struct upkeep *upkeep)
{
    learnt_destroy(upkeep->learnt);
    memory_free(upkeep->tables);
    memory_free(upkeep->orphans);
    condition_deinit(&upkeep->idle);
    mutex_deinit(&upkeep->mutex);
}

/* --- pauses --- */

void upkeep_make_room(struct store *store, size_t size)
{
    _Atomic size_t *refused = &store->upkeep.refused_size;
    size_t before = atomic_load_explicit(refused, memory_order_relaxed);
    while (before < size && !atomic_compare_exchange_weak_explicit(
                                refused, &before, size, memory_order_relaxed, memory_order_relaxed))
        continue;
}

static bool look_for_pressure(struct store *store)
{
    bool is_urgent =
        atomic_load_explicit(&store->budget.used, memory_order_relaxed) > store->budget.limit / 2 ||
        atomic_load_explicit(&store->upkeep.refused_size, memory_order_relaxed) != 0;
    atomic_store_explicit(&store->upkeep.is_urgent, is_urgent, memory_order_relaxed);
    return is_urgent;
}

/* Whether rows come in faster than they are sealed: closed segments wait behind this one, or of the
 * memory that is present so little is left that the next rows will soon want fresh pages. */
static bool is_behind(struct store *store, int64_t now_us)
{
    struct upkeep *upkeep = &store->upkeep;
    if (now_us < atomic_load_explicit(&upkeep->next_behind_us, memory_order_relaxed))
        return atomic_load_explicit(&upkeep->is_behind, memory_order_relaxed);
    size_t frozen = upkeep_frozen_count(store);
    bool is_behind =
        frozen > 1 || (frozen == 1 && pool_present(store->pool) < store->options.seal_bytes / 2);
    atomic_store_explicit(&upkeep->next_behind_us, now_us + BEHIND_PERIOD_US, memory_order_relaxed);
    atomic_store_explicit(&upkeep->is_behind, is_behind, memory_order_relaxed);
    return is_behind;
}

/* A job that is behind keeps its permit but for one turn in so many milliseconds. If it gave way
 * whenever somebody waits, decoding at full speed would leave it nothing: rows would fill memory
 * that nobody touched before, a page fault every 4 KiB, where the blocks of sealed segments could
 * be used again, until ingest has to stop. */
static void give_way(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    bool is_urgent = look_for_pressure(store);
    int64_t now_us = clock_monotonic_us();
    if (!is_behind(store, now_us)) {
        if (is_urgent)
            worker_yield_to_decode();
        else
            worker_yield();
    } else if (now_us >= atomic_load_explicit(&upkeep->next_yield_us, memory_order_relaxed)) {
        worker_yield_once();
        atomic_store_explicit(&upkeep->next_yield_us, clock_monotonic_us() + BEHIND_TURN_US,
                              memory_order_relaxed);
    }
}

bool upkeep_pause(void *context)
{
    struct store *store = context;
    struct upkeep *upkeep = &store->upkeep;
    if (atomic_load_explicit(&upkeep->is_closing, memory_order_relaxed))
        return clock_monotonic_us() <
               atomic_load_explicit(&upkeep->deadline_us, memory_order_relaxed);
    if (store->options.upkeep_pause != NULL)
        store->options.upkeep_pause(store->options.upkeep_context);
    else
        give_way(store);
    return true;
}

/* --- internal records --- */

/* A record that closes segments and takes the state; waits until it is in. */
static enum err upkeep_commit(struct store *store, const struct rotation_wish *wish,
                              struct capture *capture, uint64_t *position, struct error *error)
{
    struct commit *commit = commit_create(store);
    commit->wish = wish;
    commit->capture = capture;
    worker_block_begin();
    enum err err = store_commit(store, commit, position, error);
    worker_block_end();
    return err;
}

/* --- rotation --- */

static int64_t age_of(struct upkeep *upkeep, const struct table_view *view, int64_t now_us)
{
    uint32_t table_id = view->schema->table_id;
    size_t index = 0;
    while (index < upkeep->table_count && upkeep->tables[index].table_id != table_id)
        index++;
    if (index == upkeep->table_count) {
        upkeep->tables =
            memory_realloc(upkeep->tables, (upkeep->table_count + 1) * sizeof(*upkeep->tables));
        upkeep->tables[upkeep->table_count++] = (struct upkeep_table){.table_id = table_id};
    }
    struct upkeep_table *table = &upkeep->tables[index];
    if (table->first_position != view->published.first_position) {
        table->first_position = view->published.first_position;
        table->since_us = now_us;
    }
    return now_us - table->since_us;
}

static void forget_tables(struct upkeep *upkeep, const struct snapshot *snapshot)
{
    size_t kept = 0;
    for (size_t i = 0; i < upkeep->table_count; i++) {
        if (snapshot_find_id(snapshot, upkeep->tables[i].table_id) != NULL)
            upkeep->tables[kept++] = upkeep->tables[i];
    }
    upkeep->table_count = kept;
}

/* Has the log grown by `times` its limit since the newest checkpoint? */
static bool is_log_due(struct store *store, uint64_t times)
{
    struct log_status status;
    log_status(store->log, &status);
    return status.appended - store->upkeep.checkpoint_log_bytes >
           times * store->options.log_bytes_max;
}

static bool is_old(struct store *store, const struct table_view *view, int64_t now_us)
{
    int64_t age_us = age_of(&store->upkeep, view, now_us);
    return age_us >= store->options.seal_age_us ||
           (age_us >= AGE_LARGE_US && view->published.rows >= store->options.carry_rows);
}

/* Short of memory: the largest table. Where all are small, all that are half as large as it: one
 * at a time would free too little, and ingest would be refused until it is done. */
static uint32_t choose_large(const struct snapshot *snapshot, size_t largest_bytes,
                             uint32_t *table_ids)
{
    uint32_t count = 0;
    bool is_small = largest_bytes <= PRESSURE_BYTES_MIN;
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        const struct table_view *view = snapshot_table(snapshot, i);
        size_t bytes = view->published.rows != 0 ? segment_bytes(view->segment) : 0;
        if (bytes == 0 || (is_small ? bytes < largest_bytes / 2 : bytes < largest_bytes))
            continue;
        table_ids[count++] = view->schema->table_id;
        if (!is_small)
            break;
    }
    return count;
}

/* Whether open segments take more than half of the memory, or leave no room for rows that were
 * refused. Where next to nothing is left of them it is not they that are in the way. */
static bool is_short_of(struct store *store, size_t open_bytes)
{
    _Atomic size_t *wanted = &store->upkeep.refused_size;
    size_t limit = store->budget.limit,
           refused = atomic_load_explicit(wanted, memory_order_relaxed);
    if (refused != 0 && (open_bytes <= limit / LITTLE_SHARE || open_bytes <= limit - refused)) {
        atomic_store_explicit(wanted, 0, memory_order_relaxed);
        refused = 0;
    }
    return open_bytes > limit / 2 || (refused != 0 && !fault_is("upkeep.refused_forgotten"));
}

/* Tables whose open segment is to be closed; large ones are added where memory is short. */
static uint32_t choose_tables(struct store *store, const struct snapshot *snapshot,
                              bool is_log_due_now, uint32_t *table_ids)
{
    uint32_t count = 0;
    int64_t now_us = clock_monotonic_us();
    size_t largest_bytes = 0, total_bytes = 0, carried_bytes = 0;
    bool has_frozen = false;
    for (size_t i = 0; i < snapshot_table_count(snapshot); i++) {
        const struct table_view *view = snapshot_table(snapshot, i);
        has_frozen |=
            view->closed != NULL && view->closed->entries[view->closed->count - 1].segment != NULL;
        if (view->published.rows == 0)
            continue;
        size_t bytes = segment_bytes(view->segment);
        total_bytes += bytes;
        if (is_old(store, view, now_us) ||
            (is_log_due_now && !carry_fits(store, view, &carried_bytes))) {
            table_ids[count++] = view->schema->table_id;
        } else if (bytes > largest_bytes) {
            largest_bytes = bytes;
        }
    }
    bool is_short = !has_frozen && count == 0 && is_short_of(store, total_bytes);
    return is_short ? choose_large(snapshot, largest_bytes, table_ids) : count;
}

static enum err upkeep_rotate(struct store *store, bool *did, struct error *error)
{
    struct snapshot *snapshot = snapshot_open(store);
    forget_tables(&store->upkeep, snapshot);
    uint32_t *ids = memory_alloc((snapshot_table_count(snapshot) + 1) * sizeof(*ids));
    bool is_for_log = store->upkeep.goal_position == 0 && is_log_due(store, 1);
    struct rotation_wish wish = {.table_ids = ids,
                                 .table_count = choose_tables(store, snapshot, is_for_log, ids)};
    uint64_t position = snapshot_position(snapshot);
    snapshot_close(snapshot);
    *did = wish.table_count != 0 || is_for_log;
    enum err err = OK;
    if (wish.table_count != 0)
        err = upkeep_commit(store, &wish, NULL, &position, error);
    memory_free(ids);
    if (err == OK && is_for_log)
        store->upkeep.goal_position = position;
    return err;
}

/* --- checkpoints --- */

static enum err write_checkpoint(struct store *store, struct error *error)
{
    struct capture capture = {0};
    writer_init(&capture.extension);
    int64_t begin_us = clock_monotonic_us();
    store->upkeep.work = UPKEEP_CHECKPOINT;
    enum err err = upkeep_commit(store, NULL, &capture, NULL, error);
    if (err == OK)
        err = store_save(store, &capture, error);
    capture_deinit(&capture);
    if (err == OK)
        latency_record(LATENCY_CHECKPOINT, clock_monotonic_us() - begin_us);
    return err;
}

/* Once the rows that the log was kept for are sealed. */
static enum err upkeep_checkpoint(struct store *store, bool *did, struct error *error)
{
    uint64_t goal = store->upkeep.goal_position;
    *did = goal != 0 && !upkeep_has_frozen(store, goal);
    if (!*did)
        return OK;
    enum err err = write_checkpoint(store, error);
    if (err == OK)
        store->upkeep.goal_position = 0;
    return err;
}

/* Where rows come in faster than they are sealed there is always one more segment to seal, and
 * closing would never have its turn: no checkpoint, and a log without end. So it goes first once
 * the log is far behind. */
static enum err rotate_for_log(struct store *store, bool *did, struct error *error)
{
    *did = false;
    return store->upkeep.goal_position == 0 && is_log_due(store, 2)
               ? upkeep_rotate(store, did, error)
               : OK;
}

/* --- steps --- */

typedef enum err (*step_run)(struct store *store, bool *did, struct error *error);
static const struct {
    const char *name;
    step_run run;
} steps[UPKEEP_STEPS] = {
    {"remove dropped rows", upkeep_drop}, {"write a checkpoint", upkeep_checkpoint},
    {"close segments", rotate_for_log},   {"seal rows", upkeep_seal},
    {"close segments", upkeep_rotate},    {"drop old rows", upkeep_retain},
    {"merge segments", upkeep_merge},
};

static void note_failure(struct store *store, size_t index, const struct error *error)
{
    struct upkeep_retry *retry = &store->upkeep.retries[index];
    retry->wait_us = retry->wait_us == 0 ? RETRY_FIRST_US : 2 * retry->wait_us;
    if (retry->wait_us > RETRY_MAX_US)
        retry->wait_us = RETRY_MAX_US;
    retry->at_us = clock_monotonic_us() + retry->wait_us;
    metric_add(&metrics.upkeep_failures, 1);
    metric_mark(&metrics.write_failure_at);
    logger_write(LOG_WARN, "upkeep cannot %s, trying again in %lld s reason=\"%s\"",
                 steps[index].name, (long long)(retry->wait_us / SECOND_US), error->text);
}

/* The first step that is due; holds the mutex. */
static bool run_step(struct store *store)
{
    for (size_t i = 0; i < UPKEEP_STEPS; i++) {
        struct upkeep_retry *retry = &store->upkeep.retries[i];
        if (retry->wait_us != 0 && clock_monotonic_us() < retry->at_us)
            continue;
        struct error error = {0};
        bool did = false;
        enum err err = steps[i].run(store, &did, &error);
        if (err == OK) {
            if (did)
                retry->wait_us = 0;
        } else if (err != ERR_CANCELLED) {
            note_failure(store, i, &error);
            continue; /* the others may have better luck */
        }
        if (did)
            return err == OK;
    }
    return false;
}

/* False in an unthreaded store whose upkeep is under way further up the stack. */
static bool begin(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    if (!store->options.is_threaded && upkeep->is_busy)
        return false;
    worker_block_begin();
    mutex_lock(&upkeep->mutex);
    worker_block_end();
    upkeep->is_busy = true;
    return true;
}

static void end(struct store *store)
{
    store->upkeep.work = UPKEEP_IDLE;
    store->upkeep.is_busy = false;
    mutex_unlock(&store->upkeep.mutex);
}

bool store_upkeep_run(struct store *store)
{
    if (!begin(store))
        return false;
    (void)look_for_pressure(store);
    bool did = run_step(store);
    end(store);
    return did;
}

/* --- on the workers --- */

static void run_job(void *context)
{
    struct store *store = context;
    struct upkeep *upkeep = &store->upkeep;
    while (!atomic_load_explicit(&upkeep->is_closing, memory_order_relaxed) &&
           store_upkeep_run(store))
        (void)upkeep_pause(store);
    mutex_lock(&upkeep->mutex);
    atomic_store_explicit(&upkeep->is_active, false, memory_order_release);
    condition_broadcast(&upkeep->idle);
    mutex_unlock(&upkeep->mutex);
}

void store_upkeep(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    if (store->options.workers == NULL ||
        atomic_load_explicit(&upkeep->is_closing, memory_order_relaxed))
        return;
    bool is_urgent = look_for_pressure(store);
    if (atomic_load_explicit(&upkeep->is_active, memory_order_acquire)) {
        if (is_urgent)
            worker_promote(store->options.workers);
        return;
    }
    int64_t now_us = clock_monotonic_us();
    if (!is_urgent && now_us < upkeep->next_look_us && !upkeep_has_frozen(store, UINT64_MAX))
        return;
    upkeep->next_look_us = now_us + LOOK_PERIOD_US;
    if (atomic_exchange_explicit(&upkeep->is_active, true, memory_order_acq_rel))
        return; /* another thread was quicker */
    if (worker_submit(store->options.workers, WORKER_UPKEEP, run_job, store) != OK)
        atomic_store_explicit(&upkeep->is_active, false, memory_order_release);
    else if (is_urgent)
        worker_promote(store->options.workers);
}

/* --- on the caller's thread --- */

/* Seals everything up to a position. */
static enum err seal_up_to(struct store *store, uint64_t position, struct error *error)
{
    enum err err = OK;
    bool did = true;
    while (err == OK && did && upkeep_has_frozen(store, position)) {
        err = upkeep_seal(store, &did, error);
        if (err == OK && !upkeep_pause(store))
            err = error_set(error, ERR_CANCELLED, NULL, "the store is being closed");
    }
    return err;
}

static enum err checkpoint_now(struct store *store, struct error *error)
{
    const struct rotation_wish wish = {.is_all = true};
    uint64_t position;
    bool did;
    enum err err = upkeep_commit(store, &wish, NULL, &position, error);
    if (err == OK) {
        store->upkeep.goal_position = position; /* the oldest first, not what frees most */
        err = seal_up_to(store, position, error);
    }
    while (err == OK) {
        err = upkeep_drop(store, &did, error);
        if (!did)
            break;
    }
    if (err == OK)
        err = write_checkpoint(store, error);
    if (err == OK)
        store->upkeep.goal_position = 0;
    return err;
}

enum err store_checkpoint(struct store *store, struct error *error)
{
    if (!begin(store))
        return error_set(error, ERR_BUSY, NULL, "upkeep is under way");
    enum err err = checkpoint_now(store, error);
    end(store);
    return err;
}

/* --- the end --- */

/* The log thread is gone: no record is needed to close a segment between two. */
static bool close_segments(struct store *store)
{
    bool has_frozen = false;
    size_t carried_bytes = 0;
    for (uint32_t i = 0; i < store->catalog->table_count; i++) {
        const struct table_view *view = &store->catalog->tables[i];
        if (carry_fits(store, view, &carried_bytes))
            continue;
        has_frozen = true;
        if (view->published.rows == 0)
            continue;
        struct segment *opened = segment_create(store->pool);
        struct segment_entry entry = {.segment = view->segment, .published = view->published};
        struct catalog *next = catalog_rotate(store->catalog, i, &entry, opened);
        segment_unref(opened);
        mutex_lock(&store->publish_mutex);
        struct catalog *old = store->catalog;
        store->catalog = next;
        mutex_unlock(&store->publish_mutex);
        catalog_unref(old);
    }
    return has_frozen;
}

void store_upkeep_stop(struct store *store)
{
    struct upkeep *upkeep = &store->upkeep;
    atomic_store_explicit(&upkeep->is_closing, true, memory_order_relaxed);
    mutex_lock(&upkeep->mutex);
    while (atomic_load_explicit(&upkeep->is_active, memory_order_acquire))
        condition_wait(&upkeep->idle, &upkeep->mutex);
    mutex_unlock(&upkeep->mutex);
}

void upkeep_finish(struct store *store)
{
    int64_t limit_us = clock_monotonic_us() + FINISH_LIMIT_US;
    store->upkeep.deadline_us = store->options.is_threaded ? limit_us : INT64_MAX;
    struct error error = {0};
    if (!close_segments(store))
        return;
    if (seal_up_to(store, UINT64_MAX, &error) != OK)
        logger_write(LOG_WARN, "not all rows are sealed, the next start replays them reason=\"%s\"",
                     error.text);
}
