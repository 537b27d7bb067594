/* The write-ahead log: queue, groups, failure.
 *
 *   log_submit      position, into the queue
 *   log_run         take what waits as one group
 *     pieces        records into pieces, their writes begun (piece.c)
 *     last piece    write + sync; `apply` the records meanwhile; wait
 *     publish       durable: visible
 *     done          for each
 *
 * What arrives while a group is written is the next one. It starts as soon as the one before is
 * done, unless that one had several records: a group costs the same whatever is in it, and those
 * who waited for it together come back one after the other, so the log thread waits for as many
 * again, or for GATHER_SIZE, but no longer than GATHER_US. A lone sender is never made to wait.
 *
 *   RUNNING ──a write or sync fails──▶ the group once more, in a NEW file whose header
 *    ▲  ▲                              cuts the old one │ok            │fails again
 *    │  └───────────────────────────────────────────────┘              ▼
 *    └──log_revive: a new file can be made── FAILED: queue answered with the error, read-only
 *
 * A failed sync is never asked for again on that file: the kernel may have dropped the pages and
 * would say OK. */
#include "storage/log/private.h"

#include "storage/base/clock.h"
#include "storage/base/defer.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#define GROUP_SIZE_MAX                                                                             \
    ((size_t)8 << 20) /* payload bytes after which a group takes no more records */

#define FINISHED_AT_ONCE 16

#define GATHER_US INT64_C(1000)
#define GATHER_SIZE ((size_t)512 << 10) /* payload bytes that are worth a group */

/* --- groups --- */

static void apply_group(struct log *log, struct log_entry *first)
{
    for (struct log_entry *entry = first; entry != NULL && log->options.apply != NULL;
         entry = entry->next)
        log->options.apply(log->options.context, entry);
}

/* Whoever waits for several of them is woken once for FINISHED_AT_ONCE. */
static void finish_group(struct log_entry *first, enum err result, const struct error *error)
{
    while (first != NULL) {
        defer_begin();
        for (int i = 0; i < FINISHED_AT_ONCE && first != NULL; i++) {
            struct log_entry *entry = first;
            first = entry->next; /* `done` may free the entry */
            entry->next = NULL;
            entry->done(entry, result, error);
        }
        defer_end();
    }
}

static void publish(struct log *log, uint64_t position)
{
    if (log->options.publish != NULL)
        log->options.publish(log->options.context, position);
}

static enum err write_group(struct log *log, struct log_entry *first, bool *is_applied,
                            struct error *error)
{
    enum err result = OK;
    bool is_alone = first->next == NULL;
    for (struct log_entry *entry = first; entry != NULL && result == OK; entry = entry->next)
        result = log_piece_add(log, entry, is_alone, error);
    if (result == OK)
        result = log_piece_flush(log, true, error);
    if (result != OK)
        return result;
    if (!*is_applied)
        apply_group(log, first);
    *is_applied = true;
    if (fault_is("log.publish_before_sync"))
        publish(log, log->end.position);
    if (fault_is("log.ack_before_sync")) {
        publish(log, log->end.position);
        return OK; /* the next flush waits */
    }
    return log_piece_wait(log, error);
}

/* Back to the end of the last durable group, in a file that is not there yet. */
static void go_back(struct log *log)
{
    log_file_abandon(log);
    log->placed = NULL;
    log->part_count = 0;
    log->end = log->durable;
    log->must_cut = true;
}

/* A file of ours that is not there is a failure like any other; "not found" would tell whoever
 * stored rows that his table is not. */
static enum err as_failure(enum err result, struct error *error)
{
    if (result != ERR_NOT_FOUND || fault_is("log.not_found"))
        return result;
    struct error cause = *error;
    return error_set(error, ERR_IO, NULL, "%s", cause.text);
}

