/* Topics that flow into a table, on the simulated disk: a fake Kafka, two consumers between which
 * partitions move, and crashes everywhere.
 *
 * The fake topic is decided by the seed: partitions of good messages, malformed ones, tombstones,
 * and offsets that no consumer ever sees (markers of transactions, aborted messages). Two intakes
 * of one subscription read it as a consumer group would make them: partitions are assigned, taken
 * away while a batch of theirs lies decoded and not submitted, given to the other or back; messages
 * are delivered again; partitions appear late; a batch under way fails with the disk. Between any
 * of it the log runs, checkpoints are made and whatever upkeep has due is done.
 *
 * At chosen operations the disk is forked as a crash would leave it and opened again, sometimes
 * with another crash inside the recovery. There, for every partition with its stored position N:
 *
 *   - N is at least what was visible before the crash
 *   - the good messages below N are rows, exactly once, and no other; the malformed ones below N
 * are dead letters, exactly once, with partition and offset; the ledger has counted each
 *   - a new consumer reads on from N to the end: then all of it is there exactly once
 *
 * Planted bugs P8 (the offsets in a record of their own) and P15 (a batch read under an assignment
 * that is over is taken) must be found by the same runs. FRESHET_SIM_POINTS sets the number of
 * crash points. */
#include "ingest/internal.h"
#include "ingest/kafka/intake.h"
#include "storage/base/clock.h"
#include "storage/base/fault.h"
#include "storage/base/logger.h"
#include "storage/base/random.h"
#include "tests/model/cursor_model.h"
#include "tests/sim/ingest_life.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef FRESHET_CHECK
#define POINTS_DEFAULT 300
#else
#define POINTS_DEFAULT 4000
#endif
#define PARTITIONS_MAX 5
#define OFFSETS_MAX 80
#define CONSUMERS 2
#define FETCH_MAX 24
#define STEPS 150
#define SEAL_ROWS 16 /* a few segments in a run */

enum message_kind { MESSAGE_GAP, MESSAGE_ROW, MESSAGE_BAD, MESSAGE_TOMBSTONE, MESSAGE_KINDS };

static const struct life_options life_options = {.store = {.log_file_size = (size_t)64 << 10,
                                                           .log_piece_size = (size_t)8 << 10,
                                                           .seal_rows = SEAL_ROWS}};

struct topic {
    size_t partition_count;
    size_t ends[PARTITIONS_MAX];
    enum message_kind kinds[PARTITIONS_MAX][OFFSETS_MAX];
    char values[PARTITIONS_MAX][OFFSETS_MAX][64];
};
struct consumer {
    struct intake *intake;
    bool is_mine[PARTITIONS_MAX];   /* as the group has told it */
    int64_t cursor[PARTITIONS_MAX]; /* the next offset it reads */
    struct intake_batch *batch;     /* decoded, not submitted */
    struct kafka_message messages[FETCH_MAX];
};
struct run {
    struct sim *sim;
    struct life *live;
    struct topic topic;
    struct random_stream chance;
    size_t partitions_seen; /* the rest have not appeared yet */
    int64_t firm[PARTITIONS_MAX];
    uint64_t points, points_max;
    uint64_t batches, moves, refused, failed, redelivered, upkeeps;
    struct violation violation;
};

/* --- the topic --- */

static void topic_make(struct topic *topic, struct random_stream *chance)
{
    topic->partition_count = 2 + random_below(chance, PARTITIONS_MAX - 1);
    for (size_t p = 0; p < topic->partition_count; p++) {
        topic->ends[p] = 10 + random_below(chance, OFFSETS_MAX - 10 + 1);
        uint64_t aborted = 0; /* offsets of an aborted transaction still to come */
        for (size_t o = 0; o < topic->ends[p]; o++) {
            char *value = topic->values[p][o];
            uint64_t draw = random_below(chance, 20);
            enum message_kind kind = aborted > 0 || draw < 2 ? MESSAGE_GAP
                                     : draw < 4              ? MESSAGE_BAD
                                     : draw < 5              ? MESSAGE_TOMBSTONE
                                                             : MESSAGE_ROW;
            aborted = aborted > 0 ? aborted - 1 : draw == 0 ? random_below(chance, 8) : 0;
            topic->kinds[p][o] = kind;
            if (kind == MESSAGE_BAD)
                snprintf(value, sizeof(topic->values[p][o]), "bad %zu %zu", p, o);
            else
                snprintf(value, sizeof(topic->values[p][o]), "{\"ts\":%zu,\"id\":%zu}",
                         1000000000 + o, p * 1000 + o);
        }
    }
}

