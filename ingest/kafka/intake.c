/* From messages to one record: rows of every partition, a request section for each (ledger, dead
 * letters, drift under "subscription/partition"), and the offsets, all or nothing.
 *
 *   messages ── by partition ── offset checks ── decode ── rows ──┐
 *                                │      │            └─ dead ─────┼─▶ record ─▶ log ─▶ intake_done
 *                     duplicate ─┘      └─ tombstone ─────────────┤
 *                                              offsets ───────────┘
 *
 * Exactly once. A batch begins where its partitions stood when it was decoded and says so. Just
 * before it goes to the log it is held against the state, under the lock: same assignment, same
 * position, else nothing of it is taken (the fence). One batch at a time is in the log; the next is
 * decoded meanwhile, so no later batch can get in after an earlier one failed.
 *
 *   state of a partition, in ingest->subscriptions, so that every intake of a subscription sees it:
 *     next_offset       moved by records only
 *     submitted_offset  next_offset, or the end of the batch that is under way
 *     generation        counts assignments and revocations
 *
 * Offsets. Below the next: stored already, counted as duplicate. Beyond it: legal (markers of
 * transactions, aborted messages, compaction), counted as a gap; whether a gap is legal after a
 * hiccup of the library is the consumer's to doubt, by assigning the partition anew. */
#include "ingest/kafka/intake.h"

#include "ingest/decode/decode.h"
#include "ingest/internal.h"
#include "ingest/kafka/origin.h"
#include "ingest/outcome.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/latency.h"
#include "storage/base/metrics.h"

#include <assert.h>

#define WAIT_STEP_US INT64_C(100000)
#define WAIT_SHORT_US INT64_C(500)
#define ROWS_MAX ((size_t)1 << 30) /* messages bound them: INTAKE_BYTES_MAX, MESSAGE_ROWS_MAX */
#define BAD_FIRST 16

struct assignment {
    int32_t partition;
    uint32_t generation;
    int64_t next; /* behind everything submitted */
};

struct intake {
    struct intake_options options;
    struct ingest *ingest;
    uint32_t id;       /* of the subscription */
    uint32_t table_id; /* it flows into */
    struct slice map;  /* owned; empty: the table's */
    struct slice name; /* owned */
    struct slice topic;
    struct assignment *assigned; /* by partition */
    size_t assigned_count, assigned_capacity;
    struct definition *definition; /* with `map` in it */
    struct arena arena;            /* of a batch while it is decoded */
    /* The batch under way; done on the log thread. */
    struct mutex lock;
    struct condition done;
    bool is_busy, has_failed;
    struct error failure;
    uint64_t position;
    struct intake_batch *flying;
};

struct part {
    int32_t partition;
    uint32_t generation;
    int64_t expected, next;
    int64_t message_at_us;
    size_t begin, end; /* in `order` */
};

struct intake_batch {
    struct commit *commit;
    struct part *parts;
    size_t part_count;
    struct subscription_counts counts;
};

/* A message some of whose rows were rejected. */
struct bad {
    const struct kafka_message *message;
    size_t begin, end; /* rejections */
    uint64_t row_base;
};

struct decoding {
    struct intake *intake;
    struct intake_batch *batch;
    const struct kafka_message *messages;
    uint32_t *order; /* messages by partition */
    struct rows rows;
    struct decoder *decoder;
    struct bad *bad;
    size_t bad_count, bad_capacity;
    uint64_t duplicates, filtered; /* of the part */
    const struct schema *schema;
    struct writer section, origin;
};

/* --- life --- */

static struct slice own_text(struct slice text)
{
    char *copy = memory_alloc(text.size + 1);
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    return slice_of(copy, text.size);
}

static enum err no_subscription(struct slice name, struct error *error)
{
    name = slice_cut(name, IDENTIFIER_SIZE_MAX);
    return error_set(error, ERR_NOT_FOUND, "42704", "subscription \"%.*s\" does not exist",
                     SLICE_ARGS(name));
}