/* For good: answers the group and everything queued, takes nothing more. */
static void enter_failed(struct log *log, struct log_entry *group, const struct error *error)
{
    logger_write(LOG_ERROR, "the log has failed and is read-only durable=%" PRIu64 " reason=\"%s\"",
                 log->durable.position, error->text);
    mutex_lock(&log->mutex);
    log->is_failed = true;
    log->failure = *error;
    struct log_entry *queued = log->first;
    log->first = NULL;
    log->last = &log->first;
    log->queue_count = log->queue_bytes = 0;
    log->next_position = log->durable.position + 1;
    mutex_unlock(&log->mutex);
    if (log->options.abandon != NULL)
        log->options.abandon(log->options.context, log->durable.position);
    finish_group(group, error->code, error);
    finish_group(queued, error->code, error);
}

static void commit_group(struct log *log, struct log_entry *first)
{
    struct error error = {0};
    bool is_applied = false;
    int64_t begin_us = clock_monotonic_us();
    enum err result = write_group(log, first, &is_applied, &error);
    if (result != OK && fault_is("log.accepts_after_failure")) {
        log->is_writing = false;
        log->piece_capacity = 0;
        log->placed = NULL;
        log->part_count = 0;
        finish_group(first, result, &error);
        return;
    }
    if (result != OK) {
        metric_add(&metrics.log_sync_failures, 1);
        metric_mark(&metrics.write_failure_at);
        logger_write(LOG_WARN,
                     "a write of the log failed, its group goes to a new file reason=\"%s\"",
                     error.text);
        go_back(log);
        result = as_failure(write_group(log, first, &is_applied, &error), &error);
    }
    if (result != OK) {
        metric_add(&metrics.log_sync_failures, 1);
        metric_mark(&metrics.write_failure_at);
        go_back(log);
        enter_failed(log, first, &error);
        return;
    }
    latency_record(LATENCY_SYNC, clock_monotonic_us() - begin_us);
    metric_add(&metrics.log_groups, 1);
    log->durable = log->end;
    mutex_lock(&log->mutex);
    log->durable_position = log->durable.position;
    log->appended_count = log->appended;
    log->progress = log->file_offset;
    if (log->pace_goal != 0 && log->progress >= log->pace_goal)
        condition_broadcast(&log->prepare_changed);
    mutex_unlock(&log->mutex);
    publish(log, log->durable.position);
    finish_group(first, OK, NULL);
}

/* A new file, cut at what is durable; then the log takes records again. */
static void revive(struct log *log)
{
    struct error error = {0};
    assert(log->file == NULL);
    enum err result = as_failure(log_file_next(log, true, &error), &error);
    mutex_lock(&log->mutex);
    log->is_revival_wanted = false;
    if (result == OK)
        log->is_failed = false;
    else
        log->failure = error;
    mutex_unlock(&log->mutex);
    if (result == OK)
        logger_write(LOG_INFO, "the log takes records again durable=%" PRIu64,
                     log->durable.position);
}

/* Takes what waits, up to a limit; *is_revival. */
static struct log_entry *take_group(struct log *log, bool *is_revival)
{
    mutex_lock(&log->mutex);
    *is_revival = log->is_failed && log->is_revival_wanted;
    struct log_entry *first = log->first;
    struct log_entry *last = first;
    size_t size = 0, count = 0;
    for (; last != NULL; last = last->next) {
        size += last->payload.size;
        count++;
        if (last->next == NULL || size >= GROUP_SIZE_MAX)
            break;
    }
    log->queue_count -= count;
    log->queue_bytes -= size;
    log->group_count = count;
    if (last != NULL) {
        log->first = last->next;
        last->next = NULL;
        if (log->first == NULL)
            log->last = &log->first;
    }
    mutex_unlock(&log->mutex);
    return first;
}

/* Without a preparing thread: makes the next file when this one is half full. */
static void prepare_inline(struct log *log)
{
    if (log->prepare_thread != NULL || log->prepare_state == PREPARE_READY || log->file == NULL ||
        log->file_offset < log->options.file_size / 2)
        return;
    struct error error;
    uint64_t number = ++log->last_number;
    if (log_file_prepare(log, log->io, number, &error) != OK)
        return; /* the commit that needs it tries again and tells */
    log->prepared_number = number;
    log->prepare_state = PREPARE_READY;
}