static void topic_message(const struct topic *topic, size_t p, size_t o, struct kafka_message *out)
{
    enum message_kind kind = topic->kinds[p][o];
    *out = (struct kafka_message){.partition = (int32_t)p,
                                  .offset = (int64_t)o,
                                  .timestamp_us = (int64_t)(1000000000 + o) * 1000000,
                                  .has_key = o % 3 == 0,
                                  .key = SLICE("key"),
                                  .has_value = kind != MESSAGE_TOMBSTONE};
    if (out->has_value)
        out->value = slice_from_cstr(topic->values[p][o]);
}

static void give_headers(const void *origin, kafka_header_each each, void *context)
{
    (void)origin;
    each(context, SLICE("kind"), SLICE("test"), true);
}

/* --- one opened store --- */

/* The record that CREATE SUBSCRIPTION writes; no consumer of the server runs here. */
static bool create_subscription(struct life *life)
{
    struct snapshot *snapshot = snapshot_open(life->store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("t"));
    struct subscription_change change = {
        .kind = SUBSCRIPTION_PUT,
        .id = 1,
        .definition = {.table_id = table_view_schema(view)->table_id,
                       .is_enabled = true,
                       .name = SLICE("s"),
                       .table = SLICE("t"),
                       .connection = SLICE("kafka://h:1"),
                       .topic = SLICE("topic"),
                       .format = SLICE("json"),
                       .group = SLICE("g"),
                       .start = SLICE("earliest")}};
    snapshot_close(snapshot);
    struct writer section;
    writer_init(&section);
    subscription_write_change(&section, &change);
    struct commit *commit = commit_create(life->store);
    commit_add_section(commit, SECTION_SUBSCRIPTION, writer_as_slice(&section));
    writer_deinit(&section);
    uint64_t position;
    struct error error;
    return store_commit(life->store, commit, &position, &error) == OK;
}

/* --- a consumer --- */

static bool consumer_open(struct life *life, struct consumer *consumer)
{
    struct intake_options options = {
        .ingest = life->ingest, .subscription = SLICE("s"), .headers = give_headers};
    struct error error;
    *consumer = (struct consumer){0};
    return intake_open(&options, &consumer->intake, &error) == OK;
}

static void consumer_close(struct consumer *consumer)
{
    if (consumer->intake == NULL)
        return;
    intake_batch_destroy(consumer->batch);
    intake_close(consumer->intake);
    *consumer = (struct consumer){0};
}

/* Partitions without a position get their first: the earliest. False: the store failed. */
static bool consumer_place(struct consumer *consumer, size_t partitions)
{
    struct intake_position positions[PARTITIONS_MAX];
    size_t count = 0;
    struct error error;
    for (size_t p = 0; p < partitions; p++)
        if (intake_next(consumer->intake, (int32_t)p) < 0)
            positions[count++] = (struct intake_position){.partition = (int32_t)p, .offset = 0};
    return (count == 0 && intake_is_placed(consumer->intake)) ||
           intake_place(consumer->intake, positions, count, true, &error) == OK;
}

static void consumer_assign(struct consumer *consumer, size_t p)
{
    int64_t next = intake_assign(consumer->intake, (int32_t)p);
    consumer->is_mine[p] = next >= 0;
    consumer->cursor[p] = next;
}

