/* One ingest request from body to answer.
 *
 *   ingest_post ── inflate ── table (create=true) ── guard ── decode ── commit ─ ─ (log thread) ─ ─
 * post_done ── answer │            413, 400      404                409 422    400 413   429 503
 * 507 └── refused: answered at once, nothing stored
 *
 * A `struct post` lives from ingest_post to its answer. Decoding memory is the caller's and is gone
 * when ingest_post returns: the commit has its own bytes by then. A repetition stores its counts
 * before it is answered, so the ledger never loses a duplicate to a crash.
 *
 * If the table's definition changes between decoding and commit the body is decoded again by the
 * new one. */
#include "ingest/decode/decode.h"
#include "ingest/flight.h"
#include "ingest/internal.h"
#include "ingest/outcome.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/worker.h"
#include "storage/base/logger.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define ATTEMPTS_MAX 4
#define DEFINITION_WAIT_US INT64_C(1000000)
#define RETRY_MEMORY_S 1
#define RETRY_SPACE_S 10
#define RETRY_BUSY_S 2
#define CAPACITY_MIN 64
#define CAPACITY_MAX 65536
#define STATUS_MUST_WAIT (-1)

/* What a thread that must not wait decodes of one body. Bytes do not say what a row costs: three of
 * them are a row of as many cells as the table has columns. */
#define AT_ONCE_CELLS 32768
#define ROW_CELLS 4 /* what a row costs besides, rejected ones too */

struct post {
    struct ingest *ingest;
    void (*done)(void *context, const struct ingest_answer *answer);
    void *context;
    bool may_wait;
    uint32_t table_id;
    size_t body_size; /* inflated */
    struct guard guard;
    struct writer section; /* the answer is made of it */
};

/* What lives only while ingest_post runs. */
struct attempt {
    const struct ingest_request *request;
    struct slice body; /* inflated */
    struct writer inflated;
    struct hash128 body_hash;
    enum ingest_format format;
    int64_t now_us;
    const struct schema *schema;
    struct definition *definition;
    struct arena arena;
    struct rows rows;
    struct commit *commit; /* once there are rows in it */
    bool is_repetition;    /* its rows are counted, not stored */
    bool is_out_of_memory; /* its rows do not fit with what is there */
    struct error error;
};

/* --- answers --- */

static void post_finish(struct post *post, const struct ingest_answer *answer)
{
    metric_add(&metrics.ingest_requests, 1);
    metric_add(&metrics.ingest_bytes, (int64_t)post->body_size);
    if (answer->http_status == 429 || answer->http_status == 507) {
        metric_add(&metrics.ingest_backpressure, 1);
        metric_mark(&metrics.backpressure_at);
    }
    guard_end(post->ingest, &post->guard);
    post->done(post->context, answer);
    writer_deinit(&post->section);
    memory_free(post);
}

static void post_refuse(struct post *post, int status, const struct error *error)
{
    struct ingest_answer answer = {
        .outcome = INGEST_REFUSED, .http_status = status, .error = *error};
    answer.expected_sequence = post->guard.expected_sequence;
    answer.retry_after_s = status == 429   ? RETRY_MEMORY_S
                           : status == 507 ? RETRY_SPACE_S
                           : status == 503 ? RETRY_BUSY_S
                                           : 0;
    post_finish(post, &answer);
}

/* HTTP status of what storage says. */
static int commit_status(enum err err, const struct error *error)
{
    switch (err) {
    case ERR_LIMIT:
        return 429;
    case ERR_SPACE:
        return 507;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_BUSY:
    case ERR_IO:
        return error->code == ERR_SPACE ? 507 : 503;
    default:
        return sqlstate_http_status(error->sqlstate);
    }
}

/* The same of rows: what will never fit is not to be sent again as it is. */
static int rows_status(enum err err, const struct error *error)
{
    bool is_too_large = err == ERR_LIMIT && strcmp(error->sqlstate, "54000") == 0;
    return is_too_large ? 413 : commit_status(err, error);
}

static int64_t key_expiry(struct post *post)
{
    if (!post->guard.flight.is_key)
        return 0;
    int64_t lifetime_us = post->ingest->options.limits.key_lifetime_us;
    if (post->guard.kind == GUARD_REPEATED)
        return post->guard.kept.at_us + lifetime_us;
    mutex_lock(&post->ingest->lock);
    struct table_state *table = ingest_find_table(post->ingest, post->table_id);
    const struct idempotency_key *key =
        table == NULL
            ? NULL
            : keys_find(&table->keys, post->guard.flight.name, INT64_MIN / 2, lifetime_us);
    int64_t expires_us = key == NULL ? 0 : key->answer.at_us + lifetime_us;
    mutex_unlock(&post->ingest->lock);
    return expires_us;
}