bool log_run(struct log *log)
{
    bool is_revival;
    struct log_entry *group = take_group(log, &is_revival);
    if (is_revival)
        revive(log);
    if (group == NULL)
        return is_revival;
    commit_group(log, group);
    prepare_inline(log);
    return true;
}

/* An empty piece behind the last group says that it was durable: after a stop in good order, damage
 * even of the last records is told from a torn tail. Whether it gets there matters to nothing else.
 */
static void write_closing_piece(struct log *log)
{
    struct error error;
    bool is_room = log->file != NULL && log->durable.file_number == log->file_number &&
                   log->file_offset + LOG_BLOCK_SIZE <= log->options.file_size;
    if (!is_room || log->is_failed || log->piece_capacity != 0)
        return;
    enum err result = log_piece_begin(log, 0, &error);
    if (result == OK)
        result = log_piece_flush(log, true, &error);
    if (result == OK)
        result = log_piece_wait(log, &error);
    if (result == OK)
        log->durable = log->end;
    else
        go_back(log);
}

/* --- the thread --- */

static bool is_gathered(const struct log *log)
{
    return log->queue_count >= log->group_count || log->queue_bytes >= GATHER_SIZE ||
           log->is_stopping || log->is_revival_wanted;
}

/* With the mutex, after a group of log->group_count: until as many wait, for a moment. */
static void gather(struct log *log)
{
    if (log->group_count < 2)
        return;
    int64_t end_us = clock_monotonic_us() + GATHER_US, left_us = GATHER_US;
    log->is_gathering = true;
    while (!is_gathered(log) && left_us > 0) {
        (void)condition_wait_for(&log->wake, &log->mutex, left_us);
        left_us = end_us - clock_monotonic_us();
    }
    log->is_gathering = false;
}

static void run_thread(void *context)
{
    struct log *log = context;
    for (;;) {
        mutex_lock(&log->mutex);
        gather(log);
        while (log->first == NULL && !log->is_stopping &&
               !(log->is_failed && log->is_revival_wanted)) {
            log->is_waiting = true;
            condition_wait(&log->wake, &log->mutex);
            log->is_waiting = false;
        }
        bool is_done = log->first == NULL && log->is_stopping;
        mutex_unlock(&log->mutex);
        if (is_done)
            break;
        (void)log_run(log);
    }
    write_closing_piece(log);
}

enum err log_check(const struct log_options *options, struct log_status *out, struct error *error)
{
    struct log log = {.options = *options, .io = options->io};
    uint64_t last_position = 0;
    enum err result = log_recover_to_look(&log, &last_position, error);
    *out = (struct log_status){.durable_position = last_position,
                               .next_position = last_position + 1,
                               .bytes = log.byte_count,
                               .file_count = log.file_count,
                               .appended = log.appended};
    return result;
}

void log_start(struct log *log)
{
    assert(log->thread == NULL);
    log->prepare_thread = thread_start(
        &(struct thread_options){.name = "log-prepare", .run = log_prepare_run, .context = log});
    log_prepare_want(log);
    log->thread =
        thread_start(&(struct thread_options){.name = "log", .run = run_thread, .context = log});
}

void log_stop(struct log *log)
{
    mutex_lock(&log->mutex);
    log->is_stopping = true;
    condition_broadcast(&log->wake);
    mutex_unlock(&log->mutex);
    if (log->thread == NULL) {
        while (log_run(log)) /* a simulation */
            continue;
        write_closing_piece(log);
        return;
    }
    thread_join(log->thread);
    log->thread = NULL;
    mutex_lock(&log->mutex);
    log->is_prepare_stopping = true;
    condition_broadcast(&log->prepare_changed);
    mutex_unlock(&log->mutex);
    thread_join(log->prepare_thread);
    log->prepare_thread = NULL;
}

/* --- open, submit, status --- */