enum err intake_open(const struct intake_options *options, struct intake **out, struct error *error)
{
    struct intake *intake = memory_alloc_zero(sizeof(*intake));
    *intake = (struct intake){.options = *options, .ingest = options->ingest};
    mutex_lock(&intake->ingest->lock);
    const struct subscription *subscription =
        subscriptions_find(&intake->ingest->subscriptions, options->subscription);
    if (subscription != NULL) {
        intake->id = subscription->id;
        intake->table_id = subscription->definition.table_id;
        intake->map = own_text(subscription->definition.map);
        intake->name = own_text(subscription->definition.name);
        intake->topic = own_text(subscription->definition.topic);
    }
    mutex_unlock(&intake->ingest->lock);
    if (subscription == NULL) {
        memory_free(intake);
        return no_subscription(options->subscription, error);
    }
    mutex_init(&intake->lock);
    condition_init(&intake->done);
    arena_init(&intake->arena);
    *out = intake;
    return OK;
}

void intake_close(struct intake *intake)
{
    struct error error;
    (void)!intake_wait(intake, &error); /* it was told, or nobody asks any more */
    while (intake->assigned_count > 0)
        intake_revoke(intake, intake->assigned[0].partition);
    definition_unref(intake->definition);
    arena_deinit(&intake->arena);
    condition_deinit(&intake->done);
    mutex_deinit(&intake->lock);
    memory_free(intake->assigned);
    memory_free((void *)(uintptr_t)intake->map.data);
    memory_free((void *)(uintptr_t)intake->name.data);
    memory_free((void *)(uintptr_t)intake->topic.data);
    memory_free(intake);
}

/* --- what is under way --- */

static void batch_free(struct intake_batch *batch)
{
    memory_free(batch->parts);
    memory_free(batch);
}

void intake_batch_destroy(struct intake_batch *batch)
{
    if (batch == NULL)
        return;
    commit_destroy(batch->commit);
    batch_free(batch);
}

static struct subscription_partition *find_part(struct intake *intake, int32_t partition)
{
    struct subscription *subscription =
        subscriptions_get(&intake->ingest->subscriptions, intake->id);
    return subscription == NULL ? NULL : subscription_find(subscription, partition);
}

/* Nothing of the batch was stored: its partitions stand where the records left them. */
static void withdraw(struct intake *intake, const struct intake_batch *batch)
{
    mutex_lock(&intake->ingest->lock);
    for (size_t i = 0; i < batch->part_count; i++) {
        struct subscription_partition *partition = find_part(intake, batch->parts[i].partition);
        if (partition != NULL && partition->generation == batch->parts[i].generation)
            partition->submitted_offset = partition->next_offset;
    }
    mutex_unlock(&intake->ingest->lock);
}

/* From the time the broker gave each partition's last message until now. */
static void record_freshness(const struct intake_batch *batch)
{
    int64_t now_us = clock_wall_us();
    for (size_t i = 0; i < batch->part_count; i++)
        if (batch->parts[i].message_at_us != INT64_MIN)
            latency_record(LATENCY_FRESH_KAFKA, now_us - batch->parts[i].message_at_us);
}

/* On the log thread: durable and visible, or failed. */
static void intake_done(void *context, uint64_t position, enum err result,
                        const struct error *error)
{
    struct intake *intake = context;
    (void)position;
    if (result == OK)
        record_freshness(intake->flying);
    else
        withdraw(intake, intake->flying);
    mutex_lock(&intake->lock);
    if (result != OK) {
        intake->has_failed = true;
        intake->failure = *error;
        intake->failure.code = result;
    }
    batch_free(intake->flying);
    intake->flying = NULL;
    intake->is_busy = false;
    condition_signal(&intake->done);
    mutex_unlock(&intake->lock);
}

bool intake_is_busy(struct intake *intake)
{
    mutex_lock(&intake->lock);
    bool is_busy = intake->is_busy;
    mutex_unlock(&intake->lock);
    return is_busy;
}