/* The record is durable and visible, or it failed. On the log thread. */
static void post_done(void *context, uint64_t position, enum err result, const struct error *error)
{
    struct post *post = context;
    if (result != OK) {
        post_refuse(post, commit_status(result, error), error);
        return;
    }
    struct ingest_answer answer = {
        .outcome = INGEST_STORED, .http_status = 200, .position = position};
    struct section_request request;
    struct kept_answer kept;
    struct error bad;
    enum err err = section_read(writer_as_slice(&post->section), &request, &bad);
    assert(err == OK);
    (void)err;
    kept_answer_init(&kept, &request, position, 0);
    const struct kept_answer *given =
        post->guard.kind == GUARD_REPEATED ? &post->guard.kept : &kept;
    struct writer body;
    writer_init(&body);
    kept_answer_print(given, &body);
    answer.position = given->position;
    answer.rows = given->rows;
    answer.duplicates = given->duplicates;
    answer.rejected = given->rejected;
    if (post->guard.kind != GUARD_NEW)
        answer.outcome = INGEST_REPEATED;
    answer.body = writer_as_slice(&body);
    answer.key_expires_us = key_expiry(post);
    post_finish(post, &answer);
    writer_deinit(&body);
    kept_answer_deinit(&kept);
}

/* --- checks before decoding --- */

/* Status of a request that is wrong in itself; 0: it is not. */
static int check_request(const struct ingest_request *request, struct error *error)
{
    if (request->producer.size > 0 && request->idempotency_key.size > 0)
        error_set(error, ERR_INPUT, "22023",
                  "a request has either a producer or an idempotency key");
    else if ((request->producer.size > 0) != request->has_sequence)
        error_set(error, ERR_INPUT, "22023", "Freshet-Producer and Freshet-Sequence come together");
    else if (request->producer.size > NAME_SIZE_MAX ||
             request->idempotency_key.size > NAME_SIZE_MAX)
        error_set(error, ERR_INPUT, "22023",
                  "producer names and idempotency keys have at most %d bytes", NAME_SIZE_MAX);
    else if (utf8_validate(request->producer) != request->producer.size)
        error_set(error, ERR_INPUT, "22021", "the producer's name is not valid UTF-8");
    else
        return 0;
    return 400;
}

/* Full memory or disk shows before work is spent on the body. */
static int check_store(struct ingest *ingest, struct error *error)
{
    struct store_status status;
    store_status(ingest->store, &status);
    if (status.is_failed) {
        *error = status.failure;
        return status.failure.code == ERR_SPACE ? 507 : 503;
    }
    if (status.rows_memory_used >= status.rows_memory_limit) {
        error_set(error, ERR_LIMIT, "53200", "the memory for rows (%zu bytes) is used up",
                  status.rows_memory_limit);
        return 429;
    }
    return 0;
}

static int inflate_body(struct ingest *ingest, struct attempt *attempt)
{
    const struct ingest_request *request = attempt->request;
    size_t limit = ingest->options.limits.body_max;
    attempt->body = request->body;
    if (request->encoding == INGEST_PLAIN) {
        if (request->body.size > limit) {
            error_set(&attempt->error, ERR_LIMIT, "54000",
                      "the body is larger than %zu bytes; freshet load splits files", limit);
            return 413;
        }
    } else {
        enum err err = decode_inflate(request->body, request->encoding, limit, &attempt->inflated,
                                      &attempt->error);
        if (err != OK)
            return err == ERR_LIMIT ? 413 : 400;
        attempt->body = writer_as_slice(&attempt->inflated);
    }
    attempt->format =
        request->format == INGEST_SNIFF ? decode_sniff(attempt->body) : request->format;
    return 0;
}

static int create_table(struct ingest *ingest, struct attempt *attempt)
{
    struct ingest_table table = {.name = attempt->request->table, .if_not_exists = true};
    struct ingest_column *columns;
    struct slice time_column;
    if (infer_columns(attempt->body, attempt->format, &attempt->arena, &columns,
                      &table.column_count, &time_column, &attempt->error) != OK)
        return 400;
    table.columns = columns;
    struct ingest_option time = {.name = SLICE("time"), .value = time_column};
    if (time_column.size > 0) {
        table.options = &time;
        table.option_count = 1;
    }
    uint64_t position;
    enum err err = ingest_create_table(ingest, &table, &position, &attempt->error);
    return err == OK ? 0 : commit_status(err, &attempt->error);
}