static void destroy(struct log *log)
{
    log_file_abandon(log);
    for (size_t index = 0; index < array_count(log->buffers); index++)
        if (log->buffers[index] != NULL)
            io_buffer_free(log->io, log->buffers[index]);
    if (log->header_block != NULL)
        io_buffer_free(log->io, log->header_block);
    if (log->recycle_io != NULL)
        log->recycle_io->ops->destroy(log->recycle_io);
    if (log->prepare_io != NULL)
        log->prepare_io->ops->destroy(log->prepare_io);
    if (log->io != NULL)
        log->io->ops->destroy(log->io);
    condition_deinit(&log->prepare_changed);
    condition_deinit(&log->wake);
    mutex_deinit(&log->mutex);
    memory_free(log->kept);
    memory_free(log);
}

enum err log_open(const struct log_options *options, struct log **out, struct error *error)
{
    struct log *log = memory_alloc_zero(sizeof(*log));
    log->options = *options;
    log_piece_options(&log->options);
    assert(log->options.file_size % LOG_BLOCK_SIZE == 0);
    assert(log->options.file_size >= 2 * LOG_BLOCK_SIZE);
    assert(log->options.first_position > 0);
    mutex_init(&log->mutex);
    condition_init(&log->wake);
    condition_init(&log->prepare_changed);
    log->last = &log->first;
    enum err result = io_clone(options->io, &log->io, error);
    /* No ring: the kernel hands writes that take new blocks to threads of its own. */
    if (result == OK)
        result = io_clone_roaming(options->io, &log->prepare_io, error);
    if (result == OK)
        result = io_clone_roaming(options->io, &log->recycle_io, error);
    if (result == OK) {
        for (size_t index = 0; index < array_count(log->buffers); index++)
            log->buffers[index] = io_buffer_alloc(log->io, log->options.piece_size);
        log->header_block = io_buffer_alloc(log->io, LOG_BLOCK_SIZE);
        result = log_recover(log, error);
    }
    if (result != OK) {
        destroy(log);
        return result;
    }
    *out = log;
    return OK;
}

void log_close(struct log *log)
{
    assert(log->thread == NULL);
    destroy(log);
}

static void wake(void *context)
{
    struct log *log = context;
    condition_signal(&log->wake);
}

enum err log_submit(struct log *log, struct log_entry *entry, struct error *error)
{
    assert(entry->done != NULL);
    enum err result = OK;
    if (entry->payload.size > LOG_RECORD_SIZE_MAX)
        return error_set(error, ERR_LIMIT, NULL,
                         "one commit has %zu bytes; at most %zu are possible", entry->payload.size,
                         LOG_RECORD_SIZE_MAX);
    entry->next = NULL;
    bool is_awaited = false;
    mutex_lock(&log->mutex);
    if (log->is_failed) {
        result = log->failure.code;
        if (error != NULL)
            *error = log->failure;
    } else if (log->is_stopping) {
        result = error_set(error, ERR_BUSY, NULL, "the server is stopping");
    } else {
        entry->position = log->next_position++;
        *log->last = entry;
        log->last = &entry->next;
        log->queue_count++;
        log->queue_bytes += entry->payload.size;
        is_awaited = log->is_waiting || (log->is_gathering && is_gathered(log));
    }
    mutex_unlock(&log->mutex);
    if (is_awaited)
        defer_call(wake, log);
    return result;
}

void log_status(struct log *log, struct log_status *out)
{
    mutex_lock(&log->mutex);
    *out = (struct log_status){
        .durable_position = log->durable_position,
        .next_position = log->next_position,
        .bytes = log->byte_count,
        .file_count = log->file_count,
        .appended = log->appended_count,
        .is_failed = log->is_failed,
        .failure = log->failure,
    };
    mutex_unlock(&log->mutex);
}

void log_revive(struct log *log)
{
    mutex_lock(&log->mutex);
    log->is_revival_wanted = log->is_failed;
    condition_signal(&log->wake);
    mutex_unlock(&log->mutex);
}