enum err intake_wait(struct intake *intake, struct error *error)
{
    enum err err = OK;
    struct error none;
    mutex_lock(&intake->lock);
    while (intake->is_busy) {
        uint64_t position = intake->position;
        mutex_unlock(&intake->lock);
        /* Without threads this runs the log. */
        (void)!store_wait(intake->ingest->store, position, WAIT_STEP_US, &none);
        mutex_lock(&intake->lock);
        if (intake->is_busy)
            (void)condition_wait_for(&intake->done, &intake->lock, WAIT_SHORT_US);
    }
    if (intake->has_failed) {
        *error = intake->failure;
        err = intake->failure.code;
        intake->has_failed = false;
    }
    mutex_unlock(&intake->lock);
    return err;
}

/* --- positions and assignment --- */

bool intake_is_placed(struct intake *intake)
{
    mutex_lock(&intake->ingest->lock);
    const struct subscription *subscription =
        subscriptions_get(&intake->ingest->subscriptions, intake->id);
    bool is_placed = subscription != NULL && subscription->is_initialised;
    mutex_unlock(&intake->ingest->lock);
    return is_placed;
}

int64_t intake_next(struct intake *intake, int32_t partition)
{
    mutex_lock(&intake->ingest->lock);
    const struct subscription_partition *found = find_part(intake, partition);
    int64_t next = found == NULL ? NO_OFFSET : found->next_offset;
    mutex_unlock(&intake->ingest->lock);
    return next;
}

enum err intake_place(struct intake *intake, const struct intake_position *positions, size_t count,
                      bool is_placed, struct error *error)
{
    enum err err = intake_wait(intake, error);
    if (err != OK)
        return err;
    struct subscription_position *moved = memory_alloc((count + 1) * sizeof(*moved));
    struct subscription_offsets offsets = {
        .id = intake->id, .is_initialised = is_placed, .positions = moved};
    for (size_t i = 0; i < count; i++) {
        assert(positions[i].partition >= 0 && positions[i].offset >= 0);
        int64_t next = intake_next(intake, positions[i].partition);
        if (next < positions[i].offset)
            moved[offsets.count++] = (struct subscription_position){
                .partition = positions[i].partition, .expected = next, .next = positions[i].offset};
    }
    if (offsets.count > 0 || is_placed) {
        struct writer section;
        writer_init(&section);
        subscription_write_offsets(&section, &offsets);
        struct commit *commit = commit_create(intake->ingest->store);
        commit_add_section(commit, SECTION_OFFSETS, writer_as_slice(&section));
        writer_deinit(&section);
        uint64_t position;
        err = store_commit(intake->ingest->store, commit, &position, error);
    }
    for (size_t i = 0; i < intake->assigned_count && err == OK; i++) {
        int64_t next = intake_next(intake, intake->assigned[i].partition);
        if (next > intake->assigned[i].next)
            intake->assigned[i].next = next;
    }
    memory_free(moved);
    return err;
}

static struct assignment *find_assigned(struct intake *intake, int32_t partition)
{
    for (size_t i = 0; i < intake->assigned_count; i++)
        if (intake->assigned[i].partition == partition)
            return &intake->assigned[i];
    return NULL;
}

static struct assignment *add_assigned(struct intake *intake, int32_t partition)
{
    if (intake->assigned_count == intake->assigned_capacity) {
        intake->assigned_capacity =
            intake->assigned_capacity == 0 ? 8 : intake->assigned_capacity * 2;
        intake->assigned =
            memory_realloc(intake->assigned, intake->assigned_capacity * sizeof(*intake->assigned));
    }
    struct assignment *added = &intake->assigned[intake->assigned_count++];
    *added = (struct assignment){.partition = partition};
    return added;
}

int64_t intake_assign(struct intake *intake, int32_t partition)
{
    struct error error;
    (void)!intake_wait(intake, &error); /* a failure is what the new generation begins behind */
    struct assignment *assigned = find_assigned(intake, partition);
    mutex_lock(&intake->ingest->lock);
    struct subscription_partition *found = find_part(intake, partition);
    int64_t next = found == NULL ? NO_OFFSET : found->next_offset;
    if (found != NULL) {
        assigned = assigned == NULL ? add_assigned(intake, partition) : assigned;
        assigned->generation = ++found->generation;
        assigned->next = next;
        found->submitted_offset = next;
        found->is_assigned = true;
        found->moved_at_us = clock_wall_us();
    }
    mutex_unlock(&intake->ingest->lock);
    return next;
}