static int find_table(struct ingest *ingest, struct attempt *attempt)
{
    struct slice name = attempt->request->table;
    uint32_t id = attempt->request->table_id;
    attempt->schema = id != 0 ? ingest_schema_by_id(ingest, id) : ingest_schema(ingest, name);
    if (attempt->schema == NULL && attempt->request->is_create && id == 0) {
        int status = create_table(ingest, attempt);
        if (status != 0)
            return status;
        attempt->schema = ingest_schema(ingest, name);
    }
    if (attempt->schema == NULL) {
        ingest_no_table(name, &attempt->error);
        if (id != 0)
            return 404;
        error_hint(&attempt->error,
                   "Create the table first, or add ?create=true to let its columns be inferred.");
        return 404;
    }
    enum err err =
        ingest_definition(ingest, attempt->schema, &attempt->definition, &attempt->error);
    return err == OK ? 0 : sqlstate_http_status(attempt->error.sqlstate);
}

/* --- rows --- */

/* By the first line. */
static size_t guess_rows(struct slice body)
{
    size_t head = body.size < 65536 ? body.size : 65536;
    const char *line_end = head == 0 ? NULL : memchr(body.data, '\n', head);
    size_t line = line_end == NULL ? 1024 : (size_t)(line_end - body.data) + 1;
    return body.size / line;
}

static size_t capacity_for(size_t count)
{
    count += count / 8 + 2;
    return count < CAPACITY_MIN ? CAPACITY_MIN : count > CAPACITY_MAX ? CAPACITY_MAX : count;
}

/* The columns by their ids, as the table has them now. */
static enum err decode_part(struct attempt *attempt)
{
    struct ingest_copy_part *part = attempt->request->copy;
    uint32_t *columns = arena_alloc_array(&attempt->arena, part->column_count, sizeof(*columns));
    for (size_t i = 0; i < part->column_count; i++) {
        columns[i] = 0;
        while (columns[i] < attempt->schema->column_count &&
               attempt->schema->columns[columns[i]].id != part->column_ids[i])
            columns[i]++;
        if (columns[i] == attempt->schema->column_count)
            return error_set(&attempt->error, ERR_INPUT, "42703",
                             "a column of this COPY is no longer in the table");
    }
    struct copy_decode copy = {.options = part->options,
                               .columns = columns,
                               .column_count = part->column_count,
                               .is_first = part->is_first};
    enum err err = decode_copy(&attempt->rows, attempt->body, &copy, &attempt->error);
    part->is_ended = copy.is_ended;
    part->row_count = attempt->rows.row_number;
    if (err != OK || attempt->rows.rejection_count == 0)
        return err;
    const struct rows_rejection *first = &attempt->rows.rejections[0];
    err = error_set(&part->reason, ERR_INPUT, first->sqlstate, "row %llu: %.*s%s%.*s",
                    (unsigned long long)first->row, SLICE_ARGS(first->column),
                    first->column.size > 0 ? ": " : "", SLICE_ARGS(first->reason));
    if (!part->is_strict)
        return OK;
    attempt->error = part->reason;
    return err;
}

static enum err decode_format(struct attempt *attempt, const struct decode_options *options)
{
    switch (attempt->format) {
    case INGEST_CSV:
        return decode_csv(&attempt->rows, attempt->body, options, &attempt->error);
    case INGEST_JSON:
        return decode_json(&attempt->rows, attempt->body, options, &attempt->error);
    case INGEST_COPY:
        return decode_part(attempt);
    default:
        return decode_ndjson(&attempt->rows, attempt->body, options, &attempt->error);
    }
}

/* How many rows may be decoded here, at most. */
static size_t rows_max_of(const struct post *post, const struct attempt *attempt)
{
    size_t rows_max = post->ingest->options.limits.rows_max;
    size_t at_once = AT_ONCE_CELLS / (attempt->schema->column_count + ROW_CELLS);
    bool is_bounded = !post->may_wait && !fault_is("ingest.at_once_unbounded");
    return is_bounded && at_once < rows_max ? at_once : rows_max;
}