/* The next messages of its partitions, some again. */
static size_t consumer_fetch(struct run *run, struct consumer *consumer)
{
    const struct topic *topic = &run->topic;
    size_t count = 0;
    for (size_t p = 0; p < topic->partition_count; p++) {
        if (!consumer->is_mine[p] || random_below(&run->chance, 4) == 0)
            continue;
        size_t most = 1 + random_below(&run->chance, FETCH_MAX / topic->partition_count);
        if (random_below(&run->chance, 8) == 0) { /* the library loses its place */
            int64_t back = 1 + (int64_t)random_below(&run->chance, 6);
            consumer->cursor[p] = back < consumer->cursor[p] ? consumer->cursor[p] - back : 0;
            run->redelivered++;
        }
        for (size_t taken = 0;
             taken < most && consumer->cursor[p] < (int64_t)topic->ends[p] && count < FETCH_MAX;
             consumer->cursor[p]++) {
            size_t o = (size_t)consumer->cursor[p];
            if (topic->kinds[p][o] == MESSAGE_GAP)
                continue;
            topic_message(topic, p, o, &consumer->messages[count++]);
            taken++;
        }
    }
    return count;
}

/* After a failure everything is read again from what is stored. */
static void consumer_restart(struct run *run, struct consumer *consumer)
{
    intake_batch_destroy(consumer->batch);
    consumer->batch = NULL;
    for (size_t p = 0; p < run->topic.partition_count; p++)
        if (consumer->is_mine[p])
            consumer_assign(consumer, p);
}

static void consumer_decode(struct run *run, struct consumer *consumer)
{
    struct error error = {0};
    size_t count = consumer_fetch(run, consumer);
    if (count == 0)
        return;
    if (intake_decode(consumer->intake, consumer->messages, count, &consumer->batch, &error) != OK)
        violate(&run->violation, "cannot decode: %s", error.text);
}

static void consumer_submit(struct run *run, struct consumer *consumer)
{
    struct error error = {0};
    struct intake_batch *batch = consumer->batch;
    if (batch == NULL)
        return;
    consumer->batch = NULL;
    enum err err = intake_submit(consumer->intake, batch, &error);
    run->batches += err == OK;
    run->refused += err == ERR_CANCELLED;
    run->failed += err != OK && err != ERR_CANCELLED;
    if (err != OK)
        consumer_restart(run, consumer);
}

/* --- what is there --- */

struct found {
    uint32_t rows[PARTITIONS_MAX][OFFSETS_MAX], dead[PARTITIONS_MAX][OFFSETS_MAX];
    uint64_t strangers;
    uint64_t ledger[FATE_COUNT];
};

static void find_rows(struct life *life, struct found *found)
{
    struct snapshot *snapshot = snapshot_open(life->store);
    const struct table_view *view = snapshot_find(snapshot, SLICE("t"));
    uint32_t column = 1;
    struct cursor *cursor = view == NULL ? NULL : cursor_open(view, &column, 1, NULL);
    for (size_t m = 0; cursor != NULL && m < table_view_morsel_count(view); m++) {
        struct batch batch;
        test_seek(cursor, m);
        while (test_next(cursor, &batch))
            for (size_t row = 0; row < batch.row_count; row++) {
                uint64_t id = (uint64_t)column_value(&batch.columns[0], row).i;
                if (id / 1000 < PARTITIONS_MAX && id % 1000 < OFFSETS_MAX)
                    found->rows[id / 1000][id % 1000]++;
                else
                    found->strangers++;
            }
    }
    if (cursor != NULL)
        cursor_close(cursor);
    snapshot_close(snapshot);
}

static void find_dead(struct life *life, struct found *found)
{
    for (size_t i = 0; i < life->ingest->dead.count; i++) {
        const struct dead_letter *letter = dead_letters_get(&life->ingest->dead, i);
        char raw[64] = {0}, origin[256] = {0}, want[64];
        size_t p = PARTITIONS_MAX, o = OFFSETS_MAX;
        memcpy(raw, letter->raw.data, letter->raw.size < 63 ? letter->raw.size : 63);
        memcpy(origin, letter->origin.data, letter->origin.size < 255 ? letter->origin.size : 255);
        if (sscanf(raw, "bad %zu %zu", &p, &o) != 2 || p >= PARTITIONS_MAX || o >= OFFSETS_MAX) {
            found->strangers++;
            continue;
        }
        found->dead[p][o]++;
        snprintf(want, sizeof(want), "\"partition\":%zu,\"offset\":%zu", p, o);
        if (strstr(origin, want) == NULL)
            found->strangers++;
    }
}