void intake_revoke(struct intake *intake, int32_t partition)
{
    struct assignment *assigned = find_assigned(intake, partition);
    if (assigned == NULL)
        return;
    struct error error;
    (void)!intake_wait(intake, &error);
    mutex_lock(&intake->ingest->lock);
    struct subscription_partition *found = find_part(intake, partition);
    if (found != NULL && found->generation == assigned->generation) {
        found->generation++;
        found->submitted_offset = found->next_offset;
        found->is_assigned = found->is_paused = false;
    }
    mutex_unlock(&intake->ingest->lock);
    *assigned = intake->assigned[--intake->assigned_count];
}

/* --- decoding --- */

/* The table's definition, or one of our own with the subscription's map in the table's place. */
static enum err take_definition(struct intake *intake, struct definition **out, struct error *error)
{
    struct snapshot *snapshot = snapshot_open(intake->ingest->store);
    const struct table_view *view = snapshot_find_id(snapshot, intake->table_id);
    const struct schema *schema = view == NULL ? NULL : schema_ref(table_view_schema(view));
    snapshot_close(snapshot);
    if (schema == NULL)
        return error_set(error, ERR_NOT_FOUND, "42P01",
                         "the table of the subscription does not exist any more");
    enum err err = OK;
    if (intake->map.size == 0) {
        err = ingest_definition(intake->ingest, schema, out, error);
    } else {
        if (intake->definition == NULL || intake->definition->schema->version != schema->version) {
            definition_unref(intake->definition);
            intake->definition = NULL;
            struct schema *mapped = schema_copy(schema);
            mapped->options.map = arena_copy(&mapped->arena, intake->map);
            err = definition_create(mapped, &intake->ingest->options, &intake->definition, error);
            schema_unref(mapped);
        }
        if (err == OK)
            *out = definition_ref(intake->definition);
    }
    schema_unref(schema);
    return err;
}

/* Groups the messages of assigned partitions, each group in the order given. */
static void group_messages(struct decoding *d, size_t count)
{
    struct intake *intake = d->intake;
    struct intake_batch *batch = d->batch;
    uint32_t *group = arena_alloc_array(&intake->arena, count, sizeof(*group));
    size_t *sizes = arena_alloc_zero(&intake->arena, (intake->assigned_count + 1) * sizeof(*sizes));
    size_t last = 0; /* runs of one partition are long */
    for (size_t i = 0; i < count; i++) {
        int32_t partition = d->messages[i].partition;
        if (last >= intake->assigned_count || intake->assigned[last].partition != partition)
            for (last = 0; last < intake->assigned_count; last++)
                if (intake->assigned[last].partition == partition)
                    break;
        group[i] = (uint32_t)last; /* assigned_count: not ours */
        sizes[last]++;
    }
    batch->parts = memory_alloc((intake->assigned_count + 1) * sizeof(*batch->parts));
    size_t *starts =
        arena_alloc_zero(&intake->arena, (intake->assigned_count + 1) * sizeof(*starts));
    size_t at = 0;
    for (size_t g = 0; g < intake->assigned_count; g++) {
        const struct assignment *assigned = &intake->assigned[g];
        starts[g] = at;
        if (sizes[g] > 0)
            batch->parts[batch->part_count++] = (struct part){.partition = assigned->partition,
                                                              .generation = assigned->generation,
                                                              .expected = assigned->next,
                                                              .next = assigned->next,
                                                              .message_at_us = INT64_MIN,
                                                              .begin = at,
                                                              .end = at + sizes[g]};
        at += sizes[g];
    }
    starts[intake->assigned_count] = at;
    d->order = arena_alloc_array(&intake->arena, count, sizeof(*d->order));
    for (size_t i = 0; i < count; i++)
        d->order[starts[group[i]]++] = (uint32_t)i;
}