/* The rows that are there go into the record. */
static enum err add_rows(struct ingest *ingest, struct attempt *attempt)
{
    if (attempt->is_repetition || attempt->rows.count == 0)
        return OK;
    struct batch batch;
    const uint32_t *column_ids;
    rows_finish(&attempt->rows, &batch, &column_ids);
    if (attempt->commit == NULL) {
        attempt->commit = commit_create(ingest->store);
        commit_reserve(attempt->commit, attempt->body.size); /* columns are smaller than JSON,
                                                                mostly */
    }
    commit_add_rows(attempt->commit, attempt->schema, column_ids, &batch);
    if (attempt->request->copy != NULL) /* has a limit of its own, and waits at its end */
        return OK;
    enum err err = commit_charge(attempt->commit, &attempt->error);
    attempt->is_out_of_memory = err != OK;
    return err;
}

struct section_taker {
    struct ingest *ingest;
    struct attempt *attempt;
};

static enum err take_section(void *context, struct error *error)
{
    const struct section_taker *taker = context;
    assert(error == &taker->attempt->error);
    (void)error;
    return add_rows(taker->ingest, taker->attempt);
}

static int decode_body(const struct post *post, struct attempt *attempt)
{
    const struct ingest_limits *limits = &post->ingest->options.limits;
    const struct ingest_copy_part *part = attempt->request->copy;
    attempt->is_repetition = post->guard.kind != GUARD_NEW;
    size_t rows_max = rows_max_of(post, attempt), row_count = guess_rows(attempt->body);
    if (!post->may_wait && row_count > rows_max)
        return STATUS_MUST_WAIT;
    struct definition_defaults defaults;
    definition_defaults_init(&defaults, attempt->definition, attempt->now_us);
    struct section_taker section = {.ingest = post->ingest, .attempt = attempt};
    struct rows_options options = {
        .mapping = attempt->definition->mapping,
        .arena = &attempt->arena,
        .now_us = attempt->now_us,
        .rows_max = rows_max,
        .row_size_max = limits->row_max,
        .first_row = part == NULL ? 0 : part->first_row,
        .capacity = capacity_for(row_count),
        .defaults = &defaults.interface,
        .take_section = take_section,
        .section_context = &section,
        .section_cells = limits->section_cells,
    };
    struct decode_options decode = {.depth_max = limits->json_depth_max,
                                    .keys_max = limits->keys_max};
    rows_init(&attempt->rows, &options);
    enum err err = decode_format(attempt, &decode);
    attempt->rows.options.defaults = NULL; /* it lies on this stack */
    if (err == OK)
        return 0;
    if (attempt->is_out_of_memory)
        return rows_status(err, &attempt->error);
    if (err == ERR_LIMIT && !post->may_wait)
        return STATUS_MUST_WAIT;
    return err == ERR_LIMIT ? 413 : 400;
}

/* What the section says but its lists. Each count is taken where that fate is decided. */
static struct section_request describe(const struct post *post, const struct attempt *attempt,
                                       size_t stored)
{
    const struct ingest_request *request = attempt->request;
    bool is_copy = request->copy != NULL;
    struct section_request section = {
        .table_id = attempt->schema->table_id,
        .table = attempt->schema->name,
        .source = request->producer.size > 0 ? request->producer
                  : is_copy                  ? SLICE("copy")
                                             : SLICE("http"),
        .source_kind = is_copy ? SOURCE_COPY : SOURCE_HTTP,
        .body = attempt->body_hash,
    };
    section.counts[FATE_RECEIVED] = attempt->rows.received;
    if (post->guard.kind != GUARD_NEW) {
        section.counts[FATE_DUPLICATE] = attempt->rows.row_number;
        if (fault_is("ingest.miscount.duplicate"))
            section.counts[FATE_DUPLICATE]--;
        return section;
    }
    section.producer = request->producer;
    section.sequence = request->sequence;
    section.has_key = request->idempotency_key.size > 0;
    section.key = post->guard.flight.name;
    section.counts[FATE_STORED] = stored - (fault_is("ingest.miscount.stored") && stored > 0);
    section.dead_count = attempt->rows.rejection_count;
    section.counts[FATE_DEAD] =
        section.dead_count - (fault_is("ingest.miscount.dead") && section.dead_count > 0);
    return section;
}

static void write_section(const struct attempt *attempt, const struct section_request *section,
                          struct writer *out)
{
    writer_reset(out);
    section_begin(out, section);
    for (size_t i = 0; i < section->dead_count; i++) {
        struct section_dead dead = outcome_dead(&attempt->rows.rejections[i]);
        section_add_dead(out, section, &dead);
    }
    if (section->counts[FATE_DUPLICATE] > 0 || section->counts[FATE_RECEIVED] == 0)
        section_begin_drift(out, 0);
    else
        outcome_write_drift(&attempt->rows, &(struct outcome_mark){0}, out);
}