static void find_all(struct life *life, struct found *found)
{
    *found = (struct found){0};
    find_rows(life, found);
    find_dead(life, found);
    for (uint32_t t = 0; t < life->ingest->table_count; t++) {
        const struct ledger *ledger = &life->ingest->tables[t]->ledger;
        for (uint32_t i = 0; i < ledger->count; i++)
            for (size_t f = 0; f < FATE_COUNT; f++)
                found->ledger[f] += ledger_get(ledger, i)->counts[f];
    }
}

static int64_t stored_position(struct life *life, size_t p)
{
    mutex_lock(&life->ingest->lock);
    const struct subscription *subscription =
        subscriptions_find(&life->ingest->subscriptions, SLICE("s"));
    const struct subscription_partition *partition =
        subscription == NULL ? NULL : subscription_find(subscription, (int32_t)p);
    int64_t next = partition == NULL ? NO_OFFSET : partition->next_offset;
    mutex_unlock(&life->ingest->lock);
    return next;
}

/* Rows, dead letters and ledger are those of the messages before the stored positions. */
static void check_store(struct run *run, struct life *life, const char *when)
{
    static struct found found;
    uint64_t want[FATE_COUNT] = {0};
    find_all(life, &found);
    if (found.strangers > 0)
        violate(&run->violation, "%s: %" PRIu64 " rows or dead letters that nobody sent", when,
                found.strangers);
    for (size_t p = 0; p < run->topic.partition_count; p++) {
        int64_t next = stored_position(life, p);
        if (next < run->firm[p])
            violate(&run->violation,
                    "%s: partition %zu stands at %" PRId64 ", and stood at %" PRId64, when, p, next,
                    run->firm[p]);
        for (size_t o = 0; o < run->topic.ends[p]; o++) {
            enum message_kind kind = run->topic.kinds[p][o];
            bool is_below = (int64_t)o < next;
            uint32_t rows = is_below && kind == MESSAGE_ROW, dead = is_below && kind == MESSAGE_BAD;
            if (found.rows[p][o] != rows || found.dead[p][o] != dead)
                violate(&run->violation,
                        "%s: partition %zu stands at %" PRId64
                        ": offset %zu has %u rows, %u dead letters instead of %u, %u",
                        when, p, next, o, found.rows[p][o], found.dead[p][o], rows, dead);
            want[FATE_STORED] += rows;
            want[FATE_DEAD] += dead;
            want[FATE_FILTERED] += is_below && kind == MESSAGE_TOMBSTONE;
        }
    }
    want[FATE_DUPLICATE] = found.ledger[FATE_DUPLICATE]; /* as often as it was delivered again */
    want[FATE_RECEIVED] =
        want[FATE_STORED] + want[FATE_DEAD] + want[FATE_FILTERED] + want[FATE_DUPLICATE];
    for (size_t f = 0; f < FATE_COUNT; f++)
        if (found.ledger[f] != want[f])
            violate(&run->violation, "%s: ledger: %s %" PRIu64 " instead of %" PRIu64, when,
                    fate_names[f], found.ledger[f], want[f]);
}

