/* A COPY … FROM under way: bytes in any pieces become posts of whole rows.
 *
 *   feed ─▶ buffer ─ full? ─▶ whole rows ─▶ ingest_post ─▶ durable and visible ─▶ the rest moves up
 *   end  ─▶ what is left   ─▶ ingest_post
 *
 * What fits a body (limits.body_max, limits.rows_max) is one record: all of it is stored, or none.
 * A longer COPY is several records, one behind the other, and its bytes are let go as each is
 * durable: where a later one fails, what was stored stays, and the error says how many rows that
 * is. With a producer's sequence a COPY is exactly one record, or an error: its retry could not
 * tell which of several were there.
 *
 * A post that finds memory full stored nothing; it is tried again until COPY_WAIT_US have passed,
 * and meanwhile the sender waits, as nobody takes its bytes. So do the buffers of all COPYs. */
#include "ingest/decode/decode.h"
#include "ingest/internal.h"
#include "storage/base/clock.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"
#include "storage/base/worker.h"

#include <assert.h>

#define COPY_WAIT_US (30 * INT64_C(1000000))
#define COPY_TRY_US INT64_C(50000)
#define BUFFER_FIRST ((size_t)64 << 10)

struct ingest_copy {
    struct ingest *ingest;
    struct arena arena; /* of the options */
    struct ingest_copy_options options;
    struct copy_options format;
    struct writer buffer;
    size_t charged; /* of ingest->copy_bytes */
    bool is_ended;  /* the bytes have said that they end */
    uint64_t row_count, part_count;
    struct commit *held; /* of a transaction's */
    size_t held_charged;
    struct ingest_copy_answer answer;
    enum err failed;
    struct error failure;
    struct mutex lock; /* the three below */
    struct condition is_posted;
    bool is_done;
    struct ingest_answer posted; /* of the post under way; without its body */
};

static struct slice keep(struct ingest_copy *copy, struct slice s)
{
    return arena_copy(&copy->arena, s);
}

struct ingest_copy *ingest_copy_begin(struct ingest *ingest,
                                      const struct ingest_copy_options *options)
{
    struct ingest_copy *copy = memory_alloc_zero(sizeof(*copy));
    size_t ids_size = options->column_count * sizeof(uint32_t);
    copy->ingest = ingest;
    arena_init(&copy->arena);
    writer_init(&copy->buffer);
    mutex_init(&copy->lock);
    condition_init(&copy->is_posted);
    uint32_t *ids = arena_alloc_array(&copy->arena, options->column_count, sizeof(*ids));
    memcpy(ids, options->column_ids, ids_size);
    copy->options = *options;
    copy->options.table = keep(copy, options->table);
    copy->options.producer = keep(copy, options->producer);
    copy->options.column_ids = ids;
    copy->format = *options->format;
    copy->format.null = keep(copy, options->format->null);
    copy->options.format = &copy->format;
    if (options->held != NULL)
        copy->held = commit_create(ingest->store);
    return copy;
}

void ingest_copy_destroy(struct ingest_copy *copy)
{
    if (copy == NULL)
        return;
    atomic_fetch_sub_explicit(&copy->ingest->copy_bytes, copy->charged, memory_order_relaxed);
    condition_deinit(&copy->is_posted);
    mutex_deinit(&copy->lock);
    if (copy->held != NULL)
        commit_destroy(copy->held);
    writer_deinit(&copy->buffer);
    arena_deinit(&copy->arena);
    memory_free(copy);
}

struct commit *ingest_copy_take(struct ingest_copy *copy)
{
    struct commit *held = copy->held;
    assert(held != NULL);
    copy->held = NULL;
    return held;
}

uint64_t ingest_copy_stored(const struct ingest_copy *copy)
{
    return copy->options.held != NULL ? 0 : copy->answer.rows;
}

/* Keeps the error for every call that follows. */
static enum err fail(struct ingest_copy *copy, enum err err, struct error *error)
{
    copy->failed = err;
    if (ingest_copy_stored(copy) > 0)
        error_hint(&copy->failure, "The first %llu rows of this COPY are stored, in %llu records.",
                   (unsigned long long)copy->answer.rows, (unsigned long long)copy->part_count);
    if (error != NULL)
        *error = copy->failure;
    return err;
}