static void remember_bad(struct decoding *d, const struct kafka_message *message, size_t begin,
                         uint64_t row_base)
{
    if (d->bad_count == d->bad_capacity) {
        size_t capacity = d->bad_capacity == 0 ? BAD_FIRST : d->bad_capacity * 2;
        struct bad *bad = arena_alloc_array(&d->intake->arena, capacity, sizeof(*bad));
        if (d->bad_count > 0)
            memcpy(bad, d->bad, d->bad_count * sizeof(*bad));
        d->bad = bad;
        d->bad_capacity = capacity;
    }
    d->bad[d->bad_count++] = (struct bad){
        .message = message, .begin = begin, .end = d->rows.rejection_count, .row_base = row_base};
}

static enum err reject_message(struct decoding *d, const struct kafka_message *message,
                               struct error *error)
{
    enum err err = rows_begin(&d->rows, error);
    if (err == OK)
        rows_reject(&d->rows, message->value, "54000",
                    "its rows take more than all the memory for rows, or than a record can hold");
    return err;
}

static enum err decode_part(struct decoding *d, struct part *part, struct error *error)
{
    struct subscription_counts *counts = &d->batch->counts;
    enum err err = OK;
    for (size_t i = part->begin; i < part->end && err == OK; i++) {
        const struct kafka_message *message = &d->messages[d->order[i]];
        counts->messages++;
        counts->bytes += message->value.size;
        if (message->offset < part->next) {
            d->duplicates++;
            continue;
        }
        counts->gaps += message->offset > part->next;
        part->next = message->offset + 1;
        part->message_at_us = message->timestamp_us;
        if (!message->has_value) {
            d->filtered++;
            continue;
        }
        size_t begin = d->rows.rejection_count;
        uint64_t row_base = d->rows.row_number;
        err = message->is_too_large ? reject_message(d, message, error)
                                    : decode_message(d->decoder, message->value, error);
        if (d->rows.rejection_count > begin)
            remember_bad(d, message, begin, row_base);
    }
    return err;
}

/* The dead letters of the part, each with where its message stood. Key and headers are with the
 * first letter of a message only: a message may be an array of many bad rows. */
static void write_dead(struct decoding *d, const struct section_request *request)
{
    for (size_t i = 0; i < d->bad_count; i++) {
        const struct bad *bad = &d->bad[i];
        for (size_t r = bad->begin; r < bad->end; r++) {
            struct section_dead dead = outcome_dead(&d->rows.rejections[r]);
            dead.row -= bad->row_base;
            writer_reset(&d->origin);
            origin_write(&d->origin, d->intake->topic, bad->message,
                         r == bad->begin ? d->intake->options.headers : NULL, r == bad->begin);
            dead.origin = writer_as_slice(&d->origin);
            section_add_dead(&d->section, request, &dead);
        }
    }
}

static void write_part(struct decoding *d, const struct part *part, const struct outcome_mark *mark)
{
    struct writer source;
    writer_init(&source);
    writer_printf(&source, "%.*s/%d", SLICE_ARGS(d->intake->name), (int)part->partition);
    struct section_request request = {
        .table_id = d->intake->table_id,
        .table = d->schema->name,
        .source = writer_as_slice(&source),
        .source_kind = SOURCE_KAFKA,
        .has_origins = true,
        .dead_count = d->rows.rejection_count - mark->rejection_count,
    };
    request.counts[FATE_STORED] = d->rows.sectioned + d->rows.count - mark->stored;
    request.counts[FATE_DEAD] = request.dead_count;
    request.counts[FATE_DUPLICATE] = d->duplicates;
    request.counts[FATE_FILTERED] = d->filtered;
    request.counts[FATE_RECEIVED] = d->rows.received - mark->received + d->duplicates + d->filtered;
    writer_reset(&d->section);
    section_begin(&d->section, &request);
    write_dead(d, &request);
    outcome_write_drift(&d->rows, mark, &d->section);
    commit_add_section(d->batch->commit, SECTION_REQUEST, writer_as_slice(&d->section));
    writer_deinit(&source);
}