/* One consumer alone reads everything that is left. */
static void read_to_the_end(struct run *run, struct life *life)
{
    static struct consumer consumer;
    struct error error = {0};
    if (!consumer_open(life, &consumer))
        return; /* the subscription was not durable yet, and nothing of it */
    if (!consumer_place(&consumer, run->topic.partition_count))
        violate(&run->violation, "cannot place the partitions after a crash");
    for (size_t p = 0; p < run->topic.partition_count && run->violation.text[0] == 0; p++) {
        consumer_assign(&consumer, p);
        while (consumer.cursor[p] < (int64_t)run->topic.ends[p] && run->violation.text[0] == 0) {
            consumer_decode(run, &consumer);
            consumer_submit(run, &consumer);
            while (store_run(life->store))
                continue;
        }
        struct intake_position end = {.partition = (int32_t)p,
                                      .offset = (int64_t)run->topic.ends[p]};
        if (intake_place(consumer.intake, &end, 1, true, &error) != OK)
            violate(&run->violation, "cannot place an end: %s", error.text);
    }
    for (size_t p = 0; p < run->topic.partition_count; p++)
        if (stored_position(life, p) != (int64_t)run->topic.ends[p])
            violate(&run->violation,
                    "partition %zu stands at %" PRId64 " after everything was read", p,
                    stored_position(life, p));
    consumer_close(&consumer);
    check_store(run, life, "after the rest was read");
}

/* --- crashes --- */

static void crash(struct run *run, enum sim_crash how)
{
    struct sim *sim = sim_fork(run->sim, how, random_next(&run->chance));
    struct life life;
    struct error error = {0};
    run->points++;
    if (random_below(&run->chance, 5) == 0) {
        sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&run->chance, 20));
        (void)!life_open(sim, &life_options, &life, &error);
        life_close(&life);
        sim_recover(sim, SIM_POWER_CUT, random_next(&run->chance));
        run->points++;
    }
    if (life_open(sim, &life_options, &life, &error) != OK) {
        violate(&run->violation, "does not open: %s", error.text);
    } else {
        check_store(run, &life, "after a crash");
        if (run->violation.text[0] == 0)
            read_to_the_end(run, &life);
    }
    life_close(&life);
    sim_destroy(sim);
}