/* Planted mistakes: the key, or the dead letters, in a record of their own behind the rows, so that
 * a crash can part them. Submits *commit without them and leaves in its place one for them. */
static enum err submit_parted(struct ingest *ingest, struct attempt *attempt,
                              struct section_request *section, struct commit **commit)
{
    struct section_request first = *section;
    struct writer bytes;
    uint64_t position;
    memset(section->counts, 0, sizeof(section->counts));
    if (fault_is("ingest.key_after_rows")) {
        first.producer = (struct slice){0};
        first.has_key = false;
        section->dead_count = 0;
    } else {
        first.dead_count = 0;
        section->producer = (struct slice){0};
        section->has_key = false;
    }
    writer_init(&bytes);
    write_section(attempt, &first, &bytes);
    commit_add_section(*commit, SECTION_REQUEST, writer_as_slice(&bytes));
    writer_deinit(&bytes);
    enum err err =
        store_commit(ingest->store, *commit, &position, &attempt->error); /* a group of its own */
    *commit = commit_create(ingest->store);
    if (err != OK)
        commit_destroy(*commit);
    return err;
}

/* ERR_NOT_FOUND: the definition is no longer the table's. After OK `post` belongs to the log
 * thread. */
static enum err submit(struct post *post, struct attempt *attempt)
{
    struct ingest *ingest = post->ingest;
    enum err added = add_rows(ingest, attempt);
    if (added != OK)
        return added;
    struct commit *commit =
        attempt->commit != NULL ? attempt->commit : commit_create(ingest->store);
    attempt->commit = NULL;
    size_t stored = attempt->is_repetition ? 0 : attempt->rows.sectioned + attempt->rows.count;
    struct section_request section = describe(post, attempt, stored);
    if (fault_is("ingest.key_after_rows") || fault_is("ingest.dead_letters_after_rows")) {
        enum err err = submit_parted(ingest, attempt, &section, &commit);
        if (err != OK)
            return err;
    }
    write_section(attempt, &section, &post->section);
    commit_add_section(commit, SECTION_REQUEST, writer_as_slice(&post->section));
    uint64_t position;
    if (attempt->request->held != NULL) { /* whoever holds it stores it, or forgets it */
        commit_append(attempt->request->held, commit);
        post_done(post, 0, OK, NULL);
        return OK;
    }
    return store_submit(ingest->store, commit, post_done, post, &position, &attempt->error);
}

/* --- memory --- */

/* Requests come one after the other on several threads. Memory that was used a moment ago is there
 * and in some cache; fresh memory costs the allocator's time and a page fault every 4 KB. */
struct arena ingest_take_arena(struct ingest *ingest)
{
    struct arena arena;
    arena_init(&arena);
    mutex_lock(&ingest->spare_lock);
    if (ingest->spare_count > 0)
        arena = ingest->spare[--ingest->spare_count];
    mutex_unlock(&ingest->spare_lock);
    return arena;
}

void ingest_give_arena(struct ingest *ingest, struct arena *arena)
{
    arena_reset(arena);
    bool is_kept = false;
    if (arena->total <= SPARE_ARENA_SIZE_MAX) {
        mutex_lock(&ingest->spare_lock);
        is_kept = ingest->spare_count < SPARE_ARENAS;
        if (is_kept)
            ingest->spare[ingest->spare_count++] = *arena;
        mutex_unlock(&ingest->spare_lock);
    }
    if (!is_kept)
        arena_deinit(arena);
}

/* --- the request --- */

static void attempt_release(struct attempt *attempt)
{
    rows_deinit(&attempt->rows);
    if (attempt->commit != NULL)
        commit_destroy(attempt->commit);
    attempt->commit = NULL;
    definition_unref(attempt->definition);
    schema_unref(attempt->schema);
    attempt->rows = (struct rows){0};
    attempt->definition = NULL;
    attempt->schema = NULL;
    arena_reset(&attempt->arena);
}

/* One try by the definition of the moment. Status if it is refused, 0 if it was submitted;
 * *is_stale: try again. */