static void write_offsets(struct decoding *d)
{
    const struct intake_batch *batch = d->batch;
    struct subscription_position *positions =
        arena_alloc_array(&d->intake->arena, batch->part_count + 1, sizeof(*positions));
    for (size_t i = 0; i < batch->part_count; i++)
        positions[i] = (struct subscription_position){.partition = batch->parts[i].partition,
                                                      .expected = batch->parts[i].expected,
                                                      .next = batch->parts[i].next};
    struct subscription_offsets offsets = {
        .id = d->intake->id, .count = batch->part_count, .positions = positions};
    writer_reset(&d->section);
    subscription_write_offsets(&d->section, &offsets);
    commit_add_section(batch->commit, SECTION_OFFSETS, writer_as_slice(&d->section));
}

/* The rows that are there go into the record, and the memory is asked for them: a message of two
 * bytes may be a row of a thousand columns. */
static enum err add_rows(struct decoding *d, struct error *error)
{
    struct commit *commit = d->batch->commit;
    if (d->rows.count == 0)
        return OK;
    struct batch rows;
    const uint32_t *column_ids;
    rows_finish(&d->rows, &rows, &column_ids);
    if (d->rows.sectioned == 0)
        commit_reserve(commit, d->batch->counts.bytes);
    commit_add_rows(commit, d->schema, column_ids, &rows);
    return fault_is("kafka.rows_uncharged") ? OK : commit_charge(commit, error);
}

static enum err take_section(void *context, struct error *error)
{
    return add_rows(context, error);
}

/* Planted: rows go in a record of their own, before the offsets. */
static enum err commit_apart(struct decoding *d, struct error *error)
{
    uint64_t position;
    enum err err = store_commit(d->intake->ingest->store, d->batch->commit, &position, error);
    d->batch->commit = commit_create(d->intake->ingest->store);
    return err;
}

static enum err decode_parts(struct decoding *d, struct error *error)
{
    enum err err = OK;
    for (size_t i = 0; i < d->batch->part_count && err == OK; i++) {
        struct outcome_mark mark;
        outcome_take_mark(&d->rows, &mark);
        d->bad_count = 0;
        d->duplicates = d->filtered = 0;
        err = decode_part(d, &d->batch->parts[i], error);
        if (err == OK)
            write_part(d, &d->batch->parts[i], &mark);
    }
    if (err == OK)
        err = add_rows(d, error);
    if (err != OK)
        return err;
    if (fault_is("kafka.offset_apart"))
        err = commit_apart(d, error);
    write_offsets(d);
    return err;
}

static enum err decode_grouped(struct decoding *d, struct definition *definition,
                               struct error *error)
{
    struct ingest *ingest = d->intake->ingest;
    int64_t now_us = clock_wall_us();
    struct definition_defaults defaults;
    definition_defaults_init(&defaults, definition, now_us);
    const struct part *last = &d->batch->parts[d->batch->part_count - 1];
    struct rows_options options = {
        .mapping = definition->mapping,
        .arena = &d->intake->arena,
        .now_us = now_us,
        .rows_max = ROWS_MAX,
        .row_size_max = ingest->options.limits.row_max,
        .capacity = last->end + 1,
        .defaults = &defaults.interface,
        .take_section = take_section,
        .section_context = d,
        .section_cells = ingest->options.limits.section_cells,
    };
    struct decode_options decode = {.depth_max = ingest->options.limits.json_depth_max,
                                    .keys_max = ingest->options.limits.keys_max};
    rows_init(&d->rows, &options);
    d->decoder = decode_messages_begin(&d->rows, &decode);
    d->batch->commit = commit_create(ingest->store);
    d->schema = definition->schema;
    enum err err = decode_parts(d, error);
    rows_deinit(&d->rows);
    return err;
}