static bool is_cancelled(const struct ingest_copy *copy)
{
    return copy->options.is_cancelled != NULL &&
           atomic_load_explicit(copy->options.is_cancelled, memory_order_relaxed);
}

static void pause_for(struct ingest_copy *copy, int64_t us)
{
    worker_block_begin();
    mutex_lock(&copy->lock);
    condition_wait_for(&copy->is_posted, &copy->lock, us);
    mutex_unlock(&copy->lock);
    worker_block_end();
}

/* --- memory --- */

/* Room for `size` bytes in all, charged to what all COPYs may hold. */
static enum err charge(struct ingest_copy *copy, size_t size)
{
    struct ingest *ingest = copy->ingest;
    size_t want = BUFFER_FIRST;
    int64_t deadline_us = clock_monotonic_us() + COPY_WAIT_US;
    while (want < size)
        want *= 2;
    size_t more = want > copy->charged ? want - copy->charged : 0;
    while (more > 0) {
        size_t used = atomic_fetch_add_explicit(&ingest->copy_bytes, more, memory_order_relaxed);
        if (used + more <= ingest->options.limits.copy_bytes_max)
            break;
        atomic_fetch_sub_explicit(&ingest->copy_bytes, more, memory_order_relaxed);
        if (is_cancelled(copy))
            return error_set(&copy->failure, ERR_CANCELLED, "57014", "COPY was cancelled");
        if (clock_monotonic_us() >= deadline_us)
            return error_set(&copy->failure, ERR_LIMIT, "53200",
                             "the memory for COPYs under way (%zu bytes) is used up",
                             ingest->options.limits.copy_bytes_max);
        pause_for(copy, COPY_TRY_US);
    }
    copy->charged += more;
    return OK;
}

/* --- posts --- */

static void post_done(void *context, const struct ingest_answer *answer)
{
    struct ingest_copy *copy = context;
    mutex_lock(&copy->lock);
    copy->posted = *answer;
    copy->posted.body = (struct slice){0};
    copy->is_done = true;
    condition_signal(&copy->is_posted);
    mutex_unlock(&copy->lock);
}

static void post_and_wait(struct ingest_copy *copy, const struct ingest_request *request)
{
    copy->is_done = false;
    ingest_post(copy->ingest, request, post_done, copy);
    while (store_run(copy->ingest->store)) /* a simulation */
        continue;
    worker_block_begin();
    mutex_lock(&copy->lock);
    while (!copy->is_done)
        condition_wait(&copy->is_posted, &copy->lock);
    mutex_unlock(&copy->lock);
    worker_block_end();
}

/* As POST and INSERT: what is left of the disk is for upkeep. */
static enum err refuse_low_disk(struct ingest_copy *copy)
{
    if (!atomic_load_explicit(&copy->ingest->is_disk_low, memory_order_relaxed))
        return OK;
    metric_add(&metrics.ingest_backpressure, 1);
    metric_mark(&metrics.backpressure_at);
    return error_set(&copy->failure, ERR_SPACE, "53100",
                     "the disk is nearly full: rows are taken again when there is room");
}

/* One record of whole rows. */
static enum err store_part(struct ingest_copy *copy, struct slice rows)
{
    struct ingest_copy_part part = {.options = &copy->format,
                                    .column_ids = copy->options.column_ids,
                                    .column_count = copy->options.column_count,
                                    .first_row = copy->row_count,
                                    .is_first = copy->part_count == 0,
                                    .is_strict = copy->options.is_strict};
    struct ingest_request request = {.table = copy->options.table,
                                     .table_id = copy->options.table_id,
                                     .body = rows,
                                     .format = INGEST_COPY,
                                     .producer = copy->options.producer,
                                     .has_sequence = copy->options.has_sequence,
                                     .sequence = copy->options.sequence,
                                     .is_cancelled = copy->options.is_cancelled,
                                     .copy = &part,
                                     .held = copy->held};
    int64_t begin_us = clock_monotonic_us(), deadline_us = begin_us + COPY_WAIT_US;
    enum err err = refuse_low_disk(copy);
    if (err != OK)
        return err;
    for (;;) {
        post_and_wait(copy, &request);
        if (copy->posted.http_status != 429 || clock_monotonic_us() >= deadline_us ||
            is_cancelled(copy))
            break;
        pause_for(copy, COPY_TRY_US);
    }
    if (copy->posted.http_status != 200) {
        copy->failure = copy->posted.error;
        assert(copy->failure.code != OK);
        return copy->failure.code;
    }
    if (copy->posted.outcome == INGEST_STORED && copy->held == NULL)
        latency_record(LATENCY_FRESH_COPY, clock_monotonic_us() - begin_us);
    struct ingest_copy_answer *answer = &copy->answer;
    answer->position = copy->posted.position;
    answer->rows += copy->posted.rows;
    answer->rejected += copy->posted.rejected;
    answer->duplicates += copy->posted.duplicates;
    answer->is_repeated = copy->posted.outcome == INGEST_REPEATED;
    if (answer->reason.code == OK)
        answer->reason = part.reason;
    copy->is_ended = part.is_ended;
    copy->row_count += part.row_count;
    copy->part_count++;
    return OK;
}

