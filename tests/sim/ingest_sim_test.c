/* Ingest on the simulated disk: producers, keys, ledger and dead letters across crashes.
 *
 * One run sends requests (with a producer, with a key, with neither; each with good and bad rows)
 * in groups, with checkpoints between; at chosen operations the disk is forked as a crash would
 * leave it and opened again, sometimes with another crash inside the recovery. There the model
 * says:
 *
 *   - what was acknowledged is there; what is there is a prefix of what was sent, each request
 * whole or not at all: rows, dead letters, ledger counts, the producer's sequence, the key
 *   - then every client repeats what it had no answer for (and some that it had): afterwards each
 * row with a producer or a key is there exactly once, and the ledger has counted every repetition
 *
 * Planted bugs P9 and P18 must be found by the same runs. FRESHET_SIM_POINTS sets the number of
 * crash points. */
#include "ingest/internal.h"
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

#ifdef FRESHET_CHECK
#define POINTS_DEFAULT 200
#else
#define POINTS_DEFAULT 4000
#endif
#define REQUESTS_MAX 64
#define PRODUCERS 8

static const struct life_options life_options = {
    .store = {.log_file_size = (size_t)64 << 10, .log_piece_size = (size_t)8 << 10}};

struct request {
    char body[2048];
    char name[24]; /* producer or key; empty: neither */
    bool is_key;
    uint64_t sequence;
    uint32_t good, bad;
    bool is_acked;
};
struct run {
    struct sim *sim;
    struct life *live;
    struct random_stream chance;
    struct request requests[REQUESTS_MAX];
    size_t count, acked; /* sent; the first `acked` have their answers */
    uint64_t points, points_max;
    struct violation violation;
};

/* --- requests --- */

static void make_request(struct run *run, size_t index)
{
    struct request *request = &run->requests[index];
    *request = (struct request){.good = 1 + (uint32_t)random_below(&run->chance, 5),
                                .bad = (uint32_t)random_below(&run->chance, 3)};
    if (index % 3 == 0) {
        snprintf(request->name, sizeof(request->name), "p%zu", index / 3 % PRODUCERS);
        request->sequence = 7 + index / 3 / PRODUCERS;
    } else if (index % 3 == 1) {
        snprintf(request->name, sizeof(request->name), "k%zu", index);
        request->is_key = true;
    }
    struct writer body;
    writer_init(&body);
    for (uint32_t i = 0; i < request->good; i++)
        writer_printf(&body, "{\"ts\":%zu,\"id\":%zu}\n", 1000000000 + index, index * 100 + i);
    for (uint32_t i = 0; i < request->bad; i++)
        writer_printf(&body, "bad %zu.%u\n", index, i);
    assert(body.size < sizeof(request->body));
    memcpy(request->body, body.data, body.size);
    writer_deinit(&body);
}

struct reply {
    int calls, status;
    enum ingest_outcome outcome;
};

static void on_answer(void *context, const struct ingest_answer *answer)
{
    struct reply *reply = context;
    reply->calls++;
    reply->status = answer->http_status;
    reply->outcome = answer->outcome;
}

static void send_request(struct life *life, const struct request *request, struct reply *reply)
{
    struct slice name = slice_from_cstr(request->name);
    struct ingest_request post = {
        .table = SLICE("t"), .body = slice_from_cstr(request->body), .format = INGEST_NDJSON};
    if (request->is_key) {
        post.idempotency_key = name;
    } else if (name.size > 0) {
        post.producer = name;
        post.has_sequence = true;
        post.sequence = request->sequence;
    }
    *reply = (struct reply){0};
    ingest_post(life->ingest, &post, on_answer, reply);
}

/* --- what is there --- */

struct found {
    uint32_t rows[REQUESTS_MAX], dead[REQUESTS_MAX];
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
            for (size_t row = 0; row < batch.row_count; row++)
                found->rows[column_value(&batch.columns[0], row).i / 100]++;
    }
    if (cursor != NULL)
        cursor_close(cursor);
    snapshot_close(snapshot);
}