static int post_try(struct post *post, struct attempt *attempt, bool *is_stale)
{
    const struct ingest_request *request = attempt->request;
    *is_stale = false;
    int status = find_table(post->ingest, attempt);
    if (status != 0)
        return status;
    if (!post->guard.is_registered) {
        post->table_id = attempt->schema->table_id;
        guard_begin(post->ingest, request, post->table_id, attempt->schema->name,
                    attempt->body_hash, attempt->now_us, &post->guard, &attempt->error);
        if (post->guard.kind == GUARD_REFUSED)
            return post->guard.status;
    }
    status = decode_body(post, attempt);
    if (status != 0)
        return status;
    if (request->is_cancelled != NULL &&
        atomic_load_explicit(request->is_cancelled, memory_order_relaxed)) {
        error_set(&attempt->error, ERR_CANCELLED, "57014", "the client went away");
        return 503;
    }
    enum err err = submit(post, attempt);
    if (err == OK)
        return 0;
    *is_stale = err == ERR_NOT_FOUND;
    return rows_status(err, &attempt->error);
}

/* The gate knows a change from its submission on, snapshots only once it is durable: until then
 * another try would decode by the same old definition. */
static void await_definition(struct ingest *ingest, uint64_t seen)
{
    struct error error;
    worker_block_begin();
    if (store_wait(ingest->store, seen + 1, DEFINITION_WAIT_US, &error) != OK)
        logger_write(LOG_DEBUG, "no new definition within the wait position=%llu",
                     (unsigned long long)seen);
    worker_block_end();
}

static int post_run(struct post *post, struct attempt *attempt)
{
    int status = check_request(attempt->request, &attempt->error);
    if (status == 0)
        status = check_store(post->ingest, &attempt->error);
    if (status == 0)
        status = inflate_body(post->ingest, attempt);
    if (status != 0)
        return status;
    post->body_size = attempt->body.size;
    if (attempt->request->producer.size > 0 || attempt->request->idempotency_key.size > 0)
        attempt->body_hash = hash128_of(attempt->body.data, attempt->body.size);
    bool is_stale = true;
    for (int i = 0; i < ATTEMPTS_MAX && is_stale; i++) {
        uint64_t seen = store_position(post->ingest->store);
        status = post_try(post, attempt, &is_stale);
        if (!is_stale)
            return status;
        attempt_release(attempt);
        guard_end(post->ingest, &post->guard); /* the table may be another one now */
        if (post->may_wait)
            await_definition(post->ingest, seen);
        else if (!fault_is("ingest.never_hands_on"))
            return STATUS_MUST_WAIT;
    }
    error_set(&attempt->error, ERR_BUSY, "40001", "the table's definition keeps changing");
    return 503;
}

static bool begin(struct ingest *ingest, const struct ingest_request *request, bool may_wait,
                  void (*done)(void *context, const struct ingest_answer *answer), void *context)
{
    struct post *post = memory_alloc_zero(sizeof(*post));
    *post = (struct post){.ingest = ingest, .done = done, .context = context, .may_wait = may_wait};
    writer_init(&post->section);
    struct attempt attempt = {.request = request, .now_us = clock_wall_us()};
    writer_init(&attempt.inflated);
    attempt.arena = ingest_take_arena(ingest);
    int status = post_run(post, &attempt);
    if (status == STATUS_MUST_WAIT) {
        guard_end(ingest, &post->guard);
        writer_deinit(&post->section);
        memory_free(post);
    } else if (status != 0) {
        post_refuse(post, status, &attempt.error);
    }
    attempt_release(&attempt);
    ingest_give_arena(ingest, &attempt.arena);
    writer_deinit(&attempt.inflated);
    return status != STATUS_MUST_WAIT;
}

void ingest_post(struct ingest *ingest, const struct ingest_request *request,
                 void (*done)(void *context, const struct ingest_answer *answer), void *context)
{
    bool is_done = begin(ingest, request, true, done, context);
    assert(is_done);
    (void)is_done;
}

/* Whoever has the lock for long has it already, mostly: a checkpoint writes up to a GiB of dead
 * letters with it. Only between here and its first use it may come anew. */
static bool is_locked(struct ingest *ingest)
{
    if (!mutex_try_lock(&ingest->lock))
        return true;
    mutex_unlock(&ingest->lock);
    return false;
}

bool ingest_post_at_once(struct ingest *ingest, const struct ingest_request *request,
                         void (*done)(void *context, const struct ingest_answer *answer),
                         void *context)
{
    return !request->is_create && !is_locked(ingest) &&
           begin(ingest, request, false, done, context);
}