enum err intake_decode(struct intake *intake, const struct kafka_message *messages, size_t count,
                       struct intake_batch **out, struct error *error)
{
    *out = NULL;
    struct definition *definition;
    enum err err = take_definition(intake, &definition, error);
    if (err != OK)
        return err;
    struct decoding d = {.intake = intake, .messages = messages};
    d.batch = memory_alloc_zero(sizeof(*d.batch));
    writer_init(&d.section);
    writer_init(&d.origin);
    arena_reset(&intake->arena);
    group_messages(&d, count);
    if (d.batch->part_count > 0)
        err = decode_grouped(&d, definition, error);
    if (err == OK && d.batch->part_count > 0)
        *out = d.batch;
    else if (d.batch->part_count > 0)
        intake_batch_destroy(d.batch);
    else
        batch_free(d.batch);
    writer_deinit(&d.section);
    writer_deinit(&d.origin);
    definition_unref(definition);
    return err;
}

/* --- submitting --- */

static enum err refuse(struct error *error)
{
    return error_set(error, ERR_CANCELLED, "40001",
                     "a batch was refused: its partitions moved since it was read");
}

static void add_counts(struct subscription_counts *to, const struct subscription_counts *from)
{
    to->messages += from->messages;
    to->bytes += from->bytes;
    to->gaps += from->gaps;
    to->batches++;
}

/* Under the lock: every partition is still assigned as it was and stands where the batch begins;
 * then it stands at the batch's end for whoever asks next. */
static enum err pass_fence(struct intake *intake, const struct intake_batch *batch,
                           struct error *error)
{
    bool has_fence = !fault_is("kafka.no_fence");
    struct subscription *subscription =
        subscriptions_get(&intake->ingest->subscriptions, intake->id);
    if (subscription == NULL)
        return no_subscription(intake->name, error);
    for (size_t i = 0; i < batch->part_count && has_fence; i++) {
        const struct part *part = &batch->parts[i];
        const struct subscription_partition *partition =
            subscription_find(subscription, part->partition);
        if (partition == NULL || partition->generation != part->generation ||
            partition->submitted_offset != part->expected) {
            subscription->counts.refused++;
            return refuse(error);
        }
    }
    for (size_t i = 0; i < batch->part_count; i++) {
        struct subscription_partition *partition =
            subscription_find(subscription, batch->parts[i].partition);
        if (partition == NULL)
            return refuse(error);
        partition->submitted_offset = batch->parts[i].next;
        if (batch->parts[i].message_at_us != INT64_MIN)
            partition->message_at_us = batch->parts[i].message_at_us;
    }
    add_counts(&subscription->counts, &batch->counts);
    return OK;
}

enum err intake_submit(struct intake *intake, struct intake_batch *batch, struct error *error)
{
    assert(batch != NULL);
    enum err err = intake_wait(intake, error);
    if (err == OK) {
        mutex_lock(&intake->ingest->lock);
        err = pass_fence(intake, batch, error);
        mutex_unlock(&intake->ingest->lock);
    }
    if (err != OK) {
        intake_batch_destroy(batch);
        return err;
    }
    for (size_t i = 0; i < batch->part_count; i++) {
        struct assignment *assigned = find_assigned(intake, batch->parts[i].partition);
        if (assigned != NULL)
            assigned->next = batch->parts[i].next;
    }
    mutex_lock(&intake->lock);
    intake->is_busy = true;
    intake->flying = batch;
    intake->position = UINT64_MAX;
    mutex_unlock(&intake->lock);
    metric_add(&metrics.ingest_bytes, (int64_t)batch->counts.bytes);
    uint64_t position;
    err = store_submit(intake->ingest->store, batch->commit, intake_done, intake, &position, error);
    mutex_lock(&intake->lock);
    if (err == OK) {
        intake->position = position;
    } else {
        intake->is_busy = false;
        intake->flying = NULL;
    }
    mutex_unlock(&intake->lock);
    if (err == OK)
        return OK;
    for (size_t i = 0; i < batch->part_count; i++) {
        struct assignment *assigned = find_assigned(intake, batch->parts[i].partition);
        if (assigned != NULL)
            assigned->next = batch->parts[i].expected;
    }
    withdraw(intake, batch);
    batch_free(batch);
    return err;
}