static void find_all(struct life *life, struct found *found)
{
    *found = (struct found){0};
    find_rows(life, found);
    for (size_t i = 0; i < life->ingest->dead.count; i++) {
        char text[32] = {0};
        const struct dead_letter *letter = dead_letters_get(&life->ingest->dead, i);
        memcpy(text, letter->raw.data, letter->raw.size < 31 ? letter->raw.size : 31);
        size_t index = (size_t)strtoul(text + 4, NULL, 10);
        if (index < REQUESTS_MAX)
            found->dead[index]++;
    }
    for (uint32_t t = 0; t < life->ingest->table_count; t++) {
        const struct ledger *ledger = &life->ingest->tables[t]->ledger;
        for (uint32_t i = 0; i < ledger->count; i++)
            for (size_t f = 0; f < FATE_COUNT; f++)
                found->ledger[f] += ledger_get(ledger, i)->counts[f];
    }
}

static bool has_name(struct life *life, const struct request *request)
{
    struct table_state *table = life->ingest->table_count == 0 ? NULL : life->ingest->tables[0];
    struct slice name = slice_from_cstr(request->name);
    if (table == NULL)
        return false;
    if (request->is_key)
        return keys_find(&table->keys, hash128_of(name.data, name.size), 0, INT64_MAX / 2) != NULL;
    const struct producer *producer = producers_find(&table->producers, name);
    return producer != NULL && producer->sequence >= request->sequence;
}

/* After a crash: a prefix, whole requests, and the state that belongs to it. *present: how many. */
static void check_prefix(struct run *run, struct life *life, size_t *present)
{
    struct found found;
    find_all(life, &found);
    uint64_t want[FATE_COUNT] = {0};
    size_t count = 0;
    while (count < run->count && found.rows[count] > 0)
        count++;
    *present = count;
    if (count < run->acked)
        violate(&run->violation, "lost: %zu acknowledged, %zu found", run->acked, count);
    for (size_t i = 0; i < run->count; i++) {
        const struct request *request = &run->requests[i];
        bool is_there = i < count;
        if (found.rows[i] != (is_there ? request->good : 0))
            violate(&run->violation, "request %zu has %u rows of %u", i, found.rows[i],
                    request->good);
        if (found.dead[i] != (is_there ? request->bad : 0))
            violate(&run->violation, "request %zu has %u dead letters of %u", i, found.dead[i],
                    request->bad);
        if (request->name[0] != 0 && has_name(life, request) != is_there)
            violate(&run->violation, "request %zu is there: %d, its %s: %d", i, is_there,
                    request->is_key ? "key" : "sequence", !is_there);
        want[FATE_STORED] += is_there ? request->good : 0;
        want[FATE_DEAD] += is_there ? request->bad : 0;
    }
    want[FATE_RECEIVED] = want[FATE_STORED] + want[FATE_DEAD];
    for (size_t f = 0; f < FATE_COUNT; f++)
        if (found.ledger[f] != want[f])
            violate(&run->violation, "ledger: %s %" PRIu64 " instead of %" PRIu64, fate_names[f],
                    found.ledger[f], want[f]);
}

/* Every client asks again for what it may, in order; exactly once afterwards. */
static void check_retries(struct run *run, struct life *life, size_t present)
{
    uint64_t duplicates = 0;
    bool must_be[REQUESTS_MAX] = {false};
    if (!life_create_table(life))
        return;
    for (size_t i = 0; i < run->count; i++) {
        const struct request *request = &run->requests[i];
        must_be[i] = i < present;
        if (request->name[0] == 0 || (i < run->acked && random_below(&run->chance, 4) != 0))
            continue;
        struct reply reply;
        send_request(life, request, &reply);
        while (reply.calls == 0 && store_run(life->store))
            continue;
        if (reply.calls != 1 || reply.status != 200)
            violate(&run->violation, "the repetition of request %zu gives %d", i, reply.status);
        if ((reply.outcome == INGEST_REPEATED) != (i < present))
            violate(&run->violation, "the repetition of request %zu (%zu are there) is %s", i,
                    present, reply.outcome == INGEST_REPEATED ? "called one" : "stored");
        duplicates += i < present ? request->good + request->bad : 0;
        must_be[i] = true;
    }
    struct found found;
    find_all(life, &found);
    for (size_t i = 0; i < run->count; i++)
        if (found.rows[i] != (must_be[i] ? run->requests[i].good : 0) ||
            found.dead[i] != (must_be[i] ? run->requests[i].bad : 0))
            violate(&run->violation, "after repetitions request %zu has %u rows, %u dead letters",
                    i, found.rows[i], found.dead[i]);
    uint64_t sum = 0;
    for (size_t f = FATE_STORED; f < FATE_COUNT; f++)
        sum += found.ledger[f];
    if (found.ledger[FATE_RECEIVED] != sum || found.ledger[FATE_DUPLICATE] != duplicates)
        violate(&run->violation,
                "after repetitions the ledger has received %" PRIu64 ", the fates %" PRIu64
                ", duplicates %" PRIu64 " instead of %" PRIu64,
                found.ledger[FATE_RECEIVED], sum, found.ledger[FATE_DUPLICATE], duplicates);
}