static void on_operation(void *context)
{
    struct run *run = context;
    for (size_t p = 0; p < run->topic.partition_count; p++) {
        int64_t next = stored_position(run->live, p);
        run->firm[p] = next > run->firm[p] ? next : run->firm[p]; /* who saw it would miss it */
    }
    if (run->violation.text[0] == 0 && run->points < run->points_max &&
        random_below(&run->chance, 2) == 0)
        crash(run, random_below(&run->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT);
}

/* --- one run --- */

/* A partition goes from its consumer to another, or back to the same one. What was decoded of it
 * stays where it is: its consumer does not know better. */
static void move_partition(struct run *run, struct consumer *consumers)
{
    size_t p = random_below(&run->chance, run->partitions_seen);
    run->moves++;
    for (size_t c = 0; c < CONSUMERS; c++)
        if (consumers[c].is_mine[p]) {
            intake_revoke(consumers[c].intake, (int32_t)p);
            consumers[c].is_mine[p] = false;
        }
    consumer_assign(&consumers[random_below(&run->chance, CONSUMERS)], p);
}

static void appear(struct run *run, struct consumer *consumers)
{
    if (run->partitions_seen == run->topic.partition_count)
        return;
    run->partitions_seen++;
    struct consumer *consumer = &consumers[random_below(&run->chance, CONSUMERS)];
    if (!consumer_place(consumer, run->partitions_seen))
        run->partitions_seen--; /* it is found again at the next look */
    else
        consumer_assign(consumer, run->partitions_seen - 1);
}

static void step(struct run *run, struct life *life, struct consumer *consumers)
{
    struct consumer *consumer = &consumers[random_below(&run->chance, CONSUMERS)];
    uint64_t draw = random_below(&run->chance, 20);
    if (draw < 6) {
        if (consumer->batch == NULL)
            consumer_decode(run, consumer);
    } else if (draw < 12) {
        consumer_submit(run, consumer);
    } else if (draw < 14) {
        move_partition(run, consumers);
    } else if (draw < 15) {
        appear(run, consumers);
    } else if (draw < 16) {
        (void)!store_checkpoint(life->store, NULL);
    } else if (draw < 17) {
        while (store_upkeep_run(life->store))
            run->upkeeps++;
    } else {
        (void)store_run(life->store);
    }
    struct store_status status;
    store_status(life->store, &status);
    if (!status.is_failed)
        return;
    store_revive(life->store);
    while (store_run(life->store))
        continue;
}

static const struct sim_faults regimes[] = {
    {0},
    {0},
    {.write_short = 6000},
    {.sync_error = 9000},
    {.write_space = 9000, .write_short = 2000},
};

static void run_life(struct run *run, struct life *life)
{
    static struct consumer consumers[CONSUMERS];
    for (size_t c = 0; c < CONSUMERS; c++)
        if (!consumer_open(life, &consumers[c]))
            violate(&run->violation, "no subscription");
    if (run->violation.text[0] == 0 && consumer_place(&consumers[0], run->partitions_seen))
        for (size_t p = 0; p < run->partitions_seen; p++)
            consumer_assign(&consumers[p % CONSUMERS], p);
    sim_set_faults(run->sim, &regimes[random_below(&run->chance, array_count(regimes))]);
    for (int i = 0; i < STEPS && run->violation.text[0] == 0 && run->points < run->points_max;
         i++) {
        step(run, life, consumers);
        if (i % 8 == 7)
            check_store(run, life, "live");
    }
    sim_set_faults(run->sim, NULL);
    for (size_t c = 0; c < CONSUMERS; c++)
        consumer_close(&consumers[c]);
}

static void run_seed(struct run *run, uint64_t seed, uint64_t points_max)
{
    struct sim_options options = {.seed = seed};
    struct life life;
    struct error error = {0};
    run->sim = sim_create(&options);
    run->points_max = run->points + points_max;
    random_stream_init(&run->chance, seed * 7 + 3);
    topic_make(&run->topic, &run->chance);
    run->partitions_seen = 1 + random_below(&run->chance, run->topic.partition_count);
    for (size_t p = 0; p < PARTITIONS_MAX; p++)
        run->firm[p] = NO_OFFSET;
    struct clock_source clock = sim_clock(run->sim);
    clock_install(&clock);
    run->live = &life;
    if (life_open(run->sim, &life_options, &life, &error) != OK || !life_create_table(&life) ||
        !create_subscription(&life)) {
        violate(&run->violation, "does not open: %s", error.text);
    } else {
        sim_watch(run->sim, on_operation, run);
        run_life(run, &life);
        sim_watch(run->sim, NULL, NULL);
    }
    life_close(&life);
    sim_destroy(run->sim);
    clock_install(NULL);
}

static bool run_all(const char *fault, const char *name, uint64_t points)
{
    static struct run run;
    run = (struct run){0};
    int64_t begin_us = clock_monotonic_us();
    if (fault != NULL)
        fault_plant(fault);
    uint64_t seed = 1;
    for (; run.points < points && run.violation.text[0] == 0; seed++)
        run_seed(&run, seed, points - run.points);
    fault_clear();
    bool is_found = run.violation.text[0] != 0;
    printf("%-52s %s after %6" PRIu64 " points, %" PRIu64 " seeds, %.1f s  %s\n", name,
           is_found ? "found" : "nothing found", run.points, seed - 1,
           (double)(clock_monotonic_us() - begin_us) / 1e6, run.violation.text);
    if (fault == NULL)
        printf("batches stored %" PRIu64 ", refused %" PRIu64 ", failed %" PRIu64
               "; partitions moved %" PRIu64 ", redeliveries %" PRIu64 ", steps of upkeep %" PRIu64
               "\n",
               run.batches, run.refused, run.failed, run.moves, run.redelivered, run.upkeeps);
    bool has_worked = fault != NULL || (run.batches > 0 && run.refused > 0 && run.redelivered > 0);
    return is_found == (fault != NULL) && has_worked;
}

int main(void)
{
    const char *setting = getenv("FRESHET_SIM_POINTS");
    uint64_t points = setting == NULL ? POINTS_DEFAULT : strtoull(setting, NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    bool is_good = run_all(NULL, "no fault", points);
    is_good &=
        run_all("kafka.offset_apart", "planted: P8 offsets in a record of their own", points);
    is_good &=
        run_all("kafka.no_fence", "planted: P15 a batch of an old assignment is taken", points);
    return is_good ? 0 : 1;
}