/* A transaction's rows wait in memory for its COMMIT. */
static enum err charge_held(struct ingest_copy *copy)
{
    size_t size = copy->held == NULL ? 0 : commit_size(copy->held);
    if (size <= copy->held_charged)
        return OK;
    enum err err = budget_charge(copy->options.held, size - copy->held_charged, &copy->failure);
    if (err == OK)
        copy->held_charged = size;
    else
        error_hint(&copy->failure, "In a transaction block all rows wait in memory for COMMIT; "
                                   "outside of one a COPY may be of any length.");
    return err;
}

/* The whole rows of the buffer, as many as a record takes; with is_last all of it. */
static enum err store_buffer(struct ingest_copy *copy, bool is_last)
{
    const struct ingest_limits *limits = &copy->ingest->options.limits;
    struct slice all = writer_as_slice(&copy->buffer);
    size_t rows;
    size_t size =
        copy_whole_rows(&copy->format, all, copy->part_count == 0, limits->rows_max, &rows);
    if (is_last && rows < limits->rows_max)
        size = all.size; /* the last line may lack its end */
    if (copy->options.producer.size > 0 && !(is_last && size == all.size))
        return error_set(&copy->failure, ERR_LIMIT, "54000",
                         "a COPY with freshet.sequence is one record: at most %zu bytes and %zu "
                         "rows",
                         limits->body_max, limits->rows_max);
    if (size == 0 && all.size > 0)
        return error_set(&copy->failure, ERR_LIMIT, "54000",
                         "a row of this COPY is longer than %zu bytes", limits->body_max);
    enum err err = store_part(copy, slice_of(all.data, size));
    if (err == OK)
        err = charge_held(copy);
    if (err != OK)
        return err;
    if (size < all.size)
        memmove(copy->buffer.data, copy->buffer.data + size, all.size - size);
    copy->buffer.size = copy->is_ended ? 0 : all.size - size;
    return OK;
}

enum err ingest_copy_feed(struct ingest_copy *copy, struct slice bytes, struct error *error)
{
    size_t limit = copy->ingest->options.limits.body_max;
    while (copy->failed == OK && bytes.size > 0 && !copy->is_ended) {
        size_t room = limit - copy->buffer.size;
        size_t taken = bytes.size < room ? bytes.size : room;
        enum err err = charge(copy, copy->buffer.size + taken);
        if (err == OK) {
            writer_bytes(&copy->buffer, bytes.data, taken);
            bytes = slice_of(bytes.data + taken, bytes.size - taken);
            if (copy->buffer.size == limit)
                err = store_buffer(copy, false);
        }
        if (err != OK)
            return fail(copy, err, error);
    }
    if (copy->failed != OK && error != NULL)
        *error = copy->failure;
    return copy->failed;
}

enum err ingest_copy_end(struct ingest_copy *copy, struct ingest_copy_answer *out,
                         struct error *error)
{
    while (copy->failed == OK && !copy->is_ended &&
           (copy->buffer.size > 0 || copy->part_count == 0)) {
        enum err err = store_buffer(copy, true);
        if (err != OK)
            return fail(copy, err, error);
    }
    *out = copy->answer;
    if (copy->failed != OK && error != NULL)
        *error = copy->failure;
    return copy->failed;
}