/* --- crashes --- */

static void crash(struct run *run, enum sim_crash how)
{
    struct sim *sim = sim_fork(run->sim, how, random_next(&run->chance));
    struct life life;
    struct error error = {0};
    size_t present = 0;
    run->points++;
    if (random_below(&run->chance, 5) == 0) {
        sim_crash_at(sim, sim_operation_count(sim) + 1 + random_below(&run->chance, 20));
        (void)life_open(sim, &life_options, &life, &error);
        life_close(&life);
        sim_recover(sim, SIM_POWER_CUT, random_next(&run->chance));
        run->points++;
    }
    if (life_open(sim, &life_options, &life, &error) != OK) {
        violate(&run->violation, "does not open: %s", error.text);
    } else {
        check_prefix(run, &life, &present);
        if (run->violation.text[0] == 0)
            check_retries(run, &life, present);
    }
    life_close(&life);
    sim_destroy(sim);
}

static void on_operation(void *context)
{
    struct run *run = context;
    if (run->violation.text[0] == 0 && run->points < run->points_max &&
        random_below(&run->chance, 2) == 0)
        crash(run, random_below(&run->chance, 4) == 0 ? SIM_KILL : SIM_POWER_CUT);
}

static void send_groups(struct run *run, struct life *life)
{
    static struct reply replies[REQUESTS_MAX];
    while (run->count < REQUESTS_MAX && run->violation.text[0] == 0 &&
           run->points < run->points_max) {
        size_t end = run->count + 1 + (size_t)random_below(&run->chance, 4);
        end = end < REQUESTS_MAX ? end : REQUESTS_MAX;
        for (; run->count < end; run->count++) {
            make_request(run, run->count);
            send_request(life, &run->requests[run->count], &replies[run->count]);
        }
        do {
            while (run->acked < run->count && replies[run->acked].calls == 1) {
                if (replies[run->acked].status != 200)
                    violate(&run->violation, "request %zu gives %d", run->acked,
                            replies[run->acked].status);
                run->acked++;
            }
        } while (store_run(life->store));
        if (run->acked != run->count)
            violate(&run->violation, "no answer to request %zu", run->acked);
        if (random_below(&run->chance, 5) == 0 && store_checkpoint(life->store, NULL) != OK)
            violate(&run->violation, "no checkpoint");
    }
}

static void run_seed(struct run *run, uint64_t seed, uint64_t points_max)
{
    struct sim_options options = {.seed = seed};
    struct life life;
    struct error error = {0};
    run->sim = sim_create(&options);
    run->count = run->acked = 0;
    run->points_max = run->points + points_max;
    random_stream_init(&run->chance, seed * 5 + 2);
    struct clock_source clock = sim_clock(run->sim);
    clock_install(&clock);
    if (life_open(run->sim, &life_options, &life, &error) != OK || !life_create_table(&life))
        violate(&run->violation, "does not open: %s", error.text);
    sim_watch(run->sim, on_operation, run);
    send_groups(run, &life);
    sim_watch(run->sim, NULL, NULL);
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
    printf("%-44s %s after %6" PRIu64 " points, %" PRIu64 " seeds, %.1f s  %s\n", name,
           is_found ? "found" : "nothing found", run.points, seed - 1,
           (double)(clock_monotonic_us() - begin_us) / 1e6, run.violation.text);
    return is_found == (fault != NULL);
}

int main(void)
{
    const char *setting = getenv("FRESHET_SIM_POINTS");
    uint64_t points = setting == NULL ? POINTS_DEFAULT : strtoull(setting, NULL, 10);
    setvbuf(stdout, NULL, _IOLBF, 0);
    logger_set_level((enum log_level)(LOG_ERROR + 1));
    bool is_good = run_all(NULL, "no fault", points);
    is_good &= run_all("ingest.key_after_rows", "planted: P9 key stored after its rows", points);
    is_good &= run_all("ingest.dead_letters_after_rows",
                       "planted: P18 dead letters outside the record", points);
    return is_good ? 0 : 1;
}
